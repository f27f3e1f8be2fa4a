"""Judges of how a clip feels: its valence and arousal, by ears that differ in what they go by.

=======================  ====================================  ===========================================
judge                    goes by                               shares its vote with
=======================  ====================================  ===========================================
:class:`ByPeople`        measured cues, weighed as by people   ``ByCorpus``, where the corpus was composed
                                                               by such weights (étude's was)
:class:`ByCorpus`        measured cues and tones, weighed as   see above
                         in a corpus' labelled music
:class:`ByNotes`         notes that basic-pitch hears,         nobody
                         weighed as by people
:class:`~.trained.Vibe`  vibenet, where it is installed         nobody
:class:`~.trained.Clap`  CLAP, where its weights are            nobody
``trained.Embedded``     MERT, where its weights are            nobody
=======================  ====================================  ===========================================

No judge is trusted unseen: :func:`validate` correlates what it says with what is known of composed music, and
on an axis on which it falls short of a threshold it has no vote (:func:`judged`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import InterpError
from ..stats import Interval, correlation
from .cues import ByCorpus, ByNotes, ByPeople
from .sounds import Sounds

__all__ = [
    "AXES",
    "ByCorpus",
    "ByNotes",
    "ByPeople",
    "Judge",
    "Sounds",
    "Validity",
    "agreement",
    "judged",
    "validate",
]

AXES = ("valence", "arousal")
LEAST = 0.4  # what the lower end of the interval of a judge's correlation must reach


class Judge(Protocol):
    """Whatever hears sounds and says their valence and arousal, in units of its own: [clip, 2].

    Judges with the same ``vote`` go by the same truth, and count as one.
    """

    name: str
    vote: str

    def __call__(self, sounds: Sounds) -> np.ndarray: ...


@dataclass(frozen=True)
class Validity:
    """How well a judge says what is known.

    Attributes
    ----------
    correlations : dict
        Axis → correlation with the truth, with its interval over pieces.
    crossed : dict
        Axis → correlation with the truth of the *other* axis: hearing valence as energy shows here.
    least : float
        The threshold that was set beforehand.
    """

    correlations: Mapping[str, Interval]
    crossed: Mapping[str, float]
    least: float

    def votes(self, axis: str) -> bool:
        """Whether the lower end of its interval reaches the threshold."""
        return self.correlations[axis].low >= self.least


def validate(said: np.ndarray, truth: np.ndarray, groups: Sequence, least: float = LEAST) -> Validity:
    """Correlate what a judge said of clips with what is known of them.

    Parameters
    ----------
    said, truth : np.ndarray
        [clip, 2], valence and arousal; clips that the judge was not trained on.
    groups : sequence
        [clip], piece or song: what is resampled.
    least : float
        Set before looking.

    Raises
    ------
    InterpError
        If shapes differ, a value is not finite, or a column of the truth or of the judge is the same for all.
    """
    said, truth = _readings(said, "Judgements"), _readings(truth, "The truth")
    if said.shape != truth.shape or len(groups) != len(said):
        raise InterpError(f"{len(said)} judgements, {len(truth)} truths, {len(groups)} groups: not as many.")
    found, crossed = {}, {}
    for i, axis in enumerate(AXES):
        if not (np.ptp(said[:, i]) and np.ptp(truth[:, i])):
            raise InterpError(f"The judgements or the truths of {axis} are all the same: nothing correlates.")
        found[axis] = correlation(said[:, i], truth[:, i], groups)
        crossed[axis] = float(np.corrcoef(said[:, i], truth[:, 1 - i])[0, 1])
    return Validity(found, crossed, float(least))


def judged(
    said: Mapping[str, np.ndarray],
    votes: Mapping[str, str],
    validity: Mapping[str, Validity],
    reference: np.ndarray,
) -> np.ndarray:
    """What the judges that may vote say together, in standard deviations of the reference clips: [clip, 2].

    Parameters
    ----------
    said : dict
        Judge → [clip, 2].
    votes : dict
        Judge → the vote that it has, alone or with others.
    validity : dict
        Judge → its validity.
    reference : np.ndarray
        [clip] of bool: the clips that are not steered, whose mean is 0 and spread 1.

    Raises
    ------
    InterpError
        If no judge may vote on an axis, or there are fewer than two reference clips.
    """
    if np.sum(reference) < 2:
        raise InterpError("Judgements are in units of the spread of reference clips; give two or more.")
    columns = []
    for i, axis in enumerate(AXES):
        admitted = [name for name in said if validity[name].votes(axis)]
        if not admitted:
            asked = ", ".join(f"{n} {validity[n].correlations[axis].estimate:.2f}" for n in said)
            raise InterpError(
                f"No judge is good enough to vote on {axis} (correlations with what is known: {asked}); "
                "add one, or lower the threshold before the next run."
            )
        groups: dict[str, list[np.ndarray]] = {}
        for name in admitted:
            groups.setdefault(votes[name], []).append(_scaled(said[name][:, i], reference))
        each = [_scaled(np.mean(members, axis=0), reference) for members in groups.values()]
        columns.append(_scaled(np.mean(each, axis=0), reference))
    return np.column_stack(columns)


def agreement(said: Mapping[str, np.ndarray], axis: str) -> np.ndarray:
    """Correlations between judges over the same clips, [judge, judge]."""
    i = AXES.index(axis)
    return np.corrcoef(np.stack([readings[:, i] for readings in said.values()])).reshape(len(said), len(said))


def _scaled(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    spread = x[reference].std(ddof=1)
    if not spread > 0:
        raise InterpError("A judge says the same of all reference clips, so its judgements have no unit.")
    return (x - x[reference].mean()) / spread


def _readings(x: np.ndarray, what: str) -> np.ndarray:
    x = np.asarray(x, float)
    if x.ndim != 2 or x.shape[1] != len(AXES) or not np.isfinite(x).all():
        raise InterpError(f"{what} must be [clip, 2] (valence, arousal), finite, not {list(x.shape)}.")
    return x
