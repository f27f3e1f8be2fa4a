"""What a readout gains over a baseline that reads the same clips, paired over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InterpError
from ..results.claims import Measure
from ..stats import Interval, jackknife, totals
from ..stats.permutation import sign_flip
from . import Reading
from .scores import score


@dataclass(frozen=True)
class Gain:
    """Score of one readout minus another's on the same clips, or of several on average.

    Attributes
    ----------
    difference : Interval
    p : float
        One-sided, signs of whole groups flipped.
    baseline : str
        Which of the baselines was best.
    """

    difference: Interval
    p: float
    baseline: str
    clips: int
    n_groups: int

    def measure(self) -> Measure:
        """As a claim takes it."""
        d = self.difference
        return Measure(d.estimate, (d.low, d.high), self.p, self.clips, self.n_groups)


def gain(readings: Sequence[Reading], baselines: Mapping[str, Sequence[Reading]]) -> Gain:
    """Mean score of readings (one a target) minus that of the best baseline on the same clips.

    Parameters
    ----------
    readings : list of Reading
        One for each target.
    baselines : dict
        From the name of a baseline to its readings of the same targets, in the same order. The best is the
        one with the highest mean score.

    Raises
    ------
    InterpError
        If a baseline's readings are of other clips, labels or groups.
    """
    if not readings or not baselines:
        raise InterpError("A gain needs at least one reading and one baseline.")
    for name, others in baselines.items():
        same = len(others) == len(readings) and all(
            np.array_equal(a.labels, b.labels) and np.array_equal(a.groups, b.groups)
            for a, b in zip(readings, others, strict=True)
        )
        if not same or any(not np.array_equal(r.groups, readings[0].groups) for r in readings):
            raise InterpError(f"The readings of {name} are of other clips, labels or groups; use the same.")
    best = max(baselines, key=lambda name: np.mean([r.score.estimate for r in baselines[name]]))
    scores = [
        [score(r.labels, r.predicted, r.chance > 0) for r in side] for side in (readings, baselines[best])
    ]
    pairs = list(zip(*scores, strict=True))
    columns, parts = [], []
    for mine, other in pairs:
        for scored in (mine, other):
            parts.append((scored, slice(len(columns), len(columns) + len(scored.columns))))
            columns += scored.columns

    def difference(sums: np.ndarray) -> np.ndarray:
        values = [scored.statistic(sums[..., where]) for scored, where in parts]
        return sum(values[::2]) / len(pairs) - sum(values[1::2]) / len(pairs)

    groups = readings[0].groups
    by_clip = np.mean([mine.share - other.share for mine, other in pairs], axis=0)
    return Gain(
        jackknife(totals(groups, *columns), difference),
        sign_flip(by_clip, groups, "greater").p,
        best,
        readings[0].clips,
        readings[0].n_groups,
    )
