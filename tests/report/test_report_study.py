"""Several phases: artefacts between them, their order, what a change re-runs, and what a failure holds up."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from report_project import READS, make_study, set_study, write_study_phase

import report.attempt
import report.progress
import report.run
from report.__main__ import bench, status
from report.profile import Profile
from report.project import ReportError, read_json
from report.run import processes_of_a_kernel, run_profile, threads_of_a_kernel
from report.runs import states

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]


@pytest.fixture(autouse=True)
def no_jupyter(monkeypatch):
    monkeypatch.setattr(report.attempt, "EXECUTE", STAND_IN)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The study after a build; copied, not changed, by tests."""
    project = make_study(tmp_path_factory.mktemp("study"), seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.attempt, "EXECUTE", STAND_IN)
        build(project, jobs=2)
    return project


@pytest.fixture
def study(built, tmp_path):
    shutil.copytree(built.root, tmp_path / "study")
    return type(built)(tmp_path / "study")


def build(project, **options):
    return run_profile(project, Profile.read(project, "etude"), **options)


def look(project):
    return {now.phase: now for now in states(project, Profile.read(project, "etude"))}


def ran(project) -> list[str]:
    """The phases that ran, in order, since this was asked last."""
    log = project.root / "ran.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return [line.split()[0] for line in lines]


def test_artefacts_are_handed_over_in_order(built):
    found = look(built)
    assert {phase: now.status for phase, now in found.items()} == dict.fromkeys(READS, "done")
    order = (built.root / "ran.log").read_text().split()[::2]
    assert sorted(order) == list(READS)
    assert order.index("1-first") < order.index("2-middle") < order.index("3-last")
    totals = {
        phase: read_json(now.folder / "results.json")["numbers"]["total"]["value"]
        for phase, now in found.items()
    }
    assert totals == {"0-alone": 2, "1-first": 2, "2-middle": 4, "3-last": 8}
    last = found["3-last"]
    upstream = {phase: found[phase].manifest["key"] for phase in ("1-first", "2-middle")}
    assert last.manifest["parts"]["upstream"] == upstream
    left = last.manifest["files"]["artefacts/sum.json"]
    assert left["bytes"] == 1 and len(left["sha256"]) == 64
    assert sorted(path.name for path in last.folder.iterdir()) == [
        *("artefacts", "log", "manifest.json", "notebook.ipynb", "results.json", "sources.json")
    ]


def test_the_same_study_in_two_folders_gives_the_same_results(built, tmp_path):
    again = make_study(tmp_path / "elsewhere", seed=1)
    for one, two in zip(look(built).values(), build(again), strict=True):
        assert two.folder.name == one.folder.name, "the key knows no folder"
        assert (two.folder / "results.json").read_bytes() == (one.folder / "results.json").read_bytes()


def test_nothing_runs_twice_and_prose_runs_nothing(study):
    ran(study)
    begin = time.monotonic()
    build(study)
    assert time.monotonic() - begin < 5
    for phase in READS:
        write_study_phase(study.root, phase, prose="Other words.")
    build(study)
    assert ran(study) == []


def test_what_killed_builds_have_left_goes_when_the_next_one_begins(study, tmp_path):
    sockets, attempt = tmp_path / "sockets", study.runs / "0-alone" / ".attempt-7"
    sockets.mkdir()
    attempt.mkdir()
    (sockets / "kernel.json-ipc-1").write_text("")
    (attempt / "job.json").write_text(json.dumps({"sockets": str(sockets)}))
    (study.runs / "1-first" / ".attempt-8").mkdir()
    build(study)
    assert not sockets.exists() and not list(study.runs.glob("*/.attempt-*"))


def test_a_change_reruns_the_phase_and_those_that_read_from_it(study):
    ran(study)
    kept = look(study)["2-middle"]
    write_study_phase(study.root, "2-middle", "1 + 1")
    found = look(study)
    assert [now.status for now in found.values()] == ["done", "done", "stale", "stale"]
    assert re.fullmatch(r"notebook: \w{10} → \w{10} \(cell 6\)", found["2-middle"].reasons[0])
    key = kept.manifest["key"]
    assert found["3-last"].reasons == [f"upstream: 2-middle: {key} → not done (stale)"]
    build(study)
    assert ran(study) == ["2-middle", "3-last"]
    assert (kept.folder / "manifest.json").is_file(), "the run of the other key stays"
    write_study_phase(study.root, "2-middle")
    build(study)
    assert ran(study) == [], "and is there when its key comes back"


