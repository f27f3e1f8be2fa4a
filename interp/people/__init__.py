"""How much each musical cue weighs in an emotion: in people's ratings, and in a model's readouts.

Eerola, Friberg & Bresin (2013) had 46 listeners rate 200 pieces in which mode, tempo, register, level and
articulation vary independently of each other.  A weight is a standardised regression coefficient (β): by how
many standard deviations a rating rises when a cue rises by one and everything else stays.  Listeners and
models go through one function, :func:`weights`; :func:`interp.people.agreement.agreement` compares tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InterpError
from ..stats import Interval, codes, leave_one_out

if TYPE_CHECKING:
    import pandas as pd

    from ..corpora import Corpus

EMOTIONS = ("happy", "sad", "peaceful", "scary")
CUES = ("mode", "tempo", "register", "level", "articulation")
"""Low to high: minor to major, slow to fast, low to high, soft to loud, legato to staccato."""
TIMBRES = ("trumpet", "flute", "horn")
MELODIES = ("peaceful", "happy", "scary", "sad")  # see README.md beside this file


@dataclass(frozen=True, eq=False)
class Design:
    """What varies between stimuli.

    Attributes
    ----------
    cues : np.ndarray
        [stimulus, cue], level of each cue, low to high.
    covariates : np.ndarray
        [stimulus, column], what else varies; categories as columns of 0 and 1 (`dummies`).
    names : tuple of str
        Name of each cue.
    groups : tuple
        Stimuli of one group, such as variants of one piece, are left out together.
    """

    cues: np.ndarray
    covariates: np.ndarray
    names: tuple[str, ...]
    groups: tuple

    @classmethod
    def of(
        cls, corpus: Corpus, cues: Sequence[str] = CUES, covariates: Sequence[str] = ("timbre", "melody")
    ) -> Design:
        """The design of any corpus whose labels hold the levels of its cues.

        Parameters
        ----------
        covariates : labels to hold constant; texts are categories, numbers are taken as they are.

        Raises
        ------
        InterpError
            If there is no such label, or a clip lacks it.
        """
        columns = []
        for name in covariates:
            values = corpus.column(name)
            columns.append(dummies(values) if values.dtype == object else values[:, None])
        levels = np.column_stack([corpus.column(cue) for cue in cues])
        others = np.column_stack([np.empty((len(corpus), 0)), *columns])
        if levels.dtype == object or not (np.isfinite(levels).all() and np.isfinite(others).all()):
            raise InterpError(
                f"Corpus {corpus.name} has clips without a value of {', '.join([*cues, *covariates])}, or a "
                "cue that is not a number; leave those clips out."
            )
        return cls(levels, others, tuple(cues), tuple(corpus.groups))


def dummies(values: Sequence) -> np.ndarray:
    """A category as columns of 0 and 1, [stimulus, value - 1], the first value in sorted order being none."""
    values = np.asarray(values)
    if any(value is None for value in values):
        return np.full((len(values), 1), np.nan)
    return np.eye(len(set(values)))[codes(values.astype(str))][:, 1:]


@cache
def _table(name: str) -> dict[str, np.ndarray]:
    path = Path(__file__).with_name(name)
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        return dict(zip(names, np.loadtxt(file, delimiter=",", unpack=True), strict=True))


def levels() -> list[dict[str, int | str]]:
    """Id of each stimulus, levels of its five cues from 0, low to high, names of its timbre and melody."""
    table = {name: column.astype(int) for name, column in _table("design_matrix.csv").items()}
    columns = {
        "mode": 2 - table["Mode"],  # 1 is major in the table
        "tempo": table["Tempo"] - 1,
        "register": table["Register"] - 1,
        "level": table["Soundlevel"] - 1,
        "articulation": table["Articulation"] - 1,
    }
    rows = [dict(zip(columns, row, strict=True)) for row in np.column_stack([*columns.values()]).tolist()]
    others = zip(table["Nro"], table["Timbre"], table["Melody"], strict=True)
    return [
        row | {"id": f"eerola2013-{n:03d}", "timbre": TIMBRES[timbre - 1], "melody": MELODIES[melody - 1]}
        for row, (n, timbre, melody) in zip(rows, others, strict=True)
    ]


def design() -> Design:
    """The study's own 200 stimuli, with timbre and melody as categories."""
    rows = levels()
    cues = np.array([[row[cue] for cue in CUES] for row in rows])
    others = np.hstack([dummies([row[name] for row in rows]) for name in ("timbre", "melody")])
    return Design(cues, others, CUES, tuple(row["id"] for row in rows))


def ratings() -> np.ndarray:
    """Mean ratings of the study's stimuli, [200, 4], scale 1 to 7, columns as `EMOTIONS`."""
    table = _table("mean_emotion_ratings.csv")
    return np.column_stack([table[emotion.capitalize()] for emotion in EMOTIONS])


def composites(readings: np.ndarray) -> np.ndarray:
    """Valence and arousal of four emotions, [stimulus, 2], each emotion in units of its own spread.

    Valence is happy + peaceful - sad - scary, arousal happy + scary - sad - peaceful.  Nobody rated either:
    they only sum up the four.
    """
    x = np.asarray(readings, float)
    if x.ndim != 2 or x.shape[1] != len(EMOTIONS):
        raise InterpError(f"Composites want readings of {', '.join(EMOTIONS)}, not shape {list(x.shape)}.")
    z = (x - x.mean(0)) / _spread(x, EMOTIONS)
    return z @ np.array([[1, -1, 1, -1], [1, -1, -1, 1]]).T


