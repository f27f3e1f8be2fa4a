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
    best = r_squared(probe.held_out @ y, y).argmax()
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


def left_out(
    vectors: np.ndarray,
    labels: Sequence,
    groups: Sequence,
    new: np.ndarray,
    classes: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Readings of new clips, by readouts of all groups and then by readouts that never saw one of them.

    What these differ by is what the choice of groups (words, songs) makes of a readout; an interval over
    them is that of :func:`interp.stats.leave_one_out`.

    Parameters
    ----------
    vectors, labels, groups
        Trained on: [clip, width], the class of each clip, and what clips share.
    new : np.ndarray
        [new clip, width].
    classes : list of str
        All classes, in the order wanted.

    Returns
    -------
    np.ndarray
        [1 + group, new clip, class], groups in sorted order. A reading is that of ridge regression on a
        column of 1 for clips of the class and 0 for others, with one penalty for all: the one with the best
        held-out R² over all clips, on average over classes.

    Raises
    ------
    InterpError
        If widths differ, the classes are not those of the labels, or a class has clips of one group only.
    """
    probe = Probe(vectors, groups, folds, seed=seed)
    new = np.asarray(new, float)
    check_vectors(new, np.arange(len(new)), 1)
    if new.shape[1] != probe.vectors.shape[1]:
        raise InterpError(f"Trained on vectors of width {probe.vectors.shape[1]}, read {new.shape[1]}.")
    names, y = check_classes(labels, probe.groups)
    if sorted(classes) != names.tolist():
        raise InterpError(f"Clips are of {', '.join(names)}; asked for are {', '.join(classes)}.")
    targets = np.eye(len(names))[y][:, [names.tolist().index(name) for name in classes]]
    score = r_squared(np.swapaxes(probe.held_out @ targets, -1, -2), targets.T)
    penalty = PENALTIES[score.mean(-1).argmax()]
    trained_on = [np.ones(len(y), bool), *(probe.groups != group for group in np.unique(probe.groups))]
    return np.stack(
        [
            make_pipeline(StandardScaler(), Ridge(penalty * kept.sum()))
            .fit(probe.vectors[kept], targets[kept])
            .predict(new)
            for kept in trained_on
        ]
    )
