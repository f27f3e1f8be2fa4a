"""One build at a time: a lock that names its holder and ends with it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from .project import Project, ReportError


@contextmanager
def build_lock(project: Project) -> Iterator[None]:
    """Hold ``build/report.lock``; the system releases it when the process ends, however it ends.

    Raises
    ------
    ReportError
        If another process holds it.
    """
    project.build.mkdir(parents=True, exist_ok=True)
    path = project.build / "report.lock"
    with path.open("a+", encoding="utf-8") as file:
        # Not at once: whoever asks for the holder has the lock for a moment.
        if not any(_take(file) or time.sleep(0.05) for _ in range(5)):
            held = _read(file)
            raise ReportError(
                f"Another build of this folder is running: process {held.get('pid', 'unknown')} on "
                f"{held.get('host', 'an unknown host')} since {held.get('since', 'an unknown time')} "
                f"(`{held.get('command', 'unknown')}`); wait for it, or end it."
            )
        file.truncate(0)
        command = " ".join([os.path.basename(sys.executable), *sys.orig_argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        me = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}
        json.dump(me, file)
        file.flush()
        yield


def holder(project: Project) -> dict[str, Any] | None:
    """Who builds now; None when nobody does, whatever a crash has left in the file."""
    path = project.build / "report.lock"
    if not path.is_file():
        return None
    with path.open("r", encoding="utf-8") as file:
        return None if _take(file) else _read(file)


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        return json.load(file)
    except ValueError:  # it is about to write its name
        return {}
