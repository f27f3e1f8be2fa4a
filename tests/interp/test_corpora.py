"""A corpus gives the same record whoever made it, and says in one sentence what is wrong with it."""

import math

import numpy as np
import pytest
import soundfile
import torch

import interp
from interp import Clip, InterpError
from interp.corpora import AudioFile, Corpus, Samples, from_files, label

RATE = 3200  # of the tiny model
TONE = Samples(torch.ones(1, 8), RATE)


def write_folder(folder, table: str, files=("a.wav", "b.wav", "sub/c.wav"), seconds=1.0):
    """Files of noise, and a table beside them."""
    for i, name in enumerate(files):
        (folder / name).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(i).normal(0, 0.1, int(RATE * seconds))
        soundfile.write(folder / name, noise, RATE, subtype="FLOAT")
    (folder / "labels.csv").write_text(table, encoding="utf-8-sig")
    return folder


# --- the record ---


def test_quadrant_follows_from_valence_and_arousal():
    for valence, arousal, quadrant in [(0.2, 1, 1), (-1, 0.1, 2), (-0.3, -0.3, 3), (0.5, -1, 4)]:
        assert Clip("x", TONE, valence, arousal).quadrant == quadrant
    assert Clip("x", TONE, 0, 0.5).quadrant is None  # on an axis there is none
    assert Clip("x", TONE, 0.5).quadrant is None
    assert Clip("x", TONE, quadrant=3).valence is None  # and a quadrant is no rating


@pytest.mark.parametrize(
    "known, said",
    [
        ({"valence": 1.2}, r"valence must lie in \[-1, 1\], not 1.2"),
        ({"arousal": math.nan}, "arousal must lie"),
        ({"quadrant": 5}, "quadrant must be 1, 2, 3, 4"),
        ({"valence": 0.5, "arousal": -0.5, "quadrant": 1}, "lie in quadrant 4, not 1"),
        ({"labels": {"tempo": math.inf}}, "tempo must be a finite number"),
        ({"curve": ((0.0, 0.1, 2.0),)}, "arousal over time must lie"),
        ({"curve": ((0.5, 0.1, 0.1), (0.0, 0.1, 0.1))}, "in order of time"),
    ],
)
def test_a_record_that_cannot_be_is_refused(known, said):
    with pytest.raises(InterpError, match=said):
        Clip("x", TONE, **known)


def test_a_corpus_selects_like_an_array():
    corpus = Corpus("five", [Clip(str(i), TONE, group="ab"[i % 2], labels={"n": i}) for i in range(5)])
    assert corpus[1].id == "1" and corpus[-1].id == "4"
    assert corpus[1:3].ids == corpus[[1, 2]].ids == ["1", "2"]
    assert corpus[corpus.column("n") > 2].groups == ["b", "a"]
    with pytest.raises(InterpError, match="has no clips"):
        corpus[5:]
    with pytest.raises(InterpError, match="two clips with the id '0'"):
        corpus[[0, 0]]


def test_columns_are_arrays():
    clips = [
        Clip("a", TONE, valence=-0.5, quadrant=3, labels={"mode": 1, "who": "x"}),
        Clip("b", TONE, quadrant=1, labels={"mode": 0}),
    ]
    corpus = Corpus("two", clips)
    np.testing.assert_array_equal(corpus.column("valence"), [-0.5, np.nan])
    assert corpus.column("quadrant").tolist() == [3, 1] and corpus.column("quadrant").dtype.kind == "i"
    assert corpus.column("mode").tolist() == [1, 0]
    assert corpus.column("who").tolist() == ["x", None]
    with pytest.raises(InterpError, match="valid: valence, arousal, quadrant, mode, who"):
        corpus.column("key")


def test_hashes_tell_sounds_and_labels_apart():
    def hashes(audio=TONE, name="a", **known):
        corpus = Corpus("c", [Clip(name, audio, **known)])
        return corpus.hash, corpus.audio_hash

    assert hashes() == hashes(Samples(torch.ones(1, 8), RATE))
    everything, audio = hashes()
    relabelled, same_audio = hashes(valence=0.5)
    assert relabelled != everything and same_audio == audio
    for changed in (hashes(Samples(torch.zeros(1, 8), RATE)), hashes(name="b")):
        assert changed[0] != everything and changed[1] != audio


