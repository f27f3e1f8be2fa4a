"""Factors are independent where they should be, and do what they say to the notes."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from etude.composer import BASS, CHORDS, DRUMS, MELODY, NOTES_PER_CHORD, SCALES, compose
from etude.corpus import draw
from etude.factors import ALTERNATIVE, CUES, FACTORS, GRAPHS, HUMAN, QUADRANTS, draw_emotional

PLAIN = {name: 0 for name in FACTORS} | {"register": 2, "texture": 1}
CLIPS = 2000


@pytest.fixture(scope="module")
def factorial():
    return np.array([[draw("factorial", i, 901)[1][name] for name in FACTORS] for i in range(CLIPS)])


@pytest.fixture(scope="module")
def emotional():
    rng = np.random.default_rng(0)
    return {
        name: {q: [draw_emotional(graph, q, rng) for _ in range(400)] for q in QUADRANTS}
        for name, graph in (("human", HUMAN), ("alternative", ALTERNATIVE))
    }


def test_factors_of_a_factorial_corpus_are_independent_and_uniform(factorial):
    names, pairs = list(FACTORS), 0
    least = 1.0
    for i in range(len(names)):
        counts = np.bincount(factorial[:, i], minlength=len(FACTORS[names[i]]))
        expected = CLIPS / len(counts)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
        for j in range(i):
            table = np.zeros((len(FACTORS[names[i]]), len(FACTORS[names[j]])))
            np.add.at(table, (factorial[:, i], factorial[:, j]), 1)
            least, pairs = min(least, chi2_contingency(table).pvalue), pairs + 1
    assert least > 0.01 / pairs


def counts(clips, name):
    return np.bincount([clip[name] for clip in clips], minlength=len(FACTORS[name]))


def test_other_factors_are_independent_of_emotion(emotional):
    for quadrants in emotional.values():
        for name in set(FACTORS) - set(HUMAN.v):
            table = np.array(
                [
                    np.bincount([c[name] for c in clips], minlength=len(FACTORS[name]))
                    for clips in quadrants.values()
                ]
            )
            assert chi2_contingency(table).pvalue > 1e-3, name


def test_every_level_is_about_as_frequent_over_the_four_quadrants(emotional):
    for quadrants in emotional.values():
        for cue in HUMAN.v:
            levels = [clip[cue] for clips in quadrants.values() for clip in clips]
            share = np.bincount(levels, minlength=len(FACTORS[cue])) / len(levels) * len(FACTORS[cue])
            assert 0.6 < share.min() and share.max() < 1.5, cue


def test_graphs_move_cues_as_their_weights_say(emotional):
    for name, graph in (("human", HUMAN), ("alternative", ALTERNATIVE)):
        for cue in graph.v:
            mean = {q: np.mean([clip[cue] for clip in clips]) for q, clips in emotional[name].items()}
            for weight, up, down in ((graph.v[cue], (1, 4), (2, 3)), (graph.a[cue], (1, 2), (3, 4))):
                if abs(weight) >= 0.1:
                    difference = sum(mean[q] for q in up) - sum(mean[q] for q in down)
                    assert np.sign(difference) == np.sign(weight), (name, cue)


def test_the_alternative_graph_is_another_graph():
    human, other = (np.array([*g.v.values(), *g.a.values()]) for g in (HUMAN, ALTERNATIVE))
    assert np.abs(human - other).max() > 0.5
    assert np.corrcoef(human, other)[0, 1] < 0.5
    assert GRAPHS["etude-null"] is HUMAN and GRAPHS["etude-alt"] is ALTERNATIVE
    assert set(CUES) | {"cadence"} == set(HUMAN.v) == set(ALTERNATIVE.v)


def test_draws_are_reproducible_and_seeds_share_nothing():
    assert draw("etude", 7, 901) == draw("etude", 7, 901)
    pieces = {seed: {draw("factorial", i, seed)[2] for i in range(200)} for seed in (901, 902)}
    assert not pieces[901] & pieces[902]
    assert draw("etude", 3, 901) == draw("etude-null", 3, 901)
    with pytest.raises(ValueError, match="unknown corpus 'jazz': choose factorial, etude"):
        draw("jazz", 0, 901)


def pitched(notes):
    return [note for note in notes if note.channel != DRUMS]


def test_mode_and_key_give_the_pitch_classes():
    for mode, name in enumerate(FACTORS["mode"]):
        for key, tonic in enumerate(FACTORS["key"]):
            for seed in range(5):
                notes = pitched(compose(PLAIN | {"mode": mode, "key": key, "tempo": 4}, seed))
                classes = {(note.pitch - tonic) % 12 for note in notes}
                assert classes <= set(SCALES[name])
                third = {0: 3, 1: 4}[mode]
                assert third in classes and 7 - third not in classes


@pytest.mark.parametrize("tempo", range(len(FACTORS["tempo"])))
@pytest.mark.parametrize("cadence", range(2))
def test_the_cadence_falls_inside_eight_seconds(tempo, cadence):
    notes = compose(PLAIN | {"tempo": tempo, "cadence": cadence, "mode": 1}, seed=3)
    chord = NOTES_PER_CHORD[tempo] / FACTORS["tempo"][tempo]
    assert 4 * chord <= 8.0, "a phrase of four chords must be whole"
    bass = [note.pitch % 12 for note in notes if note.channel == BASS][:4]
    degree = {"authentic": 7, "plagal": 5}[FACTORS["cadence"][cadence]]
    tonic = FACTORS["key"][PLAIN["key"]]
    assert [(note - tonic) % 12 for note in bass[::2]] == [degree, degree], "a piece begins with it"
    assert (bass[1] - tonic) % 12 in (0, 9), "it leads to the tonic, or to the sixth degree"
    assert bass[3] == tonic


@pytest.mark.parametrize("name", FACTORS)
def test_variants_share_everything_but_the_factor(name):
    """What a change of one factor must leave as it is, per factor, in the notes."""
    base = PLAIN | {"tempo": 2, "mode": 1}
    for level in range(len(FACTORS[name])):
        for seed in range(3):
            a, b = compose(base, seed), compose(base | {name: level}, seed)
            if name in ("level", "timbre"):  # not in the notes at all
                assert a == b
            elif name == "articulation":
                assert sorted(n._replace(length=0) for n in a) == sorted(n._replace(length=0) for n in b)
            elif name in ("register", "melody"):
                assert [n for n in a if n.channel != MELODY] == [n for n in b if n.channel != MELODY]
            elif name == "genre":
                assert [n for n in a if n.channel in (MELODY, BASS)] == [
                    n for n in b if n.channel in (MELODY, BASS)
                ]
            elif name in ("mode", "key"):
                assert [(n.start, n.length, n.channel) for n in sorted_by_voice(a)] == [
                    (n.start, n.length, n.channel) for n in sorted_by_voice(b)
                ]
            elif name == "texture":
                small, large = sorted((set(a), set(b)), key=len)
                assert small <= large
            elif name == "tempo":
                assert bass_classes(a)[: len(bass_classes(b))] == bass_classes(b)[: len(bass_classes(a))]
            elif name == "cadence":
                assert bass_classes(a)[1::2] == bass_classes(b)[1::2]
            else:
                pytest.fail(f"say what a change of {name} must leave as it is")


def voices(notes, *channels):
    return [note for note in notes if note.channel in channels]


def sorted_by_voice(notes):
    return sorted(notes, key=lambda n: (n.channel, n.start, n.length))


def bass_classes(notes):
    return [n.pitch % 12 for n in notes if n.channel == BASS]


def test_tempo_and_register_are_the_notes_own():
    for tempo, rate in enumerate(FACTORS["tempo"]):
        melody = [n for n in compose(PLAIN | {"tempo": tempo}, 0) if n.channel == MELODY]
        assert np.allclose(np.diff([n.start for n in melody]), 1 / rate)
    for register, centre in enumerate(FACTORS["register"]):
        pitches = [
            n.pitch
            for s in range(20)
            for n in compose(PLAIN | {"register": register}, s)
            if n.channel == MELODY
        ]
        assert abs(np.mean(pitches) - centre) < 3
    assert {n.channel for n in compose(PLAIN | {"genre": 0}, 0)} == {MELODY, CHORDS, BASS, DRUMS}
