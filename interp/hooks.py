"""Read or edit activations while the model runs.

What a hook sees depends on who runs the model.  With classifier-free guidance a generation of B clips passes
2 B rows at every step, conditional rows first and null rows last; with ``two_step_cfg`` it makes two calls of
B rows; a teacher-forced pass has the rows that were asked for.  A tensor alone does not tell these apart, so
every run that starts from this library (``Model.generate``, ``interp.capture``) declares its layout in a
:class:`Pass`, and hooks read it there.  Outside such a run only ``rows="all"`` is unambiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import InterpError, unknown
from .sites import Site, find_site

if TYPE_CHECKING:
    import torch

    from .model import Model

ROWS = ("cond", "null", "both", "all")


@dataclass
class Pass:
    """How the rows and steps of the calls of one run are laid out.

    Attributes
    ----------
    clips : int
        Number of clips B.
    calls : tuple of tuple of str
        The row groups of a call, for each call of a step: ``(("cond", "null"),)`` for guidance in one batch,
        ``(("cond",), ("null",))`` for ``two_step_cfg``, ``(("cond",),)`` for conditional rows alone.
    members : sequence of int
        Index of each clip of this batch in the whole run; by default the batch is the whole run.
    run_clips : int
        Number of clips in the whole run.
    frames : int
        Frames of a finished clip; 0 if whoever runs the model did not say.
    first_frame : int
        Frame of the clip at which the current window begins.
    new_from : int
        Step of the clip at which the current window goes beyond the one before; 0 in the first.
    start, length : int
        The current call carries sequence steps ``start`` to ``start + length - 1``.
    next_start : int
        The step at which the next call begins; who runs the model by steps moves it on.
    window : int
        Clips beyond the model's longest are made in several windows; each starts again at step 0.
    """

    clips: int
    calls: tuple[tuple[str, ...], ...]
    members: Sequence[int] = ()
    run_clips: int = 0
    frames: int = 0
    first_frame: int = 0
    new_from: int = 0
    start: int = 0
    length: int = 0
    next_start: int = 0
    window: int = -1
    _call: int = field(default=-1, repr=False)

    def __post_init__(self) -> None:
        self.members = self.members or range(self.clips)
        self.run_clips = self.run_clips or self.clips

    def advance(self, sequence: torch.Tensor) -> None:
        """Note that the language model is about to process ``sequence`` [row, codebook, step]."""
        groups = len(self.calls[(self._call + 1) % len(self.calls)])
        if sequence.shape[0] != groups * self.clips:
            raise InterpError(
                f"Ambiguous rows: {sequence.shape[0]} rows went into the model where {groups} x {self.clips} "
                "were declared; run it through Model.generate or interp.capture, or hook with rows='all'."
            )
        self._call += 1
        if self._call % len(self.calls) == 0:  # the second call of a two-step pair repeats the same steps
            self.start, self.length = self.next_start, sequence.shape[-1]
            self.window += self.start == 0

    def groups(self) -> Iterator[tuple[str, slice]]:
        """The row groups of the current call and where they are on the first axis."""
        for i, group in enumerate(self.calls[self._call % len(self.calls)]):
            yield group, slice(i * self.clips, (i + 1) * self.clips)


@contextmanager
def running(model: Model, layout: Pass) -> Iterator[Pass]:
    """Declare the layout of the calls made inside the block."""
    if model.current_pass is not None:
        raise InterpError(f"{model.name} is already running; a hook must not start another run on it.")

    def before(module, args, kwargs):
        layout.advance(args[0] if args else kwargs["sequence"])

    handle = model.lm.register_forward_pre_hook(before, with_kwargs=True)
    model.current_pass = layout
    try:
        yield layout
    finally:
        model.current_pass = None
        handle.remove()


Edit = Callable[["torch.Tensor", "Pass | None", str], "torch.Tensor | None"]


@contextmanager
def hook(model: Model, edits: Mapping[str, Edit], rows: str = "cond") -> Iterator[None]:
    """Call a function on the activations of each site at every pass inside the block.

    Parameters
    ----------
    edits : dict
        From site name (see :mod:`interp.sites`) to ``fn(x, layout, group)``. ``x`` is [clip, step, width] (a
        view: do not write into it), ``layout`` the :class:`Pass` that tells the current steps, and ``group``
        "cond" or "null". The function returns None to leave ``x`` as it is, or a tensor of the same shape
        that replaces it.
    rows : str
        "cond", "null", "both" (the function is called for each group in turn), or "all": the whole tensor
        as the module gives it, with ``layout`` None and group "all" outside a run of this library.

    Raises
    ------
    InterpError
        For an unknown site, at once; while the model runs, for rows that cannot be told apart and for an
        edit that changes the shape. Hooks are removed in any case.
    """
    if rows not in ROWS:
        raise unknown("rows", rows, ROWS)
    with ExitStack() as stack:
        for name, fn in edits.items():
            if not callable(fn):
                raise InterpError(f"The edit for site {name!r} must be a function, not {type(fn).__name__}.")
            site = find_site(model, name)
            stack.callback(site.attach(_observer(model, site, fn, rows)).remove)
        yield


def _observer(model: Model, site: Site, fn: Edit, rows: str) -> Callable:
    def see(tensor: torch.Tensor) -> torch.Tensor | None:
        layout, edited = model.current_pass, None
        if rows == "all":
            groups = [("all", slice(None))]
        elif layout is None:
            raise InterpError(
                f"Ambiguous rows: outside Model.generate and interp.capture, conditional and null rows of "
                f"{site.name} cannot be told apart; use rows='all'."
            )
        else:
            groups = [(g, where) for g, where in layout.groups() if rows in (g, "both")]
        for group, where in groups:
            x = tensor[where, :, site.columns]
            new = fn(x, layout, group)
            if new is None:
                continue
            if getattr(new, "shape", None) != x.shape:
                got = tuple(new.shape) if hasattr(new, "shape") else type(new).__name__
                raise InterpError(
                    f"The edit at {site.name} gave {got}; it must keep the shape {tuple(x.shape)}."
                )
            edited = tensor.clone() if edited is None else edited
            edited[where, :, site.columns] = new.to(tensor)  # the tensor's dtype and device: fp16 on CUDA
        return edited

    return see
