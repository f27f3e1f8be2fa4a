"""Pairs differ in one thing, by their labels and by their sound; what does not is refused."""

import pytest
import torch

import interp
from interp import Clip, InterpError
from interp.corpora import Corpus, Samples
from interp.pairs import measure, one_word_apart, paired, pairs, prompt_pairs

RATE = 16_000


def tone(decibels: float, hertz: float = 440.0) -> Samples:
    wave = 0.1 * 10 ** (decibels / 20) * torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE)
    return Samples(wave[None], RATE)


def clip(piece: str, level: int, audio=None, **labels) -> Clip:
    return Clip(
        f"{piece}-{level}", audio or tone(0), group=piece, labels={"level": level, "key": "C", **labels}
    )


LOUDER = Corpus(
    "louder",
    [
        clip(f"p{i}", k, tone(6.0 * k, hertz), key=f"k{i}")
        for i, hertz in enumerate((220, 330, 440))
        for k in (0, 1, 2)
    ],
)


# --- by labels ---


def test_pairs_are_aligned():
    found = pairs(LOUDER, "level", 0, 2)
    assert found.base.ids == ["p0-0", "p1-0", "p2-0"] and found.counterfactual.ids == ["p0-2", "p1-2", "p2-2"]
    assert found.base.groups == found.counterfactual.groups and found.cue == "level"
    again = pairs(LOUDER[::-1], "level", 2, 0)  # whatever the order in the corpus
    assert again.base.ids == ["p2-2", "p1-2", "p0-2"] and again.counterfactual.groups == ["p2", "p1", "p0"]


def test_variants_of_composed_pieces_are_pairs():
    found = pairs(interp.corpus("factorial", n=4, seed=1, vary="mode"), "mode", 0, 1)
    assert len(found.base) == 4 and set(found.counterfactual.column("mode")) == {1}


@pytest.mark.parametrize(
    "request_, said",
    [
        (lambda: pairs(LOUDER, "tempo", 0, 1), "Unknown column 'tempo'; valid: .*level, key"),
        (lambda: pairs(LOUDER, "level", 1, 1), "two levels of level, not 1 twice"),
        (lambda: pairs(LOUDER, "level", 0, 7), "p0 is there 0 times with level 7, so it makes no pair"),
        (lambda: pairs(LOUDER[:-1], "level", 0, 2), "p2 is there 0 times with level 2"),
        (lambda: pairs(interp.corpus("factorial", n=3), "tempo", 0, 4), "has with vary='tempo'"),
        (lambda: paired(LOUDER[:2], LOUDER[:3], "level"), "2 clips and 3 are no pairs"),
        (lambda: paired(LOUDER[[0]], LOUDER[[4]], "level"), "one is of p0, the other of p1"),
        (lambda: paired(LOUDER[[0]], LOUDER[[0]], "level"), "but differ in nothing that is labelled"),
        (
            lambda: paired(Corpus("a", [clip("p", 0)]), Corpus("b", [clip("p", 1, key="D")]), "level"),
            "p-0 and p-1 must differ in level alone, but differ in level, key",
        ),
        (
            lambda: paired(Corpus("a", [clip("p", 0)]), Corpus("b", [clip("p", 1, more=1)]), "level"),
            "but differ in level, more",
        ),
        (lambda: paired(LOUDER[[0]], LOUDER[[1]], "key"), "must differ in key alone, but differ in level"),
    ],
)  # fmt: skip
def test_what_is_no_pair_is_refused(request_, said):
    with pytest.raises(InterpError, match=said):
        request_()


def test_a_piece_that_is_there_twice_makes_no_pair():
    twice = Corpus("twice", [*LOUDER, Clip("copy", tone(0), group="p0", labels={"level": 0, "key": "k0"})])
    with pytest.raises(InterpError, match="p0 is there 2 times with level 0"):
        pairs(twice, "level", 0, 1)


# --- by measurement ---


