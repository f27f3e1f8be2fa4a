"""Corpora for evaluation: rendered, passed through the codec, and measured, once.

Everything is stored in a folder whose name depends on the codec's weights and on the code that a measurement
goes through, so that a changed composer, codec or measure is never answered from an old store.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

import etude
import interp.descriptors
from etude.corpus import build
from etude.evaluation.features import measure_all

BATCH = 32  # clips that go through the codec together
SOURCES = ("factors", "composer", "render", "spectral", "tones", "air", "codec", "corpus")


def store(work: Path, weights: Path) -> Path:
    """The folder for measurements made with these weights and this code."""
    root = Path(etude.__file__).parent
    files = [weights / "codec.bin", Path(interp.descriptors.__file__), root / "evaluation" / "features.py"]
    digest = hashlib.sha256()
    for file in [*files, *(root / f"{name}.py" for name in SOURCES)]:
        digest.update(file.read_bytes())
    return work / f"evaluation-{digest.hexdigest()[:12]}"


def measured(kind: str, size: int, seed: int, folder: Path, codec) -> dict[str, np.ndarray]:
    """A corpus as the codec renders it, with its measurements.

    Returns
    -------
    dict
        ``quadrant`` [clip], ``levels`` [clip, factor], ``tokens`` [clip, codebook, frame], and what
        `features.measure` gives, [clip, …].
    """
    path = folder / f"measured-{kind}-{seed}-{size}.npz"
    if not path.exists():
        with np.load(build(kind, size, seed, folder)) as corpus:
            tokens, audio = reconstruct(codec, corpus["features"])
            arrays = dict(quadrant=corpus["quadrant"], levels=corpus["levels"], tokens=tokens)
        arrays |= measure_all(audio, f"measure {kind}")
        partial = path.with_suffix(".tmp.npz")
        np.savez(partial, **arrays)
        os.replace(partial, path)
    with np.load(path) as stored:
        return dict(stored)


@torch.no_grad()
def reconstruct(codec, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [clip, feature, frame] → tokens [clip, codebook, frame] int16, audio [clip, sample]."""
    from tqdm import tqdm

    tokens, audio = [], []
    for i in tqdm(range(0, len(features), BATCH), desc="through the codec", leave=False):
        codes = codec.encode_features(torch.from_numpy(features[i : i + BATCH]).float())
        tokens.append(codes.to(torch.int16).numpy())
        audio.append(codec.decode(codes)[:, 0].numpy())
    return np.concatenate(tokens), np.concatenate(audio)
