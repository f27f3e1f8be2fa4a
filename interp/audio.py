"""Audio files in, tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .errors import InterpError, check_list, check_positive
from .generation import Generation, check_prompts, text_length

if TYPE_CHECKING:
    from .model import Model


def read_waveform(path: str | Path, sample_rate: int, channels: int = 1) -> torch.Tensor:
    """Read one file as [channel, sample] float32 at ``sample_rate`` (Hz), level unchanged.

    Raises
    ------
    InterpError
        If the file is missing, not audio (WAV, FLAC, OGG, MP3, AIFF), empty, or holds NaN or infinity.
    """
    import soundfile
    from audiocraft.data.audio_utils import convert_audio

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise InterpError(f"Cannot read audio from {path}: {error}") from error
    waveform = torch.from_numpy(samples.T.copy())
    if waveform.shape[-1] == 0:
        raise InterpError(f"Audio file {path} is empty.")
    if not torch.isfinite(waveform).all():
        raise InterpError(f"Audio file {path} has samples that are not finite numbers.")
    if waveform.shape[0] not in (1, channels):
        waveform = waveform.mean(0, keepdim=True)
    return convert_audio(waveform, rate, sample_rate, channels)


def read_waveforms(
    paths: Sequence[str | Path], sample_rate: int, channels: int = 1, seconds: float | None = None
) -> torch.Tensor:
    """Read files as one tensor [clip, channel, sample].

    Parameters
    ----------
    seconds : float, optional
        Keep this much from the start of each file. None demands files of equal length.

    Raises
    ------
    InterpError
        As :func:`read_waveform`, and if a file is shorter than ``seconds`` or the lengths differ.
    """
    paths = check_list(paths, "audio files")
    waveforms = [read_waveform(path, sample_rate, channels) for path in paths]
    if seconds is not None:
        check_positive(seconds, "seconds")
        wanted = round(seconds * sample_rate)
        for path, waveform in zip(paths, waveforms, strict=True):
            if waveform.shape[-1] < wanted:
                have = waveform.shape[-1] / sample_rate
                raise InterpError(f"{path} has {have:.2f} s, less than the {seconds:g} s asked for.")
        waveforms = [waveform[:, :wanted] for waveform in waveforms]
    lengths = sorted({waveform.shape[-1] for waveform in waveforms})
    if len(lengths) > 1:
        shortest, longest = lengths[0] / sample_rate, lengths[-1] / sample_rate
        raise InterpError(
            f"The files last from {shortest:.2f} to {longest:.2f} s; give seconds={shortest:.2f} or less."
        )
    return torch.stack(waveforms)


@torch.no_grad()
def encode_waveforms(model: Model, waveforms: torch.Tensor, batch_size: int = 8) -> torch.Tensor:
    """Tokens [clip, codebook, frame] of waveforms [clip, channel, sample] at the model's sample rate."""
    parts = []
    for part in waveforms.split(batch_size):
        tokens, scale = model.codec.encode(part.to(model.device))
        if scale is not None:
            raise InterpError(
                f"The codec of {model.name} rescales its input, so tokens alone do not hold the level."
            )
        parts.append(tokens.cpu())
    return torch.cat(parts)


def encode(
    model: Model,
    files: Sequence[str | Path],
    seconds: float | None = None,
    prompts: list[str | None] | None = None,
    batch_size: int = 8,
) -> Generation:
    """Turn audio files into what ``model.generate`` would have given, ready for :func:`interp.capture`.

    Parameters
    ----------
    seconds : float, optional
        Keep this much from the start of each file; None demands files of equal length.
    prompts : list of (str or None), optional
        Text to go with each file when the model listens to it; None is the null prompt for all.

    Returns
    -------
    Generation
        ``audio`` is the files' own waveform, ``seed`` and guidance have no meaning (0 and 1).
    """
    waveforms = read_waveforms(files, model.sample_rate, model.channels, seconds)
    prompts = [None] * len(waveforms) if prompts is None else check_prompts(prompts)
    if len(prompts) != len(waveforms):
        raise InterpError(f"{len(prompts)} prompts for {len(waveforms)} audio files; give one per file.")
    tokens = encode_waveforms(model, waveforms, batch_size)
    return Generation(
        tokens=tokens,
        audio=waveforms,
        prompts=prompts,
        seconds=tokens.shape[-1] / model.frame_rate,
        seed=0,
        cfg_coef=1.0,
        batch_size=batch_size,
        temperature=0.0,
        top_k=0,
        two_step_cfg=False,
        sample_rate=model.sample_rate,
        frame_rate=model.frame_rate,
        text_steps=[text_length(model, [prompt]) for prompt in prompts],
        prompt_frames=tokens.shape[-1],
        model=model.name,
        whole=False,
    )
