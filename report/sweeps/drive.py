"""Run the points of a sweep that have no run yet, on this machine."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

from tqdm import tqdm

from ..attempt import Attempt, Setting, check_artefacts, clear_left_overs
from ..memory import available_memory
from ..progress import say, span
from ..project import ReportError
from ..run import side_by_side, threads_asked
from ..runs import finished_runs, last_run
from .claim import Claim
from .points import Finished, Point, Sweep
from .warm import Warm

TRIES = 3  # of a point whose process was killed together with what had started it


@dataclass
class Outcome:
    """How a call ended."""

    failed: dict[str, str] = field(default_factory=dict)  # label → one sentence
    left: int = 0  # points that the budget left for another call
    ran: int = 0

    def note(self, point: Point, failure: str) -> None:
        """Count a run that has ended; ``failure`` is one sentence, empty where it is a finished run."""
        self.ran += 1
        if failure:
            self.failed[point.label] = f"{words(point.swept)}: {failure}"
            say(self.failed[point.label])

    def told(self, sweep: Sweep, seconds: float) -> Outcome:
        """Say how the call went."""
        say(f"{sweep.spec.name}: ran {self.ran} in {span(seconds)}, {len(self.failed)} failed.")
        return self


def threads_of_a_run() -> int:
    """One: many runs fill the cores better side by side than one run with many threads; OMP_NUM_THREADS is
    obeyed."""
    return threads_asked() or 1


def drive(sweep: Sweep, jobs: int | None = None, warm: bool = True) -> Outcome:
    """Run what is missing.

    Parameters
    ----------
    jobs : how many runs at a time; by default as many as the cores and the memory have room for.
    warm : whether imports and models are loaded once for all; otherwise each run is a process from nothing.
    """
    finished, waiting, outcome = to_run(sweep)
    if not waiting:
        return outcome
    pool = _Pool(sweep, waiting, outcome, jobs, warm)
    try:
        while pool.waiting or pool.running:
            pool.fill(finished)
            pool.look()
    finally:
        pool.close()
    return outcome.told(sweep, pool.seconds)


def to_run(sweep: Sweep) -> tuple[Finished, list[Point], Outcome]:
    """What a call begins with: the points that have no run, as many as the budget lets it start.

    Returns
    -------
    finished : the runs that are there.
    waiting : points to run.
    outcome : of the call so far, with the number of points that the budget leaves.
    """
    clear_left_overs(sweep.project)
    check_artefacts(sweep.upstream)
    finished = Finished(sweep)
    finished.look()
    waiting = [point for point in sweep.points if not finished.of(point)]
    say(f"{sweep.spec.name}: {len(sweep.points) - len(waiting)} of {len(sweep.points)} points are done.")
    most = sweep.spec.budget.get("runs", len(waiting))
    return finished, waiting[:most], Outcome(left=max(0, len(waiting) - most))


class _Pool:
    """What waits and what runs."""

    def __init__(
        self, sweep: Sweep, waiting: list[Point], outcome: Outcome, jobs: int | None, warm: bool
    ) -> None:
        self.sweep, self.waiting, self.outcome = sweep, deque(waiting), outcome
        self.running: dict[str, tuple[Attempt, Point, Claim]] = {}
        threads = threads_of_a_run()
        self._jobs = jobs or min(side_by_side(threads), _room(sweep))
        self._setting = Setting.now(sweep.project, waiting[0].profile, threads)
        self._warm = Warm(sweep.project, sweep.notebook, sweep.shared) if warm else None
        self._tries: Counter[str] = Counter()
        self._clock = time.monotonic()
        self._bar = tqdm(total=len(waiting), unit="run", desc=sweep.spec.name, disable=None)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._clock

    def fill(self, finished: Finished) -> None:
        """Start what there is room and budget for."""
        for _ in range(len(self.waiting)):
            if len(self.running) >= self._jobs:
                return
            if self.seconds > 3600 * self.sweep.spec.budget.get("hours", math.inf):
                self.outcome.left += len(self.waiting)
                self.waiting.clear()
                return
            point = self.waiting.popleft()
            claim = Claim.take(self.sweep.project.runs / self.sweep.spec.phase, point.label)
            if claim is None:  # a worker that has outlived its driver has it
                self.waiting.append(point)
                continue
            finished.look()
            if finished.of(point):  # meanwhile, by whoever had the claim
                claim.release()
                self._bar.update()
                continue
            attempt = Attempt(
                replace(self._setting, profile=point.profile),
                self.sweep.notebook,
                self.sweep.upstream,
                point.label,
                self._warm.start if self._warm else None,
            )
            self.running[point.label] = attempt, point, claim

    def look(self) -> None:
        """Conclude what has ended."""
        for label, (attempt, point, claim) in list(self.running.items()):
            if not attempt.ended():
                continue
            self._tries[label] += 1
            if attempt.orphan and self._tries[label] < TRIES:
                attempt.discard()
                self.waiting.append(point)
            else:
                self.outcome.note(point, concluded(attempt))
                self._bar.update()
            claim.release()
            del self.running[label]
        time.sleep(0.01 if self.running else 0.1 * bool(self.waiting))

    def close(self) -> None:
        """End what still runs: nothing of it is kept."""
        self._bar.close()
        for attempt, _, claim in self.running.values():
            attempt.discard()
            claim.release()
        if self._warm:
            self._warm.close()


def concluded(attempt: Attempt) -> str:
    """Make a finished run of an attempt; empty, or one sentence that says why it failed."""
    try:
        attempt.conclude()
    except ReportError as error:
        return str(error)
    return ""


def words(swept: dict[str, Any]) -> str:
    """A point in words."""
    return ", ".join(f"{name} = {value}" for name, value in swept.items())


def _room(sweep: Sweep) -> int:
    """How many runs the memory holds, by what the last one took."""
    last = last_run(list(finished_runs(sweep.project, sweep.spec.phase)))
    return max(1, int(available_memory() // last[1]["peak_memory_bytes"])) if last else 10**6
