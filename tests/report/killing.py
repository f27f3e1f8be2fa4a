"""What the two tests of ``kill -9`` share: builds (``kill_builds.py``) and sweeps (``kill_sweeps.py``)."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil

from report.project import Project, file_digest
from report.runs import damaged, finished_runs


class Run(NamedTuple):
    """A finished run as it lies there."""

    phase: str
    point: int  # the parameter that differs between runs
    folder: Path
    manifest: str  # its hash
    intact: bool


def kept(project: Project, phases: Iterable[str], parameter: str) -> set[Run]:
    """The finished runs, told apart by one of their parameters."""
    return {
        Run(
            phase,
            manifest["parts"]["parameters"][parameter],
            folder,
            file_digest(folder / "manifest.json"),
            not damaged(folder, manifest, every_byte=True),
        )
        for phase in phases
        for folder, manifest in finished_runs(project, phase)
    }


def finished(runs: set[Run]) -> set[tuple[str, int]]:
    return {(run.phase, run.point) for run in runs}


def counted(before: set[Run], after: set[Run], begun: Iterable[tuple[str, int]]) -> dict:
    """What a kill did.

    Parameters
    ----------
    begun : phase and point of everything that began between the two.
    """
    return {
        "finished": f"{len(before)} → {len(after)}",
        "lost": len(before - after) + sum(not run.intact for run in after),
        "repeated": len(finished(before) & set(begun)),
    }


def told(rows: list[dict]) -> None:
    """Say what the last kill did."""
    print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), file=sys.stderr, flush=True)


def victim(kinds: dict[str, list], draw: random.Random) -> tuple[str, psutil.Process]:
    """First its kind is drawn, so that the one driver is hit as often as many workers."""
    kind = draw.choice(sorted(kinds))
    return kind, draw.choice(kinds[kind])


def words(process: psutil.Process) -> str:
    """What tells whose process it is: its command, where it runs, and its run; empty for this one."""
    try:
        if process.pid == os.getpid():
            return ""
        return " ".join([*process.cmdline(), process.cwd(), process.environ().get("INTERP_RUN_DIR", "")])
    except psutil.Error:
        return ""


def wait_for_silence(root: Path) -> None:
    """Until no process of what was killed is left: a kernel looks after its parent once a second."""
    deadline = time.monotonic() + 60
    while any(str(root) in words(process) for process in psutil.process_iter()):
        assert time.monotonic() < deadline, "what was killed left processes behind"
        time.sleep(0.1)


def by_hand(
    text: str,
    flag: str,
    what: str,
    run: Callable[[Path, bool], int],
    torture: Callable[[Path, int, int, bool], list[dict]],
) -> int:
    """The command line.

    Parameters
    ----------
    flag, what : the option that both functions take last, and what it does.
    run : one build or sweep, in this process: what ``torture`` starts and kills.
    """
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(flag, dest="flag", action="store_true", help=what)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(options.run, options.flag)
    with tempfile.TemporaryDirectory() as folder:
        rows = torture(Path(folder).resolve() / "study", options.kills, options.seed, options.flag)
    print(pd.DataFrame(rows).to_string(index=False))
    problems = sum(row[name] for row in rows for name in ("lost", "repeated", "stray") if name in row)
    print(f"{len(rows)} kills, {problems} problems; the call after the last one finished the rest.")
    return 1 if problems else 0
