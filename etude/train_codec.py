"""Train the codec on spectral frames of composed pieces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from etude.codec import TONE_RANGE_DB, EtudeCodec, to_relative
from etude.precision import half
from etude.spectral import FLOOR_DB, LOWEST_MIDI, N_TONES

WARM_UP = 250  # steps before the quantisers come in
REVIVE_EVERY = 10  # steps between revivals of unused codebook entries
ALL_BOOKS_FROM = 0.4  # share of the steps after which no tone codebook is dropped any more
CROP, BATCH = 160, 24  # frames, clips
SAVE_EVERY = 100  # steps
HEARD = 15  # frames over which chroma is averaged; the window's ends are zero


def energies(tones: torch.Tensor) -> torch.Tensor:
    """Relative tones → energies, of the same shape."""
    return 10 ** (5 * (tones.clamp(0, 1.2) - 1)) * (tones > 0.02)  # 50 dB range


def fold(energy: torch.Tensor) -> torch.Tensor:
    """Energies of tones [batch, N_TONES, frame] → of pitch classes [batch, 12, frame]."""
    classes = (torch.arange(N_TONES, device=energy.device) + LOWEST_MIDI) % 12
    return energy.new_zeros(energy.shape[0], 12, energy.shape[2]).index_add_(1, classes, energy)


def chroma(tones: torch.Tensor) -> torch.Tensor:
    """Relative tones [batch, N_TONES, frame] → share of energy per pitch class [batch, 12, frame]."""
    out = fold(energies(tones))
    return out / (out.sum(1, keepdim=True) + 1e-4)


def heard(tones: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
    """Chroma over a quarter of a second, the middle octaves foremost: [batch, 12, frame], each largest 1.

    Without a weight the bass, which has most of the energy, would hide the melody; this one is a Gaussian
    over octaves, two wide, about A5 (Ellis 2007, "Chroma feature analysis and synthesis"; librosa's chroma
    has it too). Averages are under a squared Hann window.
    """
    energy = energies(tones)
    energy = energy / (energy.sum(1, keepdim=True) + 1e-4) * 10 ** ((1 - loudness) * FLOOR_DB / 10)
    octaves = (torch.arange(N_TONES, device=tones.device) + LOWEST_MIDI - 81) / 12
    weight = torch.exp(-0.5 * (octaves / 2) ** 2)[:, None]
    window = torch.hann_window(HEARD, periodic=False, device=tones.device).square()
    kernel = (window / window.sum()).expand(12, 1, -1)
    averaged = F.conv1d(fold(weight * energy), kernel, padding=HEARD // 2, groups=12)
    return averaged / (averaged.amax(1, keepdim=True) + 1e-8)  # about the energy of silence


def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pearson's r of two tensors [batch, ...] over all but the batch, [batch]."""
    a, b = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in (a, b))
    return F.cosine_similarity(a, b)


