"""Baselines see the same clips as the model, in the same order, and only what they are said to see."""

import numpy as np
import pytest

import interp
from interp.errors import InterpError
from interp.probe import baselines


@pytest.fixture(scope="module")
def clips(model):
    return model.generate(["calm", "sad piano", "calm"], seconds=1.5, batch_size=3, progress=False)


def test_codec_embeddings_are_the_input_of_the_first_block(model, clips):
    x = baselines.codec_embeddings(model, clips)
    acts = interp.capture(model, clips, sites=("resid.pre",), rows="cond")
    assert x == pytest.approx(acts.pooled("resid.pre").numpy(), abs=1e-5)  # whatever the words


def test_text_embeddings_know_the_words_and_nothing_else(model, clips):
    x = baselines.text_embeddings(model, clips)
    assert x.shape == (3, model.d_model) and x[0] == pytest.approx(x[2], abs=1e-6)
    assert np.abs(x[0] - x[1]).max() > 1e-3
    alone = baselines.text_embeddings(model, clips[[0]])  # padding has no part in the mean
    assert alone[0] == pytest.approx(x[0], abs=1e-5)


def test_descriptors_are_one_row_a_clip_without_gaps(model, clips):
    x = baselines.acoustic_descriptors(model, clips)
    assert len(x) == 3 and np.isfinite(x).all()


def test_several_at_once(model, clips):
    found = baselines.features(model, clips, ["codec embeddings", "text embeddings"])
    assert {name: len(x) for name, x in found.items()} == {"codec embeddings": 3, "text embeddings": 3}
    with pytest.raises(InterpError, match="valid: codec embeddings"):
        baselines.features(model, clips, ["codec"])


@pytest.mark.slow
def test_the_random_twin_of_etude_is_another_model():
    model = interp.load("etude", device="cpu")
    clips = model.generate(["calm", "angry"], seconds=1, progress=False)
    one, other = (baselines.random_twin(model, clips, seed) for seed in (0, 1))
    assert one.shape == (2, model.d_model) and not np.allclose(one, other)
