"""Ridge regression whose held-out predictions are one matrix times the labels.

With folds and penalty fixed, a held-out prediction of ridge regression is linear in the labels: the row of a
matrix, zero wherever both clips are in one fold.  The matrix is worked out once from the vectors, and a
thousand relabellings cost one product with it instead of a thousand fits.
Source: Hastie, Tibshirani & Friedman (2009), *The Elements of Statistical Learning*, §3.4 and §7.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .scores import r_squared

PENALTIES = (
    1e-3,
    1e-2,
    1e-1,
    1.0,
    10.0,
    100.0,
)  # times the number of clips trained on, features standardised

Splits = Sequence[tuple[np.ndarray, np.ndarray]]  # of clips trained on, clips predicted


@dataclass(frozen=True)
class HeldOut:
    """What held-out groups are predicted with, and what of their labels there is to predict.

    Attributes
    ----------
    matrices : np.ndarray
        [penalty, clip, clip], from labels to predictions.
    left : np.ndarray or None
        [clip, clip], from labels to what known cues do not say of them; None where none are regressed out.
    """

    matrices: np.ndarray
    left: np.ndarray | None

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """What is to be predicted of labels [..., clip]."""
        return labels if self.left is None else labels @ self.left.T

    def score(self, labels: np.ndarray) -> np.ndarray:
        """R² of labels [..., clip], with every penalty: [penalty, ...]."""
        wanted = self.labels(labels)
        return np.stack([r_squared(labels @ matrix.T, wanted) for matrix in self.matrices])

    def __getitem__(self, penalties: slice) -> HeldOut:
        """With some of the penalties."""
        return HeldOut(self.matrices[penalties], self.left)


def held_out(
    vectors: np.ndarray,
    splits: Splits,
    nuisance: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> HeldOut:
    """Matrices that turn labels into held-out predictions.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, width].
    splits : list of (train, test)
        Indices of clips; a clip is predicted in one split.
    nuisance : np.ndarray, optional
        [clip, cue]: regressed out of vectors and labels, by least squares on the clips trained on, before
        anything is read. Both sides of a partial correlation are so cross-fitted (Robinson 1988;
        Chernozhukov et al. 2018).
    """
    matrices = np.zeros((len(penalties), len(vectors), len(vectors)))
    left = None if nuisance is None else np.eye(len(vectors))
    for train, test in splits:
        known = None if nuisance is None else (nuisance[train], nuisance[test])
        matrices[:, test[:, None], train] = _fold(vectors[train], vectors[test], known, penalties)
        if known is not None:
            old, new = map(_with_mean, known)
            left[np.ix_(test, train)] = -new @ np.linalg.pinv(old)
    return HeldOut(matrices, left)


def _fold(
    train: np.ndarray,
    test: np.ndarray,
    nuisance: tuple[np.ndarray, np.ndarray] | None,
    penalties: Sequence[float],
) -> np.ndarray:
    """[penalty, test clip, train clip]."""
    if nuisance is not None:
        train, test = regress_out(train, test, *nuisance)
    centre, scale = train.mean(0), train.std(0)
    scale[scale == 0] = np.inf  # a feature that is constant here is of no use
    train, test = (train - centre) / scale, (test - centre) / scale
    # Whichever of the two products is smaller: features by features, or clips by clips.
    wide = train.shape[1] > len(train)
    values, axes = np.linalg.eigh(train @ train.T if wide else train.T @ train)
    left, right = (test @ train.T @ axes, axes.T) if wide else (test @ axes, axes.T @ train.T)
    # The centred features are blind to the labels' mean, which is predicted beside: hence the 1 / count.
    # Where cues are regressed out, of labels too, there is no mean left to predict.
    count = len(train)
    mean = 1 / count if nuisance is None else 0.0
    return np.stack([(left / (values + p * count)) @ right for p in penalties]) + mean


def regress_out(
    train: np.ndarray, test: np.ndarray, train_cues: np.ndarray, test_cues: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What cues [clip, cue] do not say of vectors [clip, width]; the fit is that of the training clips."""
    known, new = _with_mean(train_cues), _with_mean(test_cues)
    fitted = np.linalg.lstsq(known, train, rcond=None)[0]
    rest, new_rest = train - known @ fitted, test - new @ fitted
    # A feature that is nothing but cues leaves rounding errors, which standardising would blow up.
    nothing = rest.std(0) <= 1e-9 * np.sqrt((train**2).mean(0))
    rest[:, nothing], new_rest[:, nothing] = 0, 0
    return rest, new_rest


def _with_mean(cues: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(cues)), cues])
