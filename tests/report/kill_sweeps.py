"""Kill sweeps at random moments and count what was lost: ``python tests/report/kill_sweeps.py --kills 20``.

A sweep runs over and over in a process of its own; at a random moment one of its processes is killed with
SIGKILL: the driver, the template that runs are copied from, a run, a kernel, and with ``--dask`` a worker,
its nanny or the driver, in which the scheduler is.  After each kill, every run that was finished must still
be there, byte by byte, and none of them may have begun again.  The last call is left alone and must finish
the rest.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from killing import by_hand, counted, finished, kept, told, victim, wait_for_silence
from sweep_project import PHASE, began, make_sweep_project, planned

from report.lock import build_lock
from report.project import Project
from report.runs import finished_runs

POINTS = 40
PAUSE = 0.3


def sweep_of(root: Path):
    return planned(Project(root), grid={"layer": list(range(POINTS))}, parameters={"pause": PAUSE})


def run(root: Path, dask: bool) -> int:
    """One call of the sweep, in this process."""
    project = Project(root)
    with build_lock(project):
        if dask:
            from report.sweeps.cluster import Where, drive_far

            outcome = drive_far(sweep_of(root), Where(jobs=2))
        else:
            from report.sweeps.drive import drive

            outcome = drive(sweep_of(root), jobs=2)
    return 1 if outcome.failed else 0


def points_begun(project: Project) -> list[tuple[str, int]]:
    return [(PHASE, int(line.split()[0])) for line in began(project)]


def family(driver: psutil.Process) -> dict[str, list[psutil.Process]]:
    """The driver's processes by kind."""
    kinds: dict[str, list[psutil.Process]] = {"driver": [driver]}
    for process in driver.children(recursive=True):
        try:
            words, parent = " ".join(process.cmdline()), " ".join(process.parent().cmdline())
        except (psutil.NoSuchProcess, AttributeError):
            continue
        template = "report.sweeps.template" in words
        if template and "report.sweeps.template" in parent:
            grand = " ".join(process.parent().parent().cmdline())
            kind = "kernel" if "report.sweeps.template" in grand else "run"
        else:
            kind = "template" if template else "worker" if "spawn_main" in words else None
        if kind:
            kinds.setdefault(kind, []).append(process)
    return kinds


def torture(root: Path, kills: int, seed: int, dask: bool) -> list[dict]:
    """Kill ``kills`` times; one row for each."""
    draw, rows = random.Random(seed), []
    project = make_sweep_project(root)
    command = [sys.executable, __file__, "--run", str(root), *(["--dask"] if dask else [])]
    while len(rows) < kills:
        before, first = kept(project, [PHASE], "layer"), len(began(project))
        if len(before) == POINTS:  # all done: a new sweep, of other code
            code = (root / "shape.py").read_text()
            (root / "shape.py").write_text(code + f"\nROUND_{len(rows)} = 1\n")
            for folder, _ in list(finished_runs(project, PHASE)):
                shutil.rmtree(folder)
            before = set()
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted = first + 1 + draw.randrange(6)
        while driver.poll() is None and len(began(project)) < wanted:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.6))
        if driver.poll() is not None:
            continue
        kind, process = victim(family(psutil.Process(driver.pid)), draw)
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
        if kind != "driver":  # the sweep goes on by itself; a moment later it is stopped for the count
            time.sleep(draw.uniform(0, 2))
            driver.kill()
        driver.wait()
        wait_for_silence(root)
        after, begun = kept(project, [PHASE], "layer"), points_begun(project)[first:]
        rows.append({"kill": len(rows) + 1, "victim": kind} | counted(before, after, begun))
        told(rows)
    before, first = kept(project, [PHASE], "layer"), len(began(project))
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert len(kept(project, [PHASE], "layer")) == POINTS
    assert not finished(before) & set(points_begun(project)[first:])
    assert not list(project.runs.rglob(".attempt-*")), "nothing of killed runs is left"
    return rows


if __name__ == "__main__":
    sys.exit(by_hand(__doc__, "--dask", "a Dask cluster of two workers", run, torture))
