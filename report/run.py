"""Run the phases of a profile that are not up to date, side by side where they do not need each other."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

from .attempt import Attempt, Setting, check_artefacts, clear_left_overs
from .memory import available_memory
from .notebook import Notebook
from .plan import plan
from .profile import Profile
from .progress import Progress, say, span
from .project import Project, ReportError, with_cure
from .runs import State, finished_runs, last_run, state

UNKNOWN_MEMORY = 4 * 2**30  # bytes: what a phase is taken to need when none of its runs is known


def run_profile(project: Project, profile: Profile, jobs: int | None = None) -> list[State]:
    """Bring every phase up to date.

    Parameters
    ----------
    jobs : how many phases may run at a time; by default as many as have room.

    Returns
    -------
    list of State
        All of them done, in the profile's order.

    Raises
    ------
    ReportError
        If a phase failed, after all others were tried; or before any has run, if a notebook or parameter is
        refused.
    """
    waiting = {notebook.phase: notebook for notebook in plan(project, profile)}
    clear_left_overs(project)
    build = _Build(project, profile, waiting, jobs)
    try:
        while waiting or build.running:
            for notebook in list(waiting.values()):
                if build.settled.keys() >= notebook.reads.keys() and build.take(notebook):
                    del waiting[notebook.phase]
            build.look()
    finally:
        build.close()
    not_done = [f"{now.phase} ({now.status})" for now in build.settled.values() if now.status != "done"]
    if not_done:
        count = f"{len(not_done)} of {len(profile.phases)} phases"
        first = next(now.reasons[0] for now in build.settled.values() if now.status == "failed")
        raise ReportError(
            f"{count} are not done: {', '.join(not_done)}; the book was not built, since "
            f"{textwrap.shorten(first, 160, placeholder=' ...')}"
        )
    return [build.settled[phase] for phase in profile.phases]


class _Build:
    """What runs and what is settled."""

    def __init__(
        self, project: Project, profile: Profile, notebooks: dict[str, Notebook], jobs: int | None
    ) -> None:
        self.project, self.profile = project, profile
        self.notebooks = dict(notebooks)
        self._threads = threads_of_a_kernel(len(profile.phases))
        self.jobs = jobs or side_by_side(self._threads)
        self.running: dict[str, Attempt] = {}
        self.settled: dict[str, State] = {}
        self._before: dict[str, State] = {}  # what is known of a phase when its turn comes
        self._setting: Setting | None = None
        self._memory = available_memory()
        last = {phase: _last(project, profile, phase) for phase in notebooks}
        self._needs = {
            phase: run["peak_memory_bytes"] if run else UNKNOWN_MEMORY for phase, run in last.items()
        }
        self._expected = {phase: run["wall_s"] for phase, run in last.items() if run}
        self._progress = Progress(self._expected)

    def take(self, notebook: Notebook) -> bool:
        """Settle or start a phase whose upstream is settled; False when there is no room for it now."""
        phase = notebook.phase
        upstream = {name: self.settled[name] for name in notebook.reads}
        missing = [name for name, run in upstream.items() if run.status != "done"]
        if missing:
            say(f"{phase}: not run; it waits for {', '.join(missing)}.")
            self.settled[phase] = State(phase, "waiting")
            return True
        if phase not in self._before:
            self._before[phase] = state(self.project, self.profile, notebook, upstream)
        now = self._before[phase]
        if now.status == "done":
            say(f"{phase}: up to date.")
            self.settled[phase] = now
            return True
        needed = sum(self._needs[other] for other in [*self.running, phase])
        full = len(self.running) >= self.jobs or needed > self._memory
        if full and self.running:  # alone it may run, whatever it needs
            return False
        say(f"{phase}: running ({_why(now)}).")
        self._setting = self._setting or Setting.now(
            self.project, self.profile, self._threads, processes_of_a_kernel(self._threads)
        )
        try:
            check_artefacts(upstream)
            self.running[phase] = Attempt(self._setting, notebook, upstream)
        except ReportError as error:
            self._fail(phase, str(error))
        except OSError as error:
            self._fail(phase, f"{phase}: failed before its first cell: {with_cure(str(error))}.")
        return True

    def look(self) -> None:
        """Conclude what has ended, and show where the rest is."""
        for phase, attempt in list(self.running.items()):
            if not attempt.ended():
                continue
            try:
                manifest = attempt.conclude()
            except ReportError as error:
                self._fail(phase, str(error))
            else:
                upstream = {name: self.settled[name] for name in attempt.notebook.reads}
                now = state(self.project, self.profile, attempt.notebook, upstream)
                changed = "" if now.status == "done" else f", but {_why(now)}"
                say(f"{phase}: done in {span(manifest['wall_s'])}{changed}.")
                self.settled[phase] = now
            del self.running[phase]
        if self.running:
            cells = {
                phase: (attempt.cell, len(attempt.notebook.node.cells), attempt.seconds)
                for phase, attempt in self.running.items()
            }
            self._progress.show(cells, self._left())
            time.sleep(0.1)

    def close(self) -> None:
        """End what still runs: nothing of it is kept."""
        self._progress.close()
        for attempt in self.running.values():
            attempt.discard()

    def _fail(self, phase: str, sentence: str) -> None:
        say(sentence)
        self.settled[phase] = State(phase, "failed", reasons=[sentence])

    def _left(self) -> float | None:
        """Seconds until all phases are done, from the times of their last runs."""
        phases = [phase for phase in self.notebooks if phase not in self.settled]
        if not self._expected.keys() >= set(phases):
            return None
        spent = {phase: attempt.seconds for phase, attempt in self.running.items()}
        left = {phase: max(0.0, self._expected[phase] - spent.get(phase, 0)) for phase in phases}
        ends: dict[str, float] = {}
        for phase in phases:  # in order: what a phase reads is before it
            ends[phase] = left[phase] + max(
                (ends.get(name, 0) for name in self.notebooks[phase].reads), default=0
            )
        return max(max(ends.values(), default=0), sum(left.values()) / self.jobs)


def cores() -> int:
    """The cores that this process may use; a scheduler such as SLURM may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_a_kernel(phases: int) -> int:
    """How many threads each kernel gets: the same whatever else runs at the moment.

    The order of a sum, and so the last digits of a result, hangs on the number of threads.  So it may hang on
    the machine and the profile, not on which phases happen to run side by side.  Two phases must find room
    beside each other, except where the profile has only one; more than four threads do little for small
    models.  ``OMP_NUM_THREADS`` is obeyed.
    """
    return threads_asked() or max(1, min(4, cores() // min(2, max(1, phases))))


def processes_of_a_kernel(threads: int) -> int:
    """How many processes a kernel may share independent work among: those that the cores have room for.

    What comes out does not hang on their number, beyond rounding.  They are as many as if nothing else ran;
    where another phase does, they take turns.  ``INTERP_PROCESSES`` is obeyed.
    """
    asked = os.environ.get("INTERP_PROCESSES", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else min(4, side_by_side(threads))


def threads_asked() -> int | None:
    """``OMP_NUM_THREADS``, where it is a number above 0."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else None


def side_by_side(threads: int) -> int:
    """How many kernels the cores have room for; one where there is a GPU, whose memory is not seen."""
    return 1 if Path("/dev/nvidiactl").exists() else max(1, cores() // threads)


def _last(project: Project, profile: Profile, phase: str) -> dict | None:
    """The manifest of a phase's newest run of this profile."""
    runs = [run for run in finished_runs(project, phase) if run[1]["profile"] == profile.name]
    newest = last_run(runs)
    return newest[1] if newest else None


def _why(now: State) -> str:
    if now.status == "stale":
        return "changed: " + "; ".join(now.reasons[:2]) + ("; ..." if len(now.reasons) > 2 else "")
    if now.status == "damaged":
        return now.reasons[0]
    return {"missing": "no run yet", "failed": "the last run failed"}.get(now.status, now.status)
