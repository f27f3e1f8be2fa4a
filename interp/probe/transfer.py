"""Readouts trained on one corpus and tested on another: :mod:`interp.probe` across corpora."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ..errors import InterpError
from ..stats import jackknife, totals
from ..stats.permutation import Test, relabellings
from . import Probe, Reading, check_classes, check_numbers, check_vectors, logistic_pipeline
from .ridge import PENALTIES
from .scores import r_squared, score


def fit(
    vectors: np.ndarray,
    labels: Sequence,
    groups: Sequence,
    classes: bool = False,
    folds: int = 5,
    seed: int = 0,
) -> Pipeline:
    """A scikit-learn pipeline (standardise, then ridge or logistic regression) fitted to all clips."""
    probe = Probe(vectors, groups, folds, seed=seed)
    if classes:
        names, y = check_classes(labels, probe.groups)
        return logistic_pipeline(probe.strength(y, np.arange(len(y)))).fit(probe.vectors, names[y])
    y = check_numbers(labels, probe.groups)
    best = probe.held_out.score(y).argmax()
    return make_pipeline(StandardScaler(), Ridge(PENALTIES[best] * len(y))).fit(probe.vectors, y)


def transfer(
    vectors: np.ndarray,
    labels: Sequence,
    groups: Sequence,
    *,
    to: tuple[np.ndarray, Sequence, Sequence],
    classes: bool = False,
    folds: int = 5,
    n: int = 2000,
    seed: int = 0,
) -> Reading:
    """Train on one corpus, test on another.

    Parameters
    ----------
    vectors, labels, groups
        Trained on, all of them; the regularisation is chosen in grouped folds.
    to : (vectors, labels, groups)
        Tested on. The interval is over these groups, and p from labels dealt over them.
    classes : bool
        Whether labels are classes rather than numbers.
    """
    new, new_groups = np.asarray(to[0], float), np.asarray(to[2])
    check_vectors(new, new_groups, 2)
    if new.shape[1] != np.shape(vectors)[1]:
        raise InterpError(f"Trained on vectors of width {np.shape(vectors)[1]}, tested on {new.shape[1]}.")
    if classes:
        names, truth = check_classes(to[1], new_groups)
        truth = names[truth]
        if unseen := set(names) - set(np.unique(labels)):
            raise InterpError(f"Class {min(unseen)!s} is tested on, but was never trained on.")
    else:
        truth = check_numbers(to[1], new_groups)
    predicted = fit(vectors, labels, groups, classes, folds, seed).predict(new)
    found = score(truth, predicted, classes)
    index, exact = relabellings(truth, new_groups, n, seed)
    if classes:
        null = np.array([score(dealt, predicted, True).value for dealt in truth[index]])
    else:
        null = r_squared(np.broadcast_to(predicted, index.shape), truth[index])
    interval = jackknife(totals(new_groups, *found.columns), found.statistic)
    chance = 1 / len(names) if classes else 0.0
    return Reading(interval, Test.of(found.value, null, exact), None, chance, predicted, truth, new_groups)
