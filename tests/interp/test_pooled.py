"""Pooled activations in one file: what is saved comes back, and what does not go together is refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from interp.errors import InterpError
from interp.pooled import Pooled

CLIPS = {"prompt": ["sad music", "music"], "emotion": ["sad", "none"], "quadrant": [3, 0]}


def drawn(clips=2):
    rng = np.random.default_rng(0)
    return {
        # As a model on the hub is called, and layers in an order of their own.
        "facebook/musicgen-small": {
            "in": rng.normal(size=(2, clips, 3)),
            "0": rng.normal(size=(2, clips, 3)),
        },
        "random twin": {layer: rng.normal(size=(2, clips, 4)) for layer in ("10", "9")},
    }


def test_what_is_saved_comes_back(tmp_path):
    vectors = drawn()
    path = Pooled(vectors, CLIPS, {"seconds": 4.0}).save(tmp_path / "own-clips")
    found = Pooled.load(path)
    assert [path.name for path in tmp_path.iterdir()] == ["own-clips"]
    assert found.about == {"seconds": 4.0}
    assert {name: column.tolist() for name, column in found.clips.items()} == CLIPS
    assert list(found.vectors) == list(vectors)
    for model, layers in vectors.items():
        assert list(found.vectors[model]) == list(layers)
        for layer, x in layers.items():
            assert found.vectors[model][layer].dtype == np.float32
            np.testing.assert_array_equal(found.vectors[model][layer], x.astype(np.float32))
    sad = found.clips["emotion"] == "sad"
    assert found.vectors["random twin"]["9"][1][sad].shape == (1, 4)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InterpError, match=r"Layer in of facebook/musicgen-small has vectors \[2, 3, 3\]"):
        Pooled(drawn(clips=3), CLIPS)
    with pytest.raises(InterpError, match="one value a clip each"):
        Pooled(drawn(), CLIPS | {"quadrant": [3]})


def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    (tmp_path / "torn").write_bytes(b"\0" * 3)
    for name in ("other", "torn", "missing"):
        with pytest.raises(InterpError, match=f"Cannot read pooled activations from .*{name}"):
            Pooled.load(tmp_path / name)
