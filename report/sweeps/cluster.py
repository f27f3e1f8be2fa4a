"""Sweeps through Dask: a cluster on this machine, a running scheduler, or a batch queue.

Dask tells workers which points to run; what they did is on disk, as always.  All machines must therefore see
this folder, and have its environment.  A worker that is killed loses its run in flight, and Dask gives the
point to another; when driver or scheduler are killed, the next call finds what was finished.  No point runs
twice at a time, since whoever runs it holds its claim (:mod:`report.sweeps.claim`).

Dask is an optional extra: ``pip install -e '.[cluster]'``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..attempt import Attempt, Setting
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError
from ..run import cores
from .claim import Claim
from .drive import TRIES, Outcome, concluded, threads_of_a_run, to_run
from .points import Finished, Point, Sweep
from .spec import Spec
from .warm import Warm

EXTRA = "Dask is not installed; install it with `.venv/bin/python -m pip install -e '.[cluster]'`"
QUEUES = {
    **{"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"},
    **{"htcondor": "HTCondorCluster", "oar": "OARCluster", "moab": "MoabCluster", "local": "LocalCluster"},
}
HOST = "127.0.0.1"  # scheduler, workers and dashboard of a cluster on this machine
CONNECT_S = 20  # for a running scheduler to answer
LOST = 10  # workers that may die under a point before it counts as failed


@dataclass(frozen=True)
class Where:
    """Where runs go."""

    scheduler: str | None = None  # address of a running one
    queue: str | None = None  # a key of QUEUES
    gpu: bool = False  # each run needs one; a worker has one
    jobs: int | None = None  # workers, or jobs in the queue


@contextmanager
def client_of(where: Where) -> Iterator[Any]:
    """A Dask client, and the cluster that it needs."""
    try:
        import distributed
    except ImportError:
        raise ReportError(f"{EXTRA}.") from None
    import dask
    from distributed.comm import get_address_host_port

    dask.config.set({"distributed.scheduler.allowed-failures": LOST})
    if where.scheduler:
        try:
            get_address_host_port(where.scheduler)
        except ValueError as error:
            raise ReportError(
                f"--scheduler {where.scheduler} is no address ({error}); give one such as tcp://10.0.0.5:8786."
            ) from error
        try:
            asyncio.run(asyncio.wait_for(_identity(where.scheduler), CONNECT_S))
        except Exception as error:  # what is no scheduler may answer anything, or nothing
            said = "what listens there is something else"
            if isinstance(error, OSError):
                said = " ".join(str(error).split()) or f"not within {CONNECT_S} s"
            raise ReportError(
                f"No Dask scheduler answers at {where.scheduler} ({said}); start one with "
                "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."
            ) from error
        with distributed.Client(where.scheduler) as client:
            _check_workers(client, where)
            yield client
    elif where.queue:
        with ExitStack() as stack:
            cluster = stack.enter_context(queue_cluster(where.queue, where.gpu, where.jobs or 1))
            yield stack.enter_context(distributed.Client(cluster))
    else:
        with local_cluster(where) as cluster, distributed.Client(cluster) as client:
            yield client


async def _identity(address: str) -> None:
    """Ask a scheduler who it is.  A client would do so too, and wait for ever for who says nothing."""
    import distributed

    connection = distributed.Security().get_connection_args("client")
    async with distributed.rpc(address, connection_args=connection) as scheduler:
        await scheduler.identity()


def _check_workers(client: Any, where: Where) -> None:
    """Refuse a scheduler whose workers could run nothing; say so where there are none yet."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    start = f"`dask worker {where.scheduler} --nthreads 1{' --resources GPU=1' if where.gpu else ''}`"
    if not workers:
        say(f"{where.scheduler} has no workers; runs wait until there are some: {start}.")
    elif where.gpu and not any(worker["resources"].get("GPU") for worker in workers):
        raise ReportError(f"--gpu: no worker of {where.scheduler} has a GPU; start them with {start}.")


