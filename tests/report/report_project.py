"""A small project with one phase, for tests of the report builder."""

from __future__ import annotations

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
    "results.audio('noise', wave, 8000, caption='Noise <b>&</b> more');",
]
OUTPUTS = {"numbers": ["level"], "figures": ["wave"], "audio": ["noise"]}


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
    cells = [new_markdown_cell(f"# Noise\n\n{prose}"), new_code_cell("seed = 0  # any\nname = 'all'")]
    cells[1].metadata["tags"] = ["parameters"]
    cells += [new_code_cell(source) for source in code]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    node = new_notebook(cells=cells, nbformat_minor=5)
    node.metadata["report"] = declared
    nbformat.write(node, root / "phases" / f"{PHASE}.ipynb")


def set_parameters(root: Path, parameters: dict, profile: str = "etude") -> None:
    content = {"phases": {PHASE: {"parameters": parameters}}}
    (root / "phases" / "profiles" / f"{profile}.yaml").write_text(yaml.safe_dump(content))


def read(project: Project, profile: str = "etude") -> tuple[Profile, Notebook]:
    return Profile.read(project, profile), Notebook.read(project, PHASE)
