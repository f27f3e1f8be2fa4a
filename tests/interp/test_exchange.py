"""Components of words exchanged while clips are made: what changes, what it counts for, what chance makes."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

import interp
from interp.causal.exchange import agreement, exchange, share, sources
from interp.causal.subspace import Subspace
from interp.errors import InterpError
from interp.hooks import Pass

PROMPTS = ["happy pop music", "sad piano ballad", "energetic pop music", "calm piano music"]
STREAMS = [0, 0, 1, 1]
BOUNDS = (-0.3, 0.3)


@pytest.fixture(scope="module")
def clips(model):
    return model.generate(PROMPTS, seconds=0.4, seed=3, streams=STREAMS, batch_size=2, progress=False)


def whole(model, site):
    return Subspace.from_directions(np.eye(model.d_model), site, "everything")


def line(model, site, seed=0):
    return Subspace.random(1, model.d_model, site, seed=seed)


# --- who takes from whom ---


def test_every_condition_gives_once_and_takes_once_in_a_set_and_never_from_itself():
    taken = sources(6, 4)
    assert (np.sort(taken, axis=1) == np.arange(4)).all()
    assert not (taken == np.arange(4)).any()
    assert [sorted(set(column)) for column in taken.T] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


@pytest.mark.parametrize("sets, conditions", [(1, 4), (6, 1)])
def test_an_exchange_needs_two_sets_of_two_conditions(sets, conditions):
    with pytest.raises(InterpError, match="The number of"):
        sources(sets, conditions)


# --- the exchange ---


def test_a_clip_that_is_its_own_donor_stays_as_it_is(model, clips):
    same = exchange(model, clips, [0, 1, 2, 3], [whole(model, "resid.1")] * 4)
    assert torch.equal(same.tokens, clips.tokens)
    torch.testing.assert_close(same.audio, clips.audio)


def test_the_whole_conditional_stream_after_the_last_block_makes_the_donor_s_clip(model, clips):
    """Of one random stream; without guidance nothing else decides a token."""
    alone = model.generate(PROMPTS, seconds=0.4, seed=3, streams=STREAMS, cfg_coef=1.0, progress=False)
    donors = [1, 0, 3, 2]
    made = exchange(model, alone, donors, [whole(model, f"resid.{model.n_layers - 1}")] * 4)
    assert torch.equal(made.tokens, alone.tokens[donors])
    assert not torch.equal(alone.tokens, alone.tokens[donors])


@pytest.fixture
def edited(model, clips, monkeypatch):
    """States at resid.1 as the clips had them, and a function: as an exchange would leave these."""
    own, edits = interp.capture(model, clips, sites=["resid.1"], steps="all")["resid.1"], {}

    def edit(*arguments):
        with monkeypatch.context() as patched:
            patched.setattr(
                "interp.causal.exchange.hook", lambda model, given: edits.update(given) or nullcontext()
            )
            exchange(model, clips, *arguments)
        whole_run = Pass(len(clips), (("cond", "null"),), length=own.shape[1])
        return edits["resid.1"](own, whole_run, "cond")

    return own, edit


def test_inside_is_the_donor_s_step_by_step_and_outside_one_s_own(model, edited):
    own, edit = edited
    donors, subspaces = [1, 0, 3, 2], [line(model, "resid.1", seed) for seed in range(4)]
    new = edit(donors, subspaces)
    for i, subspace in enumerate(subspaces):
        torch.testing.assert_close(new[i], subspace.swap(own[i], own[donors[i]]), atol=1e-5, rtol=1e-4)


def test_a_random_exchange_is_as_large_as_the_one_it_stands_beside(model, edited):
    own, edit = edited
    donors, real = [1, 0, 3, 2], [line(model, "resid.1")] * 4
    other = [line(model, "resid.1", seed) for seed in range(1, 5)]
    shift = edit(donors, other, real) - own
    wanted = real[0].project(own[donors] - own).norm(dim=-1)
    torch.testing.assert_close(shift.norm(dim=-1), wanted, atol=1e-5, rtol=1e-3)
    for i, subspace in enumerate(other):
        torch.testing.assert_close(subspace.project(shift[i]), shift[i], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "donors, subspaces, said",
    [
        ([0, 1, 2], 4 * [("resid.1", 1)], "one donor"),
        ([0, 1, 2, 4], 4 * [("resid.1", 1)], "one donor"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)], "3 subspaces for 4 clips"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)] + [("resid.2", 1)], "one site"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)] + [("resid.1", 2)], "one site"),
        ([1, 0, 3, 2], 4 * [("resid.9", 1)], "resid.9"),
    ],
)
def test_bad_input_is_named(model, clips, donors, subspaces, said):
    made = [Subspace.random(rank, model.d_model, site) for site, rank in subspaces]
    with pytest.raises(InterpError, match=said):
        exchange(model, clips, donors, made)


def test_a_subspace_of_another_width_is_refused(model, clips):
    with pytest.raises(InterpError, match="width 8"):
        exchange(model, clips, [1, 0, 3, 2], [Subspace.random(1, 8, "resid.1")] * 4)


# --- the share ---

TAKEN = sources(12, 4)


def cues(signal=1.0, noise=0.0, seed=0):
    """Cues of 12 sets of four conditions: means of their own, and chance."""
    means = np.random.default_rng(7).standard_normal((4, 5))
    return signal * means + noise * np.random.default_rng(seed).standard_normal((12, 4, 5))


def taking(plain):
    return np.take_along_axis(plain, TAKEN[..., None], axis=1)


@pytest.mark.parametrize("part", [0.0, 0.4, 1.0, -0.5])
def test_the_share_is_how_far_the_cues_go(part):
    plain = cues()
    found = share(plain, plain + part * (taking(plain) - plain), TAKEN)
    assert found.estimate == pytest.approx(part) and found.interval == pytest.approx((part, part))
    assert (found.clips, found.clusters) == (48, 12)


def test_a_move_at_right_angles_to_the_shift_counts_for_nothing():
    plain, moved = cues(), np.zeros((12, 4, 5))
    plain[..., 4] = 0
    moved[..., 4] = 3.0
    assert share(plain, plain + moved, TAKEN).estimate == pytest.approx(0)


def test_drawing_clips_anew_without_their_words_has_no_share():
    """By a clip's own shift to its donor, chance alone would go half the way."""
    found, naive = [], []
    for seed in range(100):
        plain, anew = cues(noise=2.0, seed=seed), cues(noise=2.0, seed=1000 + seed)
        own, moved = taking(plain) - plain, anew - plain
        found.append(share(plain, anew, TAKEN).estimate)
        naive.append((moved * own).sum() / (own**2).sum())
    assert abs(np.mean(found)) < 0.03
    assert np.mean(naive) > 0.25


