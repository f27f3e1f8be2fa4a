"""What phases declare as shared between the runs of a sweep is what each run would have made itself."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from report.notebook import Notebook
from report.project import Project, here, read_json
from report.sweeps.drive import drive
from report.sweeps.points import Finished, Sweep
from report.sweeps.spec import Spec

PHASES = [phase for phase in sorted(here().phases.glob("*.ipynb")) if "interp.load(" in phase.read_text()]
BEFORE = "from interp.loading import _prepared\n\nahead = len(_prepared)"
USES = """\
with open(f"{seed}.txt", "w") as file:
    print(ahead, len(_prepared), file=file)
for label, subject in subjects.items():
    made = subject.generate(["calm music"], seconds=0.4, seed=seed)
    label = label.replace(" ", "-")
    results.number(f"{label}.sum", float(made.tokens.sum()))
    results.number(f"{label}.level", float(made.audio.square().sum()), note=subject.hash)
"""


def shortened(phase: Path) -> list[str]:
    """A phase's parameters, imports and models, and a little music from each of them."""
    notebook = Notebook.read(here(), phase.stem)
    (parameters,) = [c.source for c in notebook.node.cells if "parameters" in c.metadata.get("tags", [])]
    statements = [node for code in notebook.code for node in ast.parse(code).body]
    imports = [ast.unparse(node) for node in statements if isinstance(node, (ast.Import, ast.ImportFrom))]
    written = [ast.unparse(node) for node in statements if isinstance(node, (ast.Assign, ast.AugAssign))]
    models = [line for line in written if "interp.load(" in line or line == "name = Path(model).name"]
    return [parameters, "\n".join(imports), BEFORE, "\n".join(models), USES]


def make(root: Path, phase: Path) -> Project:
    """A project whose one phase is the shortened one, with what the phase declares as warm."""
    (root / "phases" / "profiles").mkdir(parents=True)
    (root / "phases" / "profiles" / "etude.yaml").write_text(f"phases: {{{phase.stem}: {{}}}}")
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("")
    cells = [nbformat.v4.new_code_cell(code, id=f"cell-{at}") for at, code in enumerate(shortened(phase))]
    cells[0].metadata["tags"] = ["parameters"]
    node = nbformat.v4.new_notebook(cells=cells)
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    node.metadata["report"] = {"warm": Notebook.read(here(), phase.stem).declared["warm"]}
    nbformat.write(node, root / "phases" / phase.name)
    return Project(root)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.stem)
def test_runs_that_share_a_phases_models_give_what_a_fresh_process_gives(phase, tmp_path, capsys):
    left, ahead = {}, {}
    for kind, seeds in (("cold", [1]), ("warm", [2, 1])):
        project = make(tmp_path / kind, phase)
        spec = {"grid": {"seed": seeds}, "parameters": {"device": "cpu"}}
        sweep = Sweep.plan(project, Spec.checked("the test", "short", phase.stem, spec))
        outcome = drive(sweep, jobs=1, warm=kind == "warm")
        assert (outcome.ran, outcome.failed) == (len(seeds), {})
        finished = Finished(sweep)
        finished.look()
        folder, manifest = finished.of(sweep.points[-1])
        left[kind] = manifest["key"], read_json(folder / "results.json")
        ahead[kind] = (project.root / "1.txt").read_text().split()
    assert left["warm"] == left["cold"], "the same results under the same key, after another run"
    models = len(left["cold"][1]["numbers"]) // 2
    assert ahead == {"cold": ["0", "0"], "warm": [str(models), "0"]}, "all there, all taken"
    said = capsys.readouterr().err
    assert "process of its own" not in said and "each run does it anew" not in said
