"""Many pushes on the same prompts and random streams, as one batched generation.

What differs between two clips of a prompt and stream is the push alone, so their difference is the push's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..disk import make_folder
from ..errors import InterpError, check_finite, check_list, check_whole
from ..generation import Generation, check_prompts, text_length
from ..processes import each
from .apply import steer
from .vectors import EachClip, Vector

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Model


@dataclass(frozen=True, eq=False)
class Push:
    """A vector with a strength, under a name; no vector is no push.

    Attributes
    ----------
    name : str
        What it is compared by, such as "valence".
    vector : Vector, optional
    strength : float
    prompts, streams : list, optional
        Those of this push, where they are not the ones of all pushes.

    Raises
    ------
    InterpError
        If the vector is none, the strength is not a finite number, or a list is none or empty.
    """

    name: str
    vector: Vector | None = None
    strength: float = 0.0
    prompts: Sequence[str] | None = None
    streams: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.vector is not None and not isinstance(self.vector, Vector):
            raise InterpError(f"The push {self.name!r} needs a Vector, not {type(self.vector).__name__}.")
        check_finite(self.strength, f"The strength of the push {self.name!r}")
        if self.prompts is not None:
            check_prompts(self.prompts)
        if self.streams is not None:
            check_list(self.streams, "streams")


@dataclass(frozen=True, eq=False)
class Trials:
    """Clips of many pushes.

    Attributes
    ----------
    clips : Generation
    table : pandas.DataFrame
        A row a clip: ``push``, ``strength``, ``prompt``, ``stream``.
    """

    clips: Generation
    table: pd.DataFrame

    def shift(self, values: np.ndarray, high: tuple[str, float], low: tuple[str, float]) -> pd.DataFrame:
        """High minus low on the same prompt and stream: columns ``prompt``, ``stream``, ``shift``.

        Parameters
        ----------
        values : np.ndarray
            [clip].
        high, low : (name, strength)

        Raises
        ------
        InterpError
            If there are no such clips, or a clip of one has no partner.
        """
        keys = ["prompt", "stream"]
        sides = [self._of(values, *place) for place in (high, low)]
        joined = sides[0].merge(sides[1], on=keys, suffixes=("_high", "_low"), validate="one_to_one")
        if len(joined) < max(map(len, sides)):
            raise InterpError(f"Not every clip of {high} has a partner in {low}; give both the same streams.")
        return joined.assign(shift=joined.value_high - joined.value_low)[[*keys, "shift"]]

    def _of(self, values: np.ndarray, name: str, strength: float) -> pd.DataFrame:
        rows = self.where(name, strength)
        return self.table.loc[rows, ["prompt", "stream"]].assign(value=np.asarray(values)[rows])

    def where(self, name: str, strength: float | None = None) -> np.ndarray:
        """Which clips are of a push, [clip] of bool.

        Raises
        ------
        InterpError
            If none is.
        """
        rows = (self.table["push"] == name).to_numpy()
        if strength is not None:
            rows = rows & np.isclose(self.table["strength"], strength)
        if not rows.any():
            raise InterpError(f"No clip was made with {name} at strength {strength}.")
        return rows


def trials(
    model: Model,
    pushes: Sequence[Push],
    prompts: Sequence[str],
    streams: Sequence[int],
    *,
    seconds: float,
    seed: int = 0,
    batch_size: int = 96,
    rows: str = "cond",
    operator: str | None = None,
    keep: str | Path | None = None,
    **options: Any,
) -> Trials:
    """Make every push on every prompt and stream; batches in several processes, see :mod:`interp.processes`.

    Parameters
    ----------
    pushes : list of Push
        Those without a vector are the unsteered clips.
    prompts, streams : list
        Crossed; a stream is a number, the same for one prompt under all pushes.
    rows, operator
        As in :func:`interp.steer`.
    keep : path, optional
        A folder for finished batches: what lies there is read instead of made again, so that a run that was
        killed goes on. A file's name is a hash of weights, prompts, streams, vectors and settings, not of the
        code: empty the folder when that has changed.
    **options
        For :func:`interp.generation.generate`.

    Raises
    ------
    InterpError
        For an empty list or a string in place of one, and whatever :func:`interp.steer` refuses.
    """
    import pandas as pd

    pushes = check_list(pushes, "pushes")
    if others := [push for push in pushes if not isinstance(push, Push)]:
        raise InterpError(
            f"pushes must hold Push('name', vector, strength) alone, not {type(others[0]).__name__}."
        )
    prompts, streams = check_prompts(prompts), check_list(streams, "streams")
    check_whole(batch_size, "batch_size", 1)
    table = pd.DataFrame(
        [
            (push.name, push.strength, prompt, stream, i)
            for i, push in enumerate(pushes)
            for prompt in (prompts if push.prompts is None else push.prompts)
            for stream in (streams if push.streams is None else push.streams)
        ],
        columns=["push", "strength", "prompt", "stream", "number"],
    )
    # Texts of a batch are padded to the longest of them, which the model sees: so each length by itself.
    lengths = {prompt: text_length(model, [prompt]) for prompt in dict.fromkeys(table["prompt"])}
    table["length"] = table["prompt"].map(lengths)
    table = table.sort_values("length", kind="stable").reset_index(drop=True)
    settings = dict(seconds=seconds, seed=seed, batch_size=batch_size, **options)
    batches = [
        same.iloc[first : first + batch_size]
        for _, same in table.groupby("length")
        for first in range(0, len(same), batch_size)
    ]

    def made(part: pd.DataFrame) -> Generation:
        edits = [
            (EachClip.of(vectors), strengths, rows, operator)
            for vectors, strengths in _by_site([pushes[i] for i in part["number"]])
        ]
        return _made(model, part, edits, settings, None if keep is None else Path(keep))

    parts = each(made, batches, hooked=model.hooked)
    return Trials(Generation.joined(parts), table.drop(columns=["number", "length"]))


def _made(
    model: Model, part: pd.DataFrame, edits: list[tuple], settings: dict, keep: Path | None
) -> Generation:
    """The clips of one batch, from its file where there is one."""
    prompts, streams = part["prompt"].tolist(), part["stream"].tolist()
    file = None
    if keep is not None:
        make_folder(keep)
        parts = [model.hash, prompts, streams, sorted(settings.items())]
        parts += [(each.site, strengths.tolist(), *how) for each, strengths, *how in edits]
        digest = hashlib.sha256(repr(parts).encode())
        for each, *_ in edits:
            digest.update(each.values.tobytes())
        file = keep / f"{digest.hexdigest()[:24]}.safetensors"
        if file.exists():
            return Generation.load(file)
    with ExitStack() as stack:
        for each, strengths, rows, operator in edits:
            stack.enter_context(steer(model, each, strength=strengths, rows=rows, operator=operator))
        clips = model.generate(prompts, streams=streams, **settings)
    if file is not None:
        clips.save(file)
    return clips


def _by_site(each: Sequence[Push]) -> list[tuple[list[Vector], np.ndarray]]:
    """For every site, a vector for each clip and its strength: 0 for clips that are not pushed there."""
    first: dict[str, Vector] = {}
    for push in each:
        if push.vector is not None:
            first.setdefault(push.vector.site, push.vector)
    found = []
    for site, other in first.items():
        here = [push.vector is not None and push.vector.site == site for push in each]
        vectors = [push.vector if at else other for push, at in zip(each, here, strict=True)]
        found.append((vectors, np.array([push.strength * at for push, at in zip(each, here, strict=True)])))
    return found
