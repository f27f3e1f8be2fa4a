"""The codec: spectral frames through two small vector-quantised networks.

Three residual codebooks carry the *tones* of a frame relative to its loudness (the first of them alone
already names most of the harmony, since training often drops the others), a fourth carries *loudness
and noise*. The encoders see a fifth of a second to either side and the decoder a third: neighbouring
frames are alike, and what one frame's codes leave out, those beside it can say. The decoder writes
spectral frames, which `etude.spectral` turns into sound. The residual quantiser is audiocraft's
(Zeghidour et al. 2021; Défossez et al. 2022).
"""

from __future__ import annotations

import math

import torch
from torch import nn

import interp.compat

interp.compat.prepare()

from audiocraft import quantization as qt  # noqa: E402
from audiocraft.models.encodec import CompressionModel  # noqa: E402

from etude.spectral import FLOOR_DB, HOP, N_FEATURES, N_NOISE, N_TONES, SAMPLE_RATE, Spectral  # noqa: E402

TONE_RANGE_DB, NOISE_RANGE_DB = 50.0, 70.0  # below a frame's loudness
TONE_BOOKS, ENTRIES = 3, 512
TONE_DIM, AIR_DIM, WIDTH = 32, 12, 192


class Residual(nn.Module):
    """A residual block of two convolutions over time, the first with a dilation in frames."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        spread = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.block = nn.Sequential(nn.GELU(), spread, nn.GELU(), nn.Conv1d(width, width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x)


def stack(n_in: int, width: int, blocks: int, n_out: int) -> nn.Sequential:
    """Convolutions [batch, n_in, frame] → [batch, n_out, frame]; each block reaches twice as far."""
    return nn.Sequential(
        nn.Conv1d(n_in, width, 5, padding=2),
        *[Residual(width, 2**block) for block in range(blocks)],
        nn.GELU(),
        nn.Conv1d(width, n_out, 1),
    )


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

    Codebooks 0–2 are residual codebooks of the tones, codebook 3 holds loudness and noise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectral = Spectral()
        self.tone_encoder = stack(N_TONES, WIDTH, 3, TONE_DIM)
        self.air_encoder = stack(N_NOISE + 1, WIDTH // 2, 2, AIR_DIM)
        vq = dict(bins=ENTRIES, kmeans_init=True, threshold_ema_dead_code=0)
        self.tone_quantizer = qt.ResidualVectorQuantizer(
            dimension=TONE_DIM, n_q=TONE_BOOKS, q_dropout=True, **vq
        )
        self.air_quantizer = qt.ResidualVectorQuantizer(dimension=AIR_DIM, n_q=1, **vq)
        self.decoder = stack(TONE_DIM + AIR_DIM, WIDTH, 4, N_FEATURES + 1)

    def embed(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features → unquantised latents of tones and of loudness with noise."""
        tones, noise, loudness = to_relative(features)
        return self.tone_encoder(tones), self.air_encoder(torch.cat([noise, loudness], 1))

    def unembed(self, tone: torch.Tensor, air: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Latents → (tones, noise, loudness) as in `to_relative`."""
        out = self.decoder(torch.cat([tone, air], 1))
        return out.split([N_TONES, N_NOISE, 1], dim=1)

    def encode_features(self, features: torch.Tensor) -> torch.Tensor:
        """Features [batch, N_FEATURES, frame] → codes [batch, 4, frame]."""
        tone, air = self.embed(features)
        return torch.cat([self.tone_quantizer.encode(tone), self.air_quantizer.encode(air)], 1)

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
        """Codes [batch, 4, frame] → latents [batch, TONE_DIM + AIR_DIM, frame]."""
        tone = self.tone_quantizer.decode(codes[:, :TONE_BOOKS])
        return torch.cat([tone, self.air_quantizer.decode(codes[:, TONE_BOOKS:])], 1)

    def decode_features(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes → features in dB [batch, N_FEATURES, frame]."""
        return to_features(*self.unembed(*self.decode_latent(codes).split([TONE_DIM, AIR_DIM], 1)))

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
