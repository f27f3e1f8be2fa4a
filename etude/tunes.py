"""Ten old tunes, written out as notes: music in the public domain that the composer did not write.

The codec is tried on them, since good marks on one's own pieces prove little. They have keys, metres,
chromatic notes and rhythms that the composer never uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from etude.composer import BASS, CHORDS, MELODY, Note

PITCH_CLASS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTAL = {"": 0, "#": 1, "b": -1}
PROGRAMS = {"piano": 0, "vibraphone": 11, "clarinet": 71}
"""General MIDI programs (from 0) that the tunes are played on; the composer uses the first alone."""


@dataclass(frozen=True)
class Tune:
    """A melody over chords.

    Attributes
    ----------
    mode : {"major", "minor"}
        By its third; Scarborough Fair is Dorian.
    beats_per_minute : float
        Of the beats in which lengths are counted.
    melody : str
        Notes such as ``F#4``, or ``r`` for a rest, one beat long unless ``:beats`` follows; ``|`` is for
        the eye.
    chords : str
        Major and minor triads such as ``G`` and ``Em``, or ``r``, in the same manner.
    """

    name: str
    mode: str
    beats_per_minute: float
    melody: str
    chords: str

    def notes(self, seconds: float = 8.0) -> list[Note]:
        """The tune as notes in order of start, begun again until `seconds` are full."""
        beat, once = 60.0 / self.beats_per_minute, []
        for at, beats, root, octave, _ in events(self.melody):
            once.append(Note(at * beat, beats * beat * 0.95, 12 * (octave + 1) + root, 100, MELODY))
        for at, beats, root, _, third in events(self.chords):
            once.append(Note(at * beat, beats * beat * 0.95, 36 + root, 90, BASS))
            for step in (0, third, 7):
                once.append(Note(at * beat, beats * beat * 0.9, 48 + (root + step) % 12, 62, CHORDS))
        length, notes, turn = duration(self.melody) * beat, [], 0
        while turn * length < seconds:
            notes += [note._replace(start=note.start + turn * length) for note in once]
            turn += 1
        return sorted(note for note in notes if note.start < seconds)


def events(text: str) -> list[tuple[float, float, int, int, int]]:
    """Read a line of notes or chords, rests left out.

    Returns
    -------
    list of (start in beats, length in beats, pitch class, octave, semitones to the chord's third)
        A note without an octave is in octave 4.

    Raises
    ------
    ValueError
        Naming the first thing that is neither a note, a chord nor a rest.
    """
    out, now = [], 0.0
    for word in text.replace("|", " ").split():
        match = re.fullmatch(r"(?:r|([A-G])([#b]?)(\d?)(m?))(?::([\d.]+))?", word)
        if not match:
            raise ValueError(f"{word!r} is not a note such as F#4:1.5, a chord such as Em:2, or a rest r:1")
        letter, accidental, octave, minor, beats = match.groups()
        length = float(beats or 1)
        if letter:
            pitch_class = (PITCH_CLASS[letter] + ACCIDENTAL[accidental]) % 12
            out.append((now, length, pitch_class, int(octave or 4), 3 if minor else 4))
        now += length
    return out


def duration(text: str) -> float:
    """Length of a line in beats, rests included."""
    words = text.replace("|", " ").split()
    return sum(float(word.partition(":")[2] or 1) for word in words)


TUNES = (
    Tune(
        "Ode to Joy",
        "major",
        132,
        "F#4 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | F#4:1.5 E4:.5 E4:2 |"
        "F#4 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | E4:1.5 D4:.5 D4:2",
        "D:4 A:4 D:4 A:4 D:4 A:4 D:4 A:2 D:2",
    ),
    Tune(
        "Ah vous dirai-je, maman",
        "major",
        112,
        "C5 C5 G5 G5 | A5 A5 G5:2 | F5 F5 E5 E5 | D5 D5 C5:2",
        "C:4 F:2 C:2 F:2 C:2 G:2 C:2",
    ),
    Tune(
        "Frère Jacques",
        "major",
        120,
        "Bb4 C5 D5 Bb4 | Bb4 C5 D5 Bb4 | D5 Eb5 F5:2 | D5 Eb5 F5:2 | F5:.5 G5:.5 F5:.5 Eb5:.5 D5 Bb4 |"
        "F5:.5 G5:.5 F5:.5 Eb5:.5 D5 Bb4 | Bb4 F4 Bb4:2 | Bb4 F4 Bb4:2",
        "Bb:4 Bb:4 Bb:4 Bb:4 Bb:4 Bb:4 Bb F Bb:2 Bb F Bb:2",
    ),
    Tune(  # in quavers
        "Greensleeves",
        "minor",
        190,
        "A4 | C5:2 D5 E5:1.5 F5:.5 E5 | D5:2 B4 G4:1.5 A4:.5 B4 | C5:2 A4 A4:1.5 G#4:.5 A4 | B4:2 G#4 E4:2"
        " A4 |C5:2 D5 E5:1.5 F5:.5 E5 | D5:2 B4 G4:1.5 A4:.5 B4 | C5:1.5 B4:.5 A4 G#4:1.5 F#4:.5 G#4 | "
        "A4:5",
        "r Am:6 G:6 Am:6 E:6 Am:6 G:6 Am:3 E:3 Am:5",
    ),
    Tune(
        "Minuet in G (Petzold)",
        "major",
        126,
        "D5 G4:.5 A4:.5 B4:.5 C5:.5 | D5 G4 G4 | E5 C5:.5 D5:.5 E5:.5 F#5:.5 | G5 G4 G4 |"
        "C5 D5:.5 C5:.5 B4:.5 A4:.5 | B4 C5:.5 B4:.5 A4:.5 G4:.5 | F#4 G4:.5 A4:.5 B4:.5 G4:.5 | A4:3",
        "G:3 G:3 C:3 G:3 Am:3 G:3 D:3 D:3",
    ),
    Tune(
        "Amazing Grace",
        "major",
        96,
        "Eb4 | Ab4:2 C5:.5 Ab4:.5 | C5:2 Bb4 | Ab4:2 F4 | Eb4:2 Eb4 | Ab4:2 C5:.5 Ab4:.5 | C5:2 Bb4 | Eb5:2",
        "r Ab:3 Ab:3 Db:3 Ab:3 Ab:3 Ab:3 Eb:2",
    ),
    Tune(
        "Scarborough Fair",
        "minor",
        120,
        "D4:2 D4 | A4:2 A4 | E4:1.5 F4:.5 E4 | D4:3 | r A4 C5 | D5:2 C5 | A4 B4 G4 | A4:3",
        "Dm:3 Dm:3 C:3 Dm:3 Am:3 Dm:3 G:3 Am:3",
    ),
    Tune(
        "God Rest Ye Merry, Gentlemen",
        "minor",
        126,
        "E4 | E4 B4 B4 A4 | G4 F#4 E4 D4 | E4 F#4 G4 A4 | B4:3 E4 |"
        "E4 B4 B4 A4 | G4 F#4 E4 D4 | E4 F#4 G4 A4 | B4:3",
        "r Em:4 Em:2 D:2 C:2 D:2 B:4 Em:4 Em:2 D:2 C:2 D:2 B:3",
    ),
    Tune(
        "Oh When the Saints",
        "major",
        168,
        "r A4 C#5 D5 | E5:4 | r A4 C#5 D5 | E5:4 | r A4 C#5 D5 | E5:2 C#5:2 | A4:2 C#5:2 | B4:4",
        "A:4 A:4 A:4 A:4 A:4 A:4 A:4 E:4",
    ),
    Tune(
        "Korobeiniki",
        "minor",
        144,
        "E5 B4:.5 C5:.5 D5 C5:.5 B4:.5 | A4 A4:.5 C5:.5 E5 D5:.5 C5:.5 | B4:1.5 C5:.5 D5 E5 | C5 A4 A4:2 |"
        "r:.5 D5 F5:.5 A5 G5:.5 F5:.5 | E5:1.5 C5:.5 E5 D5:.5 C5:.5 | B4 B4:.5 C5:.5 D5 E5 | C5 A4 A4:2",
        "E:4 Am:4 E:4 Am:4 Dm:4 C:4 E:4 Am:4",
    ),
)
