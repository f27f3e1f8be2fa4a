"""Edit activations along vectors while the model runs.

With h the activation of a clip at a step, v the vector, u = v / ‖v‖ and s the strength:

====================  ==============================  ========================================================
operator              h becomes                       source
====================  ==============================  ========================================================
``norm_preserving``   (h + s ‖h‖ u) / (1 + |s|)       Panda et al. 2025 (2506.10225); never longer than h
``relative``          h + s ‖h‖ u                     a push relative to the state's own size
``add``               h + s v                         Turner et al. 2023; the length of v is the unit
``ablate``            h - s (h·u) u                   Arditi et al. 2024; s = 1 removes the direction
====================  ==============================  ========================================================

:class:`Clamp` and :class:`~interp.steering.Eraser` take the place of a vector and bring their own rule, which
goes the share s of its way. In each of these, s = 0 leaves h bit for bit.

What a strength means depends on the rows. Guidance with coefficient g makes null + g (cond - null) of the two
rows' logits, so an edit that would shift logits by d shifts the guided ones by d on both rows, by g d on the
conditional rows alone, and by (1 - g) d, backwards, on the null rows alone.

What a schedule means: the edit is made at those steps only, but the layers above keep keys and values of all
steps so far, and the tokens drawn stay. So the state after an interval of steering is not that of a clip that
was never steered; only from the clip's start to the first edit are the two the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import InterpError, check_list, unknown
from ..hooks import Pass, hook
from .erase import Eraser
from .saved import Located
from .vectors import EachClip, Vector, check_features, readout

if TYPE_CHECKING:
    from ..model import Model
    from ..sae import Dictionary

ROWS = ("cond", "null", "both")


def _relative(h: torch.Tensor, v: torch.Tensor, u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return h + s * h.norm(dim=-1, keepdim=True) * u


def _norm_preserving(h: torch.Tensor, v: torch.Tensor, u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return _relative(h, v, u, s) / (1 + s.abs())


def _add(h: torch.Tensor, v: torch.Tensor, u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return h + s * v


def _ablate(h: torch.Tensor, v: torch.Tensor, u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return h - s * (h * u).sum(-1, keepdim=True) * u


OPERATORS = {"norm_preserving": _norm_preserving, "relative": _relative, "add": _add, "ablate": _ablate}


@dataclass(frozen=True, eq=False)
class Clamp(Located):
    """Set features of a dictionary to fixed activations; what the dictionary does not explain stays.

    They are set in the dictionary's reconstruction of the state. Read off the new state again, a feature that
    was silent comes out lower, by as much as it had been below its threshold.

    Attributes
    ----------
    dictionary : Dictionary
    values : dict
        From a feature to the activation that it is to have; 0 ablates it.

    Notes
    -----
    Source: Templeton et al. (2024), *Scaling Monosemanticity*.
    """

    dictionary: Dictionary
    values: Mapping[int, float]

    def __post_init__(self) -> None:
        check_features(self.dictionary, self.values)

    @property
    def width(self) -> int:
        """Number of features at its site, not of the dictionary."""
        return self.dictionary.d_in

    def __call__(self, h: torch.Tensor, strength: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Move the features of ``h`` [..., width] the share ``strength`` of the way to their values."""
        chosen = list(self.values)
        goal = torch.tensor(list(self.values.values()), dtype=h.dtype, device=h.device)
        missing = goal - self.dictionary.encode(h)[..., chosen]
        return h + strength * (missing @ self.dictionary.decoder[chosen])