def local_cluster(where: Where) -> Any:
    """Workers on this machine, bound to loopback: one for each core, or for each GPU."""
    import distributed

    gpus = count_gpus() if where.gpu else 0
    if where.gpu and not gpus:
        raise ReportError("--gpu: no NVIDIA GPU is seen on this machine; leave it out, or use --cluster.")
    count = where.jobs or gpus or max(1, cores() // threads_of_a_run())
    workers = {}
    for index in range(min(count, gpus) if gpus else count):
        options: dict[str, Any] = {"nthreads": 1, "host": HOST, "dashboard_address": None}
        options["silence_logs"] = logging.CRITICAL
        if gpus:
            environment = {"CUDA_VISIBLE_DEVICES": str(index)}
            options |= {"resources": {"GPU": 1}, "env": environment}
        workers[index] = {"cls": distributed.Nanny, "options": options}
    scheduler = {
        "cls": distributed.Scheduler,
        "options": {"host": HOST, "port": 0, "dashboard_address": f"{HOST}:0"},
    }
    return distributed.SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.CRITICAL)


def count_gpus() -> int:
    """NVIDIA GPUs of this machine that CUDA_VISIBLE_DEVICES leaves."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip()])
    if not shutil.which("nvidia-smi"):
        return 0
    said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return said.stdout.count("GPU ") if said.returncode == 0 else 0


@contextmanager
def queue_cluster(queue: str, gpu: bool, jobs: int = 0) -> Iterator[Any]:
    """A cluster whose workers are jobs of a batch queue, by dask-jobqueue's own configuration.

    Parameters
    ----------
    jobs : how many are handed to the queue.

    Raises
    ------
    ReportError
        If dask-jobqueue is missing, does not know the queue, or lacks a setting; or the queue takes no jobs.
    """
    if queue not in QUEUES:
        raise ReportError(f"There is no queue {queue!r}; dask-jobqueue knows: {', '.join(QUEUES)}.")
    try:
        import dask_jobqueue
        from dask_jobqueue.local import LocalCluster
    except ImportError:
        raise ReportError(f"{EXTRA}.") from None
    kind = LocalCluster if queue == "local" else getattr(dask_jobqueue, QUEUES[queue])
    root = Path(__file__).resolve().parents[2]
    prologue = [f"cd {root}", f"export PYTHONPATH={root}"]
    threads = threads_of_a_run()
    options: dict[str, Any] = {"processes": 1, "python": sys.executable, "job_script_prologue": prologue}
    options |= {"job_cls": _job_of(kind), "worker_extra_args": ["--resources", "GPU=1"] if gpu else []}
    options["scheduler_options"] = {"dashboard_address": f"{HOST}:0"}
    if queue == "local":
        options |= {"cores": threads, "memory": "2GB"}
        options["scheduler_options"]["host"] = HOST
        options["job_script_prologue"] = []  # this backend takes its script for one command
    try:
        cluster = kind(**options)
    except (ValueError, TypeError, RuntimeError, FileNotFoundError) as error:
        said = " ".join(str(error).split())
        where = "~/.config/dask/jobqueue.yaml"
        raise ReportError(
            f"dask-jobqueue cannot use {queue}: {said} Settings such as cores and memory belong in {where}."
        ) from error
    for _ in range(jobs):  # not by scale(), which would leave it to the log that a job was refused
        cluster.worker_spec.update(cluster.new_worker_spec())
    with ExitStack() as stack:
        try:
            stack.enter_context(cluster)
        except (OSError, RuntimeError, ValueError) as error:
            raise ReportError(
                f"--cluster {queue}: no job could be handed in ({' '.join(str(error).split())}); call this "
                "where the queue's commands are, or print the job script with --dry-run and try it."
            ) from error
        yield cluster


def _job_of(kind: Any) -> Any:
    """The jobs of a queue, with one thread for a worker, and failed where the queue refuses them."""
    from distributed import Status

    class Job(kind.job_cls):
        worker_process_threads = 1

        async def start(self) -> None:
            try:
                await super().start()
            except Exception:
                self.status = Status.failed  # else the cluster would not close
                raise

    return Job


def job_script(project: Project, queue: str | None, gpu: bool) -> str:
    """What would be handed to the queue."""
    if queue is None:
        raise ReportError("--dry-run prints a queue's job script; name the queue: --cluster slurm.")
    with queue_cluster(queue, gpu) as cluster:
        return cluster.job_script()


def drive_far(sweep: Sweep, where: Where, warm: bool = True) -> Outcome:
    """Run what is missing through Dask.

    Parameters
    ----------
    warm : as for :func:`report.sweeps.drive.drive`; each worker loads once.
    """
    _, waiting, outcome = to_run(sweep)
    if not waiting:
        return outcome
    begin = time.monotonic()
    with client_of(where) as client:
        say(f"{sweep.spec.name}: {len(waiting)} points go to {client.scheduler.address}.")
        _submit(client, sweep, where, waiting, outcome, warm)
    return outcome.told(sweep, time.monotonic() - begin)


def _submit(
    client: Any, sweep: Sweep, where: Where, waiting: list[Point], outcome: Outcome, warm: bool
) -> None:
    import distributed

    spec = {"name": sweep.spec.name, "plain": sweep.spec.as_plain()}
    futures = {}
    for point in waiting:
        future = client.submit(
            run_point,
            str(sweep.project.root),
            spec,
            point.label,
            warm,
            key=f"sweep{point.label}-{os.getpid()}",
            pure=False,
            resources={"GPU": 1} if where.gpu else None,
            retries=0,
        )
        futures[future] = point
    hours = sweep.spec.budget.get("hours")
    try:
        done = distributed.as_completed(futures, timeout=None if hours is None else hours * 3600)
        for future in done:
            point = futures.pop(future)
            try:
                failure = future.result()
            except distributed.KilledWorker:
                failure = f"{LOST} workers died one after the other under it"
            except Exception as error:  # Dask's own, or a worker that lacks this package
                failure = f"{type(error).__name__}: {error}"
            outcome.note(point, failure)
    except TimeoutError:
        outcome.left += len(futures)
    finally:
        client.cancel(list(futures))


# --- in a worker ---

_sweeps: dict[str, tuple[Sweep, Setting, Warm]] = {}
_one = threading.Lock()


def run_point(root: str, spec: dict[str, Any], label: str, warm: bool) -> str:
    """Run one point in a worker; empty, or one sentence that says why it failed."""
    with _one:  # a worker has one thread, as it is started here; one started by hand may have more
        try:
            return _run_point(Path(root), spec, label, warm)
        except ReportError as error:
            return str(error)


def _run_point(root: Path, spec: dict[str, Any], label: str, warm: bool) -> str:
    if not root.is_dir():
        raise ReportError(f"The worker does not see {root}; all machines must share that folder.")
    sweep, setting, pool = _planned(Project(root), spec)
    point = next((point for point in sweep.points if point.label == label), None)
    if point is None:
        raise ReportError("The code or the data changed since the sweep began; call it again.")
    runs, finished = sweep.project.runs / sweep.spec.phase, Finished(sweep)
    while (claim := Claim.take(runs, label)) is None:  # a worker that was taken for lost may still be at it
        time.sleep(0.1)
    try:
        finished.look()
        if finished.of(point):
            return ""
        setting = replace(setting, profile=point.profile)
        for _ in range(TRIES):
            attempt = Attempt(setting, sweep.notebook, sweep.upstream, label, pool.start if warm else None)
            try:
                while not attempt.ended():
                    time.sleep(0.01)
                if not attempt.orphan:
                    return concluded(attempt)
            finally:
                attempt.discard()  # of one that was concluded nothing is left to discard
        return f"the process that loads what runs share was killed {TRIES} times"
    finally:
        claim.release()


def _planned(project: Project, spec: dict[str, Any]) -> tuple[Sweep, Setting, Warm]:
    """The sweep as this worker sees it; planned once, and again when its notebook changes."""
    content = {key: value for key, value in spec["plain"].items() if key != "notebook"}
    asked = Spec.checked("The driver", spec["name"], spec["plain"]["notebook"], content)
    stamp = f"{asked}{(project.phases / f'{asked.phase}.ipynb').stat().st_mtime_ns}"
    if stamp not in _sweeps:
        for _, _, pool in _sweeps.values():
            pool.close()
        _sweeps.clear()
        sweep = Sweep.plan(project, asked)
        setting = Setting.now(project, Profile(asked.name, {}), threads_of_a_run())
        _sweeps[stamp] = sweep, setting, Warm(project, sweep.notebook, sweep.shared)
    return _sweeps[stamp]
