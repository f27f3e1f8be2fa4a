"""A data set is checked, converted once, and nothing in its own folder is changed."""

import csv
import json

import numpy as np
import pytest
import soundfile
from made_up import deam, midi, own_folder, registered, tone, tree  # noqa: F401  two are fixtures

import interp
from corpora.tables import Problems, read_rows
from interp.__main__ import main
from interp.corpora.prepared import data_set, data_sets, read_prepared, renderer
from interp.descriptors import CUES
from interp.errors import InterpError


@pytest.fixture
def deaf(monkeypatch):
    """Measures levels alone: what the other cues are is no matter to a test of tables."""
    import corpora.listen

    def level(waveform, rate):
        if waveform.shape[-1] < rate:
            raise InterpError("too short")
        decibels = 20 * float(waveform.square().mean().sqrt().clamp(min=1e-10).log10())
        return dict.fromkeys(CUES, float("nan")) | {"level": decibels}

    monkeypatch.setattr(corpora.listen, "describe", level)


def prepared(name, folder, **options):
    return read_prepared(
        data_set(name).prepare(folder, folder.parent / f"{name}-out", progress=False, **options)
    )


def test_the_sets_are_found_by_entry_point(capsys):
    assert set(data_sets()) == {"deam", "pmemo", "emopia", "vgmidi", "mtg-jamendo", "emotify"}
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    for name, found in data_sets().items():
        assert f"{name}: {found.about.title}" in listed
    assert listed.count("not prepared") == 6 and "licence" in listed


def test_deam_from_the_command_line(tmp_path, capsys):
    """Scales, groups, curves, features and the report; the folder of the set is as it was."""
    folder, home = deam(tmp_path / "DEAM"), tmp_path / "prepared"
    tone(folder / "MEMD_audio/3.wav", level=0)  # silent
    tone(folder / "MEMD_audio/777.wav")  # nobody rated it
    before = tree(folder)
    assert main(["data", "prepare", "deam", str(folder)]) == 0
    said = capsys.readouterr().out
    assert tree(folder) == before
    assert "| labelled clips | 23 (the whole set: 1,802) |" in said
    assert (
        "| sounds without labels | 1 |" in said
        and "| sounds that are unreadable, silent or too short | 1 |" in said
    )
    assert "3.wav: it is silent (-200 dB full scale)." in said
    assert f"Picture: {home / 'deam/plane.png'}\n" in said and "![" not in said

    corpus = interp.corpus("deam")
    heard = corpus.audio_hash
    assert len(corpus) == 22 and corpus.groups == corpus.ids and "3" not in corpus.ids
    by_id = dict(zip(corpus.ids, corpus, strict=True))
    assert (
        by_id["2"].valence == -0.5 and by_id["2"].arousal == 0.5 and by_id["2"].quadrant == 2
    )  # 3 and 7 of 1-9
    assert by_id["5"].curve == ((15.0, 0.1, 0.1), (15.5, -0.2, -0.2), (16.0, 0.3, 0.3))
    assert len(by_id["4"].curve) == 2 and by_id["2001"].curve == ()
    assert by_id["2"].labels == {"valence_std": 0.375, "arousal_std": 0.2}  # in units of [-1, 1]
    assert by_id["2"].waveform(8000).shape == (1, 9600)
    with (home / "deam/features.csv").open() as file:
        features = {row["id"]: row for row in csv.DictReader(file)}
    assert float(features["23"]["level"]) == pytest.approx(20 * np.log10(0.2 / np.sqrt(2)), abs=0.05)
    assert (home / "deam/plane.png").read_bytes().startswith(b"\x89PNG")
    assert not list(home.glob(".*"))

    tone(folder / "MEMD_audio/5.wav", 999)  # the digest follows the file
    assert interp.corpus("deam").audio_hash != heard
    (folder / "MEMD_audio").rename(folder / "moved")
    with pytest.raises(InterpError, match="no longer where they were .*prepare it again"):
        interp.corpus("deam")


