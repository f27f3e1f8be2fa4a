"""What can a linear readout tell from vectors, about clips of groups (songs, pieces, prompts) it never saw?

:class:`Probe` is made once from vectors [clip, width] and groups, and asked about any number of targets: a
number (ridge regression, scored by R²) or a class (logistic regression, scored by balanced accuracy).

- **Score**: of predictions on held-out groups; the regularisation is chosen in grouped folds within those
  trained on. Its interval leaves out one group at a time, with the predictions as they are.
- **p**: labels are dealt anew over groups (:mod:`interp.stats.permutation`). The statistic is the best score
  over three fixed penalties, on the labels as they are and on each dealing alike: nothing chosen on the real
  labels is used for the others, so the test is exact, and :mod:`interp.probe.ridge` makes it cheap. For
  classes it is the score of ridge regression on one column a class, not that of the logistic fits.
- **Selectivity** (Hewitt & Liang 2019): a probe that can remember groups looks good where clips of one group
  are both trained on and tested.  So with such folds, the score on the target minus that on a control task in
  which every group has the label of a clip drawn at random.

What a readout gains over a baseline is in :mod:`interp.probe.gain`, readouts across corpora in
:mod:`interp.probe.transfer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..errors import InterpError, check_whole
from ..results.claims import Measure
from ..stats import Interval, coded, codes, jackknife, totals
from ..stats.permutation import Test, relabellings
from . import ridge
from .scores import accuracy_of_scores, score

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the logistic probe: scikit-learn's C
CONTROLS = 20  # dealings of the control task


@dataclass(frozen=True)
class Reading:
    """What a probe read on held-out groups.

    Attributes
    ----------
    score : Interval
        R², or balanced accuracy; 95 % interval over groups.
    test : Test
        Against labels dealt anew over groups; its statistic is described in the module's docstring.
    selectivity : float or None
        None if every group has one clip, so that there is nothing to remember.
    chance : float
        Score without any information: 0, or one over the number of classes.
    predicted, labels, groups : np.ndarray
        [clip]. Of labels, what known cues leave, where such are regressed out.
    """

    score: Interval
    test: Test
    selectivity: float | None
    chance: float
    predicted: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    groups: np.ndarray = field(repr=False)

    @property
    def p(self) -> float:
        """Of the permutation test."""
        return self.test.p

    @property
    def clips(self) -> int:
        """Number of clips read."""
        return len(self.labels)

    @property
    def n_groups(self) -> int:
        """Number of groups they come from."""
        return int(codes(self.groups).max()) + 1

    def measure(self) -> Measure:
        """Score above chance, as a claim takes it."""
        s = self.score
        above = (s.low - self.chance, s.high - self.chance)
        return Measure(s.estimate - self.chance, above, self.p, self.clips, self.n_groups)


class Probe:
    """Readouts of one set of vectors; see the module's docstring.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, width], such as mean activations at a site.
    groups : sequence
        [clip]: what clips may share besides the target (song, piece, prompt).
    folds : int
        Folds of groups.
    nuisance : np.ndarray, optional
        [clip, cue]: known cues, regressed out of the vectors and, where it is a number, of the label, by a
        fit to the training clips of every fold. The score is then a partial R²: what the vectors say beyond
        the cues, as a share of what the cues leave of the label. Only what is linear in them goes: give
        squares and products too, where a cue may act by those.
    n : int
        Relabellings of a test.
    seed : int
        Of folds, relabellings and control tasks; the same seed and groups give the same folds, so that
        readings of several sites are paired.

    Raises
    ------
    InterpError
        If lengths differ, a value is not finite, the vectors do not vary, there are fewer groups than folds,
        or groups cannot be told apart (None, NaN).
    """

    def __init__(
        self,
        vectors: np.ndarray,
        groups: Sequence,
        folds: int = 5,
        nuisance: np.ndarray | None = None,
        n: int = 1000,
        seed: int = 0,
    ) -> None:
        self.vectors, self.groups = np.asarray(vectors, float), np.asarray(groups)
        self.folds, self.n, self.seed = check_whole(folds, "The number of folds", 2), n, seed
        check_whole(seed, "seed", 0)
        self.nuisance = None if nuisance is None else np.asarray(nuisance, float).reshape(len(nuisance), -1)
        check_vectors(self.vectors, self.groups, folds)
        if self.nuisance is not None and (
            len(self.nuisance) != len(self.vectors) or not np.isfinite(self.nuisance).all()
        ):
            raise InterpError(
                f"Cues to regress out must be [{len(self.vectors)} clips, cue] and finite (no NaN)."
            )
        self.splits = self._split(np.arange(len(self.vectors)))

    def ridge(self, labels: Sequence[float]) -> Reading:
        """Read a number, such as valence."""
        y = check_numbers(labels, self.groups)
        predicted = np.empty(len(y))
        for (train, test), inner in zip(self.splits, self._inner, strict=True):
            matrix = self.held_out.matrices[inner.score(y[train]).argmax()]
            predicted[test] = matrix[np.ix_(test, train)] @ y[train]
        left = self.held_out.labels(y)
        return self._reading(y, left, predicted, lambda held_out, dealt: held_out.score(dealt).max(0))

    def logistic(self, labels: Sequence) -> Reading:
        """Read a class, such as the quadrant."""
        names, y = check_classes(labels, self.groups)
        predicted = np.empty(len(y), int)
        for train, test in self.splits:
            strength = self.strength(y, train)
            predicted[test] = self._fit_logistic(y, train, test, strength)

        def best_score(held_out: ridge.HeldOut, dealt: np.ndarray) -> np.ndarray:
            return np.max([accuracy_of_scores(m, dealt, len(names)) for m in held_out.matrices], axis=0)

        return self._reading(y, y, predicted, best_score, names)

    def _reading(self, y: np.ndarray, wanted: np.ndarray, predicted: np.ndarray, best_score, names=None):
        """Score, test and selectivity of predictions of what is wanted of y; ``best_score`` is the test's."""
        found = score(wanted, predicted, names is not None)
        index, exact = relabellings(y, self.groups, self.n, self.seed)
        of_test = self.held_out[::2]
        null = np.concatenate(
            [best_score(of_test, y[part]) for part in np.array_split(index, -(-len(index) // 250))]
        )
        test = Test.of(float(best_score(of_test, y[None])[0]), null, exact)
        selectivity = None
        if self._remembered is not None:
            rng, group = np.random.default_rng(self.seed), codes(self.groups)
            drawn = rng.integers(0, len(y), (CONTROLS, group.max() + 1))
            control = y[drawn][:, group]
            control = control[np.ptp(control, axis=1) > 0]
            task = best_score(self._remembered, y[None])[0]
            selectivity = float(task - best_score(self._remembered, control).mean())
        chance = 0.0 if names is None else 1 / len(names)
        labels = wanted if names is None else names[y]
        predicted = predicted if names is None else names[predicted]
        interval = jackknife(totals(self.groups, *found.columns), found.statistic)
        return Reading(interval, test, selectivity, chance, predicted, labels, self.groups)

    # --- what depends on the vectors alone, worked out once ---

    @cached_property
    def held_out(self) -> ridge.HeldOut:
        """Matrices [penalty, clip, clip], groups held out."""
        return ridge.held_out(self.vectors, self.splits, self.nuisance)

    @cached_property
    def _inner(self) -> list[ridge.HeldOut]:
        """The same within the training clips of every fold."""
        nuisance = self.nuisance
        return [
            ridge.held_out(
                self.vectors[train], self._split(train), None if nuisance is None else nuisance[train]
            )
            for train, _ in self.splits
        ]

    @cached_property
    def _remembered(self) -> ridge.HeldOut | None:
        """The same with clips held out and groups shared, for the control task."""
        if codes(self.groups).max() + 1 == len(self.groups):
            return None
        splits = KFold(self.folds, shuffle=True, random_state=self.seed).split(self.vectors)
        return ridge.held_out(self.vectors, list(splits), self.nuisance, ridge.PENALTIES[::2])

    def _split(self, clips: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        groups = self.groups[clips]
        folds = GroupKFold(min(self.folds, len(np.unique(groups))), shuffle=True, random_state=self.seed)
        return list(folds.split(groups, groups=groups))

    def strength(self, y: np.ndarray, train: np.ndarray) -> float:
        """Regularisation of the logistic probe, chosen in grouped folds of the training clips."""
        predicted = np.empty((len(STRENGTHS), len(train)), int)
        for inner_train, inner_test in self._split(train):
            for i, strength in enumerate(STRENGTHS):
                guess = self._fit_logistic(y, train[inner_train], train[inner_test], strength)
                predicted[i, inner_test] = guess
        return STRENGTHS[int(np.argmax([score(y[train], row, True).value for row in predicted]))]

    def _fit_logistic(
        self, y: np.ndarray, train: np.ndarray, test: np.ndarray, strength: float
    ) -> np.ndarray:
        x, new = self.vectors[train], self.vectors[test]
        if self.nuisance is not None:
            x, new = ridge.regress_out(x, new, self.nuisance[train], self.nuisance[test])
        if len(np.unique(y[train])) == 1:
            return np.full(len(test), y[train[0]])
        return logistic_pipeline(strength).fit(x, y[train]).predict(new)


def profile(
    sites: Mapping[str, np.ndarray],
    numbers: Mapping[str, Sequence[float]],
    classes: Mapping[str, Sequence] | None = None,
    *,
    groups: Sequence,
    progress: bool = True,
    **options,
) -> dict[str, dict[str, Reading]]:
    """Read every target at every site: ``profile(...)[site][target]``.

    Parameters
    ----------
    sites : dict
        From a site, or a baseline (:mod:`interp.probe.baselines`), to its vectors [clip, width].
    numbers, classes : dict
        From a target to its labels [clip]: ridge and logistic probes.
    options : of :class:`Probe`.
    """
    from tqdm import tqdm

    found: dict[str, dict[str, Reading]] = {}
    for site, vectors in tqdm(sites.items(), desc="probe", disable=not progress, leave=False):
        probe = Probe(vectors, groups, **options)
        found[site] = {target: probe.ridge(labels) for target, labels in numbers.items()}
        found[site] |= {target: probe.logistic(labels) for target, labels in (classes or {}).items()}
    return found


def logistic_pipeline(strength: float):
    """Standardise, then logistic regression with every class of the same weight."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=300, tol=1e-3)
    )


def check_vectors(vectors: np.ndarray, groups: np.ndarray, folds: int) -> None:
    """Raise unless vectors can be read in that many folds of groups."""
    names, group = coded(groups, "Groups")
    if vectors.ndim != 2 or len(vectors) != len(group) or vectors.size == 0:
        raise InterpError(
            f"Vectors {list(vectors.shape)} and {len(group)} groups do not go together; want [clip, width], "
            "and one group a clip."
        )
    if not np.isfinite(vectors).all():
        raise InterpError("The vectors hold values that are not finite (NaN or infinite).")
    if np.ptp(vectors, axis=0).max() == 0:
        raise InterpError("The vectors are the same for all clips, so nothing can be read off them.")
    if len(names) < folds:
        raise InterpError(f"There are {len(names)} groups for {folds} folds; use more groups or fewer folds.")


def check_numbers(labels: Sequence[float], groups: np.ndarray) -> np.ndarray:
    """Labels as numbers [clip], checked."""
    y = np.asarray(labels)
    if y.shape != groups.shape:
        raise InterpError(f"{y.size} labels for {len(groups)} clips; give each clip one label.")
    if y.dtype.kind not in "biuf":
        raise InterpError(f"Labels such as {y[0]!r} are not numbers; read classes with a logistic probe.")
    if not np.isfinite(y).all():
        raise InterpError("The labels hold values that are not finite (NaN or infinite).")
    if (y == y[0]).all():
        raise InterpError("All clips have the same label, so there is nothing to read.")
    return y.astype(float)


def check_classes(labels: Sequence, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of classes, and the number of each clip's class [clip], checked."""
    names, y = coded(labels)
    if y.shape != groups.shape:
        raise InterpError(f"{y.size} labels for {len(groups)} clips; give each clip one label.")
    if len(names) < 2:
        raise InterpError("All clips have the same label, so there is nothing to read.")
    for i, name in enumerate(names):
        if len(np.unique(groups[y == i])) < 2:
            raise InterpError(
                f"Class {name!s} has clips of one group only, so it is never both trained on and tested; "
                "add groups or leave it out."
            )
    return names, y
