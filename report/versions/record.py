"""What is kept of a version: every phase's results and manifest, verdicts, and where figures and sounds lie.

::

    <version>/record/record.json             the edition, the runs' keys, the verdicts
    <version>/record/<phase>/results.json    as the run left them
    <version>/record/<phase>/manifest.json
    <version>/_static/runs/<phase>/figures/  figures, where the book has them
    <version>/_static/audio/                 sounds, likewise
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..edition import Edition
from ..hypotheses import FILE, read
from ..profile import Profile
from ..project import Project, ReportError, read_json, write_json
from ..runs import State, states
from ..verdict_page import claims_of
from ..verdicts import judge

WORKING = "working tree"


@dataclass(frozen=True)
class Phase:
    """One run of a version."""

    results: dict[str, Any]
    manifest: dict[str, Any]
    figures: Path  # the folder in which "figures/x.png" of the results lies
    sounds: Path  # the folder in which "audio/x.flac" lies


@dataclass(frozen=True)
class Version:
    """What two sides of a comparison are."""

    name: str
    profile: str = ""
    commit: str = ""
    phases: dict[str, Phase] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)  # hypothesis → word


def verdicts_of(project: Project, found: list[State]) -> dict[str, str]:
    """The word of every hypothesis; empty where the project has none."""
    if not (project.phases / FILE).is_file():
        return {}
    register = read(project)
    judged = judge(register, claims_of(register, found))
    return {name: one.verdict().word for name, one in sorted(judged.items())}


def write_record(project: Project, profile: Profile, found: list[State], version: str, folder: Path) -> None:
    """Keep a version's results beside its pages."""
    edition = Edition.of(project, profile)
    for now in found:
        below = folder / "record" / now.phase
        below.mkdir(parents=True)
        for name in ("results.json", "manifest.json"):
            shutil.copy(now.folder / name, below)
    record = {
        "schema": 1,
        "version": version,
        "profile": profile.name,
        "commit": edition.commit,
        "date": edition.date,
        "runs": {now.phase: now.manifest["key"] for now in found},
        "verdicts": verdicts_of(project, found),
    }
    write_json(folder / "record" / "record.json", record)


def published(site: Path, name: str) -> Version:
    """A version that was published.

    Raises
    ------
    ReportError
        If there is none of that name.
    """
    folder = site / name
    path = folder / "record" / "record.json"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.parent.name for p in site.glob("*/record/record.json"))) or "none"
        raise ReportError(f"There is no published version {name!r}; there are: {known}.")
    record = read_json(path)
    phases = {
        phase: Phase(
            read_json(folder / "record" / phase / "results.json"),
            read_json(folder / "record" / phase / "manifest.json"),
            folder / "_static" / "runs" / phase,
            folder / "_static",
        )
        for phase in record["runs"]
    }
    return Version(name, record["profile"], record["commit"], phases, record["verdicts"])


def working(project: Project, profile: Profile) -> Version:
    """The runs that are there now.

    Raises
    ------
    ReportError
        If one of the profile's phases is not done: a comparison with old numbers would mislead.
    """
    found = states(project, profile)
    not_done = [f"{now.phase} is {now.status}" for now in found if now.status != "done"]
    if not_done:
        raise ReportError(
            f"The working tree has no finished runs of today's code ({', '.join(not_done)}); "
            f"run `make report {profile.asked}` first."
        )
    phases = {
        now.phase: Phase(read_json(now.folder / "results.json"), now.manifest, now.folder, now.folder)
        for now in found
    }
    commit = Edition.of(project, profile).commit
    return Version(WORKING, profile.name, commit, phases, verdicts_of(project, found))
