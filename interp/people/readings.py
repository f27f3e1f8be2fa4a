"""What the directions that emotion words give say of music that is heard."""

from __future__ import annotations

import numpy as np

from ..errors import InterpError

SHRINKAGE = 0.5


def readings(axes: np.ndarray, heard: np.ndarray, shrinkage: float = SHRINKAGE) -> np.ndarray:
    """Linear readouts of emotion, made of directions, on heard pieces: [..., piece, emotion].

    Parameters
    ----------
    axes : np.ndarray
        [..., emotion, width]: where each emotion lies, from :func:`interp.geometry.class_axes`.
    heard : np.ndarray
        [piece, width], of pieces whose cues are independent of each other.
    shrinkage : float
        Between 0 and 1: how much of the correlation between dimensions is taken for chance.

    Raises
    ------
    InterpError
        If widths differ, or the shrinkage is not above 0 and at most 1.

    Notes
    -----
    Linear discriminants (Fisher 1936), regularised as by Friedman (1989), with the covariance of the heard
    pieces: w = C⁻¹ d for a direction d. A plain projection on d would let a cue count by how much room it has
    in the activations (level has much, mode little); by this one it counts by how far the words move it. The
    pieces' covariance is the right one for that, since in a model's own clips cues go together *because* of
    the emotion.
    """
    axes, x = np.asarray(axes, float), np.asarray(heard, float)
    if x.ndim != 2 or axes.shape[-1] != x.shape[1]:
        raise InterpError(f"Directions {list(axes.shape)} and heard pieces {list(x.shape)} have two widths.")
    if not 0 < shrinkage <= 1:
        raise InterpError(f"The shrinkage must be above 0 and at most 1, not {shrinkage}.")
    spread = np.where(np.ptp(x, axis=0) > 0, x.std(0), np.inf)  # a dimension that does not vary says nothing
    z = (x - x.mean(0)) / spread
    covariance = (1 - shrinkage) * z.T @ z / len(z) + shrinkage * np.eye(x.shape[1])
    return np.swapaxes((axes / spread) @ np.linalg.solve(covariance, z.T), -1, -2)
