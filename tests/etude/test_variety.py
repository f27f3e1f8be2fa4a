"""Music unlike the composer's, for a codec that must not take his keys and instruments for all there are."""

import numpy as np

from etude.tunes import PROGRAMS
from etude.variety import HELD_OUT, build_songs, render_song, song


def test_songs_are_on_every_tonic_and_on_no_instrument_that_is_held_out():
    assert set(HELD_OUT) == set(PROGRAMS.values()) - {0}
    pieces = [song(np.random.default_rng(seed)) for seed in range(60)]
    pitches = {note.pitch % 12 for notes, _ in pieces for note in notes}
    programs = {program for _, used in pieces for program in used.values()}
    assert pitches == set(range(12))
    assert len(programs) > 30 and not programs & set(HELD_OUT)
    for notes, used in pieces:
        assert notes == sorted(notes) and all(0 <= note.start < 8 for note in notes)
        assert {note.channel for note in notes} <= {*used}


def test_songs_have_triads():
    notes, _ = song(np.random.default_rng(4))
    chords = {}
    for note in notes:
        if note.channel == 1:
            chords.setdefault(note.start, set()).add(note.pitch % 12)
    assert max(map(len, chords.values())) == 3


def test_a_song_is_a_function_of_its_place_and_seed(tmp_path):
    first, again, other = (render_song(2, seed) for seed in (901, 901, 902))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len(first) == 8 * 16_000 and first.any()
    path = build_songs(2, 901, tmp_path)
    assert np.load(path)["features"].shape == (2, 104, 400) and build_songs(2, 901, tmp_path) == path
