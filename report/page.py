"""A phase's page: today's prose of its notebook with the outputs of its finished run."""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat

from .edition import Edition
from .notebook import FINISH, Notebook
from .profile import Profile
from .project import Project, read_json
from .runs import State


def phase_page(source: Notebook, now: State, edition: Edition) -> nbformat.NotebookNode:
    """Today's prose and cell tags with the outputs of the run.

    The code cells are the same in both, or the run would be stale.
    """
    executed = nbformat.read(now.folder / "notebook.ipynb", as_version=4)
    ran = [cell for cell in executed.cells if cell.cell_type == "code" and FINISH not in _tags(cell)]
    injected = [cell for cell in ran if "injected-parameters" in _tags(cell)]
    outputs = iter([cell for cell in ran if "injected-parameters" not in _tags(cell)])
    results = read_json(now.folder / "results.json")
    cells = []
    for cell in source.node.cells:
        cells.append(cell)
        if cell.cell_type != "code":
            continue
        done = next(outputs)
        cell.execution_count = done.execution_count
        cell.outputs = [_as_directive(output, now.phase, results) for output in done.outputs]
        if "parameters" in _tags(cell):
            cells += injected
    cells.append(nbformat.v4.new_markdown_cell(edition.provenance(now), id="provenance"))
    page = nbformat.from_dict({**source.node, "cells": cells})
    # Sphinx takes the code's colours from these; a notebook saved without outputs may lack them.
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page.metadata["language_info"] = executed.metadata.get("language_info", {"name": "python"})
    return page


def absent_page(project: Project, profile: Profile, phase: str) -> str:
    """The page of a phase that this profile does not run, so that links to it say so."""
    path = project.phases / f"{phase}.ipynb"
    title = _heading(Notebook.read(project, phase)) if path.is_file() else phase
    return (
        f"# {title}\n\nThis edition was made with profile `{profile.name}`, which does not run this phase.\n"
    )


def _heading(notebook: Notebook) -> str:
    """A notebook's first heading, or its name."""
    for cell in notebook.node.cells:
        found = re.search(r"^# (.+)$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if found:
            return found.group(1).strip()
    return notebook.phase


def _tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


def _as_directive(output: Any, phase: str, results: dict[str, Any]) -> Any:
    """A figure, table or sounds of ``interp.results`` as the book shows them; others unchanged."""
    shown = output.get("metadata", {}).get("interp", {})
    if "figure" in shown:
        figure = results["figures"][shown["figure"]]
        kind = "soundmap" if "map" in figure else "dosepanel" if "panel" in figure else "figure"
        lines = [
            f"```{{{kind}}} /_static/runs/{phase}/{figure['file']}",
            f":name: fig-{phase}-{shown['figure']}",
            f":alt: {json.dumps(figure['alt'], ensure_ascii=False)}",  # quoted, whatever is in it
            "",
            figure["caption"],
            "```",
        ]
    elif "table" in shown:
        table = results["tables"][shown["table"]]
        rows = [[plain(cell) for cell in row] for row in (table["heads"], *table["rows"])]
        rows.insert(1, ["---"] * len(rows[0]))
        lines = [f"```{{table}} {table['caption']}", f":name: tab-{phase}-{shown['table']}", ""]
        lines += ["| " + " | ".join(row) + " |" for row in rows] + ["```"]
    elif "sounds" in shown:
        lines = [f"```{{sounds}} {phase}", *shown["sounds"], "```"]
    else:
        return output
    return nbformat.v4.new_output("display_data", {"text/markdown": "\n".join(lines)})


def plain(cell: str) -> str:
    """A cell's text, with nothing in it that Markdown would take for its own."""
    return re.sub(r"([\\`*_\[\]<>|$~])", r"\\\1", " ".join(cell.split()))
