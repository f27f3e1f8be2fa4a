"""Kill builds with ``kill -9`` at random moments, and look whether anything finished was lost or done again.

By hand, from the root: ``.venv/bin/python tests/report/kill_builds.py [--kills 20] [--seed 0] [--real]``

It builds a small study of four phases over and over, in editions that differ in one parameter, so that every
edition runs all phases anew.  Each build is killed at a moment drawn from the time that a whole build takes,
pages included; the victim is drawn from the kinds of process that run then: the builder, an executor
(``report.execute``, one for each notebook), a kernel, or Jupyter Book.  The next build continues from what is
there.  After each kill:

lost      finished runs that are gone or not as they were
repeated  phases that ran although their run was finished
stray     things in the book that come from no finished run

With ``--real``, notebooks run in Jupyter kernels and the book is Jupyter Book's; otherwise stand-ins take
their place, which take seconds and leave many more moments at which a kill hits the project's own code.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from killing import Run, by_hand, counted, finished, told, victim, wait_for_silence, words  # noqa: E402
from killing import kept as kept_of  # noqa: E402
from report_project import READS, make_study, set_study  # noqa: E402

import report.__main__  # noqa: E402
import report.attempt  # noqa: E402
import report.book  # noqa: E402
import report.collect  # noqa: E402
from report.profile import Profile  # noqa: E402
from report.project import Project, write_atomic  # noqa: E402

# What the command lines of a build's processes hold.  A stand-in is executor and kernel in one.
SIGNS = {
    "executor": "-m report.execute",
    "stand-in": "stand_in.py",
    "kernel": "ipykernel_launcher",
    "jupyter-book": "jupyter_book.cli",
}
TOKEN = re.compile(r"token ([0-9a-f]{16})")


def make(root: Path, real: bool) -> Project:
    """The study with a book around it."""
    project = make_study(root, seed=0, pause=0.1)
    (root / "book").mkdir()
    if real:
        shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    (root / "book" / "references.bib").write_text("")
    quotes = "".join(f"- {{glue:text}}`phases/{phase}.ipynb::total:.0f`\n" for phase in READS) if real else ""
    (root / "book" / "index.md").write_text(f"# Book\n\n{quotes}")
    shutil.copy(ROOT / "_config.yml", root)
    chapters = "".join(f"- file: phases/{phase}\n" for phase in READS)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
    return project


def build(root: Path, real: bool) -> int:
    """One build, in this process; notes which step it is at, for the table."""
    project = Project(root)
    if not real:
        stand_in = Path(__file__).with_name("stand_in.py")
        report.attempt.EXECUTE = [sys.executable, str(stand_in)]
        report.book.build_book = stand_in_book
    for module, name in ((report.collect, "collect"), (report.book, "build_book")):
        setattr(module, name, noted(root, name, getattr(module, name)))
    write_atomic(root / "step", "run")
    return report.__main__.build(project, Profile.read(project, "etude"), jobs=2)


def noted(root: Path, name: str, function):
    def wrapped(*arguments):
        write_atomic(root / "step", name)
        return function(*arguments)

    return wrapped


def stand_in_book(project: Project, staged: Path) -> bool:
    """The staged pages as they are, put in place as Jupyter Book's are."""
    output = project.build / "book-out"
    shutil.rmtree(output, ignore_errors=True)
    for page in sorted(staged.rglob("*.ipynb")):
        time.sleep(0.05)
        target = output / page.with_suffix(".html").name
        target.parent.mkdir(exist_ok=True)
        target.write_text(page.read_text(encoding="utf-8"))
    (output / "index.html").write_text("")
    shutil.rmtree(project.html, ignore_errors=True)
    project.html.parent.mkdir(parents=True, exist_ok=True)
    os.replace(output, project.html)
    return True


def kept(project: Project) -> set[Run]:
    return kept_of(project, READS, "seed")


def stray(project: Project, runs: set[Run]) -> set[str]:
    """Tokens in the book that no finished run has printed."""
    printed = set()
    for run in runs:
        printed |= set(TOKEN.findall((run.folder / "notebook.ipynb").read_text(encoding="utf-8")))
    shown = set()
    for page in project.html.rglob("*.html"):
        shown |= set(TOKEN.findall(page.read_text(encoding="utf-8")))
    return shown - printed


def runs_of(project: Project) -> list[tuple[str, int]]:
    """Phase and edition of everything that ever began, in order."""
    log = project.root / "ran.log"
    lines = log.read_text().splitlines() if log.is_file() else []
    return [(phase, int(seed)) for phase, seed in (line.split() for line in lines)]


def family(builder: psutil.Process) -> dict[str, list[psutil.Process]]:
    """The build's processes by kind."""
    kinds = {"builder": [builder]}
    for process in builder.children(recursive=True):
        said = words(process)
        kind = next((kind for kind, sign in SIGNS.items() if sign in said), None)
        if kind:
            kinds.setdefault(kind, []).append(process)
    return kinds


def torture(root: Path, kills: int, seed: int, real: bool = False) -> list[dict]:
    """Kill ``kills`` builds and return one row for each; the last build is left alone and must succeed."""
    draw = random.Random(seed)
    project = make(root, real)
    command = [sys.executable, __file__, "--run", str(root), *(["--real"] if real else [])]

    def start() -> subprocess.Popen:
        """Start a build; its clock runs from where it has loaded its modules."""
        (root / "step").unlink(missing_ok=True)
        builder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while builder.poll() is None and not (root / "step").is_file():
            time.sleep(0.01)
        return builder

    first, begin = start(), time.monotonic()
    said = first.communicate()[1]
    assert first.returncode == 0, said
    whole = time.monotonic() - begin

    rows: list[dict] = []
    edition = 0
    while len(rows) < kills:
        before, began = kept(project), len(runs_of(project))
        if {(phase, edition) for phase in READS} <= finished(before) and draw.random() < 0.7:
            edition += 1  # else its pages may still be missing
            set_study(root, seed=edition, pause=0.1)
        builder = start()
        moment = draw.uniform(0, whole)
        time.sleep(moment)
        if builder.poll() is not None:
            continue  # it was done before: nothing to kill
        kind, process = victim(family(psutil.Process(builder.pid)), draw)
        step = (root / "step").read_text()
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            builder.kill()  # the child had just ended
        builder.communicate()
        wait_for_silence(root)
        after = kept(project)
        rows.append(
            {
                "kill": len(rows) + 1,
                "edition": edition,
                "after": f"{moment:.1f} s",
                "at": step,
                "victim": kind,
                **counted(before, after, runs_of(project)[began:]),
                "stray": len(stray(project, after)),
            }
        )
        told(rows)
    before, began = kept(project), len(runs_of(project))
    last = start()
    said = last.communicate()[1]
    assert last.returncode == 0, said
    after = kept(project)
    assert {(phase, edition) for phase in READS} <= finished(after)
    assert not finished(before) & set(runs_of(project)[began:])
    assert not stray(project, after)
    return rows


if __name__ == "__main__":
    what = "Jupyter kernels and Jupyter Book"
    sys.exit(by_hand(__doc__, "--real", what, build, torture))
