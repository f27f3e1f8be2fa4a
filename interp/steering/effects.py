"""From shifts of clips to what a claim needs: an estimate over prompts, beside pushes that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from ..errors import InterpError
from ..results.claims import Measure
from ..stats import Interval, equivalence, mean

LEVEL = 0.95  # percentile of pushes that mean nothing


def beyond(
    shifts: np.ndarray, clusters: Sequence, random: np.ndarray, draws: int = 2000, seed: int = 0
) -> Measure:
    """How far a shift goes beyond the 95th percentile of |shift| of random vectors.

    Parameters
    ----------
    shifts : np.ndarray
        [clip], paired differences.
    clusters : sequence
        [clip], prompts; or vectors, where many were tried.
    random : np.ndarray
        [vector, clip], shifts along each random vector, see :func:`reach`.

    Raises
    ------
    InterpError
        If there are fewer than ten random vectors, two clips of each, or two clusters.

    Notes
    -----
    The percentile is an estimate too: its error, from drawing vectors anew, is added to that of the shift.
    Degrees of freedom after Satterthwaite (1946).
    """
    random = np.asarray(random, float)
    percentile = reach(random)
    found = mean(np.asarray(shifts, float), clusters)
    rng = np.random.default_rng(seed)
    again = np.array([reach(random[rows]) for rows in rng.integers(0, len(random), (draws, len(random)))])
    errors, dfs = np.array([found.error, again.std(ddof=1)]), np.array([found.df, len(random) - 1])
    error = float(np.hypot(*errors))
    df = error**4 / (errors**4 / dfs).sum() if error else found.df
    whole = Interval.of(found.estimate - percentile, error, max(1, int(df)))
    return measure(whole, len(shifts), len(set(clusters)))


def reach(random: np.ndarray) -> float:
    """95th percentile of |mean shift| over random vectors, without what the chance of few clips adds.

    Parameters
    ----------
    random : np.ndarray
        [vector, clip], paired differences along each vector.

    Notes
    -----
    A mean over n clips varies by the vectors' own variance and by that of clips / n. The second is known from
    how the clips of each vector differ; the means are drawn in towards their own mean until only the first
    is left. Source: variance components of a one-way layout, Searle, Casella & McCulloch (1992), ch. 3.
    """
    random = np.asarray(random, float)
    if random.ndim != 2 or len(random) < 10 or random.shape[1] < 2 or not np.isfinite(random).all():
        raise InterpError(
            "Random vectors [vector, clip] must be ten or more, of two clips or more, finite, "
            f"not {random.shape}."
        )
    means = random.mean(1)
    spread, noise = means.var(ddof=1), random.var(1, ddof=1).mean() / random.shape[1]
    kept = np.sqrt(max(0.0, 1 - noise / spread)) if spread else 0.0
    return float(np.quantile(np.abs(means.mean() + kept * (means - means.mean())), LEVEL))


def measure(found: Interval, clips: int, clusters: int) -> Measure:
    """For a claim that an effect is greater than nothing: p is one-sided."""
    p = float(t.sf(found.estimate / found.error, found.df)) if found.error else float(found.estimate <= 0)
    return Measure(found.estimate, (found.low, found.high), p, clips, clusters)


def share(events: np.ndarray, clusters: Sequence, expected: float = 0.0) -> Interval:
    """Share of clips [clip] of which something is true, minus what is expected, over clusters."""
    return mean(np.asarray(events, float) - expected, clusters)


def within(found: Interval, bounds: tuple[float, float], clips: int, clusters: int) -> Measure:
    """For a claim that an effect lies within bounds: p is that of the test of equivalence."""
    return Measure(found.estimate, (found.low, found.high), equivalence(found, bounds), clips, clusters)


def dose_slope(shifts: np.ndarray, doses: np.ndarray, clusters: Sequence) -> Interval:
    """Slope of a judgement over the dose, through least squares, each prompt with a level of its own.

    Parameters
    ----------
    shifts : np.ndarray
        [clip], judgements.
    doses : np.ndarray
        [clip], strengths, of both signs.

    Notes
    -----
    The interval leaves out one prompt at a time (a clustered test of trend).
    """
    from ..stats import codes, jackknife, totals

    y, x, cluster = np.asarray(shifts, float), np.asarray(doses, float), codes(clusters)
    counts = np.bincount(cluster)
    x = x - (np.bincount(cluster, x) / counts)[cluster]
    y = y - (np.bincount(cluster, y) / counts)[cluster]
    return jackknife(totals(clusters, x * y, x * x), lambda s: s[..., 0] / s[..., 1])
