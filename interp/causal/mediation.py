"""How much of what a change does goes through a named subspace?

A pair is one piece twice, x and x*, with one cue changed: slow and fast.  y is a readout, m the component of
the activations inside the mediator's subspace.  All effects are differences from y(x), in y's unit:

============  ==========================================  ==================================================
effect        definition                                  in words
============  ==========================================  ==================================================
``total``     y(x*) - y(x)                                everything the change does
``indirect``  y(x with m of x*) - y(x)                    what the mediator does alone (natural indirect)
``direct``    y(x* with m of x) - y(x)                    what is left with the mediator held (natural direct)
``through``   total - direct                              what holding the mediator takes away
============  ==========================================  ==================================================

In a linear model indirect and through are one, and indirect and direct add up to the total.  In any other
they need not: where mediator and rest act together, or can stand in for each other, they do not.
Source: Pearl (2001); Vig et al. (2020, arXiv:2004.12265) for language models; Geiger et al. (2021,
arXiv:2106.02997) for interchange.

With a ``cause``, a subspace at an earlier site, x* is not the other version of the piece but x with the
cause's component of that version.  The rest of the change stays out, ``through`` is the effect along the path
cause → mediator → readout, and ``direct`` that along all others.

Fast and slow versions of a piece are not aligned in time, so what is exchanged is of the clip: every step is
shifted by the same vector, the difference between the two clips' mean vectors inside the subspace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ..errors import InterpError
from ..probe import transfer
from ..steering.vectors import readout as weights
from .controls import Effect, controlled
from .patch import edits_of
from .runs import TeacherForced
from .setters import shift
from .subspace import Subspace

if TYPE_CHECKING:
    from ..model import Model

Shifts = Mapping[str, np.ndarray]
"""From a site to what is added at each of its steps: [clip, width]."""

Run = Callable[[Any, Shifts, Sequence[str]], Mapping[str, np.ndarray]]
"""``run(inputs, shifts, sites)``: mean vectors [clip, width] of sites, with the shifts in place."""

LEAST_PIECES = 6  # with fewer, no flipping of signs has a two-sided p below .05


@dataclass(frozen=True, eq=False)
class Versions:
    """Inputs in two versions that differ in one cue.

    Attributes
    ----------
    base, counterfactual : what ``run`` takes, as many clips each, in the same order: slow and fast.
    pieces : sequence
        [clip]: what each pair is a version of; the clusters of every interval.
    cues : tuple of two sequences of dicts, optional
        The cues of every clip of both sides; checked to differ in one, the same for all pairs.

    Raises
    ------
    InterpError
        If the two sides are not paired, there are fewer than six pieces, or a pair differs in no cue or more
        than one.
    """

    base: Sized
    counterfactual: Sized
    pieces: Sequence
    cues: tuple[Sequence[Mapping], Sequence[Mapping]] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.base), len(self.counterfactual), len(self.pieces), *map(len, self.cues or ())}
        if len(lengths) > 1:
            raise InterpError(
                f"Unpaired inputs: {len(self.base)} clips, {len(self.counterfactual)} counterfactual ones, "
                f"{len(self.pieces)} pieces (cues, if given, must be as many); pair every clip."
            )
        if (count := len(set(self.pieces))) < LEAST_PIECES:
            raise InterpError(f"{count} pieces are too few for a test over pieces; give {LEAST_PIECES}.")
        if self.cues is not None:
            check_one_cue(*self.cues)


@dataclass(frozen=True, eq=False)
class Readout:
    """A linear readout of the vectors of a site.

    Attributes
    ----------
    weights : np.ndarray
        [width].
    site, name : str
    offset : float
    """

    weights: np.ndarray = field(repr=False)
    site: str
    name: str
    offset: float = 0.0

    @classmethod
    def fit(
        cls,
        vectors: np.ndarray,
        labels: Sequence,
        groups: Sequence,
        site: str,
        name: str,
        classes: bool = False,
        seed: int = 0,
    ) -> Readout:
        """:func:`interp.probe.transfer.fit`, in standard deviations of what it reads off these clips."""
        w, offset = weights(transfer.fit(vectors, labels, groups, classes, seed=seed))
        spread = float(np.std(np.asarray(vectors, float) @ w))
        return cls(w / spread, site, name, offset / spread)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[clip, width] to [clip]."""
        return vectors @ self.weights + self.offset


@dataclass(frozen=True, eq=False)
class Mediation:
    """Effects of a change, as the module's docstring defines them.

    Attributes
    ----------
    total, indirect, direct, through : Effect
        The last three with controls in the mediator's place; holding a meaningless subspace leaves the whole
        effect direct, so the controls of ``direct`` lie near the total. The total has controls if there is
        a cause.
    also : dict
        Total effect on further readouts, such as that of the mediator itself.
    by_rank : dict
        From a rank of the mediator to its ``indirect``, ``direct`` and ``through``, without controls.
    """

    total: Effect
    indirect: Effect
    direct: Effect
    through: Effect
    also: Mapping[str, Effect] = field(default_factory=dict)
    by_rank: Mapping[int, Mapping[str, Effect]] = field(default_factory=dict)


