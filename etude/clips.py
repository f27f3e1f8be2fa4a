"""The composer's pieces as corpora to listen to: every factor known, as many as wanted.

Clip i is a function of the corpus' name, the seed and i alone: a corpus of 100 clips is the beginning of one
of 200. Nothing is rendered before it is heard.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from etude.corpus import SECONDS, draw
from etude.factors import CUES, FACTORS, QUADRANTS
from etude.render import SAMPLE_RATE, render
from interp.corpora import Clip, Corpus
from interp.errors import check_positive, check_whole, unknown

TONIC_NAMES = {0: "C", 2: "D", 4: "E"}


@dataclass(frozen=True)
class Render:
    """A piece's sound: its factors (levels in the order of `FACTORS`), the composer's seed, its length."""

    levels: tuple[int, ...]
    piece: int
    seconds: float

    def read(self) -> tuple[torch.Tensor, int]:
        """Compose and play it: [1, sample] float32 at `SAMPLE_RATE`."""
        factors = dict(zip(FACTORS, self.levels, strict=True))
        return torch.from_numpy(render(factors, self.piece, self.seconds))[None], SAMPLE_RATE

    @property
    def digest(self) -> str:
        """Hash of what the sound is made from: factors, seed, length, and the code that plays them."""
        made_from = [self.levels, self.piece, self.seconds, instrument()]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def corpus(
    name: str, n: int = 400, seed: int = 0, seconds: float = SECONDS, vary: str | None = None
) -> Corpus:
    """The composer's pieces (entry point for `interp.corpus`).

    A cue is labelled with its level, from 0 for the lowest (minor, slow, low, soft, legato); every other
    factor with its value. The emotion that a piece was drawn for gives quadrant, valence and arousal.

    Parameters
    ----------
    name : {"etude", "etude-alt", "factorial"}
        Cues driven by an emotion through that model's graph, or all factors independent (and no emotion).
    n : int
        Number of pieces.
    seed : int
        Two corpora with different seeds share no piece; étude was trained on seeds 2 and 3.
    seconds : float
        Length of every clip.
    vary : str, optional
        A factor: every piece is then there once for each of its levels, all else alike (exact counterfactual
        variants). They share the piece's group and the emotion that it was drawn for.
    """
    if vary is not None and vary not in FACTORS:
        raise unknown("factor", vary, FACTORS)
    check_positive(seconds, "seconds")
    clips: list[Clip] = []
    for index in range(check_whole(n, "n", 1)):
        clips += _clips(name, index, check_whole(seed, "seed", 0), float(seconds), vary)
    return Corpus(name, clips)


def _clips(name: str, index: int, seed: int, seconds: float, vary: str | None) -> list[Clip]:
    """A piece, or its variants."""
    quadrant, factors, piece = draw(name, index, seed)
    valence, arousal = QUADRANTS.get(quadrant, (None, None))
    group = f"{name}-{seed}-{index:05d}"
    variants = [factors] if vary is None else [factors | {vary: k} for k in range(len(FACTORS[vary]))]
    return [
        Clip(
            id=group if vary is None else f"{group}-{vary}-{variant[vary]}",
            audio=Render(tuple(variant[factor] for factor in FACTORS), piece, seconds),
            valence=valence,
            arousal=arousal,
            quadrant=quadrant or None,
            group=group,
            labels={factor: _label(factor, variant[factor]) for factor in FACTORS},
        )
        for variant in variants
    ]


def _label(factor: str, level: int) -> str | int:
    if factor in CUES:
        return level
    value = FACTORS[factor][level]
    return TONIC_NAMES[value] if factor == "key" else value


@cache
def instrument() -> str:
    """Hash of the code between factors and sound, with the versions of synthesiser and sound font."""
    digest = hashlib.sha256()
    for part in ("factors", "composer", "render"):
        digest.update((Path(__file__).parent / f"{part}.py").read_bytes())
    digest.update(f"{version('tinysoundfont')} {version('pretty_midi')}".encode())
    return digest.hexdigest()
