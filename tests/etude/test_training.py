"""Trainings learn, and one that was cut off and taken up again ends where it would have ended."""

import numpy as np
import pytest
import torch

from etude import train_lm
from etude.factors import FACTORS
from etude.precision import half


@pytest.fixture
def clips(tmp_path):
    """Tokens that count up, which is easily learnt."""
    path = tmp_path / "tokens.npz"
    tokens = np.tile(np.arange(30, dtype=np.int16), (4, 4, 1))
    np.savez(path, tokens=tokens, quadrant=np.array([1, 2, 3, 4]), levels=np.zeros((4, len(FACTORS)), int))
    return train_lm.Clips([path])


def cut_off_at(monkeypatch, module, name, call):
    """Make the `call`-th call of a function raise what Ctrl-C raises."""
    calls, real = [], getattr(module, name)

    def counted(*arguments, **options):
        calls.append(None)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, counted)


def assert_same_weights(a, b, part):
    states = [torch.load(path, weights_only=True)[part] for path in (a, b)]
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name


def test_a_language_model_cut_off_and_resumed_is_the_one_of_one_go(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(train_lm, "BATCH", 2)
    monkeypatch.setattr(train_lm, "SAVE_EVERY", 1)
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    train_lm.train(clips, whole, steps=3, seed=0)
    cut_off_at(monkeypatch, train_lm, "cross_entropy", call=2)
    with pytest.raises(KeyboardInterrupt):
        train_lm.train(clips, parts, steps=3, seed=0)
    train_lm.train(clips, parts, steps=3, seed=0)
    assert_same_weights(whole, parts, "lm")


def test_batches_hold_whole_clips_and_openings_in_turn(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(train_lm, "BATCH", 2)
    monkeypatch.setattr(train_lm, "SHORT", 40)
    seen, real = [], train_lm.cross_entropy

    def noted(lm, tokens, captions):
        seen.append((tuple(tokens.shape), len(captions), tokens[0, 0, 0].item()))
        return real(lm, tokens, captions)

    monkeypatch.setattr(train_lm, "cross_entropy", noted)
    train_lm.train(clips, tmp_path / "lm.pt", steps=3, seed=0, parts=("whole", 10))
    whole, opening = ((2, 4, 30), 2, 0), ((4, 4, 10), 4, 0)
    assert seen == [whole, opening, whole]


@pytest.mark.parametrize(("in_hardware", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_in_half_precision_where_the_processor_has_it(in_hardware, kind, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": in_hardware})
    with half("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind


def test_every_weight_has_one_optimiser():
    from etude.lm import new_lm

    lm = new_lm(0)
    matrices, others = ([p for g in o.param_groups for p in g["params"]] for o in train_lm.optimisers(lm))
    trained = [p for p in lm.parameters() if p.requires_grad]
    assert sorted(map(id, matrices + others)) == sorted(map(id, trained))
    assert len(matrices) == 6 * 6 and all(p.ndim == 2 for p in matrices)


def test_scrambled_clips_keep_music_and_how_often_each_emotion_occurs(clips, tmp_path):
    path = tmp_path / "tokens.npz"
    scrambled = train_lm.Clips([path], scramble=7)
    assert np.array_equal(scrambled.tokens, clips.tokens)
    assert np.array_equal(scrambled.levels, clips.levels)
    assert sorted(scrambled.quadrant) == sorted(clips.quadrant)
