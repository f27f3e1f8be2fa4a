"""Directions that no label explains, and what steering them changes in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InterpError
from .vectors import Vector, of_features

if TYPE_CHECKING:
    import torch

    from ..model import Model
    from ..sae import Dictionary

RATES = (0.01, 0.25)  # at which a feature fires that is neither dead nor always on
RISES = {
    "level": ("louder", "softer"),
    "onset_rate": ("busier", "sparser"),
    "tempo": ("a faster beat", "a slower beat"),
    "centroid": ("brighter", "darker"),
    "pitch": ("higher", "lower"),
    "mode": ("more major", "more minor"),
    "articulation": ("more detached", "more connected"),
}
"""Descriptor → how its rise and its fall are said."""


def unnamed(
    vectors: np.ndarray, explained: np.ndarray, n: int, site: str, model: Model, seed: int = 0
) -> list[tuple[Vector, float]]:
    """Principal directions of what labels leave unexplained, with the stability of each.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, width].
    explained : np.ndarray
        [clip, column], all that is known of the clips; its least-squares share is taken out of the vectors.
    n : int
        Number of directions.

    Returns
    -------
    list of (Vector, float)
        Largest variance first. Stability is the |cosine| with the best match among the directions of clips
        that it was not found in: the mean over both halves of the clips.

    Raises
    ------
    InterpError
        If a half has fewer clips than directions and labels together.
    """
    x = np.asarray(vectors, float)
    known = np.column_stack([np.ones(len(x)), np.asarray(explained, float)])
    if len(x) // 2 <= known.shape[1] + n:
        raise InterpError(
            f"{len(x)} clips cannot be halved for {n} directions beside {known.shape[1] - 1} labels."
        )

    def axes(rows: np.ndarray) -> np.ndarray:
        part, labels = x[rows], known[rows]
        rest = part - labels @ np.linalg.lstsq(labels, part, rcond=None)[0]
        return np.linalg.svd(rest, full_matrices=False)[2]

    order = np.random.default_rng(seed).permutation(len(x))
    halves = [axes(order[i::2])[: 2 * n] for i in (0, 1)]
    found = []
    for i, axis in enumerate(axes(order)[:n]):
        stability = float(np.mean([np.abs(half @ axis).max() for half in halves]))
        about = {"method": "unnamed", "number": i, "clips": len(x), "seed": seed, "stability": stability}
        found.append((Vector(axis, site=site, model=model.hash, about=about), stability))
    return found


def dictionaries(
    activations: torch.Tensor,
    seed: int = 0,
    d_sae: int = 256,
    k: int = 16,
    steps: int = 300,
    batch_size: int = 1024,
) -> tuple[Dictionary, Dictionary]:
    """Two small dictionaries (TopK) of the same states [clip, step, width]: what both hold is stable."""
    from ..sae import Config, in_memory, train

    batches = in_memory(activations.float(), batch_size, seed)
    configs = [Config(d_sae, k=k, seed=seed + i) for i in (0, 1)]
    first, second = (t.dictionary for t in train(batches, configs, steps, log_every=steps, progress=False))
    return first, second


def unnamed_features(
    pair: tuple[Dictionary, Dictionary],
    activations: torch.Tensor,
    explained: np.ndarray,
    n: int,
    site: str,
    model: Model,
) -> list[tuple[Vector, float]]:
    """Features of a dictionary that labels leave unexplained, with the stability of each.

    Parameters
    ----------
    pair : (Dictionary, Dictionary)
        Of the same states and two seeds, see :func:`dictionaries`; features are those of the first.
    activations : torch.Tensor
        [clip, step, width].
    explained : np.ndarray
        [clip, column], as for :func:`unnamed`.

    Returns
    -------
    list of (Vector, float)
        Decoder rows. Stability is the largest cosine with a feature of the other dictionary; first
        comes the largest product of it and the share of the feature's clip means that labels do not explain.

    Raises
    ------
    InterpError
        If fewer features than ``n`` fire at a rate of 0.01 to 0.25.

    Notes
    -----
    Source of the range of rates: Singh, Cherep & Maes (2025), arXiv 2505.18186.
    """
    from ..sae.features import activity

    does = activity(pair[0].encode, activations)
    rows, others = ((d.decoder / d.decoder.norm(dim=1, keepdim=True)).detach().cpu().numpy() for d in pair)
    stability = (rows @ others.T).max(1)
    known = np.column_stack([np.ones(len(does)), np.asarray(explained, float)])
    means = does.mean - does.mean.mean(0)
    rest = means - known @ np.linalg.lstsq(known, means, rcond=None)[0]
    unexplained = (rest**2).sum(0) / np.maximum((means**2).sum(0), 1e-12)
    usable = np.flatnonzero((does.firing_rate > RATES[0]) & (does.firing_rate < RATES[1]))
    if len(usable) < n:
        raise InterpError(
            f"{len(usable)} of {len(rows)} features fire neither always nor never, {n} are wanted."
        )
    best = usable[np.argsort(-(stability * unexplained)[usable], kind="stable")[:n]]
    return [
        (
            Vector(rows[i], site=site, model=model.hash, about={"method": "feature", "feature": int(i)}),
            float(stability[i]),
        )
        for i in best
    ]


def feature_set(
    dictionary: Dictionary, activations: torch.Tensor, labels: np.ndarray, n: int, site: str, model: Model
) -> Vector:
    """The ``n`` features whose clip means go most with a label, each at its largest and on its own side.

    Parameters
    ----------
    activations : torch.Tensor
        [clip, step, width].
    labels : np.ndarray
        [clip], numbers. A feature that falls with the label is taken with the other sign.

    Raises
    ------
    InterpError
        If fewer than ``n`` features vary from clip to clip, or the label is the same for all.

    Notes
    -----
    Source: Singh, Cherep & Maes (2025), arXiv 2505.18186, who choose features by a classifier.
    """
    from ..sae.features import activity

    does, y = activity(dictionary.encode, activations), np.asarray(labels, float)
    means, y = does.mean - does.mean.mean(0), y - y.mean()
    sizes = np.linalg.norm(means, axis=0) * np.linalg.norm(y)
    varied = np.flatnonzero(sizes > 1e-9)
    if len(varied) < n:
        raise InterpError(f"{len(varied)} features vary with the clips and their labels, {n} are wanted.")
    r = means[:, varied].T @ y / sizes[varied]
    best = np.argsort(-np.abs(r), kind="stable")[:n]
    most = does.highest.max(0)
    highest = {int(varied[i]): float(np.sign(r[i]) * most[varied[i]]) for i in best}
    return of_features(dictionary, highest, site=site, model=model)


def describe_change(changes: Mapping[str, float], least: float = 0.5, most: int = 3) -> str:
    """Changes of descriptors, in units of their spread, as a few words, largest first."""
    ranked = sorted(changes, key=lambda cue: -abs(changes[cue]))
    said = [
        f"{RISES[cue][int(changes[cue] < 0)]} ({changes[cue]:+.1f})"
        for cue in ranked[:most]
        if abs(changes[cue]) >= least
    ]
    return ", ".join(said) or "nothing that is measured here"
