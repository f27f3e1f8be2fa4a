"""What stands in place of activations: setters for :func:`interp.causal.patch.patch`.

====================  ====================================================================================
setter                in place of the activations
====================  ====================================================================================
``zero``              nothing
``mean(reference)``   the mean over clips and steps of other clips
``resample(other)``   those of another clip, drawn at random, step by step
``replace(source)``   those of the same clip in another run, step by step: activation patching
``shift(change)``     the same, moved at every step by one vector of the clip
``astray(source)``    the same, moved as far as ``replace(source)`` would, in a random direction: its control
====================  ====================================================================================

``inside(subspace, setter)`` does any of these to the component inside a subspace alone, so that
``inside(subspace, replace(source))`` is interchange (Geiger et al. 2021, arXiv:2106.02997).

Zero is far from what later blocks ever see, the mean is nearer, and another clip's activations are real ones:
the three ablations often disagree (Zhang & Nanda 2023, arXiv:2309.16042; Chan et al. 2022 on resampling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..activations import Activations
from ..errors import InterpError, unknown
from .patch import Place, Setter
from .subspace import Subspace


def zero(x: torch.Tensor, place: Place) -> torch.Tensor:
    """Zeros."""
    return torch.zeros_like(x)


def mean(reference: Activations) -> Setter:
    """The mean over clips and steps of ``reference``, whose clips need not be those of the run."""

    means: dict[tuple[str, str], torch.Tensor] = {}

    def setter(x: torch.Tensor, place: Place) -> torch.Tensor:
        key = (place.site, place.group)
        if key not in means:  # a generation asks at every step
            means[key] = _rows(reference, place).float().mean((0, 1))
        if means[key].shape != x.shape[-1:]:
            raise InterpError(
                f"The reference at {place.site} has width {len(means[key])}, and the run {x.shape[-1]}."
            )
        return means[key].to(x).expand_as(x)

    return setter


def replace(source: Activations) -> Setter:
    """The activations of the same clips in another run.

    Parameters
    ----------
    source : Activations
        From ``interp.capture(..., steps="all")``, as many clips and steps as the run has.

    Raises
    ------
    InterpError
        While the model runs, if ``source`` has other clips, steps, rows or width, or lacks the site.
    """
    return lambda x, place: _aligned(source, place, place.clips, x)


def resample(other: Activations, seed: int = 0, pieces: Sequence | None = None) -> Setter:
    """The activations of another clip of ``other``, one drawn at random for each clip.

    Parameters
    ----------
    other : Activations
        As for :func:`replace`: a capture of the run's own clips, for most purposes.
    pieces : sequence, optional
        [clip]: a clip gets one of another piece. None takes each clip as a piece.
    """
    n = next(iter(other.values())).shape[-3]
    labels = np.asarray(range(n) if pieces is None else pieces)
    if len(labels) != n:
        raise InterpError(f"Unpaired inputs: {len(labels)} pieces for {n} clips; give one for each.")
    if len(set(labels.tolist())) < 2:
        raise InterpError("All clips are of one piece, so there is no other to draw from.")
    rng = np.random.default_rng(seed)
    donors = [int(rng.choice(np.flatnonzero(labels != label))) for label in labels]
    return lambda x, place: _aligned(other, place, [donors[i] for i in place.clips], x)


def shift(change: Mapping[str, np.ndarray | torch.Tensor]) -> Setter:
    """Activations moved by one vector of each clip, the same at all its steps.

    For sources that are not aligned in time, such as a fast version of a slow piece, or the other prompt of a
    clip that is generated: see :func:`difference`.

    Parameters
    ----------
    change : dict
        From a site to [clip, width].
    """

    def setter(x: torch.Tensor, place: Place) -> torch.Tensor:
        if place.site not in change:
            raise unknown("site of the change", place.site, change)
        by = torch.as_tensor(change[place.site])
        if by.shape != (place.run_clips, x.shape[-1]):
            raise InterpError(
                f"Unpaired inputs: the change at {place.site} is {list(by.shape)}, and the run has "
                f"[{place.run_clips}, {x.shape[-1]}] (clip, width); give one vector for each clip."
            )
        return x + by[place.clips, None].to(x)

    return setter


def astray(source: Activations, seed: int = 0) -> Setter:
    """The control of :func:`replace`: a change just as large in a direction that means nothing.

    Every clip has a direction of its own at each site; each step is moved along it by the distance that
    replacing would move it.
    """

    def setter(x: torch.Tensor, place: Place) -> torch.Tensor:
        far = (_aligned(source, place, place.clips, x) - x).norm(dim=-1, keepdim=True)
        rng = np.random.default_rng([seed, *place.site.encode(), *place.group.encode()])
        drawn = torch.from_numpy(rng.standard_normal((place.run_clips, x.shape[-1])))
        direction = drawn / drawn.norm(dim=-1, keepdim=True)
        return x + far * direction[place.clips, None].to(x)

    return setter


def difference(source: Activations, target: Activations) -> dict[str, torch.Tensor]:
    """Source minus target of the clips' means over steps, by site: [clip, width]."""
    found = {}
    for site in source:
        a, b = source.pooled(site), target.pooled(site)
        if a.shape != b.shape or a.ndim != 2:
            raise InterpError(
                f"Unpaired inputs: {list(a.shape)} and {list(b.shape)} at {site}; capture the same clips of "
                'both, with rows="cond" or rows="null".'
            )
        found[site] = a - b
    return found


def inside(subspace: Subspace | Mapping[str, Subspace], setter: Setter) -> Setter:
    """``setter`` for the component inside a subspace; what is outside stays as it is.

    Parameters
    ----------
    subspace : Subspace, or dict of them by site
        Only its own site can be patched.
    """
    by_site = subspace if isinstance(subspace, Mapping) else {subspace.site: subspace}

    def within(x: torch.Tensor, place: Place) -> torch.Tensor:
        if place.site not in by_site:
            raise unknown("site of a subspace", place.site, by_site)
        return by_site[place.site].swap(x, setter(x, place))

    return within


def _rows(source: Activations, place: Place) -> torch.Tensor:
    """[clip, step, width] of the rows that are patched."""
    tensor = source[place.site]
    if source.rows == "both":
        return tensor[("cond", "null").index(place.group)]
    if source.rows != place.group:
        raise InterpError(
            f"The source holds {source.rows} rows and {place.group} rows are patched; capture it with "
            f'rows="both" or rows="{place.group}".'
        )
    return tensor


def _aligned(source: Activations, place: Place, clips: Sequence[int], x: torch.Tensor) -> torch.Tensor:
    """Activations of these clips at the steps of ``place``."""
    tensor = _rows(source, place)
    have, want = tuple(tensor.shape), (place.run_clips, place.run_steps, x.shape[-1])
    if have != want:
        raise InterpError(
            f"Unpaired inputs: the source at {place.site} is {list(have)} and the run {list(want)} (clip, "
            'step, width); capture as many clips of the same length with steps="all", or shift by the '
            "difference of clips."
        )
    return tensor[list(clips), place.first : place.stop].to(x)
