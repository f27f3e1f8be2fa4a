"""The composer's pieces as corpora: clip i depends on name, seed and i alone, and every factor is known."""

import numpy as np
import pytest
import torch

import interp
from etude.clips import Render
from etude.corpus import draw
from etude.factors import CUES, FACTORS, QUADRANTS
from etude.render import render

SHORT = dict(seconds=0.5)


def same_sound(a, b) -> bool:
    return torch.equal(a.waveform(16_000), b.waveform(16_000))


@pytest.mark.parametrize("name", ["etude", "etude-alt", "factorial"])
def test_a_corpus_is_the_beginning_of_a_larger_one(name):
    few, many = interp.corpus(name, n=3, seed=5, **SHORT), interp.corpus(name, n=6, seed=5, **SHORT)
    assert [clip.record for clip in few] == [clip.record for clip in many[:3]]
    assert all(same_sound(a, b) for a, b in zip(few, many, strict=False))
    assert few.hash == many[:3].hash != many.hash


def test_seeds_and_names_share_no_piece():
    corpora = [interp.corpus(name, n=20, seed=seed) for name in ("etude", "factorial") for seed in (0, 1)]
    ids = [clip.id for corpus in corpora for clip in corpus]
    sounds = [clip.audio.digest for corpus in corpora for clip in corpus]
    assert len(set(ids)) == len(set(sounds)) == 80


def test_nothing_is_rendered_before_it_is_heard(monkeypatch):
    monkeypatch.setattr("etude.clips.render", lambda *_: pytest.fail("rendered"))
    corpus = interp.corpus("factorial", n=50)
    assert len(corpus.hash) == 64 and len(corpus.column("key")) == 50


def test_labels_are_the_factors_that_were_drawn():
    for index, clip in enumerate(interp.corpus("etude", n=8, seed=3)):
        quadrant, factors, piece = draw("etude", index, 3)
        assert (clip.valence, clip.arousal) == QUADRANTS[quadrant] and clip.quadrant == quadrant
        assert set(clip.labels) == set(FACTORS)
        assert all(clip.labels[cue] == factors[cue] for cue in CUES)  # low to high: legato is 0
        assert clip.labels["timbre"] == FACTORS["timbre"][factors["timbre"]]
        assert clip.labels["key"] == "CDE"[factors["key"]]
        assert clip.audio == Render(tuple(factors.values()), piece, 8.0)


def test_a_clip_sounds_as_the_training_corpus_does():
    _, factors, piece = draw("factorial", 2, 9)
    clip = interp.corpus("factorial", n=3, seed=9, **SHORT)[2]
    np.testing.assert_array_equal(clip.waveform(16_000)[0], render(factors, piece, 0.5))
    assert clip.valence is clip.arousal is clip.quadrant is None


def test_variants_differ_in_one_factor():
    corpus = interp.corpus("etude", n=2, seed=1, vary="tempo", **SHORT)
    plain = interp.corpus("etude", n=2, seed=1, **SHORT)
    assert len(corpus) == 2 * 5 and sorted(set(corpus.groups)) == sorted(plain.ids)
    for piece in plain:
        variants = [clip for clip in corpus if clip.group == piece.id]
        assert [clip.labels["tempo"] for clip in variants] == [0, 1, 2, 3, 4]
        others = [{k: v for k, v in clip.labels.items() if k != "tempo"} for clip in variants]
        assert all(other == others[0] for other in others)
        assert {clip.quadrant for clip in variants} == {piece.quadrant}
        assert same_sound(variants[piece.labels["tempo"]], piece)  # one of them is the piece itself
        assert not same_sound(variants[0], variants[4])


def test_digests_tell_sounds_apart():
    clip = Render((0,) * len(FACTORS), 7, 0.5)
    assert clip.digest == Render((0,) * len(FACTORS), 7, 0.5).digest
    others = [
        Render((1,) + clip.levels[1:], 7, 0.5),
        Render(clip.levels, 8, 0.5),
        Render(clip.levels, 7, 0.6),
    ]
    assert len({clip.digest, *(other.digest for other in others)}) == 4


def test_bad_requests():
    for options, said in [
        ({"n": 0}, "n must be a whole number"),
        ({"seed": -1}, "seed must be"),
        ({"seconds": 0}, "seconds must be"),
        ({"vary": "loudness"}, "valid: mode, tempo"),
    ]:
        with pytest.raises(interp.InterpError, match=said):
            interp.corpus("etude", **options)
