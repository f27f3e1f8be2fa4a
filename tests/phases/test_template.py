"""The template of a phase runs as it is: on a prepared corpus of MIDI files, and into a book."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from report.book import build_book
from report.collect import collect
from report.notebook import Notebook
from report.profile import Profile
from report.project import Project

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "phases" / "templates" / "human-labels.ipynb"
GUIDE = (ROOT / "book" / "your-phase.md").read_text()
(PHASE,) = re.findall(
    r"^cp \S+ phases/(\S+)\.ipynb$", GUIDE, re.MULTILINE
)  # the name that the guide gives it


def test_it_is_committed_without_outputs_and_declares_what_it_leaves(tmp_path):
    node = nbformat.read(TEMPLATE, 4)
    cells = [cell for cell in node.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert "parameters" in cells[0].metadata.tags
    code = "\n".join(cell.source for cell in cells)
    for kind, names in node.metadata.report["outputs"].items():
        for name in names:
            assert name in ("valence", "arousal") or f'"{name}"' in code, (kind, name)


def test_its_prose_points_at_what_there_is_under_the_name_that_the_guide_gives_it():
    node = nbformat.read(TEMPLATE, 4)
    prose = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    outputs = node.metadata.report["outputs"]
    labels = {f"fig-{PHASE}-{name}" for name in outputs["figures"]}
    labels |= {f"tab-{PHASE}-{name}" for name in outputs["tables"]}
    assert set(re.findall(r"\{numref\}`([^`]+)`", prose)) == labels
    (page,) = re.findall(r"\{doc\}`\.\./([^`]+)`", prose)  # from phases/, where the copy lies
    assert prose.count("{doc}") == 1 and (ROOT / "book" / f"{page}.md").is_file()
    assert f"`- file: phases/{PHASE}`" in GUIDE and f"  {PHASE}:\n" in GUIDE


@pytest.mark.slow
def test_a_phase_of_ones_own_is_built_from_it(tmp_path):
    """Copied, named in a profile, given a prepared corpus in VGMIDI's format: a run, and a page of a book."""
    sys.path.insert(0, str(ROOT / "tests" / "corpora"))
    from made_up import midi

    from corpora.vgmidi import VGMIDI
    from etude.midi import render
    from interp.corpora import prepared
    from report.run import run_profile

    table = ["id,series,console,game,piece,midi,valence,arousal"]
    for i in range(24):
        valence, arousal = (1, -1)[i % 2], (1, -1)[i // 2 % 2]
        name = f"labelled/phrases/Game_{i}.mid"
        third = 4 if valence > 0 else 3
        midi(
            tmp_path / "set" / name, (55 + i % 5, 55 + i % 5 + third, 62 + i % 5), seconds=2.5 + (arousal > 0)
        )
        table.append(f"{i},S,C,Game,Piece {i},{name},{valence},{arousal}")
    (tmp_path / "set/vgmidi_labelled.csv").write_text("\n".join(table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "renderer", lambda name=None: render)
        patch.setattr("corpora.listen.renderer", lambda name=None: render)
        corpus = VGMIDI.prepare(tmp_path / "set", tmp_path / "prepared", progress=False)

    root = tmp_path / "project"
    (root / "phases" / "profiles").mkdir(parents=True)
    for lock in ("requirements.lock", "requirements-nodeps.lock"):
        (root / lock).write_text("a==1\n")
    shutil.copy(TEMPLATE, root / "phases" / f"{PHASE}.ipynb")
    parameters = {"corpus": str(corpus), "smoke": True, "device": "cpu"}
    profile = {"phases": {PHASE: {"parameters": parameters}}}
    (root / "phases" / "profiles" / "mine.yaml").write_text(yaml.safe_dump(profile))
    project = Project(root)
    assert Notebook.read(project, PHASE).defaults()["corpus"]
    mine = Profile.read(project, "mine")
    states = run_profile(project, mine)
    (manifest,) = root.rglob("manifest.json")
    results = json.loads((manifest.parent / "results.json").read_text())
    assert results["numbers"]["clips"]["value"] == 24 and "gains" in results["tables"]
    assert (manifest.parent / "figures" / "profiles.png").is_file()
    assert "halved_batches" in json.loads(manifest.read_text())

    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "_config.yml", root)
    for page, text in {"references.bib": "", "index.md": "# Book\n", "your-data.md": "# Data\n"}.items():
        (root / "book" / page).write_text(text)
    chapters = [{"file": f"phases/{PHASE}"}, {"file": "your-data"}]
    (root / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "index", "chapters": chapters}, sort_keys=False)
    )
    assert build_book(project, collect(project, mine, states))  # refuses a label or a page that is not there
