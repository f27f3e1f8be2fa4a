"""What a run depends on, in parts, and the key that is their hash.

The parts are kept in the manifest, so that it can be said which of them changed.
"""

from __future__ import annotations

import platform
from typing import Any

from .notebook import Notebook
from .project import Project, ReportError, digest, file_digest

Parts = dict[str, Any]
LOCKS = ("requirements.lock", "requirements-nodeps.lock")


def parts_before(project: Project, notebook: Notebook, parameters: dict[str, Any]) -> Parts:
    """The parts that are known before a run: all but the modules that it will load.

    Raises
    ------
    ReportError
        If declared data is not there.
    """
    data = {}
    for pattern in notebook.declared.get("data", []):
        found = sorted(path for path in project.root.glob(pattern) if path.is_file())
        if not found:
            raise ReportError(f"{notebook.path.name} declares the data {pattern}, and no such file is there.")
        data |= {project.relative(path): file_digest(path) for path in found}
    return {
        "notebook": notebook.code_digest,
        "parameters": parameters,
        "data": data,
        "upstream": {},  # phase → key of the run whose artefacts are read
        "lock": {name: file_digest(project.root / name) for name in LOCKS},
        "kernel": f"{platform.python_implementation()} {platform.python_version()}",
    }


def with_modules(project: Project, before: Parts, paths: list[str]) -> Parts:
    """``before`` with the present hashes of the modules at ``paths``."""
    return before | {"modules": {path: file_digest(project.root / path) for path in paths}}


def key_of(parts: Parts) -> str:
    return digest(parts)[:20]


def differences(old: Parts, new: Parts) -> list[str]:
    """One line for each part that changed, old → new."""
    lines = []
    for part in sorted(set(old) | set(new)):
        before, after = old.get(part), new.get(part)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            for name in sorted(set(before) | set(after)):
                if before.get(name) != after.get(name):
                    lines.append(f"{part}: {name}: {_short(before.get(name))} → {_short(after.get(name))}")
        else:
            lines.append(f"{part}: {_short(before)} → {_short(after)}")
    return lines


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    is_hash = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:10] if is_hash else text
