"""Sweeps through Dask, with real schedulers and workers on this machine's loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
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


@contextmanager
def running(folder: Path, *workers: tuple[list[str], dict[str, str]]):
    """A scheduler and workers as processes; its address, and a process for each entry of ``workers``.

    Parameters
    ----------
    workers : further options of ``dask worker``, and environment variables.
    """
    import distributed

    file, environment = folder / "scheduler.json", os.environ | {"PYTHONPATH": str(ROOT)}
    file.unlink(missing_ok=True)  # of a scheduler that has ended
    common = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    commands = [(["dask_scheduler", "--port", "0"], {})]
    commands += [(["dask_worker", "--nthreads", "1", *options], more) for options, more in workers]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:], *common],
            env=environment | more,
            stderr=subprocess.DEVNULL,
        )
        for command, more in commands
    ]
    try:
        while not (file.is_file() and file.read_text().endswith("}")):  # it is there before it is written
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address) as client:
            client.wait_for_workers(len(workers), timeout=60)
        yield address, processes[1:]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_a_running_scheduler_whose_workers_are_killed(tmp_path):
    project = make_sweep_project(tmp_path / "study")
    sweep = planned(project, grid={"layer": list(range(10))}, parameters={"pause": 0.5})
    killed = []

    def kill(nannies: psutil.Process) -> None:
        for wanted in (2, 5):
            while len(began(project)) < wanted:
                time.sleep(0.01)
            nannied = [p for p in nannies.children() if "spawn_main" in str(p.cmdline())]
            nannied[0].send_signal(signal.SIGKILL)
            killed.append(nannied[0].pid)

    with running(tmp_path, (["--nworkers", "2"], {})) as (address, (workers,)):
        killer = threading.Thread(target=kill, args=[psutil.Process(workers.pid)])
        killer.start()
        outcome = drive_far(sweep, Where(scheduler=address))
        killer.join()
    assert outcome.failed == {} and len(killed) == 2
    assert len(numbers(sweep)) == 10
    assert len(began(project)) <= 12, "what ran in the killed workers ran again, and nothing else"


@pytest.mark.slow
def test_runs_that_need_a_gpu_go_where_one_is_to_be_had(tmp_path, capsys):
    """GPUs are a resource that workers say they have; these only say so."""
    where = "import os\n\nwith open(f'{layer}.txt', 'w') as file:\n    file.write(os.environ['WHO'])"
    project = make_sweep_project(tmp_path / "study", where)
    with_one, without = (["--resources", "GPU=1"], {"WHO": "has one"}), ([], {"WHO": "has none"})
    with running(tmp_path, without, with_one) as (address, _):
        sweep = planned(project, grid={"layer": [1, 2, 3]})
        assert drive_far(sweep, Where(scheduler=address, gpu=True)).failed == {}
    assert [(project.root / f"{layer}.txt").read_text() for layer in (1, 2, 3)] == ["has one"] * 3
    with running(tmp_path, without) as (address, _):
        more = planned(project, grid={"layer": [4]})
        with pytest.raises(ReportError, match="no worker of .* has a GPU; start them with .*GPU=1"):
            drive_far(more, Where(scheduler=address, gpu=True))


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
    assert "#SBATCH" in script and "--cpus-per-task=4" in script and "GPU=1" in script
    assert "--nthreads 1" in script and script.count("--nthreads") == 1
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
    monkeypatch.setattr(cluster, "CONNECT_S", 2)
    path = str(written(project, grid={"layer": [1]}))
    for words, sentence in [
        (["--scheduler", "tcp://127.0.0.1:9"], "No Dask scheduler answers at tcp://127.0.0.1:9"),
        (["--scheduler", "nonsense"], "--scheduler nonsense is no address (missing port number in address"),
        (["--scheduler", "tcp://127.0.0.1:9", "--dask"], "--dask and --scheduler name different places for"),
        (["--cluster", "slrum"], "There is no queue 'slrum'; dask-jobqueue knows: slurm, pbs"),
        (["--cluster", "slurm"], "dask-jobqueue cannot use slurm: "),
        (["--dry-run"], "--dry-run prints a queue's job script; name the queue: --cluster slurm"),
        (["--gpu"], "--gpu: no NVIDIA GPU is seen on this machine"),
    ]:
        assert main(["sweep", path, *words]) == 1
        assert f"report: {sentence}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("greeting", "sentence"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "what listens there is something else"), (b"", "not within 2 s")],
)
def test_what_listens_and_is_no_scheduler(monkeypatch, greeting, sentence):
    monkeypatch.setattr(cluster, "CONNECT_S", 2)
    greeted: list[socket.socket] = []

    def greet() -> None:
        greeted.append(server.accept()[0])
        greeted[0].sendall(greeting)

    with socket.create_server((cluster.HOST, 0)) as server:
        threading.Thread(target=greet, daemon=True).start()
        address = f"tcp://{cluster.HOST}:{server.getsockname()[1]}"
        with pytest.raises(ReportError, match=rf"No Dask scheduler answers at {address} \({sentence}"):
            with client_of(Where(scheduler=address)):
                pass
    greeted[0].close()


@pytest.mark.parametrize(
    ("sbatch", "why"),
    [
        (None, "No such file or directory: 'sbatch'"),
        ("#!/bin/sh\necho 'sbatch: error: no such partition' >&2\nexit 1\n", "no such partition"),
    ],
)
def test_a_queue_that_takes_no_jobs_ends_the_call(tmp_path, monkeypatch, capsys, sbatch, why):
    import dask

    (tmp_path / "bin").mkdir()
    if sbatch:
        (tmp_path / "bin" / "sbatch").write_text(sbatch)
        (tmp_path / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    project = make_sweep_project(tmp_path / "study")
    monkeypatch.setattr("report.__main__.here", lambda: project)
    path = str(written(project, grid={"layer": [1, 2]}))
    with dask.config.set({"jobqueue.slurm.cores": 1, "jobqueue.slurm.memory": "2GB"}):
        assert main(["sweep", path, "--cluster", "slurm", "--jobs", "2"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("report: --cluster slurm: no job could be handed in (") and why in said[-1]
    assert not any("points go to" in line or "Traceback" in line for line in said)


def test_workers_here_end_without_a_word(tmp_path):
    script = tmp_path / "script.py"  # workers import it, so it is a file
    script.write_text(
        "from report.sweeps.cluster import Where, client_of\n\nif __name__ == '__main__':\n"
        "    with client_of(Where(jobs=1)) as client:\n        client.wait_for_workers(1, timeout=60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")


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
