"""What features do in whole clips: the table from which associations, cards and ablations are made.

A feature is any number at or above 0 that is read off an activation: a dictionary's features, or the two
sides of a direction, so that principal and independent components go through the same analysis as
dictionaries do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InterpError, check_whole

Encode = Callable[[torch.Tensor], torch.Tensor]
"""From float32 vectors [step, width] to features [step, feature], 0 where a feature is silent."""


@dataclass(frozen=True)
class Activity:
    """What every feature does in every clip: [clip, feature] each, float32.

    Attributes
    ----------
    mean, highest : np.ndarray
        Activation over the steps of the clip.
    rate : np.ndarray
        Share of the clip's steps at which the feature is above 0.
    steps : np.ndarray
        [clip], number of steps.
    """

    mean: np.ndarray
    highest: np.ndarray
    rate: np.ndarray
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def firing_rate(self) -> np.ndarray:
        """[feature], share of all steps."""
        return self.steps @ self.rate.astype(float) / self.steps.sum()

    def __repr__(self) -> str:
        return f"Activity({len(self)} clips, {self.mean.shape[1]} features)"


@torch.no_grad()
def activity(encode: Encode, clips: Iterable) -> Activity:
    """Features of clips, one clip in memory at a time.

    Parameters
    ----------
    encode : callable
        ``dictionary.encode``, or that of :class:`Directions`.
    clips : iterable
        Vectors [step, width] of each clip, arrays or tensors of any precision: captured activations
        [clip, step, width], or of a store ``(store.chunk(site, i) for i in store.choose())``.

    Raises
    ------
    InterpError
        If there is no clip, one has no steps, or a feature is negative or not finite.
    """
    mean, highest, rate, steps = [], [], [], []
    for i, clip in enumerate(clips):
        features = encode(as_vectors(clip, f"clip {i}"))
        least = features.min()
        if not (torch.isfinite(features.sum()) and least >= 0):
            raise InterpError(f"Features of clip {i} are negative or not finite; a feature is 0 or more.")
        mean.append(features.mean(0).cpu().numpy())
        highest.append(features.amax(0).cpu().numpy())
        rate.append((features > 0).float().mean(0).cpu().numpy())
        steps.append(len(features))
    if not steps:
        raise InterpError("There are no clips to look for features in.")
    return Activity(np.stack(mean), np.stack(highest), np.stack(rate), np.array(steps))


def as_vectors(clip: np.ndarray | torch.Tensor, what: str) -> torch.Tensor:
    """One clip's activations as float32 [step, width]; raises :class:`InterpError` if they are none."""
    x = torch.as_tensor(clip).float()
    if x.ndim != 2 or not x.numel():
        raise InterpError(f"The activations of {what} are {list(x.shape)}; they must be [step, width].")
    return x


@dataclass(frozen=True)
class Directions:
    """Directions as features: the positive and the negative part of the projection on each.

    Attributes
    ----------
    mean : torch.Tensor
        [width], taken off before projecting.
    rows : torch.Tensor
        [direction, width]; feature j is the positive side of row j, feature n + j its negative side.
    """

    mean: torch.Tensor
    rows: torch.Tensor

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Features [..., 2 * direction] of vectors [..., width]."""
        along = (x - self.mean) @ self.rows.T
        return torch.cat([along.relu(), (-along).relu()], -1)


def pca_directions(vectors: np.ndarray, n: int) -> Directions:
    """The ``n`` principal components of a sample of vectors [row, width], largest variance first."""
    from sklearn.decomposition import PCA

    fitted = PCA(_components(vectors, n), random_state=0).fit(vectors)
    return _directions(fitted.mean_, fitted.components_)


def ica_directions(vectors: np.ndarray, n: int, seed: int = 0) -> Directions:
    """``n`` independent components of a sample of vectors [row, width], for sources of variance 1.

    Notes
    -----
    Source: Hyvärinen (1999), FastICA, after whitening onto the first ``n`` principal components. Raises
    :class:`InterpError` if it does not converge: then take more vectors, or fewer components.
    """
    import warnings

    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    fitted = FastICA(
        _components(vectors, n), whiten="unit-variance", max_iter=4000, tol=1e-2, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted.fit(vectors)
        except ConvergenceWarning as error:
            raise InterpError(
                f"ICA did not converge on {n} components; take more vectors or fewer of them."
            ) from error
    return _directions(fitted.mean_, fitted.components_)


def _components(vectors: np.ndarray, n: int) -> int:
    if vectors.ndim != 2 or not np.isfinite(vectors).all() or check_whole(n, "n", 1) > min(vectors.shape):
        raise InterpError(
            f"{n} components need finite vectors [row, width] of at least {n} rows and columns."
        )
    return n


def _directions(mean: np.ndarray, rows: np.ndarray) -> Directions:
    return Directions(torch.tensor(mean, dtype=torch.float32), torch.tensor(rows, dtype=torch.float32))
