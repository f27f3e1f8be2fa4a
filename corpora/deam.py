"""DEAM: songs rated on valence and arousal, as a whole and twice a second."""

from __future__ import annotations

import re
from pathlib import Path

from corpora.dataset import AUDIO, DataSet, Folders, Row, by_key, files, needed_tables, rated_song, tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About
from interp.errors import InterpError

ABOUT = About(
    name="deam",
    title="DEAM, the database for emotional analysis in music",
    paper="Aljanaki, Yang & Soleymani (2017), Developing a benchmark for emotional analysis of music, "
    "PLoS ONE",
    home="https://cvml.unige.ch/databases/DEAM/",
    licence="annotations and audio for research; the songs are under Creative Commons licences of their own",
    fetch="DEAM_audio.zip and DEAM_Annotations.zip; leave them packed or unpack both into one folder.",
    holds="1,802 excerpts and songs; valence and arousal from 1 to 9, and over time at 2 Hz from 15 s on",
    rated=True,
)
SCALE = (1, 9)
TABLES = {  # and how many songs each holds
    "static_annotations_averaged_songs_1_2000.csv": 1744,
    "static_annotations_averaged_songs_2000_2058.csv": 58,
}


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Song-level ratings, with those over time where there are any."""
    static = needed_tables(folder, ABOUT, "static_annotations*.csv")
    _miss(folder, {table.name for table in static}, problems)
    curves = _curves(folder, problems)

    def make(cells: Cells) -> Row:
        song = cells.text("song_id")
        spread = {f"{axis}_std": cells.number(f"{axis}_std", 0, 8) / 4 for axis in ("valence", "arousal")}
        return rated_song(cells, song, ("valence_mean", "arousal_mean"), SCALE, spread, curves.get(song, ()))

    needed = ("song_id", "valence_mean", "valence_std", "arousal_mean", "arousal_std")
    found: list[Row] = []
    for table in static:
        found += read_rows(table, needed, problems, make, key=lambda row: row.id)
    return found


def _miss(folder: Folders, names: set[str], problems: Problems) -> None:
    """Tell which of the two tables of ratings is not there, where the other one is."""
    for name in sorted(TABLES.keys() - names) if TABLES.keys() & names else ():
        here = folder.cure("Download DEAM_Annotations.zip again, it holds both.")
        problems.add(folder, 0, f"{name} is missing, with the ratings of {TABLES[name]:,} songs. {here}")
        problems.check(folder, TABLES[name], sum(TABLES.values()), "songs")


def _curves(folder: Folders, problems: Problems) -> dict[str, tuple[tuple[float, float, float], ...]]:
    """Ratings over time by song: [-1, 1] in the files already."""
    axes = []
    for axis in ("valence", "arousal"):
        per_song: dict[str, dict[float, float]] = {}
        for table in tables(folder, f"{axis}.csv"):
            if table.parent.name.startswith("dynamic"):
                per_song |= dict(read_rows(table, ("song_id",), problems, _over_time, ragged=True))
        axes.append(per_song)
    valence, arousal = axes
    return {
        song: tuple(
            (t, valence[song][t], arousal[song][t]) for t in sorted(valence[song].keys() & arousal[song])
        )
        for song in valence.keys() & arousal.keys()
    }


def _over_time(cells: Cells) -> tuple[str, dict[float, float]]:
    found = {}
    for name, cell in cells.values.items():
        at = re.fullmatch(r"sample_(\d+)ms", name)
        if at and cell.strip():
            found[int(at[1]) / 1000] = cells.number(name, -1, 1)
    if not found:
        raise InterpError("there is no rating over time.")
    return cells.text("song_id"), found


def sounds(folder: Folders) -> dict[str, Path]:
    """Audio by song number."""
    return by_key(files(folder, AUDIO), lambda path: path.stem)


DEAM = DataSet(ABOUT, {"labels": 1802, "sounds": 1802}, rows, sounds)
