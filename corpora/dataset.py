"""A data set: what it is, how its labels are read and where its sounds are; all else is common to all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpora.tables import Cells, Problems
from interp.corpora import Corpus, Label
from interp.corpora.prepared import About, home, is_prepared, read_prepared
from interp.errors import InterpError

AUDIO = (".mp3", ".wav", ".flac", ".ogg", ".aif", ".aiff")
MIDI = (".mid", ".midi")


@dataclass(frozen=True)
class Row:
    """What the labels say of one clip.

    Attributes
    ----------
    id : str
    keys : tuple of str
        Under which its sound may be found among :attr:`DataSet.sounds`, best first.
    group : str
        Song or piece: never torn apart by a split.
    valence, arousal : float, optional
        In [-1, 1].
    quadrant : int, optional
    labels : dict
    curve : tuple of (seconds, valence, arousal)
    """

    id: str
    keys: tuple[str, ...]
    group: str
    valence: float | None = None
    arousal: float | None = None
    quadrant: int | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    curve: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class DataSet:
    """One data set (an entry of ``interp.corpora``).

    Attributes
    ----------
    about : About
    complete : dict of str to int
        How many "labels" and "sounds" the whole set has.
    rows : callable
        From its folder to what its labels say; rows that cannot be read go to the :class:`Problems`.
    sounds : callable
        From its folder to its sound files by key.
    """

    about: About
    complete: Mapping[str, int]
    rows: Callable[[Folders, Problems], list[Row]]
    sounds: Callable[[Folders], dict[str, Path]]

    def __call__(self, name: str, path: str | Path | None = None) -> Corpus:
        """The prepared corpus: that in ``path``, or the one that ``data prepare`` makes by default."""
        folder = home() / self.about.name if path is None else Path(path)
        if not is_prepared(folder):
            raise InterpError(
                f"{name} is not prepared in {folder}; fetch it from {self.about.home}, then run: "
                f"python -m interp data prepare {name} PATH."
            )
        return read_prepared(folder)

    def prepare(self, path: Path, to: Path, **options) -> Path:
        """Check and convert what lies at ``path``, see :func:`corpora.prepare.prepare`."""
        from corpora.prepare import prepare

        return prepare(self, Path(path), Path(to), **options)


@dataclass(frozen=True)
class Folders:
    """Several folders looked through as one.

    Attributes
    ----------
    roots : list of Path
    packed : list of Path
        Archives that were left as they are, since a folder of their name lies beside them.
    """

    roots: Sequence[Path]
    packed: Sequence[Path] = ()

    def rglob(self, pattern: str) -> Iterator[Path]:
        """Every path below them that matches."""
        for root in self.roots:
            yield from root.rglob(pattern)

    def __str__(self) -> str:
        return " and ".join(map(str, self.roots))

    def cure(self, otherwise: str) -> str:
        """What to do where something is missing: look at what hides an archive, or ``otherwise``."""
        if not self.packed:
            return otherwise
        names = " and ".join(str(archive) for archive in self.packed)
        return f"The folder beside {names} was read in its place: if it was unpacked only in part, remove it."


def files(folder: Folders, suffixes: tuple[str, ...]) -> list[Path]:
    """All files below a folder with one of these endings, in order; not those that macOS adds to archives."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith("._") and path.is_file()
    )


def rated_song(
    cells: Cells,
    song: str,
    columns: tuple[str, str],
    scale: tuple[float, float],
    labels: Mapping[str, Label],
    curve: Sequence[tuple[float, float, float]] = (),
) -> Row:
    """A song that is a group of its own, with valence and arousal in ``columns``, on ``scale``."""
    valence, arousal = (cells.scaled(name, *scale) for name in columns)
    return Row(song, (song,), song, valence, arousal, labels=labels, curve=tuple(curve))


def by_key(paths: list[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    """Files by key; of several with the same key the first."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(key(path), path)
    return found


def tables(folder: Folders, *patterns: str) -> list[Path]:
    """Tables below a folder by name, in order."""
    found = {path for pattern in patterns for path in folder.rglob(pattern)}
    return sorted(path for path in found if path.is_file() and not path.name.startswith("._"))


def needed_tables(folder: Folders, about: About, *patterns: str) -> list[Path]:
    """The same, but there must be one; raises :class:`InterpError` that says what to download."""
    found = tables(folder, *patterns)
    if not found:
        raise InterpError(
            f"There is no {' or '.join(patterns)} in {folder}: is this {about.title}? "
            + folder.cure(f"Download {about.fetch}")
        )
    return found
