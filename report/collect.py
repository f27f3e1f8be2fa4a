"""Put everything that the book is made of into one folder, ``build/book-src``.

::

    book-src/*.md                     the pages of book/, and those of ELSEWHERE
    book-src/phases/<phase>.ipynb     a phase's page (report/page.py)
    book-src/sweeps/<name>.md         a sweep's page, and beside it what it offers for download
    book-src/runs/<phase>/            what a page offers for download: manifest, results, executed notebook
    book-src/_static/runs/<phase>/    figures
    book-src/_static/audio/           sounds and their outlines, named after their content
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml

from .edition import Edition
from .notebook import Notebook
from .page import absent_page, phase_page
from .profile import Profile
from .project import Project, ReportError, read_text
from .quotes import check_quotes
from .runs import State
from .sweeps.page import stage_sweeps
from .verdict_page import write_verdicts
from .yamlfile import read_yaml

# Pages that lie beside what they describe, and their names in the book.
ELSEWHERE = {"etude/CARD.md": "etude-card.md"}


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
    staged, edition = project.build / "book-src", Edition.of(project, profile)
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(project.root / "book", staged, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    copy_pages_from_elsewhere(project, staged)
    toc = read_yaml(project.root / "_toc.yml", "_toc.yml")
    sweeps = stage_sweeps(project, staged)
    write_contents(staged, toc, sweeps)
    write_config(project, staged, edition)
    (staged / "phases").mkdir(exist_ok=True)
    for phase in set(phases_of(toc)) - set(profile.phases):
        (staged / "phases" / f"{phase}.md").write_text(absent_page(project, profile, phase), encoding="utf-8")
    for now in states:
        nbformat.write(
            phase_page(Notebook.read(project, now.phase), now, edition),
            staged / "phases" / f"{now.phase}.ipynb",
        )
        copy_files(now, staged)
    write_verdicts(project, profile, states, staged)
    check_quotes(staged, states)
    return staged


def write_contents(staged: Path, toc: Any, sweeps: list[str]) -> None:
    """The table of contents, with the sweeps that there are as a part of their own."""
    if sweeps:
        parts = toc.setdefault("parts", [])
        if "chapters" in toc:  # a table of contents without parts
            parts.append({"chapters": toc.pop("chapters")})
        parts.append({"caption": "Sweeps", "chapters": [{"file": name} for name in sweeps]})
    (staged / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def phases_of(toc: Any) -> Iterator[str]:
    """The phases in a table of contents."""
    for item in toc if isinstance(toc, list) else toc.values() if isinstance(toc, dict) else []:
        if isinstance(item, str) and item.startswith("phases/"):
            yield item.removeprefix("phases/")
        else:
            yield from phases_of(item)


def copy_pages_from_elsewhere(project: Project, staged: Path) -> None:
    """Copy the pages of :data:`ELSEWHERE`, with their links to pages of the book made links of neighbours."""
    for source, name in ELSEWHERE.items():
        path = project.root / source
        if path.is_file():
            text = read_text(path, source)
            (staged / name).write_text(text.replace("](../book/", "]("), encoding="utf-8")


def write_config(project: Project, staged: Path, edition: Edition) -> None:
    """Jupyter Book's configuration, with the edition at the foot of every page."""
    config = read_yaml(project.root / "_config.yml", "_config.yml")
    config["html"]["extra_footer"] = edition.footer() + edition.citation(config["title"], authors(project))
    (staged / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def authors(project: Project) -> list[str]:
    """Whom CITATION.cff names."""
    path = project.root / "CITATION.cff"
    if not path.is_file():
        return []
    people = read_yaml(path, path.name).get("authors", [])
    given = [f"{one.get('given-names', '')} {one.get('family-names', '')}".strip() for one in people]
    return [one.get("name") or name for one, name in zip(people, given, strict=True)]


def copy_files(now: State, staged: Path) -> None:
    """Copy a run's figures and sounds to where its page looks for them, and what the page offers."""
    figures, sounds = now.folder / "figures", now.folder / "audio"
    if figures.is_dir():
        shutil.copytree(figures, staged / "_static" / "runs" / now.phase / "figures")
    if sounds.is_dir():
        shutil.copytree(sounds, staged / "_static" / "audio", dirs_exist_ok=True)
    offered = staged / "runs" / now.phase
    offered.mkdir(parents=True)
    for name in ("manifest.json", "results.json"):
        shutil.copy(now.folder / name, offered)
    shutil.copy(now.folder / "notebook.ipynb", offered / f"{now.phase}.ipynb")
