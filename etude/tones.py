"""Tones as codes that set single tones of a state.

Encoder and decoder keep the same state: a level for each of 88 tones, relative to the frame's loudness. A
code says "this tone has that level now" (88 tones × 5 levels), so that what goes on sounding costs nothing,
and nothing depends on the keys, chords or instruments of a training set. Each of `LEVELS`' codebooks sends
one code a frame: what most lessens the error against the next frames, or, when nothing does, what was said
longest ago. A tone of which nothing is said for `LIFE` frames is silent: what a language model gets wrong
does not last.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from etude.spectral import LOWEST_MIDI, N_TONES

RANGE_DB = 50.0  # of a tone's level, below its frame's loudness
LEVELS = torch.tensor(
    [[0, 0.60, 0.74, 0.86, 0.97], [0, 0.52, 0.68, 0.81, 0.92], [0, 0.56, 0.71, 0.835, 0.945]]
)
"""What a code can set a tone to, [codebook, 5]: parts of `RANGE_DB`; 0 is silence."""
N_CODES = N_TONES * LEVELS.shape[1]
LIFE = 30  # frames
BEHIND, AHEAD = 1, 3  # frames about the present one over which the encoder's aim is averaged
LOG_LEVEL = 0.003  # weight of squared errors in level, beside those in amplitude
WORTH = 1e-5  # a code that lessens the error by less is not sent
UNSAID = 1e-3  # what silent tones count beside others, when the one that was said longest ago is sought


def amplitude(level: torch.Tensor) -> torch.Tensor:
    """Levels → amplitudes relative to the frame's loudness; the lowest fiftieth of the range is nothing."""
    return torch.where(level > 0.02, 10 ** (RANGE_DB / 20 * (level - 1)), 0.0)


class State:
    """Levels [batch, N_TONES] and how many frames ago each was said."""

    def __init__(self, batch: int, device: torch.device) -> None:
        self.levels = torch.zeros(batch, N_TONES, device=device)
        self.age = torch.zeros(batch, N_TONES, device=device)
        self.row = torch.arange(batch, device=device)

    def next_frame(self) -> None:
        self.age += 1
        self.levels = torch.where(self.age > LIFE, 0.0, self.levels)

    def set(self, tone: torch.Tensor, level: torch.Tensor) -> None:
        self.levels[self.row, tone], self.age[self.row, tone] = level, 0.0


def encode(tones: torch.Tensor) -> torch.Tensor:
    """Levels [batch, N_TONES, frame] → codes [batch, 3, frame], each below `N_CODES`.

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
    weight, state, codes = weight[:, 0], State(len(tones), tones.device), []
    for t in range(tones.shape[-1]):
        state.next_frame()
        for book, (least, best) in enumerate(choices):
            off, far = amplitude(state.levels) - aims[..., t], state.levels - wanted[..., t]
            gain, tone = (weight * off**2 + LOG_LEVEL * far**2 - least[..., t]).max(1)
            oldest = (state.age * (wanted[..., t] + state.levels + UNSAID)).argmax(1)
            tone = torch.where(gain > WORTH, tone, oldest)
            level = best[state.row, tone, t]
            state.set(tone, levels[book, level])
            codes.append(tone * levels.shape[1] + level)
    return torch.stack(codes, 1).unflatten(1, (-1, len(levels))).transpose(1, 2)


def decode(codes: torch.Tensor) -> torch.Tensor:
    """Codes [batch, 3, frame] → levels [batch, N_TONES, frame]; entries past the last mean that."""
    levels, state, out = LEVELS.to(codes.device), State(len(codes), codes.device), []
    codes = codes.clamp(max=N_CODES - 1)
    tones, level = codes // levels.shape[1], codes % levels.shape[1]
    for t in range(codes.shape[-1]):
        state.next_frame()
        for book in range(len(levels)):
            state.set(tones[:, book, t], levels[book, level[:, book, t]])
        out.append(state.levels.clone())
    return torch.stack(out, -1)
