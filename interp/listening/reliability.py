"""Do raters agree?  Intraclass correlation and Krippendorff's alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InterpError


class ICC(NamedTuple):
    """Intraclass correlations, two-way random, absolute agreement.

    `single` is ICC(2,1), of one rater; `mean` is ICC(2,k), of the mean of all raters.
    """

    single: float
    mean: float


def icc(ratings: np.ndarray) -> ICC:
    """Of complete ratings [item, rater].

    Raises
    ------
    InterpError
        If there are fewer than two items or raters, a rating is missing, or nothing varies.

    Notes
    -----
    Source: Shrout & Fleiss (1979); McGraw & Wong (1996).
    """
    x = np.asarray(ratings, float)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise InterpError(f"An ICC needs complete ratings [item, rater], two of each or more, not {x.shape}.")
    n, k = x.shape
    centred = x - x.mean()
    items = k * (x.mean(1) - x.mean()) @ (x.mean(1) - x.mean()) / (n - 1)
    raters = n * (x.mean(0) - x.mean()) @ (x.mean(0) - x.mean()) / (k - 1)
    rest = ((centred**2).sum() - items * (n - 1) - raters * (k - 1)) / ((n - 1) * (k - 1))
    spread = items + (k - 1) * rest + k * (raters - rest) / n
    if spread <= 1e-12:
        raise InterpError("All ratings are the same, so raters neither agree nor disagree.")
    return ICC(float((items - rest) / spread), float((items - rest) / (items + (raters - rest) / n)))


def alpha(ratings: np.ndarray, nominal: bool = False) -> float:
    """Krippendorff's alpha of ratings [item, rater], NaN where one is missing; 1 is agreement, 0 chance.

    Parameters
    ----------
    nominal : bool
        Values are names (which clip was chosen), else numbers of an interval scale.

    Raises
    ------
    InterpError
        If no item has two ratings, or all ratings are the same.

    Notes
    -----
    Source: Krippendorff (2011), *Computing Krippendorff's alpha-reliability*.
    """
    x = np.asarray(ratings, float)
    x = x[np.isfinite(x).sum(1) > 1]
    values = x[np.isfinite(x)]
    if not len(values):
        raise InterpError("Krippendorff's alpha needs an item with two ratings or more.")

    def apart(a: np.ndarray) -> float:
        """Sum of differences over all ordered pairs."""
        if nominal:
            counts = np.unique(a, return_counts=True)[1]
            return float(len(a) ** 2 - (counts**2).sum())
        return float(2 * (len(a) * (a**2).sum() - a.sum() ** 2))

    within = sum(apart(row[np.isfinite(row)]) / (np.isfinite(row).sum() - 1) for row in x) / len(values)
    expected = apart(values) / (len(values) * (len(values) - 1))
    if expected <= 1e-12:
        raise InterpError("All ratings are the same, so raters neither agree nor disagree.")
    return 1 - within / expected
