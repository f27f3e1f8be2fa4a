"""Run the phases of a profile that are not up to date, each in its own process."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import nbformat
import psutil

from .key import Parts, key_of, parts_before
from .notebook import Notebook
from .profile import Profile
from .project import Project, ReportError, file_digest, read_json, write_json
from .runs import State, state

FINISH = "report-finish"  # tag of the cell that is added for a run and left out of the book


def run_profile(project: Project, profile: Profile) -> list[State]:
    """Bring every phase up to date.

    Returns
    -------
    list of State
        All of them done.

    Raises
    ------
    ReportError
        If a phase failed, after all others were tried; or before any has run, if a notebook or parameter is
        refused.
    """
    notebooks = [Notebook.read(project, phase) for phase in profile.phases]
    for notebook in notebooks:  # refuse everything that can be refused before anything runs
        parts_before(project, notebook, notebook.parameters(profile.phases[notebook.phase]))
    failures = []
    for notebook in notebooks:
        now = state(project, profile, notebook)
        if now.status == "done":
            say(f"{notebook.phase}: up to date.")
            continue
        say(f"{notebook.phase}: running ({why(now)}).")
        try:
            manifest = run_phase(project, profile, notebook)
        except ReportError as error:
            failures.append(str(error))
            say(str(error))
            continue
        say(f"{notebook.phase}: done in {manifest['wall_s']:.0f} s.")
    if failures:
        raise ReportError(f"{len(failures)} of {len(notebooks)} phases failed; the book was not built.")
    return [state(project, profile, notebook) for notebook in notebooks]


def why(now: State) -> str:
    if now.status == "stale":
        return "changed: " + "; ".join(now.reasons[:2]) + ("; ..." if len(now.reasons) > 2 else "")
    return {"missing": "no run yet", "failed": "the last run failed"}.get(now.status, now.status)


def run_phase(project: Project, profile: Profile, notebook: Notebook) -> dict[str, Any]:
    """Run one notebook and return its manifest.

    Raises
    ------
    ReportError
        If the run failed, naming the phase, the cell and the log.  What it left is kept in ``failed/``.
    """
    folder = project.runs / notebook.phase
    for left_over in folder.glob(".attempt-*"):  # we hold the build's lock: its process is gone
        shutil.rmtree(left_over)
    attempt = folder / f".attempt-{os.getpid()}"
    attempt.mkdir(parents=True)
    parameters = notebook.parameters(profile.phases[notebook.phase])
    before = parts_before(project, notebook, parameters)
    started, clock = time.time(), time.monotonic()
    try:
        outcome = _execute(project, notebook, profile.phases[notebook.phase], attempt)
        reason = _what_failed(notebook, attempt, outcome)
    except KeyboardInterrupt:
        shutil.rmtree(attempt)
        raise
    if reason:
        return _keep_failure(project, profile, notebook, attempt, before, reason)

    sources = read_json(attempt / "sources.json")
    parts = before | {"modules": {project.relative(p): h for p, h in sources["modules"].items()}}
    manifest = {
        "schema": 1,
        "phase": notebook.phase,
        "key": key_of(parts),
        "profile": profile.name,
        "parts": parts,
        "commit": _git(project, "rev-parse", "HEAD"),
        "dirty": bool(_git(project, "status", "--porcelain")),
        "started": started,
        "finished": time.time(),
        "wall_s": round(time.monotonic() - clock, 3),
        "peak_memory_bytes": sources["peak_memory_bytes"],
        "devices": sources["devices"],
        "packages": dict(sorted((d.name, d.version) for d in distributions())),
        "files": _files(attempt),
    }
    write_json(attempt / "manifest.json", manifest)
    target = folder / manifest["key"]
    if target.exists():  # a damaged run of the same key
        shutil.rmtree(target)
    os.replace(attempt, target)
    shutil.rmtree(folder / "failed", ignore_errors=True)
    return manifest


def _execute(project: Project, notebook: Notebook, given: dict[str, Any], attempt: Path) -> dict[str, Any]:
    """Run the process of one notebook within its limits; return its outcome."""
    node = copy.deepcopy(notebook.node)
    finish = nbformat.v4.new_code_cell("from interp import results\n\nresults.finish()", id=FINISH)
    finish.metadata["tags"] = [FINISH]
    node.cells.append(finish)
    nbformat.write(node, attempt / "input.ipynb")
    job = {
        "input": str(attempt / "input.ipynb"),
        "output": str(attempt / "notebook.ipynb"),
        "outcome": str(attempt / "outcome.json"),
        "progress": str(attempt / "progress.json"),
        "cwd": str(project.root),
        "parameters": given,
        "cell_timeout_s": notebook.limit("cell_timeout_s"),
    }
    write_json(attempt / "job.json", job)
    with tempfile.TemporaryDirectory(prefix="report-") as sockets:
        environment = os.environ | {
            "INTERP_RUN_DIR": str(attempt),
            "JUPYTER_RUNTIME_DIR": sockets,  # short: a socket's path may have about 100 characters
            "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one of the user's
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_package_root()), os.environ.get("PYTHONPATH")])),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "report.execute", str(attempt / "job.json")],
            cwd=project.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        tee = threading.Thread(target=_tee, args=(process.stdout, attempt / "log"), daemon=True)
        tee.start()
        limit = notebook.limit("timeout_s")
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            end_tree(process.pid)
            return {
                "ok": False,
                "reason": f"it took longer than {limit:g} s (timeout_s)",
                **_progress(attempt),
            }
        finally:
            end_tree(process.pid)
            process.wait()
            tee.join(5)
    if not (attempt / "outcome.json").is_file():
        reason = f"the process that ran it ended with status {process.returncode}"
        return {"ok": False, "reason": reason, **_progress(attempt)}
    return read_json(attempt / "outcome.json")


def end_tree(pid: int) -> None:
    """End a process and all its descendants; a kernel is in a process group of its own."""
    try:
        parent = psutil.Process(pid)
        processes = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes[:-1], timeout=10)


def _what_failed(notebook: Notebook, attempt: Path, outcome: dict[str, Any]) -> str | None:
    """One clause that says why the run failed; None when it did not."""
    if not outcome["ok"]:
        if not outcome.get("cell"):
            return f"before its first cell: {outcome['reason']}"
        line = f" (`{outcome['line']}`)" if outcome["line"] else ""
        return f"in cell {outcome['cell']}{line}: {outcome['reason']}"
    if not (attempt / "sources.json").is_file():
        return "after its last cell: it ended without writing down its sources"
    results = read_json(attempt / "results.json")
    missing = [
        f"{kind[:-1] if kind.endswith('s') else kind} {name}"
        for kind, names in notebook.declared.get("outputs", {}).items()
        for name in names
        if name not in results.get(kind, {})
    ]
    return f"after its last cell: it left no {', '.join(missing)}, which it declares" if missing else None


def _keep_failure(
    project: Project, profile: Profile, notebook: Notebook, attempt: Path, before: Parts, reason: str
) -> dict[str, Any]:
    kept = project.runs / notebook.phase / "failed"
    failure = {"profile": profile.name, "parts": before, "reason": reason, "time": time.time()}
    write_json(attempt / "failure.json", failure)
    shutil.rmtree(kept, ignore_errors=True)
    os.replace(attempt, kept)
    log = project.relative(kept / "log")
    raise ReportError(f"{notebook.phase}: failed {reason}. The log is {log}.")


def _tee(stream, log: Path) -> None:
    """Copy a process's output to its log and to the terminal, where papermill's progress bar shows."""
    with log.open("wb") as file:
        while chunk := stream.read1(4096):
            file.write(chunk)
            file.flush()
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()


def _progress(attempt: Path) -> dict[str, Any]:
    path = attempt / "progress.json"
    return read_json(path) if path.is_file() else {}


def _files(attempt: Path) -> dict[str, dict[str, Any]]:
    paths = [attempt / "notebook.ipynb", attempt / "results.json"]
    paths += sorted(p for folder in ("figures", "audio") for p in (attempt / folder).glob("*"))
    return {
        p.relative_to(attempt).as_posix(): {"bytes": p.stat().st_size, "sha256": file_digest(p)}
        for p in paths
    }


def _git(project: Project, *arguments: str) -> str | None:
    """What git says, or None where this is no checkout (an unpacked archive)."""
    try:
        done = subprocess.run(["git", *arguments], cwd=project.root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _package_root() -> Path:
    return Path(__file__).resolve().parents[1]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
