"""A codec without a network, for language models to come: codes that set single tones of a state.

Encoder and decoder keep the same state: a level for each of 88 tones, and a loudness. A code of the first
three codebooks says "this tone has that level now" (88 tones × 5 levels), so that what goes on sounding costs
nothing, and nothing depends on the keys, chords or instruments of a training set. The encoder sends what most
lessens the error against the next frames; when nothing does, it repeats what was said longest ago, so that a
decoder that missed something recovers. The fourth codebook holds a change of loudness with the levels of the
noise bands; its entries are all that is learnt (`learn`).

The released language models know the codes of `etude.codec`, and this codec cannot read them. At the same bit
rate it is more faithful, on music of any kind: ``python -m etude.updates`` measures it. Whether a language
model learns its codes as well is not known yet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from etude.codec import ENTRIES, TONE_RANGE_DB, to_features, to_relative
from etude.spectral import LOWEST_MIDI, N_TONES, Spectral

LEVELS = torch.tensor(
    [[0, 0.60, 0.74, 0.86, 0.97], [0, 0.52, 0.68, 0.81, 0.92], [0, 0.56, 0.71, 0.835, 0.945]]
)
"""What a code can set a tone to, by codebook: parts of `TONE_RANGE_DB`; 0 is silence."""
BEHIND, AHEAD = 1, 3  # frames about the present one over which the encoder's aim is averaged
LOG_LEVEL = 0.003  # weight of squared errors in level, beside those in amplitude
WORTH = 1e-5  # an update that lessens the error by less is not sent
FIRST_LOUDNESS = 0.5  # the state's before the first frame, as `to_relative` has it: −42.5 dB
LOUDNESS_WEIGHT = 24.0  # of a change of loudness beside the noise bands, when the nearest entry is sought


def amplitude(level: torch.Tensor) -> torch.Tensor:
    """Levels as in `to_relative` → amplitudes; what is 50 dB under the frame's loudness is nothing."""
    return torch.where(level > 0.02, 10 ** (TONE_RANGE_DB / 20 * (level - 1)), 0.0)


def encode_tones(tones: torch.Tensor) -> torch.Tensor:
    """Relative tones [batch, N_TONES, frame] → codes [batch, 3, frame].

    Errors count by the weight of an octave in librosa's chroma: a Gaussian, two octaves wide, about A5.
    """

    def aim(x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, (BEHIND, AHEAD), mode="replicate").unfold(-1, BEHIND + AHEAD + 1, 1).mean(-1)

    octaves = (torch.arange(N_TONES, device=tones.device) + LOWEST_MIDI - 81) / 12
    weight, levels = torch.exp(-0.5 * (octaves / 2) ** 2)[:, None], LEVELS.to(tones)
    aims, wanted = aim(amplitude(tones)), aim(tones)
    choices = []  # for every tone and frame the least error that a codebook's levels allow, and the level
    for row in levels:
        errors = [weight * (amplitude(x) - aims) ** 2 + LOG_LEVEL * (x - wanted) ** 2 for x in row]
        choices.append(torch.stack(errors).min(0))
    batch, weight = torch.arange(len(tones), device=tones.device), weight[:, 0]
    state, age = torch.zeros_like(tones[..., 0]), torch.zeros_like(tones[..., 0])
    codes = torch.zeros(len(tones), len(levels), tones.shape[-1], dtype=torch.int64, device=tones.device)
    for t in range(tones.shape[-1]):
        for book, (least, best) in enumerate(choices):
            now = weight * (amplitude(state) - aims[..., t]) ** 2 + LOG_LEVEL * (state - wanted[..., t]) ** 2
            gain, tone = (now - least[..., t]).max(1)
            oldest = (age * (wanted[..., t] + state + 1e-3)).argmax(1)
            tone = torch.where(gain > WORTH, tone, oldest)
            level = best[batch, tone, t]
            codes[:, book, t] = tone * levels.shape[1] + level
            state[batch, tone], age[batch, tone] = levels[book, level], 0.0
        age += 1
    return codes


def decode_tones(codes: torch.Tensor) -> torch.Tensor:
    """Codes [batch, 3, frame] → relative tones [batch, N_TONES, frame]; entries past the last mean that."""
    levels, batch = LEVELS.to(codes.device), torch.arange(len(codes), device=codes.device)
    codes = codes.clamp(max=N_TONES * levels.shape[1] - 1)
    tones, level = codes // levels.shape[1], codes % levels.shape[1]
    state = torch.zeros(len(codes), N_TONES, device=codes.device)
    out = torch.zeros(len(codes), N_TONES, codes.shape[-1], device=codes.device)
    for t in range(codes.shape[-1]):
        for book in range(len(levels)):
            state[batch, tones[:, book, t]] = levels[book, level[:, book, t]]
        out[..., t] = state
    return out


