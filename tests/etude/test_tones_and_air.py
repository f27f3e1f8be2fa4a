"""Codes that set tones of a state or move it: what one says, and what a few frames of them add up to."""

import numpy as np
import pytest
import torch

from etude import air, tones
from etude.codec import ENTRIES
from etude.spectral import N_NOISE, N_TONES
from etude.tones import AHEAD, LEVELS, LIFE, RANGE_DB

SILENCE = 0  # tone 0 has level 0


def code(tone, level):
    return tone * LEVELS.shape[1] + level


def test_a_code_sets_a_tone_to_a_level_and_it_stays():
    codes = torch.full((1, 3, 6), SILENCE)
    codes[0, 1, 2], codes[0, 2, 4] = code(40, 3), code(40, 0)
    levels = tones.decode(codes)
    assert levels[0, 40].tolist() == pytest.approx([0, 0, 0.81, 0.81, 0, 0])
    assert levels.sum() == pytest.approx(2 * 0.81)
    assert code(N_TONES - 1, LEVELS.shape[1] - 1) == tones.N_CODES - 1 < ENTRIES


def test_a_tone_of_which_nothing_more_is_said_falls_silent():
    codes = torch.full((1, 3, LIFE + 5), SILENCE)
    codes[0, 0, 2] = code(40, 2)
    sounds = tones.decode(codes)[0, 40] > 0
    assert sounds.nonzero().ravel().tolist() == list(range(2, 3 + LIFE))
    codes[0, 1, LIFE] = code(40, 2)
    assert tones.decode(codes)[0, 40, 2:].all()


def test_every_entry_can_be_decoded():
    assert tones.decode(torch.full((1, 3, 2), ENTRIES - 1))[0, -1].tolist() == pytest.approx([0.945] * 2)


def test_tones_that_begin_together_are_there_in_a_few_frames_and_end_as_soon():
    """Six tones, then six others: twelve codes, four frames at three codes each."""
    levels = torch.zeros(1, N_TONES, 60)
    first, second = [30, 34, 37, 42, 50, 55], [32, 36, 39, 44, 52, 57]
    levels[:, first, :30], levels[:, second, 30:] = 0.9, 0.9
    back = tones.decode(tones.encode(levels))
    off = RANGE_DB * (back - levels).abs()
    assert off[..., 4 : 30 - AHEAD].max() < 3 and off[..., 34:].max() < 3  # dB


def test_what_is_said_again_mends_what_was_lost():
    levels = torch.zeros(1, N_TONES, 100)
    levels[:, [30, 37, 42]] = 0.9
    codes = tones.encode(levels)
    codes[..., :10] = SILENCE  # the beginning never came
    assert (tones.decode(codes)[..., -1] - levels[..., -1]).abs().max() * RANGE_DB < 3


@pytest.fixture(scope="module")
def sound():
    """Noise [batch, N_NOISE, frame] and loudness [batch, 1, frame] that change at random."""
    rng = np.random.default_rng(0)
    loudness = 0.5 + rng.normal(0, 0.02, (4, 1, 200)).cumsum(2)
    noise = 0.4 + rng.normal(0, 0.05, (4, N_NOISE, 200))
    return torch.from_numpy(noise).float().clamp(0), torch.from_numpy(loudness).float().clamp(0, 1)


@pytest.fixture(scope="module")
def entries(sound):
    found = air.learn(*sound, ENTRIES)
    assert found.shape == (ENTRIES, air.WIDTH)
    return found


def test_loudness_and_noise_are_followed(sound, entries):
    codes, _ = air.encode(*sound, entries)
    assert codes.shape == (4, 200) and 0 <= codes.min() and codes.max() < ENTRIES
    noise, loudness = air.decode(codes, entries)
    assert noise.shape == sound[0].shape and loudness.shape == sound[1].shape
    assert 85 * (loudness - sound[1])[..., 5:].abs().mean() < 1.5  # dB
    assert (noise - sound[0])[..., 5:].abs().mean() < sound[0].std()


def test_what_a_decoder_missed_is_forgotten(sound, entries):
    """Two states that differ come together by `STEP` of their distance a frame."""
    codes, _ = air.encode(*sound, entries)
    other = codes.clone()
    other[:, 0] = (other[:, 0] + 1) % ENTRIES
    apart = [torch.cat(air.decode(x, entries), 1) for x in (codes, other)]
    gap = (apart[0] - apart[1]).abs().amax((0, 1))
    assert gap[0] > 0 and gap[20] <= gap[0] * (1 - air.STEP) ** 20 + 1e-6
