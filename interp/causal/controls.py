"""An effect of an intervention, with what interventions just as large but meaningless do beside it.

Whatever is pushed hard enough does something, so an effect counts for what it has beyond its controls:

- **random-directions**: interchange inside a random subspace of the same rank, the shift made as large as
  that of the real intervention. Every pair has subspaces of its own, so the interval over pieces holds the
  chance of the draw as well.
- **shuffled-labels**: interchange inside a subspace that was found as the named one was, from labels dealt
  anew (Hewitt & Liang 2019).

Neither comes out at exactly 0.  Interchange moves a vector towards its source, so in d dimensions (of those
that the vectors use, for shuffled labels) a meaningless subspace of rank r still carries about r / d of the
change, and with the shift of a random one made as large, about the square root of that.  The third control, a
random twin, is a model: measure the same effect on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InterpError, check_whole
from ..results.claims import Measure
from ..stats import Interval, codes, jackknife, mean, totals
from ..stats.permutation import relabellings, sign_flip
from .subspace import Subspace

CONTROLS = ("random-directions", "shuffled-labels")  # as phases/hypotheses.yaml names them

Act = Callable[[np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Effect:
    """Mean of what an intervention does to each pair of inputs.

    Attributes
    ----------
    values : np.ndarray
        [pair], in the unit of the readout.
    pieces : np.ndarray
        [pair]: the clusters.
    interval : Interval
        95 %, over pieces.
    p : float
        The signs of whole pieces flipped, :func:`interp.stats.permutation.sign_flip`.
    controls : dict
        From a name of :data:`CONTROLS` to the effect of that control.
    """

    values: np.ndarray = field(repr=False)
    pieces: np.ndarray = field(repr=False)
    interval: Interval
    p: float
    controls: Mapping[str, Effect] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        pieces: Sequence,
        alternative: str = "two-sided",
        controls: Mapping[str, np.ndarray] | None = None,
    ) -> Effect:
        """The effect of values [pair], and of each control's values [pair]."""
        beside = {name: cls.of(other, pieces, alternative) for name, other in (controls or {}).items()}
        values, pieces = np.asarray(values, float), np.asarray(pieces)
        p = sign_flip(values, pieces, alternative).p
        return cls(values, pieces, mean(values, pieces), p, beside)

    @property
    def estimate(self) -> float:
        """Mean over pairs."""
        return self.interval.estimate

    def share_of(self, whole: Effect) -> Interval:
        """This effect divided by another on the same pairs, such as the total; interval over pieces."""
        if not np.array_equal(self.pieces, whole.pieces):
            raise InterpError("A share needs both effects on the same pairs.")
        sums = totals(self.pieces, self.values, whole.values)
        return jackknife(sums, lambda s: s[..., 0] / s[..., 1])

    def measure(self) -> Measure:
        """As a claim takes it; raises :class:`InterpError` if a control is missing."""
        if missing := [name for name in CONTROLS if name not in self.controls]:
            raise InterpError(
                f"No claim can be made of an effect without its controls; {', '.join(missing)} is missing."
            )
        return self._measure()

    def measures(self, name: str) -> dict[str, Measure]:
        """Of this effect, under ``name``, and its controls under theirs; for :func:`interp.results.claim`."""
        return {name: self.measure()} | {key: other._measure() for key, other in self.controls.items()}

    def _measure(self) -> Measure:
        pieces = int(codes(self.pieces).max()) + 1
        return Measure(
            self.estimate, (self.interval.low, self.interval.high), self.p, len(self.values), pieces
        )


def controlled(
    act: Act,
    change: np.ndarray,
    subspace: Subspace,
    pieces: Sequence,
    *,
    shuffled: Sequence[Subspace] = (),
    draws: int = 2,
    alternative: str = "two-sided",
    seed: int = 0,
) -> dict[str, Effect]:
    """Effects of a shift inside a subspace, with their controls.

    Parameters
    ----------
    act : callable
        From shifts [pair, width] to what they do: a dict from a name to values [pair].
    change : np.ndarray
        [pair, width]: source minus base at the subspace's site. The part inside the subspace is the shift.
    pieces : sequence
        [pair].
    shuffled : sequence of Subspace
        From :func:`shuffled_subspaces`, of the same rank. Without any, that control is missing.
    draws : int
        Passes for each control; a pair has another random subspace, or another of ``shuffled``, in each.
    alternative : "greater", "less" or "two-sided": side of p.

    Returns
    -------
    dict
        As ``act`` names them.
    """
    check_whole(draws, "The number of draws", 1)
    for other in shuffled:
        if (other.rank, other.width, other.site) != (subspace.rank, subspace.width, subspace.site):
            raise InterpError(
                f"A control of subspace {subspace.name!r} must have its rank {subspace.rank} and site "
                f"{subspace.site}, not {other.rank} and {other.site}."
            )
    shift, rng = subspace.project(change), np.random.default_rng(seed)
    random = (_random_shift(change, subspace.rank, rng) for _ in range(draws))
    passes = {CONTROLS[0]: [as_large(other, shift) for other in random]}
    if shuffled:
        inside = np.stack([other.project(change) for other in shuffled])  # [subspace, pair, width]
        pair = np.arange(len(change))
        passes[CONTROLS[1]] = [inside[(pair + k) % len(inside), pair] for k in range(draws)]
    found = act(shift)
    beside = {name: [act(other) for other in each] for name, each in passes.items()}
    return {
        key: Effect.of(
            values,
            pieces,
            alternative,
            {name: np.mean([done[key] for done in each], axis=0) for name, each in beside.items()},
        )
        for key, values in found.items()
    }


def shuffled_subspaces(
    find: Callable[[np.ndarray], Subspace], labels: Sequence, groups: Sequence, count: int = 10, seed: int = 0
) -> list[Subspace]:
    """Subspaces found from labels dealt anew over groups (:func:`interp.stats.permutation.relabellings`).

    Parameters
    ----------
    find : callable
        From labels [clip] to a subspace, such as
        ``lambda dealt: Subspace.from_label(vectors, dealt, groups, site, "energy")``.
    """
    label = np.asarray(labels)
    dealt = label[relabellings(label, groups, max(count, 100), seed)[0]]
    dealt = dealt[(dealt != label).any(axis=1)]  # if all dealings are taken, the labels as they are go out
    chosen = np.random.default_rng(seed).permutation(len(dealt))[:count]
    if len(chosen) < count:
        raise InterpError(f"There are {len(dealt)} other dealings of these labels; ask for no more.")
    return [find(row) for row in dealt[chosen]]


def as_large(shift: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Shifts [pair, width] made as long as those of ``like``; a shift of length 0 stays so."""
    norm = np.linalg.norm(shift, axis=1, keepdims=True)
    wanted = np.linalg.norm(like, axis=1, keepdims=True)
    return shift * np.divide(wanted, norm, out=np.zeros_like(norm), where=norm > 0)


def _random_shift(change: np.ndarray, rank: int, rng: np.random.Generator) -> np.ndarray:
    """The part of each change [pair, width] that lies in a random subspace of its own."""
    drawn = rng.standard_normal((*change.shape, rank))
    basis = np.linalg.qr(drawn)[0]  # [pair, width, rank]
    return np.einsum("pwr,pvr,pv->pw", basis, basis, change, optimize=True)
