"""The interface of the original notes."""

import pytest
import torch

import interp
from interp import ActivationExtractor, cosine_similarity


def test_the_first_experiment_of_the_notes_runs(model):
    model.musicgen.set_generation_params(duration=0.5)
    extractor = ActivationExtractor(model.musicgen, layers=[0, 2], store_on_cpu=True)
    audio = extractor.generate(["upbeat cheerful pop music"])
    happy = extractor.get_activations()
    assert audio.shape == (1, 1, 1600)
    assert list(happy) == ["layer_0", "layer_2"]
    assert happy["layer_2"].shape == (2, 1, 25 - 3, model.d_model)  # guidance, clip, all clean steps, width
    extractor.clear_activations()
    with pytest.raises(interp.InterpError, match="generate"):
        extractor.get_activations()
    extractor.generate(["melancholic sad piano ballad"])
    sad = extractor.get_activations()
    assert -1 <= cosine_similarity(happy["layer_2"], sad["layer_2"]) < 0.999999
    assert cosine_similarity(happy["layer_2"], happy["layer_2"]) == pytest.approx(1)


def test_all_steps_count_and_null_rows_do_not():
    first, second = torch.zeros(2, 1, 3, 2), torch.zeros(2, 1, 3, 2)
    first[0, 0] = torch.tensor([[3.0, 0], [0, 3], [0, 0]])  # mean (1, 1); its last step alone would be 0
    second[0, 0, :, 0] = 1.0
    first[1], second[1] = 100.0, -100.0  # null rows
    assert cosine_similarity(first, second) == pytest.approx(0.5**0.5)
    with pytest.raises(interp.InterpError, match="same layer of one model"):
        cosine_similarity(torch.zeros(1, 2), torch.zeros(1, 3))
