"""Judges: what they go by is exact where it can be, and none votes that was not shown to hear."""

import numpy as np
import pytest

import interp
from interp import judges, people
from interp.errors import InterpError
from interp.judges import ByCorpus, ByNotes, ByPeople, Sounds, judged, validate
from interp.judges.cues import Scale, five_cues
from interp.judges.instruments import Instruments


@pytest.fixture(scope="module")
def music():
    """Composed pieces, as they are: no codec."""
    corpus = interp.corpus("etude", n=100, seed=91, seconds=2.0)
    waveforms = np.stack([clip.audio.read()[0].numpy()[0] for clip in corpus])
    return corpus, Sounds(waveforms, 16_000)


def test_sounds_know_a_triad():
    time = np.arange(32_000) / 16_000
    waves = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in notes) * 0.1
        for notes in ((48, 60, 60, 64, 67, 67), (50, 62, 62, 65, 69, 69))  # C major, D minor
    ]
    sounds = Sounds(np.stack(waves), 16_000)
    assert [key.tonic for key in sounds.keys] == [0, 2]
    assert sounds.keys[0].mode > 0 > sounds.keys[1].mode
    assert sounds.degrees[0].argsort()[-3:].tolist() != sounds.degrees[1].argsort()[-3:].tolist()
    assert set(sounds.degrees[1].argsort()[-3:]) == {0, 3, 7}  # whatever the tonic


def test_sounds_average_channels_and_refuse_other_shapes():
    stereo = np.stack([np.ones((4, 100)), np.zeros((4, 100))], axis=1)
    assert (Sounds(stereo, 8000).waveforms == 0.5).all()
    with pytest.raises(InterpError, match=r"\[clip, sample\]"):
        Sounds(np.zeros(100), 8000)


def test_several_processes_measure_what_one_does(music, monkeypatch):
    monkeypatch.setenv("INTERP_PROCESSES", "2")
    _, alone = music
    together = Sounds(alone.waveforms, alone.sample_rate).measured()
    assert {"cues", "classes", "timbre"} <= vars(together).keys(), "measured, not left for later"
    for cue, values in alone.cues.items():
        np.testing.assert_array_equal(together.cues[cue], values, err_msg=cue)
    np.testing.assert_array_equal(together.timbre, alone.timbre)
    np.testing.assert_array_equal(together.degrees, alone.degrees)
    some = together[3:7]
    assert {"cues", "classes", "timbre"} <= vars(some).keys(), "not measured again"
    np.testing.assert_array_equal(some.cues["level"], alone.cues["level"][3:7])
    np.testing.assert_array_equal(some.degrees, alone.degrees[3:7])


def test_an_unmeasured_cue_is_at_the_mean():
    scale = Scale.of(np.array([[1.0], [3.0], [np.nan]]))
    assert scale(np.array([[1.0], [np.nan], [4.0]])).ravel().tolist() == [-1.0, 0.0, 2.0]
    with pytest.raises(InterpError, match="the same in all"):
        Scale.of(np.ones((3, 1)))


def test_people_weigh_cues_as_in_their_ratings(music):
    _, sounds = music
    judge = ByPeople.on(sounds)
    affect = people.weights(people.composites(people.ratings()), people.design(), ("valence", "arousal"))
    expected = judge.scale(five_cues(sounds)) @ affect.table.T
    np.testing.assert_allclose(judge(sounds), expected)
    assert affect.table[0, 0] == pytest.approx(0.67, abs=0.02), "mode in valence"


def test_judges_hear_composed_emotion(music):
    corpus, sounds = music
    truth = np.column_stack([corpus.column(axis) for axis in judges.AXES])
    learnt, half = slice(0, 60), slice(60, None)
    for judge in (ByPeople.on(sounds[learnt]), ByCorpus.train(sounds[learnt], corpus[learnt])):
        found = validate(judge(sounds[half]), truth[half], corpus[half].groups)
        assert found.correlations["arousal"].estimate > 0.5, judge.name
        assert found.votes("arousal"), judge.name


