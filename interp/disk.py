"""Files that appear whole or not at all, and one safetensors file of tensors and plain values."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from .errors import InterpError


def make_folder(folder: str | Path) -> Path:
    """Make a folder where there is none; raise :class:`InterpError` if that cannot be."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InterpError(
            f"Cannot make the folder {folder}: {error.strerror or error}; give another one."
        ) from error
    return folder


@contextmanager
def replacing(path: str | Path, what: str) -> Iterator[Path]:
    """A place to write a file or a folder to, which comes to ``path`` when it is whole.

    A folder that it replaces lies at :func:`before` for a moment; whoever is killed in it has lost nothing.

    Raises
    ------
    InterpError
        If there is no folder for it, or it cannot be written; what was at ``path`` is as it was.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InterpError(f"Cannot write {what} to {path}: there is no folder {path.parent}; make it first.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if partial.is_file():
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        elif path.exists():
            shutil.rmtree(before(path), ignore_errors=True)
            os.rename(path, before(path))
        os.replace(partial, path)
        shutil.rmtree(before(path), ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise InterpError(
            f"Cannot write {what} to {path}: {getattr(error, 'strerror', None) or error}; make room or give "
            "another path (what was there is kept)."
        ) from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        if before(path).is_dir() and not path.exists():
            os.rename(before(path), path)


def before(folder: Path) -> Path:
    """Where a folder lies while another takes its place."""
    return folder.with_name(f".{folder.name}.before")


def save_tensors(path: str | Path, tensors: Mapping[str, Any], kind: str, facts: Any, what: str) -> Path:
    """Write tensors of torch or numpy, and ``facts`` as JSON under ``kind``; raises as :func:`replacing`."""
    if all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        from safetensors.numpy import save_file
    else:
        from safetensors.torch import save_file

    with replacing(path, what) as partial:
        save_file(dict(tensors), partial, metadata={kind: json.dumps(facts)})
    return Path(path)


@contextmanager
def saved_tensors(
    path: str | Path, kind: str, what: str, framework: str = "numpy", cure: str = ""
) -> Iterator[tuple[dict[str, Any], Any]]:
    """What :func:`save_tensors` wrote, to be taken apart inside.

    Parameters
    ----------
    framework : {"numpy", "pt"}
    cure : str
        The way out, for the message.

    Raises
    ------
    InterpError
        If it cannot be read, or, as it is taken apart, turns out to be something else.
    """
    failed = f"Cannot read {what} from {path}: "
    end = f"; {cure}." if cure else "."
    try:
        with safe_open(path, framework) as file:
            facts = json.loads((file.metadata() or {})[kind])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        yield tensors, facts
    except InterpError:
        raise
    except FileNotFoundError as error:
        raise InterpError(f"{failed}there is no such file.") from error
    except (OSError, SafetensorError) as error:
        raise InterpError(f"{failed}{error}{end}") from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InterpError(f"{failed}it is damaged, or holds something else{end}") from error
