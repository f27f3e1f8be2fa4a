"""Load an étude from its committed weights, checked against their sums."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch

import interp.compat
from etude import MODELS, WEIGHTS
from interp.errors import InterpError, unknown

interp.compat.prepare()

SUMS = "SHA256SUMS"
SECONDS = 8.0  # what the models were trained on; longer music is made in windows
TEXT_FILES = ("text/config.json", "text/model.safetensors", "text/tokenizer.json")
REMEDY = "restore the file with `git checkout -- etude/weights`, or train anew with `make etude`"


def load_musicgen(name: str = "etude", device: str = "cpu", weights: Path = WEIGHTS):
    """Load an étude as an ordinary audiocraft `MusicGen`.

    Parameters
    ----------
    name : {"etude", "etude-alt", "etude-null"}
    device : str
        A torch device; weights are single precision on the CPU and half on CUDA, as for MusicGen.

    Raises
    ------
    InterpError
        If the name is unknown, or a weight file is missing or is not the one that was released.
    """
    if name not in MODELS:
        raise unknown("étude", name, MODELS)
    check_sums([f"{name}/state_dict.bin", "codec.bin", *TEXT_FILES], weights)

    from audiocraft.models import MusicGen
    from audiocraft.models.loaders import load_lm_model
    from tokenizers import normalizers

    from etude.lm import register_text_encoder

    class Etude(MusicGen):
        """A `MusicGen` of 8 s windows: audiocraft's default stride of 18 s would not fit into one."""

        def set_generation_params(self, *arguments, extend_stride: float = SECONDS / 2, **options) -> None:
            super().set_generation_params(*arguments, extend_stride=extend_stride, **options)

    register_text_encoder(weights / "text")
    lm = load_lm_model(str(weights / name), device=device)
    tokenizer = lm.condition_provider.conditioners["description"].t5_tokenizer
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()  # transformers does not restore it
    return Etude(name, load_codec(weights, device), lm, max_duration=SECONDS)


def load_codec(weights: Path = WEIGHTS, device: str = "cpu"):
    """Load the codec in single precision (its spectral frames need it)."""
    from etude.codec import EtudeCodec

    codec = EtudeCodec()
    state = torch.load(weights / "codec.bin", map_location="cpu", weights_only=True)
    codec.load_state_dict({name: tensor.float() for name, tensor in state["best_state"].items()})
    return codec.eval().to(device)


def save_codec(state: dict[str, torch.Tensor], weights: Path = WEIGHTS) -> None:
    """Write the codec's weights in half precision."""
    weights.mkdir(parents=True, exist_ok=True)
    partial = weights / "codec.tmp"
    torch.save({"best_state": {name: tensor.half() for name, tensor in state.items()}}, partial)
    os.replace(partial, weights / "codec.bin")


def write_sums(weights: Path = WEIGHTS) -> None:
    """Record the SHA-256 of every weight file in `SHA256SUMS` (the format of ``sha256sum``)."""
    files = sorted(p for p in weights.rglob("*") if p.is_file() and p.name != SUMS and p.suffix != ".tmp")
    lines = [f"{_sha256(p)}  {p.relative_to(weights).as_posix()}\n" for p in files]
    partial = weights / "sums.tmp"
    partial.write_text("".join(lines))
    os.replace(partial, weights / SUMS)


def check_sums(files: list[str], weights: Path = WEIGHTS) -> None:
    """Compare files with `SHA256SUMS`.

    Raises
    ------
    InterpError
        Naming the first file that is missing, not listed or altered.
    """
    if not (weights / SUMS).is_file():
        raise InterpError(f"{weights / SUMS} is missing: {REMEDY}.")
    sums = dict(reversed(line.split("  ", 1)) for line in (weights / SUMS).read_text().splitlines())
    for file in files:
        path = weights / file
        if not path.is_file():
            raise InterpError(f"étude's weights {path} are missing: {REMEDY}.")
        if sums.get(file) != _sha256(path):
            raise InterpError(f"étude's weights {path} are not the ones that {SUMS} lists: {REMEDY}.")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
