"""How much memory a piece of work takes at its peak, counted by who hands it out."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """Most bytes that ``run`` holds at one time beyond what was held before.

    On CUDA torch's own count, on the CPU the sum over every allocation and release that torch's profiler
    sees, on MPS what the driver gave away. Caches of the allocator are not counted on CUDA and the CPU.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type == "mps":
        torch.mps.empty_cache()
        before = torch.mps.driver_allocated_memory()
        run()
        torch.mps.synchronize()
        return max(0, torch.mps.driver_allocated_memory() - before)
    with _without_profiler_chatter(), _no_collection():
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profile:
            run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device: the card's, or the machine's."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )  # torch gives it out again
        return torch.cuda.mem_get_info(device)[0] + kept
    import psutil

    available = psutil.virtual_memory().available
    if device.type == "mps":  # shared with the machine, of which Metal recommends a share
        return min(available, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return available


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage of before is collected meanwhile: what it frees would be taken off the count."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _without_profiler_chatter() -> Iterator[None]:
    """Leave out the lines that the profiler's library writes past Python to the error stream."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().splitlines(keepends=True):
                if not line.startswith(b"USDT:"):
                    os.write(2, line)
