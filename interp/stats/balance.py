"""A part of a set of clips in which two measured things do not go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InterpError

LEAST = 0.5  # of the clips; with fewer left, the rest would be a choice more than a set


def uncorrelated(values: Sequence[float], other: Sequence[float], most: float = 0.01) -> np.ndarray:
    """Indices of the clips that are left when two measured numbers are made uncorrelated.

    A readout of energy that was trained where fast music is loud reads tempo as well. Taking the part of
    energy that tempo does not explain would make it blind to what tempo does to energy. So clips are left
    out, each time the one that adds most to the correlation, until no more than ``most`` is left.

    Parameters
    ----------
    values, other : [clip].
    most : float
        Largest absolute correlation that may be left.

    Raises
    ------
    InterpError
        If a number is the same for all clips or not finite, or less than half of the clips would be left.
    """
    columns = np.array([values, other], float)
    if not np.isfinite(columns).all() or (np.ptp(columns, axis=1) == 0).any():
        raise InterpError("Both numbers must be finite and differ between clips.")
    kept = np.arange(columns.shape[1])
    while len(kept) >= LEAST * columns.shape[1]:
        here = columns[:, kept]
        product = np.prod((here - here.mean(1, keepdims=True)) / here.std(1, keepdims=True), axis=0)
        if abs(product.mean()) <= most:
            return kept
        kept = np.delete(kept, np.argmax(product * np.sign(product.mean())))
    raise InterpError(
        f"The two numbers go together so closely that less than {LEAST:.0%} of the clips would be left; take "
        "a corpus in which they vary independently."
    )
