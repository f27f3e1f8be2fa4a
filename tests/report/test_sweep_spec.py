"""What a sweep runs over: its points, and what is refused before anything runs."""

from __future__ import annotations

import pytest
from report_project import write_phase
from sweep_project import PHASE, make_sweep_project, planned, written

from report.__main__ import main
from report.project import ReportError
from report.sweeps.spec import Spec, from_words


@pytest.fixture
def project(tmp_path):
    return make_sweep_project(tmp_path)


def swept(project, **content):
    return [point.swept for point in planned(project, **content).points]


def test_a_grid_is_every_combination_and_zip_goes_side_by_side(project):
    assert swept(project, grid={"layer": [1, 2], "strength": [0.0, 1.0]}) == [
        {"layer": 1, "strength": 0.0},
        {"layer": 1, "strength": 1.0},
        {"layer": 2, "strength": 0.0},
        {"layer": 2, "strength": 1.0},
    ]
    assert swept(project, zip={"layer": [1, 2], "strength": [0.0, 1.0]}) == [
        {"layer": 1, "strength": 0.0},
        {"layer": 2, "strength": 1.0},
    ]
    both = swept(project, grid={"name": ["a", "b"]}, zip={"layer": [1, 2], "strength": [0.0, 1.0]})
    assert len(both) == 4
    assert both[0] == {"name": "a", "layer": 1, "strength": 0.0}
    assert swept(project, list=[{"layer": 7}, {"layer": 3}]) == [{"layer": 7}, {"layer": 3}]


def test_random_points_come_from_their_seed_and_more_of_them_keep_the_first(project):
    values = {"strength": {"uniform": [0, 1]}, "layer": {"integers": [3, 5]}, "name": {"choice": ["a", "b"]}}
    ten = swept(project, random={"runs": 10, "seed": 1, "values": values})
    assert swept(project, random={"runs": 20, "seed": 1, "values": values})[:10] == ten
    assert swept(project, random={"runs": 10, "seed": 2, "values": values}) != ten
    assert all(0 <= point["strength"] <= 1 and point["layer"] in (3, 4, 5) for point in ten)
    low = swept(project, random={"runs": 200, "values": {"strength": {"log-uniform": [1e-4, 1]}}})
    below = sum(point["strength"] < 1e-2 for point in low)
    assert 70 < below < 130, "half of the decades hold half of the draws"


def test_points_that_are_the_same_run_are_one(project):
    points = planned(project, grid={"strength": [1, 1.0, 2]}).points
    assert [point.swept for point in points] == [{"strength": 1.0}, {"strength": 2.0}]
    assert isinstance(points[0].before["parameters"]["strength"], float), "the default is a float"


def test_conditions_choose_points(project):
    grid = {"layer": [1, 2, 3], "strength": [0.0, 1.0]}
    assert len(swept(project, grid=grid, where=["layer < 3 or strength > 0.5"])) == 5
    assert len(swept(project, grid=grid, where=["layer in [1, 2]", "strength == 0"])) == 2
    assert len(swept(project, grid=grid, where=["name == 'all'"])) == 6, "of the other parameters too"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"grid": {"layr": [1]}}, "has no parameter 'layr'; it has: layer, strength, name, pause"),
        ({"grid": {"layer": ["one"]}}, "parameter layer = 'one' is a str; the default 0 is a int"),
        ({"grid": {"layer": 3}}, "'grid' gives layer as 3; it must be a list of one or more values"),
        ({"zip": {"layer": [1], "strength": [0, 1]}}, "equally many; layer has 1, strength has 2"),
        ({"grid": {"layer": [1]}, "parameters": {"layer": 2}}, "layer is given in two places"),
        ({"list": [{"layer": 1}, {"strength": 1}]}, "must all give the same parameters"),
        (
            {"random": {"runs": 0, "values": {"layer": {"choice": [1]}}}},
            "runs as 0; it must be a whole number",
        ),
        ({"random": {"runs": 2, "values": {"layer": {"normal": [0, 1]}}}}, "one of: uniform, log-uniform"),
        ({"random": {"runs": 2, "values": {"strength": {"uniform": [2, 1]}}}}, r"needs \[least, most\]"),
        ({"grid": {"layer": [1]}, "budget": {"run": 3}}, "'budget' holds 'run'; it has 'runs' and 'hours'"),
        ({"grid": {"layer": [1]}, "budget": {"runs": True}}, "runs as True; it must be a number above 0"),
        ({"parameters": {"layer": 1}}, "nothing is swept; give 'grid', 'zip', 'list' or 'random'"),
        (
            {"grid": {"layer": [1]}, "where": ["layer > 3"]},
            "No point of the sweep bends meets its conditions",
        ),
        ({"grid": {"layer": [1]}, "where": ["depth > 3"]}, "speaks of depth; the parameters are: layer"),
        ({"grid": {"layer": [1]}, "where": ["__import__('os')"]}, "may call nothing but len, min"),
        ({"grid": {"layer": [1]}, "where": ["layer.real"]}, "holds Attribute, which conditions do not take"),
        ({"grid": {"layer": [1]}, "where": ["layer >"]}, "The condition `layer >` is not valid"),
        (
            {"grid": {"layer": [1]}, "where": ["layer < name"]},
            "The condition `layer < name` fails: TypeError: '<'",
        ),
        ({"grid": {"layer": [1]}, "where": ["[0] * 999999999999999"]}, "fails: MemoryError[.]"),
        ({"grid": {"layer": [1]}, "profile": "tiny"}, "no profile 'tiny'; there are: etude"),
        ({"grid": {"layer": list(range(400)), "strength": [0.0] * 400}}, "160000 points; more than 100000"),
    ],
)
def test_refused_before_anything_runs(project, content, sentence):
    with pytest.raises(ReportError, match=sentence):
        planned(project, **content)
    assert not project.runs.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("grid: {layer: [1]}", "must name its 'notebook'"),
        (f"notebook: {PHASE}\ngird: {{layer: [1]}}", "holds 'gird', which nobody reads; known are: notebook"),
        ("notebook: {", "is not valid YAML"),
        (
            f"notebook: {PHASE}\ngrid: {{layer: [1]}}\ngrid: {{layer: [2]}}",
            "not valid YAML: 'grid' stands twice",
        ),
        ("- 3", r"phases/sweeps/bad.yaml must hold fields with values, not \[3\]"),
        ("notebook: 9-none\ngrid: {layer: [1]}", "There is no notebook phases/9-none.ipynb"),
    ],
)
def test_files_that_are_refused(project, text, sentence):
    path = project.phases / "sweeps" / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ReportError, match=sentence):
        from report.sweeps.points import Sweep

        Sweep.plan(project, Spec.read(project, path))


