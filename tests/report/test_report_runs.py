"""Runs with a real kernel: what is done is not repeated, and what failed is never taken for done."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions

import nbformat
import psutil
import pytest
from report_project import (
    CELLS,
    PHASE,
    make_project,
    make_study,
    read,
    set_parameters,
    set_study,
    write_notebook,
)

from report.__main__ import status
from report.attempt import installed
from report.profile import Profile
from report.project import ReportError, read_json
from report.run import run_profile
from report.runs import states


def now(project, profile="etude"):
    (found,) = states(project, read(project, profile)[0])
    return found


def test_a_run_is_done_once_until_something_changes(tmp_path):
    project = make_project(tmp_path)
    profile, notebook = read(project)
    assert now(project).status == "missing"
    (done,) = run_profile(project, profile)
    assert done.status == "done"
    assert done.folder.name == done.manifest["key"]
    assert done.manifest["parts"]["modules"]["loud.py"], "the run wrote down the modules that it loaded"
    assert done.manifest["parts"]["parameters"] == {"seed": 1, "name": "all"}
    assert done.manifest["peak_memory_bytes"] > 2**25
    results = read_json(done.folder / "results.json")
    assert results["numbers"]["level"]["n"] == 3
    assert abs(results["numbers"]["level"]["value"] - 0.1) < 0.01
    assert (done.folder / results["audio"]["noise"]["file"]).is_file()

    # The same again: nothing runs.
    written = os.stat(done.folder / "manifest.json").st_mtime_ns
    assert run_profile(project, profile)[0].folder == done.folder
    assert os.stat(done.folder / "manifest.json").st_mtime_ns == written

    # Another profile with the same parameters shares the run; one with others does not.
    set_parameters(tmp_path, {"seed": 1}, "same")
    assert now(project, "same").status == "done"
    set_parameters(tmp_path, {"seed": 2}, "other")
    assert now(project, "other").status == "missing"

    # Each ingredient makes it stale, is named, and leads back when undone.
    for path, part in [
        ("loud.py", "modules: loud.py"),
        ("data.txt", "data: data.txt"),
        ("requirements.lock", "lock"),
    ]:
        original = (tmp_path / path).read_text()
        (tmp_path / path).write_text(original + "\nMORE = 1\n")
        stale = now(project)
        assert (stale.status, len(stale.reasons)) == ("stale", 1)
        assert stale.reasons[0].startswith(part)
        (tmp_path / path).write_text(original)
        assert now(project).status == "done"

    # Prose is not an ingredient, code is.
    write_notebook(tmp_path, CELLS, notebook.declared, prose="Other words.")
    assert now(project).status == "done"
    write_notebook(tmp_path, [*CELLS, "1 + 1"], notebook.declared)
    assert now(project).reasons[0].startswith("notebook: ")
    write_notebook(tmp_path, CELLS, notebook.declared)

    # A finished run whose files were damaged is not used.
    results["numbers"]["level"]["value"] = 9.0
    (done.folder / "results.json").write_text(json.dumps(results))
    assert now(project).status == "stale"
    assert "results.json" in now(project).reasons[0]
    # Nor is one whose manifest was cut off: no manifest, no run.
    (done.folder / "manifest.json").write_text('{"key": ')
    assert now(project).status == "damaged"


# Where the next write of a file ends on a device that is always full.
FULL = (
    "import os, pathlib\nrun = pathlib.Path(os.environ['INTERP_RUN_DIR'])\n"
    "(run / f'.{name}.{pid}').symlink_to('/dev/full')"
)
FAILURES = {
    "error": ("raise ValueError('no\\nsuch thing')", {}, "in cell 8 .*ValueError: no such thing"),
    "kernel killed": ("import os\nos.kill(os.getpid(), 9)", {}, "in cell 8 .*its kernel died"),
    "runner killed": (
        "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(60)",
        {},
        r"in cell 8 .*the process that ran it was killed \(SIGKILL\)",
    ),
    "cell timeout": ("import time\ntime.sleep(60)", {"cell_timeout_s": 15}, "cell 8 .*took longer than 15 s"),
    "total timeout": ("import time\ntime.sleep(99)", {"timeout_s": 60}, "took longer than 60 s"),
    "outputs": (
        "1",
        {"outputs": {"numbers": ["level", "x"], "figures": ["y"]}, "leaves": ["z"]},
        "after its last cell: it left no figure y, number x, artefact z, which it declares",
    ),
    "artefact": (
        "from interp.results import artefacts\nartefacts.leave('z', lambda path: path.touch())",
        {},
        "does not declare that it leaves 'z'; it leaves: nothing",
    ),
    "disk full of notebook": (
        f"name, pid = 'notebook.ipynb', __import__('os').getppid()\n{FULL}",
        {},
        "in cell 8 .*OSError: .Errno 28. No space left on device.*; make room and run again",
    ),
    "disk full before manifest": (
        f"name, pid = 'manifest.json', BUILDER\n{FULL}",
        {},
        "after its last cell: .Errno 28. No space left on device.*; make room and run again",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_leaves_no_run(case, tmp_path, capfd):
    code, declared, sentence = FAILURES[case]
    project = make_project(tmp_path, extra=(code.replace("BUILDER", str(os.getpid())),), **declared)
    profile, _ = read(project)
    with pytest.raises(
        ReportError, match=rf"1 of 1 phases are not done: {PHASE} \(failed\); the book was not"
    ):
        run_profile(project, profile)
    failed = now(project)
    assert failed.status == "failed"
    assert re.search(sentence, failed.reasons[0]), failed.reasons
    said = capfd.readouterr().err
    assert f"{PHASE}: failed {failed.reasons[0].removesuffix('.')}. " in said
    assert f"See log and notebook.ipynb in build/runs/{PHASE}/failed." in said
    partial = nbformat.read(failed.folder / "notebook.ipynb", as_version=4)
    assert partial.cells[4].outputs, "what had been shown until then can be read"
    assert not list(project.runs.rglob("manifest.json"))
    assert not list(project.runs.rglob(".*"))
    assert not processes_of(project)


def processes_of(project) -> list[psutil.Process]:
    """Everything alive that has this project's folder in its environment or command line."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("INTERP_RUN_DIR", "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(project.root) in word for word in words):
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_stopped_leaves_no_process_and_no_run(end, tmp_path, capsys):
    project = make_study(tmp_path)
    two = ("0-alone", "1-first")
    set_study(tmp_path, two, pause=1000)
    code = (
        "import signal, sys, pathlib\n"
        "from report.project import Project; from report.profile import Profile\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore\n"
        "from report.__main__ import run; project = Project(pathlib.Path(sys.argv[1]))\n"
        "run(project, Profile.read(project, 'etude'), jobs=2)"
    )
    builder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    profile = Profile.read(project, "etude")
    try:
        while not all("cell 4 of 5" in line for line in status_lines(project, profile, capsys)):
            assert time.monotonic() < deadline, status_lines(project, profile, capsys)
            time.sleep(0.5)
        assert {now.status for now in states(project, profile)} == {"running"}
        builder.send_signal(end)
        builder.wait(60)
    finally:
        builder.kill()
    while processes_of(project):
        assert time.monotonic() < deadline, processes_of(project)
        time.sleep(0.1)
    assert {now.status for now in states(project, profile)} == {"missing"}
    assert not list(project.runs.rglob("manifest.json"))
    assert end == signal.SIGKILL or not list(project.runs.rglob(".attempt-*"))
    set_study(tmp_path, two)
    assert {now.status for now in run_profile(project, Profile.read(project, "etude"))} == {"done"}
    assert not list(project.runs.rglob(".attempt-*")), "what a crash had left is cleared"


def status_lines(project, profile, capsys) -> list[str]:
    status(project, profile)
    return capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_a_later_success_forgets_the_failure(tmp_path):
    project = make_project(tmp_path, extra=("import loud\nassert loud.LEVEL > 1",))
    profile, _ = read(project)
    with pytest.raises(ReportError):
        run_profile(project, profile)
    (tmp_path / "loud.py").write_text("LEVEL = 2.0\n")
    assert run_profile(project, profile)[0].status == "done"
    assert not (project.runs / PHASE / "failed").exists()


def test_what_is_installed_is_read_as_importlib_reads_it():
    assert installed() == dict(sorted((found.name, found.version) for found in distributions()))
