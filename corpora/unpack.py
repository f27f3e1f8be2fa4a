"""Archives of others, unpacked so that nothing can land outside the folder meant for it."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from corpora.dataset import Folders
from interp.errors import InterpError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LARGEST = 200 * 2**30  # bytes, unpacked: MTG-Jamendo's audio at full quality is the largest set known here
RATIO = 200  # unpacked over packed; music hardly packs, and tables by a factor of ten


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith("._")


def stem(archive: Path) -> str:
    """An archive's name without what says that it is one."""
    return re.sub(r"\.(zip|tar(\.\w+)?|tgz)$", "", archive.name, flags=re.I)


def key(archive: Path) -> str:
    """A name for what an archive holds: another one when it lies elsewhere or has changed."""
    found = archive.stat()
    what = f"{archive.resolve()} {found.st_size} {found.st_mtime_ns}"
    return f"{stem(archive)}-{hashlib.sha256(what.encode()).hexdigest()[:10]}"


def unpack(archive: Path, to: Path, largest: int = LARGEST) -> Path:
    """Unpack into ``to``, which is complete when it is there; a second call does nothing.

    Raises
    ------
    InterpError
        If the archive is damaged or cut short, a member would land outside ``to``, is a link or a device, or
        the whole is larger than ``largest``, than 200 times the archive, or than the room on the disk.
    OSError
        If it cannot be read, or ``to`` not be written.
    """
    if to.is_dir():
        return to
    partial = to.with_name(f"{to.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _unpack(archive, partial, largest)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    os.replace(partial, to)
    return to


def _unpack(archive: Path, to: Path, largest: int) -> None:
    room = min(largest, RATIO * archive.stat().st_size + 2**20, shutil.disk_usage(to).free - 2**30)
    try:
        is_zip = zipfile.is_zipfile(archive)
        with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as packed:
            (_zip if is_zip else _tar)(packed, archive, to, room)
    except RuntimeError as error:  # a password, or a method of packing that is not known
        raise InterpError(f"{archive} cannot be unpacked: {error}.") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the system's, and no fault of the archive
            raise
        raise InterpError(f"{archive} {_fault(archive)}; download it again.") from error


def _fault(archive: Path) -> str:
    with archive.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if not head:
        return "is empty"
    if head.startswith((b"<!doctype", b"<html")):
        return "is a web page and no archive"
    return "is damaged or not complete"


def _zip(packed: zipfile.ZipFile, archive: Path, to: Path, room: int) -> None:
    for member in packed.infolist():
        kind = member.external_attr >> 28  # the file type of the Unix mode; 0 where none was recorded
        if kind not in (0, 4, 8):
            raise InterpError(f"{archive} holds {member.filename!r}, a link or device: it is not unpacked.")
        target = _inside(to, member.filename, archive)
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        with packed.open(member) as source:
            room = _copy(source, target, room, archive)


def _tar(packed: tarfile.TarFile, archive: Path, to: Path, room: int) -> None:
    for member in packed:
        target = _inside(to, member.name, archive)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.isreg():
            room = _copy(packed.extractfile(member), target, room, archive)
        else:
            raise InterpError(f"{archive} holds {member.name!r}, a link or device: it is not unpacked.")


def _inside(to: Path, name: str, archive: Path) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match(r"[A-Za-z]:", name):
        raise InterpError(
            f"{archive} holds {name!r}, which would land outside its folder: it is not unpacked."
        )
    return to.joinpath(*parts.parts)


def _copy(source, target: Path, room: int, archive: Path) -> int:
    """Copy a member; gives the room that is left. Sizes are counted as written, not as the archive says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while block := source.read(2**20):
            room -= len(block)
            if room < 0:
                raise InterpError(
                    f"{archive} unpacks to more than is allowed or fits on the disk; it is refused."
                )
            file.write(block)
    return room


def verify_checksums(folder: Folders) -> tuple[int, int]:
    """Check files against lists of SHA-256 or MD5 that lie beside them (``HASH  NAME`` a line).

    Returns
    -------
    (checked, listed) : (int, int)
        Files that were there and right, and files that the lists name.

    Raises
    ------
    InterpError
        If a file is not what its list says.
    """
    checked = listed = 0
    for table in sorted(
        p for p in folder.rglob("*") if re.search(r"(sha256|md5)", p.name, re.I) and p.is_file()
    ):
        if table.stat().st_size > 2**24:
            continue
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.fullmatch(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{64})[ *\t]+(.+)", line.strip())
            if not match:
                continue
            listed += 1
            path = table.parent / match[2]
            if ".." in PurePosixPath(match[2]).parts or not path.is_file():
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256" if len(match[1]) == 64 else "md5").hexdigest()
            if found != match[1].lower():
                raise InterpError(f"{path} is not what {table.name} says (checksum); download it again.")
            checked += 1
    return checked, listed