def test_a_missing_file_names_those_that_there_are(project):
    written(project, "bends", grid={"layer": [1]})
    with pytest.raises(ReportError, match="no sweep phases/sweeps/none.yaml; .* there are: bends.yaml"):
        Spec.read(project, project.phases / "sweeps" / "none.yaml")


def test_values_on_the_command_line_are_yaml():
    words = ["layer=1,3,5", "strengths=[[0],[0.5],[1.0]]", "name=all", "flag=true,false", "t=[a, 'b,c']"]
    assert from_words(words, "grid") == {
        "layer": [1, 3, 5],
        "strengths": [[0], [0.5], [1.0]],
        "name": ["all"],
        "flag": [True, False],
        "t": ["a", "b,c"],
    }
    for words, sentence in [
        (["layer"], "--grid layer is not name=values, such as --grid layer=1,3,5"),
        (["layer=[1"], r"What --grid layer=\[1 gives is not valid YAML"),
        (["layer=1", "layer=2"], "--grid gives layer twice"),
        (["layer=[]"], "gives no values"),
        (["1x"], "such as --grid layer=1,3,5"),
    ]:
        with pytest.raises(ReportError, match=sentence):
            from_words(words, "grid")
    for what, example in [("budget", "--budget runs=100"), ("set", "--set xx=1")]:
        with pytest.raises(ReportError, match=f"such as {example}[.]"):
            from_words(["xx"], what)


def test_the_command_lists_points_and_refuses_in_one_line(project, monkeypatch, capsys):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    notebook = f"phases/{PHASE}.ipynb"
    assert main(["sweep", notebook, "--grid", "layer=1,2", "--set", "name=x", "--points"]) == 0
    assert [line.split(None, 2)[2] for line in capsys.readouterr().out.splitlines()] == [
        "layer = 1",
        "layer = 2",
    ]
    written(project, "bends", grid={"layer": [1, 2, 3]})
    assert main(["sweep", "phases/sweeps/bends.yaml", "--points"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    for words, sentence in [
        (["phases/sweeps/bends.yaml", "--grid", "layer=1"], "--grid belong in phases/sweeps/bends.yaml"),
        ([notebook, "--grid", "layer=1", "--set", "name=a,b"], "--set name gives 2 values"),
        ([notebook], "nothing is swept"),
        ([notebook, "--grid", "layer=1", "--name", "a/b"], "'a/b' is no name for a sweep"),
        ([notebook, "--grid", "layer=1", "--jobs", "0"], "--jobs 0: it must be 1 or more"),
        (["nope"], "There is no notebook phases/nope.ipynb; there are: 3-bend"),
        (["README.md"], "There is no notebook phases/README.ipynb; there are: 3-bend"),
        ([notebook, "--grid", "layer=1", "--scheduler", ""], "scheduler: the value is empty; give one"),
    ]:
        assert main(["sweep", *words]) == 1
        said = capsys.readouterr().err
        assert said.startswith("report: ") and sentence in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"grid": {"foo": [1]}}, "has no parameter 'foo'"),
        ({"grid": {"layer": [1]}, "parameters": {"nope": 1}}, "has no parameter 'nope'"),
        ({"grid": {"layer": ["one"]}}, "parameter layer = 'one' is a str"),
        ({"grid": {"layer": [1]}, "where": ["layer <"]}, "The condition `layer <` is not valid"),
        ({"grid": {"layer": [1]}, "where": ["layer > 1"]}, "meets its conditions"),
        (
            {"grid": {"layer": [1]}},
            "reads from 0-first, which is missing; run `make report PROFILE=etude` first",
        ),
    ],
)
def test_what_is_asked_is_checked_before_the_phases_that_it_reads_from(tmp_path, content, sentence):
    project = make_sweep_project(tmp_path, reads={"0-first": ["sum.json"]})
    write_phase(tmp_path, "0-first", ["1 + 1"], {"leaves": ["sum.json"]}, "seed = 0", "# First")
    (project.phases / "profiles" / "etude.yaml").write_text(f"phases: {{0-first: {{}}, {PHASE}: {{}}}}")
    with pytest.raises(ReportError, match=sentence):
        planned(project, **content)
