"""A small notebook to sweep over, and what tests ask of its runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import yaml
from report_project import write_phase

from report.project import Project, read_json
from report.sweeps.points import Finished, Sweep
from report.sweeps.spec import Spec

PHASE = "3-bend"
CODE = [
    "import sys\n\nsys.path.insert(0, '.')\nimport random\nimport time\n\nimport numpy as np\n"
    "from interp import results\nimport shape\n\nwith open('ran.log', 'a') as log:\n"
    "    log.write(f'{layer} {strength}\\n')",
    "value = shape.bend(layer, strength)\nshape.LOADED.append(layer)  # what a run leaves in a module\n"
    "results.number('bend', value, n=len(shape.LOADED), interval=(value - 1, value + 1))\n"
    "results.number('drawn', float(np.random.default_rng(layer).normal()))\ntime.sleep(pause)",
]
PARAMETERS = "layer = 0  # which\nstrength = 0.5\nname = 'all'\npause = 0.0"


def make_sweep_project(root: Path, *extra: str, **declared) -> Project:
    """Write a project whose one phase bends ``layer`` and ``strength`` into a number."""
    (root / "phases" / "profiles").mkdir(parents=True)
    (root / "phases" / "sweeps").mkdir()
    (root / "shape.py").write_text(
        "LOADED = []\nwith open('imports.log', 'a') as log:\n    log.write('x')\n\n\n"
        "def bend(layer, strength):\n    return layer * strength\n"
    )
    an_hour_ago = time.time() - 3600
    os.utime(root / "shape.py", (an_hour_ago, an_hour_ago))
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("a==1\n")
    (root / "phases" / "profiles" / "etude.yaml").write_text(f"phases: {{{PHASE}: {{}}}}")
    declared = {"outputs": {"numbers": ["bend", "drawn"]}} | declared
    write_phase(root, PHASE, [*CODE, *extra], declared, PARAMETERS, "# Bend")
    return Project(root)


def planned(project: Project, name: str = "bends", **content) -> Sweep:
    return Sweep.plan(project, Spec.checked("here", name, PHASE, content))


def written(project: Project, name: str = "bends", **content) -> Path:
    path = project.phases / "sweeps" / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"notebook": PHASE, **content}))
    return path


def numbers(sweep: Sweep) -> dict[str, dict]:
    """The recorded numbers of every finished point, by its swept values in words."""
    finished = Finished(sweep)
    finished.look()
    runs = {str(point.swept): finished.of(point) for point in sweep.points}
    return {at: read_json(run[0] / "results.json")["numbers"] for at, run in runs.items() if run}


def began(project: Project) -> list[str]:
    """A line for every run that ever began."""
    log = project.root / "ran.log"
    return log.read_text().splitlines() if log.is_file() else []


def imports(project: Project) -> int:
    """How many processes have imported the project's module."""
    log = project.root / "imports.log"
    return len(log.read_text()) if log.is_file() else 0
