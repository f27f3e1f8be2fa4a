"""Files that one phase leaves for others: a dictionary, probes, vectors.

A notebook declares in its metadata, under ``report``, what it leaves and what it reads::

    {"leaves": ["cues.npz"], "reads": {"0-foundation": ["directions.safetensors"]}}

and calls :func:`leave` and :func:`artefact` with the same names.  The report builder orders the phases by
that, and hands over the paths in the environment variable ``INTERP_ARTEFACTS``.  A notebook that is run by
hand reads from the newest finished run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..disk import replacing
from ..errors import InterpError
from . import ROOT, run_dir

HANDED = "INTERP_ARTEFACTS"


def leave(name: str, write: Callable[[Path], Any]) -> Path:
    """Leave an artefact: a file, or a folder such as a zarr store.

    Parameters
    ----------
    name : as declared under ``leaves``, with the suffix that the file shall have.
    write : called with a path that ends in ``name``; writes a file or makes a folder there.  The artefact
        appears under its name only when that has returned.

    Returns
    -------
    Path
        Where it lies.

    Raises
    ------
    InterpError
        If the name is not declared, or nothing was or could be written.

    Examples
    --------
    >>> artefacts.leave("cues.npz", lambda path: np.savez(path, **weights))  # doctest: +SKIP
    """
    handed = _handed()
    if handed is not None and name not in handed["leaves"]:
        declared = ", ".join(handed["leaves"]) or "nothing"
        raise InterpError(f"This notebook does not declare that it leaves {name!r}; it leaves: {declared}.")
    folder = run_dir() / "artefacts"
    partial = folder / f".{os.getpid()}" / name
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(folder / name, f"artefact {name!r}") as whole:
            write(partial)
            if not partial.exists():
                raise InterpError(f"Artefact {name!r} was not written to the path that was given, {partial}.")
            os.replace(partial, whole)
    finally:
        shutil.rmtree(partial.parent)
    return folder / name


def artefact(phase: str, name: str) -> Path:
    """The path of an artefact that another phase has left, for reading.

    Raises
    ------
    InterpError
        If the notebook does not declare that it reads it, or, by hand, no finished run has left it.
    """
    handed = _handed()
    if handed is None:
        return _newest(phase, name)
    path = handed["reads"].get(phase, {}).get(name)
    if path is None:
        raise InterpError(
            f"This notebook does not declare that it reads {name!r} of {phase}; say so in its metadata, "
            f'under report: "reads": {{"{phase}": ["{name}"]}}.'
        )
    return Path(path)


def _handed() -> dict[str, Any] | None:
    """What the report builder has handed over; None when the notebook is run by hand."""
    return json.loads(os.environ[HANDED]) if HANDED in os.environ else None


def _newest(phase: str, name: str) -> Path:
    """The artefact in the newest finished run of a phase."""
    found = []
    for manifest in (ROOT / "build" / "runs" / phase).glob("[!.]*/manifest.json"):
        path = manifest.parent / "artefacts" / name
        if path.exists():
            found.append((json.loads(manifest.read_text(encoding="utf-8")), path))
    if not found:
        raise InterpError(
            f"No finished run of phase {phase} has left {name!r}; run it first: "
            "`.venv/bin/python -m report run --profile etude`."
        )
    run, path = max(found, key=lambda entry: entry[0]["finished"])
    print(f"Run by hand: {name} is that of {phase}, run {run['key']} of profile {run['profile']}.")
    return path
