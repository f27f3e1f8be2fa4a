"""Clips of several models as means over time, in one file: what one phase heard, another can go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from .disk import save_tensors, saved_tensors
from .errors import InterpError


@dataclass(frozen=True, eq=False)
class Pooled:
    """Pooled activations of the same prompts' clips, model by model.

    Attributes
    ----------
    vectors : dict
        ``vectors[model][layer]``, [2, clip, width] float32: each clip as heard with its prompt, then without
        its words, as :func:`interp.compare.pooled_by_layer` gives it.
    clips : dict
        From a column, such as "prompt" or "emotion", to one text or number for each clip, [clip].
    about : dict
        Provenance as plain values: hashes of the models, seconds, seeds.

    Raises
    ------
    InterpError
        If the columns are not of one length, or a model's vectors are not of that many clips.
    """

    vectors: Mapping[str, Mapping[str, np.ndarray]]
    clips: Mapping[str, Sequence]
    about: Mapping = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clips", {name: np.asarray(column) for name, column in self.clips.items()})
        lengths = {name: column.shape for name, column in self.clips.items()}
        if len(set(lengths.values())) != 1:
            raise InterpError(f"The columns of clips must have one value a clip each, not {lengths}.")
        ((count,),) = set(lengths.values())
        for model, layers in self.vectors.items():
            for layer, x in layers.items():
                if x.ndim != 3 or x.shape[:2] != (2, count):
                    raise InterpError(
                        f"Layer {layer} of {model} has vectors {list(x.shape)}, not [2, {count}, width]."
                    )

    def save(self, path: str | Path) -> Path:
        """Write all of it into one safetensors file, atomically.

        Raises
        ------
        InterpError
            If it cannot be written, as where the disk is full.
        """
        tensors = {
            f"{model}/{layer}": np.ascontiguousarray(x, np.float32)
            for model, layers in self.vectors.items()
            for layer, x in layers.items()
        }
        clips = {name: column.tolist() for name, column in self.clips.items()}
        # The order of the tensors in the file is by size and name, that of models and layers is ours.
        plain = {"order": list(tensors), "clips": clips, "about": dict(self.about)}
        return save_tensors(path, tensors, "pooled", plain, "pooled activations")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InterpError
            If there is no such file, or it holds something else.
        """
        vectors: dict[str, dict[str, np.ndarray]] = {}
        with saved_tensors(path, "pooled", "pooled activations") as (arrays, plain):
            for key in plain["order"]:
                model, _, layer = key.rpartition("/")
                vectors.setdefault(model, {})[layer] = arrays[key]
            return cls(vectors, plain["clips"], plain["about"])
