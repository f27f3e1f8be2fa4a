"""Prepare a data set: unpack, read the labels, find and hear the sounds, convert, report.

Nothing in the data set's own folder is changed.  A run that was stopped goes on where it was: what was heard
is kept until the corpus is complete, which then appears at once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from corpora.dataset import MIDI, DataSet, Folders, Row
from corpora.listen import Heard, listen
from corpora.report import write_report
from corpora.tables import MOST, Problems
from corpora.unpack import is_archive, key, stem, unpack, verify_checksums
from interp.corpora import Clip
from interp.corpora.prepared import is_prepared, write_prepared
from interp.errors import InterpError, check_whole


def prepare(
    data: DataSet,
    path: Path,
    to: Path,
    partial: bool = False,
    renderer: str | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Prepare what lies at ``path`` as a corpus in the folder ``to``.

    Parameters
    ----------
    path : Path
        The data set's folder (its archives in it may be packed), or one archive.
    to : Path
        Replaced when all is done, and only if it holds nothing or a prepared corpus.
    partial : bool
        Go on although more than 5 % of the labelled clips have no sound.
    renderer : str, optional
        What plays MIDI, where several are registered.
    workers : int
        Processes that listen.

    Raises
    ------
    InterpError
        If the path is not there or not this data set, more than 5 % of labels or sounds cannot be used, an
        archive is damaged or unsafe, ``to`` holds something else, or the system refuses a file or folder.
    """
    check_whole(workers, "workers", 1)
    try:
        return _prepare(data, path.resolve(), to, partial, renderer, workers, progress)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise InterpError(
            f"Cannot prepare {data.about.name} in {to}: {error.strerror or error}{where}. See to that, or "
            "choose another folder with --to; what was heard is kept."
        ) from error


def _prepare(
    data: DataSet, path: Path, to: Path, partial: bool, renderer: str | None, workers: int, progress: bool
) -> Path:
    about, problems = data.about, Problems()
    _check_target(path, to)
    work = to.with_name(f".{to.name}.preparing")
    folder = _unpacked(path, work)
    checked, listed = verify_checksums(folder)
    rows, sounds = data.rows(folder, problems), data.sounds(folder)
    pairs = _pairs(about.name, rows, sounds, folder, problems, partial)
    heard = _listen(pairs, work, renderer, workers, progress)
    kept = _usable(about.name, pairs, heard, problems)
    used = {sound for _, sound in pairs}
    unlabelled = [sound for sound in sounds.values() if sound not in used]
    facts = asdict(about) | {
        "prepared_from": str(path),
        "clips": len(kept),
        "groups": len({row.group for row, _ in kept}),
        "labels": len(rows),
        "unreadable_rows": len([p for p in problems.found if p[1]]),
        "labels_without_sound": len(rows) - len(pairs),
        "sounds_without_labels": len(unlabelled),
        "unusable_sounds": len(pairs) - len(kept),
        "complete": dict(data.complete),
        "checksums": {"checked": checked, "listed": listed},
        "seconds": round(sum(result.seconds for _, result in kept), 3),
        "quadrants": dict(sorted(Counter(str(_quadrant(row)) for row, _ in kept).items())),
    }
    write_report(work, facts, kept, problems, unlabelled)
    write_prepared(work, facts, [_record(row, result, work) for row, result in kept])
    (work / "heard.jsonl").unlink()
    _put(work, to)
    return to


def _pairs(
    name: str,
    rows: list[Row],
    sounds: dict[str, Path],
    folder: Folders,
    problems: Problems,
    partial: bool,
) -> list[tuple[Row, Path]]:
    """Labels with their sounds."""
    pairs, without = [], []
    for row in rows:
        key = next((key for key in row.keys if key in sounds), None)
        if key is None:
            without.append(row.id)
            problems.add(folder, 0, f"{row.id} has labels and no sound")
        else:
            pairs.append((row, sounds[key]))
    if not pairs or (len(without) > MOST * len(rows) and not partial):
        cure = folder.cure("Was all downloaded and unpacked?")
        raise InterpError(
            f"{len(without)} of {len(rows)} labelled clips of {name} have no sound in {folder} (the first is "
            f"{without[0]}). {cure} --partial goes on without them."
        )
    return pairs


