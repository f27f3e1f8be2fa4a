"""The figure of cue weights shows every emotion, cue and model at its place."""

import pytest

from interp.errors import InterpError
from interp.plots.pathways import cue_weights
from interp.stats import Interval


def of(*estimates):
    return {cue: Interval(b, b - 0.1, b + 0.2) for cue, b in zip(("mode", "tempo"), estimates, strict=True)}


PANELS = {
    "happy": {"people": of(0.7, 0.3), "étude": of(0.5, 0.4), "twin": of(0, 0.1)},
    "sad": {"people": of(-0.7, -0.4), "étude": of(-0.5, -0.3), "twin": of(0, 0.1)},
}


def test_people_are_bars_and_models_are_points_with_their_intervals():
    figure = cue_weights(PANELS, alt="Weights of two cues in two emotions.")
    happy, sad = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["happy", "sad"]
    assert [bar.get_height() for bar in happy.patches] == [0.7, 0.3]
    assert [text.get_text() for text in happy.get_xticklabels()] == ["mode", "tempo"]
    etude, twin = (box for box in sad.containers if box.get_label() in ("étude", "twin"))
    assert list(etude.lines[0].get_ydata()) == [-0.5, -0.3]
    assert [ends[:, 1].tolist() for ends in etude.lines[2][0].get_segments()] == [
        pytest.approx([-0.6, -0.3]),
        pytest.approx([-0.4, -0.1]),
    ]
    assert all(etude.lines[0].get_xdata() < twin.lines[0].get_xdata()), "side by side"
    assert figure.alt == "Weights of two cues in two emotions."


def test_it_needs_alternative_text():
    with pytest.raises(InterpError, match="alternative text"):
        cue_weights(PANELS, alt="")
