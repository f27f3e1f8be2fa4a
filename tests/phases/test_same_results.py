"""The same study, profile and machine give the same results, wherever the checkout lies, whoever runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from report.project import Project, here, read_json

PARTS = ("interp", "etude", "report", "phases", "book", "requirements.lock", "requirements-nodeps.lock")
PHASE = "0-foundation"


def checkout(source, target):
    """A copy with a profile of its own, that runs one phase with the tiny budgets of ``smoke``."""
    target.mkdir()
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / part, target)
    smoke = yaml.safe_load((source / "phases/profiles/smoke.yaml").read_text())
    profile = yaml.safe_dump({"phases": {PHASE: smoke["phases"][PHASE]}})
    (target / "phases/profiles/once.yaml").write_text(profile)
    return Project(target)


@pytest.mark.slow
def test_phase_0_in_two_folders_gives_the_same_results(tmp_path):
    """In a process of its own, and as a run of a sweep, copied from a process that has loaded its models."""
    first = checkout(here().root, tmp_path / "first")
    second = checkout(first.root, tmp_path / "another folder")
    sweep = ["sweep", f"phases/{PHASE}.ipynb", "--grid", "seed=0", "--profile", "once"]
    for project, words in ((first, ["run", "--profile", "once"]), (second, sweep)):
        command = [sys.executable, "-m", "report", *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}  # how sums are rounded hangs on it
        done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "process of its own" not in done.stderr
    (one,), (two,) = (list(project.runs.glob(f"{PHASE}/*/manifest.json")) for project in (first, second))
    assert "etude/lm.py" in read_json(two)["parts"]["modules"], "it ran the modules of its own folder"
    assert two.parent.name == one.parent.name, "the key knows no folder"
    assert two.with_name("results.json").read_bytes() == one.with_name("results.json").read_bytes()
