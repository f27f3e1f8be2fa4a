"""Put everything that the book is made of into one folder, ``build/book-src``.

Pages come from ``book/``; a phase's page is today's prose of its notebook with the outputs of its finished
run.  Figures and sounds become files of their own, so a page stays small.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml

from .notebook import Notebook
from .profile import Profile
from .project import Project, ReportError, digest, file_digest, read_json
from .run import FINISH
from .runs import State

_GLUE = re.compile(r"\{glue:?[a-z]*\}`(?:[^`<]*<)?([^`>]+)>?`")


def collect(project: Project, profile: Profile, states: list[State]) -> Path:
    """Stage the book's sources and return their folder.

    Raises
    ------
    ReportError
        If a phase is not done, or a page quotes a number that no finished run has left.
    """
    not_done = [f"{now.phase} ({now.status})" for now in states if now.status != "done"]
    if not_done:
        raise ReportError(f"The book takes nothing from runs that are not done: {', '.join(not_done)}.")
    staged = project.build / "book-src"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(project.root / "book", staged, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (staged / "phases").mkdir(exist_ok=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(project.root / name, staged)
    toc = yaml.safe_load((staged / "_toc.yml").read_text(encoding="utf-8"))
    for phase in set(phases_of(toc)) - set(profile.phases):
        (staged / "phases" / f"{phase}.md").write_text(absent_page(project, profile, phase), encoding="utf-8")
    for now in states:
        page = phase_page(Notebook.read(project, now.phase), now, project, profile)
        nbformat.write(page, staged / "phases" / f"{now.phase}.ipynb")
        copy_files(now, staged)
    check_quotes(staged, states)
    return staged


def phases_of(toc: Any) -> Iterator[str]:
    """The phases in a table of contents."""
    for item in toc if isinstance(toc, list) else toc.values() if isinstance(toc, dict) else []:
        if isinstance(item, str) and item.startswith("phases/"):
            yield item.removeprefix("phases/")
        else:
            yield from phases_of(item)


def absent_page(project: Project, profile: Profile, phase: str) -> str:
    """The page of a phase that this profile does not run, so that links to it say so."""
    path = project.phases / f"{phase}.ipynb"
    title = heading(path) if path.is_file() else phase
    return (
        f"# {title}\n\nThis edition was made with profile `{profile.name}`, which does not run this phase.\n"
    )


def heading(notebook: Path) -> str:
    """A notebook's first heading, or its name."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        found = re.search(r"^# (.+)$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if found:
            return found.group(1).strip()
    return notebook.stem


def phase_page(source: Notebook, now: State, project: Project, profile: Profile) -> nbformat.NotebookNode:
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
        cell.outputs = [_as_file(output, now.phase, results, cell) for output in done.outputs]
        if "parameters" in _tags(cell):
            cells += injected
    cells.append(nbformat.v4.new_markdown_cell(provenance(now, project, profile), id="provenance"))
    page = nbformat.from_dict({**source.node, "cells": cells})
    # Sphinx takes the code's colours from these; a notebook saved without outputs may lack them.
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page.metadata["language_info"] = executed.metadata.get("language_info", {"name": "python"})
    return page


def provenance(now: State, project: Project, profile: Profile) -> str:
    """Where a page comes from, and the command that makes it again."""
    run = now.manifest
    commit = f"commit `{run['commit'][:10]}`" if run["commit"] else "no git checkout"
    dirty = " with uncommitted changes" if run["dirty"] else ""
    return (
        ":::{admonition} Where this page comes from\n:class: provenance\n"
        f"Run `{run['key']}` of profile `{run['profile']}`, {commit}{dirty}, "
        f"{run['wall_s']:.0f} s. Reproduce it with `make report PROFILE={profile.name}`.\n:::\n"
    )


def _tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


def _as_file(output: Any, phase: str, results: dict[str, Any], cell: Any) -> Any:
    """An output of ``interp.results`` with its figure or sounds as files of the book; others unchanged."""
    data = output.get("data", {})
    name = output.get("metadata", {}).get("interp", {}).get("figure")
    if name is not None:
        figure = results["figures"][name]
        lines = [
            f"```{{figure}} /_static/runs/{phase}/{figure['file']}",
            f":name: fig-{phase}-{name}",
            f":alt: {figure['alt']}",
            "",
            figure["caption"],
            "```",
        ]
        cell.metadata.setdefault("mystnb", {})["markdown_format"] = "myst"
        return nbformat.v4.new_output("display_data", {"text/markdown": "\n".join(lines)})
    if 'src="audio/' in data.get("text/html", ""):
        # Content-addressed: the same sound in two phases is one file.
        data["text/html"] = data["text/html"].replace('src="audio/', 'src="../_static/audio/')
    return output


def copy_files(now: State, staged: Path) -> None:
    """Copy a run's figures and sounds to where its page looks for them."""
    figures, sounds = now.folder / "figures", now.folder / "audio"
    if figures.is_dir():
        shutil.copytree(figures, staged / "_static" / "runs" / now.phase / "figures")
    if sounds.is_dir():
        shutil.copytree(sounds, staged / "_static" / "audio", dirs_exist_ok=True)


def check_quotes(staged: Path, states: list[State]) -> None:
    """Refuse a page that quotes a number which no finished run of this profile has left."""
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
    for path in sorted(staged.rglob("*.md")):
        yield path.relative_to(staged).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted(staged.rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        yield path.relative_to(staged).as_posix(), text


def glued_names(notebook: Path) -> Iterator[str]:
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            glue = output.get("metadata", {}).get("scrapbook")
            if glue:
                yield html.unescape(glue["name"])


def tree_digest(folder: Path) -> str:
    """Hash of every file's path and content below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])
