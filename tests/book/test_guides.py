"""The commands in the guides are ones that there are, with options that they have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from interp.__main__ import parser

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "book").glob("*.md"))


def fences(page: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    lines = [line.strip() for block in fences(page, "bash") for line in block.splitlines()]
    return [line.split("&& ")[-1] for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_commands_of_interp_are_understood(page):
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if "interp" in words and "-m" in words:
            parser().parse_args(words[words.index("interp") + 1 :])  # SystemExit says what it did not know


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_targets_and_files_are_there(page):
    makefile = (ROOT / "Makefile").read_text()
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"] and words[1:]:
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
            for word in words[2:]:
                if word.startswith("PROFILE="):
                    assert word[8:] in ("mine",) or (ROOT / f"phases/profiles/{word[8:]}.yaml").is_file(), (
                        line
                    )
        if words[:1] == ["cp"]:
            assert (ROOT / words[1]).is_file(), line


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_what_a_reader_writes_is_ignored_by_git(page):
    """Or `make publish` would refuse the checkout; on a cluster a store lies where all machines see it."""
    text = page.read_text() if page.stem != "slurm" else ""
    written = re.findall(r"papermill \S+\.ipynb (\S+)|\.save\(\"([^\"]+)|\bto=\"([^\"]+)", text)
    outside = [name for found in written for name in found if name and not name.startswith("build/")]
    assert outside == []


def test_the_profile_in_the_guide_fits_the_template():
    from report.notebook import Notebook
    from report.project import Project

    (profile,) = fences(ROOT / "book" / "your-phase.md", "yaml")
    ((_, settings),) = yaml.safe_load(profile)["phases"].items()
    template = Notebook.read(Project(ROOT), "templates/human-labels")
    assert set(settings["parameters"]) <= set(template.defaults())
