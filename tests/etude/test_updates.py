"""Codes that set single tones of a state: what one says, and what a few frames of them add up to."""

import numpy as np
import pytest
import torch

from etude.codec import ENTRIES, TONE_RANGE_DB
from etude.evaluation.codec import chroma, correlation, render_tune
from etude.spectral import FLOOR_DB, N_FEATURES, N_TONES
from etude.updates import (
    AHEAD,
    LEVELS,
    UpdateCodec,
    decode_air,
    decode_tones,
    encode_air,
    encode_tones,
    learn,
)

SILENCE = 0  # tone 0 has level 0


def code(tone, level):
    return tone * LEVELS.shape[1] + level


def test_a_code_sets_a_tone_to_a_level_and_it_stays():
    codes = torch.full((1, 3, 6), SILENCE)
    codes[0, 1, 2], codes[0, 2, 4] = code(40, 3), code(40, 0)
    tones = decode_tones(codes)
    assert tones[0, 40].tolist() == pytest.approx([0, 0, 0.81, 0.81, 0, 0])
    assert tones.sum() == pytest.approx(2 * 0.81)
    assert code(N_TONES - 1, LEVELS.shape[1] - 1) < ENTRIES


def test_every_entry_can_be_decoded():
    assert decode_tones(torch.full((1, 3, 2), ENTRIES - 1))[0, -1].tolist() == pytest.approx([0.945] * 2)


def test_tones_that_begin_together_are_there_in_a_few_frames_and_end_as_soon():
    """Six tones, then six others: twelve updates, four frames at three updates each."""
    tones = torch.zeros(1, N_TONES, 60)
    first, second = [30, 34, 37, 42, 50, 55], [32, 36, 39, 44, 52, 57]
    tones[:, first, :30], tones[:, second, 30:] = 0.9, 0.9
    back = decode_tones(encode_tones(tones))
    step = TONE_RANGE_DB * (back - tones).abs()
    assert step[..., 4 : 30 - AHEAD].max() < 3 and step[..., 34:].max() < 3  # dB


def test_what_is_repeated_mends_what_was_lost():
    tones = torch.zeros(1, N_TONES, 100)
    tones[:, [30, 37, 42]] = 0.9
    codes = encode_tones(tones)
    codes[..., :10] = SILENCE  # the beginning never came
    assert (decode_tones(codes)[..., -1] - tones[..., -1]).abs().max() * TONE_RANGE_DB < 3


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Entries learnt on noise and loudness that change at random."""
    rng = np.random.default_rng(0)
    features = np.full((4, N_FEATURES, 200), FLOOR_DB, np.float16)
    features[:, 40] = -40 + rng.normal(0, 0.5, (4, 200)).cumsum(1)
    features[:, N_TONES:] = -60 + rng.normal(0, 3, (4, 16, 200))
    path = tmp_path_factory.mktemp("updates") / "corpus.npz"
    np.savez(path, features=features)
    return learn([path])


def test_loudness_is_followed_by_its_changes(book):
    assert book.shape == (ENTRIES, 17)
    loudness = 0.5 + 0.1 * torch.linspace(0, 6, 100).sin()[None, None]
    noise = torch.full((1, 16, 100), 0.3)
    codes, _ = encode_air(noise, loudness, book)
    back = decode_air(codes, book)[1]
    assert back.shape == loudness.shape and 85 * (back - loudness).abs().mean() < 1  # dB


@torch.no_grad()
def test_a_tune_keeps_its_chroma(book):
    audio = render_tune((4, "clarinet"))[: 4 * 16_000]
    codec = UpdateCodec(book)
    codes, _ = codec.encode(torch.from_numpy(audio)[None, None])
    assert codes.shape == (1, 4, 200) and 0 <= codes.min() and codes.max() < ENTRIES
    assert correlation(chroma(audio), chroma(codec.decode(codes)[0, 0].numpy())) > 0.9
