"""A phase's notebook as it is committed: its code, its parameters, and what it declares.

A notebook declares in its metadata, under ``report``::

    {"data": ["etude/weights/SHA256SUMS"],          files that it reads, as globs from the root
     "outputs": {"numbers": ["clips", "cue.*"], "figures": [...]},   what it must show; patterns: what it may
     "leaves": ["cues.npz"],                        artefacts that it leaves for other phases
     "reads": {"0-foundation": ["cues.npz"]},       artefacts of other phases that it reads
     "warm": ["interp.prepare(model)"],             statements that the runs of a sweep share (report.sweeps)
     "cell_timeout_s": 1800, "timeout_s": 7200}     limits, here with their defaults
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import nbformat

from .project import Project, ReportError, digest, mapping, read_text

LIMITS = {"cell_timeout_s": 1800, "timeout_s": 7200}
PATTERN = set("*?[")  # a declared output that holds one of them stands for any number of outputs
FINISH = "report-finish"  # tag of the cell that is added for a run and left out of the book
DECLARES = ("data", "outputs", "leaves", "reads", "warm", *LIMITS)
NO_RESULT = ("warm", *LIMITS)  # what no result hangs on


@dataclass(frozen=True)
class Notebook:
    """One notebook of ``phases/``; its name without suffix is the phase's name."""

    phase: str
    path: Path
    node: nbformat.NotebookNode

    @classmethod
    def read(cls, project: Project, phase: str) -> Notebook:
        path = cls.path_of(project, phase)
        where = project.relative(path)
        text = read_text(path, where)
        try:
            node = nbformat.reads(text, as_version=4)
        except Exception as error:  # nbformat fails in many ways on what is no notebook
            first = str(error).splitlines()[0].rstrip(".")
            raise ReportError(f"{where} is not a readable notebook: {first}.") from error
        return cls(phase, path, node)

    @staticmethod
    def path_of(project: Project, phase: str) -> Path:
        """Where a phase's notebook lies.

        Raises
        ------
        ReportError
            If there is none; those that there are are named.
        """
        path = project.phases / f"{phase}.ipynb"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in project.phases.glob("*.ipynb"))) or "none"
            raise ReportError(f"There is no notebook {project.relative(path)}; there are: {known}.")
        return path

    @property
    def code(self) -> list[str]:
        return [cell.source for cell in self.node.cells if cell.cell_type == "code"]

    @property
    def declared(self) -> dict[str, Any]:
        return dict(self.node.metadata.get("report", {}))

    @property
    def code_digest(self) -> str:
        """Of what the kernel sees, and of the declarations: prose and limits can change without a new run."""
        declared = {key: value for key, value in self.declared.items() if key not in NO_RESULT}
        return digest([self.code, declared])

    @property
    def outputs(self) -> dict[str, list[str]]:
        """Kind → names of what a run must show."""
        declared = self.declared.get("outputs", {})
        return {kind: [name for name in names if not PATTERN & set(name)] for kind, names in declared.items()}

    def undeclared(self, results: dict[str, Any]) -> dict[str, list[str]]:
        """Kind → names of what a run has left although no declared name or pattern stands for it."""
        declared = self.declared.get("outputs", {})
        kinds = {kind: left for kind, left in results.items() if isinstance(left, dict)}
        found = {
            kind: [n for n in left if not any(fnmatchcase(n, name) for name in declared.get(kind, ()))]
            for kind, left in kinds.items()
        }
        return {kind: names for kind, names in found.items() if names}

    @property
    def leaves(self) -> list[str]:
        """Names of the artefacts that other phases may read."""
        return list(self.declared.get("leaves", []))

    @property
    def reads(self) -> dict[str, list[str]]:
        """Phase → names of its artefacts that this one reads."""
        return {phase: list(names) for phase, names in self.declared.get("reads", {}).items()}

    def check_declared(self) -> None:
        """Refuse declarations that would be overlooked or misread.

        Raises
        ------
        ReportError
            If the metadata hold an unknown key or a value of the wrong form.
        """
        mapping(self.node.metadata.get("report", {}), f"{self.path.name}: 'report' in its metadata")
        for key, value in self.declared.items():
            where = f"{self.path.name} declares {key!r} in its metadata under 'report'"
            if key not in DECLARES:
                raise ReportError(f"{where}, which nobody reads; known are: {', '.join(DECLARES)}.")
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
            if key in LIMITS and not number:
                raise ReportError(f"{where} as {value!r}; it must be a number of seconds above 0.")
            if key in ("data", "leaves", "warm") and not _is_names(value):
                raise ReportError(f"{where} as {value!r}; it must be a list of names.")
            for statement in value if key == "warm" else ():
                try:
                    ast.parse(statement)
                except SyntaxError as error:
                    raise ReportError(f"{where} with {statement!r}, no valid Python: {error.msg}.") from error
            if key in ("outputs", "reads"):
                if not isinstance(value, dict) or not all(map(_is_names, value.values())):
                    raise ReportError(f"{where} as {value!r}; it must give a list of names for each entry.")
        for name in self.leaves:
            if "/" in name or name.startswith("."):
                raise ReportError(f"{self.path.name} leaves {name!r}; a name has no '/' and no '.' in front.")

    def limit(self, name: str) -> float:
        return float(self.declared.get(name, LIMITS[name]))

    def defaults(self) -> dict[str, Any]:
        """The parameters cell as a dictionary.

        Raises
        ------
        ReportError
            If there is not exactly one cell tagged ``parameters``, or it holds more than plain literals.
        """
        cells = [c for c in self.node.cells if "parameters" in c.metadata.get("tags", [])]
        if len(cells) != 1 or cells[0].cell_type != "code":
            raise ReportError(f"{self.path.name} needs exactly one code cell tagged 'parameters'.")
        try:
            statements = ast.parse(cells[0].source).body
        except SyntaxError as error:
            where = f"{self.path.name}: line {error.lineno} of the parameters cell"
            raise ReportError(f"{where} is not valid Python: {error.msg}.") from error
        values: dict[str, Any] = {}
        for statement in statements:
            try:
                (name,) = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                values[name.id] = ast.literal_eval(statement.value)
            except (AttributeError, TypeError, ValueError) as error:
                where = f"{self.path.name}: line {statement.lineno} of the parameters cell"
                raise ReportError(f"{where} is not 'name = literal'.") from error
        return values

    def parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        """All parameters with the given ones in place.

        Raises
        ------
        ReportError
            If a name is unknown, or a value has another type than its default.  papermill would only warn.
        """
        defaults = self.defaults()
        for name, value in given.items():
            if name not in defaults:
                raise ReportError(
                    f"{self.path.name} has no parameter {name!r}; it has: {', '.join(defaults)}."
                )
            if not _same_type(defaults[name], value):
                raise ReportError(
                    f"{self.path.name}: parameter {name} = {value!r} is a {type(value).__name__}; "
                    f"the default {defaults[name]!r} is a {type(defaults[name]).__name__}."
                )
        return defaults | given


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _same_type(default: Any, value: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, str) and isinstance(value, list):
        return True  # "all" or a list of some
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))
