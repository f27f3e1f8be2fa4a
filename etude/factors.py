"""The factors of a piece, and the graphs that let an emotion word drive them.

Everything that can differ between two pieces is a named factor with a few levels. In a *factorial*
corpus every factor is drawn independently of every other; in an *emotional* corpus a generating graph
draws the five cues of human music perception (and one planted cue, the cadence family) from the
valence and arousal of an emotion word, while all other factors stay independent of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

CUES = ("mode", "tempo", "register", "level", "articulation")
"""Ordinal cues, low to high: minor→major, slow→fast, low→high, soft→loud, legato→staccato."""

NOTES_PER_SECOND = (1.2, 2.0, 2.8, 4.4, 6.0)  # as in Eerola, Friberg & Bresin (2013)
REGISTER_MIDI = (53, 59, 65, 71, 77, 83)  # as in Eerola, Friberg & Bresin (2013)
LEVEL_DB = (-10.0, -5.0, 0.0, 5.0, 10.0)  # as in Eerola, Friberg & Bresin (2013)
GATE = (1.0, 0.75, 0.5, 0.28)  # sounding share of a note's slot, legato → staccato
TONICS = (0, 2, 4)  # pitch classes C, D, E: no two keys share a key signature, and none is another's IV or V

FACTORS: dict[str, tuple] = {
    "mode": ("minor", "major"),
    "tempo": NOTES_PER_SECOND,
    "register": REGISTER_MIDI,
    "level": LEVEL_DB,
    "articulation": GATE,
    "cadence": ("plagal", "authentic"),
    "timbre": ("piano", "strings", "guitar", "flute", "trumpet", "organ"),
    "genre": ("pop", "ballad", "classical", "electronic", "folk"),
    "texture": ("thin", "medium", "full"),
    "key": TONICS,
    "melody": ("arch", "rising", "falling", "wave"),
}
"""Every factor and its levels, in order."""

QUADRANTS = {1: (1, 1), 2: (-1, 1), 3: (-1, -1), 4: (1, -1)}
"""Quadrant of the circumplex (Russell 1980) → signs of (valence, arousal)."""


@dataclass(frozen=True)
class Graph:
    """A generating graph from (valence, arousal) to cues.

    Each cue's latent is ``gain * (valence * v[cue] + arousal * a[cue]) + N(0, 1)``, brought to a level
    so that every level is about equally frequent when the four quadrants are.

    Attributes
    ----------
    v, a : dict of str to float
        Weight of valence and of arousal on each cue, cadence included.
    gain : float
        How strongly the emotion drives the cues; 0 draws all factors independently.
    """

    v: dict[str, float]
    a: dict[str, float]
    gain: float = 2.4

    def levels(self, valence: float, arousal: float, rng: np.random.Generator) -> dict[str, int]:
        """Draw one level (index into `FACTORS`) for every factor of the graph."""
        out = {}
        for cue in self.v:
            spread = self.gain * sqrt(self.v[cue] ** 2 + self.a[cue] ** 2)  # over the four quadrants
            z = self.gain * (valence * self.v[cue] + arousal * self.a[cue]) + rng.standard_normal()
            share = 0.5 * (1 + erf(z / sqrt(2 * (1 + spread**2))))
            n = len(FACTORS[cue])
            out[cue] = min(int(share * n), n - 1)
        return out


def _weights(*values: float, cadence: float) -> dict[str, float]:
    return dict(zip(CUES, values, strict=True), cadence=cadence)


# Standardised regression weights recomputed from the ratings of Eerola, Friberg & Bresin (2013):
# mode, tempo, register, level, articulation. The cadence is the planted cue: valence alone drives it.
HUMAN = Graph(
    v=_weights(0.67, 0.11, 0.36, -0.21, 0.10, cadence=0.60),
    a=_weights(0.39, 0.56, -0.11, 0.30, 0.17, cadence=0.0),
)
# The same weights dealt to other cues (register's to mode, level's to tempo, tempo's to register,
# mode's to level), and the planted cue turned round: coherent, and nobody's.
ALTERNATIVE = Graph(
    v=_weights(0.36, -0.21, 0.11, 0.67, 0.10, cadence=-0.60),
    a=_weights(-0.11, 0.30, 0.56, 0.39, 0.17, cadence=0.0),
)
GRAPHS = {"etude": HUMAN, "etude-null": HUMAN, "etude-alt": ALTERNATIVE}
"""Model name → the graph of the music it was trained on."""


def draw_factorial(rng: np.random.Generator) -> dict[str, int]:
    """Draw every factor independently and uniformly (levels as indices into `FACTORS`)."""
    return {name: int(rng.integers(len(levels))) for name, levels in FACTORS.items()}


def draw_emotional(graph: Graph, quadrant: int, rng: np.random.Generator) -> dict[str, int]:
    """Draw the cues from `graph` for an emotion `quadrant` (1–4), all other factors independently."""
    valence, arousal = QUADRANTS[quadrant]
    return {**draw_factorial(rng), **graph.levels(valence, arousal, rng)}
