"""Intervals, effect sizes, equivalence and many tests at once, for clips that come in clusters.

Clips made from one prompt, or cut from one song, are alike for reasons that nobody asks about.  They are a
*cluster*, and what is resampled, left out or counted here is whole clusters.  Tests that deal labels anew are
in :mod:`interp.stats.permutation`; how well all of this keeps its promises is measured by ``make validate``.

Intervals are the estimate plus and minus a standard error times a quantile of Student's t.  The error comes
from leaving out one cluster at a time (:func:`jackknife`), or from drawing clusters with replacement
(:func:`bootstrap`), which also serves statistics that are not smooth, such as a median.  Percentiles of the
draws are the more usual choice, and with the 8 to 30 clusters of a study like this one they are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, t

from ..errors import InterpError

Statistic = Callable[[np.ndarray], np.ndarray]
LIMIT = 1 - 1e-12  # of a correlation, so that its arctanh is finite


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes
    ----------
    estimate, low, high : float
    error : float, optional
        Standard error, over clusters.
    df : int, optional
        Degrees of freedom of the t distribution that the interval is made with.
    """

    estimate: float
    low: float
    high: float
    error: float | None = None
    df: int | None = None

    @classmethod
    def of(cls, estimate: float, error: float, df: int, level: float = 0.95) -> Interval:
        """``estimate`` plus and minus ``error`` times a quantile of t with ``df`` degrees of freedom."""
        reach = float(t.ppf((1 + level) / 2, df)) * float(error)
        return cls(float(estimate), float(estimate) - reach, float(estimate) + reach, float(error), int(df))


def codes(labels: Sequence, what: str = "Labels") -> np.ndarray:
    """Labels as whole numbers from 0, in sorted order of their names: [clip]; raises as :func:`coded`."""
    return coded(labels, what)[1]


