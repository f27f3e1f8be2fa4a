"""The stimuli of Eerola, Friberg & Bresin (2013), composed anew: their design, in notes and in sound."""

import numpy as np
import pytest
import torch

import interp
from etude.eerola import MELODIES, Stimulus
from etude.factors import (
    CUES,
    GATE,
    GRAPHS,
    LEVEL_DB,
    NOTES_PER_SECOND,
    QUADRANTS,
    REGISTER_MIDI,
    TONICS,
)
from interp import people
from interp.descriptors import MAJOR, MINOR, describe
from interp.people.agreement import agreement

MIDDLE = Stimulus(
    mode=1,
    tempo=2,
    register=2,
    level=2,
    articulation=2,
    timbre="flute",
    melody="happy",
    seconds=6.0,
    tonics=tuple(range(12)),
    accompaniment=True,
)


def varied(**changes) -> Stimulus:
    return Stimulus(**{**vars(MIDDLE), **changes})


def melody_of(stimulus: Stimulus) -> list:
    return [note for note in stimulus.notes if note.channel == 0]


# --- the weights that étude's graphs hold, against people's ---


@pytest.mark.parametrize("name, expected", [("etude", 0.55), ("etude-alt", -0.17)])
def test_built_in_weights_on_the_scale_of_hypothesis_c1(name, expected):
    """Hypothesis C1 states these numbers. An emotion word pushes a cue by valence · v + arousal · a."""
    graph, quadrants = GRAPHS[name], {"happy": 1, "scary": 2, "sad": 3, "peaceful": 4}
    emotions = np.array([QUADRANTS[quadrants[emotion]] for emotion in people.EMOTIONS])  # valence, arousal
    built_in = emotions @ np.array([[graph.v[cue] for cue in CUES], [graph.a[cue] for cue in CUES]])
    found = agreement(built_in, people.weights(people.ratings(), people.design()))
    assert found.interval.estimate == pytest.approx(expected, abs=0.005)
    assert found.test.null.std() == pytest.approx(0.2, abs=0.01)
    assert (found.interval.low > 0.3) == (name == "etude")
    assert (found.interval.high < 0.3) == (name == "etude-alt")


# --- the corpus ---


def test_the_corpus_has_the_design_of_the_study():
    assert people.CUES == CUES and set(people.MELODIES) == set(MELODIES)
    corpus = interp.corpus("eerola2013", seconds=2)
    own, study = people.Design.of(corpus), people.design()
    np.testing.assert_array_equal(own.cues, study.cues)
    np.testing.assert_array_equal(own.covariates, study.covariates)
    assert own.groups == study.groups and corpus.groups == corpus.ids and len(corpus) == 200
    assert corpus[0].valence is corpus[0].quadrant is None  # ratings belong to the study's own sounds


def test_people_and_a_model_go_through_one_function():
    """A 'model' that has the listeners' ratings as readings has their weights."""
    corpus = interp.corpus("eerola2013")
    model = people.weights(people.ratings(), people.Design.of(corpus))
    human = people.weights(people.ratings(), people.design())
    found = agreement(model, human)
    assert model.groups == human.groups and found.cosine == pytest.approx(1) and found.rmse == 0


def test_digests_tell_all_stimuli_apart_without_a_sound(monkeypatch):
    monkeypatch.setattr("etude.eerola.synthesise", lambda *_: pytest.fail("rendered"))
    corpora = [interp.corpus("eerola2013", **how) for how in ({}, {"seconds": 4}, {"accompaniment": False})]
    assert len({clip.audio.digest for corpus in corpora for clip in corpus}) == 600
    assert corpora[0].hash == interp.corpus("eerola2013").hash


def test_a_clip_is_as_long_as_asked_for_and_not_clipped():
    sound, rate = varied(level=4, seconds=1.5).read()
    assert sound.shape == (1, 1.5 * rate) and sound.dtype == torch.float32 and sound.abs().max() < 1


@pytest.mark.parametrize(
    "options, said",
    [
        ({"seconds": 0}, "seconds must be"),
        ({"tonics": []}, "tonics is an empty list"),
        ({"tonics": [0, 12]}, "pitch classes, whole numbers from 0"),
        ({"n": 3}, "cannot be loaded so"),
    ],
)
def test_bad_requests(options, said):
    with pytest.raises(interp.InterpError, match=said):
        interp.corpus("eerola2013", **options)


