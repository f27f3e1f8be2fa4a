"""Find a model by name and load it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import compat
from .errors import InterpError, UnknownName, unknown

if TYPE_CHECKING:
    from audiocraft.models import MusicGen

    from .model import Model

GROUP = "interp.models"
HUB = ("facebook/musicgen-small", "facebook/musicgen-medium", "facebook/musicgen-large")
_prepared: dict[tuple[str, str, int | None], Model] = {}  # each for the one who asks first


def plugins() -> dict[str, EntryPoint]:
    """Models registered by installed packages, by name.

    An entry point of the group ``interp.models`` is a callable ``(name: str, device: str)`` that returns an
    ``audiocraft.models.MusicGen``.
    """
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load(
    name: str | Path, device: str = "auto", twin_seed: int | None = None, backend: str | None = None
) -> Model:
    """Load a model.

    Parameters
    ----------
    name : str or path
        A registered model (``interp.plugins()``), a directory in audiocraft's or transformers' checkpoint
        format, or a hub name such as ``"facebook/musicgen-small"``.
    device : str
        "auto" takes CUDA where there is one and the CPU otherwise; "cpu", "cuda", "cuda:1", "mps".
    twin_seed : int, optional
        Give the random twin: the same architecture with language model weights drawn from this seed by
        audiocraft's own initialisation. Text encoder and codec stay.
    backend : {"audiocraft", "transformers"}, optional
        What runs a hub model, see :mod:`interp.backends`; by default audiocraft where it is installed. A
        directory tells by its content, and a registered model by its plug-in.

    Raises
    ------
    InterpError
        For an unknown name, device or backend, a checkpoint that is damaged or missing, a model that is
        conditioned on more than text, and a hub model that cannot be had.
    """
    compat.prepare()
    from .backends import NAMES

    device, name = resolve_device(device), str(name)
    if backend not in (None, *NAMES):
        raise unknown("backend", backend, NAMES)
    if backend is None and (name, device, twin_seed) in _prepared:
        return _prepared.pop((name, device, twin_seed))
    import torch

    with torch.random.fork_rng([]):  # what is drawn afterwards does not hang on what was loaded, or how
        return _load(name, device, twin_seed, backend)


def prepare(name: str | Path, device: str = "auto", twin_seed: int | None = None) -> None:
    """Load a model that a copy of this process will ask for: the first :func:`load` there hands it out.

    For a process that is forked for each run of a sweep (``report.sweeps``).  Where "auto" means a GPU
    nothing is prepared, since a process that has spoken to one cannot be copied.

    Parameters
    ----------
    name, device, twin_seed : as for :func:`load`.
    """
    if not (device == "cpu" or device == "auto" and resolve_device(device) == "cpu"):
        return
    key = str(name), "cpu", twin_seed
    if key not in _prepared:
        _prepared[key] = load(name, "cpu", twin_seed)


def _load(name: str, device: str, twin_seed: int | None, backend: str | None) -> Model:
    from . import hub
    from .backends.transformers_musicgen import is_checkpoint
    from .model import Model

    registered = plugins()
    with _no_progress_bars():
        if name in registered:
            musicgen = _from_plugin(registered[name], device)
        elif Path(name).is_dir():
            folder = Path(name)
            run = hub.through_transformers if is_checkpoint(folder) else hub.from_directory
            musicgen = run(folder, device)
        elif re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
            installed = find_spec("audiocraft") is not None
            by_default = "audiocraft" if installed else "transformers"
            musicgen = hub.from_hub(name, device, backend or by_default)
        elif "/" in name:
            raise UnknownName(
                f"There is no folder {name}; give one with a checkpoint, or a name: "
                f"{', '.join([*registered, *HUB])}."
            )
        else:
            raise unknown("model", name, [*registered, *HUB, "a directory with a checkpoint"])
        model = Model(musicgen, name, twin_seed)
        if twin_seed is not None:
            redraw(model, twin_seed)
    return model


def resolve_device(device: str) -> str:
    """Turn "auto" into a device, and check that the one asked for is there.

    Raises
    ------
    InterpError
        If it is not.
    """
    import torch

    # Apple's MPS must be asked for: audiocraft's half-precision path was not made for it.
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = str(device).partition(":")
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in count or not (index or "0").isdecimal():
        raise unknown("device", device, ["auto", *count])
    if int(index or 0) >= count[kind]:
        raise InterpError(f"Device {device} is not available on this machine; use device='auto'.")
    return str(device)


def redraw(model: Model, seed: int) -> None:
    """Replace the language model's weights by ones drawn from ``seed``, as audiocraft initialises them.

    The draw is made on the CPU in float32, so that a seed means the same weights on every device.
    """
    import torch

    if model.backend == "transformers":
        model.lm.redraw(seed)
        return
    from audiocraft.models import builders

    if getattr(model.lm, "cfg", None) is None:
        raise InterpError(f"{model.name} carries no configuration to build a random twin from.")
    config = model.lm.cfg.copy()
    config.device, config.dtype, config.conditioners = "cpu", "float32", {}  # the text encoder is not drawn
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        weights = builders.get_lm_model(config).state_dict()
        projection = torch.nn.Linear(
            model.d_text, model.d_model
        )  # from text to the model, as audiocraft has it
    prefix = "condition_provider.conditioners.description.output_proj."
    model.lm.load_state_dict(
        weights | {prefix + key: value for key, value in projection.state_dict().items()}
    )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Without transformers' bars, which show only the text encoder's few weights being put in place."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _from_plugin(entry: EntryPoint, device: str) -> MusicGen:
    try:
        factory = entry.load()
    except ImportError as error:
        raise InterpError(
            f"Model {entry.name!r} is registered as {entry.value}, which fails: {error}."
        ) from error
    return factory(entry.name, device)
