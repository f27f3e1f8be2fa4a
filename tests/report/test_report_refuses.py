"""What is refused before a kernel starts, and how."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest
from report_project import CELLS, PHASE, make_project, read, set_parameters, write_notebook

from report.__main__ import main
from report.key import differences, parts_before
from report.lock import build_lock
from report.lock import holder as lock_holder
from report.notebook import Notebook
from report.profile import Profile
from report.project import ReportError
from report.run import _why as why
from report.run import run_profile
from report.runs import states
from report.yamlfile import parse_yaml


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sed": 1}, "has no parameter 'sed'; it has: seed, name"),
        ({"seed": "one"}, "parameter seed = 'one' is a str; the default 0 is a int"),
        ({"seed": True}, "parameter seed = True is a bool"),
        ({"name": 3}, "parameter name = 3 is a int"),
    ],
)
def test_parameters(project, given, sentence):
    set_parameters(project.root, given)
    profile, _ = read(project)
    with pytest.raises(ReportError, match=sentence):
        run_profile(project, profile)
    assert not project.runs.exists(), "refused before anything ran"


def test_a_list_may_stand_for_all(project):
    _, notebook = read(project)
    assert notebook.parameters({"name": [1, 2]}) == {"seed": 0, "name": [1, 2]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("phases: {9-none: {}}", "there is no phases/9-none.ipynb"),
        ("phase: {}", "must hold one key, 'phases'"),
        ("phases: {0-noise: {parameter: {}}}", "may hold 'parameters' and nothing else"),
        ("phases: {", "is not valid YAML"),
        ("phases: 3", "bad.yaml: phases must hold fields with values, not 3"),
        ("phases: {0-noise: {parameters: 3}}", "bad.yaml: the parameters of 0-noise must hold fields"),
        ("phases: {0-noise: {}}\nphases: {0-noise: {}}", "is not valid YAML: 'phases' stands twice"),
        ("phases: {0-noise: {parameters: {name: 2020-02-31}}}", "is not valid YAML: day is out of range"),
        ("3", "must hold fields with values, not 3"),
    ],
)
def test_profile(project, text, sentence):
    (project.phases / "profiles" / "bad.yaml").write_text(text)
    with pytest.raises(ReportError, match=sentence):
        Profile.read(project, "bad")


def test_unknown_profile_lists_the_known(project):
    with pytest.raises(ReportError, match="no profile 'x'; there are: etude"):
        Profile.read(project, "x")


def test_missing_data_is_named(project):
    profile, _ = read(project)
    (project.root / "data.txt").unlink()
    with pytest.raises(ReportError, match="declares the data data.txt, and no such file"):
        run_profile(project, profile)


def test_parameters_cell_holds_literals_only(project):
    _, notebook = read(project)
    notebook.node.cells[1].source = "seed = 1 + x"
    with pytest.raises(ReportError, match="line 1 of the parameters cell is not 'name = literal'"):
        notebook.defaults()
    notebook.node.cells[1].source = "seed ="
    with pytest.raises(ReportError, match="line 1 of the parameters cell is not valid Python"):
        notebook.defaults()
    notebook.node.cells[1].metadata["tags"] = []
    with pytest.raises(ReportError, match="exactly one code cell tagged 'parameters'"):
        notebook.defaults()


def test_merged_keys_are_no_keys_that_stand_twice(project):
    text = "base: &base {x: 1}\nmore: {<<: *base, x: 2, y: 3}"
    assert parse_yaml(text, "here")["more"] == {"x": 2, "y": 3}


@pytest.mark.parametrize(
    "text", ['{"cells": [', "{}", "[]", "3", '{"cells": 3, "nbformat": 4, "metadata": {}}']
)
def test_damaged_notebook(project, text):
    (project.phases / f"{PHASE}.ipynb").write_text(text)
    with pytest.raises(ReportError, match=f"phases/{PHASE}.ipynb is not a readable notebook: .*[.]$"):
        Notebook.read(project, PHASE)


@pytest.mark.parametrize(
    "name",
    [f"phases/{PHASE}.ipynb", "phases/profiles/etude.yaml", "phases/hypotheses.yaml", "phases/sweeps/x.yaml"],
)
def test_a_file_that_is_no_text_or_cannot_be_read_is_named(project, monkeypatch, capsys, name):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    path = project.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("café".encode("latin-1"))
    command = ["sweep", name] if "sweeps" in name else ["run"]
    assert main(command) == 1
    sentence = f"report: {name} is not text in UTF-8 (byte 3); save it as UTF-8.\n"
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": 2', b"\xe9"])
def test_a_damaged_manifest_is_named_and_its_phase_runs_again(project, monkeypatch, capsys, content):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    path = project.runs / PHASE / "abc" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert main(["status"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{PHASE:<22} damaged  {path}")
    (now,) = states(project, read(project)[0])
    assert why(now) == now.reasons[0]


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_in_the_way_is_named(project, monkeypatch, capsys, folder):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    if folder:
        (project.build / "report.lock").mkdir(parents=True)
    else:
        project.build.write_text("")
    assert main(["run"]) == 1
    what = "build/report.lock: Is a directory" if folder else "build: File exists"
    cure = "move what is there, or let this account write it, and run again"
    assert capsys.readouterr().err == f"report: {what}; {cure}.\n"


@pytest.mark.parametrize(
    "words", [["build", "--corpus", ""], ["status", "--profile", ""], ["diff", "v0.1.0", "--site", ""]]
)
def test_an_empty_value_is_not_taken_for_none(project, monkeypatch, capsys, words):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    assert main(words) == 1
    name = words[-2].removeprefix("--")
    assert capsys.readouterr().err == f"report: {name}: the value is empty; give one, or leave it out.\n"


def test_prose_is_no_part_of_the_key_and_code_is(project):
    _, first = read(project)
    before = parts_before(project, first, {}, {})
    write_notebook(project.root, first.code[1:], first.declared, prose="Other words.")
    _, prose = read(project)
    assert parts_before(project, prose, {}, {}) == before
    write_notebook(project.root, [*first.code[1:], "1 + 1"], first.declared)
    _, code = read(project)
    (line,) = differences(before, parts_before(project, code, {}, {}))
    assert line.startswith("notebook: ")


def test_limits_are_no_part_of_the_key(project):
    _, first = read(project)
    write_notebook(project.root, first.code[1:], first.declared | {"timeout_s": 9})
    assert read(project)[1].code_digest == first.code_digest


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (
            {"leave": ["x"]},
            "declares 'leave' in its metadata under 'report', which nobody reads; known are",
        ),
        ({"leaves": "x"}, "declares 'leaves' .* as 'x'; it must be a list of names"),
        ({"leaves": ["a/b"]}, "leaves 'a/b'; a name has no '/'"),
        ({"warm": ["for m in:"]}, "declares 'warm' .* with 'for m in:', no valid Python: invalid syntax"),
        ({"outputs": ["x"]}, "declares 'outputs' .*; it must give a list of names for each entry"),
        (3, "'report' in its metadata must hold fields with values, not 3"),
        ({"timeout_s": "1 h"}, "declares 'timeout_s' .* as '1 h'; it must be a number of seconds above 0"),
    ],
)
def test_declarations(project, declared, sentence):
    write_notebook(project.root, CELLS, declared)
    with pytest.raises(ReportError, match=sentence):
        run_profile(project, read(project)[0])


def test_differences_name_what_changed():
    old = {"parameters": {"seed": 1}, "modules": {"a.py": "f" * 64}, "kernel": "CPython 3.11.6"}
    new = {"parameters": {"seed": 2}, "modules": {}, "kernel": "CPython 3.11.7"}
    assert differences(old, new) == [
        "kernel: CPython 3.11.6 → CPython 3.11.7",
        "modules: a.py: ffffffffff → nothing",
        "parameters: seed: 1 → 2",
    ]


def test_a_second_build_is_refused_and_the_holder_named(project):
    code = (
        "import sys, pathlib; from report.lock import build_lock; from report.project import Project\n"
        "with build_lock(Project(pathlib.Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(project.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    who = rf"process {holder.pid} on {socket.gethostname()} since 20\d\d-.* \(`python.* -c .*`\); wait"
    with pytest.raises(ReportError, match=re.compile(who, re.S)), build_lock(project):
        pass
    assert lock_holder(project)["pid"] == holder.pid
    holder.kill()  # a lock outlives no crash
    holder.communicate()
    assert lock_holder(project) is None
    with build_lock(project):
        pass
