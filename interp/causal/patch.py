"""One intervention after the other, and what each does to a metric.

``patch(run, metric, sites, setter)`` has four parts that know nothing of each other:

- the **run**: finished clips heard once more, or clips generated anew (:mod:`interp.causal.runs`);
- the **metric**: from what the run gives to a number for each clip;
- the **sites**: a table, one intervention a row: which site, from which second to which, in which rows;
- the **setter**: what stands in place of the activations there (:mod:`interp.causal.setters`).

Where does the word "happy" act?  Hear the same tokens under both prompts, and put the activations of one into
the pass of the other, place by place::

    sad, happy = prompt_pair(model, clips, ["happy music"] * len(clips))
    source = interp.capture(model, happy, sites=["resid", "attn", "cross", "mlp"], steps="all")
    table = patch(TeacherForced(model, sad), metric, grid(model), replace(source))

With the clean run as source and the corrupted one as target this is denoising: what suffices to bring the
behaviour back.  The other way round it is noising: what is needed for it.  The two need not agree.
Source: Vig et al. (2020, arXiv:2004.12265); Meng et al. (2022, arXiv:2202.05262); Heimersheim & Nanda (2024,
arXiv:2404.15255) on the directions; the table of indices follows an idea of the TransformerLens library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ..errors import InterpError, check_list, unknown
from ..hooks import Edit, Pass
from ..sites import expand_sites
from ..stats import jackknife, totals

if TYPE_CHECKING:
    from ..model import Model

ROWS = ("cond", "null", "both")


class Place(NamedTuple):
    """Where a setter stands in: it gets ``x`` [clip, step, width] of these clips and steps.

    ``clips`` are indices in the whole run of ``run_clips`` clips, and the steps go from ``first`` to ``stop``
    (not included) of ``run_steps``; ``group`` is "cond" or "null".
    """

    site: str
    group: str
    clips: list[int]
    first: int
    stop: int
    run_clips: int
    run_steps: int


Setter = Callable[[torch.Tensor, Place], torch.Tensor]
Metric = Callable[[Any], Any]
"""From what a run gives for some clips to one number for each, [clip]."""


class Run(Protocol):
    """Clips on their way through a model, with edits on the way."""

    clips: int
    steps: int
    frame_rate: float
    groups: tuple[str, ...]  # rows that there are: "cond", "null"

    def check(self, site: str) -> None:
        """Raise :class:`InterpError` if there is no such site."""

    def __call__(self, edits: Mapping[str, Edit], rows: str) -> Iterator[tuple[Sequence[int], Any]]:
        """Batch by batch, the indices of its clips and what a metric is to see of them."""


def grid(
    model: Model,
    sites: Sequence[str] = ("resid", "attn", "cross", "mlp"),
    layers: Sequence[int] | None = None,
    steps: Sequence[tuple[float, float | None]] = ((0, None),),
    rows: Sequence[str] = ("cond",),
) -> pd.DataFrame:
    """Every combination of sites, spans of seconds and rows, one intervention a row.

    Parameters
    ----------
    sites, layers : as in :func:`interp.capture`.
    steps : list of (start, stop)
        In seconds, stop not included; None is the end. A step belongs to the frame that it decides in the
        first codebook.
    rows : list of str
        "cond", "null" or "both".

    Returns
    -------
    pandas.DataFrame
        Columns ``site, kind, layer, head, start, stop, rows``. The stream before the first block has layer
        -1; what is no head has none (NA).
    """
    found = []
    for site in expand_sites(model, sites, layers):
        kind, layer, head = (*site.name.split("."), None)[:3]
        place = {"site": site.name, "kind": kind, "layer": -1 if layer == "pre" else int(layer)}
        place["head"] = None if head is None else int(head)
        for start, stop in check_list(steps, "steps"):
            for group in check_list(rows, "rows"):
                found.append({**place, "start": start, "stop": stop, "rows": group})
    return pd.DataFrame(found).astype({"head": "Int64", "start": float, "stop": float})


def patch(
    run: Run,
    metric: Metric,
    sites: pd.DataFrame | Sequence[Mapping],
    setter: Setter,
    progress: bool = True,
) -> pd.DataFrame:
    """Make each intervention by itself, and measure.

    Parameters
    ----------
    run : Run
        :class:`~interp.causal.runs.TeacherForced` or :class:`~interp.causal.runs.Generated`.
    metric : callable
        See :data:`Metric`. A clip's number must depend on that clip alone.
    sites : table
        Of :func:`grid`, or any with a column ``site``; ``start``, ``stop`` (seconds; all) and ``rows``
        ("cond") may be left out, and other columns are kept.
    setter : callable
        From activations [clip, step, width] and their :class:`Place` to others of the same shape.

    Returns
    -------
    pandas.DataFrame
        The table with two columns more, arrays [clip]: the metric ``plain`` and ``patched``. So
        ``np.stack(table.patched)`` is [intervention, clip], ready for intervals over clips or pieces.

    Raises
    ------
    InterpError
        Before anything runs, for sites, seconds and rows that the run does not have; while it runs, for a
        setter that changes the shape or has another number of clips or steps, and a metric that does not
        give one number for each clip. Hooks are removed in any case.
    """
    table = checked_table(run, sites)
    with torch.no_grad():
        plain = _values(run, metric, {}, "cond")
        patched = [
            _values(run, metric, {row.site: _edit(run, row, setter)}, row.rows)
            for row in tqdm(
                list(table.itertuples()), desc="patch", unit="place", disable=not progress, leave=False
            )
        ]
    return with_values(table, plain, patched)


def _values(run: Run, metric: Metric, edits: Mapping[str, Edit], rows: str) -> np.ndarray:
    values = np.full(run.clips, np.nan)
    for clips, outcome in run(edits, rows):
        values[clips] = measured(metric, outcome, clips).numpy()
    return values


def recovered(table: pd.DataFrame, source: np.ndarray, clusters: Sequence) -> pd.DataFrame:
    """Share of the way from the plain run to the source run that each intervention goes.

    Parameters
    ----------
    table : of :func:`patch` or :func:`interp.causal.attribution.attribute`.
    source : np.ndarray
        [clip]: the metric in the run that the activations come from, :func:`values`.
    clusters : sequence
        [clip]: prompts or pieces.

    Returns
    -------
    pandas.DataFrame
        The table with ``share``, ``low`` and ``high`` (95 %, jackknife over clusters): 0 where nothing
        changes, 1 where the source's value comes out.

    Raises
    ------
    InterpError
        If there are other numbers of values or clusters than clips, or both runs give the same on average.
    """
    found = []
    for row in table.itertuples():
        if not len(row.plain) == len(source) == len(clusters):
            raise InterpError(
                f"Unpaired inputs: {len(row.plain)} clips, {len(source)} values of the source run and "
                f"{len(clusters)} clusters; give one for each clip."
            )
        way = np.asarray(source) - row.plain
        if way.sum() == 0:
            raise InterpError("The metric is the same in both runs, so there is no way to go a share of.")
        sums = totals(clusters, row.patched - row.plain, way)
        found.append(jackknife(sums, lambda s: s[..., 0] / s[..., 1]))
    columns = {"share": "estimate", "low": "low", "high": "high"}
    return table.assign(**{name: [getattr(f, of) for f in found] for name, of in columns.items()})


def values(run: Run, metric: Metric) -> np.ndarray:
    """The metric in a run without interventions, [clip]."""
    with torch.no_grad():
        return _values(run, metric, {}, "cond")


def edits_of(run: Run, sites: pd.DataFrame | Sequence[Mapping], setter: Setter) -> dict[str, Edit]:
    """The interventions of a table as one, for the run to make together; each site is there once."""
    return {row.site: _edit(run, row, setter) for row in checked_table(run, sites).itertuples()}


def _edit(run: Run, row: Any, setter: Setter) -> Edit:
    def edit(x: torch.Tensor, layout: Pass, group: str) -> torch.Tensor | None:
        place, where = place_of(run, row, layout, group)
        if where.start == where.stop:
            return None
        new = x.clone()
        new[:, where] = replacement(setter, x[:, where], place)
        return new

    return edit


# --- shared with attribution patching ---


def checked_table(run: Run, sites: pd.DataFrame | Sequence[Mapping]) -> pd.DataFrame:
    """The table with ``start``, ``stop`` and ``rows`` filled in, if the run has all that it speaks of."""
    table = pd.DataFrame(sites).reset_index(drop=True)
    if "site" not in table:
        raise InterpError(f"The table of sites has no column 'site', only {', '.join(map(str, table))}.")
    for column, default in (("start", 0.0), ("stop", np.nan), ("rows", "cond")):
        table[column] = table[column].fillna(default) if column in table else default
    table = table.astype({"start": float, "stop": float})
    for site in table.site.unique():
        run.check(site)
    for rows in table.rows.unique():
        if rows not in ROWS:
            raise unknown("rows", rows, ROWS)
        if not {*(("cond", "null") if rows == "both" else [rows])} <= {*run.groups}:
            raise InterpError(
                f"The run has {run.groups[0]} rows alone, so {rows!r} cannot be patched; make it with "
                'rows="both".'
            )
    for row in table.itertuples():
        first, stop = steps_of(run, row)
        if not 0 <= first < stop <= run.steps:
            end = "the end" if np.isnan(row.stop) else f"{row.stop:g} s"
            raise InterpError(
                f"No steps from {row.start:g} s to {end}: the clips have {run.steps} steps, "
                f"{run.frame_rate:g} a second."
            )
    return table


def steps_of(run: Run, row: Any) -> tuple[int, int]:
    """First step and the one after the last of a row of the table."""
    # A second between two steps counts from the next one; 1e-6 forgives 0.1 * 3 > 0.3.
    first, stop = (np.ceil(seconds * run.frame_rate - 1e-6) for seconds in (row.start, row.stop))
    stop = run.steps if np.isnan(stop) else stop
    first, stop = np.clip([first, stop], -1, run.steps + 1)  # beyond the clip is beyond, however far
    return int(first), int(stop)


def place_of(run: Run, row: Any, layout: Pass, group: str) -> tuple[Place, slice]:
    """Where a row of the table falls in the current call: for the setter, and as a slice of its steps."""
    first, stop = steps_of(run, row)
    begin = layout.first_frame + layout.start
    lo, hi = (min(max(step, begin), begin + layout.length) for step in (first, stop))
    place = Place(row.site, group, list(layout.members), lo, hi, run.clips, run.steps)
    return place, slice(lo - begin, hi - begin)


def replacement(setter: Setter, x: torch.Tensor, place: Place) -> torch.Tensor:
    """What the setter puts in place of ``x``, checked."""
    new = setter(x, place)
    if getattr(new, "shape", None) != x.shape:
        got = tuple(new.shape) if hasattr(new, "shape") else type(new).__name__
        raise InterpError(f"The setter at {place.site} gave {got}; it must keep the shape {tuple(x.shape)}.")
    if not new.isfinite().all():
        raise InterpError(f"The setter at {place.site} gave values that are not finite (NaN or infinite).")
    return new.to(x)


def measured(metric: Metric, outcome: Any, clips: Sequence[int]) -> torch.Tensor:
    """The metric's values [clip], float64 on the CPU, still in the graph if there is one."""
    values = torch.as_tensor(metric(outcome)).cpu().double()
    if values.shape != (len(clips),):
        raise InterpError(
            f"The metric gave {list(values.shape)} for {len(clips)} clips; it must give one number for each."
        )
    return values


def with_values(table: pd.DataFrame, plain: np.ndarray, patched: Sequence[np.ndarray]) -> pd.DataFrame:
    """The table with what was measured."""
    columns = {"plain": [plain] * len(table), "patched": list(patched)}
    return table.assign(**{name: pd.Series(values, dtype=object) for name, values in columns.items()})