def test_the_test_of_no_effect_keeps_its_level():
    at_most = [share(cues(0.5, 1, seed), cues(0.5, 1, 1000 + seed), TAKEN).p <= 0.05 for seed in range(100)]
    assert np.mean(at_most) <= 0.1


def test_words_that_do_nothing_are_measured_by_what_they_do_elsewhere():
    plain, elsewhere = cues(signal=0.0), cues()
    assert share(plain, plain, TAKEN, elsewhere).estimate == 0
    part = share(plain, plain + 0.2 * (taking(elsewhere) - elsewhere), TAKEN, elsewhere)
    assert part.estimate == pytest.approx(0.2)
    with pytest.raises(InterpError, match="no shift to share"):
        share(plain, plain, TAKEN)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda p, t: (p, p[:, :, :3], t), "must be"),
        (lambda p, t: (p[0], p[0], t), "must be"),
        (lambda p, t: (p * np.nan, p, t), "NaN"),
        (lambda p, t: (p, p, t * 0), "every condition must give"),
        (lambda p, t: (p[:2], p[:2], t[:2]), "three sets"),
    ],
)
def test_cues_that_do_not_go_together_are_refused(change, said):
    with pytest.raises(InterpError, match=said):
        share(*change(cues(), TAKEN))


# --- the agreement ---


def test_words_that_all_do_the_same_agree_wholly():
    plain = cues()
    found = agreement(plain, taking(plain), TAKEN, half=2, bounds=BOUNDS, draws=200)
    donors_only = np.zeros((12, 4, 5)) + np.random.default_rng(1).standard_normal((4, 5))
    moved = np.take_along_axis(donors_only, TAKEN[..., None], axis=1)
    same = agreement(plain, plain + moved, TAKEN, half=2, bounds=BOUNDS, draws=200)
    assert same.estimate == pytest.approx(1) and same.interval == pytest.approx((1, 1)) and same.p == 1
    assert 0.3 < found.estimate < 1  # what a word does also depends on which clip takes it


def test_what_any_exchange_does_is_no_agreement():
    """The same damage to the cues, whatever the word: without it nothing but chance is left."""
    damage = np.array([3.0, -2.0, 1.0, 0.0, 5.0])
    estimates = []
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((12, 4, 5))
        with_damage = agreement(cues(), cues() + noise + damage, TAKEN, 2, BOUNDS, draws=500)
        without = agreement(cues(), cues() + noise, TAKEN, 2, BOUNDS, draws=500)
        assert with_damage.estimate == pytest.approx(without.estimate)
        estimates.append(without.estimate)
    assert abs(np.mean(estimates)) < 0.05


def test_small_halves_leave_less_to_chance():
    spread = {}
    for half in (2, 5):
        drawn = [
            agreement(
                cues(),
                cues() + np.random.default_rng(s).standard_normal((12, 4, 5)),
                TAKEN,
                half,
                BOUNDS,
                draws=500,
            )
            for s in range(30)
        ]
        spread[half] = np.std([d.estimate for d in drawn])
    assert spread[2] < 0.6 * spread[5]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (dict(half=6), "more need 13 sets, not 12"),
        (dict(half=0), "words in a half"),
        (dict(half=2, fewer=2), "three of them"),
        (dict(half=2, moved=0.0), "no correlation"),
    ],
)
def test_halves_that_cannot_be_are_refused(arguments, said):
    plain = cues()[..., : arguments.pop("fewer", 5)]
    moved = arguments.pop("moved", 1.0)
    with pytest.raises(InterpError, match=said):
        agreement(plain, plain + moved * (taking(plain) - plain), TAKEN, bounds=BOUNDS, **arguments)
