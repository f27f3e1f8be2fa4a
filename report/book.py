"""Make the HTML book of the staged sources with Jupyter Book."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .key import LOCKS
from .project import Project, ReportError, digest, file_digest, no_room, write_atomic

PACKAGE = Path(__file__).resolve().parent
# The only code of ours that Sphinx runs.
EXTENSIONS = tuple(PACKAGE / name for name in ("sound.py", "soundmap.py", "accessible.py"))
LEAST = 2**20  # bytes: with less room than that, a book that was not built has run out of it


def build_book(project: Project, staged: Path) -> bool:
    """Build ``build/book/html``, unless it was built from the same sources.

    Returns
    -------
    bool
        Whether anything was built.

    Raises
    ------
    ReportError
        If Sphinx warns of anything.  The book that was there before stays as it was.
    OSError
        If the disk is full.
    """
    stamp = project.build / "book" / "sources"
    others = [*EXTENSIONS, *(project.root / name for name in LOCKS)]
    wanted = digest([tree_digest(staged), *(file_digest(path) for path in others)])
    built = (project.html / "index.html").is_file() and stamp.is_file() and stamp.read_text() == wanted
    if built:
        return False
    output = project.build / "book-out"
    shutil.rmtree(output, ignore_errors=True)
    # Always all pages: a number that a page quotes from another one is no dependency that Sphinx knows of.
    # Not the script in the environment's bin folder: its first line breaks in a path with spaces.
    # Ends when this process is killed: it must not write into the folder of the next build.
    start = "from report.execute import end_with_parent; end_with_parent(); "
    start += "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(staged), "--path-output", str(output)]
    command += ["--all", "-W", "-n", "--keep-going", "-q"]
    log = project.build / "book.log"
    paths = filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}  # where Sphinx finds our extension
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=staged, env=environment)
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))  # colours
    if done.returncode != 0:
        # The log lies on the same disk and may be cut off before the reason.
        if no_room(text) or shutil.disk_usage(project.build).free < LEAST:
            shutil.rmtree(output, ignore_errors=True)  # half a book
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
        lines = [line for line in text.splitlines() if "WARNING" in line or "ERROR" in line]
        for line in lines[:20] or text.splitlines()[-20:]:
            print(line.replace(str(staged), "book-src"), file=sys.stderr)
        why = f"warnings: {len(lines)}" if lines else f"Sphinx ended with status {done.returncode}"
        raise ReportError(f"The book was not built: {why}; see {project.relative(log)}.")
    stamp.unlink(missing_ok=True)
    project.html.parent.mkdir(parents=True, exist_ok=True)
    if project.html.exists():  # aside in one step: deleted in place, half a book might stay
        os.replace(project.html, output / "before")
    os.replace(output / "_build" / "html", project.html)
    shutil.rmtree(output)
    write_atomic(stamp, wanted)
    return True


def tree_digest(folder: Path) -> str:
    """Hash of every file's path and content below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])
