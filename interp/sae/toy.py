"""Vectors made of known features: what a dictionary should find is then known.

x = codes @ features + noise.  A feature is on with a fixed probability; features come in groups whose members
are on together more often than chance (a Gaussian copula: all thresholds cut normal variables that share a
part within a group).  When on, its strength is 1 plus an exponential.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch.nn.functional import normalize

from ..errors import InterpError, check_whole


@dataclass(frozen=True)
class Planted:
    """A planted dictionary and the distribution of its codes."""

    d_in: int
    n_features: int
    active: float
    """Mean number of features on in a vector."""
    correlation: float = 0.0
    """Of the normal variables within a group, from 0 to below 1."""
    group: int = 8
    """Features in a group."""
    noise: float = 0.0
    """Standard deviation of the noise in each dimension."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("d_in", "n_features", "group"):
            check_whole(getattr(self, name), name, 1)
        if not 0 < self.active < self.n_features:
            raise InterpError(f"active must lie between 0 and n_features, not {self.active!r}.")
        if not 0 <= self.correlation < 1:
            raise InterpError(f"correlation must be at least 0 and below 1, not {self.correlation!r}.")

    @property
    def features(self) -> torch.Tensor:
        """[n_features, d_in], unit vectors in random directions."""
        # Far from the seeds that dictionaries start from: theirs must not be the same numbers.
        draw = torch.Generator().manual_seed(2_654_435_769 + self.seed)
        return normalize(torch.randn(self.n_features, self.d_in, generator=draw))

    def sample(self, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors [row, d_in] and codes [row, n_features] of a draw, float32."""
        draw = torch.Generator().manual_seed(seed)
        n_groups = -(-self.n_features // self.group)
        common = torch.randn(rows, n_groups, generator=draw)
        common = common.repeat_interleave(self.group, 1)[:, : self.n_features]
        own = torch.randn(rows, self.n_features, generator=draw)
        z = self.correlation**0.5 * common + (1 - self.correlation) ** 0.5 * own
        on = z > NormalDist().inv_cdf(1 - self.active / self.n_features)
        strength = 1 + torch.empty(rows, self.n_features).exponential_(generator=draw)
        codes = on * strength
        x = codes @ self.features
        return x + self.noise * torch.randn(rows, self.d_in, generator=draw), codes

    def batches(self, batch_size: int, seed: int = 1):
        """An endless stream for :func:`interp.sae.train`; other seeds give other vectors."""

        def stream(start: int) -> Iterator[torch.Tensor]:
            number = start
            while True:
                yield self.sample(batch_size, seed * 1_000_003 + number)[0]
                number += 1

        return stream
