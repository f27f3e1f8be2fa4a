"""Music unlike the composer's, for codecs that must not take his keys and instruments for all there are."""

import numpy as np
import pytest

from etude.evaluation.codec import render_held_out
from etude.tunes import PROGRAMS
from etude.variety import HELD_OUT, SCALES, SEVEN_STEPS, render_varied, song, walk


@pytest.mark.parametrize("draw_piece", [walk, song])
def test_pieces_are_on_every_tonic_and_on_no_instrument_that_is_held_out(draw_piece):
    assert set(HELD_OUT) == set(PROGRAMS.values()) - {0}
    pieces = [draw_piece(np.random.default_rng(seed)) for seed in range(60)]
    pitches = {note.pitch % 12 for notes, _ in pieces for note in notes if note.channel != 9}
    programs = {program for _, used in pieces for program in used.values()}
    assert pitches == set(range(12))
    assert len(programs) > 30 and not programs & set(HELD_OUT)
    for notes, used in pieces:
        assert notes == sorted(notes) and all(0 <= note.start < 8 for note in notes)
        assert {note.channel for note in notes} <= {*used, 9}


def test_songs_have_triads_of_scales_with_seven_steps():
    assert all(len(scale) == 7 for scale in SCALES[:SEVEN_STEPS])
    notes, _ = song(np.random.default_rng(4))
    chords = {}
    for note in notes:
        if note.channel == 1:
            chords.setdefault(note.start, set()).add(note.pitch % 12)
    assert max(map(len, chords.values())) == 3


def test_a_clip_is_a_function_of_its_kind_place_and_seed():
    assert np.array_equal(render_varied("composed", 0, 901), render_held_out((0, 901)))
    for kind in ("walk", "song"):
        first, again, other = (render_varied(kind, 2, seed) for seed in (901, 901, 902))
        assert np.array_equal(first, again) and not np.array_equal(first, other)
        assert len(first) == 8 * 16_000 and first.any()
