"""From factors to notes: a small tonal composer.

A piece is a loop of four-chord phrases: the chord of the cadence that its factor names, the tonic or the
sixth degree, the cadence's chord once more, and the tonic, so that what its words choose is heard in how it
begins. Harmony is diatonic (natural minor in the minor mode), so that mode is heard in every third and
sixth; the rate of the accompaniment follows the melody's, so that tempo is heard in everything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from etude.factors import FACTORS

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
CADENCE_DEGREE = {"authentic": 4, "plagal": 3}  # V–I, IV–I; scale degrees from 0
RESOLUTIONS = (0, 0, 5)  # where a phrase's first cadence leads: home, or to the sixth degree
NOTES_PER_CHORD = (2, 2, 4, 4, 8)  # by tempo level: a whole phrase within eight seconds at every tempo
MELODY, CHORDS, BASS, DRUMS = 0, 1, 2, 9  # MIDI channels
KICK, SNARE, HAT = 36, 38, 42


class Note(NamedTuple):
    """One note: `start` and `length` in seconds, MIDI `pitch`, `velocity` 1–127, MIDI `channel`."""

    start: float
    length: float
    pitch: int
    velocity: int
    channel: int


def compose(factors: dict[str, int], seed: int, seconds: float = 8.0) -> list[Note]:
    """Write a piece.

    Parameters
    ----------
    factors : dict of str to int
        A level index for every name in `FACTORS`.
    seed : int
        Draws what the factors leave open (where a first cadence leads, melodic detail). Two calls that
        differ in a factor but not in the seed are counterfactual variants of one piece.
    seconds : float
        Length; notes that start later are not written.

    Returns
    -------
    list of Note, in order of start.
    """
    value = {name: FACTORS[name][level] for name, level in factors.items()}
    rng = np.random.default_rng(seed)
    slot = 1.0 / value["tempo"]
    per_chord = NOTES_PER_CHORD[factors["tempo"]]
    scale, tonic = SCALES[value["mode"]], value["key"]
    drums, pattern = _accompaniment(value["genre"])
    notes: list[Note] = []
    n_chords = int(np.ceil(seconds / (slot * per_chord)))
    phrase: list[int] = []
    for bar in range(n_chords):
        if bar % 4 == 0:
            cadence = CADENCE_DEGREE[value["cadence"]]
            phrase = [cadence, RESOLUTIONS[rng.integers(len(RESOLUTIONS))], cadence, 0]
        degree, t0 = phrase[bar % 4], bar * slot * per_chord
        chord = [_pitch(scale, tonic, degree + k, 48) for k in (0, 2, 4)]
        draws = rng.random((8, 3))  # the same number of draws at every tempo keeps variants alike
        place = (bar % 4) / 4
        for i in range(per_chord):
            t, u = t0 + i * slot, draws[i]
            centre = _step_at(scale, tonic, value["register"])
            step = _melody_step(value["melody"], place + i / (4 * per_chord), degree, centre, i, u)
            pitch = tonic + 12 * (step // 7) + scale[step % 7]
            length = slot * value["articulation"]
            notes.append(Note(t, length, pitch, 100, MELODY))
            if value["texture"] == "full":
                notes.append(Note(t, length, pitch - 12, 70, MELODY))
            for k in pattern(i, per_chord):
                hold = slot * (per_chord if pattern is _block else 1)
                notes.append(Note(t, hold * value["articulation"], chord[k], 72, CHORDS))
            for drum in drums(i, per_chord):
                notes.append(Note(t, 0.1, drum, 70, DRUMS))
        if value["texture"] != "thin":
            notes.append(Note(t0, slot * per_chord * 0.95, _pitch(scale, tonic, degree, 36), 95, BASS))
    return sorted(n for n in notes if n.start < seconds)


def _pitch(scale: tuple[int, ...], tonic: int, degree: int, floor: int) -> int:
    """MIDI pitch of a scale degree above the tonic that lies within a fifth of `floor` (a C)."""
    octave, step = divmod(degree, 7)
    return floor + (tonic + 5) % 12 - 5 + 12 * octave + scale[step]


def _step_at(scale: tuple[int, ...], tonic: int, pitch: int) -> int:
    """The scale step (7 to the octave, 0 the tonic under MIDI 12) that lies nearest to a MIDI pitch."""
    steps = range(7 * 11)
    return min(steps, key=lambda s: abs(tonic + 12 * (s // 7) + scale[s % 7] - pitch))


def _melody_step(contour: str, place: float, degree: int, centre: int, i: int, u: np.ndarray) -> int:
    """Scale step of the melody around `centre`; a chord tone, the third preferred, on strong notes."""
    aim = (
        centre
        + {
            "arch": 6 * np.sin(np.pi * place) - 3,
            "rising": 7 * place - 3.5,
            "falling": 3.5 - 7 * place,
            "wave": 3 * np.sin(4 * np.pi * place),
        }[contour]
    )
    if i % 2 == 0:
        target = degree + (2 if u[0] < 0.6 else 0 if u[0] < 0.8 else 4)
        return int(target + 7 * np.round((aim - target) / 7))
    return int(np.round(aim + 2 * u[1] - 1))


def _block(i: int, n: int) -> tuple[int, ...]:
    return (0, 1, 2) if i == 0 else ()


def _pulse(i: int, n: int) -> tuple[int, ...]:
    return (0, 1, 2)


def _arpeggio(i: int, n: int) -> tuple[int, ...]:
    return ((0,), (1,), (2,), (1,))[i % 4]


def _alberti(i: int, n: int) -> tuple[int, ...]:
    return ((0,), (2,), (1,), (2,))[i % 4]


def _strum(i: int, n: int) -> tuple[int, ...]:
    return (0,) if i % 2 == 0 else (1, 2)


def _accompaniment(genre: str):
    """Drums and chord pattern of a genre: functions of (note in the chord, notes per chord)."""
    beat = lambda i, n: ((KICK, HAT), (HAT,), (SNARE, HAT), (HAT,))[i % 4]  # noqa: E731
    floor = lambda i, n: (KICK,) if i % 2 == 0 else (HAT,)  # noqa: E731
    none = lambda i, n: ()  # noqa: E731
    return {
        "pop": (beat, _block),
        "ballad": (none, _arpeggio),
        "classical": (none, _alberti),
        "electronic": (floor, _pulse),
        "folk": (none, _strum),
    }[genre]
