"""MTG-Jamendo, mood and theme: tracks with tags by those who uploaded them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from corpora.dataset import AUDIO, DataSet, Folders, Row, by_key, files, needed_tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About
from interp.errors import InterpError

ABOUT = About(
    name="mtg-jamendo",
    title="MTG-Jamendo, mood and theme",
    paper="Bogdanov, Won, Tovstogan, Porter & Serra (2019), The MTG-Jamendo dataset, ML4MD at ICML",
    home="https://github.com/MTG/mtg-jamendo-dataset",
    licence="tracks under Creative Commons licences of their own; metadata CC BY-NC-SA 4.0",
    fetch="autotagging_moodtheme.tsv and the audio of that subset (full or low quality), as its script does.",
    holds="18,486 tracks; 59 tags of mood and theme, present or not, no ratings",
    rated=False,
)
COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
PREFIX = "mood/theme---"


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Tracks with their tags: ``tags`` as text, and every tag of the set as 1 or 0.

    Tracks of one artist are one group, as in the set's own splits: an artist sounds alike.
    """
    (table, *_) = needed_tables(folder, ABOUT, "*moodtheme*.tsv")
    found = read_rows(table, COLUMNS, problems, _row, key=lambda row: row.id, ragged=True)
    every = sorted({tag for row in found for tag in row.labels["tags"].split(", ")})
    for row in found:
        row.labels.update({tag: int(tag in row.labels["tags"].split(", ")) for tag in every})
    return found


def _row(cells: Cells) -> Row:
    path = PurePosixPath(cells.text("PATH"))
    tags = [tag.strip() for tag in cells.text("TAGS").split("\t") if tag.strip()]
    strange = [tag for tag in tags if not tag.startswith(PREFIX)]
    if strange:
        raise InterpError(f"a tag must begin with {PREFIX}, not {strange[0]!r}.")
    return Row(
        id=cells.text("TRACK_ID"),
        keys=(f"{path.parent.name}/{path.stem}",),
        group=cells.text("ARTIST_ID"),
        labels={
            "tags": ", ".join(sorted(tag.removeprefix(PREFIX) for tag in tags)),
            "album": cells.text("ALBUM_ID"),
        },
    )


def sounds(folder: Folders) -> dict[str, Path]:
    """Tracks as ``48/948``; the low-quality edition calls them ``948.low.mp3``."""
    return by_key(files(folder, AUDIO), lambda path: f"{path.parent.name}/{path.stem.removesuffix('.low')}")


JAMENDO = DataSet(ABOUT, {"labels": 18486, "sounds": 18486}, rows, sounds)
