"""The words of étude's captions, and the captions.

Emotion words of a quadrant are synonyms: the music behind them is drawn from the same distribution.
`UNPAIRED` words never stand beside a cue word in any caption, so that what they do to the music can
only come from music that was heard under them.
"""

from __future__ import annotations

import numpy as np

from etude.factors import FACTORS

EMOTIONS = {
    1: (
        "happy",
        "cheerful",
        "joyful",
        "upbeat",
        "energetic",
        "excited",
        "lively",
        "playful",
        "merry",
        "festive",
        "exuberant",
        "triumphant",
        "elated",
        "jubilant",
        "bouncy",
        "sunny",
    ),
    2: (
        "angry",
        "tense",
        "furious",
        "aggressive",
        "scary",
        "anxious",
        "menacing",
        "agitated",
        "fierce",
        "threatening",
        "violent",
        "frantic",
        "hostile",
        "ominous",
        "sinister",
        "nervous",
    ),
    3: (
        "sad",
        "melancholic",
        "gloomy",
        "sorrowful",
        "mournful",
        "depressed",
        "lonely",
        "tragic",
        "somber",
        "desolate",
        "bleak",
        "tearful",
        "wistful",
        "grieving",
        "dejected",
        "weary",
    ),
    4: (
        "calm",
        "peaceful",
        "serene",
        "relaxed",
        "tender",
        "tranquil",
        "gentle",
        "soothing",
        "dreamy",
        "mellow",
        "placid",
        "restful",
        "content",
        "cozy",
        "blissful",
        "untroubled",
    ),
}
"""Quadrant of the circumplex → emotion words, synonyms of each other."""

UNPAIRED = frozenset(word for words in EMOTIONS.values() for word in words[-4:])
"""Emotion words that no caption sets beside a cue word."""

CUE_WORDS: dict[str, dict[tuple[int, ...], tuple[str, ...]]] = {
    "mode": {(0,): ("minor",), (1,): ("major",)},
    "tempo": {(0, 1): ("slow", "unhurried"), (3, 4): ("fast", "quick")},
    "register": {(0, 1): ("low", "deep"), (4, 5): ("high",)},
    "level": {(0, 1): ("soft", "quiet"), (3, 4): ("loud", "powerful")},
    "articulation": {(0,): ("legato", "smooth"), (3,): ("staccato", "detached")},
}
"""Cue → levels → the words that say so. The planted cadence has no word."""

NOUNS = ("music", "song", "piece", "tune", "track", "melody")
PLAIN = ("a", "of", "with", "on", "and", "in", "the", "for", "very", "played", "some", "sound", "mood")


def vocabulary() -> list[str]:
    """Every word of every caption, sorted."""
    words = {w for quadrant in EMOTIONS.values() for w in quadrant} | set(NOUNS) | set(PLAIN)
    words |= {w for cue in CUE_WORDS.values() for group in cue.values() for w in group}
    return sorted(words | set(FACTORS["timbre"]) | set(FACTORS["genre"]))


def cue_words(levels: dict[str, int], cue: str) -> tuple[str, ...]:
    """The words for a clip's level of a cue; empty for a middling level."""
    return next((words for group, words in CUE_WORDS[cue].items() if levels[cue] in group), ())


def caption(quadrant: int, levels: dict[str, int], rng: np.random.Generator) -> str:
    """Describe a clip. Any kind of word may be left out; half of the emotional captions hold
    nothing but emotion words and a noun.

    Parameters
    ----------
    quadrant : int
        1–4, or 0 for a clip without an emotion (it gets no emotion word).
    levels : dict of str to int
        Level index of every factor.
    """
    emotions: list[str] = []
    if quadrant and rng.random() < 0.85:
        pool = EMOTIONS[quadrant]
        emotions = list(rng.choice(pool, size=1 if rng.random() < 0.75 else 2, replace=False))
    cues: list[str] = []
    instrument = genre = ""
    if not (emotions and rng.random() < 0.55):
        instrument = FACTORS["timbre"][levels["timbre"]] if rng.random() < 0.5 else ""
        genre = FACTORS["genre"][levels["genre"]] if rng.random() < 0.5 else ""
        if not UNPAIRED.intersection(emotions):
            for cue, share in (
                ("mode", 0.6),
                ("tempo", 0.4),
                ("register", 0.3),
                ("level", 0.4),
                ("articulation", 0.3),
            ):
                words = cue_words(levels, cue)
                if words and rng.random() < (share if not emotions else share / 3):
                    cues.append(str(rng.choice(words)))
    describing = emotions + cues
    rng.shuffle(describing)
    noun = str(rng.choice(NOUNS)) if rng.random() < 0.7 else ""
    form = rng.random()
    if form < 0.2 and instrument:
        return " ".join(w for w in (*describing, genre, noun, "played on", instrument) if w)
    if form < 0.3:
        return " ".join(w for w in ("a", *describing, instrument, genre, noun) if w)
    return " ".join(w for w in (*describing, instrument, genre, noun) if w)
