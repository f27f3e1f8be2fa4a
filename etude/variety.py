"""Music unlike the composer's, for codecs: other keys, scales, instruments, numbers of voices.

A codec that heard the composer alone takes its three keys and six instruments for all there are. A *walk*
is up to six voices that wander through a scale, together or each by itself; a *song* is a melody over triads
with a bass. Both are on any tonic and on any General MIDI instrument but those of `HELD_OUT`.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from etude.composer import BASS, CHORDS, DRUMS, MELODY, Note
from etude.corpus import SECONDS, draw
from etude.render import render, synthesise, to_level

HELD_OUT = (11, 71)  # vibraphone and clarinet: `etude.tunes` tries the codec on them
PROGRAMS = [program for program in range(112) if program not in HELD_OUT]  # beyond are sound effects
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 7, 9),
    tuple(range(12)),
)
SEVEN_STEPS = 4  # so many of the scales have seven steps, and triads
STEPS = (-4, -2, -1, -1, 0, 1, 1, 2, 4)  # of a melody, in steps of its scale
ROOTS = (0, 0, 1, 3, 3, 4, 4, 5, 2, 6)  # degrees of a song's chords, frequent ones twice
VOICES, LOWEST, HIGHEST = 6, 36, 96  # of a walk
DRUM_KIT = (36, 38, 42, 46)
LOUDEST = 12.0  # dB beside the reference level, up or down

Piece = tuple[list[Note], dict[int, int]]
"""Notes in order of start, and the General MIDI program of each channel."""


def walk(rng: np.random.Generator, seconds: float = SECONDS) -> Piece:
    """Draw one to six voices on one to three instruments, with drums now and then."""
    scale, tonic = SCALES[rng.integers(len(SCALES))], int(rng.integers(12))
    slot, gate = 1 / rng.uniform(1.2, 8), rng.choice([0.3, 0.6, 0.95, 1.0])
    notes: list[Note] = []
    programs = {}
    band = rng.choice(PROGRAMS, size=rng.integers(1, 4))
    together, shared = rng.random() < 0.5, int(rng.choice([1, 2, 4]))  # voices that move together are chords
    for voice in range(rng.integers(1, VOICES + 1)):
        programs[voice] = int(rng.choice(band))
        centre = rng.uniform(LOWEST, HIGHEST)
        step = round((centre - tonic) / 12 * len(scale))
        length, rests, loud = int(rng.choice([1, 2, 4, 8])), rng.choice([0, 0.1, 0.3]), rng.integers(50, 121)
        length = shared if together and voice else length
        for i in range(0, int(seconds / slot) + 1, length):
            pull = np.sign(centre - tonic - 12 * step / len(scale))
            step += int(rng.choice(STEPS)) + int(pull * (rng.random() < 0.3))
            pitch = tonic + 12 * (step // len(scale)) + scale[step % len(scale)]
            if rng.random() >= rests and 24 <= pitch <= 108:
                notes.append(Note(i * slot, length * slot * gate, pitch, int(loud), voice))
    if rng.random() < 0.2:
        beat = slot * int(rng.choice([1, 2]))
        for i in range(int(seconds / beat) + 1):
            notes.append(Note(i * beat, 0.1, int(rng.choice(DRUM_KIT)), 70, DRUMS))
    return sorted(note for note in notes if note.start < seconds), programs


def song(rng: np.random.Generator, seconds: float = SECONDS) -> Piece:
    """Draw a melody over block or broken triads; unless the chords are low, a bass has their roots."""
    scale, tonic = SCALES[rng.integers(SEVEN_STEPS)], int(rng.integers(12))
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


def render_varied(kind: str, index: int, seed: int) -> np.ndarray:
    """Clip `index` of a corpus, float32 [sample]: the composer's (`composed`), a `walk` or a `song`.

    Two corpora with different seeds share no clip.
    """
    if kind == "composed":
        _, factors, piece = draw("factorial", index, seed)
        return render(factors, piece, SECONDS)
    draw_piece, stream = {"walk": (walk, 3), "song": (song, 4)}[kind]
    rng = np.random.default_rng([seed, index, stream])
    notes, programs = draw_piece(rng)
    return to_level(synthesise(notes, programs, SECONDS), rng.uniform(-LOUDEST, LOUDEST))


def _clip(job: tuple[str, int, int]) -> tuple[str, np.ndarray]:
    import torch

    from etude.spectral import Spectral

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    audio = render_varied(*job)
    features = Spectral().analyse(torch.from_numpy(audio)[None])[0]
    return job[0], features.to(torch.float16).numpy()


def build_varied(kinds: tuple[str, ...], size: int, seed: int, folder: Path) -> Path:
    """Render a corpus of kinds that take turns, and store it, once.

    Returns
    -------
    Path of an ``.npz`` with `kind` [clip] and `features` [clip, N_FEATURES, frame] in dB, half precision.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(kinds)}-{seed}-{size}.npz"
    if path.exists():
        return path
    jobs = [(kinds[index % len(kinds)], index, seed) for index in range(size)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(tqdm(pool.map(_clip, jobs, chunksize=16), total=size, desc=path.stem))
    kind, features = zip(*rows, strict=True)
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, kind=np.array(kind), features=np.stack(features))
    os.replace(partial, path)
    return path
