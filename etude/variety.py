"""Music unlike the composer's, for the codec: other keys, scales, instruments, on all of General MIDI.

A codec that heard the composer alone would take its three keys and six instruments for all there are. A
*song* is a melody over triads with a bass, without drums, on any tonic and any instrument but those of
`HELD_OUT`.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from etude.composer import BASS, CHORDS, MELODY, Note
from etude.corpus import SECONDS
from etude.render import synthesise, to_level

HELD_OUT = (11, 71)  # vibraphone and clarinet: `etude.tunes` tries the codec on them
PROGRAMS = [program for program in range(112) if program not in HELD_OUT]  # beyond are sound effects
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 2, 3, 5, 7, 9, 10),
)
STEPS = (-4, -2, -1, -1, 0, 1, 1, 2, 4)  # of a melody, in steps of its scale
ROOTS = (0, 0, 1, 3, 3, 4, 4, 5, 2, 6)  # degrees of a song's chords, frequent ones twice
LOUDEST = 3.0  # dB beside the reference level, up or down

Piece = tuple[list[Note], dict[int, int]]
"""Notes in order of start, and the General MIDI program of each channel."""


def song(rng: np.random.Generator, seconds: float = SECONDS) -> Piece:
    """Draw a melody over block or broken triads; unless the chords are low, a bass has their roots."""
    scale, tonic = SCALES[rng.integers(len(SCALES))], int(rng.integers(12))
    slot, gate = 1 / rng.uniform(1.0, 5), rng.choice([0.4, 0.7, 0.95])
    lead, chords = rng.choice(PROGRAMS, size=2)
    chords = lead if rng.random() < 0.5 else chords
    programs = {MELODY: int(lead), CHORDS: int(chords), BASS: int(rng.choice([chords, 32, 33]))}
    notes: list[Note] = []

    def pitch(step: int) -> int:
        return tonic + 12 * (step // 7) + scale[step % 7]

    low, beats = 12 * int(rng.integers(3, 6)), int(rng.choice([2, 3, 4, 6]))
    broken, loud = rng.random() < 0.3, int(rng.integers(40, 100))
    for bar in range(int(seconds / slot / beats) + 1):
        root, start, length = int(rng.choice(ROOTS)), bar * beats * slot, beats * slot * gate
        for k in (0, 2, 4):
            tone = low + (pitch(root + k) - low) % 12
            if not broken:
                notes.append(Note(start, length, tone, loud, CHORDS))
            for beat in range(k // 2, beats if broken else 0, 3):
                notes.append(Note(start + beat * slot, slot * gate, tone, loud, CHORDS))
        if low > 36:
            notes.append(Note(start, length, low - 12 + (pitch(root) - low) % 12, 90, BASS))
    now, step = 0.0, 7 * int(rng.integers(5, 8))
    while now * slot < seconds:
        length = float(rng.choice([0.5, 0.5, 1, 1, 1, 1.5, 2, 3]))
        step = int(np.clip(step + rng.choice(STEPS), 32, 52))
        if rng.random() > 0.08:
            notes.append(Note(now * slot, length * slot * gate, pitch(step), 100, MELODY))
        now += length
    return sorted(note for note in notes if note.start < seconds), programs


def render_song(index: int, seed: int) -> np.ndarray:
    """Song `index` of a corpus, float32 [sample]; two corpora with different seeds share none."""
    rng = np.random.default_rng([seed, index, 4])
    notes, programs = song(rng)
    return to_level(synthesise(notes, programs, SECONDS), rng.uniform(-LOUDEST, LOUDEST))


def _features(job: tuple[int, int]) -> np.ndarray:
    import torch

    from etude.spectral import Spectral

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    audio = torch.from_numpy(render_song(*job))
    return Spectral().analyse(audio[None])[0].to(torch.float16).numpy()


def build_songs(size: int, seed: int, folder: Path) -> Path:
    """Render songs and store their features, once.

    Returns
    -------
    Path of an ``.npz`` with `features` [clip, N_FEATURES, frame] in dB, half precision.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"songs-{seed}-{size}.npz"
    if path.exists():
        return path
    jobs = [(index, seed) for index in range(size)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        features = list(tqdm(pool.map(_features, jobs, chunksize=16), total=size, desc=path.stem))
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, features=np.stack(features))
    os.replace(partial, path)
    return path
