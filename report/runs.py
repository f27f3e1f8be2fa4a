"""What is known of a phase's runs, from our own manifests and nothing else.

::

    build/runs/<phase>/<key>/         a finished run; its manifest.json was written last
    build/runs/<phase>/.attempt-<pid>/   a run in progress, or what a crash left
    build/runs/<phase>/failed/        the last failure, kept for reading; never used
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .key import Parts, differences, key_of, parts_before, with_modules
from .notebook import Notebook
from .profile import Profile
from .project import Project, digest, read_json

# Files whose hashes stand in the manifest: a run whose files were damaged since is not used.
CHECKED = ("notebook.ipynb", "results.json")


@dataclass(frozen=True)
class State:
    """One phase of a profile, now."""

    phase: str
    status: str  # done | stale | failed | running | missing
    folder: Path | None = None  # of the run that the status speaks of
    manifest: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)  # why stale, why failed


def state(project: Project, profile: Profile, notebook: Notebook) -> State:
    """The state of one phase: a run with today's key is done, whichever profile made it."""
    phase = notebook.phase
    parameters = notebook.parameters(profile.phases[phase])
    before = parts_before(project, notebook, parameters)
    finished = list(finished_runs(project, phase))
    for folder, manifest in finished:
        now = present_parts(project, before, manifest)
        if manifest["key"] == key_of(now) and not damaged(folder, manifest):
            return State(phase, "done", folder, manifest)

    attempt = running(project, phase)
    if attempt is not None:
        return State(phase, "running", attempt)
    failure = failed(project, phase)
    if failure and failure["profile"] == profile.name and failure["parts"] == before:
        return State(phase, "failed", project.runs / phase / "failed", {}, [failure["reason"]])
    of_profile = [run for run in finished if run[1]["profile"] == profile.name]
    if of_profile:
        folder, manifest = max(of_profile, key=lambda run: run[1]["finished"])
        reasons = differences(manifest["parts"], present_parts(project, before, manifest))
        return State(phase, "stale", folder, manifest, reasons or damaged(folder, manifest))
    return State(phase, "missing")


def finished_runs(project: Project, phase: str):
    """Every folder with a readable manifest, and the manifest."""
    for path in sorted((project.runs / phase).glob("*/manifest.json")):
        try:
            yield path.parent, read_json(path)
        except json.JSONDecodeError:
            continue  # no manifest, no run


def present_parts(project: Project, before: Parts, manifest: dict[str, Any]) -> Parts:
    """Today's parts for the modules that the run of ``manifest`` loaded."""
    return with_modules(project, before, list(manifest["parts"]["modules"]))


def damaged(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """What is wrong with a finished run's files: changed or missing since the manifest was written."""
    wrong = []
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["bytes"]:
            wrong.append(f"file: {name} is missing or has another size than when the run finished")
        elif name in CHECKED and digest(path.read_bytes()) != expected["sha256"]:
            wrong.append(f"file: {name} was changed after the run finished")
    return wrong


def running(project: Project, phase: str) -> Path | None:
    """The folder of an attempt whose process lives."""
    for path in (project.runs / phase).glob(".attempt-*"):
        if psutil.pid_exists(int(path.name.rpartition("-")[2])):
            return path
    return None


def failed(project: Project, phase: str) -> dict[str, Any] | None:
    path = project.runs / phase / "failed" / "failure.json"
    return read_json(path) if path.is_file() else None
