"""Within against between conditions, with tests and intervals that respect clusters.  NumPy only.

Clips made from one prompt (or one song) are not independent: whatever is drawn or shuffled here is whole
clusters, never clips.

The statistic is a difference of mean cosines.  Activations share a large common offset, so raw cosines are
near 1 whatever the conditions; vectors are therefore centred on their mean first, and pairs inside a cluster
are left out, since clips of one prompt are alike for reasons other than the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial, prod

import numpy as np

from .errors import InterpError

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


@dataclass(frozen=True)
class Test:
    """A permutation test.

    Attributes
    ----------
    statistic : float
        On the data as they are.
    p : float
        Share of relabellings, the data's own among them, with a statistic at least as large (one-sided).
    null : np.ndarray
        Statistic under each relabelling.
    exact : bool
        Whether every relabelling was taken, rather than a random draw of them.
    """

    __test__ = False  # not a test case, whatever pytest may think of the name

    statistic: float
    p: float
    null: np.ndarray
    exact: bool


@dataclass(frozen=True)
class Interval:
    """An estimate with a bootstrap interval."""

    estimate: float
    low: float
    high: float


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
    cosine, condition, cluster, _ = _prepare(vectors, conditions, clusters)
    return _contrast(*_sums(cosine, cluster), condition)


def permutation_test(
    vectors: Vectors, conditions: Sequence, clusters: Sequence, n: int = 2000, seed: int = 0
) -> Test:
    """Is the difference of :func:`within_between` larger than chance would make it?

    Conditions are shuffled over clusters. If there are at most ``n`` distinct relabellings, all are taken and
    p is exact; otherwise ``n`` are drawn from ``seed`` and p is (1 + hits) / (1 + n).
    """
    cosine, condition, cluster, _ = _prepare(vectors, conditions, clusters)
    sums, counts = _sums(cosine, cluster)
    observed = _contrast(sums, counts, condition).difference
    sizes = np.bincount(condition)
    exact = factorial(len(condition)) // prod(factorial(int(size)) for size in sizes) <= n
    if exact:
        relabellings = [np.array(p) for p in _distinct(condition)]
    else:
        rng = np.random.default_rng(seed)
        relabellings = [rng.permutation(condition) for _ in range(n)]
    null = np.array([_contrast(sums, counts, labels).difference for labels in relabellings])
    hits = int((null >= observed - 1e-12).sum())  # relabellings that only rename conditions tie exactly
    return Test(observed, hits / len(null) if exact else (1 + hits) / (1 + n), null, exact)


def difference_interval(
    vectors: Vectors,
    conditions: Sequence,
    clusters: Sequence,
    n: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the difference of :func:`within_between`, clusters resampled within conditions.

    A cluster that is drawn twice makes no pair with itself, so that copies do not pass for likeness.
    """
    cosine, condition, cluster, _ = _prepare(vectors, conditions, clusters)
    sums, counts = _sums(cosine, cluster)
    rng, groups, draws = np.random.default_rng(seed), _members(condition), []
    while len(draws) < n:
        weight = np.zeros(len(condition))
        for members in groups:
            np.add.at(weight, rng.choice(members, len(members)), 1)
        if all((weight[members] > 0).sum() > 1 for members in groups):  # else nothing is within
            draws.append(_contrast(sums, counts, condition, weight).difference)
    return _percentiles(_contrast(sums, counts, condition).difference, draws, level)


