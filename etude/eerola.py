"""The stimuli of Eerola, Friberg & Bresin (2013), composed anew: corpus ``eerola2013``.

200 pieces with the study's own design, so that a model's weights of the cues can be held against those of
46 listeners (:mod:`interp.people`).  Levels are the study's: register around MIDI 53 to 83, 1.2 to 6 notes a
second, -10 to +10 dB, four articulations, mode.  What differs from the study:

- the four melodies, written for this project, one with each of the four emotions in mind, 16 notes that
  repeat; in minor they are played in natural minor, each note on the same degree of the scale;
- a soft triad under every four notes, in the octave below the melody's tonic, so that register moves all that
  is heard (``accompaniment=False`` leaves it out);
- General MIDI trumpet, flute and French horn from one sound font, also where the instrument has no such note;
  the horn's attacks are slow, and in fast passages few of its onsets can be measured;
- register is the melody's mean pitch, to half a semitone; the tonic follows from it, so that the key changes
  with register, mode and melody (``tonics`` keeps to keys that a model knows, at the price of up to 4
  semitones);
- articulation is the sounding share of a note's slot (`etude.factors.GATE`), at one strength of attack;
- level is the RMS of the finished clip, relative to `etude.render.REFERENCE_DB`: every note is struck alike,
  so that timbre does not change with level as it does on real instruments;
- all clips are equally long, so that a slow one holds less of its melody.

The listeners' ratings are of the study's own sounds. They are no labels of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from etude.clips import instrument
from etude.composer import CHORDS, MELODY, SCALES, Note
from etude.factors import GATE, LEVEL_DB, NOTES_PER_SECOND, REGISTER_MIDI
from etude.render import SAMPLE_RATE, synthesise, to_level
from interp.corpora import Clip, Corpus
from interp.errors import InterpError, check_list, check_positive
from interp.people import levels

PROGRAMS = {"trumpet": 56, "flute": 73, "horn": 60}  # General MIDI, from 0
LOUD, SOFT = 100, 60  # velocities of melody and triads

# Four bars of (chord, ((scale step from the tonic, length in slots), ...)): four notes in four slots, so that
# a melody has as many notes a second as its tempo says. The first bar has the third, where mode is heard.
MELODIES = {
    "peaceful": (  # rocking steps in even notes
        (0, ((2, 1), (1, 1), (0, 1), (2, 1))),
        (3, ((3, 1), (2, 1), (0, 1), (-2, 1))),
        (0, ((-1, 1), (0, 1), (2, 1), (1, 1))),
        (4, ((1, 1), (-1, 1), (0, 1), (1, 1))),
    ),
    "happy": (  # leaps through the chord, a dotted turn
        (0, ((-3, 1), (0, 1), (2, 1), (4, 1))),
        (3, ((5, 1.5), (3, 0.5), (5, 1), (0, 1))),
        (4, ((1, 1.5), (4, 0.5), (1, 1), (-1, 1))),
        (0, ((2, 1), (4, 1), (2, 1), (0, 1))),
    ),
    "scary": (  # notes struck again, the fifth against the sixth, the diminished second degree
        (0, ((0, 1), (0, 1), (2, 1), (-2, 1))),
        (5, ((-3, 1), (-2, 1), (-3, 1), (0, 1))),
        (1, ((1, 1), (1, 1), (3, 1), (-2, 1))),
        (0, ((-3, 1.5), (-2, 0.5), (-3, 1), (2, 1))),
    ),
    "sad": (  # falling steps, each phrase begun long
        (0, ((4, 1.5), (3, 0.5), (2, 1), (1, 1))),
        (5, ((2, 1.5), (1, 0.5), (0, 1), (-2, 1))),
        (3, ((3, 1.5), (2, 0.5), (0, 1), (-2, 1))),
        (4, ((1, 1.5), (0, 0.5), (-1, 1), (-3, 1))),
    ),
}
"""Name → melody, in the order of the study's numbers (:data:`interp.people.MELODIES`)."""


