"""Corpora: music to listen to, with what is known of each clip.

Every corpus gives the same record, a :class:`Clip`, whoever made it: valence and arousal in [-1, 1] and the
quadrant of the circumplex (Russell 1980), None where nobody rated them, the source's own labels, and the
group (song, piece, prompt) that must not be torn apart by a split.  Audio is read when it is asked for, so a
corpus of any size is a list.

A plug-in registers a callable ``(name, **options) -> Corpus`` under the entry point group ``interp.corpora``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InterpError, check_list, unknown

if TYPE_CHECKING:
    import torch

    from ..generation import Generation

GROUP = "interp.corpora"
Label = str | int | float | None


class Audio(Protocol):
    """Where a clip's sound comes from."""

    def read(self) -> tuple[torch.Tensor, int]:
        """The waveform, [channel, sample] float32, and its sample rate in Hz."""

    @property
    def digest(self) -> str:
        """What tells this sound from any other, without reading more than needed."""


@dataclass(frozen=True)
class AudioFile:
    """A sound in a file."""

    path: Path

    def read(self) -> tuple[torch.Tensor, int]:
        """The file's content; raises :class:`InterpError` if it is missing or not audio."""
        from ..audio import read_file

        return read_file(self.path)

    @cached_property
    def seconds(self) -> float:
        """Its length, from the file's head; raises :class:`InterpError` if it is missing or not audio."""
        import soundfile

        try:
            self.path.open("rb").close()
            return soundfile.info(self.path).duration
        except OSError as error:
            raise InterpError(f"Cannot read audio from {self.path}: {error.strerror}.") from error
        except (
            soundfile.LibsndfileError,
            TypeError,
        ) as error:  # its own reasons are beside the point for MP3
            raise InterpError(
                f"Cannot read audio from {self.path}: it is not WAV, FLAC, OGG, MP3 or AIFF, or is damaged."
            ) from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InterpError(f"Cannot read audio from {self.path}: {error.strerror}.") from error


@dataclass(frozen=True, eq=False)
class Samples:
    """A sound in memory: ``waveform`` [channel, sample] at ``sample_rate`` Hz."""

    waveform: torch.Tensor
    sample_rate: int

    def read(self) -> tuple[torch.Tensor, int]:
        """The sound itself."""
        return self.waveform, self.sample_rate

    @cached_property
    def digest(self) -> str:
        """SHA-256 of samples and rate."""
        digest = hashlib.sha256(f"{self.sample_rate} {tuple(self.waveform.shape)}".encode())
        digest.update(self.waveform.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip and what is known of it.

    Attributes
    ----------
    id : str
        Unique in its corpus.
    audio : Audio
    valence, arousal : float, optional
        In [-1, 1].
    quadrant : int, optional
        1 (+ +), 2 (- +), 3 (- -), 4 (+ -) in (valence, arousal). Where both are known it follows from their
        signs; on an axis there is none.
    group : str
        Clips of one group stay on one side of a split; by default a clip is its own group.
    labels : dict
        What else the source says: text, numbers, None.
    curve : tuple of (seconds, valence, arousal)
        Ratings over time, for sources that have them, in order of time.

    Raises
    ------
    InterpError
        If a value is not finite or out of its range, or the quadrant contradicts valence and arousal.
    """

    id: str
    audio: Audio
    valence: float | None = None
    arousal: float | None = None
    quadrant: int | None = None
    group: str = ""
    labels: Mapping[str, Label] = field(default_factory=dict)
    curve: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("valence", "arousal"):
            _check_rating(getattr(self, name), name)
        if self.quadrant is not None and self.quadrant not in (1, 2, 3, 4):
            raise InterpError(f"quadrant must be 1, 2, 3, 4 or nothing, not {self.quadrant!r}.")
        if self.valence and self.arousal:  # both known, neither 0
            follows = {(1, 1): 1, (0, 1): 2, (0, 0): 3, (1, 0): 4}[self.valence > 0, self.arousal > 0]
            if self.quadrant not in (None, follows):
                raise InterpError(
                    f"valence {self.valence:g} and arousal {self.arousal:g} lie in quadrant {follows}, "
                    f"not {self.quadrant}."
                )
            object.__setattr__(self, "quadrant", follows)
        for name, value in self.labels.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InterpError(f"{name} must be a finite number, a text or nothing, not {value!r}.")
        for _, *ratings in self.curve:
            for name, value in zip(("valence", "arousal"), ratings, strict=True):
                _check_rating(value, f"{name} over time")
        times = [row[0] for row in self.curve]
        if times != sorted(times):
            raise InterpError("Ratings over time must be in order of time.")
        object.__setattr__(self, "group", self.group or self.id)

    def waveform(self, sample_rate: int, channels: int = 1) -> torch.Tensor:
        """The sound as [channel, sample] float32 at ``sample_rate`` Hz, level unchanged."""
        from ..audio import convert

        return convert(*self.audio.read(), sample_rate, channels)

    @property
    def record(self) -> dict[str, Any]:
        """All that is known, as plain values, with the audio's digest in place of the audio."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {"labels": dict(self.labels), "audio": self.audio.digest}


class Corpus(Sequence[Clip]):
    """Clips in a fixed order.

    ``corpus[3]`` is a clip; a slice, a list of indices or a mask gives a smaller corpus.

    Raises
    ------
    InterpError
        If there is no clip, or two have the same id.
    """

    def __init__(self, name: str, clips: Iterable[Clip]) -> None:
        self.name, self.clips = name, tuple(clips)
        if not self.clips:
            raise InterpError(f"Corpus {name} has no clips.")
        seen: set[str] = set()
        for clip in self.clips:
            if clip.id in seen:
                raise InterpError(f"Corpus {name} has two clips with the id {clip.id!r}.")
            seen.add(clip.id)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, which):
        if isinstance(which, (int, np.integer)):
            return self.clips[which]
        return Corpus(self.name, (self.clips[i] for i in np.arange(len(self))[which]))

    @property
    def ids(self) -> list[str]:
        """Id of every clip."""
        return [clip.id for clip in self.clips]

    @property
    def groups(self) -> list[str]:
        """Split group of every clip."""
        return [clip.group for clip in self.clips]

    def column(self, name: str) -> np.ndarray:
        """One value per clip, [clip]: "valence", "arousal", "quadrant" or a label.

        Numbers come as a numeric array with NaN where unknown, texts as an object array with None.
        """
        if name in ("valence", "arousal", "quadrant"):
            values = [getattr(clip, name) for clip in self.clips]
        else:
            known = dict.fromkeys(label for clip in self.clips for label in clip.labels)
            if name not in known:
                raise unknown("column", name, ("valence", "arousal", "quadrant", *known))
            values = [clip.labels.get(name) for clip in self.clips]
        if any(isinstance(value, str) for value in values):
            return np.array(values, dtype=object)
        return np.array([math.nan if value is None else value for value in values])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of every clip's audio and all that is known of it."""
        return _sha256([clip.record for clip in self.clips])

    @cached_property
    def audio_hash(self) -> str:
        """SHA-256 of the ids and the audio: activations depend on these and on no label."""
        return _sha256([(clip.id, clip.audio.digest) for clip in self.clips])

    def __repr__(self) -> str:
        return f"Corpus({self.name}: {len(self)} clips, {len(set(self.groups))} groups)"


