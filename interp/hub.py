"""Checkpoints of others: from a directory or the hub's local cache, read without running what they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import is_zipfile

from .errors import InterpError

if TYPE_CHECKING:
    from audiocraft.models import MusicGen

    from .backends.transformers_musicgen import TransformersMusicGen

Loaded = TypeVar("Loaded")
CHECKPOINT = ("state_dict.bin", "compression_state_dict.bin")
ANEW = "copy them there anew, or get a model of Meta's by its id: python -m interp download ID --again"
PATIENCE = 10  # seconds to wait for a first answer of the hub


def from_directory(folder: Path, device: str) -> MusicGen:
    """Load a directory in audiocraft's checkpoint format.

    Raises
    ------
    InterpError
        If a file is missing or damaged, or the model is not one that takes a text alone.
    """
    from .loading import plugins

    missing = [file for file in CHECKPOINT if not (folder / file).is_file()]
    if missing:
        raise InterpError(
            f"{folder} is no audiocraft checkpoint: {' and '.join(missing)} missing; registered models are "
            f"loaded by name ({', '.join(plugins()) or 'none here'})."
        )
    try:
        with trusted_types():
            settings = _settings(folder / CHECKPOINT[0], str(folder))
            _register_text_encoder(settings, str(folder))
            from audiocraft.models import MusicGen

            return MusicGen.get_pretrained(str(folder), device=device)
    except InterpError:
        raise
    except Exception as error:  # a file of any content can make the unpickler and audiocraft fail in any way
        broken = [file for file in CHECKPOINT if not is_zipfile(folder / file)]  # as torch writes files
        reason = f"{' and '.join(broken)} cannot be opened" if broken else _first_line(error)
        raise InterpError(
            f"The weights in {folder} are damaged or not audiocraft's: {reason.rstrip('.')}; {ANEW}"
        ) from error


def from_hub(name: str, device: str, backend: str) -> MusicGen | TransformersMusicGen:
    """Load a model by its id, from the hub's local cache or from the hub.

    Raises
    ------
    InterpError
        If it cannot be had, is damaged, or is not one that takes a text alone.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if backend == "transformers":
        return through_transformers(name, device)
    from audiocraft.models import MusicGen
    from huggingface_hub import hf_hub_download

    def run() -> MusicGen:
        _settings(Path(hf_hub_download(name, CHECKPOINT[0])), name)
        return MusicGen.get_pretrained(name, device=device)

    try:
        with trusted_types():
            return _from_cache_first(run, name)
    except InterpError:
        raise
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise InterpError(_not_here(name, error)) from error
    except Exception as error:
        raise InterpError(
            f"The weights of {name} are damaged or not audiocraft's: {_first_line(error)}; get them anew: "
            f"python -m interp download {name} --again"
        ) from error


def through_transformers(name: str | Path, device: str) -> TransformersMusicGen:
    """Load a model that transformers saved, by id or from a directory; raises as :func:`from_hub`."""
    from .backends.transformers_musicgen import TransformersMusicGen

    try:
        return _from_cache_first(lambda: TransformersMusicGen.load(str(name), device), str(name))
    except InterpError:
        raise
    except OSError as error:
        if Path(name).is_dir():
            raise InterpError(
                f"{name} is no whole checkpoint of transformers: {_first_line(error).rstrip('.')}; {ANEW}"
            ) from error
        raise InterpError(_not_here(str(name), error, " --backend transformers")) from error
    except Exception as error:
        again = f"get them anew: python -m interp download {name} --backend transformers --again"
        raise InterpError(
            f"The weights in {name} are damaged or not transformers' MusicGen: "
            f"{_first_line(error).rstrip('.')}; {ANEW if Path(name).is_dir() else again}"
        ) from error


