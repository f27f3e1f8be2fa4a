"""Which instrument plays: a classifier on timbre, trained on music whose instruments are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InterpError, unknown
from .sounds import Sounds

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Instruments:
    """Multinomial logistic regression on means and spreads of the mel cepstrum."""

    classifier: Pipeline

    @classmethod
    def train(cls, sounds: Sounds, names: Sequence[str]) -> Instruments:
        """Train on clips [clip] and the instrument of each.

        Raises
        ------
        InterpError
            If there are not as many names as clips, or all are of one instrument.
        """
        from ..probe import logistic_pipeline

        names = np.asarray(names, dtype=str)
        if len(names) != len(sounds) or len(set(names)) < 2:
            raise InterpError(
                f"{len(names)} names of {len(set(names))} instruments for {len(sounds)} clips; want one for "
                "each clip, and two instruments or more."
            )
        return cls(logistic_pipeline(0.1).fit(sounds.timbre, names))

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Name of the instrument, [clip]."""
        return self.classifier.predict(sounds.timbre)

    def leaning(self, sounds: Sounds, pair: Sequence[str]) -> np.ndarray:
        """Log odds of the first instrument of a pair against the second, [clip]."""
        known = list(self.classifier.classes_)
        for name in pair:
            if name not in known:
                raise unknown("instrument", name, known)
        scores = self.classifier.decision_function(sounds.timbre)
        if scores.ndim == 1:  # of two instruments it gives the second's score alone
            scores = np.column_stack([-scores / 2, scores / 2])
        first, second = (known.index(name) for name in pair)
        return scores[:, first] - scores[:, second]
