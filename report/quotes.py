"""Numbers that pages quote: each must have been left by the run it names."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

from .project import ReportError, read_text
from .runs import State

_GLUE = re.compile(r"\{glue:?[a-z]*\}`(?:[^`<]*<)?([^`>]+)>?`")


def check_quotes(staged: Path, states: list[State]) -> None:
    """Refuse a page that quotes a number which no finished run of this profile has left.

    Raises
    ------
    ReportError
        Naming every such page and number.
    """
    glued = {now.phase: set(glued_names(staged / "phases" / f"{now.phase}.ipynb")) for now in states}
    wrong = []
    for page, text in prose(staged):
        for quoted in _GLUE.findall(text):
            path, _, value = quoted.rpartition("::")
            phase = Path(path or page).stem
            name = re.sub(r":[^:]*$", "", value) if ":" in value else value
            if phase not in glued:
                wrong.append(f"{page}: {name} of {phase}, which this profile does not run")
            elif name not in glued[phase]:
                wrong.append(f"{page}: {name}, which the run of {phase} did not leave")
    if wrong:
        raise ReportError("Pages quote numbers that are not there. " + "; ".join(wrong) + ".")


def prose(staged: Path) -> Iterator[tuple[str, str]]:
    """Every page's path and its text."""
    for path in sorted([*staged.rglob("*.md"), *(staged / "phases").glob("*.ipynb")]):
        text = read_text(path)
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        yield path.relative_to(staged).as_posix(), text


def glued_names(notebook: Path) -> Iterator[str]:
    """The names under which a notebook's outputs hold glued values."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            glue = output.get("metadata", {}).get("scrapbook")
            if glue:
                yield html.unescape(glue["name"])
