"""Conditions compared at every layer: a planted effect is found, nothing is found where nothing is."""

import numpy as np
import pytest
import torch

import interp
from interp import compare
from interp.stats import contrast


def layers_with(effects, seed=0, clusters=6, clips=3, width=24):
    """One array [clip, width] for each effect size, with an offset common to all and one for each prompt."""
    rng = np.random.default_rng(seed)
    conditions = np.repeat(["happy", "sad"], clusters * clips)
    prompts = np.repeat(np.arange(2 * clusters), clips)
    sign = np.where(conditions == "happy", 1, -1)[:, None]
    vectors = {}
    for i, effect in enumerate(effects):
        offset, direction = 20 + rng.normal(0, 1, width), rng.normal(0, 1, width)
        own = rng.normal(0, 1, (2 * clusters, width))[prompts]
        vectors[str(i)] = offset + effect * sign * direction + own + rng.normal(0, 0.3, (len(sign), width))
    return vectors, list(conditions), list(prompts)


def test_the_layer_with_an_effect_is_found_after_correction():
    found = compare.by_layer(*layers_with([0, 1.0, 0]), n=400)
    assert found.layers == ["0", "1", "2"] and (found.clips, found.clusters) == (36, 12)
    assert found.corrected[1] == found.best_p < 0.05
    assert found.at("1").low > 0
    assert all(c >= p for c, p in zip(found.corrected, found.p, strict=True))
    assert "more than relabelled prompts give" in compare.sentence("étude", found, "1")
    assert f"{found.at('1').estimate:+.3f} at layer 1" in compare.sentence("étude", found, "1")


def test_correction_keeps_its_promise_where_nothing_is():
    # Prompts have offsets of their own, clips of one prompt share them: only whole prompts may be relabelled.
    best = [compare.by_layer(*layers_with([0] * 4, seed), n=100).best_p for seed in range(60)]
    assert np.mean(np.array(best) < 0.05) <= 0.15
    found = compare.by_layer(*layers_with([0] * 4, seed=3), n=100)
    assert "not more than chance" in compare.sentence("null", found, "0")


def test_one_layer_needs_no_correction():
    vectors, conditions, prompts = layers_with([0.3])
    found = compare.by_layer(vectors, conditions, prompts, n=100)
    assert found.corrected == pytest.approx(found.p)
    assert found.estimates[0].estimate == pytest.approx(
        contrast.within_between(vectors["0"], conditions, prompts).difference
    )


def test_raw_cosines_by_hand():
    x = np.array([[2.0, 0], [1, 0], [0, 3], [-1, 0]])
    assert compare.raw_cosines(x, list("aaab"), [1, 1, 2, 3]) == pytest.approx((1, 0, -2 / 3))


def test_pooled_by_layer_is_the_mean_of_what_capture_gives(model):
    clips = model.generate(["calm", "sad", "happy"], seconds=0.5, batch_size=2, progress=False)
    pooled = compare.pooled_by_layer(model, clips, progress=False)
    assert list(pooled) == ["in", "0", "1", "2"]
    acts = interp.capture(model, clips, sites=("resid.pre", "resid"), rows="both")
    torch.testing.assert_close(torch.tensor(pooled["in"]), acts.pooled("resid.pre"), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.tensor(pooled["2"]), acts.pooled("resid.2"), rtol=1e-4, atol=1e-5)
    assert list(compare.pooled_by_layer(model, clips, layers=[1], progress=False)) == ["in", "1"]
    without = compare.pooled_by_layer(model, clips, rows="null", progress=False, sites=["mlp.1"])
    assert list(without) == ["in", "0", "1", "2", "mlp.1"] and without["mlp.1"].shape == without["1"].shape
    np.testing.assert_allclose(without["2"], pooled["2"][1], rtol=1e-4, atol=1e-5)


def test_a_verdict_reads_the_nulls_first():
    assert "no difference was found" in compare.verdict("étude", 0.4, {"twin": 0.001})
    assert "and so it was in twin" in compare.verdict("étude", 0.001, {"null": 0.5, "twin": 0.02})
    both = compare.verdict("étude", 0.001, {"null": 0.5, "twin": 0.2})
    assert "in none of its nulls (null p = 0.500, twin p = 0.200)" in both
    assert "no null beside it" in compare.verdict("étude", 0.001, {})