def bootstrap(
    values: np.ndarray,
    clusters: Sequence,
    statistic: Callable[[np.ndarray], float] = np.mean,
    n: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a statistic of ``values`` [clip, ...], whole clusters resampled.

    Source: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*, ch. 13.
    """
    values, (_, cluster) = np.asarray(values, float), np.unique(np.asarray(clusters), return_inverse=True)
    if len(values) != len(cluster) or not np.isfinite(values).all():
        raise InterpError(
            f"{len(values)} values for {len(cluster)} cluster labels; want as many, all finite."
        )
    members, rng = _members(cluster), np.random.default_rng(seed)
    if len(members) < 2:
        raise InterpError("A bootstrap over clusters needs at least two of them.")
    draws = [
        statistic(values[np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])])
        for _ in range(n)
    ]
    return _percentiles(float(statistic(values)), draws, level)


def cohens_d(
    first: np.ndarray,
    second: np.ndarray,
    first_clusters: Sequence | None = None,
    second_clusters: Sequence | None = None,
    n: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Standardised mean difference (first - second) / pooled standard deviation, with bootstrap interval.

    Parameters
    ----------
    first, second : np.ndarray
        [clip], finite.
    first_clusters, second_clusters : sequence, optional
        Cluster of each clip; None takes every clip by itself.

    Notes
    -----
    Source: Cohen (1988), *Statistical Power Analysis*, ch. 2. Draws without spread are left out.
    """
    samples = [np.asarray(x, float) for x in (first, second)]
    if any(x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() for x in samples):
        raise InterpError("Cohen's d needs two lists of at least two finite numbers.")

    def d(a: np.ndarray, b: np.ndarray) -> float:
        spread = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
        return float((a.mean() - b.mean()) / np.sqrt(spread)) if spread > 0 else float("nan")

    estimate = d(*samples)
    if np.isnan(estimate):
        raise InterpError("Cohen's d has no meaning for values without any spread.")
    rng, members = np.random.default_rng(seed), []
    for x, clusters in zip(samples, (first_clusters, second_clusters), strict=True):
        labels = (
            np.arange(len(x)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
        )
        if len(labels) != len(x) or labels.max() == 0:
            raise InterpError("Give every value a cluster, and at least two clusters to each side.")
        members.append(_members(labels))
    draws = []
    for _ in range(n):
        resampled = [
            x[np.concatenate([own[i] for i in rng.integers(0, len(own), len(own))])]
            for x, own in zip(samples, members, strict=True)
        ]
        draws.append(d(*resampled) if min(map(len, resampled)) > 1 else float("nan"))
    return _percentiles(estimate, [x for x in draws if np.isfinite(x)], level)


def _prepare(vectors: Vectors, conditions: Sequence, clusters: Sequence):
    """Centred cosines [clip, clip], condition of each cluster, cluster of each clip, names of conditions."""
    x = np.asarray(vectors, dtype=float)
    labels, cluster_names = np.asarray(conditions), np.asarray(clusters)
    if x.ndim != 2 or not len(x) == len(labels) == len(cluster_names):
        raise InterpError(
            f"Vectors {list(x.shape)}, {len(labels)} conditions and {len(cluster_names)} clusters "
            "do not go together."
        )
    if not np.isfinite(x).all():
        raise InterpError("The vectors hold values that are not finite (NaN or infinite).")
    names, per_clip = np.unique(labels, return_inverse=True)
    _, first, cluster = np.unique(cluster_names, return_index=True, return_inverse=True)
    condition = per_clip[first]
    if (condition[cluster] != per_clip).any():
        mixed = cluster_names[condition[cluster] != per_clip][0]
        raise InterpError(f"Cluster {mixed!r} has clips of more than one condition.")
    if len(names) < 2 or np.bincount(condition).min() < 2:
        raise InterpError(
            "There must be two conditions or more, with two clusters (prompts) or more in each."
        )
    x = x - x.mean(0)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if (norms == 0).any():
        raise InterpError("A vector equals the mean of all, so it has no direction once centred.")
    x = x / norms
    return x @ x.T, condition, cluster, names


def _sums(cosine: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of cosines, and number of pairs, for every two clusters; a cluster with itself does not count."""
    indicator = np.eye(cluster.max() + 1)[cluster]  # [clip, cluster]
    sums, size = indicator.T @ cosine @ indicator, indicator.sum(0)
    counts = np.outer(size, size)
    np.fill_diagonal(sums, 0)
    np.fill_diagonal(counts, 0)
    return sums, counts


def _contrast(
    sums: np.ndarray, counts: np.ndarray, condition: np.ndarray, weight: np.ndarray | None = None
) -> Contrast:
    """The statistic from sums over pairs of clusters, each cluster counted ``weight`` times."""
    pairs = 1.0 if weight is None else np.outer(weight, weight)
    same = condition[:, None] == condition[None, :]
    total, number = sums * pairs, counts * pairs
    within = total[same].sum() / number[same].sum()
    between = total[~same].sum() / number[~same].sum()
    return Contrast(float(within), float(between), float(within - between))


def _distinct(labels: np.ndarray):
    """Every distinct arrangement of labels, in a fixed order."""
    remaining, chosen = dict(zip(*np.unique(labels, return_counts=True), strict=True)), []

    def extend():
        if len(chosen) == len(labels):
            yield tuple(chosen)
            return
        for label in remaining:
            if remaining[label]:
                remaining[label] -= 1
                chosen.append(label)
                yield from extend()
                chosen.pop()
                remaining[label] += 1

    yield from extend()


def _members(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def _percentiles(estimate: float, draws: Sequence[float], level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))
