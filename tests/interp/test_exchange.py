"""Components of words exchanged while clips are made: what changes, what it counts for, what chance makes."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

import interp
from interp.causal.exchange import agreement, crossed, exchange, pairs_within, random_exchange, share
from interp.causal.subspace import Subspace
from interp.errors import InterpError
from interp.hooks import Pass

PROMPTS = ["happy pop music", "sad piano ballad", "energetic pop music", "calm piano music"]
STREAMS = [0, 0, 1, 1]
BOUNDS = (-0.3, 0.3)
OWN = [0, 1, 2, 3]


@pytest.fixture(scope="module")
def clips(model):
    return model.generate(PROMPTS, seconds=0.4, seed=3, streams=STREAMS, batch_size=2, progress=False)


def whole(model, site):
    return Subspace.from_directions(np.eye(model.d_model), site, "everything")


def line(model, site, seed=0):
    return Subspace.random(1, model.d_model, site, seed=seed)


# --- who takes from whom ---


def test_every_clip_takes_once_from_each_of_the_others_of_its_set():
    takers, donors = pairs_within(2, 3)
    assert takers.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert donors.tolist() == [1, 2, 0, 2, 0, 1, 4, 5, 3, 5, 3, 4]


def test_values_of_pairs_go_to_who_takes_and_who_gives():
    takers, donors = pairs_within(2, 3)
    plain = -np.arange(6.0).reshape(2, 3, 1)
    table = crossed(plain, (10 * takers + donors)[:, None])
    assert table.shape == (2, 3, 3, 1)
    assert table[1, :, :, 0].tolist() == [[-3, 34, 35], [43, -4, 45], [53, 54, -5]]
    with pytest.raises(InterpError, match=r"have cues \[12, 1\], not \[11, 1\]"):
        crossed(plain, np.zeros((11, 1)))


@pytest.mark.parametrize("sets, conditions", [(0, 4), (6, 1)])
def test_an_exchange_needs_two_conditions_in_a_set(sets, conditions):
    with pytest.raises(InterpError, match="The number of"):
        pairs_within(sets, conditions)


# --- the exchange ---


def test_a_clip_that_is_its_own_donor_stays_as_it_is(model, clips):
    same = exchange(model, clips, OWN, OWN, [whole(model, "resid.1")] * 4)
    assert torch.equal(same.tokens, clips.tokens)
    torch.testing.assert_close(same.audio, clips.audio)
    assert not same.audio.requires_grad


def test_the_whole_conditional_stream_after_the_last_block_makes_the_donor_s_clip(model, clips):
    """Of one random stream; without guidance nothing else decides a token."""
    alone = model.generate(PROMPTS, seconds=0.4, seed=3, streams=STREAMS, cfg_coef=1.0, progress=False)
    donors = [1, 0, 3, 2]
    made = exchange(model, alone, OWN, donors, [whole(model, f"resid.{model.n_layers - 1}")] * 4)
    assert torch.equal(made.tokens, alone.tokens[donors])
    assert not torch.equal(alone.tokens, alone.tokens[donors])


@pytest.fixture
def edited(model, clips, monkeypatch):
    """States at resid.1 as the clips had them, and a function: as an exchange would leave these."""
    own, edits = interp.capture(model, clips, sites=["resid.1"], steps="all")["resid.1"], {}

    def edit(*arguments, of=exchange):
        with monkeypatch.context() as patched:
            patched.setattr(
                "interp.causal.exchange.hook", lambda model, given: edits.update(given) or nullcontext()
            )
            of(model, clips, OWN, *arguments)
        whole_run = Pass(len(clips), (("cond", "null"),), length=own.shape[1])
        return edits["resid.1"](own, whole_run, "cond")

    return own, edit


def test_inside_is_the_donor_s_step_by_step_and_outside_one_s_own(model, edited):
    own, edit = edited
    donors, subspaces = [1, 0, 3, 2], [line(model, "resid.1", seed) for seed in range(4)]
    new = edit(donors, subspaces)
    for i, subspace in enumerate(subspaces):
        torch.testing.assert_close(new[i], subspace.swap(own[i], own[donors[i]]), atol=1e-5, rtol=1e-4)


def test_random_exchanges_are_as_large_as_the_real_ones_taken_together(model, edited):
    own, edit = edited
    donors, real = [1, 0, 3, 2], [line(model, "resid.1")] * 4
    shift = edit(donors, real, of=random_exchange) - own
    sizes = real[0].project(own[donors] - own).norm(dim=-1)  # [pair, step]; each is dealt once
    torch.testing.assert_close(shift.norm(dim=-1).sort(0).values, sizes.sort(0).values, atol=1e-4, rtol=1e-3)


def test_a_random_exchange_lies_in_one_random_subspace_and_knows_nothing_of_who_gives(model, clips, edited):
    own, edit = edited
    shift = edit([1, 0, 3, 2], [line(model, "resid.1")] * 4, of=random_exchange) - own
    drawn = [Subspace.random(1, model.d_model, "resid.1", seed=pair) for pair in range(4)]
    for i, subspace in enumerate(drawn):
        torch.testing.assert_close(subspace.project(shift[i]), shift[i], atol=1e-5, rtol=1e-3)
    dealt = np.random.default_rng(0).permutation(4)
    of_dealt = (own[[1, 0, 3, 2]] - own)[dealt]
    for i, subspace in enumerate(drawn):  # the direction is that of the gap of another pair
        inside = subspace.project(of_dealt[i])
        assert torch.nn.functional.cosine_similarity(inside, shift[i], dim=-1).min() > 0.99


@pytest.mark.parametrize(
    "donors, subspaces, said",
    [
        ([0, 1, 2], 4 * [("resid.1", 1)], "one that gives"),
        ([0, 1, 2, 4], 4 * [("resid.1", 1)], "one that gives"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)], "3 subspaces for 4 pairs"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)] + [("resid.2", 1)], "one site"),
        ([1, 0, 3, 2], 3 * [("resid.1", 1)] + [("resid.1", 2)], "one site"),
        ([1, 0, 3, 2], 4 * [("resid.9", 1)], "resid.9"),
    ],
)
def test_bad_input_is_named(model, clips, donors, subspaces, said):
    made = [Subspace.random(rank, model.d_model, site) for site, rank in subspaces]
    with pytest.raises(InterpError, match=said):
        exchange(model, clips, OWN, donors, made)


def test_a_subspace_of_another_width_is_refused(model, clips):
    with pytest.raises(InterpError, match="width 8"):
        exchange(model, clips, OWN, [1, 0, 3, 2], [Subspace.random(1, 8, "resid.1")] * 4)


# --- the share ---


def cues(signal=1.0, noise=0.0, seed=0):
    """Cues of 12 sets of four conditions: means of their own, and chance."""
    means = np.random.default_rng(7).standard_normal((4, 5))
    return signal * means + noise * np.random.default_rng(seed).standard_normal((12, 4, 5))


def taking(plain):
    """Every clip with the cues of who gives."""
    return np.repeat(plain[:, None], plain.shape[1], axis=1)


def spread(plain):
    """Every clip as it is, whoever gives."""
    return np.repeat(plain[:, :, None], plain.shape[1], axis=2)


def chance(seed):
    """What is drawn anew in every pair of two clips."""
    drawn = np.random.default_rng(seed).standard_normal((12, 4, 4, 5))
    drawn[:, range(4), range(4)] = 0
    return drawn


@pytest.mark.parametrize("part", [0.0, 0.4, 1.0, -0.5])
def test_the_share_is_how_far_the_cues_go(part):
    plain = cues()
    found = share(plain, spread(plain) + part * (taking(plain) - spread(plain)))
    assert found.estimate == pytest.approx(part) and found.interval == pytest.approx((part, part))
    assert (found.clips, found.clusters) == (144, 12)


def test_a_move_at_right_angles_to_the_shift_counts_for_nothing():
    plain, moved = cues(), np.zeros(5)
    plain[..., 4] = 0
    moved[4] = 3.0
    assert share(plain, spread(plain) + moved).estimate == pytest.approx(0)


def test_to_undo_the_own_word_goes_half_the_way():
    """To the mean of all: why a share means little without that of a random subspace."""
    plain = cues()
    undone = np.broadcast_to(plain.mean(1)[:, None, None], (12, 4, 4, 5))
    assert share(plain, undone).estimate == pytest.approx(0.5)


def test_clips_drawn_anew_with_their_own_words_have_no_share():
    """By a clip's own shift to its donor, chance alone would go a good part of the way."""
    found, naive = [], []
    for seed in range(100):
        plain, anew = cues(noise=2.0, seed=seed), spread(cues()) + 2 * chance(1000 + seed)
        own, moved = taking(plain) - spread(plain), anew - spread(plain)
        found.append(share(plain, anew).estimate)
        naive.append((moved * own).sum() / (own**2).sum())
    assert abs(np.mean(found)) < 0.08
    assert np.mean(naive) > 0.25


