"""Does a word cause the cues?  Clips made again with what another word's clip has inside a subspace.

The clips come in **sets**: one clip for each condition (emotion), each of a word of its own, all drawn from
one random stream.  So within a set nothing but the word differs, no word is in two sets, and sets are what
intervals and tests count.  In each set every clip takes the component of each of the others in turn
(:func:`pairs_within`), step by step while it is generated (:func:`exchange`).  What that does to the measured
cues is put beside what the other word itself does (:func:`share`), and beside what other words of the same
condition do (:func:`agreement`).  Both are 0 where an exchange changes the cues by chance alone.

Source of the exchange: Geiger et al. (2021, arXiv:2106.02997).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import codec
from ..activations import capture
from ..errors import InterpError, check_whole
from ..generation import Generation
from ..hooks import Pass, hook
from ..results.claims import Measure
from ..sampling import sample_tokens
from ..stats import equivalence, leave_one_out
from ..stats.permutation import sign_flip
from .subspace import Subspace

if TYPE_CHECKING:
    from ..model import Model


def pairs_within(sets: int, conditions: int) -> tuple[np.ndarray, np.ndarray]:
    """Every clip with each of the others of its set: the clips that take, and those that give, [pair].

    Clips are counted set by set; so are pairs, and within a set by who takes, then by who gives.
    """
    check_whole(sets, "The number of sets", 1)
    check_whole(conditions, "The number of conditions", 2)
    at, takes, gives = np.nonzero(np.broadcast_to(~np.eye(conditions, dtype=bool), (sets, *[conditions] * 2)))
    return at * conditions + takes, at * conditions + gives


def crossed(plain: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Cues of the pairs of :func:`pairs_within` as [set, who takes, who gives, cue].

    Parameters
    ----------
    plain : np.ndarray
        [set, condition, cue]: before the exchange. A clip that takes from itself stays as it is.
    values : np.ndarray
        [pair, cue].
    """
    table = np.repeat(np.asarray(plain, float)[:, :, None], np.shape(plain)[1], axis=2)
    others = ~np.eye(table.shape[1], dtype=bool)
    pairs = (len(table) * int(others.sum()), table.shape[-1])
    if np.shape(values) != pairs:
        raise InterpError(f"The pairs of these sets have cues {list(pairs)}, not {list(np.shape(values))}.")
    table[:, others] = np.reshape(values, (len(table), -1, table.shape[-1]))
    return table


def exchange(
    model: Model,
    clips: Generation,
    takers: Sequence[int],
    donors: Sequence[int],
    subspaces: Sequence[Subspace],
    progress: bool = False,
) -> Generation:
    """Generate clips again, each with the component inside a subspace taken from another.

    At every step, in the conditional rows, the state of clip ``takers[i]`` takes the component inside
    ``subspaces[i]`` that clip ``donors[i]`` had at that step when it was made. The random draws stay those of
    the clip that takes.

    Parameters
    ----------
    clips : Generation
        Made by the same model, in one window.
    takers, donors : sequence of int
        [pair], as of :func:`pairs_within`; a clip that takes from itself stays as it is.
    subspaces : sequence of Subspace
        [pair], all of one rank and site. Not one for all, since words should not be tested inside a subspace
        that they made.

    Returns
    -------
    Generation
        Of the pairs.

    Raises
    ------
    InterpError
        For encoded audio; for a clip that there is not, lists of different lengths, and subspaces of several
        ranks or sites, or of another width than the model's.
    """
    takers, donors = _checked_pairs(clips, takers, donors)
    site, bases = _stacked(subspaces, len(takers))
    states = _states(model, clips, site, bases, progress)

    def shift(x: torch.Tensor, steps: slice, members: list[int]) -> torch.Tensor:
        gap = (states[donors[members], steps].to(x) - x).float()
        return _inside(bases[members].to(gap), gap)

    return _shifted(model, clips[takers.tolist()], site, shift, progress)


def random_exchange(
    model: Model,
    clips: Generation,
    takers: Sequence[int],
    donors: Sequence[int],
    subspaces: Sequence[Subspace],
    seed: int = 0,
    progress: bool = False,
) -> Generation:
    """The control of :func:`exchange`: shifts as large, in random directions, that know nothing of who gives.

    Each pair has a random subspace of the same rank. In it, its clip takes what lies between the two clips of
    *another* pair, dealt at random, as long at every step as the exchange of that pair inside its own
    subspace. With the pair's own clips the control would keep some of the emotion: any subspace holds a share
    of the gap between two emotions, in the right direction, and emotions differ in how large their gaps are.

    Parameters
    ----------
    takers, donors, subspaces : as for :func:`exchange`, which this stands beside.
    """
    takers, donors = _checked_pairs(clips, takers, donors)
    site, bases = _stacked(subspaces, len(takers))
    states = _states(model, clips, site, bases, progress)
    rank, width = bases.shape[1:]
    drawn = _stacked(
        [Subspace.random(rank, width, site, seed=seed + pair) for pair in range(len(takers))], len(takers)
    )[1]
    dealt = np.random.default_rng(seed).permutation(len(takers))

    def shift(x: torch.Tensor, steps: slice, members: list[int]) -> torch.Tensor:
        of = dealt[members]
        gap = (states[donors[of], steps] - states[takers[of], steps]).to(x).float()
        inside = _inside(drawn[members].to(gap), gap)
        wanted = _inside(bases[of].to(gap), gap).norm(dim=-1, keepdim=True)
        return inside * (wanted / inside.norm(dim=-1, keepdim=True).clamp(min=1e-12))

    return _shifted(model, clips[takers.tolist()], site, shift, progress)


