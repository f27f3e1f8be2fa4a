"""The points of a sweep, checked against the notebook before anything runs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..key import Parts
from ..notebook import Notebook
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError, digest
from ..runs import State, done, finished_runs, present_before, states
from .spec import Spec

CALLS = {"len": len, "min": min, "max": max, "abs": abs, "sum": sum}
_NODES = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add),
    *(ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE),
    *(ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.Call, ast.Name, ast.Load),
    *(ast.Constant, ast.List, ast.Tuple, ast.Subscript, ast.Slice),
)


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    swept: dict[str, Any]  # what differs between runs
    profile: Profile  # of this one phase, with all parameters that are given
    before: Parts  # the parts of the run's key that are known before it

    @property
    def label(self) -> str:
        """Tells this point's attempt and failure from those of others."""
        return f"-{digest(self.before)[:12]}"


@dataclass(frozen=True)
class Sweep:
    """A spec with its notebook and points."""

    project: Project
    spec: Spec
    notebook: Notebook
    points: list[Point]
    upstream: dict[str, State]  # the finished runs of the phases that the notebook reads from
    shared: dict[str, Any]  # the parameters that are the same everywhere

    @classmethod
    def plan(cls, project: Project, spec: Spec) -> Sweep:
        """Work out the points.

        Raises
        ------
        ReportError
            If the notebook, a parameter, a condition or an upstream run is refused, or no point is left.
        """
        notebook = Notebook.read(project, spec.phase)
        notebook.check_declared()
        surroundings = Profile.read(project, spec.profile)
        given = _as_floats(notebook, surroundings.phases.get(spec.phase, {}) | spec.parameters)
        conditions = [_condition(text, notebook) for text in spec.where]
        asked = [_as_floats(notebook, swept) for swept in spec.points()]
        meant = [(swept, notebook.parameters(given | swept)) for swept in asked]
        met = [
            (swept, parameters)
            for swept, parameters in meant
            if all(_holds(text, code, parameters) for text, code in conditions)
        ]
        if not met:
            raise ReportError(f"No point of the sweep {spec.name} meets its conditions: {spec.where}.")
        upstream = _upstream(project, surroundings, notebook)
        name = f"sweep {spec.name}"
        first = Profile(name, {spec.phase: given | met[0][0]})
        before = present_before(project, first, notebook, upstream)
        points: dict[str, Point] = {}
        for swept, parameters in met:
            profile = Profile(name, {spec.phase: given | swept})
            point = Point(swept, profile, before | {"parameters": parameters})
            points.setdefault(point.label, point)
        if len(points) < len(asked):
            say(
                f"{spec.name}: {len(points)} of {len(asked)} points are left by the conditions, "
                "each taken once."
            )
        shared = {key: value for key, value in notebook.parameters(given).items() if key not in spec.swept}
        return cls(project, spec, notebook, list(points.values()), upstream, shared)


class Finished:
    """The runs that points of a sweep have, read from disk as they appear."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._seen: set[Path] = set()
        self._runs: dict[str, list[tuple[Path, dict[str, Any]]]] = {}

    def look(self) -> None:
        """Read the manifests of runs that have appeared."""
        for folder, manifest in finished_runs(self._sweep.project, self._sweep.spec.phase, self._seen):
            self._seen.add(folder)
            self._runs.setdefault(digest(manifest["parts"]["parameters"]), []).append((folder, manifest))

    def of(self, point: Point) -> tuple[Path, dict[str, Any]] | None:
        """A point's folder and manifest; None where it has no run with today's key."""
        same = self._runs.get(digest(point.before["parameters"]), [])
        return done(self._sweep.project, point.before, same)


def _upstream(project: Project, profile: Profile, notebook: Notebook) -> dict[str, State]:
    """The runs that the phase reads from."""
    upstream: dict[str, State] = {}
    if notebook.reads:
        known = {now.phase: now for now in states(project, profile)}
        for phase in notebook.reads:
            status = known[phase].status if phase in known else "not in the profile"
            if status != "done":
                raise ReportError(
                    f"{notebook.phase} reads from {phase}, which is {status}; "
                    f"run `make report {profile.asked}` first."
                )
            upstream[phase] = known[phase]
    return upstream


def _as_floats(notebook: Notebook, given: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers made floats where the default is one: 1 and 1.0 are one point."""
    defaults = notebook.defaults()
    plain = {}
    for name, value in given.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        plain[name] = float(value) if whole and isinstance(defaults.get(name), float) else value
    return plain


def _condition(text: str, notebook: Notebook) -> tuple[str, Any]:
    """Compile a condition; only names of parameters, numbers, comparisons and plain arithmetic are taken."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ReportError(f"The condition `{text}` is not valid: {error.msg}.") from error
    names = notebook.defaults()
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise ReportError(
                f"The condition `{text}` holds {type(node).__name__}, which conditions do not take; "
                "they compare parameters with values."
            )
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in CALLS):
            raise ReportError(f"The condition `{text}` may call nothing but {', '.join(CALLS)}.")
        if isinstance(node, ast.Name) and node.id not in {*names, *CALLS}:
            raise ReportError(
                f"The condition `{text}` speaks of {node.id}; the parameters are: {', '.join(names)}."
            )
    return text, compile(tree, "condition", "eval")


def _holds(text: str, code: Any, parameters: dict[str, Any]) -> bool:
    try:
        return bool(eval(code, {"__builtins__": {}}, CALLS | parameters))
    except Exception as error:
        said = ": ".join(filter(None, [type(error).__name__, str(error).rstrip(".")]))
        raise ReportError(f"The condition `{text}` fails: {said}.") from error
