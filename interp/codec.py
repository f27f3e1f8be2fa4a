"""Waveforms to tokens and back, on the model's device, or on the CPU where the device cannot."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .errors import InterpError
from .halving import in_batches

if TYPE_CHECKING:
    from .model import Model


def encode(model: Model, waveforms: torch.Tensor) -> torch.Tensor:
    """Tokens [clip, codebook, frame], on the CPU, of [clip, channel, sample] at the model's sample rate.

    Raises
    ------
    InterpError
        If the codec rescales its input, so that the tokens do not hold the level.
    """
    tokens, scale = _run(model, "encode", waveforms)
    if scale is not None:
        raise InterpError(
            f"The codec of {model.name} rescales its input, so tokens alone do not hold the level."
        )
    return tokens.cpu()


def decode(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """[clip, channel, sample] float32, on the CPU, of [clip, codebook, frame]."""
    return _run(model, "decode", tokens, None).float().cpu()


def encode_in_batches(model: Model, waveforms: torch.Tensor, batch_size: int) -> torch.Tensor:
    """:func:`encode` of many, a batch at a time."""
    return _in_batches(
        model, lambda part: encode(model, waveforms[part]), len(waveforms), batch_size, "encode"
    )


def decode_in_batches(model: Model, tokens: torch.Tensor, batch_size: int) -> torch.Tensor:
    """:func:`decode` of many, a batch at a time."""
    return _in_batches(model, lambda part: decode(model, tokens[part]), len(tokens), batch_size, "decode")


@torch.no_grad()
def mean_latents(model: Model, tokens: torch.Tensor, batch_size: int = 64) -> np.ndarray:
    """What the codec's decoder is given for tokens [clip, codebook, frame], mean over time: [clip, width].

    An embedding that no judge of this project was made of; nothing is decoded.
    """

    def latents(part: range) -> torch.Tensor:
        return _run(model, "decode_latent", tokens[part]).float().mean(-1).cpu()

    return _in_batches(model, latents, len(tokens), batch_size, "embed").numpy()


def _in_batches(model: Model, run, clips: int, batch_size: int, what: str) -> torch.Tensor:
    parts: list[torch.Tensor] = []
    for first in range(0, clips, batch_size):
        members = range(first, min(first + batch_size, clips))
        parts += in_batches(run, members, what, model.name)
    return torch.cat(parts)


def _run(model: Model, what: str, x: torch.Tensor, *arguments: Any) -> Any:
    """Call the codec; an operation that Metal lacks moves it to the CPU for good, which is said once."""
    codec = model.codec
    device = next(codec.parameters(), x).device
    try:
        return getattr(codec, what)(x.to(device), *arguments)
    except (NotImplementedError, RuntimeError) as error:
        if device.type != "mps" or "out of memory" in str(error).lower():
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    codec.to("cpu")
    warnings.warn(f"The codec of {model.name} runs on the CPU: {device} cannot ({reason}).", stacklevel=3)
    return getattr(codec, what)(x.cpu(), *arguments)
