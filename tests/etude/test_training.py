"""Trainings learn, and one that was cut off and taken up again ends where it would have ended."""

import numpy as np
import pytest
import torch

from etude import train_codec, train_lm
from etude.factors import FACTORS
from etude.precision import half
from etude.spectral import FLOOR_DB, LOWEST_MIDI, N_FEATURES, N_TONES


@pytest.fixture
def corpus(tmp_path):
    """Features of a few clips in which one tone at a time sounds for a fifth of a second."""
    rng = np.random.default_rng(0)
    features = np.full((6, N_FEATURES, 200), FLOOR_DB, np.float16)
    for clip in features:
        for start in range(0, 200, 10):
            clip[rng.integers(N_TONES), start : start + 10] = -20
    path = tmp_path / "corpus.npz"
    np.savez(path, features=features)
    return path


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


def test_a_codec_cut_off_and_resumed_is_the_codec_of_one_go(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(train_codec, "BATCH", 2)
    monkeypatch.setattr(train_codec, "SAVE_EVERY", 1)
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    train_codec.train([corpus], whole, steps=4)
    cut_off_at(monkeypatch, train_codec, "loss", call=3)
    with pytest.raises(KeyboardInterrupt):
        train_codec.train([corpus], parts, steps=4)
    assert torch.load(parts, weights_only=True)["step"] == 2
    train_codec.train([corpus], parts, steps=4)
    assert_same_weights(whole, parts, "codec")


@pytest.mark.parametrize("agreement", [0, 10])
def test_the_decoder_is_trained_on_codes_that_stay(corpus, tmp_path, monkeypatch, agreement):
    monkeypatch.setattr(train_codec, "BATCH", 2)
    monkeypatch.setattr(train_codec, "WARM_UP", 0)
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    train_codec.train([corpus], first, steps=2)
    train_codec.train([corpus], second, steps=2, start_from=first, agreement=agreement)
    before, after = (torch.load(path, weights_only=True)["codec"] for path in (first, second))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}


def sounding(*pitches, frames=40):
    """Relative tones [1, N_TONES, frame] in which the pitches sound equally loud all the time."""
    tones = torch.zeros(1, N_TONES, frames)
    tones[:, [pitch - LOWEST_MIDI for pitch in pitches]] = 1.0
    return tones


def test_chroma_as_heard_weighs_octaves_about_a5_and_is_largest_at_one():
    loudness = torch.full((1, 1, 40), 0.8)
    classes = train_codec.heard(sounding(81, 57), loudness)[0, :, 20]  # A5 and A3: one class
    assert torch.equal(classes.nonzero().ravel(), torch.tensor([9]))
    two = train_codec.heard(sounding(81, 58), loudness)[0, :, 20]  # A♯3, 23 semitones under A5
    assert two[9] == pytest.approx(1, abs=1e-4) and two[10] == pytest.approx(
        np.exp(-((23 / 24) ** 2) / 2), 1e-3
    )


def test_chroma_as_heard_is_an_average_over_loud_frames():
    """A tone in every other frame is heard a third as much as one that is always there, and all the time."""
    loudness = torch.full((1, 1, 40), 0.8)
    tones = sounding(81)
    tones[:, 81 + 2 - LOWEST_MIDI, ::2] = 1.0
    middle = train_codec.heard(tones, loudness)[0, :, 10:30]
    quiet = loudness.clone()
    quiet[..., ::2] = 0.4  # 34 dB less where both sound
    soft = train_codec.heard(tones, quiet)[0, :, 10:30]
    assert 0.2 < middle[11].min() and middle[11].max() < 0.5
    assert soft[11].max() < 1e-2


def test_correlation_is_pearsons():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, 12, 30, generator=generator)
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    np.testing.assert_allclose(train_codec.correlation(a, b), expected, atol=1e-5)


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


def test_batches_hold_whole_clips_openings_and_second_chords_in_turn(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(train_lm, "BATCH", 2)
    monkeypatch.setattr(train_lm, "SHORT", 40)
    monkeypatch.setattr(train_lm, "SECOND_CHORD", np.array([15]))  # that of the clips' tempo
    monkeypatch.setattr(train_lm, "BEFORE", 6)
    monkeypatch.setattr(train_lm, "AFTER", 2)
    seen, real = [], train_lm.cross_entropy

    def noted(lm, tokens, captions, start, skip):
        seen.append((tuple(tokens.shape), len(captions), start.tolist(), skip))
        return real(lm, tokens, captions, start, skip)

    monkeypatch.setattr(train_lm, "cross_entropy", noted)
    parts = ("whole", 10, "second chord")
    train_lm.train(clips, tmp_path / "lm.pt", steps=4, seed=0, parts=parts)
    whole, opening = ((2, 4, 30), 2, [0] * 2, 0), ((4, 4, 10), 4, [0] * 4, 0)
    assert seen == [whole, opening, ((5, 4, 8), 5, [9] * 5, 5), whole]


def test_a_part_of_a_clip_keeps_its_place_in_the_clip(clips):
    """A model that had no other input than the place would see the same in a part as in the whole."""
    from etude.lm import new_lm

    lm = new_lm(0).eval()
    blind = torch.zeros(1, 4, 30, dtype=torch.int64)
    places = []
    hook = lm.transformer.layers[0].register_forward_pre_hook(lambda _, inputs: places.append(inputs[0]))
    with torch.no_grad():
        for start, length in ((0, 30), (12, 8)):
            at = torch.tensor([start])
            train_lm.cross_entropy(lm, blind[:, :, :length], ["a song"], at)
    hook.remove()
    whole, part = (x[0] for x in places)
    inner = slice(4, 8)  # steps without a special token
    assert torch.allclose(whole[12:20][inner], part[inner], atol=1e-6)
    assert not torch.allclose(whole[:8][inner], part[inner], atol=1e-2)
    assert not lm.transformer._streaming_state


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