def encode_air(
    noise: torch.Tensor, loudness: torch.Tensor, book: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise [batch, N_NOISE, frame] and loudness [batch, 1, frame] → codes [batch, frame], and what they

    stand for, [batch, frame, 1 + N_NOISE]: the weighted change of loudness from the decoder's state; noise.
    """
    state, codes, sought = torch.full_like(loudness[:, 0, 0], FIRST_LOUDNESS), [], []
    for t in range(loudness.shape[-1]):
        change = (loudness[:, 0, t] - state) * LOUDNESS_WEIGHT
        sought.append(torch.cat([change[:, None], noise[..., t]], 1))
        codes.append(torch.cdist(sought[-1], book).argmin(1))
        state = (state + book[codes[-1], 0] / LOUDNESS_WEIGHT).clamp(0, 1)
    return torch.stack(codes, 1), torch.stack(sought, 1)


def decode_air(codes: torch.Tensor, book: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [batch, frame] → noise [batch, N_NOISE, frame], loudness [batch, 1, frame]."""
    state, loudness = torch.full(codes.shape[:1], FIRST_LOUDNESS, device=codes.device), []
    for change in (book[codes][..., 0] / LOUDNESS_WEIGHT).unbind(1):
        state = (state + change).clamp(0, 1)
        loudness.append(state)
    return book[codes][..., 1:].transpose(1, 2), torch.stack(loudness, 1)[:, None]


def learn(corpora: list[Path], clips: int = 390, rounds: int = 3, seed: int = 0) -> torch.Tensor:
    """Entries of the fourth codebook, by k-means on some clips of each corpus: [ENTRIES, 1 + N_NOISE].

    What is to be coded depends on the errors made before, hence on the entries: they are sought in rounds.
    """
    from sklearn.cluster import KMeans

    rng, parts = np.random.default_rng(seed), []
    for path in corpora:
        features = np.load(path)["features"]
        parts.append(features[rng.choice(len(features), min(clips, len(features)), replace=False)])
    _, noise, loudness = to_relative(torch.from_numpy(np.concatenate(parts)).float())
    first = torch.full_like(loudness[..., :1], FIRST_LOUDNESS)
    change = torch.cat([first, loudness], -1).diff(dim=-1) * LOUDNESS_WEIGHT
    sought, entries = torch.cat([change, noise], 1).transpose(1, 2), None
    for _ in range(rounds):
        means = KMeans(ENTRIES, init="random", n_init=1, max_iter=12, random_state=seed)
        pool = sought.flatten(0, 1).numpy()
        pool = pool[rng.choice(len(pool), min(50_000, len(pool)), replace=False)]
        entries = torch.from_numpy(means.fit(pool).cluster_centers_).float()
        sought = encode_air(noise, loudness, entries)[1]
    return entries


class UpdateCodec(nn.Module):
    """Audio to codes and back, in the shapes of `etude.codec.EtudeCodec` and at its bit rate.

    Parameters
    ----------
    book : torch.Tensor
        [ENTRIES, 1 + N_NOISE], from `learn`.
    """

    cardinality = ENTRIES

    def __init__(self, book: torch.Tensor) -> None:
        super().__init__()
        self.spectral = Spectral()
        self.register_buffer("book", book)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Audio [batch, 1, sample] → (codes [batch, 4, frame], no scale)."""
        tones, noise, loudness = to_relative(self.spectral.analyse(x[:, 0]))
        air = encode_air(noise, loudness, self.book)[0]
        return torch.cat([encode_tones(tones), air[:, None]], 1), None

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [batch, 4, frame] → audio [batch, 1, frame * HOP]."""
        air = decode_air(codes[:, 3], self.book)
        return self.spectral.synthesise(to_features(decode_tones(codes[:, :3]), *air))[:, None]


def main() -> None:
    """Learn the fourth codebook and print the tables that the card has of the other codec."""
    from etude.evaluate import FULL, REPORTED, WORK
    from etude.evaluation.codec import tables
    from etude.variety import build_varied

    codec = UpdateCodec(learn([build_varied(("walk", "song", "composed"), 390, 7, WORK)]))
    for table in tables(codec, FULL.renders, list(FULL.programs), REPORTED):
        print(table.plain(), flush=True)


if __name__ == "__main__":
    main()
