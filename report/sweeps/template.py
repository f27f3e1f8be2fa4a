"""A process that has loaded what a notebook needs, and forks a child for each run: ``python -m
report.sweeps.template``.

Imports of 6–7 s and a model's weights are paid here once.  A child is a copy of this process, so each run
begins as a fresh one does: nothing that a run does to a module, a model or the generators of random numbers
reaches the next.  A kernel that is kept and emptied between runs, the other way to share imports, cannot
promise that; :mod:`report.sweeps` has both in figures.

Two things make a fork safe: this process never starts a thread and never speaks to a GPU.  The first is
looked at before every fork; where it does not hold, runs get a process of their own and it is said why.

Requests come as lines of JSON on standard input, answers go to standard output.  When the input ends, so
does this process; its children look after their parent themselves.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
import traceback
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

from ..execute import execute
from ..project import read_json, write_json

# What the two processes of a run import in any case: the one that runs the notebook, and its kernel.
BOTH = (
    *("papermill", "papermill.engines", "nbformat", "nbclient", "jupyter_client.provisioning"),
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger"),
    *("debugpy.server.api", "IPython.core.completerlib", "IPython.core.debugger", "IPython.core.logger"),
    *("IPython.core.oinspect", "IPython.extensions.storemagic", "sqlite3", "tornado.platform.asyncio"),
    *("tornado.queues", "xmlrpc.server", "pydoc", "runpy", "psutil"),
)
STARTS_THREADS = ("onnxruntime",)  # when it is imported: its import waits until the run itself asks for it


class PutOff(ModuleType):
    """Stands for a module whose import starts threads: what is taken from it is looked up when called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = self.__name__

        def later(*arguments: Any, **named: Any) -> Any:
            return getattr(importlib.import_module(module), name)(*arguments, **named)

        return later


def preload(code: list[str], parameters: dict[str, Any], warm: list[str]) -> list[str]:
    """Import what a notebook's cells import at their top level, then run what it declares as ``warm``.

    Parameters
    ----------
    code : the notebook's code cells.
    parameters : those that are the same in all runs; ``warm`` may use them.
    warm : statements that load what can be shared, such as ``interp.prepare(model)``.

    Returns
    -------
    list of str
        What could not be loaded, one line each.  That is no failure: the runs will try again.
    """
    for name in BOTH:
        importlib.import_module(name)
    nbformat = importlib.import_module("nbformat")
    nbformat.reads(nbformat.writes(nbformat.v4.new_notebook()), as_version=4)  # compiles its schema
    missing = []
    for name in STARTS_THREADS:
        spec = importlib.util.find_spec(name)
        if spec is not None:
            sys.modules[name] = PutOff(name)
            sys.modules[name].__spec__ = spec
    space: dict[str, Any] = {}
    for statement in [found for cell in code for found in _imports(cell)]:
        try:
            exec(statement, space)
        except Exception as error:
            missing.append(f"`{statement}`: {type(error).__name__}: {error}")
    space |= parameters
    for statement in warm:
        try:
            exec(statement, space)
        except Exception as error:
            missing.append(f"`{statement}`: {type(error).__name__}: {error}")
    for name in STARTS_THREADS:
        if isinstance(sys.modules.get(name), PutOff):
            del sys.modules[name]
    return missing


def leave_ends() -> None:
    """Let copies of this process not do at their end what libraries ask for things that were made here.

    They would tidy up what is not theirs, and torch's log of its compilations takes longer than all the rest.
    """
    for made in weakref.finalize._registry.values():
        made.atexit = False
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo:
        atexit.unregister(dynamo.dump_compile_times)


def _imports(cell: str) -> list[str]:
    """The import statements at a cell's top level; none where the cell is not plain Python."""
    try:
        body = ast.parse(cell).body
    except SyntaxError:  # IPython's own syntax, or a mistake that the run will show
        return []
    return [ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]