# --- a folder ---


def test_a_folder_with_a_table(tmp_path):
    table = (
        "file,valence,arousal,quadrant,group,bpm,mood\n"
        "a.wav,0.5,-0.25,,song 1,120,calm\n"
        "sub/c.wav,,,2,song 1,,\n"
        "\n"
        "b.wav,-1,1,2,,90.5,12\n"
    )
    corpus = interp.corpus(write_folder(tmp_path, table))
    assert corpus.ids == ["a.wav", "sub/c.wav", "b.wav"]
    assert corpus.groups == ["song 1", "song 1", "b.wav"]  # without one, a clip is its own group
    assert corpus.column("quadrant").tolist() == [4, 2, 2]
    np.testing.assert_array_equal(corpus.column("valence"), [0.5, np.nan, -1])
    np.testing.assert_array_equal(corpus.column("bpm"), [120, np.nan, 90.5])
    assert corpus.column("mood").tolist() == ["calm", None, "12"]  # one text makes a column of texts
    assert corpus[2].waveform(RATE).shape == (1, RATE)
    assert corpus[2].waveform(RATE * 2, channels=2).shape == (2, RATE * 2)


def test_a_changed_file_changes_the_hash(tmp_path):
    corpus = interp.corpus(write_folder(tmp_path, "file\na.wav\nb.wav\n"))
    before = corpus.hash
    assert interp.corpus(tmp_path).hash == before
    (tmp_path / "a.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    assert interp.corpus(tmp_path).hash != before


@pytest.mark.parametrize(
    "table, said",
    [
        ("", "labels.csv is empty"),
        ("file,valence\n", "labels.csv is empty"),
        ("name;valence\na.wav;0,5\n", "has no column 'file'; its columns are: name;valence"),
        ("file,x,x\na.wav,1,2\n", "line 1: every column needs a name of its own"),
        ("file,valence\na.wav,0.1,0.2\n", "line 2: 3 cells under 2 column names"),
        ("file\na.wav\ngone.wav\n", "line 3: there is no file .*gone.wav"),
        ("file,valence\n,0.1\n", "line 2: no file is named"),
        ("file\na.wav\nb.wav\na.wav\n", "line 4: a.wav is named in line 2 already"),
        ("file,valence\na.wav,high\n", "line 2: valence must be a finite number or empty, not 'high'"),
        ("file,valence\na.wav,nan\n", "line 2: valence must be a finite number or empty, not 'nan'"),
        ("file,arousal\na.wav,0.5\nb.wav,7\n", r"line 3: arousal must lie in \[-1, 1\], not 7"),
        ("file,quadrant\na.wav,1.5\n", "line 2: quadrant must be 1, 2, 3, 4"),
        ("file,valence,arousal,quadrant\na.wav,1,1,3\n", "line 2: .* lie in quadrant 1, not 3"),
        ("file,bpm\na.wav,inf\n", "line 2: bpm must be a finite number or empty"),
        ('file,x\na.wav,"open\n', "not a table in CSV"),
    ],
)
def test_a_bad_table_is_one_sentence_with_its_line(tmp_path, table, said):
    write_folder(tmp_path, table)
    with pytest.raises(InterpError, match=said) as caught:
        interp.corpus(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_or_foreign_table(tmp_path):
    with pytest.raises(InterpError, match="Cannot read the labels in .*ratings.csv: No such file"):
        interp.corpus(tmp_path, labels="ratings.csv")
    (tmp_path / "labels.csv").write_bytes("file\nä.wav\n".encode("latin-1"))
    with pytest.raises(InterpError, match="not a table in CSV and UTF-8"):
        interp.corpus(tmp_path)


def test_an_unknown_corpus_or_option(tmp_path):
    with pytest.raises(InterpError, match="valid: .*eerola2013, .*etude, etude-alt, factorial.*, a folder"):
        interp.corpus("nowhere")
    with pytest.raises(InterpError, match="'factorial' cannot be loaded so: .*'sed'"):
        interp.corpus("factorial", sed=1)
    with pytest.raises(InterpError, match="a name or a folder, not None"):
        interp.corpus(None)


# --- with a model ---


def test_a_corpus_is_heard(model, tmp_path):
    """In memory and from a store, in batches: what a list of its files gives."""
    corpus = interp.corpus(write_folder(tmp_path, "file\na.wav\nb.wav\nsub/c.wav\n"))
    files = [tmp_path / name for name in corpus.ids]
    how = dict(layers=[1], seconds=0.5, batch_size=2)
    expected = interp.capture(model, files, **how)["resid.1"]
    heard = interp.capture(model, corpus, **how)
    assert heard.prompts == [None] * 3
    assert torch.equal(heard["resid.1"], expected)
    store = interp.capture(model, corpus, **how, to=tmp_path / "store", dtype="float32", progress=False)
    np.testing.assert_array_equal(store.read("resid.1"), expected.numpy())
    assert store.clips == corpus.ids and store.made_from["corpus"]["hash"] == corpus.audio_hash
    relabelled = Corpus(corpus.name, [Clip(c.id, c.audio, valence=0.5) for c in corpus])
    interp.capture(model, relabelled, **how, to=store, dtype="float32", progress=False)  # no other sound
    with pytest.raises(InterpError, match="corpus.hash is"):
        interp.capture(model, corpus[::-1], **how, to=store, dtype="float32", progress=False)


def test_clips_of_other_lengths_need_seconds(model, tmp_path):
    corpus = interp.corpus(write_folder(tmp_path, "file\na.wav\nb.wav\nsub/c.wav\n"))
    soundfile.write(tmp_path / "sub/c.wav", np.full(RATE * 2, 0.1), RATE)
    for batch_size in (1, 3):
        with pytest.raises(InterpError, match=r"last from 1.00 to 2.00 s; give seconds=1.00 or less"):
            interp.encode(model, corpus, batch_size=batch_size)
    with pytest.raises(InterpError, match="b.wav has 1.00 s, less than the 1.5 s"):
        interp.encode(model, corpus[1:], seconds=1.5)
    with pytest.raises(InterpError, match="all clips must be equally long"):
        interp.capture(model, corpus, [1], batch_size=1, to=tmp_path / "store", progress=False)


def test_tokens_can_be_kept_without_the_sound(model, tmp_path):
    corpus = interp.corpus(write_folder(tmp_path, "file\na.wav\nb.wav\n"))
    with_audio, without = interp.encode(model, corpus), interp.encode(model, corpus, keep_audio=False)
    assert torch.equal(with_audio.tokens, without.tokens)
    assert with_audio.audio.shape == (2, 1, RATE) and without.audio.shape == (2, 1, 0)


def test_generated_clips_get_records(model):
    generation = model.generate(["sad piano", "happy piano", None], seconds=0.3, progress=False)
    corpus = label(generation, quadrant=np.array([3, 1, 2]), word=["sad", "happy", None])
    assert corpus.groups == corpus.column("prompt").tolist()[:2] + ["(null prompt)"]
    assert corpus.column("quadrant").tolist() == [3, 1, 2]
    assert corpus.column("word").tolist() == ["sad", "happy", None]
    assert torch.equal(corpus[1].waveform(model.sample_rate), generation.audio[1])
    assert len(corpus.hash) == 64
    assert label(generation, group=["a", "b", "b"]).groups == ["a", "b", "b"]
    for columns, said in [
        ({"quadrant": [1, 2]}, "quadrant must be a list with one value for each of the 3 clips"),
        ({"group": "abc"}, "group must be a list"),
        ({"valence": [0, 0, 3]}, "valence must lie"),
    ]:
        with pytest.raises(InterpError, match=said):
            label(generation, **columns)


def test_files_without_a_table(tmp_path):
    write_folder(tmp_path, "")
    corpus = from_files([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert corpus[0].audio == AudioFile(tmp_path / "a.wav") and corpus[0].valence is None
    (tmp_path / "a.wav").unlink()
    with pytest.raises(InterpError, match="Cannot read audio from .*a.wav"):
        _ = corpus.hash