@dataclass(frozen=True, eq=False)
class Monitor:
    """Let a probe read the state before each edit, and push the less the nearer it is to the goal.

    With p the probe's probability of what the strength's sign pushes towards, the strength is multiplied by
    ``max(0, 1 - p / goal)``. It reads the very steps that are edited, without a memory of its own.

    Attributes
    ----------
    weights : np.ndarray
        [width], of a logistic probe on raw activations.
    intercept : float
    goal : float
        Probability at which pushing ends, between 0 and 1.

    Notes
    -----
    Source of the idea: SMITIN (Koo et al. 2024, arXiv 2404.02252), which monitors over longer stretches. A
    probe that was fitted to means of clips is less sure of single steps than it was of clips.
    """

    weights: np.ndarray
    intercept: float
    goal: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.goal < 1:
            raise InterpError(f"The goal is a probability between 0 and 1, not {self.goal!r}.")
        if not np.isfinite(np.append(self.weights, self.intercept)).all():
            raise InterpError("The monitor's weights hold NaN or infinite numbers.")

    @classmethod
    def of(cls, probe: Any, goal: float = 0.9) -> Monitor:
        """From a logistic probe of two classes, see :func:`interp.probe.transfer.fit`."""
        return cls(*readout(probe), goal)

    def __call__(self, h: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Strength [clip, step] for states ``h`` [clip, step, width]."""
        score = h @ torch.as_tensor(self.weights).to(h) + self.intercept
        p = torch.sigmoid(score * strength.sign())
        return strength * (1 - p / self.goal).clamp(min=0)


@contextmanager
def steer(
    model: Model,
    vector: Vector | EachClip | Clamp | Eraser | np.ndarray | Sequence[Vector | EachClip | Clamp | Eraser],
    layer: int | None = None,
    strength: float | Sequence[float] | np.ndarray | torch.Tensor = 1.0,
    rows: str = "cond",
    *,
    site: str | None = None,
    operator: str | None = None,
    schedule: Mapping[float, float] | None = None,
    monitor: Monitor | None = None,
) -> Iterator[None]:
    """Steer every run of the model inside the block: ``model.generate`` and ``interp.capture``.

    Parameters
    ----------
    vector : Vector, EachClip, Clamp, Eraser, array [width], or a list of these
        Several go one after the other, each at its own site; for a strength of its own each, nest blocks. For
        another vector in every clip, take :class:`~interp.steering.EachClip`.
    layer : int, optional
        Short for ``site="resid.LAYER"``. Needed only for what does not know its site.
    strength : float, or [clip]
        One number for each clip of the run makes a dose-response of one generation. A clip gets the tokens
        that it would get alone at its strength (up to rounding, see :func:`interp.generation.generate`).
    rows : str
        "cond", "null" or "both": see the module's docstring for what each does to guided logits.
    site : str, optional
        Any of :mod:`interp.sites`, such as "head.3.1".
    operator : str, optional
        For vectors, see the table of this module; "norm_preserving" by default.
    schedule : dict, optional
        From a second of the clip to the factor on the strength from there on; 0 before the first.
        ``{0: 1, 2: 0}`` steers for two seconds. A step belongs to the frame that it decides in the first
        codebook; an audio prompt counts from second 0 and is steered too.
    monitor : Monitor, optional
        Lets the strength follow a probe.

    Raises
    ------
    InterpError
        At once for an unknown layer, site, rows or operator, another model, site or width than the
        vector's, NaN, a zero vector; when the model runs, for strengths or vectors that are not as many as
        its clips and a schedule beyond them. Hooks are removed in any case.
    """
    if rows not in ROWS:
        raise unknown("rows", rows, ROWS)
    if layer is not None and site is not None:
        raise InterpError(f"layer={layer!r} and site={site!r} name two places; give one.")
    where = site if layer is None else f"resid.{layer}"
    items = check_list(vector, "vector") if isinstance(vector, (list, tuple)) else [vector]
    strengths, times = _strengths(strength), _schedule(schedule)
    with ExitStack() as stack:
        for item in items:
            item = item if isinstance(item, Located) else Vector(item)
            place = item.place(model, where)
            if monitor is not None and len(monitor.weights) != place.width:
                raise InterpError(
                    f"The monitor reads width {len(monitor.weights)} and {place.name} has {place.width}."
                )
            edit = _edit(model, _move(item, operator, model.device), strengths, times, monitor)
            stack.enter_context(hook(model, {place.name: edit}, rows=rows))
        yield


# h [clip, step, width], s [clip, step, 1], and which clips of the run they are
Move = Callable[[torch.Tensor, torch.Tensor, Pass], torch.Tensor]


def _move(item: Located, operator: str | None, device: torch.device) -> Move:
    if not isinstance(item, (Vector, EachClip)):
        if operator is not None:
            raise InterpError(f"operator={operator!r} is for vectors; a {type(item).__name__} has its own.")
        return lambda h, s, layout: item(h, s)
    operator = operator or "norm_preserving"
    if operator not in OPERATORS:
        raise unknown("operator", operator, OPERATORS)
    v, u = (torch.from_numpy(values).to(device) for values in (item.values, item.unit))
    if isinstance(item, Vector):
        return lambda h, s, layout: OPERATORS[operator](h, v, u, s)

    def each(h: torch.Tensor, s: torch.Tensor, layout: Pass) -> torch.Tensor:
        _check_count(len(v), "vectors", layout)
        clips = list(layout.members)
        return OPERATORS[operator](h, v[clips, None], u[clips, None], s)

    return each


def _check_count(given: int, what: str, layout: Pass) -> None:
    if given != layout.run_clips:
        raise InterpError(
            f"{given} {what} for a run of {layout.run_clips} clips; give one for each clip, or one for all."
        )


def _edit(
    model: Model,
    move: Move,
    strengths: torch.Tensor,
    schedule: tuple[np.ndarray, np.ndarray] | None,
    monitor: Monitor | None,
) -> Callable[[torch.Tensor, Pass, str], torch.Tensor | None]:
    """The function that the hook calls; all it knows of time is in the pass, so layers cannot disagree."""

    def edit(x: torch.Tensor, layout: Pass, group: str) -> torch.Tensor | None:
        if strengths.ndim:
            _check_count(len(strengths), "strengths", layout)
        s = strengths[list(layout.members), None] if strengths.ndim else strengths
        s = s.expand(x.shape[:2])
        if schedule is not None:
            s = s * torch.from_numpy(_factors(schedule, layout, model.frame_rate))
        if not s.any():
            return None
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):  # no products in half precision
            h, s = x.float(), s.to(x.device)
            s = s if monitor is None else monitor(h, s)
            # Not only up to rounding: what has no strength stays as it is.
            return torch.where(s[..., None] == 0, h, move(h, s[..., None], layout))

    return edit


def _factors(schedule: tuple[np.ndarray, np.ndarray], layout: Pass, frame_rate: float) -> np.ndarray:
    """Factor on the strength at each step of the current call, float32 [step]."""
    starts, factors = schedule
    seconds = layout.frames / frame_rate
    if layout.frames and starts[-1] > seconds:
        raise InterpError(f"The schedule speaks of second {starts[-1]:g}, and the clips have {seconds:g} s.")
    frames = layout.first_frame + layout.start + np.arange(layout.length)
    # A start between two frames counts from the next one; 1e-6 forgives 0.1 * 3 > 0.3.
    return factors[np.searchsorted(np.ceil(starts * frame_rate - 1e-6), frames, side="right")]


def _strengths(value: Any) -> torch.Tensor:
    """A number, or [clip], float32 on the CPU."""
    try:
        strengths = torch.as_tensor(value).detach().cpu().to(torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InterpError(f"strength must be a number or one number a clip, not {value!r}.") from error
    if strengths.ndim > 1 or strengths.numel() == 0 or not strengths.isfinite().all():
        raise InterpError(f"strength must be a finite number or one a clip, [clip], not {value!r}.")
    return strengths


def _schedule(value: Mapping[float, float] | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Starts in seconds, ascending, and the factors before the first and from each on."""
    if value is None:
        return None
    try:
        pairs = np.array(sorted(value.items()), float)
    except (AttributeError, TypeError, ValueError):  # no mapping, or not of numbers
        pairs = np.empty(0)
    if pairs.size == 0 or not np.isfinite(pairs).all() or pairs[0, 0] < 0:
        raise InterpError(
            "schedule must map seconds (0 or more) to finite factors, such as {0: 1, 2: 0} for two seconds, "
            f"not {value!r}."
        )
    return pairs[:, 0], np.append(0, pairs[:, 1]).astype(np.float32)