def test_a_stopped_preparation_goes_on(tmp_path, monkeypatch, deaf):
    import corpora.prepare

    folder, listen, heard = deam(tmp_path / "DEAM"), corpora.prepare.listen, []

    def killed(*job):
        heard.append(job[0].name)
        if len(heard) == 20:
            raise KeyboardInterrupt
        return listen(*job)

    monkeypatch.setattr(corpora.prepare, "listen", killed)
    with pytest.raises(KeyboardInterrupt):
        prepared("deam", folder)
    assert not (tmp_path / "deam-out").exists()
    corpus = prepared("deam", folder)
    assert len(corpus) == 23 and len(heard) == 20 + (23 - 19)
    again = prepared("deam", folder)  # in the place of the first
    assert again.hash == corpus.hash


def test_several_processes_hear_the_same(tmp_path):
    folder = deam(tmp_path / "DEAM", songs=range(2, 6))
    one = prepared("deam", folder)
    assert prepared("deam", folder, workers=2).hash == one.hash


def test_pmemo(tmp_path, deaf):
    folder = tmp_path / "PMEmo2019"
    for song in (1, 4, 9):
        tone(folder / f"chorus/{song}.wav")
    (folder / "annotations").mkdir()
    (folder / "annotations/static_annotations.csv").write_text(
        "\ufeffmusicId,Arousal(mean),Valence(mean)\n1,0.4,0.575\n4,0.25,0.5\n", encoding="utf-8"
    )
    (folder / "annotations/dynamic_annotations.csv").write_text(
        "musicId,frameTime,Arousal(mean),Valence(mean)\n1,15.5,0.5,0.75\n1,15.0,0.5,0.5\n"
    )
    (folder / "metadata.csv").write_text(
        'musicId,fileName,title,artist,album\n1,1.mp3,"Déjà vu, encore",Ålborg & Sønn,-\n', encoding="utf-8"
    )
    corpus = prepared("pmemo", folder)
    assert corpus.ids == ["1", "4"]
    np.testing.assert_allclose(corpus.column("valence"), [0.15, 0.0])
    np.testing.assert_allclose(corpus.column("arousal"), [-0.2, -0.5])
    assert corpus[0].curve == ((15.0, 0.0, 0.0), (15.5, 0.5, 0.0))
    assert corpus[0].labels == {"title": "Déjà vu, encore", "artist": "Ålborg & Sønn"}
    about = json.loads((tmp_path / "pmemo-out/corpus.json").read_text())
    assert about["sounds_without_labels"] == 1


def test_emopia_as_midi_with_and_without_a_table(tmp_path, deaf):
    names = ["Q1_im4Qxn3_0", "Q1_im4Qxn3_2", "Q3_L3_TadjSQQ0_0"]
    for i, name in enumerate(names):
        midi(tmp_path / f"EMOPIA/midis/{name}.mid", (60 + i, 64 + i))
    corpus = prepared("emopia", tmp_path / "EMOPIA")
    assert corpus.ids == names and corpus.column("quadrant").tolist() == [1, 1, 3]
    assert corpus.groups == ["im4Qxn3", "im4Qxn3", "L3_TadjSQQ0"]  # the song, not the clip
    assert corpus[0].valence is None and not (tmp_path / "emopia-out/plane.png").exists()
    assert corpus[0].audio.path.parent == tmp_path / "emopia-out/audio"
    (tmp_path / "EMOPIA/split.csv").write_text("fname,label\n" + "".join(f"{n},{n[:2]}\n" for n in names[:2]))
    assert prepared("emopia", tmp_path / "EMOPIA").ids == names[:2]
    (tmp_path / "EMOPIA/split.csv").write_text(f"fname,label\n{names[0]},Q4\n")
    with pytest.raises(InterpError, match="line 2: Q1_im4Qxn3_0 is labelled Q4, and its name says Q1"):
        prepared("emopia", tmp_path / "EMOPIA")


