"""Cards of features: excerpts, names, ablations by hand on the tiny model, what is recorded."""

import json

import numpy as np
import pytest
import torch

import interp
from interp import results
from interp.errors import InterpError
from interp.plots.features import answering_features, over_time
from interp.sae import Dictionary
from interp.sae.cards import Card, ablate, cards, describe, excerpts, matched, representatives
from interp.sae.features import Activity, activity
from interp.sae.planted import answering
from interp.sae.selectivity import halves

SITE = "resid.1"


@pytest.fixture(scope="module")
def clips(model):
    prompts = ["sad", "happy", None, "calm"]
    return model.generate(prompts, seconds=0.5, seed=1, progress=False)


def pair(width: int, shift: float = 0.0) -> Dictionary:
    """Positive and negative part of every coordinate, and one feature that is always silent."""
    made = Dictionary(width, 2 * width + 1, "standard")
    eye = torch.eye(width)
    with torch.no_grad():
        made.encoder.copy_(torch.cat([eye, -eye, torch.zeros(1, width)]))
        made.decoder.copy_(torch.cat([eye, -eye, torch.ones(1, width)]))
        made.encoder_bias[-1] = -1.0
    return made


def test_excerpts_surround_the_peak():
    seconds = np.arange(100) / 10
    x = np.zeros((3, 100, 1), np.float32)
    x[0, 50], x[1, 2], x[2, 99] = 1, 2, 3
    found = excerpts(torch.relu, x, seconds, 0, [2, 1, 0], length=2.0)
    assert [e.clip for e in found] == [2, 1, 0]
    windows = [(e.start, e.end) for e in found]
    np.testing.assert_allclose(windows, [(7.9, 9.9), (0, 2), (3.5, 5.5)])  # at an edge the window moves in
    assert found[2].activation[50] == 1 and found[2].activation.sum() == 1
    with pytest.raises(InterpError, match="Clip 0 has 100 steps, and seconds are given for 99"):
        excerpts(torch.relu, x, seconds[:-1], 0, [0])
    with pytest.raises(InterpError, match="length must be a number above 0"):
        excerpts(torch.relu, x, seconds, 0, [0], length=0)


def test_matched_features_fire_as_often_and_are_others():
    rate = np.array([[0.5, 0.49, 0.1, 0.11, 0.0, 0.9]])
    found_in = Activity(rate, rate, rate, np.array([10]))
    assert matched(found_in, [0, 2], nearest=1) == [1, 3]
    assert not set(matched(found_in, [0, 1, 2])) & {0, 1, 2, 4}  # nor one that never fires
    with pytest.raises(InterpError, match="a feature that fires"):
        matched(found_in, [4])
    with pytest.raises(InterpError, match="another that fires"):
        matched(found_in, [0, 1, 2, 3, 5])


def test_ablation_by_hand(model, clips):
    """KL between two passes, the second with one coordinate's positive part set to 0 at clean steps."""
    from interp.activations import interleave, text_condition
    from interp.hooks import Pass, hook, running

    clip, width = 1, model.d_model
    feature = int(interp.capture(model, clips, sites=[SITE])[SITE][clip].mean(0).argmax())
    got = ablate(model, clips, SITE, pair(width), {feature: [clip]})[feature]
    assert got.shape == (1, model.n_codebooks)
    first, last = max(model.delays) + 1, clips.tokens.shape[-1]

    def edit(x, layout, group):
        new = x.clone()
        new[:, first : last + 1, feature] = -(-new[:, first : last + 1, feature]).relu()
        return new

    log_p, one = [], clips[clip]
    condition = {"description": text_condition(model, one.prompts, one.text_steps[0])}
    for edits in ({}, {SITE: edit}):
        with torch.no_grad(), running(model, Pass(1, (("cond",),))), hook(model, edits):
            logits = model.lm(interleave(model, one.tokens), conditions=[], condition_tensors=condition)
        log_p.append(logits[0].log_softmax(-1))
    kl = torch.nn.functional.kl_div(log_p[1], log_p[0], log_target=True, reduction="none").sum(-1)
    for q, delay in enumerate(model.delays):
        counted = kl[q, first : min(last, last + delay - 1) + 1]
        assert got[0, q] == pytest.approx(float(counted.mean()), rel=1e-4, abs=1e-7)
    assert got.min() > 0


