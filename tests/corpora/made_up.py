"""Made-up data sets in the formats of the real ones; nothing here is anyone's data.

Its two fixtures are imported by the tests: data sets are then found as pyproject.toml registers them,
whatever was installed, and prepared in a folder of the test's own.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000


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
def own_folder(monkeypatch, tmp_path) -> Path:
    """Where prepared corpora lie."""
    monkeypatch.setenv("INTERP_CORPORA", str(tmp_path / "prepared"))
    return tmp_path / "prepared"


def tone(path: Path, hertz: float = 220.0, seconds: float = 1.2, level: float = 0.2) -> Path:
    """A sound file with a tone in it; level 0 is silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(RATE * seconds)) / RATE
    soundfile.write(path, level * np.sin(2 * np.pi * hertz * time), RATE)
    return path


def midi(path: Path, notes=(60, 64, 67), seconds: float = 1.0, program: int = 0, pedal: bool = False) -> Path:
    """A Standard MIDI file with a chord."""
    import pretty_midi

    path.parent.mkdir(parents=True, exist_ok=True)
    song, piano = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(program)
    piano.notes = [pretty_midi.Note(90, note, 0.0, seconds) for note in notes]
    if pedal:
        piano.control_changes = [
            pretty_midi.ControlChange(64, 127, 0.0),
            pretty_midi.ControlChange(64, 0, 3.0),
        ]
    song.instruments.append(piano)
    song.write(str(path))
    return path


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def deam(folder, songs=range(2, 24), header="song_id, valence_mean, valence_std, arousal_mean, arousal_std"):
    """DEAM's layout: a header with spaces, two static files, ratings over time; WAV for MP3."""
    static = folder / "annotations/annotations averaged per song/song_level"
    dynamic = folder / "annotations/annotations averaged per song/dynamic (per second annotations)"
    static.mkdir(parents=True)
    dynamic.mkdir(parents=True)
    lines = [f"{song},{1 + song % 9},1.5,{9 - song % 9},0.8" for song in songs]
    (static / "static_annotations_averaged_songs_1_2000.csv").write_text("\n".join([header, *lines]))
    (static / "static_annotations_averaged_songs_2000_2058.csv").write_text(
        "song_id, valence_mean, valence_std, valence_ max_mean, arousal_mean, arousal_std\n2001,5,1,6,5,1\n"
    )
    for axis in ("valence", "arousal"):
        lines = [f"{song},0.1,-0.2{',0.3' if song % 2 else ','}" for song in songs]
        text = "\n".join(["song_id,sample_15000ms,sample_15500ms,sample_16000ms", *lines])
        (dynamic / f"{axis}.csv").write_text(text)
    for song in [*songs, 2001]:
        tone(folder / f"MEMD_audio/{song}.wav", 200 + song)
    return folder


def vgmidi(folder: Path, seconds: float = 3.0) -> Path:
    """VGMIDI's layout with real melodies: the tunes of ``etude/tunes.py``, slow and fast, in two keys.

    Valence is the sign of the mode, arousal that of the tempo. A tune at a tempo is a piece, its keys are
    phrases; the first piece has a phrase of another emotion, as happens there.
    """
    from dataclasses import replace

    import pretty_midi

    from etude.tunes import TUNES

    table = ["id,series,console,game,piece,midi,valence,arousal"]
    (folder / "labelled/phrases").mkdir(parents=True)
    for tune in TUNES:
        for arousal, pace in ((-1, 0.6), (1, 1.3)):
            for key in (0, 3):
                song, piano = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(0)
                for note in replace(tune, beats_per_minute=pace * tune.beats_per_minute).notes(seconds):
                    sounding = note.velocity, note.pitch + key, note.start, note.start + note.length
                    piano.notes.append(pretty_midi.Note(*sounding))
                song.instruments.append(piano)
                piece = f"{tune.name.replace(',', '')} at {pace}"
                name = f"labelled/phrases/Old tunes_none_{piece}_{key}.mid"
                song.write(str(folder / name))
                odd = len(table) == 1
                valence = {"major": 1, "minor": -1}[tune.mode] * (-1 if odd else 1)
                table.append(f"{len(table)},Old,none,Old tunes,{piece},{name},{valence},{arousal}")
    (folder / "vgmidi_labelled.csv").write_text("\n".join(table), encoding="utf-8")
    return folder
