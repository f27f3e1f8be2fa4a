"""Music of others whose emotion is known, to be heard where a study would hear composed pieces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InterpError
from . import AudioFile, Clip, Corpus, corpus
from .prepared import facts_of

SIGNS = {1: (1.0, 1.0), 2: (-1.0, 1.0), 3: (-1.0, -1.0), 4: (1.0, -1.0)}  # valence, arousal
LEAST = 3  # groups that lie in every quadrant alone: fewer can be neither halved nor held out


@dataclass(frozen=True)
class Rated:
    """Clips with valence, arousal and a quadrant, and what they were chosen from.

    Attributes
    ----------
    clips : Corpus
    said : str
        One paragraph of Markdown: which clips of which set, what was left out, and the licence.
    """

    clips: Corpus
    said: str

    def parts(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Which clips to learn from, and which to test on: two thirds of the groups, and the others."""
        from sklearn.model_selection import GroupShuffleSplit

        split = GroupShuffleSplit(1, test_size=1 / 3, random_state=seed)
        return next(split.split(self.clips.ids, groups=self.clips.groups))


def rated_clips(source: str | Path, n: int, seconds: float, seed: int = 0) -> Rated:
    """Choose clips of a prepared corpus by which emotion can be told.

    A clip that has a quadrant alone is taken to lie in its corner, at valence and arousal of 1 or -1. One
    without either, on an axis, or shorter than ``seconds`` is left out.

    Parameters
    ----------
    source : str or path
        As :func:`interp.corpus` takes it.
    n : int
        Clips at most, drawn among those that can be used.
    seed : int
        Of that draw.

    Raises
    ------
    InterpError
        As :func:`interp.corpus`, and if fewer than three groups lie in a quadrant with all of their clips.
    """
    whole = corpus(source)
    placed = [clip for clip in map(_placed, whole) if clip is not None]
    long = [clip for clip in placed if _seconds(clip) >= seconds]
    drawn = sorted(np.random.default_rng(seed).permutation(len(long))[:n])
    kept = [long[i] for i in drawn]
    lies_in: dict[str, set] = {clip.group: set() for clip in kept}
    for clip in kept:
        lies_in[clip.group].add(clip.quadrant)
    groups = Counter(quadrant for quadrant, *others in lies_in.values() if not others)
    for quadrant in SIGNS:
        if groups[quadrant] < LEAST:
            raise InterpError(
                f"{whole.name} has {groups[quadrant]} groups in quadrant {quadrant} alone, and {LEAST} are "
                f"needed: of {len(whole)} clips {len(placed)} have a quadrant, {len(long)} of these last "
                f"{seconds:g} s, and {len(kept)} were drawn."
            )
    clips = Corpus(whole.name, kept)
    facts = facts_of(source)
    said = (
        f"{len(clips)} clips of {len(set(clips.groups))} groups from "
        f"**{facts.get('title', whole.name)}**, drawn from its {len(whole)} clips; "
        f"{len(whole) - len(placed)} without a quadrant and "
        f"{len(placed) - len(long)} shorter than {seconds:g} s were left out."
    )
    if "licence" in facts:
        said += f" Licence: {facts['licence']}."
    return Rated(clips, said)


def _placed(clip: Clip) -> Clip | None:
    """The clip with valence and arousal; None where they cannot be told."""
    if clip.quadrant is None:
        return None
    if clip.valence is None or clip.arousal is None:
        valence, arousal = SIGNS[clip.quadrant]
        return replace(clip, valence=valence, arousal=arousal)
    return clip


def _seconds(clip: Clip) -> float:
    if isinstance(clip.audio, AudioFile):
        return clip.audio.seconds
    waveform, rate = clip.audio.read()
    return waveform.shape[-1] / rate
