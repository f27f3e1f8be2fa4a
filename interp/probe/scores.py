"""R² and balanced accuracy, as functions of sums over clips, so that clusters can be left out of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Score:
    """A score of predictions.

    Attributes
    ----------
    value : float
    columns : list of np.ndarray
        Numbers of each clip [clip] whose sums make the score.
    statistic : callable
        From these sums [..., column] to the score [...]; see :func:`interp.stats.jackknife`.
    share : np.ndarray
        [clip]: what a clip adds to the score. Differences between two readouts of the same clips sum to the
        difference of their scores.
    """

    value: float
    columns: list[np.ndarray]
    statistic: Callable[[np.ndarray], np.ndarray]
    share: np.ndarray


def score(labels: np.ndarray, predicted: np.ndarray, classes: bool) -> Score:
    """R² of numbers, or balanced accuracy of classes: [clip] each."""
    if classes:
        names = np.unique(labels)
        of = [labels == name for name in names]
        hits = [own & (predicted == labels) for own in of]
        columns = [column.astype(float) for column in (*hits, *of)]
        count = len(names)

        def statistic(sums: np.ndarray) -> np.ndarray:
            return (sums[..., :count] / sums[..., count:]).mean(-1)

        share = sum(hit / own.sum() for hit, own in zip(hits, of, strict=True)) / count
    else:
        y = labels - labels.mean()
        error = (labels - predicted) ** 2
        columns = [error, y, y**2, np.ones(len(y))]

        def statistic(sums: np.ndarray) -> np.ndarray:
            return 1 - sums[..., 0] / (sums[..., 2] - sums[..., 1] ** 2 / sums[..., 3])

        share = -error / (y**2).sum()
    value = float(statistic(np.array([column.sum() for column in columns])))
    return Score(value, columns, statistic, share)


def r_squared(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """R² of many predictions [..., clip] of many labels [..., clip]."""
    error = ((predicted - labels) ** 2).sum(-1)
    return 1 - error / ((labels - labels.mean(-1, keepdims=True)) ** 2).sum(-1)


def accuracy_of_scores(matrix: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Balanced accuracy of least squares on one column a class, for many labellings [labelling, clip].

    Parameters
    ----------
    matrix : np.ndarray
        [clip, clip], one of :class:`interp.probe.ridge.HeldOut`. A clip is given the class whose predicted
        share is largest against the class's share of all clips, so that frequent classes are not favoured.
    labels : np.ndarray
        Whole numbers from 0 to ``classes - 1``.
    """
    of = [labels == c for c in range(classes)]
    shares = [np.maximum(own.mean(-1, keepdims=True), 1e-12) for own in of]
    parts = [(own.astype(float) @ matrix.T) / share for own, share in zip(of, shares, strict=True)]
    right = np.argmax(parts, axis=0) == labels
    recall = [(right & own).sum(-1) / np.maximum(own.sum(-1), 1) for own in of]
    return np.mean(recall, axis=0)