def test_vgmidi_is_played(tmp_path):
    folder = tmp_path / "vgmidi"
    table = ["id,series,console,game,piece,midi,valence,arousal"]
    for i, (piece, part, signs) in enumerate(
        [("Höhle", 0, "1,-1"), ("Höhle", 1, "1,1"), ("Ending", 0, "-1,-1")]
    ):
        name = f"labelled/phrases/A Game_N64_A Game_{piece}_{part}.mid"
        midi(folder / name, (50 + i, 57 + i))
        table.append(f"{i},A Game,N64,A Game,{piece},{name},{signs}")
    (folder / "vgmidi_labelled.csv").write_text("\n".join(table), encoding="utf-8")
    before = tree(folder)
    corpus = prepared("vgmidi", folder)
    assert tree(folder) == before
    assert corpus.column("quadrant").tolist() == [4, 1, 3]
    assert corpus.groups == ["A Game (N64), Höhle"] * 2 + ["A Game (N64), Ending"]
    waveform, rate = corpus[0].audio.read()
    played, of = renderer()(folder / "labelled/phrases/A Game_N64_A Game_Höhle_0.mid")
    assert rate == of == 16_000
    np.testing.assert_allclose(waveform.numpy(), played, atol=2**-22)  # 24 bits


def test_jamendo_is_not_rectangular(tmp_path, deaf):
    folder = tmp_path / "mtg"
    tone(folder / "audio/48/948.low.wav")
    tone(folder / "audio/50/950.wav")
    (folder / "autotagging_moodtheme.tsv").write_text(
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
        "track_0000948\tartist_000087\talbum_000149\t48/948.mp3\t212.7\tmood/theme---sad\tmood/theme---film\n"
        "track_0000950\tartist_000087\talbum_000149\t50/950.mp3\t248.0\tmood/theme---film\n"
    )
    corpus = prepared("mtg-jamendo", folder)
    assert corpus.groups == ["artist_000087"] * 2
    assert corpus.column("tags").tolist() == ["film, sad", "film"]
    assert corpus.column("sad").tolist() == [1, 0] and corpus.column("film").tolist() == [1, 1]


def test_emotify_counts_listeners(tmp_path, deaf):
    folder = tmp_path / "emotify"
    for genre in ("classical", "rock"):
        tone(folder / f"emotifymusic/{genre}/1.wav")
    scales = (
        " amazement, solemnity, tenderness, nostalgia, calmness, power, joyful_activation, tension, sadness"
    )
    (folder / "data.csv").write_text(
        f"track id, genre,{scales}, mood\n1,classical,0,1,0,0,0,0,0,0,1,3\n1,classical,0,0,0,0,0,0,0,0,1,2\n"
        "101,rock,0,0,0,0,0,1,0,1,0,3\n"
    )
    corpus = prepared("emotify", folder)
    assert corpus.ids == ["classical-1", "rock-101"] and corpus[1].audio.path.parts[-2:] == ("rock", "1.wav")
    assert corpus.column("solemnity").tolist() == [0.5, 0] and corpus.column("sadness").tolist() == [1, 0]
    assert corpus.column("listeners").tolist() == [2, 1]


# --- what may be wrong with it ---


def write_static(folder, text):
    """One table of labels beside 40 sounds."""
    deam(folder)
    (table,) = folder.rglob("static_annotations_averaged_songs_1_2000.csv")
    table.write_text(text, encoding="utf-8")
    return folder