def _usable(
    name: str, pairs: list[tuple[Row, Path]], heard: list[Heard], problems: Problems
) -> list[tuple[Row, Heard]]:
    """Labels with what was heard of their sounds, where it can be used."""
    bad = [(sound, result.fault) for (_, sound), result in zip(pairs, heard, strict=True) if result.fault]
    for sound, fault in bad:
        problems.add(sound, 0, fault)
    if len(bad) > MOST * len(pairs):
        raise InterpError(
            f"{len(bad)} of {len(pairs)} sounds of {name} cannot be used, more than {MOST:.0%}; the first: "
            f"{bad[0][0]}: {bad[0][1]}"
        )
    return [(row, result) for (row, _), result in zip(pairs, heard, strict=True) if not result.fault]


def _check_target(path: Path, to: Path) -> None:
    if not path.exists():
        raise InterpError(f"There is nothing at {path}.")
    if not (path.is_dir() or is_archive(path)):
        raise InterpError(f"{path} is neither a folder nor an archive (.zip, .tar, .tar.gz).")
    if to.exists() and not to.is_dir():
        raise InterpError(f"{to} is a file; name a folder with --to.")
    if to.exists() and any(to.iterdir()) and not is_prepared(to):
        raise InterpError(
            f"{to} holds something else than a prepared corpus; choose another folder with --to."
        )
    if to.resolve().is_relative_to(path) or path.is_relative_to(to.resolve()):
        raise InterpError(f"{to} and {path} must not lie in each other: the data set's folder is left alone.")


def _unpacked(path: Path, work: Path) -> Folders:
    """Where to read: the data set's own folder, and what its archives hold."""
    archives = [path] if path.is_file() else sorted(p for p in path.iterdir() if is_archive(p))
    roots = [] if path.is_file() else [path]
    beside = [p for p in archives if path.is_dir() and (path / stem(p)).is_dir()]
    inside = {archive: work / "audio" / key(archive) for archive in archives if archive not in beside}
    for old in (work / "audio").glob("*/"):  # of archives that have changed, or are others than last time
        if old not in inside.values():
            shutil.rmtree(old)
    roots += [unpack(archive, to) for archive, to in inside.items()]
    return Folders(roots, packed=beside)


def _listen(
    pairs: list[tuple[Row, Path]], work: Path, renderer: str | None, workers: int, progress: bool
) -> list[Heard]:
    """Every sound, in order; what was heard before the last run stopped is not heard again."""
    work.mkdir(parents=True, exist_ok=True)
    notes = work / "heard.jsonl"
    known = {key: result for key, result in _notes(notes)}
    jobs = {}
    for row, sound in pairs:
        name = re.sub(r"[^\w.-]+", "_", row.id)
        rendered = work / "audio" / f"{name}.flac" if sound.suffix.lower() in MIDI else None
        jobs[f"{sound} {sound.stat().st_size} {sound.stat().st_mtime_ns}"] = (sound, rendered, renderer)
    missing = {key: job for key, job in jobs.items() if key not in known}
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc="listen", disable=not progress)
    with notes.open("a", encoding="utf-8") as file, bar:
        for key, result in zip(missing, _run(list(missing.values()), workers), strict=True):
            known[key] = result
            file.write(json.dumps([key, asdict(result)]) + "\n")
            file.flush()
            bar.update()
    return [known[key] for key in jobs]


def _run(jobs: list[tuple], workers: int) -> Iterator[Heard]:
    if workers == 1 or len(jobs) < 2:
        yield from (listen(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(listen, *zip(*jobs, strict=True), chunksize=4)


def _notes(path: Path) -> Iterator[tuple[str, Heard]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            key, fields = json.loads(line)
        except ValueError:  # the line during which the last run was killed
            continue
        yield key, Heard(**fields)


def _record(row: Row, heard: Heard, work: Path) -> dict:
    audio = heard.audio
    if Path(heard.path).is_relative_to(work):  # moves with the corpus
        audio["path"] = str(Path(heard.path).relative_to(work))
    plain = asdict(row)
    del plain["keys"]
    return plain | {"audio": audio}


def _quadrant(row: Row) -> int | None:
    """As the record will have it."""
    return Clip(row.id, None, row.valence, row.arousal, row.quadrant).quadrant


def _put(work: Path, to: Path) -> None:
    """The finished folder in the place of an older one."""
    old = to.with_name(f".{to.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if to.exists():
        os.replace(to, old)
    os.replace(work, to)
    shutil.rmtree(old, ignore_errors=True)
