"""The renderer keeps its level, and analysis and resynthesis keep a tone where it is."""

import numpy as np
import pytest
import torch

from etude.corpus import draw
from etude.factors import FACTORS, LEVEL_DB
from etude.render import REFERENCE_DB, SAMPLE_RATE, render, to_level
from etude.spectral import FLOOR_DB, HOP, LOWEST_MIDI, N_FEATURES, N_TONES, Spectral


@pytest.fixture(scope="module")
def spectral():
    return Spectral()


def decibels(x):
    return 20 * np.log10(np.sqrt(np.mean(np.asarray(x, float) ** 2)))


def test_the_level_factor_sets_the_rms_exactly():
    _, factors, piece = draw("factorial", 0, 901)
    for level, db in enumerate(LEVEL_DB):
        audio = render(factors | {"level": level}, piece, 2.0)
        assert audio.shape == (2 * SAMPLE_RATE,) and audio.dtype == np.float32
        assert abs(decibels(audio) - (REFERENCE_DB + db)) < 0.01
        assert np.abs(audio).max() < 1, "full scale is 1"
    assert not to_level(np.zeros(100, np.float32), 0.0).any()


def test_rendering_is_deterministic_and_hears_the_timbre():
    _, factors, piece = draw("factorial", 1, 901)
    a = render(factors, piece, 2.0)
    assert np.array_equal(a, render(factors, piece, 2.0))
    for timbre in range(len(FACTORS["timbre"])):
        if timbre != factors["timbre"]:
            assert np.abs(a - render(factors | {"timbre": timbre}, piece, 2.0)).max() > 1e-3


def test_shapes(spectral):
    features = spectral.analyse(torch.zeros(2, 3 * HOP + 1))
    assert features.shape == (2, N_FEATURES, 4)
    assert spectral.synthesise(features).shape == (2, 4 * HOP)


def test_silence_stays_silent(spectral):
    features = spectral.analyse(torch.zeros(1, SAMPLE_RATE))
    assert (features == FLOOR_DB).all()
    assert not spectral.synthesise(features).any()


@pytest.mark.parametrize("midi", [40, 52, 60, 69, 76, 88, 100])
@pytest.mark.parametrize("level", [-12.0, -40.0])
def test_a_pure_tone_comes_back_at_its_pitch_and_level(spectral, midi, level):
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = 10 ** (level / 20) * np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * t)
    features = spectral.analyse(torch.from_numpy(tone).float()[None])
    inner = features[0, :, 10:-10]
    assert (inner[:N_TONES].argmax(0) == midi - LOWEST_MIDI).all()
    assert (inner[midi - LOWEST_MIDI] - level).abs().max() < 0.5
    back = spectral.synthesise(features)[0, 10 * HOP : -10 * HOP].numpy()
    assert abs(decibels(back) - (level - 3.01)) < 0.7
    again = spectral.analyse(torch.from_numpy(back)[None])[0, :, 10:-10]
    assert (again[:N_TONES].argmax(0) == midi - LOWEST_MIDI).all()


def test_noise_comes_back_as_loud_noise(spectral):
    noise = 0.05 * torch.randn(1, 2 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    bands = spectral.analyse(noise)[0, N_TONES:, 10:-10].mean(1)
    assert bands.min() > FLOOR_DB + 20
    only_noise = torch.full((1, N_FEATURES, 100), FLOOR_DB)
    only_noise[0, N_TONES:] = bands[:, None]
    assert abs(decibels(spectral.synthesise(only_noise)) - decibels(noise)) < 2
