"""What the book is made of: runs, what they declare, and the works that pages cite."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..notebook import Notebook
from ..profile import Profile
from ..project import Project, read_json, read_text
from ..runs import State

SOURCES = ("book/*.md", "etude/*.md", "phases/*.ipynb", "phases/*.yaml", "paper/**/*.md")


def check_states(states: list[State], profile: Profile) -> Iterator[str]:
    """Runs that are not of today's code, or failed."""
    for now in states:
        if now.status != "done":
            why = f" ({now.reasons[0]})" if now.reasons else ""
            yield (
                f"{now.phase} is {now.status}{why}; run `make report {profile.asked}`, or name the profile "
                "that the book was made with (--profile)"
            )


def check_declared(project: Project, states: list[State]) -> Iterator[str]:
    """Outputs that notebooks do not declare: nobody would miss them if the next run left them out."""
    for now in states:
        if now.status != "done":
            continue
        left = Notebook.read(project, now.phase).undeclared(read_json(now.folder / "results.json"))
        for kind, names in left.items():
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield (
                f"{now.phase} does not declare its {kind} {', '.join(names[:5])}{more}; "
                'add them to the outputs in its metadata, by name or by a pattern such as "cue.*"'
            )


def check_references(project: Project) -> Iterator[str]:
    """Works of the bibliography that nobody cites."""
    path = project.root / "book" / "references.bib"
    if not path.is_file():
        return
    keys = re.findall(r"^@\w+\{([^,\s]+),", read_text(path), re.M)
    files = [file for pattern in SOURCES for file in project.root.glob(pattern)]
    text = "\n".join(read_text(file) for file in files)
    cited = set(re.findall(r"[\w:.+-]+", text))
    for key in keys:
        if key not in cited:
            yield f"{project.relative(path)}: nobody cites {key}"
