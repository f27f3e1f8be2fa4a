"""Prepared corpora: a data set of others, checked and converted once, in a folder that is ready to be read.

A data set's own files stay where they are and as they are.  The folder holds what was found out about them::

    corpus.json     name, source, licence, where it was prepared from, counts
    clips.jsonl     one record a line: id, audio, its digest, valence, arousal, quadrant, group, labels, curve
    features.csv    acoustic descriptors of every clip (:mod:`interp.descriptors`)
    problems.csv    what could not be used: file, line, reason
    report.md       all of this in words and numbers
    plane.png       the clips on the plane of valence and arousal, where somebody rated them
    audio/          sounds that were rendered or unpacked; all others stay in the data set's own folder

A data set registers under the entry point group ``interp.corpora`` like any corpus; what makes it one is that
its entry has ``about`` and ``prepare`` (:class:`DataSet`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InterpError, unknown
from . import AudioFile, Clip, Corpus, plugins

RENDERERS = "interp.renderers"
CLIPS, ABOUT = "clips.jsonl", "corpus.json"
WHERE = "INTERP_CORPORA"  # environment variable: the folder with the prepared corpora

Renderer = Callable[[Path], tuple[np.ndarray, int]]


@dataclass(frozen=True)
class About:
    """What a data set is, for whoever is about to fetch it.

    Attributes
    ----------
    name, title, paper : str
    home : str
        Where its authors give it away.
    licence : str
        As far as known; the authors' own terms hold.
    fetch : str
        What to download.
    holds : str
        What is in it, in a few words.
    rated : bool
        Whether it has valence and arousal.
    """

    name: str
    title: str
    paper: str
    home: str
    licence: str
    fetch: str
    holds: str
    rated: bool


class DataSet(Protocol):
    """An entry of ``interp.corpora`` that has to be prepared before it can be read."""

    about: About

    def __call__(self, name: str, path: str | Path | None = None) -> Corpus:
        """The prepared corpus."""

    def prepare(self, path: Path, to: Path, **options: Any) -> Path:
        """Check and convert what lies at ``path``; gives the folder of the prepared corpus."""


@dataclass(frozen=True)
class KnownFile(AudioFile):
    """A sound in a file whose digest was taken when the corpus was prepared."""

    sha256: str = ""
    size: int = -1
    modified: int = -1

    @cached_property
    def digest(self) -> str:
        """The recorded SHA-256; taken anew if size or time of the file are no longer what they were."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise InterpError(f"Cannot read audio from {self.path}: {error.strerror}.") from error
        if (now.st_size, now.st_mtime_ns) == (self.size, self.modified):
            return self.sha256
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def data_sets() -> dict[str, DataSet]:
    """Registered data sets, by name."""
    found = {}
    for name, entry in plugins().items():
        try:
            loaded = entry.load()
        except ImportError as error:
            raise InterpError(
                f"Corpus {name!r} is registered as {entry.value}, which fails: {error}."
            ) from error
        if hasattr(loaded, "prepare") and hasattr(loaded, "about"):
            found[name] = loaded
    return found


def data_set(name: str) -> DataSet:
    """The registered data set of this name; raises :class:`InterpError` if there is none."""
    found = data_sets()
    if name not in found:
        raise unknown("data set", name, found or ["none is registered: pip install --no-deps -e ."])
    return found[name]


def renderer(name: str | None = None) -> Renderer:
    """What turns a MIDI file into sound: an entry point ``path -> (waveform [1, sample], sample rate)``.

    Parameters
    ----------
    name : str, optional
        As registered under the group ``interp.renderers``; None takes the only one.
    """
    known = {entry.name: entry for entry in entry_points(group=RENDERERS)}
    if name is None and len(known) == 1:
        (name,) = known
    if name not in known:
        raise unknown("renderer", name, known or ["none is registered: pip install --no-deps -e ."])
    return known[name].load()


def home() -> Path:
    """The folder in which prepared corpora lie: ``build/corpora``, or what INTERP_CORPORA says."""
    return Path(os.environ.get(WHERE) or Path(__file__).resolve().parents[2] / "build" / "corpora")


def write_prepared(folder: Path, about: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> None:
    """Write the records, and ``corpus.json`` last: a folder without it was not finished."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / CLIPS).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    partial = folder / f"{ABOUT}.partial"
    partial.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, folder / ABOUT)


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a prepared corpus."""
    return (folder / ABOUT).is_file() and (folder / CLIPS).is_file()


def facts_of(source: str | Path) -> dict[str, Any]:
    """What ``corpus.json`` says of a prepared corpus, by folder or name; nothing of any other."""
    for folder in (Path(source), home() / source):
        if is_prepared(folder):
            return json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return {}


def read_prepared(folder: str | Path) -> Corpus:
    """Read a prepared corpus.

    Raises
    ------
    InterpError
        If the folder holds none, a record cannot be read (with its line), or the sounds are gone.
    """
    folder = Path(folder)
    if not is_prepared(folder):
        raise InterpError(
            f"{folder} holds no prepared corpus; make one with: python -m interp data prepare NAME PATH."
        )
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        lines = (folder / CLIPS).read_text(encoding="utf-8").splitlines()
        name = str(about["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InterpError(
            f"{folder} is damaged, prepare it again: {type(error).__name__} {error}."
        ) from error
    clips = []
    for number, line in enumerate(lines, start=1):
        try:
            clips.append(_clip(folder, json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__} {error}" if not isinstance(error, InterpError) else error
            raise InterpError(f"{folder / CLIPS}, line {number}: {reason}; prepare it again.") from error
    if clips and not clips[0].audio.path.is_file():
        raise InterpError(
            f"The sounds of {name} are no longer where they were ({clips[0].audio.path}); prepare it again."
        )
    return Corpus(name, clips)


def _clip(folder: Path, record: dict[str, Any]) -> Clip:
    sound = record.pop("audio")
    path = Path(sound["path"])
    audio = KnownFile(
        path if path.is_absolute() else folder / path, sound["sha256"], sound["size"], sound["modified"]
    )
    record["curve"] = tuple(tuple(point) for point in record.get("curve", ()))
    return Clip(audio=audio, **record)
