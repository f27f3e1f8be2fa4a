"""What a run depends on, in parts, and the key that is their hash.

The parts are kept in the manifest, so that it can be said which of them changed.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from .corpus import corpus_data
from .notebook import Notebook
from .project import Project, ReportError, digest, file_digest

Parts = dict[str, Any]
LOCKS = ("requirements.lock", "requirements-nodeps.lock")


def data_files(project: Project, notebook: Notebook) -> list[Path]:
    """The files that a notebook declares as its data.

    Raises
    ------
    ReportError
        If there are none for one of its patterns.
    """
    files = []
    for pattern in notebook.declared.get("data", []):
        found = sorted(path for path in project.root.glob(pattern) if path.is_file())
        if not found:
            raise ReportError(f"{notebook.path.name} declares the data {pattern}, and no such file is there.")
        files += found
    return files


def parts_before(
    project: Project, notebook: Notebook, parameters: dict[str, Any], upstream: dict[str, str]
) -> Parts:
    """The parts that are known before a run: all but the modules that it will load.

    Parameters
    ----------
    upstream : phase → key of the run whose artefacts are read.

    Raises
    ------
    ReportError
        If declared data is not there.
    """
    return {
        "notebook": notebook.code_digest,
        "parameters": parameters,
        "data": {project.relative(path): file_digest(path) for path in data_files(project, notebook)}
        | corpus_data(project, parameters),
        "upstream": upstream,
        "lock": {name: file_digest(project.root / name) for name in LOCKS},
        "kernel": f"{platform.python_implementation()} {platform.python_version()}",
    }


def key_of(parts: Parts) -> str:
    return digest(parts)[:20]


def differences(old: Parts, new: Parts, details: dict[str, str] | None = None) -> list[str]:
    """One line for each part that changed, old → new.

    Parameters
    ----------
    details : what is known beyond that, by the line's beginning (``modules: interp/stats/__init__.py``).
    """
    details = details or {}
    changes: dict[str, tuple[Any, Any]] = {}
    for part in sorted(set(old) | set(new)):
        before, after = old.get(part), new.get(part)
        if isinstance(before, dict) and isinstance(after, dict):
            for name in sorted(set(before) | set(after)):
                changes[f"{part}: {name}"] = (before.get(name), after.get(name))
        else:
            changes[part] = (before, after)
    return [
        f"{what}: {_short(before)} → {_short(after)}" + (f" ({details[what]})" if what in details else "")
        for what, (before, after) in changes.items()
        if before != after
    ]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    is_hash = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:10] if is_hash else text
