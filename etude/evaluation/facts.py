"""The parts of the card that are read off the code: graphs and vocabulary."""

from __future__ import annotations

from etude.factors import ALTERNATIVE, FACTORS, HUMAN
from etude.words import CUE_WORDS, EMOTIONS, UNPAIRED

NAMES = {1: "Q1, happy", 2: "Q2, angry", 3: "Q3, sad", 4: "Q4, calm"}


def graphs() -> str:
    """The weights of both graphs."""
    lines = ["| cue | `etude`, `etude-null`: V | A | `etude-alt`: V | A |", "|---|---|---|---|---|"]
    for cue in HUMAN.v:
        weights = (HUMAN.v[cue], HUMAN.a[cue], ALTERNATIVE.v[cue], ALTERNATIVE.a[cue])
        lines.append(f"| {cue} | " + " | ".join(f"{weight:+.2f}" for weight in weights) + " |")
    return "\n".join(lines)


def vocabulary() -> str:
    """Emotion words by quadrant, those in italics held out from cue words; cue words; the rest."""
    lines = ["| kind | words |", "|---|---|"]
    for quadrant, words in EMOTIONS.items():
        listed = ", ".join(f"*{word}*" if word in UNPAIRED else word for word in words)
        lines.append(f"| {NAMES[quadrant]} | {listed} |")
    for cue, groups in CUE_WORDS.items():
        lines.append(f"| {cue} | " + "; ".join(", ".join(words) for words in groups.values()) + " |")
    for name, called in (("timbre", "instrument"), ("genre", "genre")):
        lines.append(f"| {called} | {', '.join(FACTORS[name])} |")
    lines += ["", "Words in italics never stand beside a cue word in any caption."]
    return "\n".join(lines)
