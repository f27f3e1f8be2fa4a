"""A claim: what a phase measured under a hypothesis of ``phases/hypotheses.yaml``.

The hypothesis is written before the run, with its thresholds; a claim only brings numbers.  Whether they
support or contradict it is worked out when the book is made, by one formula for all: no notebook can bend it.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InterpError, check_whole, unknown

HYPOTHESES = "INTERP_HYPOTHESES"  # names another file than the project's own


@dataclass(frozen=True)
class Measure:
    """The statistic of a hypothesis for one model, or for one control procedure.

    Attributes
    ----------
    estimate : in the unit of the hypothesis; 0 is no effect.
    interval : lower and upper end of its 95 % interval, which holds the estimate.
    p : of the test against no effect, on the side that the hypothesis names; for a hypothesis that an effect
        lies ``within`` bounds, of the test against an effect beyond them.
    clips : how many clips it stands on.
    clusters : how many independent units these come from: prompts, pieces or songs.

    Raises
    ------
    InterpError
        If a number is not finite, the interval is upside down or leaves the estimate out, p is not a
        probability, or there are fewer than two clusters, or fewer clips than clusters.
    """

    estimate: float
    interval: tuple[float, float]
    p: float
    clips: int
    clusters: int

    def __post_init__(self) -> None:
        from . import _finite

        for name in ("estimate", "p"):
            object.__setattr__(self, name, _finite(getattr(self, name), f"A claim's {name}"))
        try:
            low, high = self.interval
        except (TypeError, ValueError):
            raise InterpError(f"A claim's interval must be (low, high), not {self.interval!r}.") from None
        low, high = (_finite(end, "An end of a claim's interval") for end in (low, high))
        object.__setattr__(self, "interval", (low, high))
        if low > high:
            raise InterpError(f"A claim's interval is upside down: {low} > {high}; give (low, high).")
        if not low <= self.estimate <= high:
            raise InterpError(f"A claim's interval ({low}, {high}) leaves out its estimate {self.estimate}.")
        if not 0 <= self.p <= 1:
            raise InterpError(f"A claim's p must lie between 0 and 1, not {self.p}.")
        object.__setattr__(self, "clusters", check_whole(self.clusters, "A claim's number of clusters", 2))
        object.__setattr__(self, "clips", check_whole(self.clips, "A claim's number of clips", self.clusters))


def claim(identifier: str, measures: Mapping[str, Measure], *, target: str, note: str = "") -> None:
    """Record what was measured under a hypothesis, and show it as a table.

    Parameters
    ----------
    identifier : id of the hypothesis, such as ``"G1"``.
    measures : from the name of each model and control to what was measured for it.  Models are named as they
        are loaded (``etude``, ``musicgen-small``), a random twin ``random-twin``, controls as in the file.
    target : which of them is the model under study.
    note : how it was measured, in a few words.

    Raises
    ------
    InterpError
        If there is no such hypothesis, the target or a control that the hypothesis requires is not among the
        measures, or something else than a :class:`Measure` is.

    Notes
    -----
    The hypothesis is kept beside the claim as it stood at that moment, so that the book can tell when it was
    changed after the run.
    """
    from .. import results  # which has this function among its own

    stated = hypothesis(identifier)
    if target not in measures:
        raise unknown("target", target, measures)
    missing = [name for name in stated["controls"] if name not in measures]
    if missing:
        raise InterpError(
            f"A claim under {identifier} needs its controls; {', '.join(missing)} is missing "
            f"(wanted are {', '.join(stated['controls'])})."
        )
    for name, measure in measures.items():
        if not isinstance(measure, Measure):
            raise InterpError(f"{name} must be a Measure, not {type(measure).__name__}.")
    record = {
        "target": target,
        "measures": {name: asdict(measure) for name, measure in measures.items()},
        "note": " ".join(note.split()),
        "stated": stated,
    }
    results._written.setdefault("claims", {})[identifier] = record
    results._save()
    shown = {"text/html": _table(identifier, stated, measures, target), "text/plain": f"claim {identifier}"}
    results._show(shown, {"claim": identifier})


def hypothesis(identifier: str) -> dict[str, Any]:
    """The entry of a hypothesis, as it stands in the file.  Its form is checked by the report builder.

    For a notebook, such as for the bounds of equivalence of a claim: ``hypothesis("C4")["equivalence"]``.
    """
    import yaml

    from . import ROOT

    path = Path(os.environ.get(HYPOTHESES) or ROOT / "phases" / "hypotheses.yaml")
    if not path.is_file():
        raise InterpError(f"There is no {path}, so there is no hypothesis to claim anything under.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    entries = content.get("hypotheses") if isinstance(content, dict) else None
    try:
        known = {entry["id"]: entry for entry in entries if isinstance(entry["controls"], dict)}
    except (KeyError, TypeError) as error:
        raise InterpError(f"{path} has no list of hypotheses, each with its id and controls.") from error
    if identifier not in known:
        raise unknown("hypothesis", identifier, known)
    return known[identifier]


def _table(identifier: str, stated: dict[str, Any], measures: Mapping[str, Measure], target: str) -> str:
    """The claim as an HTML table; a row for each model and control."""
    rows = []
    for name, measure in measures.items():
        role = "under study" if name == target else ""
        expected = stated["controls"].get(name)
        role = "; ".join(filter(None, [role, f"must be {expected}" if expected else ""]))
        low, high = measure.interval
        cells = [
            f"{measure.estimate:+.3g} [{low:+.3g}, {high:+.3g}]",
            f"{measure.p:.3g}",
            f"{measure.clips} / {measure.clusters}",
            role,
        ]
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    heads = ("", f"{stated['unit']}, 95 % interval", "p", "clips / clusters", "role")
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in heads)
    caption = html.escape(f"{identifier}. {' '.join(stated['question'].split())}")
    return (
        f'<table class="claim"><caption>{caption}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