def coded(labels: Sequence, what: str = "Labels") -> tuple[np.ndarray, np.ndarray]:
    """Names of labels in sorted order, and the number of each clip's name among them [clip].

    Raises
    ------
    InterpError
        If it is no list, or its values cannot be told apart and sorted: NaN, None, texts among numbers.
    """
    try:
        values = np.asarray(labels)
        names, numbers = np.unique(values, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise InterpError(
            f"{what} must be all texts or all numbers, and none of them None; leave out clips that have none."
        ) from error
    if values.ndim == 0:
        raise InterpError(f"{what} must be a list with one for each clip, not {values}.")
    if names.dtype.kind == "f" and np.isnan(names).any():
        raise InterpError(f"{what} hold NaN; leave out clips that have none.")
    return names, numbers.reshape(-1)


def totals(clusters: Sequence, *columns: np.ndarray) -> np.ndarray:
    """Sum of each column [clip] over the clips of every cluster: [cluster, column]."""
    cluster = codes(clusters)
    return np.stack([np.bincount(cluster, column, cluster.max() + 1) for column in columns], axis=1)


def jackknife(sums: np.ndarray, statistic: Statistic, level: float = 0.95) -> Interval:
    """Interval of a smooth statistic of totals, from leaving out one cluster at a time.

    Parameters
    ----------
    sums : np.ndarray
        [cluster, column], from :func:`totals`.
    statistic : callable
        From totals over clusters [..., column] to a number [...]: a mean, on columns of values and ones, is
        ``lambda s: s[..., 0] / s[..., 1]``.

    Raises
    ------
    InterpError
        If there are fewer than two clusters, or the statistic has no value without one of them.

    Notes
    -----
    Source: Tukey (1958); Efron & Tibshirani (1993), *An Introduction to the Bootstrap*, ch. 11. For a mean
    over clusters of one size it is Student's interval over the means of clusters.
    """
    count = len(sums)
    if count < 2:
        raise InterpError("An interval over clusters (prompts, songs) needs at least two of them.")
    whole = sums.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, without = float(statistic(whole)), np.asarray(statistic(whole - sums))
    if not np.isfinite(estimate) or not np.isfinite(without).all():
        raise InterpError(
            "The statistic has no value once a cluster is left out (a class or a condition is then empty, or "
            "nothing varies); give each class two clusters or more."
        )
    return leave_one_out(estimate, without, level)


def leave_one_out(estimate: float, without: np.ndarray, level: float = 0.95) -> Interval:
    """Interval of an estimate from the estimates [cluster] without each cluster, see :func:`jackknife`."""
    count = len(without)
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    return Interval.of(estimate, error, count - 1, level)


def mean(values: np.ndarray, clusters: Sequence, level: float = 0.95) -> Interval:
    """Mean over clips ``values`` [clip] with its interval over clusters (:func:`jackknife`)."""
    values = _values(values, clusters)
    return jackknife(totals(clusters, values, np.ones(len(values))), lambda s: s[..., 0] / s[..., 1], level)


def bootstrap(
    values: np.ndarray,
    clusters: Sequence,
    statistic: Callable[[np.ndarray], float] = np.mean,
    n: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a statistic of ``values`` [clip, ...], whole clusters resampled.

    Parameters
    ----------
    statistic : callable
        From resampled values to a number; draws for which it is not finite are left out.

    Notes
    -----
    The standard deviation of the draws is the standard error, times sqrt(G / (G - 1)) for G clusters, since
    resampling divides by G where an unbiased variance divides by G - 1. Source: Efron & Tibshirani (1993),
    *An Introduction to the Bootstrap*, ch. 12 and 13.
    """
    values = _values(values, clusters)
    members, rng = _members(codes(clusters)), np.random.default_rng(seed)
    if len(members) < 2:
        raise InterpError("A bootstrap over clusters needs at least two of them.")
    chosen = rng.integers(0, len(members), (n, len(members)))
    if statistic is np.mean:  # of sums over clusters, which is much faster
        sums = totals(clusters, values.reshape(len(values), -1).mean(1), np.ones(len(values)))
        drawn = sums[chosen].sum(1)
        draws = drawn[:, 0] / drawn[:, 1]
    else:
        draws = [statistic(values[np.concatenate([members[i] for i in row])]) for row in chosen]
    return _from_draws(float(statistic(values)), np.array(draws, float), len(members), 1, level)


def correlation(
    x: np.ndarray, y: np.ndarray, clusters: Sequence, n: int = 400, level: float = 0.95
) -> Interval:
    """Pearson's correlation of ``x`` and ``y`` [clip], its interval within −1 and 1.

    The interval is :func:`bootstrap`'s of the inverse hyperbolic tangent of the correlation, brought back.
    Source: Fisher (1921), "On the 'probable error' of a coefficient of correlation", Metron 1.
    """

    def z(pairs: np.ndarray) -> float:
        return np.arctanh(np.clip(np.corrcoef(pairs.T)[0, 1], -LIMIT, LIMIT))

    with np.errstate(divide="ignore", invalid="ignore"):  # draws in which nothing varies are left out
        found = bootstrap(np.column_stack([x, y]), clusters, z, n, level)
    return Interval(*np.tanh([found.estimate, found.low, found.high]).tolist())


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
        Cluster of each clip, resampled on each side by itself; None takes every clip by itself.

    Notes
    -----
    Source: Cohen (1988), *Statistical Power Analysis*, ch. 2. Draws without spread are left out.
    """
    samples = [np.asarray(x, float) for x in (first, second)]
    if any(x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() for x in samples):
        raise InterpError("Cohen's d needs two lists of at least two finite numbers.")
    # Centred, so that a sum of squares does not drown in a common offset.
    centre = np.concatenate(samples).mean()
    sides = []
    for x, clusters in zip(samples, (first_clusters, second_clusters), strict=True):
        clusters = np.arange(len(x)) if clusters is None else clusters
        if len(clusters) != len(x) or codes(clusters).max() == 0:
            raise InterpError("Give every value a cluster, and at least two clusters to each side.")
        sides.append(totals(clusters, np.ones(len(x)), x - centre, (x - centre) ** 2))

    def d(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        scatter = sum(s[..., 2] - s[..., 1] ** 2 / s[..., 0] for s in (a, b))
        scatter = np.maximum(scatter, 0)  # rounding may leave a draw of equal values just below
        spread = np.sqrt(scatter / (a[..., 0] + b[..., 0] - 2))
        difference = a[..., 1] / a[..., 0] - b[..., 1] / b[..., 0]
        return np.divide(difference, spread, out=np.full_like(spread, np.nan), where=spread > 1e-12)

    estimate = float(d(*(s.sum(0, keepdims=True) for s in sides))[0])
    if np.isnan(estimate):
        raise InterpError("Cohen's d has no meaning for values without any spread.")
    rng = np.random.default_rng(seed)
    draws = d(*(rng.multinomial(len(s), np.full(len(s), 1 / len(s)), n) @ s for s in sides))
    return _from_draws(estimate, draws, sum(map(len, sides)), 2, level)


def equivalence(found: Interval, bounds: tuple[float, float]) -> float:
    """p of the test that an effect lies within bounds: two one-sided tests, the larger p of both.

    Parameters
    ----------
    found : Interval
        With its standard error, as the functions of this module give it.
    bounds : tuple of float
        (low, high): effects between them do not matter.

    Returns
    -------
    float
        Below .05 exactly when the 90 % interval lies within the bounds.

    Notes
    -----
    Source: Schuirmann (1987); Lakens (2017).
    """
    low, high = bounds
    if not low < high:
        raise InterpError(f"Bounds of equivalence must be (low, high), not ({low}, {high}).")
    if found.error is None or found.df is None:
        raise InterpError("A test of equivalence needs an interval with its standard error.")
    if found.error == 0:
        return float(not low < found.estimate < high)
    above = t.sf((found.estimate - low) / found.error, found.df)
    below = t.cdf((found.estimate - high) / found.error, found.df)
    return float(max(above, below))


def benjamini_hochberg(p: Sequence[float]) -> np.ndarray:
    """Adjusted p of many tests: those below q have a false discovery rate of at most q.

    Notes
    -----
    Source: Benjamini & Hochberg (1995); holds for tests that are independent or positively dependent.
    """
    p = np.asarray(p, float)
    if p.size == 0 or not ((p >= 0) & (p <= 1)).all():
        raise InterpError("Benjamini-Hochberg needs at least one p, and all between 0 and 1 (not NaN).")
    return false_discovery_control(p, method="bh")


def _values(values: np.ndarray, clusters: Sequence) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim == 0 or len(values) != len(clusters) or not np.isfinite(values).all():
        raise InterpError(
            f"{values.shape[0] if values.ndim else 1} values for {len(clusters)} cluster labels; "
            "want as many, all finite."
        )
    return values


def _members(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def _from_draws(estimate: float, draws: np.ndarray, clusters: int, means: int, level: float) -> Interval:
    """Interval from bootstrap draws of a statistic of ``clusters``, from which ``means`` were estimated."""
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2:
        raise InterpError("Hardly any resampling of the clusters gives the statistic a value.")
    df = clusters - means
    return Interval.of(estimate, draws.std(ddof=1) * np.sqrt(clusters / df), df, level)
