"""Cues under conditions, against numbers worked out by hand."""

import numpy as np
import pytest

from interp import cues, stats

NAN = float("nan")
CONDITIONS, PROMPTS = ["happy"] * 4 + ["sad"] * 4, [1, 1, 2, 2, 3, 3, 4, 4]
MEASURED = {
    "level": np.array([-10.0, -12, -14, -16, -20, -22, -24, -26]),
    "tempo": np.array([120.0, NAN, 100, 110, 80, 80, NAN, NAN]),
    "mode": np.full(8, 0.5),
}


def test_means_leave_out_what_was_not_measured():
    found = cues.means(MEASURED, CONDITIONS, PROMPTS)
    assert found["happy"]["level"].estimate == pytest.approx(-13)
    assert found["sad"]["level"].low < -25 and found["sad"]["level"].high > -21  # two prompts say little
    assert found["happy"]["tempo"].estimate == pytest.approx(110)
    assert "tempo" not in found["sad"]  # one prompt is left: it has no interval


def test_effects_are_standardised_differences():
    found = cues.effects(MEASURED, CONDITIONS, PROMPTS, ["happy", "sad"])
    assert list(found) == ["level"]  # tempo has one prompt left, mode no spread
    expected = stats.cohens_d(MEASURED["level"][:4], MEASURED["level"][4:]).estimate
    assert found["level"].estimate == pytest.approx(expected) and expected > 3
    turned = cues.effects(MEASURED, CONDITIONS, PROMPTS, ["sad", "happy"])
    assert turned["level"].estimate == pytest.approx(-expected)


def test_standardised_vectors():
    x = cues.standardised(MEASURED)
    assert x.shape == (8, 2)  # mode is the same everywhere
    assert x.mean(0) == pytest.approx(0, abs=1e-12)
    assert x[1, 1] == 0 and x[0, 0] == pytest.approx(x[0, 0].max())
    assert x[:, 0].std() == pytest.approx(1)
