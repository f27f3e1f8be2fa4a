"""One live display for a whole build: redrawn in place on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

EVERY = 5.0  # seconds between lines where nothing can be redrawn
_BAR = "  {bar:20} {desc}"


def say(line: str) -> None:
    """A line that stays, above what is redrawn."""
    tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


def span(seconds: float) -> str:
    """A time as people say it: ``48 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Phase, cell and time left of everything that runs.

    Parameters
    ----------
    expected : phase → seconds that its last run of this profile took; phases that never ran are left out.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self.expected = expected
        self._live = sys.stderr.isatty()
        self._bars: dict[str, tqdm] = {}
        self._cells: dict[str, int] = {}
        self._said = 0.0

    def show(self, running: Mapping[str, tuple[int, int, float]], left: float | None) -> None:
        """Draw the phases that run.

        Parameters
        ----------
        running : phase → the cell at which it is, how many it has, and the seconds since it began.
        left : seconds until the build's phases are done; None when that cannot be told.
        """
        if self._live:
            self._redraw(running, left)
        elif time.monotonic() - self._said >= EVERY:
            cells = {phase: cell for phase, (cell, _, _) in running.items()}
            if cells != self._cells:
                self._cells, self._said = cells, time.monotonic()
                say("; ".join(f"{phase}: {self._where(phase, *at)}" for phase, at in running.items()))

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    def _where(self, phase: str, cell: int, of: int, seconds: float) -> str:
        text = f"cell {min(cell, of)} of {of}, {span(seconds)}"
        if phase in self.expected:
            text += f", about {span(max(0, self.expected[phase] - seconds))} left"
        return text

    def _redraw(self, running: Mapping[str, tuple[int, int, float]], left: float | None) -> None:
        for phase in set(self._bars) - set(running):
            self._bars.pop(phase).close()
        for index, (phase, at) in enumerate(running.items()):
            if phase not in self._bars:
                options = {"total": at[1], "bar_format": _BAR, "leave": False, "dynamic_ncols": True}
                self._bars[phase] = tqdm(file=sys.stderr, desc=phase, **options)
            bar = self._bars[phase]
            bar.n = min(at[0], at[1])
            whole = f"; build: about {span(left)} left" if left is not None and index == 0 else ""
            text = f"{phase:<20} {self._where(phase, *at)}{whole}"
            if text != bar.desc:
                bar.set_description_str(text)
