"""One build at a time: a lock that names its holder and ends with it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8").strip() or "unknown"
            raise ReportError(
                f"Another build of this folder is running (process {holder}); wait for it, or end it."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
