"""A point is run by one at a time, whoever asks for it: drivers, and workers that outlive their driver."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class Claim:
    """The right to run a point; the system takes it back when the process ends, however it ends."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file

    @classmethod
    def take(cls, runs: Path, label: str) -> Claim | None:
        """Claim a point of a phase; None when another process has it.

        Parameters
        ----------
        runs : the phase's folder of runs.
        label : the point's.
        """
        path = runs / ".claims" / label.lstrip("-")
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return None
            # Whoever had it deletes the file on release: then this one is nobody's, and another counts.
            if path.is_file() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return cls(path, file)
            file.close()

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()
