"""Make the HTML book of the staged sources with Jupyter Book."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .collect import tree_digest
from .key import LOCKS
from .project import Project, ReportError, digest, file_digest, write_atomic


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
    """
    stamp = project.build / "book" / "sources"
    wanted = digest([tree_digest(staged), *(file_digest(project.root / name) for name in LOCKS)])
    built = (project.html / "index.html").is_file() and stamp.is_file() and stamp.read_text() == wanted
    if built:
        return False
    output = project.build / "book-out"
    shutil.rmtree(output, ignore_errors=True)
    # Always all pages: a number that a page quotes from another one is no dependency that Sphinx knows of.
    # Not the script in the environment's bin folder: its first line breaks in a path with spaces.
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(staged), "--path-output", str(output)]
    command += ["--all", "-W", "-n", "--keep-going", "-q"]
    log = project.build / "book.log"
    with log.open("w", encoding="utf-8") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=staged).returncode
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))  # colours
    if code != 0:
        lines = [line for line in text.splitlines() if "WARNING" in line or "ERROR" in line]
        for line in lines[:20] or text.splitlines()[-20:]:
            print(line.replace(str(staged), "book-src"), file=sys.stderr)
        raise ReportError(f"The book was not built: {len(lines)} warnings; see {project.relative(log)}.")
    stamp.unlink(missing_ok=True)
    shutil.rmtree(project.html, ignore_errors=True)
    project.html.parent.mkdir(parents=True, exist_ok=True)
    os.replace(output / "_build" / "html", project.html)
    shutil.rmtree(output)
    write_atomic(stamp, wanted)
    return True
