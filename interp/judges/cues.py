"""Judges that can say what they go by: measured cues with weights.

A cue that a clip does not have counts as the mean of the clips that the judge was made with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import people
from ..descriptors import Key
from ..errors import InterpError
from ..pairs import MEASURED_BY
from .sounds import Sounds

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from ..corpora import Corpus


@dataclass(frozen=True, eq=False)
class Scale:
    """Means and spreads of columns, by which they are measured: unmeasured values are at the mean."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray) -> Scale:
        """Of [clip, column] with NaN."""
        mean, spread = np.nanmean(columns, 0), np.nanstd(columns, 0)
        if not (spread > 0).all():
            raise InterpError("A cue is the same in all reference clips; give clips in which each varies.")
        return cls(mean, spread)

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        """[clip, column] in units of spread."""
        z = (columns - self.mean) / self.spread
        return np.where(np.isfinite(z), z, 0.0)


def five_cues(sounds: Sounds) -> np.ndarray:
    """The cues that people's weights are known for, as measured, [clip, 5] in the order of `people.CUES`."""
    return np.column_stack([sounds.cues[MEASURED_BY[cue]] for cue in people.CUES])


@dataclass(frozen=True, eq=False)
class ByPeople:
    """Measured cues, weighed as they weigh in people's ratings (:mod:`interp.people`).

    Attributes
    ----------
    scale : Scale
        Of clips in which the cues vary freely, such as a factorial corpus.
    """

    scale: Scale
    name: str = "cues, people's weights"
    vote: str = "cues"

    @classmethod
    def on(cls, reference: Sounds) -> ByPeople:
        """In units of the spread that each cue has in reference clips."""
        return cls(Scale.of(five_cues(reference)))

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Valence and arousal, [clip, 2]."""
        return self.scale(five_cues(sounds)) @ _weights().T


@dataclass(frozen=True, eq=False)
class ByCorpus:
    """Linear readouts of measured cues and scale degrees, trained on music with known valence and arousal."""

    usual: np.ndarray
    readouts: tuple[Pipeline, Pipeline]
    name: str = "regression on labelled music"
    vote: str = "cues"

    @classmethod
    def train(cls, sounds: Sounds, corpus: Corpus, seed: int = 0) -> ByCorpus:
        """Train on a corpus and the sound of its clips; ridge regression, penalty chosen in folds of songs.

        Raises
        ------
        InterpError
            If a clip has no valence or arousal.
        """
        from ..probe.transfer import fit

        x = cls._features(sounds)
        usual = np.nanmean(x, 0)
        x = np.where(np.isfinite(x), x, usual)
        readouts = tuple(
            fit(x, corpus.column(axis), corpus.groups, seed=seed) for axis in ("valence", "arousal")
        )
        return cls(usual, readouts)

    def called(self, corpus: str) -> ByCorpus:
        """The same judge under the name of its corpus, with a vote of its own: it goes by others' labels."""
        return replace(self, name=f"regression on {corpus}", vote=corpus)

    @staticmethod
    def _features(sounds: Sounds) -> np.ndarray:
        return np.column_stack([*sounds.cues.values(), sounds.degrees])

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Valence and arousal on the corpus' scale, [clip, 2]."""
        x = self._features(sounds)
        x = np.where(np.isfinite(x), x, self.usual)
        return np.column_stack([readout.predict(x) for readout in self.readouts])


@dataclass(frozen=True, eq=False)
class ByNotes:
    """The notes that basic-pitch hears (:mod:`interp.transcription`), their cues weighed as by people."""

    scale: Scale
    name: str = "basic-pitch, people's weights"
    vote: str = "notes"

    @classmethod
    def on(cls, reference: Sounds) -> ByNotes:
        """In units of the spread that each cue has in reference clips."""
        return cls(Scale.of(cls._cues(reference)))

    @staticmethod
    def _cues(sounds: Sounds) -> np.ndarray:
        """Mode, notes a second, mean pitch, strength and shortness of the notes, [clip, 5]."""
        from ..transcription import transcribe

        seconds, rows = sounds.waveforms.shape[1] / sounds.sample_rate, []
        for y in sounds.waveforms:
            notes = transcribe(y, sounds.sample_rate)
            if not len(notes.pitches):
                rows.append([np.nan, 0.0, np.nan, 0.0, np.nan])
                continue
            lengths = np.diff(notes.intervals, axis=1)[:, 0]
            classes = np.bincount(notes.pitches.astype(int) % 12, lengths, 12)
            rows.append(
                [
                    Key.of(classes).mode,
                    len(notes.pitches) / seconds,
                    notes.pitches.mean(),
                    notes.strengths.mean(),
                    -np.median(lengths),
                ]
            )
        return np.array(rows)

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Valence and arousal, [clip, 2]."""
        return self.scale(self._cues(sounds)) @ _weights().T


def _weights() -> np.ndarray:
    """People's weights of the five cues in valence and arousal, [2, cue]."""
    affect = people.composites(people.ratings())
    return people.weights(affect, people.design(), ("valence", "arousal")).table