def share(plain: np.ndarray, exchanged: np.ndarray, reference: np.ndarray | None = None) -> Measure:
    """How far cues move along the shift that the other word itself makes, as a share of it.

    The shift from a clip's own cues to its donor's is of no use as the yardstick: it starts from the very
    clip that was changed, so the chance in its cues would count on both sides, and any change at random would
    seem to go half the way. The yardstick is the mean shift between the two conditions, for each set that of
    the other sets: the sum over pairs of move · shift, divided by the sum of |shift|².

    Whatever merely undoes a clip's own word moves its cues to the mean of all, which is half the way to the
    others and counts here. So a share speaks of the *other* word only beside that of a random subspace.

    Parameters
    ----------
    plain : np.ndarray
        [set, condition, cue], in units that can be summed over cues, such as standard deviations.
    exchanged : np.ndarray
        [set, who takes, who gives, cue], of :func:`crossed`.
    reference : np.ndarray, optional
        [set, condition, cue]: clips that the yardstick is taken from instead, such as those of another model
        for one in which the words do nothing, and which has no yardstick of its own.

    Returns
    -------
    Measure
        Interval over sets, left out one at a time; p of no effect against a positive one, the signs of sets
        flipped. Chance makes the mean shift in the denominator longer, never shorter: the share is rather too
        small than too large.

    Raises
    ------
    InterpError
        For arrays that do not go together, fewer than three sets, or conditions that do not differ.
    """
    moved = _moved(plain, exchanged)
    (yardstick,) = _finite(plain if reference is None else reference)
    if yardstick.shape != moved[:, :, 0].shape:
        raise InterpError(
            f"The reference {list(yardstick.shape)} is not of the same sets, conditions and cues."
        )

    def along(kept: np.ndarray) -> tuple[np.ndarray, float]:
        """Move times shift of each of these sets, and the square of the shift, summed over them."""
        others = (yardstick[kept].sum(0) - yardstick[kept]) / (len(kept) - 1)
        whole = _shifts(yardstick[kept].mean(0))
        return (moved[kept] * _shifts(others)).sum((1, 2, 3)), len(kept) * float((whole**2).sum())

    every = np.arange(len(moved))
    products, length = along(every)
    if not length > 0:
        raise InterpError("The words of different conditions give the same cues; there is no shift to share.")
    parts = [along(np.delete(every, left)) for left in every]
    found = leave_one_out(products.sum() / length, np.array([n.sum() / d for n, d in parts]))
    p = sign_flip(products, every, "greater").p
    return Measure(found.estimate, (found.low, found.high), p, _pairs(moved), len(every))


def agreement(
    plain: np.ndarray,
    exchanged: np.ndarray,
    half: int,
    bounds: tuple[float, float],
    draws: int = 10_000,
    seed: int = 0,
) -> Measure:
    """Do other words of a condition do the same?  Correlation over cues, mean over conditions.

    The effect of a word is the mean change of the clips that took from it, less the mean change in its set:
    what any exchange does is not the word's. Effects of ``half`` words of a condition are averaged and
    correlated, over cues, with those of as many others; mean over many draws of two such halves.

    With a few cues the correlation of two *large* halves stays as uncertain as that of two small ones where
    words have no effect: noise has some direction, and there is one pair of halves only. Small halves come in
    many pairs, over which chance averages out; what they cost is that real effects agree less.

    Parameters
    ----------
    plain, exchanged : as for :func:`share`.
    half : int
        Words in a half; two of them, and one word more, must be there.
    bounds : tuple of float
        Of equivalence: p is that of the test against a correlation beyond them.

    Returns
    -------
    Measure
        Interval over sets, left out one at a time, as the mean of the draws in which a set is not.

    Raises
    ------
    InterpError
        For arrays that do not go together, too few sets for the halves, fewer than three cues, or effects
        that are the same for all cues, such as none.
    """
    moved = _moved(plain, exchanged)
    sets, conditions, _, cues = moved.shape
    check_whole(half, "The number of words in a half", 1)
    if sets < 2 * half + 1:
        raise InterpError(
            f"Two halves of {half} words and one word more need {2 * half + 1} sets, not {sets}."
        )
    if cues < 3:
        raise InterpError(f"A correlation over cues needs three of them or more, not {cues}.")
    effects = moved.sum(1) / (conditions - 1)  # of who gives; a clip that takes from itself has not moved
    effects -= effects.mean(1, keepdims=True)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(sets), (draws, 1)), axis=1)
    first, second = (effects[order[:, at : at + half]].mean(1) for at in (0, half))
    r = _correlations(first, second).mean(1)
    absent = np.ones((draws, sets), bool)
    np.put_along_axis(absent, order[:, : 2 * half], False, axis=1)
    found = leave_one_out(r.mean(), r @ absent / absent.sum(0))
    p = equivalence(found, bounds)
    return Measure(found.estimate, (found.low, found.high), p, _pairs(moved), sets)


