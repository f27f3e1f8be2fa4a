"""The first contact with true weights, on a tiny checkpoint of the true layout."""

import json
import zipfile

import numpy as np
import pytest
import real_layout

from interp import __main__ as cli
from interp import verify
from interp.probe import Probe
from interp.stimuli import TIMBRES, tempo_clicks


def test_click_tracks_have_the_tempo_that_they_say():
    corpus = tempo_clicks([60, 120, 180], seconds=4, offsets=2, sample_rate=8000)
    assert len(corpus) == 3 * len(TIMBRES) * 2 and len(set(corpus.groups)) == 3
    for clip in corpus:
        wave = clip.audio.waveform[0].numpy()
        loud = np.flatnonzero(np.abs(wave) > 0.1)
        starts = loud[np.insert(np.diff(loud) > 1200, 0, True)] / 8000
        np.testing.assert_allclose(np.diff(starts), 60 / clip.labels["tempo"], atol=0.01)
    assert tempo_clicks([60], sample_rate=8000).hash == tempo_clicks([60], sample_rate=8000).hash


def test_tempo_can_be_read_off_them_by_something_that_hears_it():
    """The anchor's own positive control: who counts the clicks knows the tempo, also of tempi never seen."""
    corpus = tempo_clicks(range(60, 200, 4), seconds=6, sample_rate=4000)
    counts = []
    for clip in corpus:
        loud = np.abs(clip.audio.waveform[0].numpy()).reshape(-1, 400).max(1) > 0.1  # in steps of 0.1 s
        counts.append([np.diff(loud.astype(int)).clip(0).sum(), 1.0 * len(clip.id)])
    score = Probe(np.array(counts), corpus.groups, n=1).ridge(corpus.column("tempo")).score
    assert score.estimate > 0.95


@pytest.fixture(scope="module")
def cache(tmp_path_factory, builders):
    """A tiny musicgen in both backends' layouts."""
    from interp import Model
    from interp.backends.convert import to_transformers

    build, write_t5 = builders
    cache, work = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("work")
    real_layout.write_cache(cache, build, write_t5, work)
    converted = to_transformers(Model(build(work / "t5"), "tiny"), work / "converted", real_layout.encodec())
    real_layout.into_cache(cache, "facebook/musicgen-small", real_layout.folder_files(converted))
    return cache


def test_it_runs_to_its_end_and_leaves_a_bundle(cache, monkeypatch, tmp_path, capsys):
    real_layout.use_cache(monkeypatch, cache)
    assert cli.main(["verify", "small", "--quick", "--to", str(tmp_path / "bundle")]) == 0
    said = capsys.readouterr().out
    assert "NOT AS IT SHOULD BE" not in said and "AS IT SHOULD BE" in said
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        names = set(bundle.namelist()) - {"./"}
        assert (
            names <= {"anchor.png", "verify.json", "tempo-words.png", "instrument-words.png"}
            and "anchor.png" in names
        )
        report = json.loads(bundle.read("verify.json"))
    status = {finding["check"]: finding["status"] for finding in report["findings"]}
    assert status == {
        "hooks": "ok",
        "capture": "ok",
        "decoders": "ok",
        "backends": "ok",
        "plan": "ok",
        "tempo words": "note",
        "instrument words": "note",
        "anchor": "note",
    }
    assert not report["expected_of_weights"] and "not Meta's weights" in said
    assert report["numbers"]["backends_differ"] < 1e-4 and report["numbers"]["decoders_alike"] == 1


def test_a_check_that_fails_is_told(model, monkeypatch):
    def fails():
        raise ZeroDivisionError("one\ntwo")
        yield

    checks = verify.Verification(model, lambda: model, quick=True)
    for name in ("decoders", "backends", "plan", "words"):
        monkeypatch.setattr(checks, name, lambda: iter(()))
    monkeypatch.setattr(checks, "anchor", fails)
    *_, last = checks.run()
    assert (last.check, last.status, last.detail) == ("anchor", "problem", "ZeroDivisionError: one")


def test_true_weights_must_hold(model):
    checks = verify.Verification(model, lambda: model)
    assert checks._needs_weights("anchor", False, "R² .2").status == "note"
    checks.metas = True
    assert checks._needs_weights("anchor", False, "R² .2").status == "problem"
    assert checks._needs_weights("anchor", True, "R² .97").status == "ok"


def test_plan_on_the_command_line(checkpoint, capsys):
    assert cli.main(["plan", str(checkpoint), "--seconds", "1", "--clips", "4"]) == 0
    assert "4 clips of 1 s: 4 clips at a time" in capsys.readouterr().out
    assert cli.main(["plan", "nowhere"]) == 2
