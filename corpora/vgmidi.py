"""VGMIDI: phrases of video game music as MIDI, each with the sign of valence and arousal."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from corpora.dataset import AUDIO, MIDI, DataSet, Folders, Row, by_key, files, needed_tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About

ABOUT = About(
    name="vgmidi",
    title="VGMIDI, video game music in MIDI",
    paper="Ferreira & Whitehead (2019), Learning to generate music with sentiment, ISMIR",
    home="https://github.com/lucasnfe/vgmidi",
    licence="annotations for research; the compositions belong to their owners",
    fetch="the repository as it is (vgmidi_labelled.csv and the folder labelled); a renderer plays the MIDI.",
    holds="200 pieces in labelled phrases; valence and arousal are -1 or 1",
    rated=True,
)
COLUMNS = ("series", "console", "game", "piece", "midi", "valence", "arousal")


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Labelled phrases; phrases of one piece are one group."""
    (table, *_) = needed_tables(folder, ABOUT, "vgmidi_labelled*.csv")
    return read_rows(table, COLUMNS, problems, _row, key=lambda row: row.id)


def _row(cells: Cells) -> Row:
    name = PurePosixPath(cells.text("midi").replace("\\", "/")).stem
    game, console, piece = (cells.text(key) for key in ("game", "console", "piece"))
    return Row(
        id=name,
        keys=(name,),
        group=f"{game} ({console}), {piece}",
        valence=cells.number("valence", -1, 1),
        arousal=cells.number("arousal", -1, 1),
        labels={key: cells.values[key] or None for key in ("series", "console", "game", "piece")},
    )


def sounds(folder: Folders) -> dict[str, Path]:
    """Phrases by file name."""
    return by_key([*files(folder, MIDI), *files(folder, AUDIO)], lambda path: path.stem)


VGMIDI = DataSet(ABOUT, {}, rows, sounds)
