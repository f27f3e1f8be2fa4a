"""Audio in, tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import codec
from .errors import InterpError, check_list, check_positive, check_whole
from .generation import Generation, check_prompts, undrawn

if TYPE_CHECKING:
    from .corpora import Clip, Corpus
    from .model import Model


def read_file(path: str | Path) -> tuple[torch.Tensor, int]:
    """Read one file as [channel, sample] float32, with its sample rate (Hz).

    Raises
    ------
    InterpError
        If the file is missing, a folder, not audio (WAV, FLAC, OGG, MP3, AIFF), empty, or holds NaN or
        infinity.
    """
    import soundfile

    try:
        if Path(path).is_dir():
            raise InterpError(f"Cannot read audio from {path}: it is a folder; give the files in it.")
        if not Path(path).is_file():
            raise InterpError(f"Cannot read audio from {path}: there is no such file.")
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise InterpError(f"Cannot read audio from {path}: {error}") from error
    waveform = torch.from_numpy(samples.T.copy())
    if waveform.shape[-1] == 0:
        raise InterpError(f"Audio file {path} is empty.")
    if not torch.isfinite(waveform).all():
        raise InterpError(f"Audio file {path} has samples that are not finite numbers.")
    return waveform, rate


def convert(waveform: torch.Tensor, rate: int, sample_rate: int, channels: int = 1) -> torch.Tensor:
    """Bring [channel, sample] at ``rate`` to ``channels`` at ``sample_rate`` (Hz), level unchanged."""
    import julius

    if waveform.shape[0] not in (1, channels):
        waveform = waveform.mean(0, keepdim=True)
    waveform = julius.resample_frac(waveform, int(rate), int(sample_rate))  # as audiocraft does
    return waveform.mean(0, keepdim=True) if channels == 1 else waveform.expand(channels, -1)


def read_waveforms(
    clips: Sequence[str | Path | Clip], sample_rate: int, channels: int = 1, seconds: float | None = None
) -> torch.Tensor:
    """Read files, or clips of a corpus, as one tensor [clip, channel, sample].

    Parameters
    ----------
    seconds : float, optional
        Keep this much from the start of each. None demands equal lengths.

    Raises
    ------
    InterpError
        As :func:`read_file`, and if a clip is shorter than ``seconds`` or the lengths differ.
    """
    from .corpora import Clip, from_files

    clips = check_list(clips, "audio files")
    clips = [clip if isinstance(clip, Clip) else from_files([clip])[0] for clip in clips]
    waveforms = [clip.waveform(sample_rate, channels) for clip in clips]
    if seconds is not None:
        check_positive(seconds, "seconds")
        wanted = round(seconds * sample_rate)
        for clip, waveform in zip(clips, waveforms, strict=True):
            if waveform.shape[-1] < wanted:
                have = waveform.shape[-1] / sample_rate
                raise InterpError(f"{clip.id} has {have:.2f} s, less than the {seconds:g} s asked for.")
        waveforms = [waveform[:, :wanted] for waveform in waveforms]
    _check_same_length([waveform.shape[-1] / sample_rate for waveform in waveforms])
    return torch.stack(waveforms)


def _check_same_length(seconds: list[float]) -> None:
    if min(seconds) < max(seconds):
        raise InterpError(
            f"The files last from {min(seconds):.2f} to {max(seconds):.2f} s; "
            f"give seconds={min(seconds):.2f} or less."
        )


@torch.no_grad()
def encode_waveforms(model: Model, waveforms: torch.Tensor, batch_size: int = 8) -> torch.Tensor:
    """Tokens [clip, codebook, frame] of waveforms [clip, channel, sample] at the model's sample rate."""
    return codec.encode_in_batches(model, waveforms, batch_size)


def encode(
    model: Model,
    clips: Corpus | Sequence[str | Path],
    seconds: float | None = None,
    prompts: list[str | None] | None = None,
    batch_size: int = 8,
    keep_audio: bool = True,
) -> Generation:
    """Turn audio into what ``model.generate`` would have given, ready for :func:`interp.capture`.

    Parameters
    ----------
    clips : Corpus, or list of paths
        A corpus, or audio files.
    seconds : float, optional
        Keep this much from the start of each clip; None demands equal lengths.
    prompts : list of (str or None), optional
        Text to go with each clip when the model listens to it; None is the null prompt for all.
    keep_audio : bool
        False keeps the tokens alone, which take far less room.

    Returns
    -------
    Generation
        ``audio`` is the clips' own waveform, ``seed`` and guidance have no meaning (0 and 1).
    """
    clips, batch_size = check_list(clips, "audio files"), check_whole(batch_size, "batch_size", 1)
    prompts = [None] * len(clips) if prompts is None else check_prompts(prompts)
    if len(prompts) != len(clips):
        raise InterpError(f"{len(prompts)} prompts for {len(clips)} audio files; give one per file.")
    tokens, audio, lengths = [], [], []
    for first in range(0, len(clips), batch_size):
        batch = clips[first : first + batch_size]
        waveforms = read_waveforms(batch, model.sample_rate, model.channels, seconds)
        tokens.append(encode_waveforms(model, waveforms, batch_size))
        audio.append(waveforms if keep_audio else waveforms[..., :0])
        lengths.append(waveforms.shape[-1] / model.sample_rate)
        _check_same_length(lengths)
    return undrawn(model, torch.cat(tokens), prompts, torch.cat(audio), batch_size)
