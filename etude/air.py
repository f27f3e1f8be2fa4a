"""Loudness and noise as codes towards which a state moves.

The state of a frame is its loudness and the levels of its noise bands. A code names one of the entries of a
codebook, and the state goes `STEP` of the way there: entries that lie beyond what is heard make what is
sudden sudden, while what is steady does not flutter with the choice between two entries. The encoder knows
the decoder's state and mends its errors. The entries are found by k-means; nothing else of étude's codec is
learnt.
"""

from __future__ import annotations

import numpy as np
import torch

from etude.spectral import N_NOISE

STEP = 0.35
LOUDNESS_WEIGHT = 8.0  # of loudness beside a noise band, both as parts of their ranges
FIRST_LOUDNESS = 0.5  # the state's before the first frame: −42.5 dB
WIDTH = 1 + N_NOISE


def join(noise: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
    """Noise [batch, N_NOISE, frame] and loudness [batch, 1, frame] → [batch, WIDTH, frame]."""
    return torch.cat([loudness * LOUDNESS_WEIGHT, noise], 1)


def first(batch: int, device: torch.device) -> torch.Tensor:
    """The state before the first frame, [batch, WIDTH]."""
    state = torch.zeros(batch, WIDTH, device=device)
    state[:, 0] = FIRST_LOUDNESS * LOUDNESS_WEIGHT
    return state


def encode(
    noise: torch.Tensor, loudness: torch.Tensor, entries: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise and loudness → codes [batch, frame], and what they stand for, [batch, frame, WIDTH]."""
    state, codes, sought = first(len(noise), noise.device), [], []
    for wanted in join(noise, loudness).unbind(-1):
        sought.append(state + (wanted - state) / STEP)
        codes.append(torch.cdist(sought[-1], entries).argmin(1))
        state = state + STEP * (entries[codes[-1]] - state)
    return torch.stack(codes, 1), torch.stack(sought, 1)


def decode(codes: torch.Tensor, entries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [batch, frame] → noise [batch, N_NOISE, frame], loudness [batch, 1, frame], neither below 0."""
    state, out = first(len(codes), codes.device), []
    for entry in entries[codes].unbind(1):
        state = state + STEP * (entry - state)
        out.append(state)
    loudness, noise = torch.stack(out, -1).split([1, N_NOISE], 1)
    return noise.clamp(min=0), (loudness / LOUDNESS_WEIGHT).clamp(0, 1)


def learn(
    noise: torch.Tensor,
    loudness: torch.Tensor,
    entries: int,
    rounds: int = 3,
    seed: int = 0,
    pool: int = 60_000,
) -> torch.Tensor:
    """Entries [entries, WIDTH] by k-means on at most `pool` frames.

    What is to be coded depends on the errors made before, hence on the entries: they are sought in rounds.
    """
    from sklearn.cluster import KMeans

    rng, wanted = np.random.default_rng(seed), join(noise, loudness)
    before = torch.cat([first(len(noise), noise.device)[..., None], wanted[..., :-1]], -1)
    sought, found = (before + (wanted - before) / STEP).transpose(1, 2), None
    for _ in range(rounds):
        frames = sought.flatten(0, 1).numpy()
        frames = frames[rng.choice(len(frames), min(pool, len(frames)), replace=False)]
        means = KMeans(entries, init="random", n_init=1, max_iter=12, random_state=seed).fit(frames)
        found = torch.from_numpy(means.cluster_centers_).float()
        sought = encode(noise, loudness, found)[1]
    return found
