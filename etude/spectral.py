"""Sound as 88 tones and 16 noise bands per frame, and back.

Analysis is a semitone filter bank (constant-Q above 170 Hz, windows capped below it so that rhythm
survives in the bass; Brown 1991) of which only the local maxima over frequency are kept, and the noise
floor in 16 bands. Synthesis is a bank of fixed oscillators and filtered noise, with amplitudes
interpolated between frames. Nothing is learned here.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

SAMPLE_RATE = 16_000
HOP = 320  # 50 frames per second
FLOOR_DB = -85.0  # amplitude relative to full scale that counts as silence
LOWEST_MIDI, N_TONES = 28, 88  # 41 Hz … 6.6 kHz
N_NOISE = 16
N_FEATURES = N_TONES + N_NOISE
WINDOW = 2400  # samples, the longest analysis window
NOISE_FFT = 1024
NOISE_QUANTILE = 0.15  # low: tones between which noise is measured must not count
RELATIVE_FLOOR_DB = 40.0  # tones this far under the frame's loudest are side lobes: dropped


class Spectral(nn.Module):
    """The fixed analysis and synthesis.

    Features are amplitudes in dB relative to full scale, never under `FLOOR_DB`, in the shape
    [batch, N_FEATURES, frame]: first the tones (low to high), then the noise bands.
    """

    def __init__(self) -> None:
        super().__init__()
        hz = 440.0 * 2 ** ((torch.arange(N_TONES) + LOWEST_MIDI - 69) / 12)
        t = torch.arange(WINDOW) - (WINDOW - 1) / 2
        bank = torch.zeros(N_TONES, 2, WINDOW)
        for k, f in enumerate(hz.tolist()):
            n = min(WINDOW, max(256, int(25 * SAMPLE_RATE / f)))
            lo = (WINDOW - n) // 2
            window = torch.zeros(WINDOW)
            window[lo : lo + n] = torch.hann_window(n, periodic=False)
            window *= 2 / window.sum()  # a sinusoid of amplitude 1 measures 1
            phase = 2 * math.pi * f * t / SAMPLE_RATE
            bank[k, 0], bank[k, 1] = window * phase.cos(), window * phase.sin()
        self.register_buffer("bank", bank.reshape(2 * N_TONES, WINDOW), persistent=False)
        self.register_buffer("hz", hz, persistent=False)
        generator = torch.Generator().manual_seed(0)
        phases = 2 * math.pi * torch.rand(N_TONES, generator=generator)
        self.register_buffer("phases", phases, persistent=False)
        tops = torch.logspace(math.log10(500), math.log10(8000), N_NOISE)
        bin_hz = torch.arange(NOISE_FFT // 2 + 1) * SAMPLE_RATE / NOISE_FFT
        band = (bin_hz[:, None] >= tops).sum(1).clamp(max=N_NOISE - 1)
        self.register_buffer("band", band, persistent=False)
        self.register_buffer("hann", torch.hann_window(NOISE_FFT), persistent=False)

    def analyse(self, audio: torch.Tensor) -> torch.Tensor:
        """Audio [batch, sample] at 16 kHz → features [batch, N_FEATURES, frame], one frame per 20 ms."""
        frames = -(-audio.shape[-1] // HOP)
        audio = F.pad(audio, (0, frames * HOP - audio.shape[-1]))
        side = (WINDOW - HOP) // 2
        padded = F.pad(audio, (side, side))
        x = padded.unfold(-1, WINDOW, HOP) @ self.bank.T  # [batch, frame, 2 * tone]
        tones = x.unflatten(-1, (N_TONES, 2)).norm(dim=-1)
        around = F.max_pool1d(tones, 3, stride=1, padding=1)
        audible = tones.amax(-1, keepdim=True) * 10 ** (-RELATIVE_FLOOR_DB / 20)
        tones = torch.where((tones >= around) & (tones > audible), tones, torch.zeros_like(tones))
        side = (NOISE_FFT - HOP) // 2
        spec = F.pad(audio, (side, side)).unfold(-1, NOISE_FFT, HOP) * self.hann
        spec = torch.fft.rfft(spec).abs() / self.hann.square().sum().sqrt()  # per-bin noise amplitude
        noise = torch.stack(
            [spec[..., self.band == b].quantile(NOISE_QUANTILE, dim=-1) for b in range(N_NOISE)], -1
        )
        features = torch.cat([tones, noise], dim=-1).transpose(1, 2)
        return (20 * torch.log10(features.clamp(min=1e-9))).clamp(min=FLOOR_DB)

    def synthesise(self, features: torch.Tensor) -> torch.Tensor:
        """Features [batch, N_FEATURES, frame] → audio [batch, frame * HOP]."""
        amplitude = torch.where(features > FLOOR_DB + 1, 10 ** (features / 20), torch.zeros_like(features))
        frames = features.shape[-1]
        n = frames * HOP
        t = torch.arange(n, device=features.device, dtype=torch.float64) / SAMPLE_RATE
        tones = _between_frames(amplitude[:, :N_TONES], n)
        audio = torch.zeros(features.shape[0], n, device=features.device)
        for k in range(N_TONES):  # one oscillator at a time: memory stays small
            turns = (t * self.hz[k].double()) % 1.0
            wave = torch.sin(2 * math.pi * turns.float() + self.phases[k])
            audio += tones[:, k] * wave
        return audio + self._noise(amplitude[:, N_TONES:], n)

    def _noise(self, bands: torch.Tensor, n: int) -> torch.Tensor:
        """White noise shaped by band amplitudes [batch, N_NOISE, frame], the same noise at every call."""
        white = torch.randn(n, generator=torch.Generator().manual_seed(1)).to(bands.device)
        spec = torch.stft(white, NOISE_FFT, HOP // 2, window=self.hann, return_complex=True)
        gains = F.interpolate(bands, size=spec.shape[-1], mode="linear", align_corners=False)
        # The analysis reads a quantile of Rayleigh-distributed magnitudes: undo that.
        shaped = spec[None] * gains[:, self.band] / math.sqrt(-math.log(1 - NOISE_QUANTILE))
        return torch.istft(shaped, NOISE_FFT, HOP // 2, window=self.hann, length=n)


def _between_frames(amplitude: torch.Tensor, n: int) -> torch.Tensor:
    return F.interpolate(amplitude, size=n, mode="linear", align_corners=False)
