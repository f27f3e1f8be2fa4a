"""A folder of audio with a table of labels, as a corpus."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import InterpError
from . import AudioFile, Clip, Corpus, Label
from .tables import Table, fit, read_table

KNOWN = ("file", "valence", "arousal", "quadrant", "group")


def read_folder(folder: str | Path, labels: str | Path = "labels.csv") -> Corpus:
    """Read the records of a folder of audio.

    Parameters
    ----------
    labels : str or path
        A table, relative to the folder, in UTF-8 with one line of column names, separated by commas,
        semicolons (numbers may then have decimal commas) or tabs. ``file`` is needed: the path of the audio,
        relative to the folder, and the clip's id. ``valence`` and ``arousal`` (in [-1, 1]), ``quadrant``
        (1 to 4) and ``group`` are optional. Every other column is a label: of numbers if all its filled cells
        are numbers, of texts otherwise. An empty cell means unknown.

    Raises
    ------
    InterpError
        Naming the table and the line, if a cell cannot be used, a file is not there, is no audio or is named
        twice.
    """
    folder, table = Path(folder), Path(folder) / labels
    rows = _rows(table, read_table(table, ("file",), strict=True))
    numeric = {
        name
        for name in rows[0][1]
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


def _rows(path: Path, table: Table) -> list[tuple[int, dict[str, str]]]:
    """Of every row its line and its cells by column, numbers with a decimal point."""
    header = table.header
    if not table.rows:
        raise InterpError(f"{path} is empty: it has column names and needs one line for each clip.")
    if "" in header or len(set(header)) < len(header):
        raise InterpError(f"{path}, line 1: every column needs a name of its own, not {', '.join(header)}.")
    rows = []
    for line, cells in table.rows:
        if table.decimal_comma:
            cells = [_with_point(cell) for cell in cells]
        try:
            rows.append((line, fit(header, cells)))
        except InterpError as error:
            raise InterpError(f"{path}, line {line}: {error}") from error
    return rows


def _clip(folder: Path, cells: dict[str, str], numeric: set[str]) -> Clip:
    if not cells["file"]:
        raise InterpError("no file is named.")
    path = folder / cells["file"]
    if not path.is_file():
        raise InterpError(f"there is no file {path}.")
    audio = AudioFile(path)
    if not audio.seconds:  # the file's head is read: what is no audio is refused here
        raise InterpError(f"{path} is empty.")
    quadrant = _number(cells.get("quadrant", ""), "quadrant")
    labels: dict[str, Label] = {}
    for name, cell in cells.items():
        if name not in KNOWN:
            labels[name] = _number(cell, name) if name in numeric else cell or None
    return Clip(
        id=cells["file"],
        audio=audio,
        valence=_number(cells.get("valence", ""), "valence"),
        arousal=_number(cells.get("arousal", ""), "arousal"),
        quadrant=int(quadrant) if quadrant in (1, 2, 3, 4) else quadrant,
        group=cells.get("group", ""),
        labels=labels,
    )


def _with_point(cell: str) -> str:
    """A number with its decimal comma made a point; any other text as it is."""
    point = cell.replace(",", ".")
    return point if _is_number(point) else cell


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
