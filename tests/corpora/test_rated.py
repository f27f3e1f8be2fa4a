"""Music of others in the place of composed pieces: which clips can be, and what is said of the rest."""

import json
import wave
from pathlib import Path

import pytest

from interp.corpora.prepared import write_prepared
from interp.corpora.rated import rated_clips
from interp.errors import InterpError

CORNERS = {1: (1, 1), 2: (-1, 1), 3: (-1, -1), 4: (1, -1)}


def silence(path: Path, seconds: float) -> dict:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 1000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * int(1000 * seconds))
    return {"path": path.name, "sha256": "0" * 64, "size": -1, "modified": -1}


def prepared(folder: Path, clips: list[dict]) -> Path:
    """A prepared corpus; a clip gives what is known of it and, if that is not 2, its seconds."""
    folder.mkdir()
    records = [
        {"id": f"{i}", "audio": silence(folder / f"{i}.wav", clip.pop("seconds", 2)), **clip}
        for i, clip in enumerate(clips)
    ]
    write_prepared(folder, {"name": "mine", "title": "My own", "licence": "none"}, records)
    return folder


def corners(groups: int = 3) -> list[dict]:
    return [
        {"valence": v, "arousal": a, "group": f"{q} {group}"}
        for q, (v, a) in CORNERS.items()
        for group in range(groups)
    ]


def test_what_cannot_be_placed_or_is_short_is_left_out_and_counted(tmp_path):
    more = [{"valence": 0.0, "arousal": 1}, {"labels": {"sad": 1}}, {"quadrant": 3, "seconds": 0.5}]
    found = rated_clips(prepared(tmp_path / "mine", corners() + more), 99, seconds=1.0)
    assert found.clips.ids == [f"{i}" for i in range(12)]
    assert "12 clips of 12 groups from **My own**, drawn from its 15 clips" in found.said
    assert "2 without a quadrant and 1 shorter than 1 s were left out. Licence: none." in found.said


def test_a_quadrant_alone_is_a_corner(tmp_path):
    clips = [{"quadrant": q, "group": f"{q} {group}"} for q in CORNERS for group in range(3)]
    found = rated_clips(prepared(tmp_path / "mine", clips), 99, seconds=1.0).clips
    for clip in found:
        assert (clip.valence, clip.arousal) == CORNERS[clip.quadrant]


def test_the_draw_is_of_its_seed_alone_and_keeps_the_order(tmp_path):
    folder = prepared(tmp_path / "mine", corners(9))
    drawn = [rated_clips(folder, 24, 1.0, seed).clips.ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 24
    assert drawn[0] == sorted(drawn[0], key=int)


def test_a_quadrant_with_too_few_groups_of_its_own_is_refused(tmp_path):
    clips = corners()
    clips[0]["group"] = clips[3]["group"]  # a piece that is happy and angry
    with pytest.raises(InterpError, match="mine has 2 groups in quadrant 1 alone, and 3 are needed"):
        rated_clips(prepared(tmp_path / "mixed", clips), 99, 1.0)
    with pytest.raises(InterpError, match="has 0 groups in quadrant 1 .* of 2 clips 0 have a quadrant"):
        rated_clips(prepared(tmp_path / "unrated", [{"labels": {"sad": 1}}] * 2), 99, 1.0)
    with pytest.raises(InterpError, match="Unknown corpus 'nothing here'"):
        rated_clips("nothing here", 99, 1.0)


def test_the_records_are_as_they_were(tmp_path):
    folder = prepared(tmp_path / "mine", corners())
    before = (folder / "clips.jsonl").read_text()
    rated_clips(folder, 12, 1.0)
    assert (folder / "clips.jsonl").read_text() == before
    assert json.loads(before.splitlines()[0])["valence"] == 1


def test_parts_share_no_group(tmp_path):
    found = rated_clips(
        prepared(tmp_path / "mine", 2 * corners()), 99, seconds=1.0
    )  # two clips of each group
    learn, test = found.parts(seed=1)
    groups = found.clips.groups
    assert sorted([*learn, *test]) == list(range(24)) and len(learn) == 2 * len(test)
    assert not {groups[i] for i in learn} & {groups[i] for i in test}
    assert found.parts(seed=1)[1].tolist() == test.tolist() != found.parts(seed=2)[1].tolist()