# --- the notes ---


@pytest.mark.parametrize("name", MELODIES)
def test_a_melody_has_four_notes_in_four_slots(name):
    for _, bar in MELODIES[name]:
        assert len(bar) == 4 and sum(length for _, length in bar) == 4


@pytest.mark.parametrize("tempo", range(5))
def test_notes_per_second_are_the_study_s(tempo):
    slot = 1 / NOTES_PER_SECOND[tempo]
    melody = melody_of(varied(tempo=tempo, seconds=16 * slot))
    assert len(melody) == 16


def test_register_is_the_mean_pitch_of_the_melody_to_half_a_semitone():
    whole = 16 / NOTES_PER_SECOND[2]
    for name in MELODIES:
        for mode in (0, 1):
            for register, midi in enumerate(REGISTER_MIDI):
                known = varied(mode=mode, register=register, melody=name, seconds=whole)
                mean = np.mean([note.pitch for note in melody_of(known)])
                assert abs(mean - midi) <= 0.5
                few = Stimulus(**{**vars(known), "tonics": TONICS})
                assert few.tonic % 12 in TONICS
                assert abs(np.mean([note.pitch for note in melody_of(few)]) - midi) <= 4


def test_the_same_melody_in_both_modes():
    """Mode moves the third, sixth and seventh degree by a semitone, and no other note."""
    for name in MELODIES:
        major, minor = (varied(mode=mode, melody=name, seconds=5.7) for mode in (1, 0))
        relative = [[note.pitch - sound.tonic for note in sound.notes] for sound in (major, minor)]
        moved = {a % 12: a - b for a, b in zip(*relative, strict=True) if a != b}
        assert set(moved) <= {4, 9, 11} and 4 in moved and set(moved.values()) == {1}


def test_articulation_and_accompaniment():
    legato, staccato = (melody_of(varied(articulation=k)) for k in (0, 3))
    for a, b in zip(legato, staccato, strict=True):
        assert (a.start, a.pitch) == (b.start, b.pitch) and b.length == pytest.approx(GATE[3] * a.length)
    assert melody_of(varied(accompaniment=False)) == varied(accompaniment=False).notes == melody_of(MIDDLE)
    starts = {note.start for note in melody_of(MIDDLE)}
    assert {note.start for note in MIDDLE.notes if note.channel == 1} <= starts  # adds no onset


# --- the sound ---


def heard(stimulus: Stimulus) -> dict[str, float]:
    return describe(*(x.numpy() if isinstance(x, torch.Tensor) else x for x in stimulus.read()))


def test_louder_is_louder_by_the_decibels_of_the_study():
    levels = [heard(varied(level=k, seconds=2.0))["level"] for k in range(5)]
    np.testing.assert_allclose(np.subtract(levels, levels[2]), LEVEL_DB, atol=0.01)


@pytest.mark.parametrize("timbre", people.TIMBRES)
@pytest.mark.parametrize(
    "cue, low, high, descriptor, least",
    [
        ("tempo", 0, 4, "onset_rate", 0.9),  # of 4.8 notes a second: the horn's attacks are slow
        ("register", 1, 4, "pitch", 9),  # of 18 semitones
        ("articulation", 0, 3, "articulation", 0.2),  # share of silence between notes
    ],
)
def test_a_cue_is_heard(timbre, cue, low, high, descriptor, least):
    a, b = (heard(varied(**{cue: level}, timbre=timbre, melody="sad"))[descriptor] for level in (low, high))
    assert b - a > least


@pytest.mark.parametrize("name", MELODIES)
def test_the_notes_fit_the_key_profile_of_their_mode(name):
    for mode in (0, 1):
        stimulus = varied(mode=mode, melody=name, seconds=16 / NOTES_PER_SECOND[2])
        sounding = np.zeros(12)
        for note in stimulus.notes:
            sounding[(note.pitch - stimulus.tonic) % 12] += note.length
        major, minor = (np.corrcoef(sounding, profile)[0, 1] for profile in (MAJOR, MINOR))
        assert (major > minor) == bool(mode)