GOOD = [f"{song},5,1,5,1" for song in range(2, 24)]
HEAD = "song_id, valence_mean, valence_std, arousal_mean, arousal_std"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7,nan,1,5,1", "valence_mean must be a finite number, not 'nan'"),
        ("7,12,1,5,1", "valence_mean must lie between 1 and 9, not 12"),
        ("7,high,1,5,1", "valence_mean must be a number, not 'high'"),
        ("7,5,1,5", "4 cells under 5 column names"),
        ("6,5,1,5,1", "6 is in line 6 already"),
        (",5,1,5,1", "song_id is empty"),
    ],
)
def test_one_bad_row_is_told_and_counted(tmp_path, row, reason, deaf):
    lines = [*GOOD[:5], row, *GOOD[6:]]
    folder = write_static(tmp_path / "DEAM", "\n".join([HEAD, *lines]))
    corpus = prepared("deam", folder)
    assert (
        len(corpus) == 22
        and json.loads((tmp_path / "deam-out/corpus.json").read_text())["unreadable_rows"] == 1
    )
    with (tmp_path / "deam-out/problems.csv").open(encoding="utf-8") as file:
        told = [p for p in csv.DictReader(file) if p["line"]]
    assert len(told) == 1 and told[0]["line"] == "7" and reason in told[0]["reason"]
    assert told[0]["file"].endswith("static_annotations_averaged_songs_1_2000.csv")


def test_many_bad_rows_are_an_error(tmp_path):
    lines = [*GOOD[:5], *["0,99,1,5,1"] * 3, *GOOD[8:]]
    folder = write_static(tmp_path / "DEAM", "\n".join([HEAD, *lines]))
    with pytest.raises(
        InterpError, match=r"3 of 22 rows cannot be used, more than 5%; the first: line 7: valence"
    ):
        prepared("deam", folder)


