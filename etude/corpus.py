"""Corpora of composed pieces: who drew the factors, and the features of every rendered clip.

A corpus is a function of its name, size and seed. What is stored is each clip's quadrant (0: factorial)
and factor levels, and its spectral features in half precision; audio is made again when it is wanted.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from etude.factors import FACTORS, GRAPHS, HUMAN, draw_emotional, draw_factorial

SECONDS = 8.0


def draw(kind: str, index: int, seed: int) -> tuple[int, dict[str, int], int]:
    """Clip `index` of a corpus: (quadrant, factors, composer's seed).

    Parameters
    ----------
    kind : {"factorial", "etude", "etude-null", "etude-alt"}
        Factors independent (quadrant 0), or driven by the quadrant through that model's graph.
    seed : int
        Two corpora with different seeds share no clip.
    """
    if kind != "factorial" and kind not in GRAPHS:
        raise ValueError(f"unknown corpus {kind!r}: choose factorial, {', '.join(GRAPHS)}")
    stream = 0 if kind == "factorial" else 1 if GRAPHS[kind] is HUMAN else 2
    rng = np.random.default_rng([seed, index, stream])
    piece = int(rng.integers(2**31))
    if kind == "factorial":
        return 0, draw_factorial(rng), piece
    quadrant = int(rng.integers(1, 5))
    return quadrant, draw_emotional(GRAPHS[kind], quadrant, rng), piece


def _clip_features(job: tuple[str, int, int]) -> tuple[int, list[int], np.ndarray]:
    import torch

    from etude.render import render
    from etude.spectral import Spectral

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    global _SPECTRAL
    if "_SPECTRAL" not in globals():
        _SPECTRAL = Spectral()
    quadrant, factors, piece = draw(*job)
    audio = torch.from_numpy(render(factors, piece, SECONDS))[None]
    features = _SPECTRAL.analyse(audio)[0].to(torch.float16).numpy()
    return quadrant, [factors[name] for name in FACTORS], features


def build(kind: str, size: int, seed: int, folder: Path) -> Path:
    """Render a corpus and store its features, once: an existing finished corpus is returned as it is.

    Returns
    -------
    Path of an ``.npz`` with `quadrant` [clip], `levels` [clip, factor] (columns as `FACTORS`) and
    `features` [clip, N_FEATURES, frame] float16 in dB.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{seed}-{size}.npz"
    if path.exists():
        return path
    jobs = [(kind, i, seed) for i in range(size)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(tqdm(pool.map(_clip_features, jobs, chunksize=16), total=size, desc=path.stem))
    quadrant, levels, features = zip(*rows, strict=True)
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, quadrant=np.array(quadrant), levels=np.array(levels), features=np.stack(features))
    os.replace(partial, path)
    return path
