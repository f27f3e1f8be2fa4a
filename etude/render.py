"""Notes to audio: General MIDI through a sound font that ships inside a Python package."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from etude.composer import BASS, CHORDS, DRUMS, MELODY, Note, compose
from etude.factors import FACTORS

SAMPLE_RATE = 16_000
REFERENCE_DB = -30.0  # RMS of a piece at level 0 dB, relative to full scale; the loudest is 10 dB above it
PROGRAMS = {"piano": 0, "strings": 48, "guitar": 24, "flute": 73, "trumpet": 56, "organ": 19}
BASS_PROGRAM = 32  # acoustic bass


@functools.cache
def sound_font() -> bytes:
    """TimGM6mb.sf2, from the package pretty_midi."""
    import pretty_midi

    return (Path(pretty_midi.__file__).parent / "TimGM6mb.sf2").read_bytes()


def synthesise(notes: list[Note], programs: dict[int, int], seconds: float) -> np.ndarray:
    """Play notes on General MIDI programs.

    Parameters
    ----------
    notes : list of Note
    programs : dict of int to int
        MIDI channel → General MIDI program (from 0); channel 9 plays drums.
    seconds : float

    Returns
    -------
    float32 array of shape [samples], mono, `SAMPLE_RATE`, at the synthesiser's own level.
    """
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE, gain=-12)
    font = synth.sfload(sound_font())
    for channel in {n.channel for n in notes}:
        drums = channel == DRUMS
        synth.program_select(channel, font, 128 if drums else 0, 0 if drums else programs[channel], drums)
    total = int(round(seconds * SAMPLE_RATE))
    events = []
    for n in notes:
        start = int(round(n.start * SAMPLE_RATE))
        events += [(start, 1, n), (max(start + 1, int(round((n.start + n.length) * SAMPLE_RATE))), 0, n)]
    events.sort(key=lambda e: (e[0], e[1]))
    blocks, now = [], 0
    for at, on, n in events:
        at = min(at, total)
        if at > now:
            blocks.append(np.array(synth.generate(at - now), copy=True))
            now = at
        if now >= total:
            break
        if on:
            synth.noteon(n.channel, n.pitch, n.velocity)
        else:
            synth.noteoff(n.channel, n.pitch)
    if now < total:
        blocks.append(np.array(synth.generate(total - now), copy=True))
    stereo = np.concatenate([np.frombuffer(b, np.float32) for b in blocks]).reshape(-1, 2)
    return stereo.mean(axis=1)


def to_level(audio: np.ndarray, decibels: float) -> np.ndarray:
    """Scale audio to an RMS of `REFERENCE_DB` + `decibels` relative to full scale; silence stays silent."""
    rms = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    if rms == 0:
        return audio
    return (audio * (10 ** ((REFERENCE_DB + decibels) / 20) / rms)).astype(np.float32)


def render(factors: dict[str, int], seed: int, seconds: float = 8.0) -> np.ndarray:
    """Compose a piece and play it: float32 [samples] at `SAMPLE_RATE`, RMS set by the level factor."""
    program = PROGRAMS[FACTORS["timbre"][factors["timbre"]]]
    notes = compose(factors, seed, seconds)
    audio = synthesise(notes, {MELODY: program, CHORDS: program, BASS: BASS_PROGRAM}, seconds)
    return to_level(audio, FACTORS["level"][factors["level"]])
