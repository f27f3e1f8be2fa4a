"""Small projects for tests of the report builder: one phase, or a study of four."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from report.notebook import Notebook
from report.profile import Profile
from report.project import Project

PHASE = "0-noise"

CELLS = [
    "import sys\n\nsys.path.insert(0, '.')\nimport loud\nimport numpy as np\n"
    "import matplotlib.pyplot as plt\n"
    "from interp import results\n\nwave = loud.LEVEL * np.random.default_rng(seed).standard_normal(8000)",
    "results.number('level', np.float64(wave.std()), n=3, interval=(0.05, 0.25));",
    "fig, ax = plt.subplots()\nax.plot(wave[:99])\n"
    "results.figure('wave', fig, caption='Noise, **not** music.', alt='A jagged line');",
    "import pandas as pd\n\n"
    "results.table('counts', pd.DataFrame({'n': [3], 'of': ['[a|b] *c*']}, ['x_1']), caption='Of *all*.')",
    "results.audio('noise', wave, 8000, caption='Noise <b>&</b> more', listen='hiss, <i>no</i> pitch');",
]
OUTPUTS = {"numbers": ["level"], "figures": ["wave"], "tables": ["counts"], "audio": ["noise"]}


def make_project(root: Path, extra: tuple[str, ...] = (), **declared) -> Project:
    """Write a project whose phase runs :data:`CELLS` and then ``extra``."""
    (root / "phases" / "profiles").mkdir(parents=True)
    (root / "loud.py").write_text("LEVEL = 0.1\n")
    (root / "data.txt").write_text("1\n")
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("a==1\n")
    declared = {"outputs": OUTPUTS, "data": ["data.txt"]} | declared
    write_notebook(root, [*CELLS, *extra], declared)
    set_parameters(root, {"seed": 1})
    return Project(root)


def write_notebook(root: Path, code: list[str], declared: dict, prose: str = "Text.") -> None:
    write_phase(root, PHASE, code, declared, "seed = 0  # any\nname = 'all'", f"# Noise\n\n{prose}")


def write_phase(root: Path, phase: str, code: list[str], declared: dict, parameters: str, prose: str) -> None:
    """Write a notebook: a cell of prose, the parameters, then the code."""
    cells = [new_markdown_cell(prose), new_code_cell(parameters)]
    cells[1].metadata["tags"] = ["parameters"]
    cells += [new_code_cell(source) for source in code]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    node = new_notebook(cells=cells, nbformat_minor=5)
    node.metadata["report"] = declared
    nbformat.write(node, root / "phases" / f"{phase}.ipynb")


def set_parameters(root: Path, parameters: dict, profile: str = "etude") -> None:
    content = {"phases": {PHASE: {"parameters": parameters}}}
    (root / "phases" / "profiles" / f"{profile}.yaml").write_text(yaml.safe_dump(content))


def read(project: Project, profile: str = "etude") -> tuple[Profile, Notebook]:
    return Profile.read(project, profile), Notebook.read(project, PHASE)


# A study of four phases: one alone, and a chain of three in which the last reads from both others.
READS = {
    "0-alone": {},
    "1-first": {},
    "2-middle": {"1-first": ["sum.json"]},
    "3-last": {"1-first": ["sum.json"], "2-middle": ["sum.json"]},
}
PREPARE = (
    "import json, os, sys, time\n\nsys.path.insert(0, '.')\nimport ours\n"
    "from interp import results\nfrom interp.results import artefacts\n\nphase = {phase!r}\n"
    "with open('ran.log', 'a') as log:\n    log.write(f'{{phase}} {{seed}}\\n')\n"
)
ADD = (
    "total = seed + ours.step()\nfor other, names in {reads!r}.items():\n    for name in names:\n"
    "        total += json.loads(artefacts.artefact(other, name).read_text())\ntime.sleep(pause)"
)
LEAVE = (
    "results.number('total', total)\nprint('token', os.urandom(8).hex())  # tells one run from another\n"
    "artefacts.leave('sum.json', lambda path: path.write_text(json.dumps(total)))\ntime.sleep(pause)"
)


def make_study(root: Path, **parameters) -> Project:
    """Write the study; every run of a phase appends its name and seed to ``ran.log``."""
    (root / "phases" / "profiles").mkdir(parents=True)
    (root / "ours.py").write_text("def step():\n    return 1\n\n\ndef other():\n    return 0\n")
    an_hour_ago = time.time() - 3600  # when a process started is known to a second: no change during a run
    os.utime(root / "ours.py", (an_hour_ago, an_hour_ago))
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("a==1\n")
    for phase in READS:
        write_study_phase(root, phase)
    set_study(root, **parameters)
    return Project(root)


def write_study_phase(root: Path, phase: str, *extra: str, prose: str = "Text.", **declared) -> None:
    reads = declared.get("reads", READS[phase])
    code = [PREPARE.format(phase=phase), ADD.format(reads=reads), LEAVE, *extra]
    declared = {"outputs": {"numbers": ["total"]}, "leaves": ["sum.json"], "reads": reads} | declared
    write_phase(root, phase, code, declared, "seed = 0\npause = 0.0", f"# {phase}\n\n{prose}")


def set_study(root: Path, phases: tuple[str, ...] = tuple(READS), **parameters) -> None:
    content = {"phases": {phase: {"parameters": parameters} for phase in phases}}
    (root / "phases" / "profiles" / "etude.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
