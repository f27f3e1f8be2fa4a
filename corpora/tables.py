"""The rows of a data set's tables: every one that cannot be read is told with file and line.

What a table may look like is said in :mod:`interp.corpora.tables`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from interp.corpora.tables import fit, read_table
from interp.errors import InterpError

MOST = 0.05  # share of a table's rows that may be unreadable
Value = TypeVar("Value")


@dataclass
class Problems:
    """What could not be used, in the order in which it was met: (file, line, reason); line 0 is the file."""

    found: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, file: str | Path, line: int, reason: object) -> None:
        """Note one."""
        self.found.append((str(file), line, str(reason)))

    def check(self, file: str | Path, bad: int, of: int, what: str = "rows") -> None:
        """Raise :class:`InterpError` with the first of them if ``bad`` is more than 5 % of ``of``."""
        if bad > MOST * of:
            name, line, reason = next(p for p in self.found if p[0] == str(file))
            where = f"line {line}: " if line else ""
            raise InterpError(
                f"{name}: {bad} of {of} {what} cannot be used, more than {MOST:.0%}; the first: "
                f"{where}{reason}"
            )


@dataclass(frozen=True)
class Cells:
    """One row by column name."""

    values: dict[str, str]
    decimal_comma: bool = False

    def text(self, name: str) -> str:
        """The text under ``name``; raises :class:`InterpError` if it is empty."""
        if not self.values[name]:
            raise InterpError(f"{name} is empty.")
        return self.values[name]

    def number(self, name: str, low: float, high: float) -> float:
        """The number under ``name``; raises :class:`InterpError` unless it lies on the scale."""
        cell = self.values[name].replace(",", ".") if self.decimal_comma else self.values[name]
        try:
            value = float(cell)
        except ValueError:
            raise InterpError(f"{name} must be a number, not {self.values[name]!r}.") from None
        if not math.isfinite(value):
            raise InterpError(f"{name} must be a finite number, not {self.values[name]!r}.")
        if not low <= value <= high:
            raise InterpError(f"{name} must lie between {low:g} and {high:g}, not {value:g}.")
        return value

    def scaled(self, name: str, low: float, high: float) -> float:
        """The same, brought from the scale [low, high] to [-1, 1]."""
        return 2 * (self.number(name, low, high) - low) / (high - low) - 1


def read_rows(
    path: Path,
    needed: Sequence[str],
    problems: Problems,
    make: Callable[[Cells], Value],
    key: Callable[[Value], Hashable] | None = None,
    ragged: bool = False,
) -> list[Value]:
    """Read a table row by row.

    Parameters
    ----------
    needed : list of str
        Columns without which the table is of no use.
    make : callable
        From the cells of a row to what it means; an :class:`InterpError` that it raises is the row's problem.
    key : callable, optional
        What must not come twice.
    ragged : bool
        Whether rows may be shorter or longer than the line of names; cells beyond it are joined to the last.

    Raises
    ------
    InterpError
        If the file is missing or no table, a column is missing, or more than 5 % of the rows are unreadable.
    """
    table = read_table(path, needed)
    made, seen, bad = [], {}, 0
    for line, cells in table.rows:
        try:
            whole = _joined(cells, len(table.header)) if ragged else cells
            value = make(Cells(fit(table.header, whole), table.decimal_comma))
            if key is not None:
                if key(value) in seen:
                    raise InterpError(f"{key(value)} is in line {seen[key(value)]} already.")
                seen[key(value)] = line
            made.append(value)
        except InterpError as error:
            bad += 1
            problems.add(path, line, error)
    problems.check(path, bad, len(table.rows))
    if not made:
        raise InterpError(f"{path} has no rows under its line of names.")
    return made


def _joined(cells: list[str], columns: int) -> list[str]:
    """As many cells as columns: those beyond are joined to the last, missing ones are empty."""
    cells = cells + [""] * (columns - len(cells))
    return [*cells[: columns - 1], "\t".join(cells[columns - 1 :])]
