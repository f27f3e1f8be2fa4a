"""The memory that this process may still take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

# Version of control groups: where they are mounted, their files of limit and usage, and the line of
# memory.stat with the part of the usage that is file cache and given up first.
V1 = ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process and its children may take before something is swapped or killed.

    The least of what the machine has available and what Linux control groups leave, through which containers
    and schedulers such as SLURM grant memory: of both versions, at every level up to the topmost.  Not seen
    are a limit set with ``ulimit -v`` and the memory of a GPU; where there is one, phases run one by one
    (:func:`report.run.side_by_side`).

    Parameters
    ----------
    root : the root of the file system; another one in tests.
    """
    return max(0, min([psutil.virtual_memory().available, *_left_by_groups(root)]))


def _left_by_groups(root: Path) -> Iterator[int]:
    """For each group around this process that has a limit, how far it is from it."""
    listed = root / "proc/self/cgroup"
    for line in listed.read_text().splitlines() if listed.is_file() else []:
        number, controllers, path = line.split(":", 2)
        if number != "0" and "memory" not in controllers.split(","):
            continue
        mount, limit, usage, cache = V2 if number == "0" else V1
        # Inside a container the path may be that of the host, and only the mount's own files are there.
        group = Path(path.lstrip("/"))
        for level in (group, *group.parents):
            folder = root / mount / level
            if (folder / limit).is_file() and (granted := (folder / limit).read_text().strip()) != "max":
                stat = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
                used = int((folder / usage).read_text()) - int(stat.get(cache, 0))
                yield int(granted) - used
