"""What a run of a sweep costs beyond its notebook's own work, beside plain papermill in a loop.

The notebook imports audiocraft, loads étude and draws half a second of music.  Its own work is what the last
cell takes; everything else counts: the process, imports, the model, writing down results.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat

from ..project import Project, ReportError
from .drive import drive
from .points import Finished, Sweep
from .spec import Spec

PHASE = "0-short"
CELLS = (
    "seed = 0",
    "import numpy as np\nimport matplotlib.pyplot as plt\nimport interp\nfrom interp import results",
    "model = interp.load('etude', device='cpu')",
    "import time\n\nbegin = time.process_time()\n"
    "made = model.generate(['calm'], seconds=0.5, seed=seed)\n"
    "results.number('tokens', float(made.tokens.double().mean()))\n"
    "print(time.process_time() - begin)",
)


def bench(runs: int = 24, loop: int = 3) -> list[str]:
    """Measure, one run at a time.

    Parameters
    ----------
    runs : of the sweep.
    loop : of papermill in a loop, whose runs are all alike and long.

    Returns
    -------
    list of str
        Lines to print.
    """
    with tempfile.TemporaryDirectory(prefix="report-bench-") as folder:
        project = _project(Path(folder).resolve())
        seeds = {"seed": list(range(runs))}
        sweep = Sweep.plan(project, Spec.checked("bench", "short", PHASE, {"grid": seeds}))
        begin = _clocks()
        outcome = drive(sweep, jobs=1)
        whole = _clocks() - begin
        if outcome.failed:
            raise ReportError(f"The sweep to be measured failed: {next(iter(outcome.failed.values()))}")
        finished = Finished(sweep)
        finished.look()
        found = [finished.of(point) for point in sweep.points]
        own = [_own_work(folder / "notebook.ipynb") for folder, _ in found]
        each = [manifest["wall_s"] - work[0] for (_, manifest), work in zip(found, own, strict=True)]
        plain = [_papermill(project, seed) for seed in range(loop)]
    here, there = (whole - sum(own)) / runs, sum(plain) / loop
    return [
        f"a short run in a sweep, beyond its notebook's own work: {here[0]:.2f} s, of processor time "
        f"{here[1]:.2f} s  ({runs} runs one by one, what they share counted in; the middle one alone "
        f"{statistics.median(each):.2f} s)",
        f"the same with papermill in a loop: {there[0]:.2f} s, of processor time {there[1]:.2f} s  "
        f"({loop} runs)",
    ]


def _clocks() -> Any:
    """Seconds by the clock, and of processor time of this process and of those that it has waited for."""
    import numpy as np

    mine, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return np.array([time.monotonic(), sum(who.ru_utime + who.ru_stime for who in (mine, others))])


def _project(root: Path) -> Project:
    (root / "phases" / "profiles").mkdir(parents=True)
    (root / "phases" / "profiles" / "etude.yaml").write_text(f"phases: {{{PHASE}: {{}}}}")
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("")
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{at}") for at, source in enumerate(CELLS)]
    cells[0].metadata["tags"] = ["parameters"]
    node = nbformat.v4.new_notebook(cells=cells)
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    node.metadata["report"] = {"warm": ["interp.prepare('etude', device='cpu')"]}
    nbformat.write(node, root / "phases" / f"{PHASE}.ipynb")
    return Project(root)


def _own_work(notebook: Path) -> Any:
    """Seconds that the cell after those of imports and model took: by the clock, and of processor time."""
    import numpy as np

    code = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in code if cell.source == CELLS[-1]]
    times = cell.metadata["papermill"]
    begin, end = (datetime.fromisoformat(times[name]) for name in ("start_time", "end_time"))
    (shown,) = [output for output in cell.outputs if output.get("name") == "stdout"]
    return np.array([(end - begin).total_seconds(), float(shown["text"])])


def _papermill(project: Project, seed: int) -> Any:
    """Seconds beyond its work of one run by papermill's own command, likewise."""
    output = project.root / f"{seed}.ipynb"
    command = [sys.executable, "-m", "papermill", str(project.phases / f"{PHASE}.ipynb"), str(output)]
    begin = _clocks()
    done = subprocess.run(
        [*command, "-p", "seed", str(seed), "-k", "python3", "--no-progress-bar"],
        cwd=project.root,
        capture_output=True,
        text=True,
    )
    spent = _clocks() - begin
    if done.returncode:
        raise ReportError(f"papermill failed: {done.stderr.strip().splitlines()[-1]}")
    return spent - _own_work(output)