def test_semicolons_and_decimal_commas_are_read(tmp_path, deaf):
    lines = [line.replace(",", ";").replace(";5;", ";5,5;", 1) for line in GOOD]
    folder = write_static(tmp_path / "DEAM", "\ufeff" + "\n".join([HEAD.replace(", ", ";"), *lines]))
    assert prepared("deam", folder)[0].valence == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEAD + "\n", "has no rows"),
        ("song_id,valence\n2,5\n", "has no column 'valence_mean'; its columns are: song_id, valence"),
        ("PK\x03\x04 something", "has no column"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path, capsys, text, said):
    folder = write_static(tmp_path / "DEAM", text)
    assert main(["data", "prepare", "deam", str(folder)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "1_2000.csv" in error


def test_not_utf8_wrong_folder_and_missing_path(tmp_path, capsys):
    folder = write_static(tmp_path / "DEAM", HEAD)
    next(folder.rglob("*1_2000.csv")).write_bytes("song_id;ä".encode("latin-1"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    cases = [
        (["deam", folder], "1_2000.csv is not a table in CSV and UTF-8: save it as UTF-8"),
        (["deam", ""], "PATH is empty; name the data set's folder"),
        (["deam", folder, "--to", " "], "--to is empty; name a folder"),
        (["deam", folder, "--to", tmp_path / "notes.txt"], "notes.txt is a file; name a folder with --to"),
        (["deam", tmp_path / "empty"], "is this DEAM"),
        (["pmemo", folder], "no static_annotations.csv"),
        (["deam", tmp_path / "nowhere"], "There is nothing at"),
        (["deam", tmp_path / "notes.txt"], "neither a folder nor an archive"),
        (["deam", folder, "--to", tmp_path / "mine"], "holds something else"),
        (["deam", folder, "--to", folder / "out"], "must not lie in each other"),
        (["nobody", folder], "Unknown data set 'nobody'; valid: deam"),
    ]
    for arguments, said in cases:
        assert main(["data", "prepare", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "prepared").exists()  # and nothing is left behind
    with pytest.raises(InterpError, match="deam is not prepared in .*data prepare deam PATH"):
        interp.corpus("deam")


@pytest.mark.parametrize("to", ["notes.txt/inside", "/proc/prepared"])
def test_a_folder_that_cannot_be_made(tmp_path, capsys, to):
    (tmp_path / "notes.txt").write_text("mine")
    to = tmp_path / to  # an absolute path stays what it is
    folder = deam(tmp_path / "DEAM", songs=range(2, 4))
    assert main(["data", "prepare", "deam", str(folder), "--to", str(to)]) == 2
    error = capsys.readouterr().err
    assert f"Cannot prepare deam in {to}: " in error and "--to" in error and error.count("\n") == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_table_of_deam_that_is_missing(tmp_path, capsys, deaf):
    folder = deam(tmp_path / "DEAM")
    first, second = sorted(folder.rglob("static_annotations*.csv"))
    kept = second.read_text()
    second.unlink()
    assert main(["data", "prepare", "deam", str(folder)]) == 0  # 3 % of the set
    assert f"{second.name} is missing, with the ratings of 58 songs" in capsys.readouterr().out
    second.write_text(kept)
    first.unlink()
    with pytest.raises(InterpError, match=f"1744 of 1802 songs .*{first.name} is missing, .* 1,744 songs"):
        prepared("deam", folder)


def test_a_row_that_ends_early_is_no_problem_where_rows_may(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\tc\n1\n1\t2\t3\t4\n")
    rows = read_rows(tmp_path / "a.tsv", ("a", "b"), Problems(), lambda cells: cells.values, ragged=True)
    assert [list(row.values()) for row in rows] == [["1", "", ""], ["1", "2", "3\t4"]]


def test_half_of_the_audio(tmp_path, deaf):
    folder = deam(tmp_path / "DEAM")
    for song in range(2, 6):
        (folder / f"MEMD_audio/{song}.wav").unlink()
    with pytest.raises(InterpError, match="4 of 23 labelled clips of deam have no sound .*the first is 2"):
        prepared("deam", folder)
    assert len(prepared("deam", folder, partial=True)) == 19


def test_unreadable_sounds(tmp_path, deaf):
    folder = deam(tmp_path / "DEAM")
    (folder / "MEMD_audio/5.wav").write_bytes(b"ID3 but no music")
    assert len(prepared("deam", folder)) == 22
    for song in range(6, 9):
        soundfile.write(folder / f"MEMD_audio/{song}.wav", np.zeros(10), 8000)  # too short
    with pytest.raises(
        InterpError, match="4 of 23 sounds of deam cannot be used, more than 5%; the first: .*5.wav"
    ):
        prepared("deam", folder)


def test_midi_that_is_none(tmp_path):
    play = renderer()
    (tmp_path / "a.mid").write_bytes(b"MThd nonsense")
    with pytest.raises(InterpError, match="a.mid is not a MIDI file|a.mid holds no note"):
        play(tmp_path / "a.mid")
    with pytest.raises(InterpError, match="Cannot read .*none.mid"):
        play(tmp_path / "none.mid")
    with pytest.raises(InterpError, match="holds no note"):
        play(midi(tmp_path / "b.mid", ()))
    with pytest.raises(InterpError, match="lasts 2001 s"):
        play(midi(tmp_path / "c.mid", seconds=2000))
    with pytest.raises(InterpError, match="Unknown renderer 'organ'; valid: general-midi"):
        renderer("organ")


def test_midi_is_played_as_it_says(tmp_path):
    """Loudness, pedal and instrument are heard."""
    play = renderer()

    def rms(path, start=0.0, stop=9.0):
        sound, rate = play(path)
        return float(np.sqrt(np.mean(sound[0, int(start * rate) : int(stop * rate)] ** 2)))

    dry, wet = midi(tmp_path / "dry.mid"), midi(tmp_path / "wet.mid", pedal=True)
    assert rms(wet, 1.3, 2.0) > 3 * rms(dry, 1.3, 2.0)
    other = midi(tmp_path / "organ.mid", program=19)
    assert not np.allclose(play(other)[0], play(dry)[0])
    assert np.array_equal(play(dry)[0], play(dry)[0])
