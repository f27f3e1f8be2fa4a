"""What is measured of one clip: cues, tones by pitch class, timbre."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from etude.spectral import FLOOR_DB, HOP, LOWEST_MIDI, N_TONES, SAMPLE_RATE

BANDS = (LOWEST_MIDI, 48, 60, 72, LOWEST_MIDI + N_TONES)  # MIDI note numbers: bass, chords, melody, above
MFCC = 20


def measure(audio: np.ndarray) -> dict[str, np.ndarray]:
    """Measure a clip.

    Parameters
    ----------
    audio : float array [sample] at `SAMPLE_RATE`

    Returns
    -------
    dict
        ``cues`` [cue], in the order of `interp.descriptors.CUES`; ``tonal`` [48], the tones' amplitudes by
        pitch class in each of four registers, every register's share of 1; ``timbre``, mean and spread over
        frames of the mel cepstrum (without its level) and the mean noise floor relative to the tones.
    """
    from interp.descriptors import describe

    cues = describe(audio, SAMPLE_RATE)
    return {"cues": np.array(list(cues.values())), **spectral_summary(np.asarray(audio, np.float32))}


def spectral_summary(audio: np.ndarray) -> dict[str, np.ndarray]:
    """The `tonal` and `timbre` of `measure`."""
    import librosa
    import torch

    with torch.no_grad():
        features = _spectral().analyse(torch.from_numpy(audio)[None])[0].numpy()  # [feature, frame] in dB
    amplitude = np.where(features > FLOOR_DB, 10 ** (features / 20), 0.0)
    tones = amplitude[:N_TONES].mean(1)
    tonal = np.zeros((len(BANDS) - 1, 12))
    for band, (low, high) in enumerate(zip(BANDS[:-1], BANDS[1:], strict=True)):
        np.add.at(tonal[band], np.arange(low, high) % 12, tones[low - LOWEST_MIDI : high - LOWEST_MIDI])
    tonal /= tonal.sum(1, keepdims=True) + 1e-9
    cepstrum = librosa.feature.mfcc(y=audio, sr=SAMPLE_RATE, n_mfcc=MFCC, n_fft=1024, hop_length=HOP)[1:]
    noise = np.log10((amplitude[N_TONES:].mean(1) + 1e-9) / (tones.sum() + 1e-9))
    return {"tonal": tonal.ravel(), "timbre": np.concatenate([cepstrum.mean(1), cepstrum.std(1), noise])}


def measure_all(clips: np.ndarray, label: str) -> dict[str, np.ndarray]:
    """`measure` of every clip of [clip, sample]: arrays [clip, …] under the same names."""
    rows = in_parallel(measure, list(clips), label)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def in_parallel(work: Callable, jobs: list, label: str) -> list:
    """Do `work` (a function at a module's top level) for every job on all cores, in order, with a bar."""
    from tqdm import tqdm

    # Started afresh rather than forked: a fork of a process that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_alone) as pool:
        results = pool.map(work, jobs, chunksize=4)
        return list(tqdm(results, total=len(jobs), desc=label, leave=False))


def _alone() -> None:
    """One thread per process; numbers near zero count as zero (they are slow)."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@functools.cache
def _spectral():
    from etude.spectral import Spectral

    return Spectral()