def test_the_test_of_no_effect_keeps_its_level():
    p = [share(cues(0.5, 1, s), spread(cues(0.5)) + chance(1000 + s)).p for s in range(100)]
    assert np.mean(np.array(p) <= 0.05) <= 0.1


def test_words_that_do_nothing_are_measured_by_what_they_do_elsewhere():
    plain, elsewhere = cues(signal=0.0), cues()
    assert share(plain, spread(plain), elsewhere).estimate == 0
    part = share(plain, spread(plain) + 0.2 * (taking(elsewhere) - spread(elsewhere)), elsewhere)
    assert part.estimate == pytest.approx(0.2)
    with pytest.raises(InterpError, match="no shift to share"):
        share(plain, spread(plain))
    with pytest.raises(InterpError, match="not of the same sets"):
        share(plain, spread(plain), elsewhere[:5])


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda p, x: (p, x[:, :, :3]), "must be"),
        (lambda p, x: (p[0], x[0]), "must be"),
        (lambda p, x: (p, p), "must be"),
        (lambda p, x: (p * np.nan, x), "NaN"),
        (lambda p, x: (p[:2], x[:2]), "three sets"),
    ],
)
def test_cues_that_do_not_go_together_are_refused(change, said):
    with pytest.raises(InterpError, match=said):
        share(*change(cues(), taking(cues())))


