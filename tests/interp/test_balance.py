"""Clips are left out until two measured numbers are uncorrelated, and no more of them than needed."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.stats.balance import uncorrelated

RNG = np.random.default_rng(0)
TEMPO, OWN = RNG.standard_normal((2, 300))


def test_what_is_left_is_uncorrelated_and_most_of_the_clips():
    energy = OWN + 0.4 * TEMPO
    kept = uncorrelated(energy, TEMPO)
    assert abs(np.corrcoef(energy, TEMPO)[0, 1]) > 0.25
    assert abs(np.corrcoef(energy[kept], TEMPO[kept])[0, 1]) <= 0.01
    assert 240 < len(kept) < 300 and (np.diff(kept) > 0).all()


def test_uncorrelated_numbers_lose_no_clip():
    square = np.array([(a, b) for a in (0, 1, 2) for b in (0, 1, 2)]).T
    assert uncorrelated(*square).tolist() == list(range(9))


def test_a_subset_still_shows_what_one_does_to_the_other():
    """Unlike the residual: tempo adds 0.4 to energy, and a line fitted to both still says so."""
    x, noise = RNG.standard_normal((2, 300))
    features = np.stack([TEMPO, x], axis=1)  # x is the cause of energy beside tempo
    energy = x + 0.4 * TEMPO + 0.1 * noise
    kept = uncorrelated(energy, TEMPO)
    weights = np.linalg.lstsq(features[kept] - features[kept].mean(0), energy[kept], rcond=None)[0]
    assert weights[0] == pytest.approx(0.4, abs=0.1)


def test_bad_input():
    with pytest.raises(InterpError, match="so closely"):
        uncorrelated(TEMPO, TEMPO)
    with pytest.raises(InterpError, match="finite and differ"):
        uncorrelated(np.ones(300), TEMPO)