def test_a_changed_module_names_its_functions_and_its_prose_does_not_count(study):
    source = study.root / "ours.py"
    text = source.read_text()
    source.write_text('"""Ours."""\n\n' + text.replace("():\n", "():\n    '''Says it.'''  # so\n"))
    assert {now.status for now in look(study).values()} == {"done"}
    source.write_text(text.replace("return 1", "return 2"))
    found = look(study)["0-alone"]
    assert found.status == "stale"
    assert re.fullmatch(r"modules: ours.py: \w{10} → \w{10} \(step\)", found.reasons[0])


def test_a_failure_holds_up_those_that_read_from_it_and_nothing_else(study, capsys):
    ran(study)
    finished = {path: path.read_bytes() for path in study.runs.rglob("manifest.json")}
    write_study_phase(study.root, "1-first", "raise ValueError('no')")
    with pytest.raises(ReportError, match=r"3 of 4 .*: 1-first \(failed\), 2-middle \(waiting\), 3-last"):
        build(study)
    assert ran(study) == ["1-first"]
    said = capsys.readouterr().err
    assert "2-middle: not run; it waits for 1-first." in said
    assert "3-last: not run; it waits for 1-first, 2-middle." in said
    assert {path: path.read_bytes() for path in study.runs.rglob("manifest.json")} == finished
    found = look(study)
    assert [now.status for now in found.values()] == ["done", "failed", "stale", "stale"]
    assert "cell 6 (`raise ValueError('no')`): ValueError: no" in found["1-first"].reasons[0]


def test_the_last_line_names_the_first_failure(study):
    write_study_phase(study.root, "1-first", "raise ValueError('no such thing')")
    with pytest.raises(ReportError) as refused:
        build(study)
    said = "the book was not built, since 1-first: failed in cell 6 (`raise ValueError('no such thing')`): "
    assert said + "ValueError: no such thing" in str(refused.value)


