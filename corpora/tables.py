"""Tables of labels as data sets really have them: every row that cannot be read is told with file and line.

Separators may be commas, semicolons or tabs, names may have spaces around them, and a byte-order mark may
come first; a decimal comma is read where the separator is a semicolon.  Nothing else is guessed.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InterpError(f"Cannot read the labels in {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InterpError(f"{path} is not a table in UTF-8: {error}.") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=lambda mark: (len(_names(first, mark) & set(needed)), first.count(mark)))
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise InterpError(f"{path}, line {reader.line_num}: not a table in CSV: {error}.") from error
    if not rows:
        raise InterpError(f"{path} is empty.")
    header = rows[0][1]
    missing = [name for name in needed if name not in header]
    if missing:
        raise InterpError(f"{path} has no column {missing[0]!r}; its columns are: {', '.join(header)}.")
    made, seen, bad, total = [], {}, 0, 0
    for line, cells in rows[1:]:
        if not any(cells):
            continue
        total += 1
        try:
            value = make(Cells(_fit(header, cells, ragged), separator == ";"))
            if key is not None:
                if key(value) in seen:
                    raise InterpError(f"{key(value)} is in line {seen[key(value)]} already.")
                seen[key(value)] = line
            made.append(value)
        except InterpError as error:
            bad += 1
            problems.add(path, line, error)
    problems.check(path, bad, total)
    if not made:
        raise InterpError(f"{path} has no rows under its line of names.")
    return made


def _names(line: str, separator: str) -> set[str]:
    return {name.strip().strip('"') for name in line.split(separator)}


def _fit(header: list[str], cells: list[str], ragged: bool) -> dict[str, str]:
    if ragged:
        last = len(header) - 1
        cells = [*cells[:last], "\t".join(cells[last:])] + [""] * (len(header) - len(cells))
    if len(cells) != len(header):
        raise InterpError(f"{len(cells)} cells under {len(header)} column names.")
    return dict(zip(header, cells, strict=True))
