"""A prepared corpus as the music of a study: which phases hear it, and what of it counts in a run's key.

A phase that can hear a corpus has a parameter ``corpus``.  The folder is one that ``python -m interp data
prepare`` made; of its format only what is needed here is read: ``corpus.json``, and ``clips.jsonl`` with the
path, size, time and hash of every sound.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .notebook import Notebook
from .profile import Profile
from .project import Project, ReportError, digest, file_digest

PARAMETER = "corpus"
FILES = ("corpus.json", "clips.jsonl")


def add_study(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which study is meant."""
    parser.add_argument("--profile", default="etude", help="a file of phases/profiles (default: etude)")
    parser.add_argument("--corpus", metavar="FOLDER", help="a prepared corpus that the phases hear")


def study(project: Project, options: argparse.Namespace) -> Profile:
    """The profile that the arguments name, with its corpus."""
    profile = Profile.read(project, options.profile)
    return hearing(project, profile, options.corpus) if options.corpus else profile


def hearing(project: Project, profile: Profile, folder: str | Path) -> Profile:
    """The profile whose phases hear the corpus in this folder, or prepared under this name; those that can.

    Raises
    ------
    ReportError
        If the folder holds no prepared corpus, or no phase of the profile has a parameter ``corpus``.
    """
    found = _folder(project, Path(folder).expanduser().resolve(), folder)
    if found is None:
        raise ReportError(
            f"{folder} holds no prepared corpus; make one with `python -m interp data prepare NAME PATH`, "
            "which says where it is."
        )
    hear = [phase for phase in profile.phases if PARAMETER in Notebook.read(project, phase).defaults()]
    if not hear:
        raise ReportError(f"No phase of profile {profile.name} has a parameter {PARAMETER!r} to hear one.")
    where = project.relative(found)
    phases = profile.phases | {phase: profile.phases[phase] | {PARAMETER: where} for phase in hear}
    return Profile(profile.name, phases, where)


def corpus_data(project: Project, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of the corpus that a phase hears, by what they are of; empty where it hears none.

    A sound whose size and time are those of when it was prepared has the hash of then.

    Raises
    ------
    ReportError
        If the list of its clips cannot be read.
    """
    given = parameters.get(PARAMETER)
    folder = _folder(project, project.root / given, given) if isinstance(given, str) else None
    if folder is None:
        return {}
    where = project.relative(folder)
    sounds = []
    try:
        for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines():
            sound = json.loads(line)["audio"]
            path = folder / sound["path"]  # an absolute one stays as it is
            found = path.stat() if path.is_file() else None
            same = found and (found.st_size, found.st_mtime_ns) == (sound["size"], sound["modified"])
            sounds.append(sound["sha256"] if same else file_digest(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{where}/clips.jsonl is damaged, prepare the corpus again: {error}.") from error
    hashes = {f"{where}/{name}": file_digest(folder / name) for name in FILES}
    return hashes | {f"{where}: {len(sounds)} sounds": digest(sounds)}


def _folder(project: Project, path: Path, name: str | Path) -> Path | None:
    """The prepared corpus at this path, or the one that was prepared under this name."""
    home = Path(os.environ.get("INTERP_CORPORA") or project.build / "corpora")
    for folder in (path, home / name):
        if all((folder / file).is_file() for file in FILES):
            return folder
    return None