def test_a_disk_that_is_full_before_the_first_cell_has_a_cure(study, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_study_phase(study.root, "0-alone", "1 + 1")
    monkeypatch.setattr(report.run, "Attempt", full)
    with pytest.raises(ReportError, match="0-alone"):
        build(study)
    said = (
        "0-alone: failed before its first cell: [Errno 28] No space left on device; make room and run again."
    )
    assert said in capsys.readouterr().err


def test_an_artefact_that_is_declared_must_be_left(study):
    write_study_phase(study.root, "0-alone", leaves=["sum.json", "more.json"])
    with pytest.raises(ReportError, match="0-alone .failed"):
        build(study)
    assert look(study)["0-alone"].reasons == [
        "after its last cell: it left no artefact more.json, which it declares"
    ]


def test_an_artefact_that_was_changed_since_is_not_read(study, capsys):
    run = look(study)["1-first"]
    (run.folder / "artefacts" / "sum.json").write_text("7")  # of the same size
    write_study_phase(study.root, "2-middle", "1 + 1")
    with pytest.raises(ReportError, match="2-middle .failed"):
        build(study)
    said = capsys.readouterr().err
    assert "1-first: file: artefacts/sum.json was changed after the run finished; delete" in said
    shutil.rmtree(run.folder)
    assert {now.status for now in build(study)} == {"done"}


@pytest.mark.parametrize(
    ("reads", "sentence"),
    [
        ({"9-none": ["x"]}, "1-first reads x of 9-none, but there is no phases/9-none.ipynb"),
        ({"0-alone": ["x"]}, "1-first reads x of 0-alone, which does not leave it; it leaves: sum.json"),
        ({"3-last": ["sum.json"]}, "in a circle: 1-first ← 2-middle ← 3-last ← 1-first"),
        ({"1-first": ["sum.json"]}, "in a circle: 1-first ← 1-first"),
        (["0-alone"], "declares 'reads' .* as .*; it must give a list of names for each entry"),
        ({"0-alone": "sum.json"}, "declares 'reads' .* as .*; it must give a list of names for each entry"),
    ],
)
def test_what_is_read_must_be_left_by_someone_before(reads, sentence, tmp_path):
    project = make_study(tmp_path)
    path = project.phases / "1-first.ipynb"
    notebook = json.loads(path.read_text())
    notebook["metadata"]["report"]["reads"] = reads
    path.write_text(json.dumps(notebook))
    with pytest.raises(ReportError, match=sentence):
        build(project)
    assert not project.runs.exists(), "refused before anything ran"


def test_what_is_read_must_be_in_the_profile(tmp_path):
    project = make_study(tmp_path)
    set_study(tmp_path, phases=("0-alone", "2-middle"))
    with pytest.raises(
        ReportError, match=r"2-middle reads sum.json of 1-first, but phases/profiles/etude.yaml does not run"
    ):
        build(project)


def test_phases_run_side_by_side_within_jobs_and_memory(built, tmp_path, monkeypatch):
    def overlap(project):
        one, two = (look(project)[phase].manifest for phase in ("0-alone", "1-first"))
        return min(one["finished"], two["finished"]) - max(one["started"], two["started"])

    assert overlap(built) > 0
    one_by_one = make_study(tmp_path / "jobs")
    set_study(one_by_one.root, phases=("0-alone", "1-first"))
    build(one_by_one, jobs=1)
    shutil.copytree(one_by_one.root, tmp_path / "memory", ignore=shutil.ignore_patterns("build"))
    large = type(built)(tmp_path / "memory")
    monkeypatch.setattr(report.run, "UNKNOWN_MEMORY", 2**60)
    build(large, jobs=2)
    for project in (one_by_one, large):
        runs = [now.manifest for now in states(project, Profile.read(project, "etude"))]
        assert runs[0]["finished"] < runs[1]["started"], "what has no room waits; alone it may run"


def test_threads_hang_on_machine_and_profile_alone(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(report.run, "cores", lambda: 2)
    assert [threads_of_a_kernel(phases) for phases in (1, 2, 7)] == [2, 1, 1]
    monkeypatch.setattr(report.run, "cores", lambda: 64)
    assert threads_of_a_kernel(7) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of_a_kernel(7) == 3


def test_a_kernel_may_fill_the_cores_with_processes(monkeypatch):
    monkeypatch.delenv("INTERP_PROCESSES", raising=False)
    monkeypatch.setattr(report.run, "cores", lambda: 2)
    assert [processes_of_a_kernel(threads) for threads in (1, 2)] == [2, 1]
    monkeypatch.setattr(report.run, "cores", lambda: 64)
    assert processes_of_a_kernel(4) == 4, "each loads the models anew, so there are never many"
    monkeypatch.setenv("INTERP_PROCESSES", "3")
    assert processes_of_a_kernel(4) == 3


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_redrawn_in_place(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    shown = report.progress.Progress({"1-first": 100.0})
    shown.show({"0-alone": (2, 9, 3.0), "1-first": (1, 5, 40.0)}, 75.0)
    report.progress.say("0-alone: done.")
    shown.show({"1-first": (2, 5, 41.0)}, None)
    shown.close()
    said = sys.stderr.getvalue()
    assert "cell 2 of 9, 3 s; build: about 75 s left" in said
    assert "cell 1 of 5, 40 s, about 60 s left" in said and "\r" in said
    assert "0-alone: done.\n" in said


def test_the_bench_asks_for_a_build_that_has_nothing_to_do(study, monkeypatch, capsys):
    profile = Profile.read(study, "etude")
    commands = []

    def run(command, **_):
        commands.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert bench(study, profile) == 0
    assert capsys.readouterr().out == "report with nothing to do: 0.0 s  (from 0.0 to 0.0)\n"
    assert commands == 4 * [["-m", "report", "build", "--profile", "etude"]]
    write_study_phase(study.root, "3-last", "1 + 1")
    with pytest.raises(
        ReportError, match="something to do .3-last is stale.; run `make report PROFILE=etude`"
    ):
        bench(study, profile)


def test_status_is_one_line_a_phase(study, capsys):
    profile = Profile.read(study, "etude")
    write_study_phase(study.root, "1-first", "raise ValueError('no')")
    with pytest.raises(ReportError):
        build(study)
    shutil.rmtree(study.runs / "0-alone")
    capsys.readouterr()
    status(study, profile)
    alone, first, middle, last = capsys.readouterr().out.splitlines()
    assert alone.split() == ["0-alone", "missing"]
    cost = r"\d+ \w+ ago, took \d+ \w+"
    why = "in cell 6 .*: ValueError: no; kept in build/runs/1-first/failed"
    assert re.fullmatch(rf"1-first +failed +{cost}; {why}", first)
    assert re.match(rf"2-middle +stale +{cost}, peak \d\.\d GiB; upstream: 1-first: \w+ → not done", middle)
    assert last.startswith("3-last")


def test_a_log_file_gets_lines_with_cell_and_time_left(study, monkeypatch, capsys):
    set_study(study.root, seed=1, pause=0.3)
    monkeypatch.setattr(report.progress, "EVERY", 0.1)
    build(study)
    said = capsys.readouterr().err
    assert re.search(r"1-first: cell \d of 5, \d s, about \d s left", said)
    assert "\r" not in said
