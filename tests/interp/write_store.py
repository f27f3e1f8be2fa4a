"""Fill a store with numbers that depend on nothing but their place: a writer for tests to kill.

``python write_store.py FOLDER CLIPS [STOP]``, without torch or audiocraft, so that it starts at once.
With STOP it waits for its end before the batch that would complete more clips than that.
"""

import sys
import time
from pathlib import Path

import numpy as np

from interp.store.writer import Writer

SITES = {"resid.0": 6, "attn.1": 4}
STEPS = 5


def values(clips, rows=2):
    """What belongs at each site, [row, clip, step, width]."""
    return {
        site: np.stack(
            [np.random.default_rng([clip, width]).normal(size=(rows, STEPS, width)) for clip in clips], axis=1
        ).astype(np.float32)
        for site, width in SITES.items()
    }


def create(folder: Path, n: int, **changes) -> Writer:
    """An empty store, or the one that is there."""
    made_of = dict(sites=SITES, clips=[f"clip {i}" for i in range(n)], seconds=np.arange(STEPS) / 50)
    made_of |= dict(rows="both", made_from={"model": {"name": "toy"}, "corpus": {"hash": "abc"}})
    return Writer.create(folder, **(made_of | changes))


def fill(folder: Path, clips: int, stop: int | None = None) -> None:
    """Batches of three, those that are there already left out."""
    store = create(folder, clips)
    for first in range(0, clips, 3):
        batch = list(range(first, min(first + 3, clips)))
        if not store.has(batch):
            if stop is not None and batch[-1] >= stop:
                time.sleep(60)
            store.write(batch, values(batch))
    store.finish()


if __name__ == "__main__":
    fill(Path(sys.argv[1]), *map(int, sys.argv[2:]))
