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

from .project import read_json, write_json


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Run the notebook of a job and say how it ended.

    Parameters
    ----------
    job : ``input``, ``output``, ``cwd`` (paths), ``parameters``, ``cell_timeout_s``, ``progress`` (a file
        that always holds the number of the current cell).

    Returns
    -------
    dict
        ``ok``, and if false ``reason`` (one line) and ``cell`` (1-based).
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    current = {"cell": 0, "line": ""}

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
                    write_json(Path(job["progress"]), current | {"of": len(nb_man.nb.cells)})
                return start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("report", Engine)
    transport = {"transport": "ipc"}  # TCP ports clash when several kernels start at once
    try:
        papermill.execute_notebook(
            job["input"],
            job["output"],
            parameters=job["parameters"],
            engine_name="report",
            kernel_name="python3",
            language="python",
            cwd=job["cwd"],
            progress_bar=True,
            execution_timeout=job["cell_timeout_s"],
            config=Config({"KernelManager": transport, "AsyncKernelManager": transport}),
        )
    except PapermillExecutionError as error:
        print(str(error), file=sys.stderr)  # the traceback, for the log
        reason = " ".join(f"{error.ename}: {error.evalue}".split())
    except CellTimeoutError:
        reason = (
            f"it took longer than {job['cell_timeout_s']:g} s (the limit is cell_timeout_s in the metadata)"
        )
    except DeadKernelError:
        reason = "its kernel died (killed, or out of memory)"
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
