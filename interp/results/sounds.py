"""A waveform as a file, and as a picture small enough to stand beside its player."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..errors import InterpError

COLUMNS, HEIGHT, FLOOR_DB = 120, 24, -48.0  # of the picture


def as_samples(name: str, waveform: Any) -> np.ndarray:
    """A waveform as [channel, sample] in single precision.

    Parameters
    ----------
    waveform : array or tensor ``[samples]`` or ``[channels, samples]``, floats.

    Raises
    ------
    InterpError
        If it has another shape, is empty, or holds anything but finite numbers.
    """
    if hasattr(waveform, "detach"):
        waveform = waveform.detach().cpu().float().numpy()
    samples = np.atleast_2d(np.asarray(waveform, dtype=np.float32))
    if samples.ndim != 2 or not samples.size or samples.shape[0] > samples.shape[1]:
        shape = list(np.shape(waveform))
        raise InterpError(f"Audio {name!r} has shape {shape}; want [samples] or [channels, samples].")
    if not np.isfinite(samples).all():
        raise InterpError(f"Audio {name!r} holds samples that are not finite numbers.")
    return samples


def encode(samples: np.ndarray, sample_rate: int) -> tuple[bytes, str]:
    """The content of a sound file, and its suffix.

    16-bit FLAC while no sample exceeds 1 in absolute value, else a WAV of 32-bit floats: a sound is neither
    normalised nor clipped, since its level is a cue.
    """
    import soundfile

    # 16-bit full scale is 1 − 2⁻¹⁵: a sample of exactly 1 is off by one step, inaudibly.
    kind, subtype = ("FLAC", "PCM_16") if np.abs(samples).max() <= 1 else ("WAV", "FLOAT")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, int(sample_rate), format=kind, subtype=subtype)
    return buffer.getvalue(), kind.lower()


def thumbnail(samples: np.ndarray) -> str:
    """The outline of a sound as SVG, in the colour of the text around it.

    Each column is as high as the largest sample in it, in dB from -48 (nothing) to 0 (all of the height), so
    that quiet sounds are seen, and seen to be quiet: the scale is the same for all sounds.
    """
    loudest = np.abs(samples).max(axis=0)
    peaks = np.array([part.max() for part in np.array_split(loudest, min(COLUMNS, len(loudest)))])
    level = 20 * np.log10(np.maximum(peaks, 10 ** (FLOOR_DB / 20)))
    half = np.clip(1 - level / FLOOR_DB, 0.02, 1) * HEIGHT / 2
    bars = "".join(f"M{i}.5 {HEIGHT / 2 - h:.1f}v{2 * h:.1f}" for i, h in enumerate(half))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wave" viewBox="0 0 {len(half)} {HEIGHT}" '
        'preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<path d="{bars}" stroke="currentColor" stroke-width="0.7" fill="none"/></svg>\n'
    )