@dataclass(frozen=True, eq=False)
class Weights:
    """Standardised weights of cues in emotions.

    Attributes
    ----------
    table : np.ndarray
        [emotion, cue], signed β.
    refits : np.ndarray
        [group, emotion, cue], the same without the stimuli of one group.
    r2 : np.ndarray
        [emotion], share of variance that cues and covariates explain together.
    stimuli : int
        How many stimuli.
    groups : tuple
        What was left out in each refit.
    emotions, cues : tuple of str
    """

    table: np.ndarray
    refits: np.ndarray
    r2: np.ndarray
    stimuli: int
    groups: tuple
    emotions: tuple[str, ...]
    cues: tuple[str, ...]

    def interval(self, emotion: str, cue: str, level: float = 0.95) -> Interval:
        """β of one cue in one emotion, with its interval over stimuli (jackknife over groups)."""
        i, j = self.emotions.index(emotion), self.cues.index(cue)
        return leave_one_out(self.table[i, j], self.refits[:, i, j], level)

    def frame(self) -> pd.DataFrame:
        """R², and each weight with its 95 % interval, written out: a row for each emotion."""
        import pandas as pd

        rows = {}
        for emotion, r2 in zip(self.emotions, self.r2, strict=True):
            found = [self.interval(emotion, cue) for cue in self.cues]
            rows[emotion] = [
                f"{r2:.2f}",
                *(f"{x.estimate:+.2f} [{x.low:+.2f}, {x.high:+.2f}]" for x in found),
            ]
        return pd.DataFrame.from_dict(rows, orient="index", columns=["R²", *self.cues]).rename_axis("emotion")


def weights(readings: np.ndarray, design: Design, emotions: Sequence[str] = EMOTIONS) -> Weights:
    """Regress readings of emotions on cues by least squares, everything standardised.

    Parameters
    ----------
    readings : np.ndarray
        [stimulus, emotion]: ratings, a readout's predictions, projections on a direction.
    design : Design
        Of the same stimuli in the same order.
    emotions : names of the columns.

    Raises
    ------
    InterpError
        If shapes do not go together, values are not finite, a reading is the same for all stimuli, or cues
        and covariates cannot be told apart, with all stimuli or without those of one group.

    Notes
    -----
    As in Eerola, Friberg & Bresin (2013), with the levels of each cue as equal steps.  Standardisation is
    part of each refit.
    """
    y, x = np.asarray(readings, float), np.column_stack([design.cues, design.covariates])
    if y.shape != (len(x), len(emotions)):
        raise InterpError(
            f"Readings {list(y.shape)} must be [{len(x)} stimuli of the design, {len(emotions)} emotions]."
        )
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise InterpError("Readings and design must be finite (no NaN or infinity).")
    _spread(y, emotions)
    columns = np.hstack([x, y])
    spread = np.where(np.ptp(columns, axis=0) > 0, columns.std(0), np.inf)  # one that does not vary becomes 0
    rows = np.column_stack([np.ones(len(x)), (columns - columns.mean(0)) / spread])
    group = codes(design.groups)
    if group.max() < 1:
        raise InterpError("Weights with intervals need at least two groups of stimuli.")
    # All that least squares needs is sums of products, and those without a group are a difference.
    products = np.zeros((group.max() + 1, rows.shape[1], rows.shape[1]))
    np.add.at(products, group, rows[:, :, None] * rows[:, None, :])
    whole = products.sum(0)
    table, r2 = _solve(whole, x.shape[1], len(design.names))
    refits, _ = _solve(whole - products, x.shape[1], len(design.names))
    left_out = tuple(np.unique(design.groups).tolist())
    return Weights(table, refits, r2, len(x), left_out, tuple(emotions), tuple(design.names))


def _solve(products: np.ndarray, predictors: int, cues: int) -> tuple[np.ndarray, np.ndarray]:
    """β of the first ``cues`` predictors [..., emotion, cue], and R² [..., emotion]."""
    count, sums = products[..., 0, 0, None, None], products[..., 0, 1:]
    scatter = products[..., 1:, 1:] - sums[..., :, None] * sums[..., None, :] / count
    variance = np.diagonal(scatter, axis1=-2, axis2=-1) / count[..., 0]
    scale = np.sqrt(np.where(variance > 1e-10, variance, 0) * count[..., 0])  # below it is rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = scatter / (scale[..., :, None] * scale[..., None, :])
    among, across = correlation[..., :predictors, :predictors], correlation[..., :predictors, predictors:]
    if not np.isfinite(correlation).all() or np.linalg.cond(among).max() > 1e10:
        raise InterpError(
            "Cues and covariates cannot be told apart in these stimuli (one does not vary, or follows from "
            "others), or not once a group is left out; take a factorial design, or leave a covariate out."
        )
    beta = np.linalg.solve(among, across)
    return np.swapaxes(beta, -1, -2)[..., :cues], (beta * across).sum(-2)


def _spread(readings: np.ndarray, emotions: Sequence[str]) -> np.ndarray:
    """Standard deviation of each column; raises if one has none."""
    spread = readings.std(0)
    flat = [
        name
        for name, value, size in zip(emotions, spread, np.abs(readings).max(0), strict=True)
        if value <= 1e-12 * size
    ]
    if flat:
        raise InterpError(
            f"Readings of {', '.join(flat)} are the same for all stimuli, so nothing has weight."
        )
    return spread
