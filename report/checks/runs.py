"""What the book is made of: runs, what they declare, and the works that pages cite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..notebook import Notebook
from ..project import Project, read_json
from ..runs import State

SOURCES = ("book/*.md", "etude/*.md", "phases/*.ipynb", "phases/*.yaml", "paper/**/*.md")


def check_states(states: list[State]) -> Iterator[str]:
    """Runs that are not of today's code, or failed."""
    for now in states:
        if now.status != "done":
            why = f" ({now.reasons[0]})" if now.reasons else ""
            yield f"{now.phase} is {now.status}{why}"


def undeclared(project: Project, states: list[State]) -> dict[str, list[str]]:
    """Phase → what its run left and its notebook does not declare, as ``figure x``.

    A declared name may be a pattern: ``gallery.*`` stands for all that begin so.  Kinds that a notebook does
    not declare at all are left to it.
    """
    found: dict[str, list[str]] = {}
    for now in states:
        if now.status != "done":
            continue
        declared = Notebook.read(project, now.phase).declared.get("outputs", {})
        results = read_json(now.folder / "results.json")
        found[now.phase] = [
            f"{kind.removesuffix('s')} {name}"
            for kind, patterns in declared.items()
            for name in results.get(kind, {})
            if not any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
    return {phase: names for phase, names in found.items() if names}


def check_references(project: Project) -> Iterator[str]:
    """Works of the bibliography that nobody cites."""
    path = project.root / "book" / "references.bib"
    if not path.is_file():
        return
    keys = re.findall(r"^@\w+\{([^,\s]+),", path.read_text(encoding="utf-8"), re.M)
    files = [file for pattern in SOURCES for file in project.root.glob(pattern)]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    cited = set(re.findall(r"[\w:.+-]+", text))
    for key in keys:
        if key not in cited:
            yield f"{project.relative(path)}: nobody cites {key}"
