"""The phases that can hear a corpus of others hear one: real melodies from MIDI files, with labels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_same_results import checkout

from report.project import here, read_json

ROOT = Path(__file__).parents[2]
HEARS = ("1-emotion-geometry", "2-causal-pathways", "3-steering")


def report(project, *arguments):
    """``python -m report ...`` in a checkout; gives its exit status and what it said."""
    command = [sys.executable, "-m", "report", *arguments]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_study_hears_midi_files_with_labels(tmp_path):
    sys.path.insert(0, str(ROOT / "tests" / "corpora"))
    from made_up import vgmidi

    project = checkout(here().root, tmp_path / "study")
    shutil.copytree(ROOT / "corpora", project.root / "corpora")
    smoke = yaml.safe_load((ROOT / "phases/profiles/smoke.yaml").read_text())["phases"]
    profile = {"phases": {phase: smoke[phase] for phase in HEARS}}
    (project.phases / "profiles/hears.yaml").write_text(yaml.safe_dump(profile))
    tunes = vgmidi(tmp_path / "vgmidi")
    prepare = [sys.executable, "-m", "interp", "data", "prepare", "vgmidi", str(tunes), "--to", "build/tunes"]
    subprocess.run(prepare, cwd=project.root, check=True, capture_output=True)

    study = ("--profile", "hears", "--corpus", "build/tunes")
    status, said = report(project, "run", *study)
    assert status == 0, said
    (first,) = (project.runs / HEARS[0]).glob("*/manifest.json")
    results = read_json(first.with_name("results.json"))
    assert results["numbers"]["emotional.clips"]["value"] == 40  # real melodies
    assert results["numbers"]["factorial.clips"]["value"] == 48  # of which the factors are known
    assert "pieces of vgmidi" in results["claims"]["G1"]["note"]
    notebook = first.with_name("notebook.ipynb").read_text()
    assert "music of others" in notebook and "Ode to Joy" in notebook

    clips = project.build / "tunes" / "clips.jsonl"  # a label is put right
    clips.write_text(clips.read_text().replace('"arousal": 1.0', '"arousal": 0.5', 1))
    status, said = report(project, "why-stale", *study)
    assert f"{HEARS[0]}: stale" in said and "data: build/tunes/clips.jsonl" in said
