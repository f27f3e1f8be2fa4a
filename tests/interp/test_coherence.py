"""Coherence: distances with known values, oddness against what seeds do, and sounds that fall apart."""

import numpy as np
import pytest

from interp import coherence
from interp.coherence import WORSE, Bound, frechet, kernel_distance, measures, surprise
from interp.errors import InterpError
from interp.judges.sounds import Sounds

RATE = 16_000


def test_frechet_of_a_shift_is_its_square():
    x = np.random.default_rng(0).standard_normal((50, 3))
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + [3, 4, 0]) == pytest.approx(25)
    # Stretched by 2 about the same mean: each axis adds (2 s - s)^2 of its standard deviation s.
    y = x.mean(0) + 2 * (x - x.mean(0))
    assert frechet(x, y) == pytest.approx(np.trace(np.cov(x, rowvar=False)))


def test_kernel_distance_by_hand():
    # Width 1, so k(x, y) = (xy + 1)^3. Within {0, 1}: k(0, 1) = 1. Within {1, 2}: k(1, 2) = 27.
    # Across: k(0,1) + k(0,2) + k(1,1) + k(1,2) = 1 + 1 + 8 + 27 = 37, a quarter of it each.
    assert kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])) == pytest.approx(
        1 + 27 - 2 * 37 / 4
    )


def test_kernel_distance_is_unbiased_however_few():
    rng = np.random.default_rng(0)
    draws = [kernel_distance(*rng.standard_normal((2, 4, 2))) for _ in range(3000)]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(len(draws))
    assert min(draws) < 0


@pytest.mark.parametrize("distance", [frechet, kernel_distance])
def test_distances_refuse_what_they_cannot_compare(distance):
    with pytest.raises(InterpError, match="have no distance"):
        distance(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(InterpError, match="two or more"):
        distance(np.zeros((1, 2)), np.zeros((5, 2)))


def unsteered(rng, per_prompt=50):
    prompts = ["a"] * per_prompt + ["b"] * per_prompt
    found = {name: rng.standard_normal(2 * per_prompt) for name in WORSE}
    found["surprise"][per_prompt:] += 100  # prompts differ, and that is not odd
    return found, prompts


def test_one_unsteered_clip_in_twenty_is_outside():
    found, prompts = unsteered(np.random.default_rng(0))
    bound = Bound.of(found, prompts)
    assert (bound.oddness > bound.limit).mean() == pytest.approx(0.05)
    others, _ = unsteered(np.random.default_rng(1))
    assert bound.outside(others, prompts).mean() == pytest.approx(0.05, abs=0.04)


def test_only_the_bad_side_of_a_measure_is_odd():
    found, prompts = unsteered(np.random.default_rng(0))
    bound = Bound.of(found, prompts)
    for name, side in WORSE.items():
        clip = {measure: np.array([bound.usual[measure]["b"]]) for measure in WORSE}
        for direction in (-1, 1):
            moved = clip | {name: clip[name] + direction * 20 * bound.spreads[name]}
            assert bound.outside(moved, ["b"])[0] == (side in (0, direction)), (name, direction)
            assert bound.odd(moved, ["b"])[0] == pytest.approx(20 if side in (0, direction) else 0)


def test_a_measure_that_never_varies_makes_no_trifle_odd():
    found = {name: np.zeros(4) for name in WORSE}
    bound = Bound.of(found, ["a", "a", "b", "b"])
    assert bound.spreads["clipping"] == coherence.FINEST["clipping"]


def test_a_bound_refuses_prompts_without_a_second_seed():
    found = {name: np.zeros(3) for name in WORSE}
    with pytest.raises(InterpError, match="“b” has one unsteered clip"):
        Bound.of(found, ["a", "a", "b"])
    bound = Bound.of(found, ["a", "a", "a"])
    with pytest.raises(InterpError, match="“z” has no unsteered clips"):
        bound.odd(found, ["a", "z", "a"])


def test_measures_hear_what_is_wrong():
    rng, time = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    beat = np.where(time % 0.5 < 0.05, 1, 0) * rng.standard_normal(len(time)) * 0.3
    chord = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in (60, 64, 67)) * 0.1
    silent = np.concatenate([chord[: RATE * 3 // 2], np.zeros(RATE * 3 // 2)])
    noise = np.clip(rng.standard_normal(len(time)), -1, 1)
    sounds = Sounds(np.stack([beat, chord, silent, noise]), RATE)
    found = measures(sounds, np.zeros(4))
    assert list(found) == list(WORSE)
    assert (
        found["steadiness"][0] > 0.75 > 0.5 > found["steadiness"][3]
        and found["loops"][0] > found["loops"][3] + 0.5
    )
    assert found["clarity"][1] > found["clarity"][3]
    assert found["silence"][2] == pytest.approx(0.5, abs=0.03) and found["silence"][1] == 0
    assert found["clipping"][3] == pytest.approx(0.317, abs=0.02) and found["clipping"][1] == 0


def test_surprise_is_least_for_the_most_likely_tokens(model):
    likely = model.generate(["happy", "sad"], seconds=0.4, temperature=0, progress=False)
    drawn = model.generate(["happy", "sad"], seconds=0.4, temperature=3.0, top_k=0, progress=False)
    assert (surprise(model, likely) < surprise(model, drawn)).all()
    assert surprise(model, drawn).shape == (2,)
