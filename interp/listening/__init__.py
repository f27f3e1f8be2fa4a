"""A listening test as one HTML file: made here, answered anywhere, read back by :mod:`.answers`.

The page holds its clips and asks nothing of a network.  It is blind: clips have numbers that say nothing, and
what they are stands in a key that stays with the maker.  Each listener gets an order of their own, of the
questions and of the clips in a pair.  Some questions check that they listen: one clip is much softer.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InterpError, check_whole, unknown
from ..results import sounds

QUESTIONS = {
    "valence": "Which clip sounds more positive, more pleasant in mood?",
    "arousal": "Which clip sounds more energetic, more excited?",
    "check": "Which clip is louder?",
}
SCALES = {
    "valence": ("negative, unpleasant mood", "positive, pleasant mood"),
    "arousal": ("calm, without energy", "excited, full of energy"),
}
POINTS = 7
SOFTER_DB = -24.0  # of the softer clip of a check


@dataclass(frozen=True, eq=False)
class Pair:
    """Two clips to compare: ``high`` is expected to be higher on ``axis`` (valence or arousal) than ``low``.

    ``label`` names the pair in the analysis, never on the page.
    """

    label: str
    axis: str
    low: Any
    high: Any


@dataclass(frozen=True, eq=False)
class Rated:
    """One clip to rate on every scale."""

    label: str
    clip: Any


@dataclass(frozen=True)
class Kit:
    """A listening test.

    Attributes
    ----------
    page : str
        The HTML file for listeners.
    key : str
        JSON for the analysis: what each number on the page stands for. Not for listeners.
    trials : list of dict
        What the key holds for each question.
    """

    page: str
    key: str
    trials: list[dict]


def kit(
    pairs: Sequence[Pair],
    rated: Sequence[Rated],
    sample_rate: int,
    *,
    title: str,
    checks: int = 2,
    seed: int = 0,
) -> Kit:
    """Make a test of pairs and ratings, with attention checks among them.

    Parameters
    ----------
    pairs, rated : lists
        Waveforms are ``[sample]`` or ``[channel, sample]`` and keep their level, which is a cue.
    checks : int
        Questions with a known answer, made from clips of the test.

    Raises
    ------
    InterpError
        If there is nothing to ask, an axis is unknown, a label is there twice, or a waveform is none.
    """
    check_whole(checks, "checks", 0), check_whole(sample_rate, "sample_rate", 1), check_whole(seed, "seed", 0)
    if not pairs and not rated:
        raise InterpError("A listening test needs at least one pair or one clip to rate.")
    labels = [item.label for item in (*pairs, *rated)]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise InterpError(f"The label {min(twice)!r} is there twice; give every question one of its own.")
    rng = np.random.default_rng(seed)
    clips: dict[str, str] = {}

    def number(label: str, waveform: Any) -> str:
        samples = sounds.as_samples(label, waveform)
        content, suffix = sounds.encode(samples, sample_rate)
        # Of content and seed: the same clip in two questions must not be told by its number.
        name = hashlib.sha256(content + rng.bytes(8)).hexdigest()[:10]
        clips[name] = f"data:audio/{suffix};base64,{base64.b64encode(content).decode()}"
        return name

    trials: list[dict] = []
    for pair in pairs:
        if pair.axis not in SCALES:
            raise unknown("axis", pair.axis, SCALES)
        low, high = number(pair.label, pair.low), number(pair.label, pair.high)
        trials.append({"kind": "pair", "axis": pair.axis, "label": pair.label, "low": low, "high": high})
    for item in rated:
        trials.append({"kind": "rating", "label": item.label, "clip": number(item.label, item.clip)})
    source = [pair.high for pair in pairs] + [item.clip for item in rated]
    for i in range(checks):
        loud = sounds.as_samples("check", source[i % len(source)])
        low, high = number("check", loud * 10 ** (SOFTER_DB / 20)), number("check", loud)
        trials.append({"kind": "check", "axis": "check", "label": f"check {i}", "low": low, "high": high})
    rng.shuffle(trials)
    for i, trial in enumerate(trials):
        trial["trial"] = f"q{i + 1}"
    test = hashlib.sha256(json.dumps(trials, sort_keys=True).encode()).hexdigest()[:12]
    shown = {"test": test, "questions": [_shown(trial, rng) for trial in trials], "clips": clips}
    key = {"test": test, "title": title, "trials": trials}
    return Kit(_page(title, shown), json.dumps(key, indent=1) + "\n", trials)


def _shown(trial: dict, rng: np.random.Generator) -> dict:
    """What the page may know of a question."""
    if trial["kind"] == "rating":
        return {"trial": trial["trial"], "clips": [trial["clip"]]}
    clips = [trial["low"], trial["high"]]
    rng.shuffle(clips)
    return {"trial": trial["trial"], "clips": clips, "question": QUESTIONS[trial["axis"]]}


def _page(title: str, shown: dict) -> str:
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    # "</" would end the script element; in JSON the slash may be escaped.
    data = json.dumps({**shown, "scales": SCALES, "points": POINTS}).replace("</", "<\\/")
    return template.replace("TITLE", html.escape(title)).replace('"DATA"', data)
