"""Phases 1 to 3 ask another model than étude: with more blocks, its own codec, out of the hub's cache."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from test_same_results import checkout

from report.project import here, read_json

ROOT = Path(__file__).parents[2]
ASKED = {"1-emotion-geometry": {}, "2-causal-pathways": {}, "3-steering": {"layers": [3, 6]}}


def words_of_notebooks() -> list[str]:
    """Whatever a phase may ask for, so that no two prompts are the same to the text encoder."""
    notebooks = [json.loads((ROOT / f"phases/{phase}.ipynb").read_text()) for phase in ASKED]
    text = "".join("".join(cell["source"]) for notebook in notebooks for cell in notebook["cells"])
    return sorted(set(re.findall("[a-z]+", text.lower())))


@pytest.mark.slow
def test_the_study_of_a_model_with_more_blocks_than_the_bench(tmp_path, builders):
    sys.path.insert(0, str(ROOT / "tests" / "interp"))
    import real_layout

    build, write_t5 = builders
    cache, work = tmp_path / "hub", tmp_path / "work"
    work.mkdir()
    texts = partial(write_t5, vocabulary=words_of_notebooks())
    real_layout.write_cache(cache, build, texts, work, num_layers=8)
    project = checkout(here().root, tmp_path / "study")
    always = {"model": "facebook/musicgen-small", "smoke": True}
    profile = {"phases": {phase: {"parameters": always | more} for phase, more in ASKED.items()}}
    (project.phases / "profiles/another.yaml").write_text(yaml.safe_dump(profile))
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "report", "run", "--profile", "another"]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = (project.runs / "3-steering").glob("*/manifest.json")
    claims = read_json(run.with_name("results.json"))["claims"]
    assert claims["S1"]["target"] == "musicgen-small"
    assert set(claims["S1"]["measures"]) >= {"etude", "etude-null", "musicgen-small"}