def test_ablating_what_is_silent_changes_nothing(model, clips):
    silent = 2 * model.d_model
    got = ablate(model, clips, SITE, pair(model.d_model), {silent: [0, 3], 0: [3]})
    np.testing.assert_allclose(got[silent], 0, atol=1e-6)
    assert got[silent].shape == (2, 4) and got[0].shape == (1, 4)
    assert got[0].mean() > 1e-6
    with pytest.raises(InterpError, match="width 5"):
        ablate(model, clips, SITE, pair(5), {0: [0]})


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    labels = {
        "quadrant": [f"Q{k}" for k in rng.integers(1, 5, 200)],
        "tempo": rng.integers(0, 5, 200).tolist(),
    }
    made = answering(labels, per_contrast=2, idle=5, steps=40)
    found_in = activity(made.dictionary.encode, made.vectors)
    mixed = found_in.mean.copy()
    mixed[:, 0] -= 0.5 * mixed[:, 8]  # the first feature answers to Q1 and, less, to low tempo
    return halves(mixed, labels, range(200)), made


def test_names_come_from_the_strongest_descriptors(planted):
    found, made = planted
    assert made.names[0] == "quadrant Q1" and made.names[8] == "high tempo"
    assert describe(found, 0, {"low tempo": "slow", "quadrant Q1": "happy"})[0] == "happy; slow"
    name, evidence = describe(found, 8)
    assert name == "high tempo" and evidence.startswith("held-out AUROC: high tempo 0.")
    assert describe(found, made.names.index(None)) == ("no label", "no association that held")


def test_representatives_are_one_for_each_contrast(planted):
    found, made = planted
    names = [made.names[f] for f in representatives(found, ["quadrant", "tempo"])]
    assert names == ["quadrant Q1", "quadrant Q2", "quadrant Q3", "quadrant Q4", "high tempo"]
    assert [made.labels[f] for f in representatives(found, ["tempo"])] == ["tempo"]


def test_cards_are_recorded(model, clips, planted, monkeypatch, tmp_path):
    """A card from the model's own activations; what its features answer to is taken from made-up labels."""
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    dictionary, acts = pair(model.d_model), interp.capture(model, clips, sites=[SITE])
    found_in = activity(dictionary.encode, acts[SITE])
    given = dict(vectors=acts[SITE], seconds=acts.seconds, activity=found_in, found=planted[0])
    made = cards(model, clips, SITE, dictionary, features=[0, 8], n=2, length=0.2, **given)
    assert [card.feature for card in made] == [0, 8] and made[0].name == "quadrant Q1; low tempo"
    card = made[0]
    assert isinstance(card, Card) and card.other not in (0, 8)
    peaks = [found_in.highest[e.clip, 0] for e in card.excerpts]
    assert peaks == sorted(found_in.highest[:, 0], reverse=True)[:2]
    assert card.effect.shape == card.control.shape == (2, 4)
    card.show("card-happy", clips.audio, clips.sample_rate)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["figures"]["card-happy"]["caption"] == card.caption
    assert "quadrant Q1" in written["figures"]["card-happy"]["alt"]
    assert list(written["audio"]) == ["card-happy-1", "card-happy-2"]
    assert written["audio"]["card-happy-1"]["seconds"] == pytest.approx(0.2, abs=0.01)
    with pytest.raises(InterpError, match="do not belong together"):
        cards(model, clips[:2], SITE, dictionary, features=[0], **given)


def test_features_above_each_auroc():
    figure = answering_features({"SAE": [0.5, 0.6, 0.9, 0.4]}, "alt")
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(x, [0.5, 0.5, 0.5, 0.6, 0.9, 1.0])
    np.testing.assert_allclose(y, [1, 1, 0.75, 0.5, 0.25, 0])
    with pytest.raises(InterpError, match="empty"):
        over_time([], "alt")
