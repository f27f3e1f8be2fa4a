"""What is refused before a kernel starts, and how."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest
from report_project import CELLS, PHASE, make_project, read, set_parameters, write_notebook

from report.key import differences, parts_before
from report.lock import build_lock
from report.lock import holder as lock_holder
from report.notebook import Notebook
from report.profile import Profile
from report.project import ReportError
from report.run import run_profile


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


def test_damaged_notebook(project):
    (project.phases / f"{PHASE}.ipynb").write_text('{"cells": [')
    with pytest.raises(ReportError, match="is not a readable notebook"):
        Notebook.read(project, PHASE)


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
