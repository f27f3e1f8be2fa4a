"""Tables of labels as they really come: one line of column names, then cells.

Separators may be commas, semicolons or tabs, names may have spaces around them, and a byte-order mark may
come first; a decimal comma is read where the separator is a semicolon.  Nothing else is guessed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InterpError


@dataclass(frozen=True)
class Table:
    """A table as text: its column names, and the cells of every row that is not empty, with its line."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    decimal_comma: bool


def read_table(path: Path, needed: Sequence[str], strict: bool = False) -> Table:
    """Read a table.

    Parameters
    ----------
    needed : list of str
        Columns without which it is of no use; the separator is the one that finds most of them.
    strict : bool
        Whether a quotation mark in a wrong place is an error.

    Raises
    ------
    InterpError
        If the file is missing, empty or no table in UTF-8, or a column is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InterpError(f"Cannot read the labels in {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    if "\0" in text:  # UTF-16 without a byte-order mark, or no text at all
        raise not_utf8(path)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=lambda mark: len(_names(first, mark) & set(needed)))
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=strict)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise InterpError(f"{path}, line {reader.line_num}: not a table in CSV: {error}.") from error
    lines = [(line, cells) for line, cells in lines if any(cells)]
    if not lines:
        raise InterpError(f"{path} is empty: it needs a line of column names and one line for each clip.")
    (_, header), *rows = lines
    missing = [name for name in needed if name not in header]
    if missing:
        raise InterpError(f"{path} has no column {missing[0]!r}; its columns are: {', '.join(header)}.")
    return Table(header, rows, decimal_comma=separator == ";")


def not_utf8(path: Path) -> InterpError:
    """The error for a table in another encoding."""
    return InterpError(
        f"{path} is not a table in CSV and UTF-8: save it as UTF-8 (spreadsheets call it CSV UTF-8)."
    )


def fit(header: list[str], cells: list[str]) -> dict[str, str]:
    """Cells by column name; raises :class:`InterpError` unless there is one for each."""
    if len(cells) != len(header):
        raise InterpError(f"{len(cells)} cells under {len(header)} column names.")
    return dict(zip(header, cells, strict=True))


def _names(line: str, separator: str) -> set[str]:
    return {name.strip().strip('"') for name in line.split(separator)}
