"""A prepared corpus reaches the phases that can hear one, and what it holds is part of their key."""

from __future__ import annotations

import json
import os

import pytest
from report_project import PHASE, make_project, read, write_notebook

from report.__main__ import main
from report.corpus import corpus_data, hearing
from report.edition import Edition
from report.key import parts_before
from report.notebook import Notebook
from report.project import ReportError, file_digest


@pytest.fixture
def project(tmp_path):
    """A project whose phase hears a corpus, and ``build/corpora/mine``, one of two sounds."""
    project = make_project(tmp_path)
    write_notebook(tmp_path, ["x = 1"], {}, prose="Text.")
    path = tmp_path / "phases" / f"{PHASE}.ipynb"
    path.write_text(path.read_text().replace("name = 'all'", "name = 'all'\\ncorpus = 'etude'"))
    folder = tmp_path / "build" / "corpora" / "mine"
    folder.mkdir(parents=True)
    records = []
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(name.encode())
        found = (folder / name).stat()
        sound = {"path": name, "sha256": file_digest(folder / name)}
        records.append(
            {"audio": sound | {"size": found.st_size, "modified": found.st_mtime_ns}, "valence": 1}
        )
    (folder / "clips.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "corpus.json").write_text('{"name": "mine"}')
    return project


def parts(project):
    profile = hearing(project, read(project)[0], "mine")
    notebook = Notebook.read(project, PHASE)
    return parts_before(project, notebook, notebook.parameters(profile.phases[PHASE]), {})


def test_the_folder_or_its_name_becomes_the_parameter(project, monkeypatch):
    monkeypatch.delenv("INTERP_CORPORA", raising=False)
    monkeypatch.chdir(project.root / "build")
    for given in ("mine", "corpora/mine", project.build / "corpora/mine"):
        profile = hearing(project, read(project)[0], given)
        assert profile.phases[PHASE] == {"seed": 1, "corpus": "build/corpora/mine"}
    assert profile.asked == "PROFILE=etude CORPUS=build/corpora/mine"
    assert "CORPUS=build/corpora/mine\n" in Edition("etude", corpus=profile.corpus).provenance(
        _state({"finished": 0, "commit": None, "dirty": False, "profile": "etude", "wall_s": 1, "key": "k"})
    )


def _state(manifest):
    from report.runs import State

    return State(PHASE, "done", None, manifest)


def test_what_the_folder_holds_is_in_the_key(project):
    folder, first = project.build / "corpora/mine", parts(project)
    assert set(first["data"]) == {
        "build/corpora/mine/corpus.json",
        "build/corpora/mine/clips.jsonl",
        "build/corpora/mine: 2 sounds",
    }
    os.utime(folder / "a.wav")  # the same sound at another time
    assert parts(project) == first
    (folder / "a.wav").write_bytes(b"another sound")
    second = parts(project)
    assert second["data"].keys() == first["data"].keys() and second != first
    clips = folder / "clips.jsonl"
    clips.write_text(clips.read_text().replace('"valence": 1', '"valence": -1', 1))
    assert (
        parts(project)["data"]["build/corpora/mine/clips.jsonl"]
        != second["data"]["build/corpora/mine/clips.jsonl"]
    )
    (folder / "b.wav").unlink()
    assert parts(project) != second
    assert corpus_data(project, {"corpus": "etude"}) == corpus_data(project, {"corpus": 3}) == {}


def test_a_wrong_folder_is_refused_in_one_line(project, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("report.__main__.here", lambda: project)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere", "nobody"):
        assert main(["status", "--corpus", str(folder)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "holds no prepared corpus; make one with" in said
    (project.build / "corpora/mine/clips.jsonl").write_text("no JSON\n")
    assert main(["status", "--corpus", "mine"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "clips.jsonl is damaged, prepare the corpus again" in said


def test_a_profile_without_a_phase_that_hears_one_is_refused(project, tmp_path):
    write_notebook(tmp_path, ["x = 1"], {})
    with pytest.raises(ReportError, match="No phase of profile etude has a parameter 'corpus'"):
        hearing(project, read(project)[0], "mine")
