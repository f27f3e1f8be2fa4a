"""How good a dictionary is: measures over a stream, and against another dictionary or the truth.

For streams there are accumulators: ``update`` with every batch, then read the attributes.  Sums are kept in
float64, so that the number of batches does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

from ..errors import InterpError
from .dictionary import Dictionary


class Reconstruction:
    """Explained variance, sparsity and firing rates, batch by batch."""

    def __init__(self) -> None:
        self.n = 0
        self.squared_error = 0.0
        self._shift: torch.Tensor | None = None  # near the mean: sums of squares must not cancel
        self._sum = self._squares = self.fired = self._total = None

    @torch.no_grad()
    def update(self, x: torch.Tensor, x_hat: torch.Tensor, features: torch.Tensor) -> None:
        """Take in vectors, their reconstructions [row, d_in] and their features [row, d_sae]."""
        if x.shape != x_hat.shape or len(features) != len(x):
            shapes = ", ".join(str(list(t.shape)) for t in (x, x_hat, features))
            raise InterpError(f"x, x_hat and features do not belong together: {shapes}.")
        x, x_hat = x.double(), x_hat.double()
        if self._shift is None:
            self._shift = x.mean(0)
            self._sum, self._squares = torch.zeros_like(self._shift), 0.0
            self.fired = torch.zeros(features.shape[1], dtype=torch.int64, device=features.device)
        self.n += len(x)
        self.squared_error += float((x - x_hat).square().sum())
        self._sum += (x - self._shift).sum(0)
        self._squares += float((x - self._shift).square().sum())
        self.fired += (features != 0).sum(0)

    @property
    def fvu(self) -> float:
        """Fraction of variance unexplained: squared error over squared distance from the mean."""
        if not self.n:
            raise InterpError("No vector has been measured yet.")
        variance = self._squares - float(self._sum.square().sum()) / self.n
        if not variance > 0:
            raise InterpError("The vectors do not vary: no share of their variance can be explained.")
        return self.squared_error / variance

    @property
    def explained_variance(self) -> float:
        """1 - FVU: 1 for a perfect reconstruction, 0 for the mean, negative for worse than that."""
        return 1 - self.fvu

    @property
    def l0(self) -> float:
        """Mean number of active features in a vector."""
        return float(self.fired.sum()) / self.n

    @property
    def firing_rates(self) -> torch.Tensor:
        """[d_sae], share of vectors in which each feature is active."""
        return self.fired.double() / self.n

    @property
    def dead(self) -> float:
        """Share of features that were never active."""
        return float((self.fired == 0).double().mean())

    def firing_histogram(self, bins: int = 20) -> tuple[np.ndarray, np.ndarray]:
        """Counts [bins] of features by log10 firing rate, and the edges; dead features are left out."""
        rates = self.firing_rates[self.fired > 0].cpu().numpy()
        return np.histogram(np.log10(rates), bins, range=(-np.log10(self.n), 0))


def measure(dictionary: Dictionary, batches) -> Reconstruction:
    """Measure a dictionary on an iterable of batches [row, d_in], tensors or arrays."""
    result = Reconstruction()
    with torch.no_grad():
        for x in map(torch.as_tensor, batches):
            features = dictionary.encode(x)
            result.update(x, dictionary.decode(features), features)
    return result


def stability(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean max cosine between decoders [feature, d_in] of two seeds, mean of both directions.

    1: every feature of each is in the other. The floor is not 0 but what random decoders of these sizes
    give: compare with that.
    """
    cosines = normalize(a.double()) @ normalize(b.double()).T
    return float(cosines.amax(1).mean() + cosines.amax(0).mean()) / 2


class Recovery(NamedTuple):
    """How much of a planted dictionary was found."""

    mcc: float
    """Mean cosine between planted and learnt features, matched one to one (Hungarian method)."""
    f1: float
    """Mean over planted features of F1: does the match fire when the planted feature is on?"""


def recovery(
    decoder: torch.Tensor, features: torch.Tensor, planted: torch.Tensor, codes: torch.Tensor
) -> Recovery:
    """Compare what was learnt with what was planted (:mod:`interp.sae.toy`).

    Parameters
    ----------
    decoder, features : torch.Tensor
        Learnt: [d_sae, d_in], [row, d_sae].
    planted, codes : torch.Tensor
        True features [n, d_in] and their strengths [row, n], same rows.

    Raises
    ------
    InterpError
        If fewer features were learnt than planted: there would be no match for some.
    """
    if len(decoder) < len(planted):
        raise InterpError(f"{len(decoder)} learnt features cannot match {len(planted)} planted ones.")
    cosines = (normalize(planted.double()) @ normalize(decoder.double()).T).numpy()
    true, found = linear_sum_assignment(cosines, maximize=True)
    predicted, actual = features[:, found] > 0, codes[:, true] > 0
    both = (predicted & actual).sum(0).double()
    f1 = 2 * both / (predicted.sum(0) + actual.sum(0)).clamp(min=1)
    return Recovery(float(cosines[true, found].mean()), float(f1.mean()))
