"""The tunes are what they claim to be."""

import pytest

from etude.composer import CHORDS, MELODY
from etude.tunes import PROGRAMS, TUNES, Tune, duration, events


def test_there_are_enough_of_both_modes():
    assert len({tune.name for tune in TUNES}) >= 8
    assert min(sum(tune.mode == mode for tune in TUNES) for mode in ("major", "minor")) >= 3
    assert len(PROGRAMS) >= 3


@pytest.mark.parametrize("tune", TUNES, ids=lambda tune: tune.name)
def test_melody_and_chords_are_of_one_length_and_of_the_mode(tune):
    assert duration(tune.melody) == duration(tune.chords)
    notes = tune.notes(8.0)
    assert notes == sorted(notes) and notes[-1].start < 8.0
    assert {note.channel for note in notes} == {0, 1, 2}
    assert all(36 <= note.pitch <= 88 and note.length > 0 for note in notes)
    # The chord of most beats, or of two the one that ends the tune, has the mode's third.
    beats, last = {}, events(tune.chords)[-1]
    for _, length, root, _, third in events(tune.chords):
        beats[root, third] = beats.get((root, third), 0) + length
    assert (
        max(beats, key=lambda chord: (beats[chord], chord == (last[2], last[4])))[1]
        == {"major": 4, "minor": 3}[tune.mode]
    )


def test_notation():
    assert events("C4 F#5:1.5 r:2 | Bb3:.5") == [(0, 1, 0, 4, 4), (1, 1.5, 6, 5, 4), (4.5, 0.5, 10, 3, 4)]
    assert events("Em:2 Bb")[0] == (0, 2, 4, 4, 3)
    assert duration("C4 r:2 | D4:.5") == 3.5
    with pytest.raises(ValueError, match="'H4' is not a note"):
        events("C4 H4")


def test_a_tune_begins_again_until_the_time_is_full():
    tune = Tune("two notes", "major", 60, "C4 D4", "C:2")
    melody = [(n.start, n.pitch) for n in tune.notes(5.0) if n.channel == MELODY]
    assert melody == [(0, 60), (1, 62), (2, 60), (3, 62), (4, 60)]
    assert {n.pitch % 12 for n in tune.notes(2.0) if n.channel == CHORDS} == {0, 4, 7}
