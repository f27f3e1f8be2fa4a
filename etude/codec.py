"""The codec: spectral frames as codes, and back; nothing in it is a network.

Three codebooks set single *tones* of a frame, relative to its loudness (`etude.tones`); a fourth carries
*loudness and noise* (`etude.air`). `etude.spectral` makes spectral frames of sound, and sound of them.
"""

from __future__ import annotations

import math

import torch
from torch import nn

import interp.compat

interp.compat.prepare()

from audiocraft import quantization as qt  # noqa: E402
from audiocraft.models.encodec import CompressionModel  # noqa: E402

from etude import air, tones  # noqa: E402
from etude.spectral import FLOOR_DB, HOP, N_TONES, SAMPLE_RATE, Spectral  # noqa: E402
from etude.tones import RANGE_DB as TONE_RANGE_DB  # noqa: E402

NOISE_RANGE_DB = 70.0  # below a frame's loudness
TONE_BOOKS, ENTRIES = len(tones.LEVELS), 512


def to_relative(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features in dB [batch, N_FEATURES, frame] → (tones, noise, loudness), each about 0…1 and

    shaped [batch, N_TONES | N_NOISE | 1, frame]; 0 is inaudible beside the frame's loudness.
    """
    energy = torch.where(features > FLOOR_DB, 10 ** (features / 10), torch.zeros_like(features))
    loudness = (10 * torch.log10(energy.sum(1, keepdim=True) + 1e-12)).clamp(min=FLOOR_DB)
    audible = features > FLOOR_DB
    tones = ((features[:, :N_TONES] - loudness) / TONE_RANGE_DB + 1).clamp(min=0) * audible[:, :N_TONES]
    noise = ((features[:, N_TONES:] - loudness) / NOISE_RANGE_DB + 1).clamp(min=0) * audible[:, N_TONES:]
    return tones, noise, 1 - loudness / FLOOR_DB


def to_features(tones: torch.Tensor, noise: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_relative`; what is under 15 % of its range is silence, and the frame's energy

    is made to be its loudness.
    """
    level = (1 - loudness) * FLOOR_DB
    relative = torch.cat([(tones - 1) * TONE_RANGE_DB, (noise - 1) * NOISE_RANGE_DB], 1)
    audible = torch.cat([tones, noise], 1) > 0.15
    energy = torch.where(audible, 10 ** (relative / 10), torch.zeros_like(relative)).sum(1, keepdim=True)
    features = level + relative - 10 * torch.log10(energy.clamp(min=1e-6))
    return torch.where(audible, features, FLOOR_DB).clamp(min=FLOOR_DB, max=0.0)


class EtudeCodec(CompressionModel):
    """A `CompressionModel`: 16 kHz mono, 50 frames/s, 4 codebooks of 512 entries.

    Codebooks 0–2 set tones, codebook 3 holds loudness and noise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectral = Spectral()
        self.air = nn.Parameter(torch.zeros(ENTRIES, air.WIDTH), requires_grad=False)

    def encode_features(self, features: torch.Tensor) -> torch.Tensor:
        """Features [batch, N_FEATURES, frame] → codes [batch, 4, frame]."""
        levels, noise, loudness = to_relative(features)
        return torch.cat([tones.encode(levels), air.encode(noise, loudness, self.air)[0][:, None]], 1)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Audio [batch, 1, sample] → (codes [batch, 4, frame], no scale).

        Raises
        ------
        ValueError
            If the audio is not [batch, 1, sample].
        """
        if x.dim() != 3 or x.shape[1] != 1:
            raise ValueError(f"the étude codec takes audio [batch, 1, sample], got {list(x.shape)}")
        return self.encode_features(self.spectral.analyse(x[:, 0])), None

    def decode_latent(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [batch, 4, frame] → tones, noise and loudness as in `to_relative`: [batch, 105, frame]."""
        noise, loudness = air.decode(codes[:, TONE_BOOKS], self.air)
        return torch.cat([tones.decode(codes[:, :TONE_BOOKS]), noise, loudness], 1)

    def decode_features(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes → features in dB [batch, N_FEATURES, frame]."""
        return to_features(*self.decode_latent(codes).split([N_TONES, air.WIDTH - 1, 1], 1))

    def decode(self, codes: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """Codes [batch, 4, frame] → audio [batch, 1, frame * 320]."""
        if scale is not None:
            raise ValueError("the étude codec has no scale")
        return self.spectral.synthesise(self.decode_features(codes))[:, None]

    def forward(self, x: torch.Tensor) -> qt.QuantizedResult:
        codes, _ = self.encode(x)
        bits = math.log2(ENTRIES) * self.num_codebooks * self.frame_rate / 1000
        return qt.QuantizedResult(self.decode(codes)[..., : x.shape[-1]], codes, torch.tensor(bits))

    @property
    def channels(self) -> int:
        return 1

    @property
    def frame_rate(self) -> float:
        return SAMPLE_RATE / HOP

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    @property
    def cardinality(self) -> int:
        return ENTRIES

    @property
    def num_codebooks(self) -> int:
        return TONE_BOOKS + 1

    @property
    def total_codebooks(self) -> int:
        return TONE_BOOKS + 1

    def set_num_codebooks(self, n: int) -> None:
        """All four codebooks or none: they are not one residual series."""
        if n != self.num_codebooks:
            raise ValueError(f"the étude codec always uses its {self.num_codebooks} codebooks, not {n}")
