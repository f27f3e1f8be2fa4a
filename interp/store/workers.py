"""Fill a store on Dask workers, each with a model of its own.

Dask only hands out shares of the batches; what is done is on disk.  A worker that dies loses the clip that it
was at: whoever takes its share over, or a later call, goes on where it stopped.  Batches are made of the
clips' positions alone, so one worker or twenty write the same bytes, on machines alike (a GPU of another kind
rounds otherwise).  All machines must see the store's folder, and the clips' files.

Dask is an optional extra: ``pip install -e '.[cluster]'``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..activations import capture
from ..errors import InterpError, check_whole
from ..generation import Generation
from ..loading import load, plugins
from . import Store

if TYPE_CHECKING:
    from distributed import Client

    from ..corpora import Corpus
    from ..model import Model

SHARES = 4  # for each worker: some are quicker than others


def capture_on(
    client: Client,
    model: str | Path,
    clips: Generation | Corpus | Sequence[str | Path],
    to: str | Path,
    device: str = "auto",
    twin_seed: int | None = None,
    threads: int = 1,
    progress: bool = True,
    **how: Any,
) -> Store:
    """Capture activations of clips into a store, on the workers of a Dask cluster.

    The client wants to be closed before its cluster, or Dask ends with errors about lost data; that it kills
    workers which take long to end is of no matter, since all clips are on disk by then::

        if __name__ == "__main__":  # in a script: each process of a LocalCluster imports it
            with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
                capture_on(client, "etude", pieces, "build/store", layers=[3])

    Parameters
    ----------
    client : distributed.Client
    model, device, twin_seed
        As in :func:`interp.load`. Each worker loads it once; a loaded model cannot be sent.
    clips, to
        As in :func:`interp.capture`.
    threads : int
        Of torch on the CPU, in each worker: the last bits may hang on it.
    how
        What else :func:`interp.capture` takes: ``layers``, ``sites``, ``rows``, ``batch_size`` …

    Returns
    -------
    Store
        With all clips complete.

    Raises
    ------
    InterpError
        If there are no workers, a worker does not see the folder, workers died again and again under a share,
        or for any reason of :func:`interp.capture`'s. Finished clips are kept.
    """
    if not isinstance(model, (str, Path)):
        raise InterpError("Workers load the model themselves: give its name or folder, as to interp.load.")
    from distributed import KilledWorker, as_completed

    to, threads = Path(to).resolve(), check_whole(threads, "threads", 1)
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    if not workers:
        raise InterpError(f"No worker is connected to {client.scheduler.address}; start some.")
    to.parent.mkdir(parents=True, exist_ok=True)
    here = str(model) not in plugins() and Path(model).is_dir()  # a worker has a working directory of its own
    load_as = (str(Path(model).resolve() if here else model), device, twin_seed)
    count = SHARES * workers
    sent = client.scatter(clips, broadcast=True)  # to all: a worker that is killed takes no last copy along
    shares = [
        client.submit(_share, load_as, sent, str(to), threads, how, (number, count), pure=False)
        for number in range(count)
    ]
    try:
        for share in tqdm(as_completed(shares), "capture", count, unit="share", disable=not progress):
            share.result()
    except KilledWorker as error:
        raise InterpError(
            f"Workers died one after the other under a share of {to} (out of memory?): {error}. Finished "
            "clips are kept; the same call goes on."
        ) from error
    finally:
        client.cancel(shares)
    return Store(to)


# --- in a worker ---

_models: dict[tuple, Model] = {}
_one = threading.Lock()  # a model has one set of hooks, and a worker may have several threads


def _share(
    load_as: tuple[str, str, int | None],
    clips: Any,
    to: str,
    threads: int,
    how: dict[str, Any],
    worker: tuple[int, int],
) -> None:
    import torch

    if not Path(to).parent.is_dir():
        raise InterpError(f"A worker does not see {Path(to).parent}; all machines must share that folder.")
    with _one:
        torch.set_num_threads(threads)
        if load_as not in _models:
            _models.clear()
            _models[load_as] = load(*load_as)
        capture(_models[load_as], clips, to=to, worker=worker, progress=False, **how)
