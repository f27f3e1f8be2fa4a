"""What a notebook leaves: numbers, figures, tables and sounds, each under a name.

A notebook calls :func:`number`, :func:`figure`, :func:`~interp.results.tables.table`, :func:`audio` and
:func:`~interp.results.claims.claim`.  Each of them shows the thing in the notebook and writes it into the
run's folder at once::

    results.json      every number, figure, table, audio item and claim, by name
    figures/*         one PNG a figure; sound maps and listening panels (`maps`, `panels`) also as HTML
    audio/*           two files a sound, named after the hash of its content: the sound and its outline
    sources.json      which source files the run had loaded (written by :func:`finish`)

The report builder names the folder in the environment variable ``INTERP_RUN_DIR`` and calls :func:`finish`
after the last cell.  A notebook that is run by hand needs neither: its folder is then
``build/by-hand/<notebook>``, and sounds are embedded, so that it plays wherever it lies.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import processes
from ..errors import InterpError
from . import sounds
from .claims import Measure, claim, hypothesis  # noqa: F401  part of this module's interface
from .tables import table  # noqa: F401  likewise

ROOT = Path(__file__).resolve().parents[2]
RUN_DIR = "INTERP_RUN_DIR"
KINDS = ("numbers", "figures", "tables", "audio")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?")
_written: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}


@dataclass(frozen=True)
class Sound:
    """A sound on disk; as the last value of a cell it shows itself as a player.

    Attributes
    ----------
    file, wave : paths of the sound and of its outline (SVG), relative to the run's folder.
    seconds, sample_rate, peak : length, rate in Hz and largest absolute sample of the raw waveform.
    caption, listen : what it is, and what to listen for; plain text on one line.
    """

    name: str
    file: str
    wave: str
    sha256: str
    seconds: float
    sample_rate: int
    peak: float
    caption: str
    listen: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return {"text/html": _player(self, self.listen)}, {"interp": {"sounds": [self.name]}}


def __getattr__(name: str) -> Any:
    if name == "sound_map":  # only when used: its drawing is then part of the run's key, and takes a second
        from .maps import sound_map

        return sound_map
    if name == "panel":  # likewise
        from .panels import panel

        return panel
    raise AttributeError(f"module 'interp.results' has no attribute {name!r}")


def run_dir() -> Path:
    """The folder into which this run writes; made when it is not there."""
    named = os.environ.get(RUN_DIR)
    if named:
        folder = Path(named)
    else:
        # JupyterLab tells the notebook's name, papermill does not.
        notebook = Path(os.environ.get("JPY_SESSION_NAME", "notebook")).stem
        folder = ROOT / "build" / "by-hand" / notebook
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def number(
    name: str,
    value: float,
    *,
    unit: str = "",
    n: int | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
) -> float:
    """Record a number, and glue it so that pages can quote it.

    Parameters
    ----------
    name : lower-case letters, digits, ``_ . -``.
    value : finite; numpy and torch scalars become plain numbers.
    unit : unit of ``value``; empty for a pure number.
    n : how many independent units (clips, prompts) it stands on.
    interval : lower and upper end of its 95 % interval, in ``unit``.
    note : how it was measured, in a few words.

    Returns
    -------
    float
        The plain number.  Pages quote it with ``{glue:text}`` under ``name``; where given, ``name.low``,
        ``name.high`` and ``name.n`` are glued too.

    Raises
    ------
    InterpError
        If the name is malformed or was used for something else, or a value is not finite.
    """
    plain = _finite(value, name)
    record: dict[str, Any] = {"value": plain, "unit": unit, "n": None if n is None else int(n)}
    record["interval"] = None
    glued = {name: plain}
    if n is not None:
        glued[f"{name}.n"] = int(n)
    if interval is not None:
        low, high = (_finite(end, f"the interval of {name}") for end in interval)
        if low > high:
            raise InterpError(f"The interval of {name} is upside down: {low} > {high}; give (low, high).")
        record["interval"] = [low, high]
        glued |= {f"{name}.low": low, f"{name}.high": high}
    record["note"] = note
    _keep("numbers", name, record)
    for key, item in glued.items():
        _glue(key, item)
    return plain


def figure(
    name: str, fig: Any, *, caption: str, alt: str | None = None, dpi: int = 144, show: bool = True
) -> Path:
    """Save a matplotlib figure as PNG, show it, and close it.

    Parameters
    ----------
    fig : ``matplotlib.figure.Figure``.
    caption : what the figure shows; MyST text, printed under it in the book.
    alt : the same for someone who cannot see it, plain text; by default ``fig.alt``, which the functions of
        :mod:`interp.plots` set.
    dpi : dots per inch of the file.
    show : False to record it only.

    Raises
    ------
    InterpError
        If caption or alternative text is empty.
    """
    alt = getattr(fig, "alt", "") if alt is None else alt
    _need_text(f"Figure {name!r}", {"caption": caption, "alternative text": alt})
    buffer = io.BytesIO()
    # Without the software's name and version the same figure is the same file.
    fig.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    file = f"figures/{name}.png"
    _keep("figures", name, {"file": file, "caption": _one_line(caption), "alt": _one_line(alt)})
    path = run_dir() / file
    _write(path, buffer.getvalue())
    import matplotlib.pyplot as plt

    plt.close(fig)
    if show:
        picture = base64.b64encode(buffer.getvalue()).decode()
        _show({"image/png": picture, "text/plain": alt}, {"figure": name})
    return path


def audio(
    name: str, waveform: Any, sample_rate: int, *, caption: str, listen: str, show: bool = True
) -> Sound:
    """Write a waveform as it is, at its own level, and show a player.

    Parameters
    ----------
    waveform : array or tensor ``[samples]`` or ``[channels, samples]``, floats.
    sample_rate : Hz.
    caption : what it is; plain text.
    listen : what to listen for; plain text.
    show : False to show it later, for instance with :func:`gallery`.

    Raises
    ------
    InterpError
        If caption or what to listen for is empty, or the waveform is none (:mod:`interp.results.sounds`).
    """
    _need_text(f"Audio {name!r}", {"caption": caption, "word on what to listen for": listen})
    samples = sounds.as_samples(name, waveform)
    content, suffix = sounds.encode(samples, sample_rate)
    digest = hashlib.sha256(content).hexdigest()
    stem = f"audio/{digest[:20]}"
    sound = Sound(
        name=name,
        file=f"{stem}.{suffix}",
        wave=f"{stem}.svg",
        sha256=digest,
        seconds=samples.shape[1] / int(sample_rate),
        sample_rate=int(sample_rate),
        peak=float(abs(samples).max()),
        caption=_one_line(caption),
        listen=_one_line(listen),
    )
    _keep("audio", name, asdict(sound))
    _write(run_dir() / sound.file, content)
    _write(run_dir() / sound.wave, sounds.thumbnail(samples).encode())
    if show:
        gallery([sound])
    return sound


def gallery(shown: Iterable[Sound]) -> None:
    """Show several sounds as a grid of players; what to listen for is said once where it is the same."""
    shown = list(shown)
    shared = {sound.listen for sound in shown} if len(shown) > 1 else set()
    said = f"<p>Listen for: {html.escape(*shared)}</p>" if len(shared) == 1 else ""
    players = "".join(_player(sound, "" if said else sound.listen) for sound in shown)
    mark = {"sounds": [sound.name for sound in shown]}
    _show({"text/html": f'{said}<div class="sounds">{players}</div>', "text/plain": "audio"}, mark)


def _player(sound: Sound, listen: str) -> str:
    """What a notebook shows; the book makes its own from ``results.json``."""
    source = sound.file if RUN_DIR in os.environ else _data_uri(run_dir() / sound.file)
    wave = (run_dir() / sound.wave).read_text(encoding="utf-8")
    caption, listen = html.escape(sound.caption), f"<br>Listen for: {html.escape(listen)}" if listen else ""
    return (
        f'<figure class="sound">{wave}<audio controls preload="none" src="{source}" aria-label="{caption}">'
        f"</audio><figcaption>{caption}{listen}</figcaption></figure>"
    )


def finish(started: float) -> None:
    """Write down which sources this process has loaded besides installed libraries, and on what it ran.

    Parameters
    ----------
    started : float
        When the run began, in seconds since the epoch. The builder says it, since a process learns of its own
        start only from when the machine booted, which the kernel tells in whole seconds.

    Notes
    -----
    The report builder calls this after a notebook's last cell: the list becomes part of the run's key, so
    that modules found through entry points count as well, wherever they lie.
    """
    libraries = [Path(path) for path in sysconfig.get_paths().values()]
    modules: dict[str, str] = {}
    folders: dict[str, Path | None] = {}  # where one leads; None for those of libraries
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py"):
            continue
        folder, name = os.path.split(file)
        if folder not in folders:
            real = Path(_real(os.path.abspath(folder)))
            installed = "site-packages" in real.parts or any(map(real.is_relative_to, libraries))
            folders[folder] = None if installed else real
        if folders[folder] is None:
            continue
        path = (folders[folder] / name).resolve()
        if not path.is_file():  # torch names some modules that it makes at run time after files of no place
            continue
        # A file that changed under a running notebook may have been read before or after that, so it gets a
        # mark that equals no hash and makes the run stale.
        changed = path.stat().st_mtime > started
        digest = "changed during the run" if changed else hashlib.sha256(path.read_bytes()).hexdigest()
        modules[str(path)] = digest
    sources = {"modules": dict(sorted(modules.items())), "devices": _devices()}
    sources["peak_memory_bytes"] = processes.peak_memory() + max(processes.OTHERS, default=0)
    halving = sys.modules.get("interp.halving")  # batches for which the memory was not enough
    sources["halved_batches"] = halving.EVENTS if halving else []
    _write_json(run_dir() / "sources.json", sources)
    _save()


@cache
def _real(folder: str) -> str:
    """Where an absolute path leads; as ``os.path.realpath``, which asks for every folder above it anew."""
    above, name = os.path.split(folder)
    if not name:
        return folder
    path = os.path.join(_real(above), name)
    return os.path.realpath(path) if os.path.islink(path) else path


def _keep(kind: str, name: str, record: dict[str, Any]) -> None:
    if not _NAME.fullmatch(name):
        raise InterpError(f"{name!r} is no name for a result; use a-z and 0-9, with _ . - inside.")
    taken = [other for other in KINDS if other != kind and name in _written[other]]
    if taken:
        raise InterpError(f"The name {name!r} is taken in this run's {taken[0]}; choose another.")
    _written[kind][name] = record
    _save()


def _save() -> None:
    _write_json(run_dir() / "results.json", {"schema": 1, **_written})


def _write_json(path: Path, value: Any) -> None:
    _write(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    os.replace(partial, path)


def _finite(value: Any, what: str) -> float | int:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not math.isfinite(plain):
        raise InterpError(f"{what} must be a finite number, not {plain!r}.")
    return plain


def _need_text(what: str, texts: dict[str, str]) -> None:
    for kind, text in texts.items():
        if not text.strip():
            raise InterpError(f"{what} has no {kind}; it needs one.")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _data_uri(path: Path) -> str:
    return f"data:audio/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _glue(name: str, value: float) -> None:
    """Leave a value in the notebook's outputs where MyST-NB's ``glue`` role looks for it.

    What ``myst_nb.glue(name, value, display=False)`` does, without the second that its import takes.
    """
    if not _in_notebook():
        return  # there are no outputs to leave it in
    from IPython.display import display

    prefix = "application/papermill.record/"
    mark = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({f"{prefix}text/plain": repr(value)}, raw=True, metadata=mark)


def _show(data: dict[str, str], mark: dict[str, str]) -> None:
    if _in_notebook():
        from IPython.display import display

        display(data, raw=True, metadata={"interp": mark} if mark else {})


def _devices() -> list[str]:
    """The accelerators that torch could have used; empty when torch was not loaded or saw none."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    found = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found + (["mps"] if torch.backends.mps.is_available() else [])