def onsets(tones: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
    """How much the tones grow from frame to frame, on average over tones, [batch, frame - 1].

    What an onset detector by spectral flux hears; levels are absolute, in units of `TONE_RANGE_DB`, and
    what lies under −60 dB does not count.
    """
    level = tones - 1 + (1 - loudness) * FLOOR_DB / TONE_RANGE_DB
    return level.clamp(min=-60 / TONE_RANGE_DB).diff(dim=-1).clamp(min=0).mean(1)


def loss(
    codec: EtudeCodec, features: torch.Tensor, quantise: bool, harmony: float, agreement: float = 0.0
) -> tuple[torch.Tensor, dict[str, float]]:
    """Reconstruction loss of a batch of features [batch, N_FEATURES, frame].

    A weighted error of the relative tones (loud ones count most), their chroma, the noise bands, the
    loudness and its change from frame to frame, the onsets, and the quantisers' commitment. `harmony` is
    the weight of the chroma frame by frame, `agreement` that of its correlation as `heard`.
    """
    target = to_relative(features)
    with half(features.device):  # the quantisers stay in full precision
        tone, air = (latent.float() for latent in codec.embed(features))
    penalty = torch.zeros((), device=features.device)
    if quantise:
        tone_result, air_result = codec.tone_quantizer(tone, 50), codec.air_quantizer(air, 50)
        tone, air = tone_result.x, air_result.x
        penalty = tone_result.penalty + air_result.penalty
    with half(features.device):
        tones, noise, loudness = (out.float() for out in codec.unembed(tone, air))
    weight = 0.2 + 2 * target[0]
    parts = {
        "tones": (weight * F.smooth_l1_loss(tones, target[0], beta=0.05, reduction="none")).mean() * 4,
        "chroma": (chroma(tones) - chroma(target[0])).abs().mean() * harmony,
        "heard": (1 - correlation(heard(tones, loudness), heard(target[0], target[2]))).mean() * agreement,
        "noise": F.l1_loss(noise, target[1]),
        "loudness": F.l1_loss(loudness, target[2]) * 6,
        "change": F.l1_loss(loudness.diff(dim=-1), target[2].diff(dim=-1)) * 6
        + F.l1_loss(tones.diff(dim=-1), target[0].diff(dim=-1)) * 2,
        "onsets": F.l1_loss(onsets(tones, loudness), onsets(target[0], target[2])) * 20,
        "commit": penalty * 0.25,
    }
    total = sum(parts.values())
    return total, {name: float(part.detach()) for name, part in parts.items()}


@torch.no_grad()
def revive(quantizer, latent: torch.Tensor) -> int:
    """Move unused entries of every codebook onto vectors of the batch; returns how many moved.

    audiocraft's own expiry writes the new entry but not its running mean, which overwrites it in the
    same step; here the running mean and the count move too.
    """
    residual, moved = latent.transpose(1, 2).flatten(0, 1), 0
    for layer in quantizer.vq.layers:
        book = layer._codebook
        dead = book.cluster_size < 0.15 * book.cluster_size.mean()
        n = int(dead.sum())
        if n:
            book.embed[dead] = residual[torch.randint(len(residual), (n,), device=residual.device)]
            book.cluster_size[dead] = book.cluster_size.mean()
            book.embed_avg[dead] = book.embed[dead] * book.cluster_size.mean()
        moved += n
        residual = residual - book.dequantize(book.quantize(residual))
    return moved


def train(
    corpora: list[Path],
    checkpoint: Path,
    steps: int,
    seed: int = 0,
    start_from: Path | None = None,
    device: str = "cpu",
    rate: float = 1.5e-3,
    agreement: float = 0.0,
) -> None:
    """Train to `steps`, resuming from `checkpoint` where it exists; prints a line whenever it saves.

    Parameters
    ----------
    start_from : Path, optional
        A finished checkpoint of this function whose codes are kept: only the decoder is trained on.
    rate : float
        The highest learning rate, reached after a twentieth of the steps.
    agreement : float
        Weight in `loss`.
    """
    from tqdm import tqdm

    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    data = np.concatenate([np.load(path)["features"] for path in corpora])
    codec = EtudeCodec().to(device).train()
    whole = start_from is None
    if not whole:
        codec.load_state_dict(torch.load(start_from, map_location=device, weights_only=True)["codec"])
        codec.eval().requires_grad_(False)
        codec.decoder.train().requires_grad_(True)
    parameters = [p for p in codec.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        codec.load_state_dict(state["codec"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    for step in tqdm(range(start, steps), initial=start, total=steps, desc="codec", mininterval=10):
        rng = np.random.default_rng([seed, step])  # a resumed run sees the batches it would have seen
        torch.manual_seed(seed * 1_000_003 + step)
        clips, at = rng.integers(len(data), size=BATCH), rng.integers(data.shape[2] - CROP, size=BATCH)
        batch = np.stack([data[c, :, t : t + CROP] for c, t in zip(clips, at, strict=True)])
        codec.tone_quantizer.q_dropout = step < ALL_BOOKS_FROM * steps
        features = torch.from_numpy(batch).float().to(device)
        quantise, harmony = (step >= WARM_UP, 8) if whole else (True, 16)
        total, parts = loss(codec, features, quantise, harmony, agreement)
        if whole and WARM_UP < step < 0.8 * steps and step % REVIVE_EVERY == 0:
            tone, air = codec.embed(features)
            parts["revived"] = revive(codec.tone_quantizer, tone) + revive(codec.air_quantizer, air)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            print(step + 1, {name: round(part, 4) for name, part in parts.items()}, flush=True)
            partial = checkpoint.with_suffix(".tmp")
            torch.save(
                {
                    "codec": codec.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
                partial,
            )
            os.replace(partial, checkpoint)