def plugins() -> dict[str, EntryPoint]:
    """Corpora registered by installed packages, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def corpus(name: str | Path, **options) -> Corpus:
    """Load a corpus.

    Parameters
    ----------
    name : str or path
        A registered corpus (``interp.corpora.plugins()``), a folder of audio with a table of labels, see
        :func:`interp.corpora.folder.read_folder`, or the folder of a prepared corpus, see
        :mod:`interp.corpora.prepared`.
    options
        Whatever that corpus takes, such as ``n``, ``seed`` and ``seconds``.

    Raises
    ------
    InterpError
        For an unknown name or option, and for whatever is wrong with the corpus itself.
    """
    if not isinstance(name, (str, Path)):
        raise InterpError(f"A corpus is a name or a folder, not {name!r}.")
    registered = plugins()
    if str(name) in registered:
        entry = registered[str(name)]
        try:
            factory = entry.load()
        except ImportError as error:
            raise InterpError(
                f"Corpus {entry.name!r} is registered as {entry.value}, which fails: {error}."
            ) from error
    elif Path(name).is_dir():
        from .folder import read_folder
        from .prepared import is_prepared, read_prepared

        factory = read_prepared if is_prepared(Path(name)) else read_folder
    else:
        raise unknown("corpus", str(name), [*registered, "a folder of audio"])
    try:
        inspect.signature(factory).bind(name, **options)
    except TypeError as error:
        raise InterpError(f"Corpus {str(name)!r} cannot be loaded so: {error}.") from error
    return factory(name, **options)


def from_files(files: Sequence[str | Path]) -> Corpus:
    """Audio files as a corpus of which nothing is known."""
    files = check_list(files, "audio files")
    return Corpus("files", (Clip(str(file), AudioFile(Path(file))) for file in files))


def label(generation: Generation, group: Sequence[str] | None = None, **columns: Sequence[Label]) -> Corpus:
    """Records for generated clips, one for each in order.

    Parameters
    ----------
    group : list of str, optional
        Split group of each clip; by default its prompt, since clips of one prompt are not independent.
    columns
        One value per clip: ``valence``, ``arousal``, ``quadrant``, and any other name as a label. The prompt
        is a label by itself.

    Raises
    ------
    InterpError
        If a column has another length than the generation, or a value is out of its range.
    """
    columns = {"prompt": generation.prompts, "group": group, **columns}
    if group is None:
        columns["group"] = [prompt or "(null prompt)" for prompt in generation.prompts]
    for name, values in columns.items():
        if isinstance(values, str) or len(values) != len(generation):
            raise InterpError(
                f"{name} must be a list with one value for each of the {len(generation)} clips."
            )
        columns[name] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    clips = []
    for i, audio in enumerate(generation.audio):
        values = {name: column[i] for name, column in columns.items()}
        known = {key: values.pop(key, None) for key in ("valence", "arousal", "quadrant", "group")}
        clips.append(Clip(f"{i:05d}", Samples(audio, generation.sample_rate), **known, labels=values))
    return Corpus(f"generated by {generation.model}", clips)


def _check_rating(value: float | None, name: str) -> None:
    if value is not None and not -1 <= value <= 1:  # NaN fails this too
        raise InterpError(f"{name} must lie in [-1, 1], not {value!r}.")


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
