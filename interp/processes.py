"""Independent pieces of work in several processes: the same numbers, up to rounding, sooner.

A small model leaves the cores of a CPU idle, and more threads change the order of sums and with it the last
digits of a result.  Processes of equally many threads, torch's and those of numpy's BLAS, do not.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from . import halving
from .errors import InterpError

VARIABLE = "INTERP_PROCESSES"
ROOM = 3 * 2**30  # bytes: torch, audiocraft and a small model with its clips

OTHERS: list[int] = []
"""For each call of :func:`each`, the most memory that its processes have held, all together, in bytes."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def processes() -> int:
    """How many processes a piece of work may take.

    As many as the variable ``INTERP_PROCESSES`` says, which a report sets for its phases, and the free memory
    has room for; one without it, and where there is a GPU, which several would have to share.

    Raises
    ------
    InterpError
        If the variable is not a whole number of at least 1.
    """
    said = os.environ.get(VARIABLE, "1")
    if not (said.isdecimal() and int(said) >= 1):
        raise InterpError(f"{VARIABLE} is {said!r}; it must be a whole number of at least 1.")
    import torch

    from .memory import free_bytes  # in any case: a run's key knows the modules that were loaded

    if int(said) == 1 or torch.cuda.is_available():
        return 1
    return max(1, min(int(said), free_bytes(torch.device("cpu")) // ROOM))


def each(
    run: Callable[[Item], Result],
    items: Iterable[Item],
    progress: str | None = None,
    hooked: str | None = None,
) -> list[Result]:
    """``[run(item) for item in items]``, by as many processes as there may be (:func:`processes`).

    What ``run`` needs travels to them, models by their name (:class:`interp.Model`), and only what it returns
    comes back: what else it changes is changed in another process. So it changes nothing.  Each process takes
    as many threads as this one.

    Parameters
    ----------
    progress : str, optional
        What to call a progress bar; None shows none.
    hooked : str, optional
        What somebody else has hooked (:attr:`interp.Model.hooked`): a hook cannot travel, so with one all is
        done in this process.

    Raises
    ------
    InterpError
        If a process is killed, as where the memory is not enough; and whatever ``run`` raises.
    """
    items = list(items)
    number = 1 if hooked else min(processes(), len(items))
    bar = {"desc": progress, "total": len(items), "disable": progress is None, "leave": False}
    if number < 2:
        return [run(item) for item in tqdm(items, **bar)]
    import torch
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from threadpoolctl import threadpool_info

    threads = torch.get_num_threads()
    blas = max((p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"), default=threads)
    with parallel_config("loky", n_jobs=number, inner_max_num_threads=blas):
        workers = Parallel(batch_size=1, pre_dispatch=number, return_as="generator")
    try:
        done = list(tqdm(workers(delayed(_told)(run, item, os.getpid(), threads) for item in items), **bar))
    except TerminatedWorkerError as error:
        raise InterpError(
            f"One of {number} processes was killed, perhaps for want of memory; set {VARIABLE}=1 to take one."
        ) from error
    OTHERS.append(sum({told.process: told.peak for _, told in done}.values()))
    for _, told in done:
        halving.EVENTS.extend(told.events)
        for name in told.modules - sys.modules.keys():  # so that a run's key knows them
            importlib.import_module(name)
    return [result for result, _ in done]


class Told(NamedTuple):
    """What this process has to know of another."""

    process: int
    peak: int  # bytes that it has held at most
    events: list[dict[str, object]]  # batches that were halved
    modules: set[str]  # that it has loaded, besides installed libraries


def _told(run: Callable[[Item], Result], item: Item, asker: int, threads: int) -> tuple[Result, Told]:
    import torch

    _end_with(asker)
    torch.set_num_threads(threads)
    os.environ[VARIABLE] = "1"  # what is asked for in here is done here
    before = len(halving.EVENTS)
    result = run(item)
    return result, Told(os.getpid(), peak_memory(), halving.EVENTS[before:], _modules())


@cache
def _end_with(asker: int) -> None:
    """End this process when the one that asks is gone: if that was killed, nobody else would say so."""

    def watch() -> None:
        while os.getppid() == asker:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB


def _modules() -> set[str]:
    libraries = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return {
        name
        for name, file in files.items()
        if file.endswith(".py") and "site-packages" not in file and not file.startswith(libraries)
    } - {"__main__", "__mp_main__"}