def test_a_change_of_level_is_measured_and_moves_nothing_else():
    found = measure(pairs(LOUDER, "level", 0, 2))
    assert found.holds and found.others == []
    change = found.differences["level"]
    assert (change.estimate, change.low, change.high) == pytest.approx((12, 12, 12), abs=1e-3)
    assert found.differences["pitch"].estimate == 0 and found.counts["level"] == 3
    assert found.counts["tempo"] == 0 and "tempo" not in found.differences  # a held note has none
    frame = found.frame()
    assert (
        frame.loc["level, dB full scale", ""] == "the cue" and frame.loc["level, dB full scale", "pairs"] == 3
    )


def test_a_cue_that_fell_does_not_hold():
    assert not measure(pairs(LOUDER, "level", 2, 0)).holds


def test_what_moves_along_is_named():
    """The labels claim a change of level alone, but every piece is an octave higher too."""
    clips = [
        clip(f"p{i}", k, tone(6.0 * k, hertz * 2**k))
        for i, hertz in enumerate((220, 330, 440))
        for k in (0, 1)
    ]
    found = measure(pairs(Corpus("higher too", clips), "level", 0, 1))
    assert found.holds and {"pitch", "centroid"} <= set(found.others)
    assert found.differences["pitch"].estimate == pytest.approx(12, abs=0.34)
    assert found.frame().loc["pitch, MIDI note number", ""] == "moved"


def test_differences_are_within_pieces():
    """However much pieces differ from each other, the interval is that of the change."""
    clips = [clip(f"p{i}", k, tone(-20.0 * i + 3 * k)) for i in range(3) for k in (0, 1)]
    found = measure(pairs(Corpus("far apart", clips), "level", 0, 1))
    assert found.differences["level"].low > 2.9
    assert found.frame().loc["level, dB full scale", "in spreads"] == pytest.approx(3 / 20, abs=0.01)


@pytest.mark.parametrize(
    "cue, high, n", [("tempo", 4, 4), ("register", 5, 16), ("level", 4, 4), ("articulation", 3, 8)]
)
def test_composed_pieces_hold(cue, high, n):
    """Register takes more pieces than others: where the accompaniment is high, it hides a low melody."""
    found = measure(pairs(interp.corpus("factorial", n=n, seed=3, seconds=4, vary=cue), cue, 0, high))
    assert found.holds
    if cue == "level":
        assert found.differences["level"].estimate == pytest.approx(20, abs=1e-3)
        assert found.others == []


def test_a_cue_without_a_descriptor_is_refused():
    variants = pairs(interp.corpus("factorial", n=2, vary="cadence"), "cadence", "plagal", "authentic")
    with pytest.raises(InterpError, match="Unknown cue 'cadence'; valid: mode, tempo"):
        measure(variants)


# --- prompts ---


def test_prompts_that_differ_in_one_word():
    made = prompt_pairs("happy", "sad", ["{} music", "slow {} piano"])
    assert made == [("happy music", "sad music"), ("slow happy piano", "slow sad piano")]
    assert one_word_apart("a slow tune", "a fast tune") == ("slow", "fast")


@pytest.mark.parametrize(
    "request_, said",
    [
        (lambda: prompt_pairs("happy", "sad", ["music"]), "must have exactly one {}"),
        (lambda: prompt_pairs("happy", "sad", ["{} and {} music"]), "must have exactly one {}"),
        (lambda: prompt_pairs("happy", "sad", "{} music"), "templates must be a list"),
        (lambda: prompt_pairs("happy", "happy", ["{} music"]), "they differ in 0 words"),
        (lambda: prompt_pairs("very happy", "very sad and", ["{} music"]), "they differ in length"),
        (lambda: prompt_pairs("upbeat happy", "slow sad", ["{} music"]), "they differ in 2 words"),
        (lambda: one_word_apart("slow sad music", "fast happy music"), "they differ in 2 words"),
    ],
)
def test_prompts_that_differ_otherwise_are_refused(request_, said):
    with pytest.raises(InterpError, match=said):
        request_()