def _checked_pairs(
    clips: Generation, takers: Sequence[int], donors: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    if not clips.drawn:
        raise InterpError("Encoded audio cannot be generated again, so nothing can be exchanged in it.")
    pairs = np.asarray(takers), np.asarray(donors)
    if pairs[0].shape != pairs[1].shape or not np.isin(np.concatenate(pairs), np.arange(len(clips))).all():
        raise InterpError(
            f"Each pair needs one clip that takes and one that gives, of the {len(clips)} clips."
        )
    return pairs


def _states(model: Model, clips: Generation, site: str, bases: torch.Tensor, progress: bool) -> torch.Tensor:
    """What the clips had at a site when they were made, [clip, step, width]."""
    states = capture(model, clips, sites=[site], steps="all", progress=progress)[site]
    if bases.shape[-1] != states.shape[-1]:
        raise InterpError(f"The subspaces have width {bases.shape[-1]}, and {site} {states.shape[-1]}.")
    return states


def _shifted(
    model: Model,
    clips: Generation,
    site: str,
    shift: Callable[[torch.Tensor, slice, list[int]], torch.Tensor],
    progress: bool,
) -> Generation:
    """The clips generated again, with a shift of their state at every step."""

    def edit(x: torch.Tensor, layout: Pass, group: str) -> torch.Tensor:
        begin = layout.first_frame + layout.start
        return x + shift(x, slice(begin, begin + layout.length), list(layout.members)).to(x)

    with torch.no_grad(), hook(model, {site: edit}):
        tokens = sample_tokens(model, clips, progress)
        audio = codec.decode_in_batches(model, tokens, clips.batch_size)
    return replace(clips, tokens=tokens, audio=audio)


def _stacked(subspaces: Sequence[Subspace], pairs: int) -> tuple[str, torch.Tensor]:
    """Their site, and their bases as [pair, rank, width]."""
    if len(subspaces) != pairs:
        raise InterpError(f"{len(subspaces)} subspaces for {pairs} pairs; give one for each.")
    kinds = {(subspace.site, tuple(subspace.basis.shape)) for subspace in subspaces}
    if len(kinds) != 1:
        raise InterpError(f"The subspaces must have one site, rank and width, not {sorted(kinds)}.")
    return subspaces[0].site, torch.stack([subspace.basis for subspace in subspaces])


def _inside(bases: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The part of x [pair, step, width] inside each pair's own subspace."""
    return x @ bases.mT @ bases


def _shifts(cues: np.ndarray) -> np.ndarray:
    """From cues [..., condition, cue] to those of who gives minus those of who takes."""
    return cues[..., None, :, :] - cues[..., :, None, :]


def _finite(*cues: np.ndarray) -> list[np.ndarray]:
    arrays = [np.asarray(x, float) for x in cues]
    if not all(np.isfinite(x).all() for x in arrays):
        raise InterpError("Cues that could not be measured (NaN) must be filled in first.")
    return arrays


def _moved(plain: np.ndarray, exchanged: np.ndarray) -> np.ndarray:
    """Change of cues by the exchange, [set, who takes, who gives, cue]."""
    plain, exchanged = _finite(plain, exchanged)
    if plain.ndim != 3 or exchanged.shape != (*plain.shape[:2], *plain.shape[1:]):
        raise InterpError(
            f"Cues {list(plain.shape)} and, after, {list(exchanged.shape)} must be [set, condition, cue] "
            "and [set, who takes, who gives, cue], of the same sets."
        )
    if len(plain) < 3:
        raise InterpError(f"There must be three sets of words or more, not {len(plain)}.")
    return exchanged - plain[:, :, None]


def _pairs(moved: np.ndarray) -> int:
    """Number of clips that took from another."""
    return len(moved) * moved.shape[1] * (moved.shape[1] - 1)


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation over the last axis."""
    x, y = (z - z.mean(-1, keepdims=True) for z in (x, y))
    norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    if not (norms > 0).all():
        raise InterpError("Effects that are the same for all cues, such as none, have no correlation.")
    return (x * y).sum(-1) / norms
