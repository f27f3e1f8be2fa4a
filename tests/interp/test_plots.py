"""Figures show what they were given, with units and alternative text."""

import io

import numpy as np
import pytest
import torch

import interp
from interp import plots, stats, validate


def words(figure):
    """All text of a figure."""
    import matplotlib.text

    return " | ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text())


def drawn(figure):
    """Size in bytes of the figure as a PNG: it can be drawn at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return len(buffer.getvalue())


def test_architecture_is_read_off_the_model(model):
    figure = plots.architecture(model.describe())
    text = words(figure)
    for fact in (
        "one of 3 (0 to 2)",
        "4 heads of 8",
        "64 entries",
        "delays 0, 1, 2, 3",
        "3.2 kHz",
        "width 24",
    ):
        assert fact in text, fact
    assert "3 transformer blocks of width 32" in figure.alt
    assert drawn(figure) > 10_000
    other = plots.architecture(model.describe() | {"n_layers": 48, "d_model": 2048, "n_heads": 32})
    assert "one of 48 (0 to 47)" in words(other) and "32 heads of 64" in words(other)


def test_waveforms_share_their_scales():
    rng = np.random.default_rng(0)
    audio = torch.tensor(rng.normal(0, 0.1, (2, 1, 16_000)), dtype=torch.float32)
    figure = plots.waveforms(audio, 16_000, ["loud", "quiet"], alt="Two noises.")
    text = words(figure)
    assert "time (s)" in text and "frequency (Hz)" in text and "power (dB)" in text and "quiet" in text
    top = figure.axes[:2]
    assert top[0].get_ylim() == top[1].get_ylim()
    assert figure.alt == "Two noises." and drawn(figure) > 5_000
    with pytest.raises(interp.InterpError, match="one each"):
        plots.waveforms(audio, 16_000, ["one"], alt="x")


def test_norms(model):
    generation = model.generate(["calm", "sad"], seconds=0.5, progress=False)
    acts = interp.capture(model, generation)
    tensors = [acts[f"resid.{i}"] for i in range(3)]
    figure = plots.norms_by_layer({"tiny": tensors}, alt="Norms.")
    line = figure.axes[0].lines[0]
    assert line.get_ydata() == pytest.approx([x.norm(dim=-1).median().item() for x in tensors], rel=0.05)
    figure = plots.norms_over_time({"layer 2": acts["resid.2"]}, acts.seconds, alt="Norms.")
    line = figure.axes[0].lines[0]
    assert line.get_xdata() == pytest.approx(acts.seconds.numpy())
    assert line.get_ydata() == pytest.approx(acts["resid.2"].norm(dim=-1).mean(0).numpy(), rel=1e-5)
    assert drawn(figure) > 5_000


def test_heatmap():
    figure = plots.cosine_heatmap([[1, -0.25], [-0.25, 1]], ["happy", "sad"], alt="Cosines.")
    assert words(figure).count("-0.25") == 2 and "happy" in words(figure)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    with pytest.raises(interp.InterpError, match="3 labels"):
        plots.cosine_heatmap(np.eye(2), ["a", "b", "c"], alt="x")


def test_within_between_shows_interval_and_chance():
    estimates = [stats.Interval(0.2, 0.1, 0.3), stats.Interval(0.4, 0.2, 0.5)]
    nulls = [np.linspace(-0.1, 0.1, 101)] * 2
    found = {"estimates": estimates, "nulls": nulls}
    figure = plots.within_between({"etude": found, "etude-null": found}, [0, 3], alt="Differences.")
    assert len(figure.axes) == 2
    ax = figure.axes[0]
    assert ax.lines[0].get_ydata() == pytest.approx([0.2, 0.4])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((-0.095, 0.095))
    bars = ax.containers[0].lines[2][0].get_segments()
    assert [tuple(bar[:, 1]) for bar in bars] == [pytest.approx((0.1, 0.3)), pytest.approx((0.2, 0.5))]
    with pytest.raises(interp.InterpError, match="2 estimates for 3 layers"):
        plots.within_between({"etude": found}, [0, 1, 2], alt="x")


def test_a_figure_without_alternative_text_is_refused():
    with pytest.raises(interp.InterpError, match="alternative text"):
        plots.cosine_heatmap(np.eye(2), ["a", "b"], alt=" ")


def test_cosines_by_layer_has_a_panel_for_each_model():
    lines = {"same prompt": [0.9, 0.99], "other emotion": [0.8, 0.98]}
    figure = plots.cosines_by_layer({"etude": lines, "twin": lines}, ["in", 0], alt="Cosines.")
    assert [ax.get_title() for ax in figure.axes] == ["etude", "twin"]
    assert figure.axes[1].lines[1].get_ydata() == pytest.approx([0.8, 0.98])
    assert "other emotion" in words(figure) and drawn(figure) > 5_000


def test_cues_by_condition_leaves_out_what_was_not_measured():
    level, pitch = stats.Interval(-20, -22, -19), stats.Interval(60, 55, 70)
    series = {
        "etude": {"happy": {"level": level, "pitch": pitch}, "sad": {"level": level, "pitch": pitch}},
        "twin": {"happy": {"level": level}, "sad": {"level": level, "pitch": pitch}},
    }
    units = {"level": "dB full scale", "pitch": "MIDI note number"}
    figure = plots.cues_by_condition(series, units, alt="Cues.")
    text = words(figure)
    assert "dB full scale" in text and "MIDI note number" in text and "happy" in text
    shown = [len(bars.lines[0].get_xdata()) for bars in figure.axes[1].containers]
    assert shown == [2, 1]
    bar = figure.axes[0].containers[0].lines[2][0].get_segments()[0]
    assert tuple(bar[:, 1]) == pytest.approx((-22, -19))
    assert drawn(figure) > 5_000


def test_rates_have_a_panel_for_each_kind_and_their_promise_in_it():
    kinds = {"false positives at 5 %": 0.05, "coverage of 95 % intervals": 0.95}
    found = [
        validate.Rate(name, kind, nominal, nominal, nominal - 0.01, nominal + 0.01, 0.5, count, 100)
        for kind, nominal in kinds.items()
        for name in ("one", "two")
        for count in (8, 24)
    ]
    figure = plots.rates(found, alt="Rates.")
    assert [ax.get_title() for ax in figure.axes] == list(kinds)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "two"]