def _from_cache_first(load: Callable[[], Loaded], name: str) -> Loaded:
    """Load without asking the hub, and with it only if something is not in the local cache.

    Asked first, the hub's library would look for a newer version of every file, and without a network wait
    for each until it gives up.  So it is asked once whether it knows the model at all.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError

    from .download import is_connection

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        return load()
    except OSError as error:  # not in the cache, as told by hub and transformers alike
        if Path(name).is_dir():
            raise
        if before:
            raise OSError("HF_HUB_OFFLINE is set") from error
    finally:
        constants.HF_HUB_OFFLINE = before
    try:
        HfApi().model_info(name, timeout=PATIENCE)
    except Exception as error:
        if not (is_connection(error) or isinstance(error, HFValidationError)):
            raise
        raise OSError(str(error) or type(error).__name__) from error
    return load()


@contextmanager
def trusted_types() -> Iterator[None]:
    """Let torch unpickle, beside tensors, what checkpoints of audiocraft's own training hold: plain data.

    torch refuses to unpickle anything that could run code. A configuration kept as an object, numbers of
    numpy and paths cannot, and are named here one by one; whatever else a file holds is still refused.
    """
    import collections
    import pathlib
    import typing

    import numpy as np
    import torch
    from omegaconf import DictConfig, ListConfig, nodes
    from omegaconf.base import ContainerMetadata, Metadata

    kinds = (nodes.AnyNode, nodes.StringNode, nodes.IntegerNode, nodes.FloatNode, nodes.BooleanNode)
    scalar = np.float64(0).__reduce__()[0]
    plain = (collections.defaultdict, dict, list, tuple, int, float, str, bool, typing.Any, np.dtype, scalar)
    numbers = tuple(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool"))
    paths = (pathlib.PosixPath, pathlib.PurePosixPath)
    settings = (DictConfig, ListConfig, ContainerMetadata, Metadata, *kinds)
    with torch.serialization.safe_globals([*plain, *numbers, *paths, *settings]):
        yield


def _settings(file: Path, name: str) -> Any:
    """The configuration in a checkpoint, and whether this library can look into such a model."""
    import torch
    from omegaconf import OmegaConf

    # mmap: only the configuration is read here, not gigabytes of weights
    package = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    settings = OmegaConf.create(package["xp.cfg"])
    others = [key for key in settings.get("conditioners", {}) if key not in ("description", "args")]
    ways = settings.get("fuser", {})
    prefix = [key for way in ("prepend", "sum", "input_interpolate") for key in ways.get(way, [])]
    if others or prefix:
        raise InterpError(
            f"{name} is not a text-to-music model: it is conditioned on {', '.join([*others, *prefix])} as a "
            "prefix, which would shift every step that is captured; use one that takes a text description "
            "alone, such as facebook/musicgen-small."
        )
    return settings


def _register_text_encoder(settings: Any, folder: str) -> None:
    """Let audiocraft take a T5 on disk, which it does only for names that it knows."""
    from audiocraft.modules.conditioners import T5Conditioner
    from omegaconf import OmegaConf
    from omegaconf.errors import UnsupportedInterpolationType

    from .loading import plugins

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
        return
    config = Path(name) / "config.json"
    if not config.is_file():
        raise InterpError(
            f"{folder} asks for the text encoder {name}, which is neither a T5 name nor a folder here."
        )
    T5Conditioner.MODELS.append(name)
    T5Conditioner.MODELS_DIMS[name] = json.loads(config.read_text())["d_model"]


def _not_here(name: str, error: Exception, options: str = "") -> str:
    from .loading import plugins

    reason, local = shorten(_first_line(error), 60, placeholder=" …"), ", ".join(plugins()) or "a directory"
    return (
        f"Cannot get {name}: it is not whole in the local cache and the hub did not give it ({reason}); "
        f"fetch it where there is a network with: python -m interp download {name}{options}; or use a local "
        f"model ({local})."
    )


def _first_line(error: Exception) -> str:
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused and "weights_only" in str(error).lower().replace(" ", "_"):
        return f"they hold {refused[1]}, which could run code, and are not read."
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
