"""A folder of one's own: the tables that people really have, and what is no sound."""

import numpy as np
import pytest
from made_up import tone

import interp
from interp.errors import InterpError


@pytest.fixture
def folder(tmp_path):
    tone(tmp_path / "a.wav")
    tone(tmp_path / "b.wav", 330)
    return tmp_path


@pytest.mark.parametrize(
    "table",
    [
        'file,valence,bpm,mood\na.wav,0.5,90.5,"calm, slow"\nb.wav,-0.25,,1\n',
        "file;valence;bpm;mood\na.wav;0,5;90,5;calm, slow\nb.wav;-0,25;;1\n",
        "\ufefffile;valence;bpm;mood\na.wav;0.5;90.5;calm, slow\nb.wav;-0.25;;1\n",
        "file\tvalence\tbpm\tmood\na.wav\t0.5\t90.5\tcalm, slow\nb.wav\t-0.25\t\t1\n",
    ],
    ids=["commas", "semicolons", "semicolons and points", "tabs"],
)
def test_separators(folder, table):
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    corpus = interp.corpus(folder)
    assert corpus.column("valence").tolist() == [0.5, -0.25]
    np.testing.assert_array_equal(corpus.column("bpm"), [90.5, np.nan])
    assert corpus.column("mood").tolist() == ["calm, slow", "1"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_another_encoding_is_said_with_its_cure(folder, encoding):
    (folder / "labels.csv").write_text("file,mood\na.wav,fröhlich\n", encoding=encoding)
    with pytest.raises(InterpError, match="labels.csv is not a table in CSV and UTF-8: save it as UTF-8"):
        interp.corpus(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("labels.csv", None), ("c.wav", b"<html>"), ("c.mp3", b"<html>"), ("c.raw", b"12"), ("c.wav", b"")],
)
def test_a_file_that_is_no_audio_is_refused_at_once_with_its_line(folder, name, content):
    if content is not None:
        (folder / name).write_bytes(content)
    (folder / "labels.csv").write_text(f"file\na.wav\n{name}\n")
    with pytest.raises(InterpError, match=f"labels.csv, line 3: Cannot read audio from .*{name}: it is not"):
        interp.corpus(folder)
