"""Measured cues of a waveform, in plain units.

====================  ==================  ================================================================
cue                   unit                meaning
====================  ==================  ================================================================
``level``             dB full scale       root mean square; the waveform must not have been normalised
``onset_rate``        onsets/s            note onsets found in spectral flux
``tempo``             beats/min           strongest periodicity of the onset strength; NaN without two onsets
``centroid``          Hz                  spectral centroid, each frame weighted by its energy
``pitch``             MIDI note number    register: median over frames of the upper voice; A4 is 69
``mode``              correlation         best major minus best minor key profile: above 0 leans to major
``articulation``      share               share of frames 12 dB under the local peak: high is staccato
====================  ==================  ================================================================

``mode`` and ``pitch`` are estimates from a spectrum; on a few seconds of polyphony both are noisy.  A cue
that the sound does not have (the tempo of a held note; all but level and onsets in silence) is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .errors import InterpError

CUES = {
    "level": "dB full scale",
    "onset_rate": "onsets/s",
    "tempo": "beats/min",
    "centroid": "Hz",
    "pitch": "MIDI note number",
    "mode": "correlation",
    "articulation": "share",
}
SHORTEST = 1.0  # seconds; below this neither a tempo nor a key means anything
SILENCE = -70.0  # dB full scale; quieter than this is taken as silence
FRAME, HOP = 2048, 256  # samples at the rate of ANALYSIS
ANALYSIS = 16_000  # Hz: one rate for all models, so that their cues compare
LOWEST, OCTAVES = 33, 6  # of pitch: from A1 (55 Hz)
BATCH = 32  # clips whose spectra are in memory at once

# Krumhansl & Kessler (1982), ratings of how well each pitch class fits a key, tonic first.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def describe(waveform: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Measure every cue of one clip.

    Parameters
    ----------
    waveform : np.ndarray or torch.Tensor
        [sample] or [channel, sample]; channels are averaged. Full scale is 1, level as generated.
    sample_rate : int
        In Hz.

    Returns
    -------
    dict of str to float
        One number for each of :data:`CUES`; for silence the level and, as NaN, the rest, but no onsets.

    Raises
    ------
    InterpError
        If the clip is shorter than one second, or has samples that are not finite.
    """
    return {cue: float(x[0]) for cue, x in describe_all(np.asarray(waveform)[None], sample_rate).items()}


def describe_all(waveforms: np.ndarray, sample_rate: int, progress: bool = False) -> dict[str, np.ndarray]:
    """:func:`describe` for [clip, channel, sample] or [clip, sample]: one array [clip] for each cue."""
    from tqdm import tqdm

    rows, starts = [], range(0, len(waveforms), BATCH)
    for start in tqdm(starts, desc="measure cues", disable=not progress, leave=False):
        rows += _describe_batch(
            [_mono(w, sample_rate) for w in waveforms[start : start + BATCH]], sample_rate
        )
    return {cue: np.array([row[cue] for row in rows]) for cue in CUES}


