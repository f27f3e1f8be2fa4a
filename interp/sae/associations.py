"""Which features answer to which labels.

A **contrast** puts some clips against others: each class of a label against all its other classes, or the
upper half of a number's levels against the lower half (the middle one of an odd count is left out).  How well
a feature tells the two sides apart is its AUROC: the probability that a clip of the first side has more of it
than a clip of the second, ties counting half (Hanley & McNeil 1982).  It does not depend on how frequent a
class is, so that all contrasts share one scale, from 0 over 0.5 (nothing) to 1.

**Test.**  The covariance of ranks and sides over its standard error, against Student's t with as many degrees
of freedom as there are groups (songs, prompts), less one.  The error is the larger of two.  The first is that
of ranks and sides that have nothing to do with each other, each alike within groups (for single clips the
error of the rank-sum test); where a feature and a class are both rare, it finds p = 1e-8 for two clips that
share them.  The second is the root of the sum of squares of what each group adds to the covariance, which
lets k groups reach about sqrt(k); it is fooled in turn by what is absent from a rare class.
Benjamini-Hochberg runs over all features and contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata, t

from ..errors import InterpError, unknown
from ..stats import benjamini_hochberg, codes

Labels = Mapping[str, Sequence]
"""From a label to its value in each clip: text for classes, numbers for levels; None or NaN where unknown."""


class Contrast(NamedTuple):
    """Two sides of a label: 1 and 0 per clip, NaN for clips on neither side."""

    label: str
    value: str
    """The class; "high" for a number."""
    side: np.ndarray

    def name(self, above: bool = True) -> str:
        """What more of a feature means: "timbre flute", "not timbre flute", "high tempo", "low tempo"."""
        if self.value == "high":
            return f"{'high' if above else 'low'} {self.label}"
        return f"{'' if above else 'not '}{self.label} {self.value}"


def contrasts(labels: Labels) -> list[Contrast]:
    """The contrasts of all labels, in order.

    Raises
    ------
    InterpError
        If lengths differ, texts and numbers are mixed, or a label has fewer than two values.
    """
    made, lengths = [], {len(values) for values in labels.values()}
    if len(lengths) != 1:
        raise InterpError("Labels must be one or more, with a value for each clip; these have other lengths.")
    for label, values in labels.items():
        known = np.array([value is not None and value == value for value in values])  # NaN is not itself
        present = [value for value, here in zip(values, known, strict=True) if here]
        texts = {isinstance(value, str) for value in present}
        if len(texts) > 1 or len(set(present)) < 2:
            raise InterpError(
                f"{label} must have two values or more, all texts (classes) or all numbers (levels); "
                f"it has {', '.join(map(repr, list(dict.fromkeys(present))[:4])) or 'none'}."
            )
        levels, level = np.unique(np.array(present), return_inverse=True)
        if texts == {True}:
            sides = {value: np.where(level == k, 1.0, 0.0) for k, value in enumerate(levels.tolist())}
        else:
            place = np.sign(level - (len(levels) - 1) / 2)  # below, in or above the middle of the levels
            sides = {"high": np.where(place == 0, np.nan, (place + 1) / 2)}
        for value, of_present in sides.items():
            side = np.full(len(values), np.nan)
            side[known] = of_present
            made.append(Contrast(label, value, side))
    return made


@dataclass(frozen=True)
class Associations:
    """Of every feature with every contrast: [feature, contrast] each.

    Attributes
    ----------
    contrasts : list of Contrast
    auroc : np.ndarray
        0.5 for a feature that never varies.
    p : np.ndarray
        Two-sided, over groups.
    q : np.ndarray
        p adjusted over all features and contrasts: those below 0.05 have a false discovery rate of 5 %.
    """

    contrasts: list[Contrast]
    auroc: np.ndarray
    p: np.ndarray
    q: np.ndarray

    @property
    def strength(self) -> np.ndarray:
        """|2 AUROC - 1|, from 0 for nothing to 1 for two sides told apart without a mistake."""
        return np.abs(2 * self.auroc - 1)

    def of(self, label: str) -> np.ndarray:
        """Which contrasts are of a label, as a mask [contrast]."""
        if label not in {c.label for c in self.contrasts}:
            raise unknown("label", label, dict.fromkeys(c.label for c in self.contrasts))
        return np.array([c.label == label for c in self.contrasts])

    def name(self, feature: int, contrast: int) -> str:
        """What more of a feature means in this contrast."""
        return self.contrasts[contrast].name(bool(self.auroc[feature, contrast] >= 0.5))


def associations(values: np.ndarray, labels: Labels | Sequence[Contrast], groups: Sequence) -> Associations:
    """Associations of features with labels.

    Parameters
    ----------
    values : np.ndarray
        [clip, feature], such as ``activity.mean``.
    labels : dict, or list of Contrast
    groups : sequence
        [clip], the group of each clip.

    Raises
    ------
    InterpError
        If lengths differ, a value is not finite, or a side of a contrast has fewer than two groups.

    Notes
    -----
    Sources: Hanley & McNeil (1982) for the AUROC; Rosner, Glynn & Lee (2003) for rank sums over clusters;
    Liang & Zeger (1986) for the second error; Benjamini & Hochberg (1995).
    """
    values, group, made = checked(values, labels, groups)
    auroc = np.full((values.shape[1], len(made)), 0.5)
    p = np.ones_like(auroc)
    for known, columns in alike(made):
        side = np.stack([made[c].side[known] for c in columns], axis=1)  # [clip, contrast]
        rank = rankdata(values[known], axis=0) - (known.sum() + 1) / 2
        ones, zeros = side.sum(0), (1 - side).sum(0)
        auroc[:, columns] = 0.5 + rank.T @ side / (ones * zeros)
        centred, member = side - side.mean(0), codes(group[known])
        error = np.sqrt(np.maximum(_unrelated(rank, centred, member), _by_group(rank, centred, member)))
        covariance = np.abs(rank.T @ centred)
        ratio = np.divide(covariance, error, out=np.zeros_like(error), where=error > 1e-9)
        p[:, columns] = 2 * t.sf(ratio, member.max())
    return Associations(made, auroc, p, benjamini_hochberg(p.ravel()).reshape(p.shape))


def _unrelated(rank: np.ndarray, side: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Variance [feature, contrast] of the covariance of what has nothing to do with each other.

    Both have a variance, and a covariance between two clips of a group; over all pairs of clips the products
    of these add up.
    """
    clips, pairs = len(member), float((np.bincount(member) ** 2).sum() - len(member))
    squares = [(x**2).sum(0) for x in (rank, side)]
    variance = np.outer(*squares) / (clips - 1)
    if not pairs:
        return variance
    within = [
        (sums_of_groups(x, member) ** 2).sum(0) - square
        for x, square in zip((rank, side), squares, strict=True)
    ]
    return variance + np.outer(*within) / pairs


