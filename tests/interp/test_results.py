"""What a notebook leaves."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import time
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import soundfile

from interp import InterpError, results
from interp.results import sounds


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    return tmp_path


def written(run) -> dict:
    return json.loads((run / "results.json").read_text())


def test_number(run):
    value = results.number("d.happy", np.float32(0.5), unit="s", n=np.int64(4), interval=(np.float64(0), 1))
    assert type(value) is float
    assert written(run)["numbers"]["d.happy"] == {
        "value": 0.5,
        "unit": "s",
        "n": 4,
        "interval": [0.0, 1],
        "note": "",
    }


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: results.number("x", float("nan")), "x must be a finite number"),
        (lambda: results.number("x", "1"), "x must be a finite number"),
        (lambda: results.number("x", 1, interval=(2, 1)), "upside down"),
        (lambda: results.number("No spaces", 1), "is no name for a result"),
        (lambda: results.number("../up", 1), "is no name for a result"),
        (lambda: results.audio("x", np.zeros((3, 2)), 8000, caption="c", listen="l"), r"shape \[3, 2\]"),
        (lambda: results.audio("x", np.array([np.inf]), 8000, caption="c", listen="l"), "not finite"),
        (lambda: results.audio("x", np.zeros(8), 8, caption=" ", listen="l"), "has no caption"),
        (lambda: results.audio("x", np.zeros(8), 8, caption="c", listen=""), "no word on what to listen for"),
        (lambda: results.figure("x", None, caption=" ", alt="a"), "has no caption"),
        (lambda: results.figure("x", None, caption="c", alt=""), "has no alternative text"),
        (lambda: results.table("x", pd.DataFrame({"a": [1]}), caption=" "), "has no caption"),
        (lambda: results.table("x", pd.DataFrame({"a": []}), caption="c"), "is empty"),
        (lambda: results.table("x", pd.DataFrame({("a", "b"): [1]}), caption="c"), "several levels"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(run, call, sentence):
    with pytest.raises(InterpError, match=sentence) as refused:
        call()
    assert "\n" not in str(refused.value)
    assert not (run / "results.json").exists()


def test_a_table_is_recorded_as_it_reads(run):
    frame = pd.DataFrame({"n": [1, 20], "share": [2 / 3, 1.0], "of": ["a", "[1, 2]"]}, index=["x", "y"])
    results.table("t", frame.rename_axis("site"), caption="What\n  is so.")
    assert written(run)["tables"]["t"] == {
        "caption": "What is so.",
        "heads": ["site", "n", "share", "of"],
        "rows": [["x", "1", "0.6667", "a"], ["y", "20", "1", "[1, 2]"]],
    }


def test_a_name_is_used_for_one_kind_only(run):
    results.number("x", 1)
    results.number("x", 2)  # a cell that is run again
    assert written(run)["numbers"]["x"]["value"] == 2
    with pytest.raises(InterpError, match="taken in this run's numbers"):
        results.audio("x", np.zeros(8), 8000, caption="c", listen="l")


@pytest.mark.parametrize(
    ("gain", "suffix", "tolerance"), [(0.01, "flac", 2**-15), (1.0, "flac", 2**-15), (1.7, "wav", 0)]
)
def test_a_sound_keeps_its_level(run, gain, suffix, tolerance):
    wave = (gain * np.sin(np.arange(4000) / 9)).astype(np.float32)
    sound = results.audio("tone", wave[None], 8000, caption="A tone", listen="its level")
    assert sound.file.endswith(suffix) and sound.seconds == 0.5
    back, rate = soundfile.read(run / sound.file, dtype="float32")
    assert rate == 8000
    assert np.abs(back - wave).max() <= tolerance
    again = results.audio("tone-2", wave, 8000, caption="The same", listen="its level")
    assert again.file == sound.file, "the same sound is one file"


def test_a_caption_is_text(run, monkeypatch):
    sound = results.audio("tone", np.zeros(80), 8000, caption='<script> & "quotes"', listen="<script>")
    data, mark = sound._repr_mimebundle_()
    assert "<script>" not in data["text/html"]
    assert f'src="{sound.file}"' in data["text/html"]
    assert mark == {"interp": {"sounds": ["tone"]}}, "by which the book knows what is shown"
    monkeypatch.setattr(results, "run_dir", lambda: run)
    monkeypatch.delenv(results.RUN_DIR)
    shown = sound._repr_mimebundle_()[0]["text/html"]
    assert 'src="data:audio/flac;base64,' in shown, "by hand, the notebook carries its sounds"


def outline(run, sound) -> list[float]:
    """Heights of the bars of a sound's thumbnail."""
    picture = ElementTree.parse(run / sound.wave).getroot()
    assert picture.get("aria-hidden") == "true", "the caption says it all"
    return [float(height) for height in re.findall(r"v([\d.]+)", picture[0].get("d"))]


