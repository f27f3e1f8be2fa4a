"""Emotify: what listeners felt at songs of four genres, on the nine scales of GEMS."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from corpora.dataset import AUDIO, DataSet, Folders, Row, by_key, files, needed_tables
from corpora.tables import Cells, Problems, read_rows
from interp.corpora.prepared import About

ABOUT = About(
    name="emotify",
    title="Emotify, induced emotion on the GEMS scales",
    paper="Aljanaki, Wiering & Veltkamp (2016), Studying emotion induced by music through a crowdsourcing "
    "game, Information Processing & Management",
    home="http://www2.projects.science.uu.nl/memotion/emotifydata/",
    licence="for research; the songs come from Magnatune",
    fetch="emotifymusic.zip and data.csv.",
    holds="400 songs of four genres; nine scales, each chosen or not by every listener, no ratings",
    rated=False,
)
SCALES = (
    "amazement solemnity tenderness nostalgia calmness power joyful_activation tension sadness"  # GEMS
).split()


def rows(folder: Folders, problems: Problems) -> list[Row]:
    """Songs with the share of listeners who chose each scale, and how many they were."""
    (table, *_) = needed_tables(folder, ABOUT, "data.csv")
    answers: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    for song, chosen in read_rows(table, ("track id", "genre", *SCALES), problems, _answer):
        answers[song].append(chosen)
    made = []
    for (genre, number), chosen in sorted(answers.items()):
        shares = [sum(column) / len(chosen) for column in zip(*chosen, strict=True)]
        labels = dict(zip(SCALES, shares, strict=True)) | {"genre": genre, "listeners": len(chosen)}
        # Songs are numbered through in the table, and within each genre in the folders.
        keys = (f"{genre}/{number}", f"{genre}/{(number - 1) % 100 + 1}")
        made.append(Row(f"{genre}-{number}", keys, group=f"{genre}-{number}", labels=labels))
    return made


def _answer(cells: Cells) -> tuple[tuple[str, int], list[float]]:
    song = cells.text("genre"), int(cells.number("track id", 1, 400))
    return song, [cells.number(scale, 0, 1) for scale in SCALES]


def sounds(folder: Folders) -> dict[str, Path]:
    """Songs as ``rock/7``."""
    return by_key(files(folder, AUDIO), lambda path: f"{path.parent.name}/{path.stem}")


EMOTIFY = DataSet(ABOUT, {"labels": 400, "sounds": 400}, rows, sounds)
