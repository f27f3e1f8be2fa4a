"""Cues of sounds whose cues are known."""

import numpy as np
import pytest

from interp import descriptors
from interp.errors import InterpError

RATE = 16_000


def note(midi, seconds, gain=0.1, partials=6):
    """A decaying harmonic tone."""
    t = np.arange(int(seconds * RATE)) / RATE
    f = 440 * 2 ** ((midi - 69) / 12)
    tone = sum(np.sin(2 * np.pi * k * f * t) / k**1.5 for k in range(1, partials + 1) if k * f < RATE / 2)
    return gain * tone * np.minimum(1, t / 0.005) * np.exp(-1.5 * t)


def melody(pitches, spacing=0.25, length=None, **options):
    """Notes every ``spacing`` seconds, each ``length`` seconds long."""
    length = length or spacing
    out = np.zeros(int((spacing * len(pitches) + length) * RATE))
    for i, midi in enumerate(pitches):
        tone = note(midi, length, **options)
        start = int(i * spacing * RATE)
        out[start : start + len(tone)] += tone
    return out


def scale(steps, tonic=60, times=4):
    """Up and down a scale, resting on tonic and fifth."""
    degrees = [0, 2, 4, 2, 0, 4, 2, 0]  # of the triad and what lies between
    notes = np.cumsum([0, *steps])
    return [tonic + notes[d] for _ in range(times) for d in [*degrees, 4, 5, 6, 7, 4, 2, 0, 0]]


def test_level_is_not_normalised():
    t = np.arange(2 * RATE) / RATE
    for gain in (0.5, 0.05):
        sine = gain * np.sin(2 * np.pi * 440 * t)
        expected = 20 * np.log10(gain / np.sqrt(2))
        assert descriptors.describe(sine, RATE)["level"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("spacing", [0.2, 0.4])
def test_onset_rate(spacing):
    found = descriptors.describe(melody([60, 64, 67, 72] * 5, spacing), RATE)
    assert found["onset_rate"] == pytest.approx(1 / spacing, rel=0.12)


def test_tempo_of_a_click_track():
    for bpm in (90, 120):
        found = descriptors.describe(melody([72] * 20, 60 / bpm, 0.1), RATE)["tempo"]
        assert min(abs(found / bpm - ratio) for ratio in (0.5, 1, 2)) < 0.05


def test_centroid_and_pitch_of_a_sine():
    t = np.arange(2 * RATE) / RATE
    for midi in (57, 81):
        f = 440 * 2 ** ((midi - 69) / 12)
        found = descriptors.describe(0.1 * np.sin(2 * np.pi * f * t), RATE)
        assert found["centroid"] == pytest.approx(f, rel=0.02)
        assert found["pitch"] == pytest.approx(midi, abs=0.5)


def test_register_rises_by_an_octave():
    low, high = (descriptors.describe(melody([m, m + 4, m + 7] * 6), RATE)["pitch"] for m in (48, 60))
    assert high - low == pytest.approx(12, abs=2)


@pytest.mark.parametrize("tonic", [57, 60, 65])
def test_mode(tonic):
    major = descriptors.describe(melody(scale([2, 2, 1, 2, 2, 2, 1], tonic)), RATE)["mode"]
    minor = descriptors.describe(melody(scale([2, 1, 2, 2, 1, 2, 2], tonic)), RATE)["mode"]
    assert major > 0 > minor


def test_articulation_tells_staccato_from_legato():
    pitches = [60, 64, 67, 64] * 5
    legato = descriptors.describe(melody(pitches, 0.3, 0.3), RATE)["articulation"]
    staccato = descriptors.describe(melody(pitches, 0.3, 0.08), RATE)["articulation"]
    assert staccato > legato + 0.3


def test_cues_do_not_depend_on_the_level():
    quiet, loud = (descriptors.describe(melody([60, 64, 67] * 6, gain=g), RATE) for g in (0.05, 0.2))
    for cue in ("tempo", "centroid", "pitch", "mode", "articulation"):
        assert quiet[cue] == pytest.approx(loud[cue], rel=0.02, abs=0.02), cue
    assert quiet["onset_rate"] == pytest.approx(loud["onset_rate"], rel=0.15)


def test_silence_and_a_held_tone():
    silent = descriptors.describe(np.zeros(2 * RATE), RATE)
    assert silent["level"] == -200 and silent["onset_rate"] == 0
    assert all(np.isnan(silent[cue]) for cue in ("tempo", "centroid", "pitch", "mode", "articulation"))
    t = np.arange(4 * RATE) / RATE
    held = descriptors.describe(0.1 * np.sin(2 * np.pi * 440 * t) * np.minimum(1, t), RATE)
    assert held["onset_rate"] == 0 and np.isnan(held["tempo"])


def test_all_clips_and_other_rates():
    clips = np.stack([melody([60, 64, 67, 72] * 4), melody([72, 76, 79, 84] * 4)])
    table = descriptors.describe_all(clips[:, None], RATE)
    assert set(table) == set(descriptors.CUES) and all(v.shape == (2,) for v in table.values())
    import librosa

    again = descriptors.describe(librosa.resample(clips[0], orig_sr=RATE, target_sr=32_000), 32_000)
    for cue in ("level", "centroid", "pitch"):
        assert again[cue] == pytest.approx(table[cue][0], rel=0.03), cue


def test_bad_input():
    for wave, said in [
        (np.zeros(100), "too short"),
        (np.full(RATE * 2, np.nan), "not finite"),
        (np.zeros((1, 1, RATE)), r"must be \[sample\]"),
    ]:
        with pytest.raises(InterpError, match=said):
            descriptors.describe(wave, RATE)
