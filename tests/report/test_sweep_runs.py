"""Sweeps that run: what is done is kept and found, what failed is told, and what the book shows of it."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from report_project import write_phase
from sweep_project import CODE, PARAMETERS, PHASE, began, imports, make_sweep_project, numbers, planned

import report.attempt
from report.__main__ import main
from report.book import build_book
from report.check import check_book
from report.collect import collect
from report.profile import Profile
from report.project import read_json
from report.run import run_profile
from report.sweeps.claim import Claim
from report.sweeps.command import finish
from report.sweeps.drive import drive
from report.sweeps.points import Finished
from report.sweeps.table import collect_rows, write_parquet, write_table
from report.sweeps.warm import _shareable

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Runs without Jupyter, in a tenth of the time."""
    monkeypatch.setattr(report.attempt, "EXECUTE", STAND_IN)
    return make_sweep_project(tmp_path)


def bends(project, **content):
    return planned(project, **({"grid": {"layer": [1, 2], "strength": [0.5, 1.5]}} | content))


def test_a_sweep_resumes_and_shares_runs_with_phases(project):
    first = drive(planned(project, grid={"layer": [1, 2]}), warm=False)
    assert (first.ran, first.failed, first.left) == (2, {}, 0)
    sweep = bends(project)
    assert drive(sweep, warm=False).ran == 2, "strength 0.5 is the default: those two are done"
    assert sorted(began(project)) == ["1 0.5", "1 1.5", "2 0.5", "2 1.5"]
    assert drive(sweep, warm=False).ran == 0
    assert numbers(sweep)["{'layer': 2, 'strength': 1.5}"]["bend"]["value"] == 3.0
    # Code that changes makes all of it stale, and undone it is done again.
    shape = project.root / "shape.py"
    text, before = shape.read_text(), shape.stat().st_mtime
    shape.write_text(text + "\nMORE = 1\n")
    finished = Finished(sweep)
    finished.look()
    assert not any(finished.of(point) for point in sweep.points)
    shape.write_text(text)
    os.utime(shape, (before, before))
    assert all(finished.of(point) for point in sweep.points)


def test_one_point_that_fails_does_not_stop_the_others(project, capsys):
    code = [*CODE, "assert layer != 2, 'layer 2 is out of order..'"]
    write_phase(project.root, PHASE, code, {"outputs": {"numbers": ["bend"]}}, PARAMETERS, "# Bend")
    sweep = planned(project, grid={"layer": [1, 2, 3]})
    outcome = drive(sweep, warm=False)
    (sentence,) = outcome.failed.values()
    assert sentence.startswith("layer = 2: 3-bend: failed in cell 5")
    assert "layer 2 is out of order. See log and notebook.ipynb in build/runs" in sentence
    assert [row["status"] for row in collect_rows(sweep, outcome.failed)] == ["done", "failed", "done"]
    assert drive(sweep, warm=False).ran == 1, "the one that failed is tried again, alone"


def test_the_budget_leaves_points_for_another_call(project):
    sweep = bends(project, budget={"runs": 3})
    first = drive(sweep, warm=False)
    assert (first.ran, first.left) == (3, 1)
    assert (drive(sweep, warm=False).ran, len(numbers(sweep))) == (1, 4)
    assert drive(bends(project, budget={"hours": 1e-9}), warm=False).left == 0, "nothing was to be done"


def test_the_table_has_a_row_for_each_point_and_says_what_is_missing(project, capsys):
    sweep = planned(project, zip={"layer": [1, 2, 3], "name": ["a", "b,c", "d"]}, budget={"runs": 2})
    drive(sweep, warm=False, jobs=1)
    folder = write_table(sweep, collect_rows(sweep, {}))
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "done", "left"]
    assert rows[1]["name"] == "b,c"
    assert [row["bend"] for row in rows] == ["0.5", "1.0", ""]
    assert (rows[0]["bend.low"], rows[0]["bend.high"], rows[0]["bend.n"]) == ("-0.5", "1.5", "1")
    assert (project.runs / PHASE / rows[0]["run"] / "manifest.json").is_file()
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        assert "for Parquet too, install pyarrow" in capsys.readouterr().err
    else:
        there = parquet.read_table(folder / "table.parquet").to_pylist()
        assert [row["bend"] for row in there] == [0.5, 1.0, None]