def threads() -> int:
    """How many threads this process has, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def sources() -> dict[str, int]:
    """The source files that are loaded outside installed libraries, and when each was changed."""
    found = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and "site-packages" not in file and os.path.isfile(file):
            if not file.startswith((sys.base_prefix, sys.prefix)):
                found[file] = os.stat(file).st_mtime_ns
    return found


def serve() -> None:
    """Load, then fork on request until the input ends."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    requests = sys.stdin.buffer
    first = json.loads(requests.readline())
    begin, environment = time.time(), dict(os.environ)
    with contextlib.redirect_stdout(sys.stderr):  # what imports print is not for the protocol
        missing = preload(first["code"], first["parameters"], first["warm"])
    loaded = sources()
    late = [file for file, changed in loaded.items() if changed > begin * 1e9]
    by_imports = {name: value for name, value in os.environ.items() if environment.get(name) != value}
    leave_ends()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, what all of them share
    _say({"threads": threads(), "missing": missing, "changed": late})
    while True:
        readable, _, _ = select.select([requests, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            _reap()
        if requests in readable:
            line = requests.readline()
            if not line:
                return
            changed = [file for file, when in loaded.items() if not _is(file, when)]
            if changed or threads() > 1:
                _say({"refused": changed, "threads": threads()})
                continue
            me, pid = os.getpid(), os.fork()
            if pid == 0:
                _end_with(me)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for end in (wake, woken):
                    os.close(end)
                _child(json.loads(line), by_imports)
            _say({"began": pid})


def _is(file: str, when: int) -> bool:
    return os.path.isfile(file) and os.stat(file).st_mtime_ns == when


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _say({"ended": found[0], "status": os.waitstatus_to_exitcode(found[1])})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _child(request: dict[str, Any], by_imports: dict[str, str]) -> None:
    """Become the process that runs one notebook; it and its kernel never return.

    Parameters
    ----------
    by_imports : environment variables that imports have set.
    """
    status = 1
    try:
        os.setsid()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        empty = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, empty), (1, log), (2, log)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(request["environment"] | by_imports)
        os.chdir(request["cwd"])
        _own_random_numbers()
        orders, give = os.pipe()
        me, kernel = os.getpid(), os.fork()  # at once, before this process starts threads
        if kernel == 0:
            _end_with(me)
            os.close(give)
            _kernel(orders)
        os.close(orders)
        _kernel_comes_from(kernel, give)
        job = read_json(Path(request["job"]))
        write_json(Path(job["outcome"]), execute(job))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with(parent: int) -> None:
    """Be killed by the system when the parent ends, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it has already
        os._exit(1)


def _own_random_numbers() -> None:
    """Seed anew what a fresh process seeds from the system; Python's own does so by itself."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()


def _threads(number: int) -> None:
    """Let numerical libraries that are loaded use as many threads as the environment would have told them."""
    if number > 1:
        import threadpoolctl

        threadpoolctl.threadpool_limits(number)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(number)


def _kernel_comes_from(kernel: int, give: int) -> None:
    """Let jupyter_client take a waiting process where it would start one."""
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import KernelManager
    from jupyter_client.provisioning import local_provisioner

    def take(command: list[str], **options: Any) -> Kernel:
        environment = dict(options["env"]) | {"JPY_PARENT_PID": str(os.getpid())}
        order = {"argv": command, "env": environment, "cwd": options.get("cwd") or os.getcwd()}
        with os.fdopen(give, "w") as file:
            json.dump(order, file)
        found = Kernel(kernel)
        at = read_json(Path(command[command.index("-f") + 1]))
        # Who connects before the kernel listens waits for a second try.
        while found.poll() is None and not os.path.exists(f"{at['ip']}-{at['shell_port']}"):
            time.sleep(0.002)
        return found

    local_provisioner.launch_kernel = take
    patient = AsyncKernelClient.wait_for_ready

    async def wait_for_ready(self: AsyncKernelClient, timeout: float | None = None) -> None:
        """jupyter_client's own, which at the end listens for 0.2 s whether the kernel says any more."""
        channel, heard = self.iopub_channel, False
        listen = channel.get_msg

        async def get(timeout: float) -> Any:
            nonlocal heard
            message = await listen(timeout=0.01 if heard else timeout)
            heard = True
            return message

        channel.get_msg = get
        try:
            await patient(self, timeout)
        finally:
            channel.get_msg = listen

    AsyncKernelClient.wait_for_ready = wait_for_ready
    leisurely = KernelManager._async_wait

    async def wait(self: KernelManager, pollinterval: float = 0.1) -> None:
        """Whether the kernel has ended is looked at every hundredth of a second instead of every tenth."""
        await leisurely(self, pollinterval=0.01)

    KernelManager._async_wait = wait


class Kernel:
    """What jupyter_client asks of a ``subprocess.Popen``, for a child that was forked."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while self.poll() is None:
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _kernel(orders: int) -> None:
    """Become an IPython kernel when told where; what ``python -m ipykernel_launcher`` does."""
    try:
        os.setsid()
        with os.fdopen(orders) as file:
            text = file.read()
        if not text:  # the process that would have used it is gone
            os._exit(0)
        order = json.loads(text)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        _own_random_numbers()
        _threads(int(order["env"].get("OMP_NUM_THREADS", 1)))
        if sys.path[0] in ("", order["cwd"]):  # a kernel adds it itself, as ''
            del sys.path[0]
        ours = [name for name in sys.modules if name == "report" or name.startswith("report.")]
        # A run's key counts the modules of its kernel.  The others: multiprocessing's second name for this
        # very module, and what report/__init__.py keeps from being imported.
        for name in (*ours, "__mp_main__", "rfc3987_syntax"):
            sys.modules.pop(name, None)
        launcher = importlib.util.find_spec("ipykernel_launcher").origin
        sys.argv = [launcher, *order["argv"][order["argv"].index("-f") :]]
        from ipykernel.kernelapp import IPKernelApp

        IPKernelApp.launch_instance()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
