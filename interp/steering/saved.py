"""What a direction belongs to, and one safetensors file for it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ..disk import save_tensors, saved_tensors
from ..errors import InterpError
from ..sites import find_site

if TYPE_CHECKING:
    from ..model import Model
    from ..sites import Site


def origin(site: str, model: Model | None, about: dict) -> dict:
    """The arguments of a :class:`Located` that was made at a site of a model, if that is known."""
    if model is None:
        return {"site": site, "about": about}
    return {"site": site, "model": model.hash, "about": about | {"model": model.name}}


@dataclass(frozen=True, eq=False, kw_only=True)
class Located:
    """Something that belongs to one site of one model.

    Attributes
    ----------
    site : str
        As in :mod:`interp.sites`; "" where it was not said.
    model : str
        SHA-256 of the model's weights (``model.hash``); "" where it was not said.
    about : dict
        Provenance as plain values: method, number of clips, seed, source of the clips.
    """

    site: str = ""
    model: str = ""
    about: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self._arrays().items():
            if not np.isfinite(value).all():
                raise InterpError(f"The {name} of this {self._kind} hold NaN or infinite numbers.")

    @property
    def width(self) -> int:
        """Number of features at its site."""
        raise NotImplementedError

    def place(self, model: Model, site: str | None) -> Site:
        """Its site in ``model``, if it belongs there.

        Raises
        ------
        InterpError
            If it was made with other weights, at another site, or has another width.
        """
        if self.model and self.model != model.hash:
            raise InterpError(
                f"This {self._kind} was made with other weights than those of {model.name}; make it anew."
            )
        if self.site and site and self.site != site:
            raise InterpError(
                f"This {self._kind} was made at {self.site}, not at {site}; use it there, or move it on "
                f"purpose with .at({site!r})."
            )
        if not (site or self.site):
            raise InterpError(f"This {self._kind} does not know its site; give layer= or site=.")
        found = find_site(model, site or self.site)
        if found.width != self.width:
            raise InterpError(
                f"This {self._kind} has width {self.width}, and {found.name} of {model.name} {found.width}."
            )
        return found

    def save(self, path: str | Path) -> Path:
        """Write it with its provenance into one safetensors file, atomically.

        Raises
        ------
        InterpError
            If it cannot be written, as where the disk is full.
        """
        arrays = self._arrays()
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in arrays}
        tensors = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        return save_tensors(path, tensors, self._kind, plain, f"a steering {self._kind}")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InterpError
            If there is no such file, or it holds something else.
        """
        kind = cls.__name__.lower()
        with saved_tensors(path, kind, f"a steering {kind}") as (arrays, plain):
            return cls(**arrays, **plain)

    @property
    def _kind(self) -> str:
        return type(self).__name__.lower()

    def _arrays(self) -> dict[str, np.ndarray]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