def test_a_thumbnail_shows_where_a_sound_is_and_how_loud(run):
    half = np.r_[np.ones(4000), np.zeros(4000)]
    loud, soft = (
        outline(run, results.audio(name, gain * half, 8000, caption="c", listen="l"))
        for name, gain in {"loud": 1.0, "soft": 0.1}.items()
    )
    assert len(loud) == len(soft) == sounds.COLUMNS
    assert loud[0] == sounds.HEIGHT and loud[-1] < 1, "full scale is the full height, silence a thin line"
    assert soft[0] == pytest.approx(sounds.HEIGHT * (1 - 20 / 48), abs=0.1), "20 dB softer, on the same scale"
    whole = results.audio("short", np.ones(3), 8000, caption="c", listen="l")
    assert len(outline(run, whole)) == 3


def test_a_gallery_says_once_what_all_its_sounds_are_to_be_heard_for(run, monkeypatch):
    shown = []
    monkeypatch.setattr(results, "_show", lambda data, mark: shown.append((data["text/html"], mark)))
    same = [results.audio(f"s{i}", np.zeros(8), 8, caption="c", listen="pace", show=False) for i in range(2)]
    other = results.audio("other", np.zeros(8), 8, caption="c", listen="level", show=False)
    results.gallery(iter(same))
    results.gallery([*same, other])
    assert [text.count("pace") for text, _ in shown] == [1, 2]
    assert shown[1][1] == {"sounds": ["s0", "s1", "other"]}


def test_a_figure_brings_its_alternative_text(run):
    from interp import plots

    fig = plots.cosine_heatmap(np.eye(2), ["a", "b"], alt="Two by two.")
    results.figure("table", fig, caption="c")
    assert written(run)["figures"]["table"]["alt"] == "Two by two."


def test_the_same_figure_is_the_same_file(run):
    from matplotlib.figure import Figure

    contents = []
    for _ in range(2):
        fig = Figure()
        fig.subplots().plot([1, 2, 3])
        contents.append(results.figure("line", fig, caption="A\nline", alt="Up").read_bytes())
    assert contents[0] == contents[1]
    assert written(run)["figures"]["line"] == {"file": "figures/line.png", "caption": "A line", "alt": "Up"}


def test_a_module_is_named_by_where_its_links_lead(run, tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "linked_module.py").write_text("X = 1\n")
    (tmp_path / "link").symlink_to("a")
    monkeypatch.syspath_prepend(tmp_path / "link" / "b")
    importlib.import_module("linked_module")
    results.finish(time.time())
    modules = json.loads((run / "sources.json").read_text())["modules"]
    assert str((tmp_path / "a" / "b" / "linked_module.py").resolve()) in modules
    assert not any("link/" in path for path in modules)


def test_a_module_that_changed_after_the_start_gets_a_mark_in_place_of_a_hash(run, tmp_path, monkeypatch):
    """To the moment: one that was written just before counts as it is, even in the same second."""
    files = [tmp_path / f"{when}_the_start.py" for when in ("before", "after")]
    for file, at in zip(files, (1_000_000_000.25, 1_000_000_000.75), strict=True):
        file.write_text("X = 1\n")
        os.utime(file, (at, at))
    monkeypatch.syspath_prepend(tmp_path)
    for file in files:
        importlib.import_module(file.stem)
    results.finish(1_000_000_000.5)
    modules = json.loads((run / "sources.json").read_text())["modules"]
    known = hashlib.sha256(b"X = 1\n").hexdigest()
    assert [modules[str(file.resolve())] for file in files] == [known, "changed during the run"]


def test_sources_are_ours_only(run):
    results.finish(time.time())
    sources = json.loads((run / "sources.json").read_text())
    assert any(path.endswith("interp/results/__init__.py") for path in sources["modules"])
    assert not [
        path for path in sources["modules"] if "site-packages" in path or path.endswith("json/__init__.py")
    ]
    assert sources["peak_memory_bytes"] > 2**20
