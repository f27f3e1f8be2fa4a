"""Click tracks of known tempo, made of arithmetic alone: for a published anchor (:mod:`interp.verify`)."""

from __future__ import annotations

import numpy as np
import torch

from .corpora import Clip, Corpus, Samples
from .errors import InterpError, check_positive, check_whole

TIMBRES = ("sine", "square", "noise", "wood", "bell")


def tempo_clicks(
    tempi: list[int] | range = range(50, 211),
    seconds: float = 4,
    offsets: int = 1,
    sample_rate: int = 32_000,
    seed: int = 0,
) -> Corpus:
    """One click a beat, at every tempo in every timbre; the first beat falls anywhere within a beat.

    Clips of one tempo are one group: what is read off held-out clips is read at tempi that were never seen.

    Parameters
    ----------
    tempi : list of int
        In beats a minute, the label ``tempo``.
    offsets : int
        Clips for each tempo and timbre, which begin at different points of the beat.

    Notes
    -----
    After the tempo set of SynTheory: Wei et al. (2024), 161 tempi from 50 to 210 in several click timbres.
    """
    check_positive(seconds, "seconds")
    check_whole(offsets, "offsets", 1)
    if not len(tempi) or min(tempi) < 30 or max(tempi) > 300:
        raise InterpError("tempi must be whole numbers of beats a minute, 30 to 300.")
    random = np.random.default_rng(seed)
    clips = []
    for tempo in tempi:
        for timbre in TIMBRES:
            for number in range(offsets):
                beat = 60 / tempo
                sound = _track(
                    _click(timbre, sample_rate), beat, random.uniform(0, beat), seconds, sample_rate
                )
                clips.append(
                    Clip(
                        f"{tempo}-{timbre}-{number}",
                        Samples(torch.from_numpy(sound)[None], sample_rate),
                        group=str(tempo),
                        labels={"tempo": int(tempo), "timbre": timbre},
                    )
                )
    return Corpus("tempo clicks", clips)


def _click(timbre: str, rate: int) -> np.ndarray:
    """A click of 60 ms."""
    time = np.arange(int(0.06 * rate)) / rate
    waves = {
        "sine": np.sin(2 * np.pi * 1000 * time),
        "square": np.sign(np.sin(2 * np.pi * 500 * time)),
        "noise": np.random.default_rng(1).uniform(-1, 1, len(time)),
        "wood": np.sin(2 * np.pi * 1600 * time) + 0.5 * np.sin(2 * np.pi * 2450 * time),
        "bell": sum(np.sin(2 * np.pi * f * time) / (i + 1) for i, f in enumerate((660, 1460, 2310))),
    }
    speed = {"wood": 120, "noise": 90}.get(timbre, 45)  # of the decay, per second
    wave = waves[timbre] * np.exp(-speed * time)
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def _track(click: np.ndarray, beat: float, first: float, seconds: float, rate: int) -> np.ndarray:
    sound = np.zeros(int(seconds * rate) + len(click), np.float32)
    for at in np.arange(first, seconds, beat):
        start = int(at * rate)
        sound[start : start + len(click)] += click
    return sound[: int(seconds * rate)]
