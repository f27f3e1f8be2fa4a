"""The parts of the card that are read off the code: architecture, graphs and vocabulary."""

from __future__ import annotations

from etude.factors import ALTERNATIVE, FACTORS, HUMAN
from etude.words import CUE_WORDS, EMOTIONS, UNPAIRED
from etude.words import vocabulary as vocabulary_words

NAMES = {1: "Q1, happy", 2: "Q2, angry", 3: "Q3, sad", 4: "Q4, calm"}


def architecture() -> str:
    """Sizes of the parts, as their code has them."""
    from omegaconf import OmegaConf

    from etude import lm, text
    from etude.codec import ENTRIES, TONE_BOOKS
    from etude.spectral import HOP, N_NOISE, N_TONES, SAMPLE_RATE

    size = OmegaConf.create(lm.CONFIG).transformer_lm
    rows = [
        ("language model", f"{size.num_layers} blocks of width {size.dim}, {size.num_heads} heads"),
        ("text encoder", f"T5, width {text.WIDTH}, {len(vocabulary_words())} whole words"),
        ("codec", f"{SAMPLE_RATE // 1000} kHz mono, {SAMPLE_RATE // HOP} frames a second, {TONE_BOOKS + 1} "
         f"codebooks of {ENTRIES} entries, from {N_TONES} semitones and {N_NOISE} noise bands"),
    ]  # fmt: skip
    return "\n".join(["| part | size |", "|---|---|", *(f"| {part} | {what} |" for part, what in rows)])


def graphs() -> str:
    """The weights of both graphs, and how strongly they act."""
    lines = ["| cue | `etude`, `etude-null`: V | A | `etude-alt`: V | A |", "|---|---|---|---|---|"]
    for cue in HUMAN.v:
        weights = (HUMAN.v[cue], HUMAN.a[cue], ALTERNATIVE.v[cue], ALTERNATIVE.a[cue])
        lines.append(f"| {cue} | " + " | ".join(f"{weight:+.2f}" for weight in weights) + " |")
    lines += ["", f"The strength is {HUMAN.gain} for the first graph and {ALTERNATIVE.gain} for the second."]
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


PARTS = {"architecture": architecture, "graphs": graphs, "vocabulary": vocabulary}
"""Part of the card → the function that writes it."""
