"""Archives of strangers: nothing lands outside, nothing half-done is left."""

import errno
import hashlib
import io
import tarfile
import zipfile

import pytest
from made_up import deam, own_folder, registered, tree  # noqa: F401  two are fixtures

from corpora.dataset import Folders
from corpora.unpack import unpack, verify_checksums
from interp.__main__ import main
from interp.corpora.prepared import data_set, read_prepared
from interp.errors import InterpError


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return path


def make_tar(path, members):
    with tarfile.open(path, "w:gz") as packed:
        for info, data in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_good_archive(tmp_path):
    members = [("a/é.txt", b"1"), ("b.txt", b"22")]
    for archive in (make_zip(tmp_path / "x.zip", members), make_tar(tmp_path / "y.tar.gz", members)):
        folder = unpack(archive, tmp_path / archive.stem)
        assert {name: content for name, (content, _) in tree(folder).items()} == {
            "a/é.txt": b"1",
            "b.txt": b"22",
        }
        assert unpack(archive, folder) == folder


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "C:\\evil.txt", "a\\..\\..\\evil"]
)
def test_nothing_lands_outside(tmp_path, name):
    inside = tmp_path / "deep" / "in"
    for archive in (
        make_zip(tmp_path / "x.zip", [("good.txt", b"1"), (name, b"2")]),
        make_tar(tmp_path / "x.tar.gz", [("good.txt", b"1"), (name, b"2")]),
    ):
        with pytest.raises(InterpError, match="would land outside"):
            unpack(archive, inside)
        assert not list(tmp_path.rglob("*evil*")) and not list((tmp_path / "deep").iterdir())


def test_links_and_devices_are_refused(tmp_path):
    special = zipfile.ZipInfo("link")
    special.external_attr = 0o120777 << 16
    refused = [make_zip(tmp_path / "l.zip", [(special, b"/etc/passwd")])]
    for i, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
        refused.append(make_tar(tmp_path / f"l{i}.tar.gz", [(link("link", "/etc/passwd", kind), b"")]))
    for archive in refused:
        with pytest.raises(InterpError, match="'link', a link or device"):
            unpack(archive, tmp_path / "to")
        assert not (tmp_path / "to").exists()


def test_bombs_are_refused(tmp_path):
    bomb = make_zip(tmp_path / "bomb.zip", [("zeros", bytes(300 * 2**20))])
    with pytest.raises(InterpError, match="more than is allowed"):
        unpack(bomb, tmp_path / "to")
    small = make_zip(tmp_path / "small.zip", [("a", b"12345678")])
    with pytest.raises(InterpError, match="more than is allowed"):
        unpack(small, tmp_path / "to", largest=4)
    assert not (tmp_path / "to").exists() and not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_download_that_was_cut_short(tmp_path, kind):
    noise = hashlib.shake_256(b"x").digest(200_000)
    whole = (make_zip if kind == "zip" else make_tar)(tmp_path / f"x.{kind}", [("a", noise)])
    whole.write_bytes(whole.read_bytes()[:-9000])
    with pytest.raises(InterpError, match="damaged or not complete"):
        unpack(whole, tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" <!DOCTYPE html><p>404", "is a web page and no archive"),
        (b"PK\x03\x04 and then nothing", "is damaged or not complete"),
    ],
)
def test_what_is_no_archive_is_one_sentence(tmp_path, kind, content, said):
    archive = tmp_path / f"x.{kind}"
    archive.write_bytes(content)
    with pytest.raises(InterpError) as caught:
        unpack(archive, tmp_path / "to")
    assert str(caught.value) == f"{archive} {said}; download it again."


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path, monkeypatch, capsys):
    import corpora.unpack

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpora.unpack, "_copy", full)
    archive = make_zip(tmp_path / "x.zip", [("a", b"1")])
    assert main(["data", "prepare", "deam", str(archive)]) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said and "download" not in said and said.count("\n") == 1
    assert not list((tmp_path / "prepared").rglob("*.partial"))


def test_a_set_is_prepared_from_its_archives(tmp_path):
    source, packed = deam(tmp_path / "source", songs=range(2, 5)), tmp_path / "packed"
    packed.mkdir()
    for name in ("annotations", "MEMD_audio"):
        files = [
            (str(p.relative_to(source)), p.read_bytes()) for p in (source / name).rglob("*") if p.is_file()
        ]
        make_zip(packed / f"DEAM_{name}.zip", files)
    before = tree(packed)
    corpus = read_prepared(data_set("deam").prepare(packed, tmp_path / "out", progress=False))
    assert tree(packed) == before and corpus.ids == ["2", "3", "4", "2001"]
    assert all(clip.audio.path.is_relative_to(tmp_path / "out") for clip in corpus)
    assert corpus[0].waveform(8000).shape == (1, 9600)


def pack(source, archive):
    """A zip of all that is in a folder."""
    return make_zip(
        archive, [(str(p.relative_to(source)), p.read_bytes()) for p in source.rglob("*") if p.is_file()]
    )


def test_an_archive_that_was_put_right_is_unpacked_anew(tmp_path):
    """And one of the same name in another folder is another one: nothing of the first is mixed in."""
    out, source = tmp_path / "out", deam(tmp_path / "source", songs=range(2, 5))
    (table,) = source.rglob("*1_2000.csv")
    good = table.read_text()
    table.write_text("song_id\n2\n")
    with pytest.raises(InterpError, match="has no column"):
        data_set("deam").prepare(pack(source, tmp_path / "x.zip"), out, progress=False)
    table.write_text(good)
    other = deam(tmp_path / "other", songs=range(7, 9))
    (tmp_path / "elsewhere").mkdir()
    for archive, ids in (
        (pack(source, tmp_path / "x.zip"), ["2", "3", "4", "2001"]),
        (pack(other, tmp_path / "elsewhere/x.zip"), ["7", "8", "2001"]),
    ):
        assert read_prepared(data_set("deam").prepare(archive, out, progress=False)).ids == ids
        assert len(list((out / "audio").iterdir())) == 1


@pytest.mark.parametrize("left", ["annotations", "MEMD_audio"])
def test_a_half_unpacked_folder_beside_its_archive_is_named(tmp_path, left):
    source, packed = deam(tmp_path / "source", songs=range(2, 5)), tmp_path / "packed"
    for name in ("annotations", "MEMD_audio"):
        (packed / left).mkdir(parents=True, exist_ok=True)
        pack(source / name, packed / f"{name}.zip")
    with pytest.raises(InterpError, match=f"folder beside .*{left}.zip was read in its place: .*remove it"):
        data_set("deam").prepare(packed, tmp_path / "out", progress=False)
    (packed / left).rmdir()
    assert len(read_prepared(data_set("deam").prepare(packed, tmp_path / "out", progress=False))) == 4


def test_checksums_beside_the_files(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a")
    right = hashlib.sha256(b"a").hexdigest()
    (tmp_path / "list_sha256.txt").write_text(f"{right}  a.bin\n{right}  absent.bin\n# a comment\n")
    assert verify_checksums(Folders([tmp_path])) == (1, 2)
    (tmp_path / "a.bin").write_bytes(b"b")
    with pytest.raises(InterpError, match="a.bin is not what list_sha256.txt says"):
        verify_checksums(Folders([tmp_path]))
