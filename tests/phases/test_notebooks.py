"""Notebooks are committed as stories: parameters first, no outputs, and only the library behind them."""

from __future__ import annotations

import ast
import json
import re

import pytest
import yaml

from report.notebook import Notebook
from report.paper.source import KINDS
from report.profile import Profile
from report.project import here

PROJECT = here()
PHASES = sorted(path.stem for path in PROJECT.phases.glob("*.ipynb"))
PROFILES = sorted(path.stem for path in (PROJECT.phases / "profiles").glob("*.yaml"))
MAY_IMPORT = {
    "interp",
    "numpy",
    "pandas",
    "matplotlib",
    "IPython",
    "tempfile",
    "tqdm",
    "re",
    "pathlib",
    "json",
    "math",
}

each_phase = pytest.mark.parametrize("phase", PHASES)


def code_cells(phase):
    return [cell for cell in Notebook.read(PROJECT, phase).node.cells if cell.cell_type == "code"]


@each_phase
def test_there_are_no_outputs(phase):
    for cell in code_cells(phase):
        assert cell.outputs == [] and cell.execution_count is None, cell.source[:60]


@each_phase
def test_parameters_are_the_first_code_and_each_has_a_comment(phase):
    first = code_cells(phase)[0]
    assert "parameters" in first.metadata.get("tags", [])
    assert Notebook.read(PROJECT, phase).defaults()
    for statement in ast.parse(first.source).body:
        line = first.source.splitlines()[statement.lineno - 1]
        assert "#" in line or statement.targets[0].id == "seed", f"{line} has no comment"


@each_phase
def test_what_a_recorded_number_or_figure_returns_is_not_shown(phase):
    """A number's value, a figure's path: under a cell they would say nothing to a reader."""
    for cell in code_cells(phase):
        last = (ast.parse(cell.source).body or [None])[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            if ast.unparse(last.value.func) in ("results.number", "results.figure"):
                assert cell.source.rstrip().endswith(";"), cell.source[-80:]


@each_phase
def test_only_the_library_is_imported(phase):
    for cell in code_cells(phase):
        for node in ast.walk(ast.parse(cell.source)):
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in found} <= MAY_IMPORT, found


@each_phase
def test_no_cell_is_longer_than_a_screen(phase):
    for cell in code_cells(phase)[1:]:
        assert len(cell.source.splitlines()) <= 45, cell.source[:60]


@each_phase
def test_quoted_numbers_are_declared(phase):
    notebook = Notebook.read(PROJECT, phase)
    prose = "\n".join(cell.source for cell in notebook.node.cells if cell.cell_type == "markdown")
    quoted = {name.split(":")[0] for name in re.findall(r"\{glue:text\}`([^`]+)`", prose)}
    quoted = {re.sub(r"\.(low|high|n)$", "", name) for name in quoted}  # what comes with a number
    assert quoted <= set(notebook.declared["outputs"]["numbers"])


@pytest.mark.parametrize("kind", KINDS.values())
def test_what_a_paper_names_is_declared(kind):
    """So that a run which leaves it out has failed, and no paper finds it missing."""
    paper = (PROJECT.root / "paper" / f"{kind}.md").read_text(encoding="utf-8")
    parts = re.findall(r"\{include\} (\S+)", paper)
    text = paper + "".join((PROJECT.root / "paper" / part).read_text(encoding="utf-8") for part in parts)
    named = [("numbers", *found) for found in re.findall(r"phases/([\w-]+)\.ipynb::([\w.-]+)", text)]
    named += [(f"{what}s", *found) for what, *found in re.findall(r"\{(figure|table)-of\} (\S+) (\S+)", text)]
    assert {name[1] for name in named} == set(yaml.safe_load(paper.split("---")[1])["phases"])
    for what, phase, name in named:
        notebook = Notebook.read(PROJECT, phase)
        plain = re.sub(r"\.(low|high|n)$", "", name)
        assert notebook.undeclared({what: {plain: {}}}) == {}, f"{phase} does not declare {plain}"


@each_phase
def test_every_figure_and_table_is_spoken_of(phase):
    notebook = Notebook.read(PROJECT, phase)
    prose = "\n".join(cell.source for cell in notebook.node.cells if cell.cell_type == "markdown")
    outputs = notebook.outputs
    shown = {f"fig-{phase}-{name}" for name in outputs["figures"]}
    shown |= {f"tab-{phase}-{name}" for name in outputs.get("tables", [])}
    assert shown <= set(re.findall(r"\{numref\}`([^`]+)`", prose))


@each_phase
def test_the_file_is_written_in_one_way(phase):
    # So that a diff shows what changed, and not which program saved it.
    path = PROJECT.phases / f"{phase}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    assert all(re.fullmatch(r"[\w-]+", cell["id"]) for cell in json.loads(text)["cells"])


@pytest.mark.parametrize("profile", PROFILES)
@each_phase
def test_profiles_set_only_what_the_notebook_knows(phase, profile):
    read = Profile.read(PROJECT, profile)
    if phase in read.phases:
        Notebook.read(PROJECT, phase).parameters(read.phases[phase])


def test_emotion_words_are_etudes():
    """Étude knows the words of Phase 0, and the last two of each emotion never stood beside a cue word."""
    from etude import words

    defaults = Notebook.read(PROJECT, "0-foundation").defaults()
    emotions = defaults["emotions"]
    for quadrant, emotion in enumerate(("happy", "angry", "sad", "calm"), start=1):
        assert set(emotions[emotion]) <= set(words.EMOTIONS[quadrant])
        assert [word in words.UNPAIRED for word in emotions[emotion]] == [False] * 4 + [True] * 2
    assert {k: tuple(v) for k, v in defaults["claim_words"].items()} == {
        "happy": words.EMOTIONS[1],
        "sad": words.EMOTIONS[3],
    }
