"""Where things lie, how files are hashed, read and written, and the one kind of error of this package."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ReportError(Exception):
    """One sentence for the person who called: what is wrong and what to do."""


@dataclass(frozen=True)
class Project:
    """The folders of one checkout."""

    root: Path

    @property
    def phases(self) -> Path:
        return self.root / "phases"

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def runs(self) -> Path:
        return self.build / "runs"

    @property
    def html(self) -> Path:
        return self.build / "book" / "html"

    def relative(self, path: str | Path) -> str:
        """The path as people read it: from the root where it lies inside, absolute where not."""
        path = Path(path)
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def here() -> Project:
    """The project that this package belongs to."""
    return Project(Path(__file__).resolve().parents[1])


def digest(content: bytes | str | Any) -> str:
    """SHA-256 of bytes, text, or anything that JSON can write (keys sorted)."""
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or the word ``absent``, which equals no hash."""
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git(project: Project, *arguments: str) -> str | None:
    """What git says; None where it is not installed, or this is no checkout (an unpacked archive)."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project.root, capture_output=True, text=True, errors="replace"
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def read_text(path: Path, where: str = "") -> str:
    """A text file; ``where`` is how people call it, by default its path.

    Raises
    ------
    ReportError
        If it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        at = f"byte {error.start}"
        raise ReportError(f"{where or path} is not text in UTF-8 ({at}); save it as UTF-8.") from error
    except OSError as error:
        raise ReportError(f"{where or path} cannot be read: {error.strerror}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file of JSON that :func:`write_json` or a run has left.

    Raises
    ------
    ReportError
        If it is damaged: no text, no JSON, or anything but fields with values.
    """
    try:
        return mapping(json.loads(read_text(path)), str(path))
    except json.JSONDecodeError as error:
        raise ReportError(f"{path} is damaged ({error}); put it back, or run again.") from error


def mapping(content: Any, where: str) -> dict[str, Any]:
    """The content, where it is fields with values; else refused."""
    if not isinstance(content, dict):
        raise ReportError(f"{where} must hold fields with values, not {content!r:.60}.")
    return content


def no_room(text: str) -> str:
    """The words in which a text says that a disk or a quota is full; empty where it says no such thing."""
    return next((words for words in map(os.strerror, NO_ROOM) if words in text), "")


def with_cure(reason: str) -> str:
    """A clause that says why something failed; of a full disk also what to do."""
    reason = reason.rstrip(".")
    return f"{reason}; make room and run again" if no_room(reason) else reason


def write_atomic(path: Path, content: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk the part would take the room of the reason
        raise


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
