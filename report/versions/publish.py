"""Add the book to the folder of versions."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

from ..book import build_book
from ..check import check_book
from ..checks.every import check_everything
from ..collect import collect
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError, file_digest, git, read_json, write_atomic, write_json
from ..runs import states
from .record import write_record
from .site import NAME, add_switcher, versions_of, write_front


def publish(project: Project, profile: Profile, version: str, site: Path, browser: bool) -> Path:
    """Publish a version and return its folder.

    Parameters
    ----------
    site : the folder of versions; made where it is not there.
    browser : whether the book, and then the published copy, are also opened in Chromium.

    Raises
    ------
    ReportError
        If the version's name is malformed or taken, the tree holds uncommitted changes, a run is not done, or
        a check fails, before or after: then the folder of versions is as it was.
    """
    if not NAME.fullmatch(version):
        raise ReportError(f"{version!r} is no version; use numbers such as v0.1.0 or v0.2.0rc1.")
    if (site / version).exists():
        raise ReportError(
            f"{version} is published already, in {project.relative(site / version)}; a version does not "
            "change, so take the next number."
        )
    _check_tree(project)
    found = states(project, profile)
    not_done = [f"{now.phase} is {now.status}" for now in found if now.status != "done"]
    if not_done:
        raise ReportError(f"{', '.join(not_done)}; run `make report {profile.asked}` first.")
    build_book(project, collect(project, profile, found))
    _must_be_clean("The book", check_everything(project, profile, browser=browser)[1])
    site.mkdir(parents=True, exist_ok=True)
    for left in site.glob(".partial-*"):
        shutil.rmtree(left)
    partial = site / f".partial-{version}"
    shutil.copytree(project.html, partial / version)
    write_record(project, profile, found, version, partial / version)
    add_switcher(partial / version, version)
    _write_manifest(partial / version)
    archive = _write_archive(partial / version, partial / f"{version}.tar.gz")
    before = {path.name: path.read_bytes() for path in _front(site) if path.is_file()}
    os.replace(partial / version, site / version)
    try:
        _add_archive(site, version, archive)
        write_front(site)
        _check_published(site, version, browser)
    except BaseException:
        shutil.rmtree(site / version)
        for path in (site / "archives").glob(f"{version}.tar.gz*"):
            path.unlink()
        for path in _front(site):
            path.unlink(missing_ok=True)
            if path.name in before:
                path.write_bytes(before[path.name])
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return site / version


def check_archive(site: Path, version: str) -> list[str]:
    """What is wrong with a version's files: in its folder against its manifest, and in its archive."""
    problems = []
    manifest = read_json(site / version / "record" / "files.json")
    for name, expected in manifest.items():
        if file_digest(site / version / name) != expected["sha256"]:
            problems.append(f"{version}/{name} is not as it was published")
    archive = site / "archives" / f"{version}.tar.gz"
    said = (site / "archives" / f"{version}.tar.gz.sha256").read_text().split()[0]
    if file_digest(archive) != said:
        problems.append(f"archives/{version}.tar.gz does not match its checksum")
    return problems


def _check_tree(project: Project) -> None:
    status = git(project, "status", "--porcelain")
    if status is None:
        raise ReportError("This is no git checkout; a version must be a commit that others can check out.")
    if status:
        changed = [line.split(maxsplit=1)[1] for line in status.splitlines()]
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise ReportError(
            f"The tree holds changes that are in no commit ({', '.join(changed[:5])}{more}); "
            "commit them or put them aside, then publish."
        )


def _must_be_clean(what: str, problems: list[str]) -> None:
    if problems:
        for line in problems[:20]:
            say(line)
        raise ReportError(
            f"{what} has {len(problems)} problems, the first: {problems[0]}; nothing is published."
        )


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in files
    }
    write_json(folder / "record" / "files.json", listed)


def _write_archive(folder: Path, path: Path) -> Path:
    """A tar.gz of the folder: the same bytes for the same files."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for source in sorted(path for path in folder.rglob("*") if path.is_file()):
                info = tarfile.TarInfo(f"{folder.name}/{source.relative_to(folder).as_posix()}")
                info.size, info.mode = source.stat().st_size, 0o644
                archive.addfile(info, io.BytesIO(source.read_bytes()))
    return path


def _add_archive(site: Path, version: str, archive: Path) -> None:
    (site / "archives").mkdir(exist_ok=True)
    target = site / "archives" / f"{version}.tar.gz"
    os.replace(archive, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    write_atomic(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")


def _check_published(site: Path, version: str, browser: bool) -> None:
    """Look at what readers will get, not at what it was copied from."""
    problems = [line for line in check_book(site)[1] if line.startswith((f"{version}/", "index.html"))]
    problems += check_archive(site, version)
    if browser:
        from ..browser import check_in_browser

        problems += check_in_browser(site, below=version)[1]
    _must_be_clean(f"The published copy of {version}", problems)
    say(f"{version}: published and checked; there are {', '.join(versions_of(site))}.")


def _front(site: Path) -> list[Path]:
    return [site / "versions.js", site / "index.html"]
