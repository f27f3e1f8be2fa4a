"""Vectors of a store in random order, for training on them.

Neighbouring steps of a clip are nearly alike, so a batch must mix many clips; reading single vectors in
random order from a disk is slow.  Between the two: every epoch the clips are dealt, in random order, into
pools that fit into memory; a pool is read clip by clip, each chunk once and whole, and its vectors are drawn
without replacement.  Every order is a function of the seed and the position, so a stream can start at any
batch without the earlier ones, and its state is one number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InterpError, check_positive, check_whole

if TYPE_CHECKING:
    from . import Store

MB = 2**20


def shuffled(
    store: Store,
    site: str,
    batch_size: int,
    seed: int = 0,
    clips: Sequence[int] | None = None,
    start: int = 0,
    buffer_mb: float = 256,
    row: str | None = None,
    epochs: int | None = None,
) -> Iterator[np.ndarray]:
    """Batches of single vectors, in random order.

    Parameters
    ----------
    store : Store
    site : str
    batch_size : int
        Vectors in a batch.
    seed : int
        The same seed, clips, batch size and buffer give the same batches.
    clips : list of int, optional
        Indices of the clips to draw from, and no others; None takes all.
    start : int
        Number of the batch to begin with: ``start=b`` goes on where a reader of b batches stopped.
    buffer_mb : float
        Memory of the reader, in MiB, whatever the size of the store. A larger buffer mixes more clips.
    row : str, optional
        "cond" or "null"; None takes the first that the store has.
    epochs : int, optional
        How often every vector comes; None goes on for ever. Batches run on from one epoch into the next, and
        only the very last may be smaller.

    Yields
    ------
    np.ndarray
        [batch, width], float32.

    Raises
    ------
    InterpError
        At once for a bad choice; while reading, for a damaged chunk.
    """
    chosen, which, width = np.sort(store.choose(clips)), store.row(row), store.width(site)
    check_whole(batch_size, "batch_size", 1), check_whole(start, "start", 0)
    if epochs is not None:
        check_whole(epochs, "epochs", 1)
    check_positive(buffer_mb, "buffer_mb")
    steps = len(store.seconds)
    per_pool = _clips_in(buffer_mb, batch_size, steps, width, store.dtype.itemsize)
    check_whole(seed, "seed", 0)
    return _stream(store, site, which, chosen, per_pool, batch_size, seed, start, epochs)


def _clips_in(buffer_mb: float, batch_size: int, steps: int, width: int, itemsize: int) -> int:
    """How many clips make a pool: what reading a chunk and making a batch take comes off the buffer."""
    clip = steps * (width * itemsize + 8)  # its vectors, and their places in the random order
    passing = 4 * steps * width * itemsize + batch_size * width * (2 * 4 + itemsize)
    per_pool = int((buffer_mb * MB - passing) // clip)
    if per_pool < 1:
        raise InterpError(
            f"buffer_mb={buffer_mb:g} does not hold one clip and a batch; "
            f"give {(passing + clip) / MB + 1:.0f} or more."
        )
    return per_pool


def _stream(
    store: Store,
    site: str,
    row: int,
    clips: np.ndarray,
    per_pool: int,
    batch_size: int,
    seed: int,
    start: int,
    epochs: int | None,
) -> Iterator[np.ndarray]:
    steps, width = len(store.seconds), store.width(site)
    total = len(clips) * steps  # vectors in an epoch
    epoch, offset = divmod(start * batch_size, total)
    batch, filled = np.empty((batch_size, width), np.float32), 0
    pool = np.empty((min(per_pool, len(clips)) * steps, width), store.dtype)
    while epochs is None or epoch < epochs:
        order = np.random.default_rng([seed, epoch]).permutation(clips)
        for first in range(offset // (per_pool * steps) * per_pool, len(clips), per_pool):
            members = order[first : first + per_pool]
            for i, clip in enumerate(members):
                pool[i * steps : (i + 1) * steps] = store.chunk(site, clip, row)
            draws = None  # two orders are never held at once
            draws = np.random.default_rng([seed, epoch, first]).permutation(len(members) * steps)
            at = offset - first * steps
            while at < len(draws):
                take = draws[at : at + batch_size - filled]
                batch[filled : filled + len(take)] = pool[take]
                at, filled = at + len(take), filled + len(take)
                if filled == batch_size:
                    yield batch
                    batch, filled = np.empty((batch_size, width), np.float32), 0
            offset = (first + len(members)) * steps
        epoch, offset = epoch + 1, 0
    if filled:
        yield batch[:filled]
