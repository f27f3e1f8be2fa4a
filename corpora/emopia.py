"""EMOPIA: piano pieces in short clips, each with a quadrant, which its name begins with."""

from __future__ import annotations

import re
from pathlib import Path

from corpora.dataset import AUDIO, MIDI, DataSet, Folders, Row, by_key, files, tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About
from interp.errors import InterpError

ABOUT = About(
    name="emopia",
    title="EMOPIA, emotional pop piano music",
    paper="Hung, Ching, Doh, Kim, Nam & Yang (2021), EMOPIA: a multi-modal pop piano dataset, ISMIR",
    home="https://annahung31.github.io/EMOPIA/",
    licence="CC BY 4.0 for annotations and MIDI; the recordings are their owners' and not in it",
    fetch="EMOPIA_1.0.zip; its MIDI is played by a renderer, unless there is audio of the same names.",
    holds="1,087 clips of 387 songs; one of four quadrants each, no ratings",
    rated=False,
)
NAME = re.compile(r"Q([1-4])_(.+)_(\d+)")


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Clips that tables of labels name (``fname,label``); without a table, those that there are files of."""
    found: dict[str, Row] = {}
    for table in tables(folder, "*.csv"):
        if _has_labels(table):
            for row in read_rows(table, ("fname", "label"), problems, _from_table, key=lambda row: row.id):
                found.setdefault(row.id, row)
    if found:
        return list(found.values())
    names = sorted(sounds(folder))
    if not names:
        raise InterpError(
            f"There is neither a table of labels nor music in {folder}. "
            + folder.cure(f"Download {ABOUT.fetch}")
        )
    made, bad = [], 0
    for name in names:
        try:
            made.append(_row(name))
        except InterpError as error:
            bad += 1
            problems.add(folder, 0, error)
    problems.check(folder, bad, len(names), "files")
    return made


def _has_labels(table: Path) -> bool:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        names = re.split("[,;\t]", file.readline().strip())
    return {"fname", "label"} <= {name.strip() for name in names}


def _from_table(cells: Cells) -> Row:
    row, label = _row(cells.text("fname")), cells.text("label").removeprefix("Q")
    if label != str(row.quadrant):
        raise InterpError(f"{row.id} is labelled Q{label}, and its name says Q{row.quadrant}.")
    return row


def _row(name: str) -> Row:
    match = NAME.fullmatch(name)
    if not match:
        raise InterpError(f"{name} is no name of a clip: these are like Q1_SONG_0.")
    return Row(name, (name,), group=match[2], quadrant=int(match[1]), labels={"part": int(match[3])})


def sounds(folder: Folders) -> dict[str, Path]:
    """Clips by name: audio where there is any, else MIDI."""
    return by_key([*files(folder, AUDIO), *files(folder, MIDI)], lambda path: path.stem)


EMOPIA = DataSet(ABOUT, {"labels": 1087, "sounds": 1087}, rows, sounds)
