"""When the memory is not enough for a batch, half of it is tried, and so on; the work goes on and says so.

What comes out is the same up to rounding: a clip's draws depend on its own random stream, and texts stay
padded to the length that was recorded (:mod:`interp.generation`).
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from .errors import InterpError

Part = TypeVar("Part")

EVENTS: list[dict[str, object]] = []
"""Every halving of this process: what was done, by which model, and the clips in a batch before and after."""


def in_batches(
    run: Callable[[list[int]], Part],
    members: Sequence[int],
    what: str,
    model: str,
    clean: Callable[[], None] = lambda: None,
) -> Iterator[Part]:
    """Run clips together, or, where the memory is not enough, in smaller batches one after the other.

    Parameters
    ----------
    run : callable
        Given the clips of a batch.
    what, model : str
        For the message: "generate", "capture" ...
    clean : callable
        Called after a failure: lets go of what the failed batch left.

    Raises
    ------
    InterpError
        If the memory is not enough for one clip.
    """
    left, limit = list(members), len(members)
    while left:
        part, failed, result = left[:limit], False, None
        try:
            result = run(part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = True
        if failed:  # outside of the handler, whose traceback holds on to the tensors of the failed batch
            clean()
            _let_go()
            if len(part) == 1:
                raise InterpError(
                    f"The memory is not enough to {what} one clip with {model}: take shorter clips, fewer "
                    "sites, a smaller model, or device='cpu'; interp.plan tells beforehand what fits."
                )
            limit = len(part) // 2
            EVENTS.append({"what": what, "model": model, "clips": len(part), "then": limit})
            warnings.warn(
                f"The memory was not enough to {what} {len(part)} clips at a time with {model}: it goes on "
                f"with {limit}.",
                stacklevel=2,
            )
            continue
        yield result
        left = left[len(part) :]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a GPU or of the machine, was not enough."""
    import torch

    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in said for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _let_go() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
