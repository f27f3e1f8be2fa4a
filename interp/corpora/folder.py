"""A folder of audio with a table of labels, as a corpus."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from ..errors import InterpError
from . import AudioFile, Clip, Corpus, Label

KNOWN = ("file", "valence", "arousal", "quadrant", "group")


def read_folder(folder: str | Path, labels: str | Path = "labels.csv") -> Corpus:
    """Read the records of a folder of audio.

    Parameters
    ----------
    labels : str or path
        A CSV file, relative to the folder, in UTF-8 with one line of column names. ``file`` is needed: the
        path of the audio, relative to the folder, and the clip's id. ``valence`` and ``arousal`` (in
        [-1, 1]), ``quadrant`` (1 to 4) and ``group`` are optional. Every other column is a label: of numbers
        if all its filled cells are numbers, of texts otherwise. An empty cell means unknown.

    Raises
    ------
    InterpError
        Naming the table and the line, if a cell cannot be used, a file is not there or is named twice.
    """
    folder, table = Path(folder), Path(folder) / labels
    header, rows = _read_table(table)
    numeric = {
        name
        for name in header
        if name not in KNOWN and all(_is_number(cells[name]) for _, cells in rows if cells[name])
    }
    clips, lines = [], {}
    for line, cells in rows:
        try:
            clip = _clip(folder, cells, numeric)
            if clip.id in lines:
                raise InterpError(f"{clip.id} is named in line {lines[clip.id]} already.")
        except InterpError as error:
            raise InterpError(f"{table}, line {line}: {error}") from error
        lines[clip.id] = line
        clips.append(clip)
    return Corpus(folder.name, clips)


def _read_table(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and of every row its line and its cells by column."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as error:
        raise InterpError(f"Cannot read the labels in {table}: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InterpError(f"{table} is not a table in CSV and UTF-8: {error}.") from error
    lines = [(line, cells) for line, cells in lines if any(cells)]
    if len(lines) < 2:
        raise InterpError(f"{table} is empty: it needs a line of column names and one line for each clip.")
    (_, header), *rows = lines
    if "file" not in header:
        raise InterpError(f"{table} has no column 'file'; its columns are: {', '.join(header)}.")
    if "" in header or len(set(header)) < len(header):
        raise InterpError(f"{table}, line 1: every column needs a name of its own, not {', '.join(header)}.")
    for line, cells in rows:
        if len(cells) != len(header):
            raise InterpError(f"{table}, line {line}: {len(cells)} cells under {len(header)} column names.")
    return header, [(line, dict(zip(header, cells, strict=True))) for line, cells in rows]


def _clip(folder: Path, cells: dict[str, str], numeric: set[str]) -> Clip:
    if not cells["file"]:
        raise InterpError("no file is named.")
    path = folder / cells["file"]
    if not path.is_file():
        raise InterpError(f"there is no file {path}.")
    quadrant = _number(cells.get("quadrant", ""), "quadrant")
    labels: dict[str, Label] = {}
    for name, cell in cells.items():
        if name not in KNOWN:
            labels[name] = _number(cell, name) if name in numeric else cell or None
    return Clip(
        id=cells["file"],
        audio=AudioFile(path),
        valence=_number(cells.get("valence", ""), "valence"),
        arousal=_number(cells.get("arousal", ""), "arousal"),
        quadrant=int(quadrant) if quadrant in (1, 2, 3, 4) else quadrant,
        group=cells.get("group", ""),
        labels=labels,
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, name: str) -> float | None:
    """The number in a cell; None if it is empty."""
    if not cell:
        return None
    if not _is_number(cell) or not math.isfinite(float(cell)):
        raise InterpError(f"{name} must be a finite number or empty, not {cell!r}.")
    return float(cell)
