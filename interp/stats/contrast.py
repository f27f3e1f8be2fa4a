"""Within against between conditions: a difference of mean cosines, with its test and interval.

Activations share a large common offset, so raw cosines are near 1 whatever the conditions; vectors are
therefore centred on their mean first.  Pairs inside a cluster (prompt, song) are left out, since its clips
are alike for reasons other than the condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InterpError
from . import Interval, codes, leave_one_out
from .permutation import Test, relabellings

Vectors = np.ndarray


@dataclass(frozen=True)
class Contrast:
    """A mean cosine within conditions, one between, and their difference.

    Attributes
    ----------
    within, between : float
        Mean cosine over pairs of clips from different clusters with the same, or another, condition.
    difference : float
        ``within - between``: 0 if conditions make no difference, at most 2.
    """

    within: float
    between: float
    difference: float


def within_between(vectors: Vectors, conditions: Sequence, clusters: Sequence) -> Contrast:
    """Centred cosine within and between conditions.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, feature], float.
    conditions : sequence
        Condition of each clip, such as its emotion.
    clusters : sequence
        What each clip shares with others, such as its prompt; a cluster has one condition.

    Raises
    ------
    InterpError
        If there are fewer than two conditions, a condition without two clusters (then nothing is within), a
        cluster with two conditions, lengths that differ, or values that are not finite.
    """
    sums, counts, condition = _prepare(vectors, conditions, clusters)
    within, between = (float(x) for x in _means(sums, counts, condition))
    return Contrast(within, between, within - between)


def unmixed(conditions: Sequence, clusters: Sequence) -> np.ndarray:
    """Which clips are of a cluster with one condition, [clip] bool: the others have no contrast."""
    condition = codes(conditions)
    _, first, cluster = np.unique(np.asarray(clusters), return_index=True, return_inverse=True)
    return ~np.isin(cluster, cluster[condition[first][cluster] != condition])


def permutation_test(
    vectors: Vectors, conditions: Sequence, clusters: Sequence, n: int = 2000, seed: int = 0
) -> Test:
    """Is the difference of :func:`within_between` larger than chance would make it?

    Conditions are dealt anew over clusters; p is exact if there are at most ``n`` ways to do so.
    """
    sums, counts, condition = _prepare(vectors, conditions, clusters)
    index, exact = relabellings(condition, np.arange(len(condition)), n, seed)
    return Test.of(_difference(sums, counts, condition), _difference(sums, counts, condition[index]), exact)


def difference_interval(
    vectors: Vectors, conditions: Sequence, clusters: Sequence, level: float = 0.95
) -> Interval:
    """Interval of the difference of :func:`within_between`, from leaving out one cluster at a time.

    See :func:`interp.stats.jackknife`; here the statistic is one of pairs of clusters.
    """
    sums, counts, condition = _prepare(vectors, conditions, clusters)
    number = len(condition)
    kept = np.array([np.delete(np.arange(number), i) for i in range(number)])
    rows, columns = kept[:, :, None], kept[:, None, :]
    without = _difference(sums[rows, columns], counts[rows, columns], condition[kept])
    return leave_one_out(_difference(sums, counts, condition), without, level)


def _prepare(
    vectors: Vectors, conditions: Sequence, clusters: Sequence
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum of centred cosines and number of pairs for every two clusters; condition of each cluster."""
    x, labels, names = np.asarray(vectors, dtype=float), np.asarray(conditions), np.asarray(clusters)
    if x.ndim != 2 or not len(x) == len(labels) == len(names):
        raise InterpError(
            f"Vectors {list(x.shape)}, {len(labels)} conditions and {len(names)} clusters do not go together."
        )
    if not np.isfinite(x).all():
        raise InterpError("The vectors hold values that are not finite (NaN or infinite).")
    per_clip = codes(labels)
    _, first, cluster = np.unique(names, return_index=True, return_inverse=True)
    condition = per_clip[first]
    if (condition[cluster] != per_clip).any():
        mixed = names[condition[cluster] != per_clip][0]
        raise InterpError(f"Cluster {mixed!r} has clips of more than one condition.")
    if condition.max() < 1 or np.bincount(condition).min() < 2:
        raise InterpError(
            "There must be two conditions or more, with two clusters (prompts) or more in each."
        )
    x = x - x.mean(0)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if (norms == 0).any():
        raise InterpError("A vector equals the mean of all, so it has no direction once centred.")
    indicator = np.eye(len(condition))[cluster]  # [clip, cluster]
    directions, size = indicator.T @ (x / norms), indicator.sum(0)
    sums, counts = directions @ directions.T, np.outer(size, size)
    np.fill_diagonal(sums, 0)  # a cluster with itself does not count
    np.fill_diagonal(counts, 0)
    return sums, counts, condition


def _means(sums: np.ndarray, counts: np.ndarray, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean cosine within and between; ``condition`` is [..., cluster], for many relabellings at once."""
    same = condition[..., :, None] == condition[..., None, :]
    within, pairs = ((x * same).sum((-1, -2)) for x in (sums, counts))
    return within / pairs, (sums.sum((-1, -2)) - within) / (counts.sum((-1, -2)) - pairs)


def _difference(sums: np.ndarray, counts: np.ndarray, condition: np.ndarray) -> np.ndarray:
    within, between = _means(sums, counts, condition)
    return within - between
