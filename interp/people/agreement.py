"""Do a model and people weigh the cues alike?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..errors import InterpError
from ..results.claims import Measure
from ..stats import Interval, leave_one_out
from ..stats.permutation import Test
from . import Weights


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two tables of weights, compared.

    Attributes
    ----------
    cosine : float
        Between the tables, all emotions and cues as one signed vector.
    rmse : float
        Root mean square difference of their β.
    expected : float
        Mean cosine over all orders of the cues, the same order for all emotions. It is not 0: an order keeps
        how much weight an emotion has in all, and its sign.
    interval : Interval
        Of cosine minus `expected`, the statistic of hypothesis C1.
    errors : dict of str to float
        Standard error of that statistic by source: "stimuli", and "readouts" where refits were given.
    test : Test
        Exact, over all orders, one-sided. Five cues have 120 orders, so no p is below 1/120.
    stimuli : int
    units : int
        The fewest independent units among the sources.
    """

    cosine: float
    rmse: float
    expected: float
    interval: Interval
    errors: dict[str, float]
    test: Test
    stimuli: int
    units: int

    def measure(self) -> Measure:
        """For a claim under C1."""
        found = self.interval
        return Measure(found.estimate, (found.low, found.high), self.test.p, self.stimuli, self.units)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of two tables [..., emotion, cue] as vectors."""
    return (a * b).sum((-1, -2)) / _norms(a, b)


def centred(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of two tables [..., emotion, cue] minus its mean over all orders of the cues of one of them.

    On average over the orders each cue has the mean weight of its emotion, so nothing is enumerated here.
    """
    return (a * (b - b.mean(-1, keepdims=True))).sum((-1, -2)) / _norms(a, b)


def agreement(model: Weights | np.ndarray, people: Weights, readouts: np.ndarray | None = None) -> Agreement:
    """Compare a model's weights with those of people.

    Parameters
    ----------
    model : Weights, or np.ndarray [emotion, cue]
        From :func:`interp.people.weights`; or weights that are known without stimuli.
    people : Weights
        In the same emotions and cues.
    readouts : np.ndarray, optional
        [refit, emotion, cue], the model's weights with one unit of what made its readouts left out: an
        emotion word (or one word of each emotion at once), a song of the training corpus. A claim about
        *words* needs them, since other words would have given other directions.

    Raises
    ------
    InterpError
        If emotions, cues or shapes differ, weights are not finite or all 0, or there is but one refit.

    Notes
    -----
    The standard error joins two sources, which are independent: which stimuli were heard (left out of both
    tables at once where both come from the same stimuli) and, with `readouts`, which units made the readouts.
    Degrees of freedom after Satterthwaite (1946).
    """
    table = model.table if isinstance(model, Weights) else np.asarray(model, float)
    if isinstance(model, Weights) and (model.emotions, model.cues) != (people.emotions, people.cues):
        raise InterpError(
            f"The model's weights are of {model.emotions} by {model.cues}, people's of {people.emotions} by "
            f"{people.cues}; give both in the same order."
        )
    refits = np.empty((0, *people.table.shape)) if readouts is None else np.asarray(readouts, float)
    if table.shape != people.table.shape or refits.shape[1:] != people.table.shape:
        raise InterpError(
            f"Weights {list(table.shape)} and refits {list(refits.shape)} do not go with people's "
            f"{list(people.table.shape)}, [emotion, cue]."
        )
    if not (np.isfinite(table).all() and np.isfinite(refits).all() and table.any()):
        raise InterpError("A model's weights must be finite, and not all 0.")
    if readouts is not None and len(refits) < 2:
        raise InterpError("An interval over readouts needs refits without each of two units or more.")

    estimate = float(centred(table, people.table))
    if not isinstance(model, Weights):
        parts = {"stimuli": [centred(table, people.refits)]}
    elif model.groups == people.groups:
        parts = {"stimuli": [centred(model.refits, people.refits)]}
    else:
        parts = {"stimuli": [centred(model.refits, people.table), centred(table, people.refits)]}
    if readouts is not None:
        parts["readouts"] = [centred(refits, people.table)]
    found = {name: [leave_one_out(estimate, w) for w in without] for name, without in parts.items()}
    errors = {name: float(np.sqrt(sum(x.error**2 for x in group))) for name, group in found.items()}
    every = [x for group in found.values() for x in group]
    error = float(np.sqrt(sum(x.error**2 for x in every)))
    df = error**4 / sum(x.error**4 / x.df for x in every) if error else min(x.df for x in every)

    orders = np.array(list(permutations(range(len(people.cues)))))
    null = centred(np.moveaxis(table[:, orders], 1, 0), people.table)
    whole = float(cosine(table, people.table))
    return Agreement(
        cosine=whole,
        rmse=float(np.sqrt(((table - people.table) ** 2).mean())),
        expected=whole - estimate,
        interval=Interval.of(estimate, error, max(1, int(df))),
        errors=errors,
        test=Test.of(estimate, null, exact=True),
        stimuli=people.stimuli,
        units=min(x.df + 1 for x in every),
    )


def _norms(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of the lengths of two tables as vectors."""
    return np.sqrt((a**2).sum((-1, -2)) * (b**2).sum((-1, -2)))
