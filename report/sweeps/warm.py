"""Processes of runs: a new one for each, or children of a template that has loaded everything."""

from __future__ import annotations

import ast
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ..attempt import THREADS, new_process
from ..notebook import Notebook
from ..progress import say
from ..project import Project

TRIES = 3  # to get a child of a template, each time of another one


class Child:
    """A run's process, child of a template; what :class:`report.attempt.Attempt` needs of a ``Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None
        self.orphan = False  # its template was killed, and it with that
        self._over = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._over.wait(timeout)
        return self.returncode

    def end(self, status: int) -> None:
        self.returncode = status
        self._over.set()


class Warm:
    """Starts runs of one notebook from a template; where that cannot be, each in a process of its own.

    Parameters
    ----------
    shared : the parameters that are the same in all runs.
    """

    def __init__(self, project: Project, notebook: Notebook, shared: dict[str, Any]) -> None:
        self.project, self.notebook, self.shared = project, notebook, shared
        self._template: Template | None = None
        self._cold = "" if sys.platform == "linux" else "a process is only copied safely on Linux"
        self._said = False

    def start(self, job: Path, log: Path, environment: dict[str, str], cwd: Path) -> Any:
        """Start a run; a drop-in for :func:`report.attempt.new_process`."""
        for _ in range(TRIES):
            if self._template is None and not self._cold:
                self._template = Template(self.project, self.notebook, self.shared)
                self._cold = self._template.cold
            if self._cold:
                break
            child = self._template.fork(job, log, environment)
            if child is not None:
                return child
            self.close()  # a source has changed, or it was killed
        if self._cold and not self._said:
            say(f"Every run gets a process of its own and loads everything itself: {self._cold}.")
            self._said = True
        return new_process(job, log, environment, cwd)

    @property
    def pid(self) -> int | None:
        """The template's process, where there is one."""
        return self._template.process.pid if self._template else None

    def close(self) -> None:
        if self._template:
            self._template.close()
        self._template = None


def _shareable(notebook: Notebook, shared: dict[str, Any]) -> list[str]:
    """What the notebook declares as ``warm``, without what hangs on a swept parameter."""
    statements = []
    for statement in notebook.declared.get("warm", []):
        names = {node.id for node in ast.walk(ast.parse(statement)) if isinstance(node, ast.Name)}
        differ = [name for name in notebook.defaults() if name in names and name not in shared]
        if differ:
            say(f"{notebook.phase}: runs differ in {', '.join(differ)}, so each does for itself: {statement}")
        else:
            statements.append(statement)
    return statements


class Template:
    """A running :mod:`report.sweeps.template`."""

    def __init__(self, project: Project, notebook: Notebook, shared: dict[str, Any]) -> None:
        package = str(Path(__file__).resolve().parents[2])
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
            "PYTHONHASHSEED": "0",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as a kernel sets it
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # else asking torch for a GPU would spoil the forks
        }
        # Arrow's allocator would start a thread; what a run allocates does not hang on it.
        environment["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
        environment |= dict.fromkeys(THREADS, "1")
        self.children: dict[int, Child] = {}
        self._cwd = project.root
        self.process = subprocess.Popen(
            [sys.executable, "-m", "report.sweeps.template"],
            cwd=project.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the driver alone
            text=True,
        )
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._send({"code": notebook.code, "parameters": shared, "warm": _shareable(notebook, shared)})
        ready = self._answers.get()
        self.cold = ""
        if ready.get("changed"):
            self.cold = f"{ready['changed'][0]} changed while it was read"
        elif ready.get("threads", 1) > 1:
            self.cold = f"the imports of {notebook.path.name} start threads, and such a process is not copied"
        for line in ready.get("missing", []):
            say(f"{notebook.phase}: each run does it anew: {line}")

    def fork(self, job: Path, log: Path, environment: dict[str, str]) -> Child | None:
        """A child for a run; None where this template can give none any more."""
        request = {"job": str(job), "log": str(log), "environment": environment, "cwd": str(self._cwd)}
        self._send(request)
        return self._answers.get().get("child")

    def close(self) -> None:
        """End it; children that still run end with it."""
        self.process.kill()
        self.process.wait()

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self._answers.put({})

    def _listen(self) -> None:
        for line in self.process.stdout:
            answer = json.loads(line)
            if "ended" in answer:
                self.children.pop(answer["ended"]).end(answer["status"])
            elif "began" in answer:
                child = self.children[answer["began"]] = Child(answer["began"])
                self._answers.put({"child": child})
            else:
                self._answers.put(answer)
        for child in self.children.values():
            child.orphan = True
            child.end(-9)
        self._answers.put({})
