"""Take a concept out of activations: the opposite of steering.

An eraser is affine, ``r(x) = x - left right (x - mean)``, with a column of ``left`` [width, k] and a row of
``right`` [k, width] for each dimension that goes.

- :func:`projection`: ``left = right'``, orthonormal. Nothing is left along the vectors themselves, but what
  correlates with the concept may still tell it.
- :func:`leace`: no linear readout (least squares, logistic) of the clips it was fitted to does better than a
  constant, and of all affine erasers that achieve this it moves the clips least (Belrose et al. 2023, arXiv
  2306.03819, theorem 4.3), as far as their covariance is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import InterpError
from .saved import Located, origin
from .vectors import Vector, span

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True, eq=False)
class Eraser(Located):
    """An affine map that removes a subspace; :func:`interp.steer` takes it in place of a vector.

    Attributes
    ----------
    left, right : np.ndarray
        [width, k] and [k, width], float32.
    mean : np.ndarray
        [width]: what is put in the place of the erased part.
    """

    left: np.ndarray
    right: np.ndarray
    mean: np.ndarray

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.mean)

    def __call__(self, h: torch.Tensor, strength: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Move ``h`` [..., width] the share ``strength`` [..., 1] of the way to its erased state."""
        left, right, mean = (torch.from_numpy(part).to(h) for part in (self.left, self.right, self.mean))
        return h - strength * ((h - mean) @ right.T @ left.T)


def projection(vectors: Sequence[Vector], mean: np.ndarray | None = None) -> Eraser:
    """Project the span of ``vectors`` out; what was there becomes that of ``mean`` [width], or zero."""
    axes = span(vectors).astype(np.float32)
    centre = np.zeros(vectors[0].width) if mean is None else np.asarray(mean)
    if centre.shape != (vectors[0].width,):
        raise InterpError(
            f"The mean is {list(centre.shape)}; it must be [{vectors[0].width}] as the vectors."
        )
    about = {"method": "projection", "of": [v.about for v in vectors]}
    place = {"site": vectors[0].site, "model": vectors[0].model}
    return Eraser(axes.T.copy(), axes, centre.astype(np.float32), **place, about=about)


def leace(
    vectors: np.ndarray, labels: np.ndarray, *, site: str = "", model: Model | None = None, **about: Any
) -> Eraser:
    """Fit the least change of vectors after which labels cannot be read off them linearly.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, width], or the steps of clips as rows where single steps are to be erased.
    labels : np.ndarray
        [clip] or [clip, label], numbers; for classes, one column of 0 and 1 for each.

    Notes
    -----
    With C the covariance of vectors and labels and S that of vectors, ``left = C`` and
    ``right = (C' S^-1 C)^+ C' S^-1``; then ``cov(r(x), label) = C - C = 0`` whatever invertible S is. S is
    the shrunk estimate of Ledoit & Wolf (2004), since there are often fewer clips than dimensions.
    """
    from sklearn.covariance import LedoitWolf

    x, z = np.asarray(vectors, float), np.asarray(labels, float)
    z = z.reshape(len(z), -1)
    if x.ndim != 2 or len(x) != len(z) or not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise InterpError(
            f"Vectors {list(x.shape)} and labels {list(z.shape)}: want [clip, width], [clip, label], no NaN."
        )
    mean, z = x.mean(0), z - z.mean(0)
    cross = (x - mean).T @ z / len(x)
    if not np.abs(cross).max() > 0:
        raise InterpError("These labels do not vary with the vectors, so there is nothing to erase.")
    whitened = np.linalg.solve(LedoitWolf().fit(x).covariance_, cross)
    right = np.linalg.pinv(cross.T @ whitened, rcond=1e-10, hermitian=True) @ whitened.T
    known = {"method": "leace", "clips": len(x), "labels": z.shape[1]}
    parts = (part.astype(np.float32) for part in (cross, right, mean))
    return Eraser(*parts, **origin(site, model, about | known))
