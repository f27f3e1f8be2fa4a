"""Models loaded ahead, for processes that are copied: handed out once, and the same as loaded anew."""

from __future__ import annotations

import torch

import interp


def test_a_prepared_model_is_handed_out_once_and_equals_one_that_is_loaded(checkpoint):
    interp.prepare(str(checkpoint), "cpu")
    interp.prepare(str(checkpoint), "cpu")  # once is enough
    first, second = (interp.load(checkpoint, "cpu") for _ in range(2))
    assert first is not second and first.musicgen is not second.musicgen, "nobody shares a model unawares"
    weights = [dict(model.lm.state_dict()) for model in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    tokens = [model.generate(["happy"], seconds=0.4, seed=3).tokens for model in (first, second)]
    assert torch.equal(*tokens)


def test_what_is_drawn_after_loading_does_not_hang_on_how_it_was_loaded(checkpoint):
    drawn = []
    for ahead in (False, True):
        if ahead:
            interp.prepare(checkpoint, "cpu")
        torch.manual_seed(7)
        interp.load(checkpoint, "cpu")
        drawn.append(torch.randn(3))
    torch.manual_seed(7)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], torch.randn(3))


def test_another_twin_is_another_model(checkpoint):
    interp.prepare(checkpoint, "cpu", twin_seed=1)
    assert interp.load(checkpoint, "cpu").twin_seed is None
    assert interp.load(checkpoint, "cpu", twin_seed=1).twin_seed == 1
