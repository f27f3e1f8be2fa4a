"""One attempt at running one notebook: it becomes a finished run, a failure that is kept, or nothing."""

from __future__ import annotations

import copy
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import nbformat
import psutil

from .corpus import corpus_data
from .key import data_files, key_of
from .notebook import FINISH, Notebook
from .profile import Profile
from .project import Project, ReportError, file_digest, git, read_json, with_cure, write_json
from .runs import SCHEMA, State, damaged, present_before, progress
from .source import code_digests

# Where numerical libraries look for the number of their threads.
THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)
EXECUTE = [sys.executable, "-m", "report.execute"]  # takes the path of job.json
_HEAD = re.compile(r"^(Name|Version): *(.+?)\s*$", re.M)
CHANGED = "changed during the run"  # in place of a hash: equals none, so the run is stale


@dataclass(frozen=True)
class Setting:
    """What all attempts of a build share."""

    project: Project
    profile: Profile
    threads: int  # for each kernel
    processes: int  # that a kernel may share independent work among
    commit: str | None
    dirty: bool
    packages: dict[str, str]

    @classmethod
    def now(cls, project: Project, profile: Profile, threads: int, processes: int = 1) -> Setting:
        commit, dirty = git(project, "rev-parse", "HEAD"), bool(git(project, "status", "--porcelain"))
        return cls(project, profile, threads, processes, commit, dirty, installed())


def installed() -> dict[str, str]:
    """Name → version of what is installed.

    Only the heads of the metadata are read: importlib would parse every description, and that twice.
    """
    texts = (found.read_text("METADATA") or found.read_text("PKG-INFO") or "" for found in distributions())
    heads = [dict(_HEAD.findall(text.partition("\n\n")[0])) for text in texts]
    return dict(sorted((head["Name"], head["Version"]) for head in heads if len(head) == 2))


