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


def unsteered(seed, per_prompt=10, heavy=1):
    """Measures of clips of two prompts that differ, with tails the heavier the higher the power."""
    rng, prompts = np.random.default_rng(seed), ["a"] * per_prompt + ["b"] * per_prompt
    found = {name: rng.standard_normal(2 * per_prompt) ** heavy for name in WORSE}
    found["surprise"][per_prompt:] += 100  # prompts differ, and that is not odd
    return found, prompts


@pytest.mark.parametrize("heavy", [1, 5])
def test_of_forty_unsteered_clips_two_are_outside_of_what_the_others_do(heavy):
    # Each in turn against the 39 others: 5 % exactly, by counting, whatever the distribution.
    found, prompts = unsteered(0, 20, heavy)
    left_out = []
    for i in range(40):
        rest = np.arange(40) != i
        bound = Bound({k: x[rest] for k, x in found.items()}, [prompts[j] for j in np.flatnonzero(rest)])
        left_out += bound.outside({k: x[[i]] for k, x in found.items()}, [prompts[i]]).tolist()
    assert sum(left_out) == 2


def test_p_counts_the_clips_that_are_as_odd():
    # One prompt, one measure: 0 … 18 have the mean 9, and 14 is as far from it as 4; with a 19th clip at
    # 14 the mean is 9.25, and beyond 4.75 lie 0 to 4, 15 to 18, and both 14s.
    found = {name: np.zeros(19) for name in WORSE} | {"surprise": np.arange(19.0)}
    clip = {name: np.zeros(1) for name in WORSE} | {"surprise": np.array([14.0])}
    assert Bound(found, ["a"] * 19).p(clip, ["a"]) == pytest.approx((5 + 4 + 2) / 20)


def test_new_unsteered_clips_are_outside_one_time_in_twenty_however_few_set_the_bound():
    shares = []
    for seed in range(60):
        found, prompts = unsteered(seed, 15, heavy=3)
        others, _ = unsteered(1000 + seed, 15, heavy=3)
        shares.append(Bound(found, prompts).outside(others, prompts).mean())
    # 31 clips with their own: the oddest of them is outside, 1 in 31.
    assert np.mean(shares) == pytest.approx(1 / 31, abs=3 * np.std(shares) / np.sqrt(60))


def test_only_the_bad_side_of_a_measure_is_odd():
    found, prompts = unsteered(0)
    bound, usual = Bound(found, prompts), {name: x[10:].mean(keepdims=True) for name, x in found.items()}
    assert not bound.outside(usual, ["b"])[0]
    for name, side in WORSE.items():
        for direction in (-1, 1):
            moved = usual | {name: usual[name] + direction * 20}
            assert bound.outside(moved, ["b"])[0] == (side in (0, direction)), (name, direction)


def test_oddness_is_the_distance_from_the_other_clips_of_the_prompt():
    found = {name: np.zeros(4) for name in WORSE} | {"surprise": np.array([0.0, 2.0, 5.0, 5.0])}
    # 0 and 2 are 2 apart; spread: residuals -1, 1, 0, 0 over 4 - 2 degrees of freedom is 1.
    assert coherence.oddness(found, np.array([0, 0, 1, 1])).tolist() == [2, 2, 0, 0]


def test_a_measure_that_never_varies_makes_no_trifle_odd():
    found = {name: np.zeros(4) for name in WORSE} | {"clipping": np.array([0, 0, 0, 1e-4])}
    least = coherence.FINEST["clipping"]
    assert coherence.oddness(found, np.zeros(4, int))[-1] == pytest.approx(0.75e-4 * 4 / 3 / least)


def test_a_bound_refuses_too_few_clips_and_prompts_that_it_does_not_know():
    few = {name: np.zeros(18) for name in WORSE}
    with pytest.raises(InterpError, match="18 unsteered clips give no bound .* it takes 19"):
        Bound(few, ["a"] * 18)
    bound = Bound({name: np.zeros(19) for name in WORSE}, ["a"] * 19)
    with pytest.raises(InterpError, match="“z” has no unsteered clips"):
        bound.outside({name: np.zeros(2) for name in WORSE}, ["a", "z"])


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
