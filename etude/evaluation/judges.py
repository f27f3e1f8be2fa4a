"""Judges: classifiers of what a clip is, trained on the composer's music as the codec renders it.

All are linear (multinomial logistic regression on standardised features), so that what they go by can be said
in one line each. How good they are on held-out renders is printed beside what they say of a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etude.factors import CUES, FACTORS, Graph
from interp.descriptors import CUES as MEASURED

COLUMN = {name: i for i, name in enumerate(FACTORS)}
HEARD = (*CUES, "cadence")
"""Cues that are measured in generated music: those of the graph."""


def linear(strength: float = 1.0):
    """A multinomial logistic regression; `strength` is the inverse of its penalty."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000))


@dataclass(frozen=True)
class Judges:
    """Judges of tonality and instrument, from a factorial corpus.

    The composer knows three tonics, two modes and two cadences: `tonality` names all three at once from the
    pitch classes of four registers, and mode and cadence are read off its probabilities.
    """

    tonality: object
    instrument: object

    @classmethod
    def train(cls, corpus: dict[str, np.ndarray]) -> Judges:
        """Train on a measured factorial corpus (see `etude.evaluation.corpora`)."""
        levels = corpus["levels"]
        mode, cadence = levels[:, COLUMN["mode"]], levels[:, COLUMN["cadence"]]
        joint = levels[:, COLUMN["key"]] * 4 + mode * 2 + cadence
        return cls(
            linear(0.1).fit(corpus["tonal"], joint),
            linear(0.1).fit(corpus["timbre"], levels[:, COLUMN["timbre"]]),
        )

    def major(self, tonal: np.ndarray) -> np.ndarray:
        """Probability [clip] of the major mode."""
        return self._share(tonal, self.tonality.classes_ // 2 % 2)

    def authentic(self, tonal: np.ndarray) -> np.ndarray:
        """Probability [clip] of the authentic cadence."""
        return self._share(tonal, self.tonality.classes_ % 2)

    def _share(self, tonal: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return self.tonality.predict_proba(tonal) @ counts

    def heard(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One number [clip] per cue of `HEARD`, higher for the cue's higher levels.

        Mode and cadence are log odds, tempo is onsets per second, register a MIDI note number, level in dB,
        articulation a share of quiet frames. NaN where the sound has no such cue.
        """
        cue = dict(zip(MEASURED, clips["cues"].T, strict=True))
        return {
            "mode": _log_odds(self.major(clips["tonal"])),
            "tempo": cue["onset_rate"],
            "register": cue["pitch"],
            "level": cue["level"],
            "articulation": cue["articulation"],
            "cadence": _log_odds(self.authentic(clips["tonal"])),
        }

    def acoustic(self, clips: dict[str, np.ndarray]) -> np.ndarray:
        """Features [clip, 9] for a classifier of quadrants: `heard`, key profiles, brightness and beats."""
        cue = dict(zip(MEASURED, clips["cues"].T, strict=True))
        columns = list(self.heard(clips).values())
        columns += [cue["mode"], np.log(cue["centroid"]), np.log(cue["tempo"])]
        return np.stack(columns, 1)


@dataclass(frozen=True)
class QuadrantJudge:
    """Which quadrant a clip belongs to, from its acoustic features; missing ones count as average."""

    classifier: object
    usual: np.ndarray

    @classmethod
    def train(cls, features: np.ndarray, quadrant: np.ndarray) -> QuadrantJudge:
        """Train on acoustic features [clip, feature] of emotional music and its quadrants 1–4."""
        usual = np.nanmean(features, 0)
        return cls(linear(1.0).fit(np.where(np.isnan(features), usual, features), quadrant), usual)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Quadrants [clip]."""
        return self.classifier.predict(np.where(np.isnan(features), self.usual, features))


def expected_high(graph: Graph, cue: str) -> tuple[int, ...]:
    """The two quadrants for which the graph sets a cue highest."""
    from etude.factors import QUADRANTS

    z = {q: v * graph.v[cue] + a * graph.a[cue] for q, (v, a) in QUADRANTS.items()}
    return tuple(sorted(sorted(z, key=z.get)[2:]))


def _log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))
