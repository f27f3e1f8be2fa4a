"""What a run of a sweep costs beyond its notebook's own work, beside plain papermill in a loop.

The notebook imports audiocraft, loads étude and draws half a second of music.  Its own work is what the last
cell takes; everything else counts: the process, imports, the model, writing down results.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

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
    "made = model.generate(['calm'], seconds=0.5, seed=seed)\n"
    "results.number('tokens', float(made.tokens.double().mean()))",
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
        begin = time.monotonic()
        outcome = drive(sweep, jobs=1)
        whole = time.monotonic() - begin
        if outcome.failed:
            raise ReportError(f"The sweep to be measured failed: {next(iter(outcome.failed.values()))}")
        finished = Finished(sweep)
        finished.look()
        notebooks = [finished.of(point)[0] / "notebook.ipynb" for point in sweep.points]
        own = [_own_work(path) for path in notebooks]
        middle = statistics.median(
            finished.of(point)[1]["wall_s"] - work for point, work in zip(sweep.points, own, strict=True)
        )
        plain = [_papermill(project, seed) for seed in range(loop)]
    beside = statistics.median(seconds - work for seconds, work in plain)
    return [
        f"a short run in a sweep, beyond its notebook's work: {(whole - sum(own)) / runs:.2f} s  "
        f"({runs} runs in {whole:.1f} s, {sum(own):.1f} s of them work; what is shared is counted in; "
        f"the middle one alone {middle:.2f} s)",
        f"the same in a loop of papermill: {beside:.2f} s  (median of {loop} runs)",
    ]


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


def _own_work(notebook: Path) -> float:
    """Seconds that the cell after those of imports and model took."""
    code = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in code if cell.source == CELLS[-1]]
    times = cell.metadata["papermill"]
    begin, end = (datetime.fromisoformat(times[name]) for name in ("start_time", "end_time"))
    return (end - begin).total_seconds()


def _papermill(project: Project, seed: int) -> tuple[float, float]:
    """Seconds of one run by papermill's own command, and of its work."""
    output = project.root / f"{seed}.ipynb"
    command = [sys.executable, "-m", "papermill", str(project.phases / f"{PHASE}.ipynb"), str(output)]
    begin = time.monotonic()
    done = subprocess.run(
        [*command, "-p", "seed", str(seed), "-k", "python3", "--no-progress-bar"],
        cwd=project.root,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - begin
    if done.returncode:
        raise ReportError(f"papermill failed: {done.stderr.strip().splitlines()[-1]}")
    return seconds, _own_work(output)
