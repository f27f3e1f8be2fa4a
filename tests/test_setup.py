"""Lock files, environment.yml, pyproject.toml and Makefile agree with each other and with the environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import distributions, entry_points
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MAKE_SETS = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "ARGS", "SLOW", "PROFILE"}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run make as from a terminal, also when these tests were themselves started by make."""
    environment = {name: value for name, value in os.environ.items() if name not in MAKE_SETS}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().split()
    assert all(re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line) for line in lines), (
        "a lock holds name==version only"
    )
    return dict(line.split("==") for line in lines)


def wanted(file: str) -> dict[str, str | None]:
    """Package → exact version, or None where the file leaves it open."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    parts = (line.partition("==") for line in lines if line)
    return {normal(name): version or None for name, _, version in parts}


@pytest.mark.parametrize("stem", ["requirements", "requirements-nodeps"])
def test_lock_holds_what_is_wanted(stem):
    locked = pins(f"{stem}.lock")
    for name, version in wanted(f"{stem}.in").items():
        assert name in locked, f"{name} is in {stem}.in and not in the lock: run `make lock`"
        assert version in (None, locked[name])


def test_environment_yml_has_the_versions_of_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert dict(line.split("==") for line in pip) == pins("requirements.lock")
    text = (ROOT / "environment.yml").read_text()
    assert "pip install --no-deps -r requirements-nodeps.lock" in text, (
        "the second command is documented there"
    )
    assert "python=3.11" in environment["dependencies"]


def test_installed_is_what_the_lock_says():
    installed = {normal(found.name): found.version.split("+")[0] for found in distributions()}
    locked = pins("requirements.lock") | pins("requirements-nodeps.lock")
    other = {name: installed.get(name) for name, version in locked.items() if installed.get(name) != version}
    assert not other, f"installed otherwise than locked: {other}"


def test_no_wheel_of_one_machine_is_pinned():
    locked = pins("requirements.lock")
    assert "+" not in locked["torch"]
    assert not [name for name in locked if name.startswith("nvidia-") or name == "xformers"]


def test_models_are_registered():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    written = project["entry-points"]["interp.models"]
    assert {entry.name: entry.value for entry in entry_points(group="interp.models")} == written
    assert {"etude", "etude-alt", "etude-null"} <= set(written)


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.M)).split())
    defined = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    shown = make(ROOT).stdout
    listed = {line.split()[1] for line in shown.splitlines()}
    assert targets == defined == listed


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The files that `make setup` needs, in a folder whose path has a space."""
    folder = tmp_path / "a folder"
    (folder / "report").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "requirements-nodeps.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "report" / "setup.sh", folder / "report")
    return folder


def make_setup(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return make(folder, "setup", *arguments)


def test_without_python_311_one_sentence_says_so(checkout):
    done = make_setup(checkout, "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "no-such-python is not Python 3.11, or not there: install Python 3.11" in done.stderr
    assert not (checkout / ".venv").exists()


def fake_venv(folder: Path, pip_fails_on: str = "") -> Path:
    """A .venv whose Python writes down what pip was asked, and fails on a given argument."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    fail = f'case "$*" in *"{pip_fails_on}"*) exit 1;; esac\n' if pip_fails_on else ""
    python.write_text(f'#!/bin/sh\nif [ "$2" = pip ]; then echo "$*" >> pip.log; {fail}fi\n')
    python.chmod(0o755)
    return folder / "pip.log"


def test_nothing_is_installed_twice(checkout):
    log = fake_venv(checkout)
    assert make_setup(checkout).returncode == 0
    first = log.read_text().splitlines()
    assert len(first) == 3  # the lock, the packages without dependencies, the project itself
    assert "--no-deps -r requirements-nodeps.lock" in first[1] and "-e ." in first[2]
    assert make_setup(checkout).returncode == 0
    assert log.read_text().splitlines() == first

    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("another==1.0\n")
    assert make_setup(checkout).returncode == 0
    assert len(log.read_text().splitlines()) == 6


def test_an_interrupted_install_is_resumed(checkout):
    log = fake_venv(checkout, pip_fails_on="requirements-nodeps.lock")
    done = make_setup(checkout)
    assert done.returncode != 0
    assert "run the same command again" in done.stderr
    assert not (checkout / ".venv" / ".installed-lock").exists()
    tried = len(log.read_text().splitlines())
    make_setup(checkout)
    assert len(log.read_text().splitlines()) > tried