def mediate(
    run: Run,
    versions: Versions,
    mediator: Subspace,
    readout: Readout,
    *,
    cause: Subspace | None = None,
    also: Iterable[Readout] = (),
    ranks: Iterable[int] = (),
    shuffled: Sequence[Subspace] = (),
    shuffled_cause: Sequence[Subspace] = (),
    draws: int = 2,
    alternative: str = "greater",
    seed: int = 0,
) -> Mediation:
    """Total, indirect and direct effect of a change, or of a cause, through a mediator.

    Parameters
    ----------
    run : callable
        See :data:`Run`; :func:`teacher_forced` makes one of a model.
    mediator, cause : Subspace
        The cause's site comes before the mediator's, and this before the readout's.
    also : Readouts that the total effect is given on too.
    ranks : ranks up to the mediator's at which its effects are given too; :meth:`Subspace.from_label`.
    shuffled, shuffled_cause : from :func:`interp.causal.controls.shuffled_subspaces`, for mediator and cause.
    draws, alternative, seed : of :func:`interp.causal.controls.controlled`.

    Raises
    ------
    InterpError
        If a run gives other vectors than it should, or not finite ones; the sites lie in another order;
        or two readouts have one name.
    """
    outcomes = [readout, *also]
    if len({y.name for y in outcomes}) < len(outcomes):
        raise InterpError(f"Readouts need different names, not {', '.join(y.name for y in outcomes)}.")
    sites = list(dict.fromkeys(s.site for s in (mediator, *outcomes, *([cause] if cause else []))))

    def at(inputs: Sized, shifts: Shifts) -> Mapping[str, np.ndarray]:
        return _checked(run(inputs, shifts, sites), sites, len(versions.pieces))

    def effects(vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {y.name: y(vectors[y.site]) - y(base[y.site]) for y in outcomes}

    options = {"draws": draws, "alternative": alternative, "seed": seed}
    base, other = at(versions.base, {}), at(versions.counterfactual, {})
    inputs, held = versions.counterfactual, {}
    if cause is None:
        totals = {n: Effect.of(v, versions.pieces, alternative) for n, v in effects(other).items()}
    else:
        change = other[cause.site] - base[cause.site]
        inputs, held = versions.base, {cause.site: cause.project(change)}
        other = at(inputs, held)
        totals = controlled(
            lambda shift: effects(at(versions.base, {cause.site: shift})),
            change,
            cause,
            versions.pieces,
            shuffled=shuffled_cause,
            **options,
        )
    change = other[mediator.site] - base[mediator.site]
    if cause is not None and not change.any():
        raise InterpError(f"The cause at {cause.site} changes nothing at {mediator.site}; take a later site.")
    total = totals[readout.name].values

    def act(shift: np.ndarray) -> dict[str, np.ndarray]:
        swapped = at(versions.base, {mediator.site: shift})
        if shift.any() and np.array_equal(swapped[readout.site], base[readout.site]):
            raise InterpError(
                f"The mediator at {mediator.site} changes nothing at {readout.site}; take an earlier site."
            )
        indirect = effects(swapped)[readout.name]
        back = at(inputs, {**held, mediator.site: held.get(mediator.site, 0) - shift})
        direct = effects(back)[readout.name]
        return {"indirect": indirect, "direct": direct, "through": total - direct}

    found = controlled(act, change, mediator, versions.pieces, shuffled=shuffled, **options)
    by_rank = {
        rank: {
            name: Effect.of(values, versions.pieces, alternative)
            for name, values in act(mediator.leading(rank).project(change)).items()
        }
        for rank in ranks
    }
    return Mediation(total=totals.pop(readout.name), **found, also=totals, by_rank=by_rank)


def teacher_forced(model: Model, **options: Any) -> Run:
    """Runs of a model over clips (:class:`interp.Generation`), every step of a site shifted alike.

    Parameters
    ----------
    options : of :class:`interp.causal.runs.TeacherForced`, such as ``batch_size``.
    """

    def run(clips: Any, shifts: Shifts, sites: Sequence[str]) -> dict[str, np.ndarray]:
        heard = TeacherForced(model, clips, read=sites, **options)
        places = pd.DataFrame({"site": list(shifts), "rows": heard.groups[0]})
        order, parts = [], []
        with torch.no_grad():
            for members, outcome in heard(edits_of(heard, places, shift(shifts)), heard.groups[0]):
                order += members
                parts.append({site: outcome.pooled(site).cpu().numpy() for site in sites})
        back = np.argsort(order)
        return {site: np.concatenate([part[site] for part in parts])[back] for site in sites}

    return run


def check_one_cue(base: Sequence[Mapping], counterfactual: Sequence[Mapping]) -> str:
    """The cue in which all pairs differ.

    Raises
    ------
    InterpError
        If a pair has other cues on its two sides, or differs in none, or in more than one, or in another than
        the pairs before.
    """
    found = None
    for number, (one, other) in enumerate(zip(base, counterfactual, strict=True)):
        if set(one) != set(other):
            raise InterpError(f"Pair {number} has {sorted(set(one) ^ set(other))} on one side only.")
        differing = sorted(cue for cue in one if one[cue] != other[cue])
        if len(differing) != 1:
            raise InterpError(
                f"Pair {number} differs in {', '.join(differing) or 'nothing'}; it must differ in one cue."
            )
        if found not in (None, differing[0]):
            raise InterpError(f"Pair {number} differs in {differing[0]}, those before it in {found}.")
        found = differing[0]
    return found


def _checked(vectors: Mapping[str, np.ndarray], sites: Sequence[str], clips: int) -> dict[str, np.ndarray]:
    """Vectors of each site as numbers [clip, width]."""
    checked = {}
    for site in sites:
        if site not in vectors:
            raise InterpError(f"The run gave nothing for {site}.")
        x = np.asarray(vectors[site], float)
        if x.ndim != 2 or len(x) != clips:
            raise InterpError(f"The run gave {list(x.shape)} at {site}; want [{clips} clips, width].")
        if not np.isfinite(x).all():
            raise InterpError(f"Vectors at {site} are not finite (NaN or infinite).")
        checked[site] = x
    return checked