@dataclass(frozen=True)
class Stimulus:
    """A stimulus' sound: levels of the cues from 0, timbre and melody by name, and how it is played."""

    mode: int
    tempo: int
    register: int
    level: int
    articulation: int
    timbre: str
    melody: str
    seconds: float
    tonics: tuple[int, ...]
    accompaniment: bool

    @property
    def tonic(self) -> int:
        """MIDI pitch of the tonic that brings the melody's mean pitch nearest to the register."""
        scale = self._scale
        steps = np.array([step for _, bar in MELODIES[self.melody] for step, _ in bar])
        mean = float(np.mean(12 * (steps // 7) + np.array(scale)[steps % 7]))
        allowed = [pitch for pitch in range(128) if pitch % 12 in self.tonics]
        return min(allowed, key=lambda pitch: abs(pitch + mean - REGISTER_MIDI[self.register]))

    @property
    def notes(self) -> list[Note]:
        """The piece, in order of start."""
        slot, gate = 1 / NOTES_PER_SECOND[self.tempo], GATE[self.articulation]
        scale, tonic, bars = self._scale, self.tonic, MELODIES[self.melody]
        notes: list[Note] = []
        for number in range(int(np.ceil(self.seconds / (4 * slot)))):
            degree, bar = bars[number % len(bars)]
            start = 4 * slot * number
            if self.accompaniment:
                for step in (degree, degree + 2, degree + 4):
                    pitch = tonic - 12 + scale[step % 7]  # inverted, so that the triads do not leap about
                    notes.append(Note(start, 4 * slot * gate, pitch, SOFT, CHORDS))
            for step, length in bar:
                pitch = tonic + 12 * (step // 7) + scale[step % 7]
                notes.append(Note(start, length * slot * gate, pitch, LOUD, MELODY))
                start += length * slot
        return sorted(note for note in notes if note.start < self.seconds)

    def read(self) -> tuple[torch.Tensor, int]:
        """Play it: [1, sample] float32 at `etude.render.SAMPLE_RATE`."""
        program = PROGRAMS[self.timbre]
        sound = synthesise(self.notes, {MELODY: program, CHORDS: program}, self.seconds)
        return torch.from_numpy(to_level(sound, LEVEL_DB[self.level]))[None], SAMPLE_RATE

    @property
    def digest(self) -> str:
        """Hash of what the sound is made from: notes, timbre, level, and the code that plays them."""
        made_from = [self.notes, PROGRAMS[self.timbre], self.level, self.seconds, instrument()]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()

    @property
    def _scale(self) -> tuple[int, ...]:
        return SCALES[("minor", "major")[self.mode]]


def corpus(
    name: str, seconds: float = 6.0, tonics: Sequence[int] = range(12), accompaniment: bool = True
) -> Corpus:
    """The 200 stimuli, in the study's order (entry point for `interp.corpus`).

    Labels are the levels of the cues from 0, low to high (minor, slow, low, soft, legato), and ``timbre`` and
    ``melody`` by name; every stimulus is a group of its own.

    Parameters
    ----------
    name : {"eerola2013"}
    seconds : float
        Length of every clip.
    tonics : sequence of int
        Pitch classes (C is 0) that may be tonics; étude was brought up in `etude.factors.TONICS`.
    accompaniment : bool
        Whether there are triads under the melody.
    """
    check_positive(seconds, "seconds")
    allowed = check_list(tonics, "tonics")
    if not set(allowed) <= set(range(12)):
        raise InterpError(f"tonics must be pitch classes, whole numbers from 0 (C) to 11, not {allowed}.")
    clips = []
    for row in levels():
        identifier = row.pop("id")
        sound = Stimulus(
            **row, seconds=float(seconds), tonics=tuple(allowed), accompaniment=bool(accompaniment)
        )
        clips.append(Clip(identifier, sound, labels=row))
    return Corpus(name, clips)
