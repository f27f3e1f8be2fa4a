"""Subspaces of activations, and the exchange of what lies inside them.

A subspace stands for a variable: tempo, energy, emotion.  Interchange puts in place of the component inside
it that of another clip, and leaves what is outside as it is (Geiger et al. 2021, arXiv:2106.02997).  How the
subspace was found decides what is exchanged:

- :meth:`Subspace.from_readout`, the **weights** of a linear readout.  Its coordinates are what the readout
  reads, and nothing that the readout was trained to be blind to.  The one to take when a variable is read or
  held fixed, so for mediators, with labels that vary independently of other cues.
- :meth:`Subspace.from_pattern`, the **pattern**: the covariance of vectors and label, the direction in which
  vectors move with it (Haufe et al. 2014; :func:`interp.geometry.axis`).  The one to take when a variable is
  written, or one asks where it lies; its coordinates also take in other cues that are written in that
  direction.  With labels and vectors whose covariance is white, both are one.
- :meth:`Subspace.from_means`, the span of class means, for what has several values, such as instrument.
- :meth:`Subspace.from_label`, readouts one after the other, for the sensitivity to rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..disk import save_tensors, saved_tensors
from ..errors import InterpError, check_whole
from ..geometry import axis
from ..probe import transfer
from ..stats import codes
from ..steering.vectors import readout as weights

Array = TypeVar("Array", np.ndarray, torch.Tensor)

DEPENDENT = 1e-5  # a direction of which no more than this share lies outside the others adds none


@dataclass(frozen=True, eq=False)
class Subspace:
    """A named subspace of the activations at a site.

    Attributes
    ----------
    basis : torch.Tensor
        [rank, width] float32, orthonormal rows.
    site : str
        Where it lies, such as ``"resid.3"``.
    name : str
        What it stands for, such as ``"tempo"``.
    provenance : dict
        How it was found, in values that JSON can hold.

    Raises
    ------
    InterpError
        If the rank is 0 or over the width, the rows are not orthonormal, or a value is not finite.
    """

    basis: torch.Tensor
    site: str
    name: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        basis = torch.as_tensor(self.basis).detach().to("cpu", torch.float32).contiguous()
        object.__setattr__(self, "basis", basis)
        if basis.ndim != 2:
            raise InterpError(f"A basis must be [rank, width], not {list(basis.shape)}.")
        check_rank(len(basis), basis.shape[1], f"Subspace {self.name!r}")
        if not bool(((basis @ basis.T - torch.eye(len(basis))).abs() < 1e-4).all()):  # nor is it if NaN
            raise InterpError(
                f"The basis of subspace {self.name!r} is not orthonormal; make it with "
                "Subspace.from_directions, which sees to that."
            )

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return self.basis.shape[0]

    @property
    def width(self) -> int:
        """Width of the site."""
        return self.basis.shape[1]

    # --- what is inside ---

    def coordinates(self, x: Array) -> Array:
        """Where vectors [..., width] lie inside: [..., rank]."""
        x = self._vectors(x)
        return x @ self._like(x).T

    def project(self, x: Array) -> Array:
        """The component of vectors [..., width] that lies inside: [..., width]."""
        x = self._vectors(x)
        basis = self._like(x)
        return (x @ basis.T) @ basis

    def swap(self, x: Array, source: Array) -> Array:
        """Vectors [..., width] with the component inside replaced by that of ``source`` [..., width]."""
        if x.shape != source.shape:
            raise InterpError(
                f"Unpaired inputs: vectors {list(x.shape)} cannot take the component of "
                f"{list(source.shape)}; give each its own source."
            )
        return x + self.project(source - x)

    def leading(self, rank: int) -> Subspace:
        """The subspace of its first ``rank`` dimensions."""
        check_rank(rank, self.rank, f"A part of subspace {self.name!r}")
        return Subspace(self.basis[:rank], self.site, self.name, {**self.provenance, "leading": rank})

    def _vectors(self, x: Array) -> Array:
        if x.ndim == 0 or x.shape[-1] != self.width:
            raise InterpError(
                f"Subspace {self.name!r} at {self.site} has width {self.width}; vectors have {list(x.shape)}."
            )
        if isinstance(x, torch.Tensor):
            return x if x.is_floating_point() else x.float()
        return np.asarray(x, np.result_type(x.dtype, np.float32))

    def _like(self, x: Array) -> Array:
        return self.basis.to(x) if isinstance(x, torch.Tensor) else self.basis.numpy().astype(x.dtype)

    # --- where it comes from ---

    @classmethod
    def from_directions(
        cls, directions: Array | Sequence, site: str, name: str, provenance: Mapping[str, Any] | None = None
    ) -> Subspace:
        """The span of directions [rank, width], or of one [width], made orthonormal in their order by QR.

        The first row is the first direction with length 1, sign kept.

        Raises
        ------
        InterpError
            If there are none or more than the width, one is zero or not finite, or they are linearly
            dependent.
        """
        given = directions.detach().cpu().double() if isinstance(directions, torch.Tensor) else directions
        rows = np.atleast_2d(np.asarray(given, float))
        if rows.ndim != 2:
            raise InterpError(f"Directions must be [rank, width], not {list(rows.shape)}.")
        check_rank(len(rows) if rows.size else 0, rows.shape[1], f"Subspace {name!r}")
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(norms).all():
            raise InterpError(f"Directions of subspace {name!r} hold values that are not finite (NaN).")
        if (norms == 0).any():
            raise InterpError(
                f"A direction of subspace {name!r} is zero, so it points nowhere; leave it out."
            )
        q, r = np.linalg.qr((rows / norms).T)
        if np.abs(np.diag(r)).min() < DEPENDENT:
            raise InterpError(
                f"The {len(rows)} directions of subspace {name!r} are linearly dependent; leave out those "
                "that the others span already."
            )
        basis = (q * np.sign(np.diag(r))).T
        return cls(torch.from_numpy(basis), site, name, {"from": "directions", **(provenance or {})})

    @classmethod
    def from_readout(cls, readout: Any, site: str, name: str) -> Subspace:
        """The weights of a readout (:func:`interp.probe.transfer.fit`), in the space of the vectors.

        Parameters
        ----------
        readout : scikit-learn pipeline
            Standardise, then ridge, or logistic regression of two classes; for more, use :meth:`from_means`.
        """
        return cls.from_directions(weights(readout)[0], site, name, {"from": "readout"})

    @classmethod
    def from_pattern(cls, vectors: np.ndarray, labels: Sequence, site: str, name: str) -> Subspace:
        """The directions in which vectors [clip, width] move with numbers [clip] or [clip, label]."""
        columns = np.asarray(labels, float).reshape(len(labels), -1).T
        found = [axis(vectors, column) for column in columns]
        return cls.from_directions(found, site, name, {"from": "pattern", "clips": len(vectors)})

    @classmethod
    def from_means(
        cls, vectors: np.ndarray, labels: Sequence, site: str, name: str, rank: int | None = None
    ) -> Subspace:
        """The top singular vectors of the centred means of classes.

        Parameters
        ----------
        vectors : np.ndarray
            [clip, width].
        labels : sequence
            [clip], of two classes or more; every class has the same weight.
        rank : int, optional
            At most the number of classes less one, which is what None means.
        """
        x, label = np.asarray(vectors, float), codes(labels)
        if x.ndim != 2 or len(x) != len(label) or not np.isfinite(x).all():
            raise InterpError(
                f"Vectors {list(x.shape)} for {len(label)} labels; want as many, all finite (no NaN)."
            )
        most = min(label.max(), x.shape[1])
        rank = int(most) if rank is None else rank
        check_rank(rank, most, f"The span of {label.max() + 1} class means")
        means = np.eye(label.max() + 1)[label].T @ x / np.bincount(label)[:, None]
        axes = np.linalg.svd(means - means.mean(0), full_matrices=False)
        if axes.S[rank - 1] <= DEPENDENT * max(axes.S[0], np.abs(means).max()):
            raise InterpError(f"The class means of {name!r} do not span {rank} dimensions; take fewer.")
        provenance = {"from": "means", "clips": len(x), "classes": int(label.max()) + 1}
        return cls.from_directions(axes.Vh[:rank], site, name, provenance)

    @classmethod
    def from_label(
        cls,
        vectors: np.ndarray,
        labels: Sequence[float],
        groups: Sequence,
        site: str,
        name: str,
        rank: int = 1,
        seed: int = 0,
    ) -> Subspace:
        """Readouts of a number one after the other: read, project out, read again.

        The first dimension is that of :meth:`from_readout`; each further one reads the label from what those
        before leave.  So rank asks whether the label lies anywhere else in the vectors still, which is what
        an indirect effect through a subspace depends on; directions of partial least squares would grow by
        variance instead.  Take :meth:`leading` of it for smaller ranks.

        Parameters
        ----------
        vectors : np.ndarray
            [clip, width].
        labels, groups : sequence
            [clip]; see :class:`interp.probe.Probe`.

        Notes
        -----
        Source: iterative nullspace projection, Ravfogel et al. (2020, arXiv:2004.07667).
        """
        x = np.asarray(vectors, float)
        check_rank(rank, x.shape[-1], f"Subspace {name!r}")
        basis = np.zeros((0, x.shape[-1]))
        for _ in range(rank):
            read = weights(transfer.fit(x, labels, groups, seed=seed))[0]
            read = read - (read @ basis.T) @ basis  # on vectors without them these components read nothing
            basis = np.vstack([basis, read / np.linalg.norm(read)])
            x = x - np.outer(x @ basis[-1], basis[-1])
        provenance = {"from": "label", "clips": len(x), "groups": len(set(groups)), "seed": seed}
        return cls.from_directions(basis, site, name, provenance)

    @classmethod
    def random(cls, rank: int, width: int, site: str, name: str = "random", seed: int = 0) -> Subspace:
        """A subspace drawn at random, all alike likely."""
        check_rank(rank, width, f"Subspace {name!r}")
        drawn = np.random.default_rng(seed).standard_normal((rank, width))
        return cls.from_directions(drawn, site, name, {"from": "random", "seed": seed})

    # --- on disk ---

    def save(self, path: str | Path) -> Path:
        """Write it with its site, name and provenance into one safetensors file, atomically.

        Raises
        ------
        InterpError
            If it cannot be written, as where the disk is full.
        """
        facts = {"site": self.site, "name": self.name, "provenance": dict(self.provenance)}
        return save_tensors(path, {"basis": self.basis}, "subspace", facts, "a subspace")

    @classmethod
    def load(cls, path: str | Path) -> Subspace:
        """Read what :meth:`save` wrote; raises :class:`InterpError` if there is no subspace in the file."""
        with saved_tensors(path, "subspace", "a subspace", "pt") as (tensors, facts):
            return cls(**tensors, **facts)


def check_rank(rank: int, most: int, what: str) -> None:
    """Raise :class:`InterpError` unless ``rank`` is a whole number from 1 to ``most``."""
    if check_whole(rank, f"The rank of {what}", 1) > most:
        raise InterpError(f"{what} cannot have rank {rank}: there are {most} dimensions.")
