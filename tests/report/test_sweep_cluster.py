"""Sweeps through Dask, with real schedulers and workers on this machine's loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from sweep_project import began, imports, make_sweep_project, numbers, planned, written

from report.__main__ import main
from report.project import ReportError

pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[cluster]'")
pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed: pip install -e '.[cluster]'")

from report.sweeps import cluster
from report.sweeps.cluster import Where, client_of, drive_far, job_script

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of ports and deprecations


def finished_once(project, sweep, runs: int) -> None:
    assert len(numbers(sweep)) == runs
    assert len(began(project)) == runs and len(set(began(project))) == runs
    assert not list(project.runs.rglob(".attempt-*"))


@pytest.mark.slow
def test_workers_here_run_each_point_once_and_load_once(tmp_path):
    project = make_sweep_project(tmp_path)
    sweep = planned(project, grid={"layer": list(range(6))})
    outcome = drive_far(sweep, Where(jobs=2))
    assert (outcome.ran, outcome.failed, outcome.left) == (6, {}, 0)
    finished_once(project, sweep, 6)
    assert imports(project) <= 2, "once for each worker"
    assert drive_far(sweep, Where(jobs=2)).ran == 0
    more = planned(project, grid={"layer": list(range(9))}, budget={"runs": 2})
    outcome = drive_far(more, Where(jobs=1))
    assert (outcome.ran, outcome.left) == (2, 1)


@pytest.mark.slow
def test_a_running_scheduler_whose_workers_are_killed(tmp_path):
    project = make_sweep_project(tmp_path / "study")
    sweep = planned(project, grid={"layer": list(range(10))}, parameters={"pause": 0.5})
    address = tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*start, "--host", "127.0.0.1", "--port", "0", "--scheduler-file", address, "--no-dashboard"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    worker_command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", address]
    worker_command += ["--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
    workers = subprocess.Popen(
        [*worker_command, "--nworkers", "2"], env=environment, stderr=subprocess.DEVNULL
    )
    killed = []

    def kill() -> None:
        for wanted in (2, 5):
            while len(began(project)) < wanted:
                time.sleep(0.01)
            nannied = [p for p in psutil.Process(workers.pid).children() if "spawn_main" in str(p.cmdline())]
            nannied[0].send_signal(signal.SIGKILL)
            killed.append(nannied[0].pid)

    killer = threading.Thread(target=kill)
    try:
        while not address.is_file():
            time.sleep(0.1)
        killer.start()
        import json

        outcome = drive_far(sweep, Where(scheduler=json.loads(address.read_text())["address"]))
        killer.join()
    finally:
        workers.terminate()
        scheduler.terminate()
        workers.wait()
        scheduler.wait()
    assert outcome.failed == {} and len(killed) == 2
    assert len(numbers(sweep)) == 10
    assert len(began(project)) <= 12, "what ran in the killed workers ran again, and nothing else"


@pytest.mark.slow
def test_a_batch_queue_by_dask_jobqueues_own_local_backend(tmp_path):
    project = make_sweep_project(tmp_path)
    sweep = planned(project, grid={"layer": list(range(3))})
    outcome = drive_far(sweep, Where(queue="local", jobs=1))
    assert (outcome.ran, outcome.failed) == (3, {})
    finished_once(project, sweep, 3)


def test_the_job_script_can_be_read_before_it_is_sent(tmp_path, monkeypatch):
    import dask

    project = make_sweep_project(tmp_path)
    with dask.config.set({"jobqueue.slurm.cores": 4, "jobqueue.slurm.memory": "8GB"}):
        script = job_script(project, "slurm", gpu=True)
    assert "#SBATCH" in script and "--nthreads 1" in script and "GPU=1" in script
    assert f"export PYTHONPATH={ROOT}" in script


def test_a_worker_has_one_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with client_of(Where(gpu=True)) as client:
        client.wait_for_workers(2, timeout=60)
        found = client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["resources"] for worker in found] == [{"GPU": 1}] * 2
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(seen.values()) == ["0", "1"]
        assert all("127.0.0.1" in address for address in seen), "nothing listens beyond this machine"


def test_what_is_refused(tmp_path, monkeypatch, capsys):
    project = make_sweep_project(tmp_path)
    monkeypatch.setattr("report.__main__.here", lambda: project)
    monkeypatch.setattr(cluster, "count_gpus", lambda: 0)
    monkeypatch.setattr(cluster, "CONNECT", "2s")
    path = str(written(project, grid={"layer": [1]}))
    for words, sentence in [
        (["--scheduler", "tcp://127.0.0.1:9"], "No Dask scheduler answers at tcp://127.0.0.1:9"),
        (["--cluster", "slrum"], "There is no queue 'slrum'; dask-jobqueue knows: slurm, pbs"),
        (["--cluster", "slurm"], "dask-jobqueue cannot use slurm: "),
        (["--dry-run"], "--dry-run prints a queue's job script; name the queue: --cluster slurm"),
        (["--gpu"], "--gpu: no NVIDIA GPU is seen on this machine"),
    ]:
        assert main(["sweep", path, *words]) == 1
        assert f"report: {sentence}" in capsys.readouterr().err


def test_a_worker_says_what_it_lacks(tmp_path):
    project = make_sweep_project(tmp_path)
    sweep = planned(project, grid={"layer": [1]})
    spec = {"name": "bends", "plain": sweep.spec.as_plain()}
    said = cluster.run_point(str(tmp_path / "elsewhere"), spec, "-x", True)
    assert "does not see" in said and "must share that folder" in said
    assert "changed since the sweep began" in cluster.run_point(str(tmp_path), spec, "-x", True)


def test_without_dask_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ReportError, match="Dask is not installed; install it with"), client_of(Where()):
        pass