# --- the agreement ---


def test_words_that_all_do_the_same_agree_wholly():
    plain = cues()
    found = agreement(plain, taking(plain), half=2, bounds=BOUNDS, draws=200)
    assert found.estimate == pytest.approx(1) and found.interval == pytest.approx((1, 1)) and found.p == 1
    assert (found.clips, found.clusters) == (144, 12)


def test_what_any_exchange_does_is_no_agreement():
    """The same damage to the cues, whatever the word: without it nothing but chance is left."""
    damage = np.array([3.0, -2.0, 1.0, 0.0, 5.0]) * ~np.eye(4, dtype=bool)[..., None]
    estimates = []
    for seed in range(20):
        anew = spread(cues()) + chance(seed)
        damaged = agreement(cues(), anew + damage, 2, BOUNDS, draws=500)
        intact = agreement(cues(), anew, 2, BOUNDS, draws=500)
        assert damaged.estimate == pytest.approx(intact.estimate)
        estimates.append(intact.estimate)
    assert abs(np.mean(estimates)) < 0.06


def test_small_halves_leave_less_to_chance():
    varies = {
        half: np.std(
            [
                agreement(cues(), spread(cues()) + chance(seed), half, BOUNDS, draws=500).estimate
                for seed in range(30)
            ]
        )
        for half in (2, 5)
    }
    assert varies[2] < 0.6 * varies[5]


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
        agreement(plain, spread(plain) + moved * (taking(plain) - spread(plain)), bounds=BOUNDS, **arguments)