def _mono(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """One checked clip as [sample]."""
    y = np.asarray(waveform, dtype=np.float32)
    y = y.mean(0) if y.ndim == 2 else y
    if y.ndim != 1:
        raise InterpError(
            f"A waveform must be [sample] or [channel, sample], not {list(np.shape(waveform))}."
        )
    if len(y) < SHORTEST * sample_rate:
        raise InterpError(
            f"A clip of {len(y) / sample_rate:.2f} s is too short; give {SHORTEST:g} s or more."
        )
    if not np.isfinite(y).all():
        raise InterpError("The waveform has samples that are not finite (NaN or infinite).")
    return y


def _describe_batch(clips: list[np.ndarray], sample_rate: int) -> list[dict[str, float]]:
    """Cues of clips of one length; filters of the constant-Q transform, its cost, are made once for all."""
    import librosa

    levels = [20 * np.log10(max(float(np.sqrt(np.mean(y.astype(np.float64) ** 2))), 1e-10)) for y in clips]
    rows = [dict.fromkeys(CUES, float("nan")) | {"level": float(x), "onset_rate": 0.0} for x in levels]
    audible = [i for i, level in enumerate(levels) if level >= SILENCE]  # all zeros are -200 dB
    if not audible:
        return rows
    sounds = np.stack([clips[i] for i in audible])
    if sample_rate != ANALYSIS:
        sounds = librosa.resample(sounds, orig_sr=sample_rate, target_sr=ANALYSIS)
    for i, y, tones in zip(audible, sounds, _constant_q(sounds), strict=True):
        spectrum = np.abs(librosa.stft(y, n_fft=FRAME, hop_length=HOP))
        rows[i]["onset_rate"], rows[i]["tempo"] = _rhythm(y)
        rows[i]["centroid"] = _centroid(spectrum)
        rows[i]["pitch"], rows[i]["mode"] = _pitch_and_mode(tones)
        rows[i]["articulation"] = _articulation(y)
    return rows


class Key(NamedTuple):
    """What key profiles say of twelve pitch classes.

    Attributes
    ----------
    tonic : int
        Pitch class of the best key, 0 for C.
    mode : float
        Correlation with the best major profile minus that with the best minor one.
    clarity : float
        Correlation with the best profile of all; NaN, as is `mode`, where all classes are equally strong.
    """

    tonic: int
    mode: float
    clarity: float

    @classmethod
    def of(cls, classes: np.ndarray) -> Key:
        """From the strength of each pitch class [12]."""
        fit = np.array(
            [[_correlation(classes, np.roll(p, tonic)) for tonic in range(12)] for p in (MAJOR, MINOR)]
        )
        best = fit.max(1)
        return cls(int(fit.argmax() % 12), float(best[0] - best[1]), float(best.max()))


def _rhythm(y: np.ndarray) -> tuple[float, float]:
    """Onsets per second, and beats per minute."""
    import librosa

    strength = librosa.onset.onset_strength(y=y, sr=ANALYSIS, hop_length=HOP, n_fft=FRAME)
    # An onset must stand out by an absolute amount: normalised, a held note's ripple would have onsets too.
    onsets = librosa.util.peak_pick(
        strength, pre_max=2, post_max=2, pre_avg=6, post_avg=7, delta=max(0.6, 0.1 * strength.max()), wait=2
    )
    rate = len(onsets) / (len(y) / ANALYSIS)
    if len(onsets) < 2:
        return rate, float("nan")
    tempo = librosa.feature.tempo(onset_envelope=strength, sr=ANALYSIS, hop_length=HOP)
    return rate, float(np.squeeze(tempo))


def _centroid(spectrum: np.ndarray) -> float:
    """Centre of mass of the energy over frequency, so that silent frames have no say."""
    frequencies, energy = np.linspace(0, ANALYSIS / 2, len(spectrum)), (spectrum**2).sum(1)
    return float((frequencies * energy).sum() / energy.sum())


def _constant_q(sounds: np.ndarray) -> np.ndarray:
    """Magnitudes of the constant-Q transform from :data:`LOWEST`, 36 bins an octave: [clip, bin, frame]."""
    import librosa

    bins = dict(n_bins=36 * OCTAVES, bins_per_octave=36)
    lowest = librosa.midi_to_hz(LOWEST)
    return np.abs(librosa.cqt(sounds, sr=ANALYSIS, hop_length=512, fmin=lowest, **bins))


def _pitch_and_mode(tones: np.ndarray) -> tuple[float, float]:
    """Median pitch of the upper voice, and the leaning towards major."""
    notes = _strongest_notes(np.cbrt(tones))
    pitches = LOWEST + np.arange(len(notes)) / 3
    heard = notes.any(0)
    highest = pitches[len(notes) - 1 - (notes[::-1, heard] > 0).argmax(0)]
    classes = np.zeros(12)
    np.add.at(classes, np.rint(pitches).astype(int) % 12, notes.sum(1))
    return float(np.median(highest)), Key.of(classes).mode


def _strongest_notes(spectrum: np.ndarray, n: int = 3) -> np.ndarray:
    """Salience of up to ``n`` notes a frame, [bin, frame], from a constant-Q spectrum of 36 bins an octave.

    The note whose harmonics sum to most is taken, its share of them taken away, and so on: overtones of one
    note, the fifth partial's major third among them, would otherwise pass for notes.

    Source: after Klapuri (2006), multiple fundamental frequency estimation by summing harmonic amplitudes.
    """
    bins, frames = spectrum.shape
    peaks = spectrum * ((spectrum >= np.roll(spectrum, 1, 0)) & (spectrum >= np.roll(spectrum, -1, 0)))
    rest = np.maximum.reduce(
        [peaks, np.roll(peaks, 1, 0), np.roll(peaks, -1, 0)]
    )  # harmonics are between bins
    rest /= rest.max()
    harmonics = [round(36 * np.log2(k)) for k in range(1, 9)]
    found, every, strongest = np.zeros((bins, frames)), np.arange(frames), None
    for _ in range(n):
        salience = sum(0.75**i * np.pad(rest[up:], ((0, up), (0, 0))) for i, up in enumerate(harmonics))
        salience *= rest > 0.02  # a note has a fundamental
        best = salience.argmax(0)
        value = salience[best, every]
        strongest = value if strongest is None else strongest
        clear = value > np.maximum(0.3 * strongest, 0.15 * strongest.max())
        found[best[clear], every[clear]] = value[clear]
        share = 0.9 * rest[best, every]
        for up in harmonics:
            for near in range(-2, 3):
                at = best + up + near
                hit = clear & (at >= 0) & (at < bins)
                rest[at[hit], every[hit]] = np.maximum(0, rest[at[hit], every[hit]] - share[hit])
    return found


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 else float("nan")


def _articulation(y: np.ndarray) -> float:
    """Share of frames that fall 12 dB or more under the loudest frame within half a second around them."""
    import librosa
    from scipy.ndimage import maximum_filter1d

    rms = librosa.feature.rms(y=y, frame_length=512, hop_length=HOP)[0]
    peak = maximum_filter1d(rms, size=round(0.5 * ANALYSIS / HOP) | 1)
    audible = peak > 10 ** (SILENCE / 20)
    return float((rms[audible] < peak[audible] * 10 ** (-12 / 20)).mean())