def new_process(job: Path, log: Path, environment: dict[str, str], cwd: Path) -> subprocess.Popen:
    """Start :mod:`report.execute` in a process of its own.

    Parameters
    ----------
    job : what to run, ``job.json``.
    log : where its output goes.
    """
    with log.open("wb") as file:
        return subprocess.Popen(
            [*EXECUTE, str(job)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: it reaches this process alone
        )


class Attempt:
    """A running notebook.

    Parameters
    ----------
    upstream : the finished runs of the phases whose artefacts it reads.
    label : tells attempts at the same notebook apart that run at the same time.
    start : starts its process, as :func:`new_process` does.
    """

    def __init__(
        self,
        setting: Setting,
        notebook: Notebook,
        upstream: dict[str, State],
        label: str = "",
        start: Callable[[Path, Path, dict[str, str], Path], Any] | None = None,
    ) -> None:
        project = setting.project
        self.setting, self.notebook, self.phase = setting, notebook, notebook.phase
        self.runs = project.runs / notebook.phase
        self.folder = self.runs / f".attempt-{os.getpid()}{label}"
        self.kept = self.runs / f"failed{label}"
        self.before = present_before(project, setting.profile, notebook, upstream)
        self.started, self._clock = time.time(), time.monotonic()
        self.folder.mkdir(parents=True)
        self._owner = (self.folder / "owner").open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX)  # see clear_left_overs
        # Room for the reason when the disk is full.
        self._reserve = self.folder / "reserve"
        self._reserve.write_bytes(b"\1" * 2**16)
        # Not in the run's own folder: a socket's path may have about 100 characters.
        self._sockets = tempfile.TemporaryDirectory(prefix="report-")
        self._process = self._start(upstream, start or new_process)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._clock

    @property
    def cell(self) -> int:
        return progress(self.folder)["cell"]

    def _start(self, upstream: dict[str, State], start: Callable[..., Any]) -> Any:
        folder, notebook, project = self.folder, self.notebook, self.setting.project
        node = copy.deepcopy(notebook.node)
        call = f"from interp import results\n\nresults.finish({self.started!r})"
        finish = nbformat.v4.new_code_cell(call, id=FINISH)
        finish.metadata["tags"] = [FINISH]
        node.cells.append(finish)
        nbformat.write(node, folder / "input.ipynb")
        where = {"cell": 0, "line": "", "of": len(notebook.node.cells), "started": self.started}
        write_json(folder / "progress.json", where)
        job = {
            "input": str(folder / "input.ipynb"),
            "output": str(folder / "notebook.ipynb"),
            "outcome": str(folder / "outcome.json"),
            "progress": str(folder / "progress.json"),
            "reserve": str(self._reserve),
            "sockets": self._sockets.name,
            "cwd": str(project.root),
            "parameters": self.setting.profile.phases[self.phase],
            "cell_timeout_s": notebook.limit("cell_timeout_s"),
        }
        write_json(folder / "job.json", job)
        reads = {
            phase: {name: str(upstream[phase].folder / "artefacts" / name) for name in names}
            for phase, names in notebook.reads.items()
        }
        environment = os.environ | {
            "INTERP_RUN_DIR": str(folder),
            "INTERP_ARTEFACTS": json.dumps({"leaves": notebook.leaves, "reads": reads}),
            "JUPYTER_RUNTIME_DIR": self._sockets.name,
            "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one of the user's
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_package_root()), os.environ.get("PYTHONPATH")])),
        }
        environment |= dict.fromkeys(THREADS, str(self.setting.threads))
        environment["INTERP_PROCESSES"] = str(self.setting.processes)
        return start(folder / "job.json", folder / "log", environment, project.root)

    def ended(self) -> bool:
        """Whether its process has ended, by itself or because its time is over."""
        return self._process.poll() is not None or self.seconds > self.notebook.limit("timeout_s")

    def conclude(self) -> dict[str, Any]:
        """Make a finished run of it and return the manifest.

        Raises
        ------
        ReportError
            If the run failed, naming the phase, the cell and where what it left is kept.
        """
        outcome = self._outcome()
        self._end()
        with self._owner:
            try:
                reason = self._what_failed(outcome)
                if reason is None:
                    return self._finish()
            except (OSError, ReportError) as error:  # no room for the manifest, data gone meanwhile
                reason = f"after its last cell: {error}"
            reason = with_cure(reason)
            raise ReportError(f"{self.phase}: failed {reason}. {self._keep(reason)}")

    @property
    def orphan(self) -> bool:
        """Whether what started its process was killed before the end, and it with that: it may run again."""
        return getattr(self._process, "orphan", False) and not (self.folder / "outcome.json").is_file()

    def discard(self) -> None:
        """End its processes and forget it."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._owner.close()

    def _end(self) -> None:
        """End every process of the attempt; a kernel is in a session of its own and may be an orphan."""
        processes = [self._process.pid, *_processes_with("INTERP_RUN_DIR", str(self.folder))]
        for pid in processes if self._process.returncode is None else processes[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        self._sockets.cleanup()

    def _outcome(self) -> dict[str, Any]:
        where = {"ok": False, **progress(self.folder)}
        status = self._process.poll()
        if status is None:
            limit = f"{self.notebook.limit('timeout_s'):g} s"
            return where | {"reason": f"it took longer than {limit} (timeout_s in the metadata)"}
        path = self.folder / "outcome.json"
        if path.is_file():
            return read_json(path)
        how = f"was killed ({signal.Signals(-status).name})" if status < 0 else f"ended with status {status}"
        return where | {"reason": f"the process that ran it {how}"}

    def _what_failed(self, outcome: dict[str, Any]) -> str | None:
        """One clause that says why the run failed; None when it did not."""
        if not outcome["ok"]:
            if not outcome.get("cell"):
                return f"before its first cell: {outcome['reason']}"
            line = f" (`{outcome['line']}`)" if outcome["line"] else ""
            return f"in cell {outcome['cell']}{line}: {outcome['reason']}"
        if not (self.folder / "sources.json").is_file():
            return "after its last cell: it ended without writing down its sources"
        results = read_json(self.folder / "results.json")
        missing = [
            f"{kind[:-1] if kind.endswith('s') else kind} {name}"
            for kind, names in self.notebook.outputs.items()
            for name in names
            if name not in results.get(kind, {})
        ]
        missing += [
            f"artefact {name}"
            for name in self.notebook.leaves
            if not _files_below(self.folder / "artefacts" / name)
        ]
        return f"after its last cell: it left no {', '.join(missing)}, which it declares" if missing else None

    def _finish(self) -> dict[str, Any]:
        project = self.setting.project
        sources = read_json(self.folder / "sources.json")
        modules, functions = {}, {}
        for path, seen in sources["modules"].items():
            # The kernel hashed the file as it stood at the end; that must be what is parsed here.
            found = code_digests(Path(path)) if file_digest(Path(path)) == seen else {"": CHANGED}
            modules[project.relative(path)] = found[""]
            functions[project.relative(path)] = found
        parts = self.before | {"modules": modules}
        for path in data_files(project, self.notebook):
            if path.stat().st_mtime > self.started:
                parts["data"] = parts["data"] | {project.relative(path): CHANGED}
        for name, now in corpus_data(project, self.before["parameters"]).items():
            if now != self.before["data"].get(name):
                parts["data"] = parts["data"] | {name: CHANGED}
        manifest = {
            "schema": SCHEMA,
            "phase": self.phase,
            "key": key_of(parts),
            "profile": self.setting.profile.name,
            "parts": parts,
            "functions": functions,
            "commit": self.setting.commit,
            "dirty": self.setting.dirty,
            "started": self.started,
            "finished": time.time(),
            "wall_s": round(self.seconds, 3),
            "threads": self.setting.threads,
            "peak_memory_bytes": sources["peak_memory_bytes"],
            "devices": sources["devices"],
            "halved_batches": sources.get("halved_batches", []),
            "packages": self.setting.packages,
            "files": self._files(),
        }
        for scaffold in ("owner", "reserve", "input.ipynb", "job.json", "outcome.json", "progress.json"):
            (self.folder / scaffold).unlink(missing_ok=True)
        write_json(self.folder / "manifest.json", manifest)
        target = self.runs / manifest["key"]
        if target.exists():  # a damaged run of the same key
            shutil.rmtree(target)
        os.replace(self.folder, target)
        shutil.rmtree(self.kept, ignore_errors=True)
        return manifest

    def _keep(self, reason: str) -> str:
        """Keep what a failed attempt has left for reading, and say where it is."""
        self._reserve.unlink(missing_ok=True)
        failure = {"profile": self.setting.profile.name, "parts": self.before, "reason": reason}
        failure |= {"finished": time.time(), "wall_s": round(self.seconds, 3)}
        for name in ("manifest.json", "owner"):
            (self.folder / name).unlink(missing_ok=True)
        try:
            write_json(self.folder / "failure.json", failure)
        except OSError as error:
            return f"Why could not even be written down ({with_cure(str(error))})."
        shutil.rmtree(self.kept, ignore_errors=True)
        os.replace(self.folder, self.kept)
        there = [name for name in ("log", "notebook.ipynb") if (self.kept / name).is_file()]
        return f"See {' and '.join(there)} in {self.setting.project.relative(self.kept)}."

    def _files(self) -> dict[str, dict[str, Any]]:
        paths = [self.folder / "notebook.ipynb", self.folder / "results.json"]
        for below in ("figures", "audio", "artefacts"):
            paths += _files_below(self.folder / below)
        return {
            path.relative_to(self.folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": file_digest(path),
            }
            for path in paths
        }


def clear_left_overs(project: Project) -> None:
    """Remove what killed builds have left: their attempts, and the sockets of their kernels.

    For a builder that holds the build's lock.  Workers of a sweep may outlive the builder that set them to
    work, so an attempt whose process is still there is left alone.
    """
    for attempt in project.runs.glob("*/.attempt-*"):
        if _owned(attempt / "owner"):
            continue
        job = attempt / "job.json"
        if job.is_file():
            shutil.rmtree(read_json(job)["sockets"], ignore_errors=True)
        shutil.rmtree(attempt, ignore_errors=True)


def _owned(path: Path) -> bool:
    """Whether the process that opened and locked the file is alive."""
    if not path.is_file():
        return False
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def check_artefacts(upstream: dict[str, State]) -> None:
    """Refuse to read artefacts that are not as their run has left them."""
    for phase, run in upstream.items():
        for problem in damaged(run.folder, run.manifest, every_byte=True):
            raise ReportError(f"{phase}: {problem}; delete {run.folder} and build again.")


def _files_below(path: Path) -> list[Path]:
    """The file itself, or those in the folder; empty when there is nothing."""
    return [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())


def _processes_with(variable: str, value: str) -> list[int]:
    """Processes that have a value in their environment, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _package_root() -> Path:
    return Path(__file__).resolve().parents[1]
