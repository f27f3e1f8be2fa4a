"""Effects stand beside their controls: random subspaces, and subspaces found from labels dealt anew."""

import numpy as np
import pytest

from interp.causal.controls import CONTROLS, Effect, as_large, controlled, shuffled_subspaces
from interp.causal.planted import FORK, learned, planted_path, spurious_path
from interp.causal.subspace import Subspace
from interp.errors import InterpError
from interp.results.claims import Measure

PIECES = np.repeat(np.arange(10), 2)


def test_an_effect_is_a_mean_with_its_interval_over_pieces_and_its_sign_flips():
    found = Effect.of(np.repeat(np.arange(1.0, 11), 2), PIECES, "greater")
    error = np.arange(1.0, 11).std(ddof=1) / np.sqrt(10)
    assert found.estimate == 5.5
    assert found.interval.error == pytest.approx(error)  # of ten pieces, not of twenty pairs
    assert found.p == 1 / 2**10


def test_a_share_is_of_effects_on_the_same_pairs():
    part, whole = (Effect.of(k * np.arange(1.0, 21), PIECES) for k in (0.6, 1.0))
    share = part.share_of(whole)
    assert (share.low, share.estimate, share.high) == pytest.approx((0.6, 0.6, 0.6))
    with pytest.raises(InterpError, match="same pairs"):
        part.share_of(Effect.of(np.ones(20), np.arange(20)))


def test_no_claim_without_both_controls():
    values = np.arange(1.0, 21)
    with pytest.raises(InterpError, match="random-directions, shuffled-labels is missing"):
        Effect.of(values, PIECES).measure()
    with pytest.raises(InterpError, match="controls; shuffled-labels is missing"):
        Effect.of(values, PIECES, controls={"random-directions": 0 * values}).measures("etude")
    whole = Effect.of(values, PIECES, controls=dict.fromkeys(CONTROLS, values - 10.5))
    measures = whole.measures("etude")
    assert list(measures) == ["etude", *CONTROLS]
    assert all(isinstance(m, Measure) and (m.clips, m.clusters) == (20, 10) for m in measures.values())
    assert measures["etude"].estimate == 10.5
    assert measures["shuffled-labels"].estimate == pytest.approx(0)


def test_the_shift_of_a_random_control_is_as_large_as_the_real_one_and_lies_elsewhere():
    change = np.random.default_rng(0).standard_normal((20, 300))
    named, seen = Subspace.random(2, 300, "resid.0", "tempo", seed=1), []

    def act(shift):
        seen.append(shift)
        return {"effect": shift @ named.basis[0].double().numpy()}

    found = controlled(act, change, named, PIECES, draws=3)["effect"]
    real, *random = seen
    np.testing.assert_allclose(real, named.project(change))
    assert len(random) == 3
    for shift in random:
        np.testing.assert_allclose(np.linalg.norm(shift, axis=1), np.linalg.norm(real, axis=1))
        cosine = (shift * real).sum(1) / (real**2).sum(1)
        assert np.abs(cosine).max() < 0.3  # each pair has its own, so no draw tells for all
    assert list(found.controls) == ["random-directions"]


def test_shuffled_subspaces_take_turns_and_shift_by_their_own_part():
    change = np.random.default_rng(0).standard_normal((20, 6))
    named = Subspace.from_directions(np.eye(6)[0], "resid.0", "tempo")
    others = [Subspace.from_directions(np.eye(6)[i], "resid.0", "tempo") for i in (3, 4)]
    seen = []

    def act(shift):
        seen.append(shift)
        return {"effect": shift.sum(1)}

    controlled(act, change, named, PIECES, shuffled=others, draws=1)
    np.testing.assert_allclose(seen[-1][::2], np.where(np.arange(6) == 3, change, 0)[::2])
    np.testing.assert_allclose(seen[-1][1::2], np.where(np.arange(6) == 4, change, 0)[1::2])


def test_a_shift_of_length_0_stays_so():
    np.testing.assert_array_equal(as_large(np.array([[0.0, 0], [3, 4]]), np.ones((2, 2)))[0], [0, 0])


def test_a_control_of_another_rank_or_site_is_refused():
    named = Subspace.random(2, 6, "resid.0")
    for other in (Subspace.random(1, 6, "resid.0"), Subspace.random(2, 6, "resid.1")):
        with pytest.raises(InterpError, match="must have its rank 2 and site resid.0"):
            controlled(lambda s: {"y": s[:, 0]}, np.ones((20, 6)), named, PIECES, shuffled=[other])


def test_labels_are_dealt_over_groups_and_never_as_they_are():
    groups, label, seen = np.repeat(np.arange(4), 3), np.repeat([0, 0, 1, 1], 3), []

    def find(dealt):
        seen.append(dealt)
        return Subspace.random(1, 5, "resid.0", seed=len(seen))

    # Two of four groups are 1: six dealings, five without that of the data.
    assert len(shuffled_subspaces(find, label, groups, count=5)) == 5
    assert len({tuple(dealt) for dealt in seen}) == 5
    assert all((dealt.reshape(4, 3) == dealt[::3, None]).all() for dealt in seen)
    assert not any((dealt == label).all() for dealt in seen)
    with pytest.raises(InterpError, match="There are 5 other dealings"):
        shuffled_subspaces(find, label, groups, count=6)


# --- the controls of hypothesis C2: subspaces learned from noisy clips of a network whose graph is known ---

LEAST = 0.2  # the hypothesis' smallest effect, in standard deviations of the readout


def within(effect: Effect) -> bool:
    return -LEAST < effect.interval.low and effect.interval.high < LEAST


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_planted_path_is_found_and_the_spurious_one_is_absent(seed):
    planted, spurious = planted_path(seed), spurious_path(seed)
    assert planted.interval.low > LEAST
    assert planted.p < 0.01
    assert within(spurious)
    for effect in (planted, spurious):
        assert all(within(effect.controls[name]) for name in CONTROLS)
        assert set(effect.measures("x")) == {"x", *CONTROLS}


def test_a_correlate_is_blamed_where_training_clips_do_not_tell_it_from_the_mediator():
    assert learned(FORK, "brightness", factorial=False).interval.low > LEAST
