"""Artefacts: what a notebook may leave and read, handed over by the builder or found by hand."""

import json

import pytest

from interp.errors import InterpError
from interp.results import artefacts


@pytest.fixture
def handed(tmp_path, monkeypatch):
    """A run's folder, with what the builder hands over to it."""
    (tmp_path / "elsewhere.npz").write_text("from elsewhere")
    reads = {"1-first": {"cues.npz": str(tmp_path / "elsewhere.npz")}}
    monkeypatch.setenv("INTERP_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("INTERP_ARTEFACTS", json.dumps({"leaves": ["table.json", "store"], "reads": reads}))
    return tmp_path


def test_a_file_or_a_folder_appears_when_it_is_whole(handed):
    path = artefacts.leave("table.json", lambda path: path.write_text("1"))
    assert path == handed / "run" / "artefacts" / "table.json" and path.read_text() == "1"

    def half(path):
        path.write_text("2")
        raise OSError("no room")

    with pytest.raises(InterpError, match="Cannot write artefact .table.json. .*no room"):
        artefacts.leave("table.json", half)
    assert path.read_text() == "1"
    for content in ("a", "b"):  # a folder is replaced as a whole
        store = artefacts.leave(
            "store", lambda path, content=content: path.mkdir() or (path / content).touch()
        )
    assert [found.name for found in store.iterdir()] == ["b"]
    assert sorted(found.name for found in store.parent.iterdir()) == ["store", "table.json"]


def test_what_was_handed_over_is_read(handed):
    assert artefacts.artefact("1-first", "cues.npz").read_text() == "from elsewhere"


def test_what_is_not_declared_or_not_written_is_refused(handed):
    with pytest.raises(InterpError, match="does not declare that it leaves 'x'; it leaves: table.json"):
        artefacts.leave("x", lambda path: path.touch())
    with pytest.raises(InterpError, match="Artefact 'table.json' was not written to the path"):
        artefacts.leave("table.json", lambda path: None)
    with pytest.raises(InterpError, match="'cues.npz' of 2-other; say so in its metadata"):
        artefacts.artefact("2-other", "cues.npz")


def test_by_hand_the_newest_finished_run_is_taken_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("INTERP_ARTEFACTS", raising=False)
    monkeypatch.setattr(artefacts, "ROOT", tmp_path)
    with pytest.raises(InterpError, match="No finished run of phase 1-first has left 'cues.npz'"):
        artefacts.artefact("1-first", "cues.npz")
    for key, finished in (("old", 1), ("new", 3), ("older", 2), (".attempt-7", 9)):
        run = tmp_path / "build" / "runs" / "1-first" / key
        (run / "artefacts").mkdir(parents=True)
        (run / "artefacts" / "cues.npz").touch()
        manifest = {"key": key, "profile": "etude", "finished": finished}
        (run / "manifest.json").write_text(json.dumps(manifest))
    assert artefacts.artefact("1-first", "cues.npz").parts[-3] == "new"
    assert capsys.readouterr().out == "Run by hand: cues.npz is that of 1-first, run new of profile etude.\n"
