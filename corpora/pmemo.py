"""PMEmo: choruses of pop songs rated on valence and arousal, as a whole and twice a second."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from corpora.dataset import AUDIO, DataSet, Folders, Row, by_key, files, needed_tables, rated_song, tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About

ABOUT = About(
    name="pmemo",
    title="PMEmo2019, pop music with emotional annotations",
    paper="Zhang, Zhang, Li, Yang & Sun (2018), The PMEmo dataset for music emotion recognition, ICMR",
    home="https://github.com/HuiZhangDB/PMEmo",
    licence="for research; the songs belong to their owners",
    fetch="PMEmo2019.zip; leave it packed or unpack it.",
    holds="794 choruses, 767 of them rated: valence and arousal from 0 to 1, and over time at 2 Hz",
    rated=True,
)
VALENCE, AROUSAL = "Valence(mean)", "Arousal(mean)"


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Ratings of whole choruses, with those over time and the artist where they are there."""
    curves: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for table in tables(folder, "dynamic_annotations.csv"):
        for song, *point in read_rows(table, ("musicId", "frameTime", VALENCE, AROUSAL), problems, _point):
            curves[song].append(tuple(point))
    known = {}
    for table in tables(folder, "metadata.csv"):
        known |= dict(read_rows(table, ("musicId", "title", "artist"), problems, _song))

    def make(cells: Cells) -> Row:
        song = cells.text("musicId")
        curve = sorted(curves.get(song, ()))
        return rated_song(cells, song, (VALENCE, AROUSAL), (0, 1), known.get(song, {}), curve)

    (table, *_) = needed_tables(folder, ABOUT, "static_annotations.csv")
    return read_rows(table, ("musicId", VALENCE, AROUSAL), problems, make, key=lambda row: row.id)


def _point(cells: Cells) -> tuple[str, float, float, float]:
    seconds = cells.number("frameTime", 0, 3600)
    return cells.text("musicId"), seconds, cells.scaled(VALENCE, 0, 1), cells.scaled(AROUSAL, 0, 1)


def _song(cells: Cells) -> tuple[str, dict[str, str | None]]:
    return cells.text("musicId"), {name: cells.values[name] or None for name in ("title", "artist")}


def sounds(folder: Folders) -> dict[str, Path]:
    """Choruses by number."""
    return by_key([p for p in files(folder, AUDIO) if p.parent.name == "chorus"], lambda path: path.stem)


PMEMO = DataSet(ABOUT, {"labels": 767, "sounds": 794}, rows, sounds)
