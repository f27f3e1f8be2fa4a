"""Principal angles between layers that are known by construction, and what labels dealt anew give."""

import numpy as np
import pytest

from interp.angles import angles_to_layer
from interp.errors import InterpError

SONGS = 40
RNG = np.random.default_rng(0)
SONG = np.repeat(np.arange(SONGS), 2)
VALENCE, AROUSAL = (RNG.normal(size=SONGS)[SONG] for _ in range(2))
NOTHING = np.zeros(2 * SONGS)


def found(layers, **options):
    return angles_to_layer(layers, "0", VALENCE, AROUSAL, SONG, n=99, **options)


def test_angles_between_planes_by_hand():
    layers = {
        "0": np.column_stack([VALENCE, AROUSAL, NOTHING, NOTHING]),
        "1": np.column_stack([AROUSAL, VALENCE, NOTHING, NOTHING]) * 2 + 1,  # other axes of the same plane
        "2": np.column_stack([VALENCE, AROUSAL, VALENCE, NOTHING]),  # one axis turned half-way out of it
        "3": np.column_stack([NOTHING, NOTHING, VALENCE, AROUSAL]),
    }
    angles = found(layers)
    expected = {"0": [0, 0], "1": [0, 0], "2": [0, 45], "3": [90, 90]}
    for name, at in angles.items():
        assert at.degrees == pytest.approx(expected[name], abs=1e-5), name
    # Where there is only one plane, any labels lie in it: being close says nothing.
    assert angles["1"].null == pytest.approx(np.zeros((99, 2)), abs=1e-5) and angles["1"].p == 1


def test_a_plane_that_is_shared_is_told_from_one_that_is_not():
    noise = RNG.normal(size=(3, 2 * SONGS, 20))
    ours = np.outer(VALENCE, np.eye(20)[0]) + np.outer(AROUSAL, np.eye(20)[1])
    theirs = np.outer(VALENCE, np.eye(20)[2]) + np.outer(AROUSAL, np.eye(20)[3])
    angles = found({"0": ours * 3 + noise[0], "1": ours * 3 + noise[1], "2": theirs * 3 + noise[2]})
    assert angles["1"].degrees.max() < 30 and angles["1"].p == 0.01
    assert angles["2"].degrees.min() > 60 and angles["2"].p > 0.05
    again = found({"0": ours * 3 + noise[0], "1": ours * 3 + noise[1]})
    assert np.array_equal(again["1"].degrees, angles["1"].degrees), "the same seed gives the same halves"


def test_noise_common_to_two_layers_does_not_pass_for_likeness():
    noise = RNG.normal(size=(2 * SONGS, 20))[SONG]  # clips of a song are alike, and stay in one half
    angles = found({"0": noise, "1": noise})
    assert angles["1"].p > 0.05 and angles["1"].degrees.min() > 30


def test_bad_input_is_named():
    x = RNG.normal(size=(2 * SONGS, 4))
    with pytest.raises(InterpError, match="Unknown layer '0'; valid: 1"):
        found({"1": x})
    with pytest.raises(InterpError, match="number of halves must be a whole number, 1 or more"):
        found({"0": x}, splits=0)
    with pytest.raises(InterpError, match="not finite"):
        found({"0": x * np.nan})
