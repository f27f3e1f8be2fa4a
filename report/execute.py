"""The process in which one notebook runs: ``python -m report.execute job.json``.

A process of its own, since papermill changes the working directory and a kernel may take its parent down.  It
leaves ``outcome.json``; when that is missing, the process did not get to its end.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .project import read_json, write_atomic, write_json


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Run the notebook of a job and say how it ended.

    Parameters
    ----------
    job : ``input``, ``output``, ``cwd`` (paths), ``parameters``, ``cell_timeout_s``, ``progress`` (a JSON
        file of which ``cell`` and ``line`` are kept up to date), ``reserve`` (a file to delete when the disk
        is full), ``sockets`` (a folder with a short path, for this run alone).

    Returns
    -------
    dict
        ``ok``, and if false ``reason`` (one line), ``cell`` (1-based) and ``line``, its first.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    current = read_json(Path(job["progress"]))

    class Engine(NBClientEngine):
        """papermill's own engine; notes the cell that runs, which papermill forgets when a kernel dies."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            start = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                if cell.cell_type == "code":
                    lines = [line for line in cell.source.splitlines() if line.strip()]
                    before = nb_man.nb.cells[: cell_index + 1]  # numbered as in the committed notebook
                    number = sum("injected-parameters" not in c.metadata.get("tags", []) for c in before)
                    current.update(cell=number, line=lines[0].strip() if lines else "")
                    write_json(Path(job["progress"]), current)
                return start(cell, cell_index, **more)

            def save(**_):  # papermill's own leaves half a notebook when the disk is full
                for path in ("input_path", "output_path"):  # of this machine: readers have no use for them
                    nb_man.nb.metadata.papermill.pop(path, None)
                write_atomic(Path(job["output"]), nbformat.writes(nb_man.nb) + "\n")
                # Else papermill, which saves twice a minute, does so at every message: at each step of a bar.
                nb_man.last_save_time = nb_man.now()

            nb_man.cell_start, nb_man.save = cell_start, save
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("report", Engine)
    # TCP ports clash when several kernels start at once; so do sockets of the default name, which lie in the
    # working directory.  They are named after the connection file, so each run has its own.
    connection = {"transport": "ipc", "connection_file": str(Path(job["sockets"]) / "kernel.json")}
    try:
        papermill.execute_notebook(
            job["input"],
            None,  # see save() above
            parameters=job["parameters"],
            engine_name="report",
            kernel_name="python3",
            language="python",
            cwd=job["cwd"],
            progress_bar=False,  # the build has one display for all
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            execution_timeout=job["cell_timeout_s"],
            iopub_timeout=int(job["cell_timeout_s"]),  # the default of 4 s is short on a busy machine
            config=Config({"KernelManager": connection, "AsyncKernelManager": connection}),
        )
    except PapermillExecutionError as error:
        print(str(error), file=sys.stderr)  # the traceback, for the log
        reason = " ".join(f"{error.ename}: {error.evalue}".split())
    except CellTimeoutError:
        reason = f"it took longer than {job['cell_timeout_s']:g} s (cell_timeout_s in the metadata)"
    except DeadKernelError:
        reason = "its kernel died (killed, or out of memory)"
    except OSError as error:
        Path(job["reserve"]).unlink(missing_ok=True)
        reason = f"{type(error).__name__}: {error}"
    else:
        return {"ok": True}
    return {"ok": False, "reason": reason, **current}


def end_with_parent() -> None:
    """End this process when the one that started it is gone, even if that was killed; its kernel follows."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    end_with_parent()
    job = read_json(Path(sys.argv[1]))
    write_json(Path(job["outcome"]), execute(job))


if __name__ == "__main__":
    main()
