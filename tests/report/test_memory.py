"""How much memory phases may share: what control groups leave counts, of both versions and at every level."""

from __future__ import annotations

import psutil
import pytest

from report.memory import V1, V2, available_memory

MIB = 2**20


def group(folder, version, limit, used, cache=0):
    """The files of a control group."""
    _, of_limit, of_usage, of_cache = version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / of_limit).write_text(f"{limit}\n")
    (folder / of_usage).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{of_cache} {cache}\n")


@pytest.mark.parametrize(("version", "line"), [(V1, "4:cpu,memory:/job/step"), (V2, "0::/job/step")])
def test_the_tightest_group_around_the_process_counts(version, line, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"9:pids:/elsewhere\n{line}\n")
    top = tmp_path / version[0]
    assert available_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    group(top / "job" / "step", version, limit=90 * MIB, used=20 * MIB)
    assert available_memory(tmp_path) == 70 * MIB
    group(top / "job", version, limit=80 * MIB, used=50 * MIB)
    assert available_memory(tmp_path) == 30 * MIB
    group(top / "job", version, limit=80 * MIB, used=50 * MIB, cache=10 * MIB)
    assert available_memory(tmp_path) == 40 * MIB, "file cache is given up first"
    group(top / "job", version, limit=80 * MIB, used=81 * MIB)
    assert available_memory(tmp_path) == 0
    group(top / "elsewhere", version, limit=1, used=0)
    group(top / "job", version, limit=2**63 - 4096, used=0)
    assert available_memory(tmp_path) == 70 * MIB


def test_a_group_without_a_limit_and_a_path_of_the_host(tmp_path):
    """In a container the path may be one that is not there; its own files lie at the mount."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/kubepods/pod7/x:y\n")
    group(tmp_path / V2[0], V2, limit="max", used=20 * MIB)
    whole = psutil.virtual_memory().available
    assert available_memory(tmp_path) == pytest.approx(whole, rel=0.2)
    group(tmp_path / V2[0], V2, limit=50 * MIB, used=20 * MIB)
    assert available_memory(tmp_path) == 30 * MIB


def test_this_machine_has_some_memory():
    assert 0 < available_memory() <= psutil.virtual_memory().total
