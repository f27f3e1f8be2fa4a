"""Data sets are found as pyproject.toml registers them, and prepared in a folder of the test's own."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The entry points as pyproject.toml has them, whatever was installed."""
    import interp.corpora
    import interp.corpora.prepared

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    groups = project["project"]["entry-points"]

    def entry_points(group):
        return [EntryPoint(name, value, group) for name, value in groups[group].items()]

    monkeypatch.setattr(interp.corpora, "entry_points", entry_points)
    monkeypatch.setattr(interp.corpora.prepared, "entry_points", entry_points)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """Where prepared corpora lie."""
    monkeypatch.setenv("INTERP_CORPORA", str(tmp_path / "prepared"))
    return tmp_path / "prepared"