def test_notes_are_heard_and_weighed():
    time = np.arange(32_000) / 16_000
    high, low = (0.2 * np.sin(2 * np.pi * f * time) * np.exp(-3 * (time % 0.5)) for f in (880.0, 220.0))
    rows = ByNotes._cues(Sounds(np.stack([high, low, np.zeros_like(low)]), 16_000))
    assert rows[0, 2] > rows[1, 2] > 50, "mean pitch, in MIDI note numbers"
    assert rows[2, 1] == 0 and np.isnan(rows[2, [0, 2, 4]]).all(), "no notes in silence"


def test_instruments_are_told_apart(music):
    corpus, sounds = music
    names = corpus.column("timbre")
    recognise = Instruments.train(sounds[:45], names[:45])
    assert (recognise(sounds[45:]) == names[45:]).mean() > 0.6
    pair = ("strings", "piano")
    np.testing.assert_allclose(recognise.leaning(sounds, pair), -recognise.leaning(sounds, pair[::-1]))
    with pytest.raises(InterpError, match="Unknown instrument 'kazoo'"):
        recognise.leaning(sounds, ("kazoo", "piano"))
    with pytest.raises(InterpError, match="two instruments or more"):
        Instruments.train(sounds[:3], ["piano"] * 3)


# --- validity and the vote ---

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((60, 2))
GOOD = TRUTH + 0.3 * RNG.standard_normal((60, 2))
DEAF = RNG.standard_normal((60, 2))
HEARS_ENERGY = TRUTH[:, [1, 1]] + 0.1 * RNG.standard_normal((60, 2))


def validity(**said):
    return {name: validate(x, TRUTH, range(60)) for name, x in said.items()}


def test_a_judge_below_the_threshold_has_no_vote():
    found = validity(good=GOOD, deaf=DEAF, energy=HEARS_ENERGY)
    assert [found["good"].votes(axis) for axis in judges.AXES] == [True, True]
    assert [found["deaf"].votes(axis) for axis in judges.AXES] == [False, False]
    assert [found["energy"].votes(axis) for axis in judges.AXES] == [False, True]
    assert found["energy"].crossed["valence"] > 0.9, "it hears valence as energy"
    alone = judged({"good": GOOD}, {"good": "a"}, found, np.ones(60, bool))
    with_the_deaf = judged({"good": GOOD, "deaf": DEAF}, {"good": "a", "deaf": "b"}, found, np.ones(60, bool))
    np.testing.assert_allclose(alone, with_the_deaf)


def test_judges_of_one_truth_share_a_vote():
    """Two copies of a judge weigh no more than one, if they share their vote."""
    found = validity(a=GOOD, copy=GOOD, other=TRUTH)
    everyone = np.ones(60, bool)
    said = {"a": GOOD, "copy": GOOD, "other": TRUTH}
    shared = judged(said, {"a": "x", "copy": "x", "other": "y"}, found, everyone)
    once = judged({"a": GOOD, "other": TRUTH}, {"a": "x", "other": "y"}, found, everyone)
    np.testing.assert_allclose(shared, once)
    apart = judged(said, {"a": "x", "copy": "z", "other": "y"}, found, everyone)
    assert not np.allclose(apart, once)


def test_judgements_are_in_units_of_the_reference():
    reference = np.arange(60) < 20
    found = judged({"a": 7 * GOOD + 3}, {"a": "x"}, validity(a=GOOD), reference)
    np.testing.assert_allclose(found[reference].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found[reference].std(0, ddof=1), 1)


def test_refusals():
    with pytest.raises(InterpError, match="No judge is good enough to vote on valence .*deaf"):
        judged({"deaf": DEAF}, {"deaf": "x"}, validity(deaf=DEAF), np.ones(60, bool))
    with pytest.raises(InterpError, match="two or more"):
        judged({"a": GOOD}, {"a": "x"}, validity(a=GOOD), np.arange(60) < 1)
    with pytest.raises(InterpError, match="not as many"):
        validate(GOOD[:5], TRUTH, range(60))
    with pytest.raises(InterpError, match="all the same"):
        validate(np.zeros((60, 2)), TRUTH, range(60))


def test_agreement_is_a_table_of_correlations():
    table = judges.agreement({"a": GOOD, "b": GOOD, "c": -GOOD}, "arousal")
    np.testing.assert_allclose(table, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