def test_a_column_of_the_parquet_file_has_one_type(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install pyarrow")
    write_parquet(tmp_path / "t.parquet", [{"a": "all", "b": 1}, {"a": 3, "b": 2.5}, {"a": None, "b": None}])
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert rows == [{"a": "all", "b": 1.0}, {"a": "3", "b": 2.5}, {"a": None, "b": None}]


def test_a_claim_is_held_by_one_and_given_back(tmp_path):
    first = Claim.take(tmp_path, "-x")
    assert first is not None
    assert Claim.take(tmp_path, "-x") is None
    assert Claim.take(tmp_path, "-y") is not None
    first.release()
    again = Claim.take(tmp_path, "-x")
    assert again is not None


def test_a_claimed_point_is_waited_for_and_not_run_twice(project):
    """As when a worker outlives the driver that set it to work."""
    sweep = planned(project, grid={"layer": [1]})
    (point,) = sweep.points
    claim = Claim.take(project.runs / PHASE, point.label)
    other = planned(project, name="other", grid={"layer": [1]})

    def finish_it() -> None:
        time.sleep(0.5)
        from report.attempt import Attempt, Setting

        attempt = Attempt(Setting.now(project, point.profile, 1), sweep.notebook, {}, "-worker")
        while not attempt.ended():
            time.sleep(0.01)
        attempt.conclude()
        claim.release()

    worker = threading.Thread(target=finish_it)
    worker.start()
    outcome = drive(other, warm=False)
    worker.join()
    assert outcome.ran == 0
    assert began(project) == ["1 0.5"]


def test_what_hangs_on_a_swept_parameter_is_not_shared(tmp_path, capsys):
    project = make_sweep_project(
        tmp_path, warm=["shape.prepare(layer)", "for n in (name,):\n    shape.prepare(n)"]
    )
    sweep = planned(project, grid={"layer": [1, 2]})
    assert _shareable(sweep.notebook, sweep.shared) == ["for n in (name,):\n    shape.prepare(n)"]
    said = capsys.readouterr().err
    assert said == "3-bend: runs differ in layer, so each does for itself: shape.prepare(layer)\n"


def test_the_book_has_a_page_for_it(project, monkeypatch, capsys):
    from report.sweeps.page import stage_sweeps

    monkeypatch.setattr("report.__main__.here", lambda: project)
    words = ["sweep", f"phases/{PHASE}.ipynb", "--grid", "layer=1,2", "--grid", "name=a,<b>|x", "--cold"]
    assert main([*words, "--name", "bends"]) == 0
    assert capsys.readouterr().out == "build/sweeps/bends/table.csv\n"
    staged = project.build / "book-src"
    assert stage_sweeps(project, staged) == ["sweeps/bends"]
    page = (staged / "sweeps" / "bends.md").read_text()
    assert "4 points, 4 done" in page
    assert "`table.csv <bends/table.csv>`" in page
    assert r"\<b\>\|x" in page, "a value is text, whatever is in it"
    record = read_json(project.build / "sweeps" / "bends" / "sweep.json")
    for row in record["rows"]:
        assert f"`{row['run'][:8]} <bends/{row['run']}.ipynb>`" in page
        assert (staged / "sweeps" / "bends" / f"{row['run']}.ipynb").is_file()
    assert (staged / "_static" / "sweeps" / "bends" / "0.png").read_bytes()[:4] == b"\x89PNG"
    assert ':alt: "bend over layer, from 0.5 to 1 in 4 runs"' in page
    (project.root / "shape.py").write_text("LOADED = []\n\n\ndef bend(layer, strength):\n    return 1.0\n")
    shutil.rmtree(staged)
    stage_sweeps(project, staged)
    assert "4 of these runs were made before code" in (staged / "sweeps" / "bends.md").read_text()


# --- with real kernels ---

LOOK = (
    "import json, multiprocessing, os, random, sys\n\nimport matplotlib\nimport matplotlib.pyplot as plt\n"
    "state = {\n    'path': sys.path, 'argv': sys.argv[1:2], 'cwd': os.getcwd(), 'main': __name__,\n"
    "    'environment': {k: v for k, v in os.environ.items()\n"
    "                    if not k.startswith(('INTERP_', 'JPY_', 'JUPYTER_RUN'))},\n"
    "    'backend': matplotlib.get_backend(),\n"
    "    'loaded': shape.LOADED, 'figures': plt.get_fignums(), 'hash': hash('a'), 'out': len(Out),\n"
    "    'report': [m for m in sys.modules if m.split('.')[0] == 'report'],\n"
    "    'kept out': [m for m in sys.modules if sys.modules[m] is None]}\n"
    "with open(f'{name}.json', 'w') as file:\n    json.dump(state, file)",
    "fig, ax = plt.subplots()\nax.plot(np.random.default_rng(layer).normal(size=50))\n"
    "results.figure('line', fig, caption='A line.', alt='A line')\n"
    "results.audio('noise', np.random.default_rng(layer).normal(size=800) / 9, 8000,\n"
    "              caption='x', listen='y')\n"
    "with open('free.txt', 'a') as file:\n    file.write(f'{random.random()} {np.random.rand()}\\n')\n"
    "plt.subplots(), plt.rcParams.update({'lines.linewidth': 9.0})  # for the next run to stumble over",
)


@pytest.mark.slow
def test_a_copied_process_gives_what_a_fresh_one_gives(tmp_path):
    """Every byte of every output, and all that a notebook can see of the process it is in."""
    found = {}
    for kind in ("cold", "warm"):
        project = make_sweep_project(tmp_path / kind, *LOOK)
        sweep = planned(project, zip={"layer": [1, 2, 3], "name": ["one", "two", "three"]})
        outcome = drive(sweep, jobs=2, warm=kind == "warm")
        assert (outcome.ran, outcome.failed) == (3, {})
        assert imports(project) == (1 if kind == "warm" else 3)
        finished = Finished(sweep)
        finished.look()
        runs = [finished.of(point) for point in sweep.points]
        states = [read_json(project.root / f"{name}.json") for name in ("one", "two", "three")]
        text = [str(state).replace(str(project.root), "ROOT") for state in states]
        files = [
            {name: file["sha256"] for name, file in manifest["files"].items() if name != "notebook.ipynb"}
            for _, manifest in runs
        ]
        modules = [sorted(manifest["parts"]["modules"]) for _, manifest in runs]
        found[kind] = text, files, modules
        free = (project.root / "free.txt").read_text().split()
        assert len(set(free)) == 6, "numbers that nobody seeded differ between runs"
        assert "'loaded': [1]" in text[0] and "'loaded': [2]" in text[1], "no run sees what another left"
        assert "'figures': []" in text[2] and "'report': []" in text[2]
    assert found["cold"][2] == found["warm"][2], "the keys' modules are the same"
    assert found["cold"][1] == found["warm"][1]
    assert found["cold"][0] == found["warm"][0]
    assert len(found["warm"][1][0]) == 4  # results, a figure, a sound and its outline


@pytest.mark.slow
def test_a_run_does_not_tidy_up_what_the_process_it_was_copied_from_has_made(tmp_path):
    code = [*CODE, "assert os.path.isdir(shape.WORKSHOP.name), 'an earlier run has taken it away'"]
    project = make_sweep_project(tmp_path)
    write_phase(tmp_path, PHASE, ["import os", *code], {"outputs": {}}, PARAMETERS, "# Bend")
    with (tmp_path / "shape.py").open("a") as file:
        file.write("\n\nimport tempfile\n\nWORKSHOP = tempfile.TemporaryDirectory()\n")
    an_hour_ago = time.time() - 3600
    os.utime(tmp_path / "shape.py", (an_hour_ago, an_hour_ago))
    outcome = drive(planned(project, grid={"layer": [1, 2]}), jobs=1)
    assert (outcome.ran, outcome.failed, imports(project)) == (2, {}, 1)


@pytest.mark.slow
def test_a_source_that_changes_during_a_sweep_is_read_by_the_runs_after_it(tmp_path):
    project = make_sweep_project(tmp_path)
    sweep = planned(project, grid={"layer": [1, 2, 3, 4]}, parameters={"pause": 2.0})

    def change() -> None:
        while len(began(project)) < 2:
            time.sleep(0.01)
        (tmp_path / "shape.py").write_text("LOADED = []\n\n\ndef bend(layer, strength):\n    return 77.0\n")

    changer = threading.Thread(target=change)
    changer.start()
    drive(sweep, jobs=1)
    changer.join()
    assert began(project) == ["1 0.5", "2 0.5", "3 0.5", "4 0.5"]
    values = {at: found["bend"]["value"] for at, found in numbers(sweep).items()}
    assert values == {"{'layer': 3}": 77.0, "{'layer': 4}": 77.0}, (
        "the second began before and ended after it"
    )


@pytest.mark.slow
def test_imports_that_start_threads_are_not_copied(tmp_path, capsys):
    project = make_sweep_project(tmp_path)
    (tmp_path / "busy.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    an_hour_ago = time.time() - 3600
    os.utime(tmp_path / "busy.py", (an_hour_ago, an_hour_ago))
    write_phase(tmp_path, PHASE, [CODE[0], "import busy", *CODE[1:]], {"outputs": {}}, PARAMETERS, "# Bend")
    outcome = drive(planned(project, grid={"layer": [1, 2]}))
    assert (outcome.ran, outcome.failed) == (2, {})
    said = capsys.readouterr().err
    assert said.count("Every run gets a process of its own") == 1
    assert "the imports of 3-bend.ipynb start threads" in said


@pytest.mark.slow
def test_a_template_that_is_killed_costs_what_ran_and_nothing_else(tmp_path):
    project = make_sweep_project(tmp_path)
    sweep = planned(project, grid={"layer": list(range(8))}, parameters={"pause": 0.7})
    killed = []

    def kill() -> None:
        for wanted in (2, 5):
            while len(began(project)) < wanted:
                time.sleep(0.01)
            for process in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):  # one that has just ended
                    if "report.sweeps.template" in process.cmdline():
                        process.send_signal(signal.SIGKILL)
                        killed.append(process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = drive(sweep, jobs=2)
    killer.join()
    assert len(killed) == 2
    assert outcome.failed == {} and len(numbers(sweep)) == 8
    assert len(began(project)) <= 8 + 2 * 2, "at most what ran at the two moments ran again"
    assert not list(project.runs.rglob(".attempt-*"))
    assert not list((project.runs / PHASE / ".claims").iterdir())


@pytest.mark.slow
def test_sphinx_takes_the_page_of_a_sweep(tmp_path):
    """A real book with a phase and a sweep of it: no warning, and every link leads somewhere."""
    project = make_sweep_project(tmp_path)
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "book").mkdir()
    shutil.copytree(root / "book" / "_static", tmp_path / "book" / "_static")
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "index.md").write_text("# Book\n\nSee {doc}`sweeps/bends`.\n")
    shutil.copy(root / "_config.yml", tmp_path)
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n- file: phases/{PHASE}\n")
    profile = Profile.read(project, "etude")
    states = run_profile(project, profile)
    sweep = planned(project, grid={"layer": [0, 1, 2], "strength": [0.5, 1.5], "name": ["a", "<b>|`x`"]})
    finish(sweep, drive(sweep, jobs=2))
    assert build_book(project, collect(project, profile, states))
    page = (project.html / "sweeps" / "bends.html").read_text()
    tables = list((tmp_path / "build" / "sweeps" / "bends").glob("table.*"))  # CSV, Parquet with pyarrow
    assert (
        "Sweep bends" in page
        and "&lt;b&gt;|`x`" in page
        and page.count('class="reference download') == 12 + len(tables)
    )
    assert "bend over layer, from 0 to 3 in 12 runs" in page
    assert "sweeps/bends.html" in (project.html / "index.html").read_text(), "in the table of contents"
    counts, problems = check_book(project.html)
    assert problems == []
