"""What is known of a phase's runs, from our own manifests and nothing else.

::

    build/runs/<phase>/<key>/            a finished run; its manifest.json was written last
    build/runs/<phase>/.attempt-<pid>/   a run in progress, or what a crash left
    build/runs/<phase>/failed/           the last failure, kept for reading; never used
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from .key import Parts, differences, key_of, parts_before
from .lock import holder
from .notebook import Notebook
from .plan import plan
from .profile import Profile
from .project import Project, ReportError, file_digest, read_json
from .source import changed_functions, code_digests

# Files whose hashes are looked at whenever a run is used: a run whose files were damaged since is not.
CHECKED = ("notebook.ipynb", "results.json")
SCHEMA = 2  # of manifest.json; a run with another one counts as missing


@dataclass(frozen=True)
class State:
    """One phase of a profile, now."""

    phase: str
    status: str  # done | stale | failed | running | damaged | missing
    folder: Path | None = None  # of the run that the status speaks of
    manifest: dict[str, Any] = field(default_factory=dict)  # of a failure or a running one, what there is
    reasons: list[str] = field(default_factory=list)  # why stale, failed or damaged


def states(project: Project, profile: Profile) -> list[State]:
    """The states of all phases of a profile, in the profile's order."""
    found: dict[str, State] = {}
    for notebook in plan(project, profile):
        found[notebook.phase] = state(project, profile, notebook, found)
    return [found[phase] for phase in profile.phases]


def state(project: Project, profile: Profile, notebook: Notebook, upstream: Mapping[str, State]) -> State:
    """The state of one phase: a run with today's key is done, whichever profile made it.

    Parameters
    ----------
    upstream : the states of at least the phases whose artefacts it reads.
    """
    phase = notebook.phase
    before = present_before(project, profile, notebook, upstream)
    finished = list(finished_runs(project, phase))
    found = done(project, before, finished)
    if found:
        return State(phase, "done", *found)

    builder = holder(project)
    attempt = project.runs / phase / f".attempt-{builder['pid']}" if builder and "pid" in builder else None
    if attempt and attempt.is_dir():
        return State(phase, "running", attempt, progress(attempt))
    failure = project.runs / phase / "failed" / "failure.json"
    if failure.is_file():
        known = read_json(failure)
        if known["profile"] == profile.name and known["parts"] == before:
            return State(phase, "failed", failure.parent, known, [known["reason"]])
    newest = last_run([run for run in finished if run[1]["profile"] == profile.name])
    if newest is None:
        unreadable = damaged_manifests(project, phase)
        return State(phase, "damaged" if unreadable else "missing", reasons=unreadable)
    folder, manifest = newest
    now = _present(project, before, manifest)
    reasons = differences(manifest["parts"], now, _details(project, notebook, folder, manifest))
    return State(phase, "stale", folder, manifest, reasons or damaged(folder, manifest))


def done(
    project: Project, before: Parts, finished: Iterable[tuple[Path, dict[str, Any]]]
) -> tuple[Path, dict[str, Any]] | None:
    """The one of these finished runs that has today's key and its files as they were; or None."""
    for folder, manifest in finished:
        same = before.items() <= manifest["parts"].items()
        if same and manifest["key"] == key_of(_present(project, before, manifest)):
            if not damaged(folder, manifest):
                return folder, manifest
    return None


def present_before(
    project: Project, profile: Profile, notebook: Notebook, upstream: Mapping[str, State]
) -> Parts:
    """Today's parts of the key that are known before a run."""
    keys = {}
    for phase in notebook.reads:
        now = upstream[phase]
        keys[phase] = now.manifest["key"] if now.status == "done" else f"not done ({now.status})"
    return parts_before(project, notebook, notebook.parameters(profile.phases[notebook.phase]), keys)


def finished_runs(
    project: Project, phase: str, but: Container[Path] = ()
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every folder with a readable manifest, and the manifest; those in ``but`` are passed over."""
    for path in _manifests(project, phase):
        if path.parent in but:
            continue
        try:
            manifest = _read_manifest(path)
        except ReportError:
            continue  # no manifest, no run; damaged_manifests names it
        if manifest["schema"] == SCHEMA:
            yield path.parent, manifest


def damaged_manifests(project: Project, phase: str) -> list[str]:
    """One clause for each manifest that cannot be read, so that its run counts for nothing."""
    said = []
    for path in _manifests(project, phase):
        try:
            _read_manifest(path)
        except ReportError as error:
            said.append(str(error).removesuffix("."))
    return said


def _manifests(project: Project, phase: str) -> list[Path]:
    return sorted((project.runs / phase).glob("[!.]*/manifest.json"))


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path)
    if "schema" not in manifest:
        raise ReportError(f"{path} is damaged (it names no schema); put it back, or run again.")
    return manifest


def last_run(runs: list[tuple[Path, dict[str, Any]]]) -> tuple[Path, dict[str, Any]] | None:
    return max(runs, key=lambda run: run[1]["finished"], default=None)


def damaged(folder: Path, manifest: dict[str, Any], every_byte: bool = False) -> list[str]:
    """What is wrong with a finished run's files: changed or missing since the manifest was written.

    Large files are hashed only on ``every_byte``, when somebody is about to read them.
    """
    wrong = []
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["bytes"]:
            wrong.append(f"file: {name} is missing or has another size than when the run finished")
        elif (every_byte or name in CHECKED) and file_digest(path) != expected["sha256"]:
            wrong.append(f"file: {name} was changed after the run finished")
    return wrong


def progress(attempt: Path) -> dict[str, Any]:
    """The cell (1-based) and its first line at which an attempt is, how many there are and when it began.

    The cell beyond the last one is ours: the run writes down its sources.
    """
    path = attempt / "progress.json"
    return read_json(path) if path.is_file() else {}


def _present(project: Project, before: Parts, manifest: dict[str, Any]) -> Parts:
    """Today's parts for the modules that the run of ``manifest`` loaded."""
    modules = {path: code_digests(project.root / path)[""] for path in manifest["parts"]["modules"]}
    return before | {"modules": modules}


def _details(project: Project, notebook: Notebook, folder: Path, manifest: dict[str, Any]) -> dict[str, str]:
    """What can be said of each change beyond two hashes: which functions, which cells."""
    details = {}
    for path, functions in manifest["functions"].items():
        names = changed_functions(functions, code_digests(project.root / path))
        if names:
            details[f"modules: {path}"] = names
    if not damaged(folder, manifest):
        executed = nbformat.read(folder / "notebook.ipynb", as_version=4)
        ran = {cell.source for cell in executed.cells if cell.cell_type == "code"}
        new = [
            str(number)
            for number, cell in enumerate(notebook.node.cells, start=1)
            if cell.cell_type == "code" and cell.source not in ran
        ]
        if new:
            details["notebook"] = f"cell{'s' if new[1:] else ''} {', '.join(new)}"
    return details
