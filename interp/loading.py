"""Find a model by name and load it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from . import compat
from .errors import InterpError, unknown

if TYPE_CHECKING:
    from audiocraft.models import MusicGen

    from .model import Model

GROUP = "interp.models"
HUB = ("facebook/musicgen-small", "facebook/musicgen-medium", "facebook/musicgen-large")
CHECKPOINT = ("state_dict.bin", "compression_state_dict.bin")


def plugins() -> dict[str, EntryPoint]:
    """Models registered by installed packages, by name.

    An entry point of the group ``interp.models`` is a callable ``(name: str, device: str)`` that returns an
    ``audiocraft.models.MusicGen``.
    """
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load(name: str | Path, device: str = "auto", twin_seed: int | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    name : str or path
        A registered model (``interp.plugins()``), a directory in audiocraft's checkpoint format, or a hub
        name such as ``"facebook/musicgen-small"``.
    device : str
        "auto" takes CUDA where there is one and the CPU otherwise; "cpu", "cuda", "cuda:1", "mps".
    twin_seed : int, optional
        Give the random twin: the same architecture with language model weights drawn from this seed by
        audiocraft's own initialisation. Text encoder and codec stay.

    Raises
    ------
    InterpError
        For an unknown name or device, a checkpoint that is damaged or missing, and a hub model that cannot
        be had.
    """
    compat.prepare()
    from .model import Model

    device, name = resolve_device(device), str(name)
    registered = plugins()
    with _no_progress_bars():
        if name in registered:
            musicgen = _from_plugin(registered[name], device)
        elif Path(name).is_dir():
            musicgen = _from_directory(Path(name), device)
        elif re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
            musicgen = _from_hub(name, device)
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
    if kind not in count:
        raise unknown("device", device, ["auto", *count])
    if int(index or 0) >= count[kind]:
        raise InterpError(f"Device {device} is not available on this machine; use device='auto'.")
    return str(device)


def redraw(model: Model, seed: int) -> None:
    """Replace the language model's weights by ones drawn from ``seed``, as audiocraft initialises them.

    The draw is made on the CPU in float32, so that a seed means the same weights on every device.
    """
    import torch
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


def _from_directory(folder: Path, device: str) -> MusicGen:
    from audiocraft.models import MusicGen
    from audiocraft.modules.conditioners import T5Conditioner

    missing = [file for file in CHECKPOINT if not (folder / file).is_file()]
    if missing:
        raise InterpError(
            f"{folder} is no audiocraft checkpoint: {' and '.join(missing)} missing; registered models are "
            f"loaded by name ({', '.join(plugins()) or 'none here'})."
        )
    try:
        name, width = _local_text_encoder(folder)
        if name not in T5Conditioner.MODELS_DIMS:  # audiocraft takes a T5 on disk only if it is registered
            T5Conditioner.MODELS.append(name)
            T5Conditioner.MODELS_DIMS[name] = width
        return MusicGen.get_pretrained(str(folder), device=device)
    except InterpError:
        raise
    except Exception as error:  # a file of any content can make the unpickler and audiocraft fail in any way
        raise InterpError(
            f"The weights in {folder} are damaged or not audiocraft's: {_first_line(error)}"
        ) from error


def _local_text_encoder(folder: Path) -> tuple[str, int]:
    """Name and width of the T5 that a checkpoint asks for; the name may be a folder on this machine."""
    import json

    import torch
    from audiocraft.modules.conditioners import T5Conditioner
    from omegaconf import OmegaConf
    from omegaconf.errors import UnsupportedInterpolationType

    # mmap: only the configuration is read here, not gigabytes of weights
    package = torch.load(folder / CHECKPOINT[0], map_location="cpu", weights_only=True, mmap=True)
    settings = OmegaConf.create(package["xp.cfg"])
    try:
        name = settings.conditioners.description.t5.name
    except UnsupportedInterpolationType as error:
        asked = OmegaConf.to_container(settings)["conditioners"]["description"]["t5"]["name"]
        raise InterpError(
            f"{folder} asks for the text encoder {asked}, which only the plug-in it was made for can find: "
            f"load it by its registered name ({', '.join(plugins()) or 'none here'}), or write the name or "
            "folder of a T5 into its xp.cfg."
        ) from error
    if name in T5Conditioner.MODELS_DIMS:
        return name, T5Conditioner.MODELS_DIMS[name]
    config = Path(name) / "config.json"
    if not config.is_file():
        raise InterpError(
            f"{folder} asks for the text encoder {name}, which is neither a T5 name nor a folder here."
        )
    return name, json.loads(config.read_text())["d_model"]


def _from_hub(name: str, device: str) -> MusicGen:
    from audiocraft.models import MusicGen
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return MusicGen.get_pretrained(name, device=device)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InterpError(
            f"Cannot get {name}: it is not in the local cache and the hub did not give it; check name and "
            f"network, or use a local model ({', '.join(plugins()) or 'a directory'})."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