def _by_group(rank: np.ndarray, side: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Sum of squares [feature, contrast] of what each group adds to the covariance."""
    if member.max() + 1 == len(member):
        return (rank**2).T @ side**2
    return np.stack([(sums_of_groups(rank * z[:, None], member) ** 2).sum(0) for z in side.T], axis=1)


def sums_of_groups(x: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Sums of x [clip, ...] over the clips of each group: [group, ...]."""
    order = np.argsort(member, kind="stable")
    return np.add.reduceat(x[order], np.flatnonzero(np.diff(member[order], prepend=-1)), axis=0)


def alike(made: Sequence[Contrast]) -> list[tuple[np.ndarray, list[int]]]:
    """Contrasts between the same clips, which share their ranks: the clips as a mask, and which they are."""
    found: dict[bytes, tuple[np.ndarray, list[int]]] = {}
    for c, contrast in enumerate(made):
        known = ~np.isnan(contrast.side)
        found.setdefault(known.tobytes(), (known, []))[1].append(c)
    return list(found.values())


def checked(values: np.ndarray, labels: Labels | Sequence[Contrast], groups: Sequence) -> tuple:
    values, group = np.asarray(values, float), codes(groups)
    made = contrasts(labels) if isinstance(labels, Mapping) else list(labels)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InterpError("Features must be an array [clip, feature] of finite numbers (not NaN).")
    if len(group) != len(values) or any(len(c.side) != len(values) for c in made):
        raise InterpError(
            f"{len(values)} clips, {len(group)} groups and labels of {len(made[0].side)} clips do not belong "
            "together; give each clip one group and one value of each label."
        )
    for c in made:
        for side in (1, 0):
            if len(set(group[c.side == side])) < 2:
                raise InterpError(
                    f"{c.name()}: one side of this contrast has clips of fewer than two groups; leave the "
                    "value or the label out (None where a value is too rare), or give more clips."
                )
    return values, group, made
