"""Vectors that carry no concept, as long as the one they stand beside.

A shift means something only beyond what these do: any push of that size (:func:`random`), a direction fitted
to labels that were dealt anew (:func:`shuffled`), a push that is sure to miss (:func:`orthogonal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import check_whole
from ..stats.permutation import relabellings
from .vectors import Vector, contrast


def random(vector: Vector, seed: int) -> Vector:
    """A direction drawn evenly from all, with the norm of ``vector``."""
    values = np.random.default_rng(check_whole(seed, "seed", 0)).standard_normal(vector.width)
    about = {"method": "random", "seed": seed, "beside": vector.about}
    return replace(vector, values=values, about=about).of_norm(vector.norm)


def orthogonal(vector: Vector, seed: int) -> Vector:
    """A random direction at right angles to ``vector``, with its norm."""
    made = random(vector, seed).orthogonal_to(vector).of_norm(vector.norm)
    return replace(made, about={"method": "orthogonal", "seed": seed, "beside": vector.about})


def shuffled(
    vector: Vector,
    vectors: np.ndarray,
    labels: Sequence[float],
    clusters: Sequence,
    seed: int,
    method: str | None = None,
) -> Vector:
    """What the same method finds when labels are dealt over clusters, with the norm of ``vector``.

    Parameters
    ----------
    vector : Vector
        From :func:`~interp.steering.contrast` of the same ``vectors``, ``labels`` and ``clusters``.
    method : str, optional
        None takes that of ``vector``.
    """
    index, exact = relabellings(labels, clusters, n=1, seed=seed)
    dealt = np.asarray(labels)[index[0]]
    method = method or vector.about["method"]
    made = contrast(vectors, dealt, clusters, method, site=vector.site, seed=seed)
    about = {"method": "shuffled", "of": method, "seed": seed, "beside": vector.about}
    return replace(made.of_norm(vector.norm), model=vector.model, about=about)
