"""Made-up activations in which features answer to known labels: what the analysis must find."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from .associations import Labels, contrasts
from .dictionary import Dictionary


class Answering(NamedTuple):
    """Vectors, the dictionary that made them, and what each of its features answers to."""

    vectors: np.ndarray
    """[clip, step, width] float32, for :func:`interp.sae.features.activity`."""
    dictionary: Dictionary
    labels: list[str | None]
    """[feature], None for the features that answer to nothing."""
    names: list[str | None]
    """[feature], the contrast."""


def answering(
    labels: Labels, per_contrast: int = 8, idle: int = 20, steps: int = 50, seed: int = 0
) -> Answering:
    """Planted features for the clips that have these labels.

    Parameters
    ----------
    labels : dict
        As for :func:`interp.sae.associations.associations`; use those of the study's own clips.
    per_contrast : int
        Features of each contrast: on at 15 % of the steps of clips on its first side, at 5 % of others.
    idle : int
        Features that answer to nothing: on at 8 % of all steps.
    steps : int
        Of each clip.

    Notes
    -----
    Features have directions at right angles to each other and, when on, a strength of 1 plus an exponential;
    small noise is added. The dictionary knows the directions, so that what is missed is missed by the
    analysis (what training misses is :func:`interp.sae.metrics.recovery`'s to say).
    """
    made, rng = contrasts(labels), np.random.default_rng(seed)
    clips = len(next(iter(labels.values())))
    sides = [c.side for c in made for _ in range(per_contrast)]
    chance = [np.where(side == 1, 0.15, 0.05) for side in sides] + [np.full(clips, 0.08)] * idle
    width = len(chance)
    directions = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    on = rng.random((clips, steps, len(chance))) < np.stack(chance, axis=1)[:, None]
    codes = (on * (1 + rng.exponential(size=on.shape))).astype(np.float32)
    noise = 0.02 * rng.standard_normal((clips, steps, width)).astype(np.float32)
    dictionary = Dictionary(width, width, "jumprelu")
    with torch.no_grad():
        dictionary.encoder.copy_(torch.from_numpy(directions))
        dictionary.decoder.copy_(torch.from_numpy(directions))
        dictionary.threshold.fill_(0.5)
    of = [(c.label, c.name()) for c in made for _ in range(per_contrast)] + [(None, None)] * idle
    labels_of, names_of = (list(column) for column in zip(*of, strict=True))
    return Answering(codes @ directions + noise, dictionary, labels_of, names_of)
