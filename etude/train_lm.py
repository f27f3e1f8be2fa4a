"""Train a language model on tokens of composed pieces, in two stages.

First a *base* on the factorial corpus: music in which every factor is independent, captioned with cue,
instrument and genre words only; it learns the music on whole clips, then the words where they tell
something new (`Part`). Then each étude on its own emotional corpus (with a share of the factorial one),
captioned with emotion words as well. Étude-null continues on étude's music with the emotion words of other
clips.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from etude.factors import FACTORS
from etude.lm import new_lm
from etude.precision import half
from etude.words import caption

BATCH = 8
SAVE_EVERY = 50  # steps
OTHERS = 5  # from nothing, embeddings, outputs and norms learn this many times faster than matrices
SHORT = 2048  # frames of all clips together in a batch of openings

Part = int | Literal["whole"]
"""What a batch holds of its clips: all, or so many frames of how they begin.

Once a model has learnt to go on as a clip began, its words tell it something new only where something is
chosen: in the opening. Over whole clips that is lost in the noise, and the words come to mean nothing.
Batches of openings hold more clips instead.
"""


class Batch(NamedTuple):
    """Clips, or their openings, to learn from.

    Attributes
    ----------
    tokens : torch.Tensor
        [clip, codebook, frame], int64.
    captions : list of str
    """

    tokens: torch.Tensor
    captions: list[str]


class Clips:
    """Tokens [clip, codebook, frame], quadrants and factor levels of one or more corpora."""

    def __init__(
        self, paths: list[Path], limits: list[int | None] | None = None, scramble: int | None = None
    ) -> None:
        limits = limits or [None] * len(paths)
        loaded = [(np.load(path), limit) for path, limit in zip(paths, limits, strict=True)]
        self.tokens = np.concatenate([x["tokens"][:n] for x, n in loaded])
        self.levels = np.concatenate([x["levels"][:n] for x, n in loaded])
        self.quadrant = np.concatenate([x["quadrant"][:n] for x, n in loaded])
        if scramble is not None:  # emotion words of other clips: quadrants dealt again among emotional clips
            emotional = np.flatnonzero(self.quadrant)
            dealt = np.random.default_rng(scramble).permutation(emotional)
            self.quadrant[emotional] = self.quadrant[dealt]

    def batch(self, rng: np.random.Generator, part: Part = "whole") -> Batch:
        """Clips drawn at random, or openings of more of them, with freshly worded captions."""
        length = self.tokens.shape[-1] if part == "whole" else part
        picks = rng.integers(len(self.tokens), size=BATCH if part == "whole" else SHORT // length)
        levels = [dict(zip(FACTORS, row, strict=True)) for row in self.levels[picks].tolist()]
        captions = [
            caption(quadrant, level, rng)
            for quadrant, level in zip(self.quadrant[picks].tolist(), levels, strict=True)
        ]
        tokens = self.tokens[picks, :, :length].astype(np.int64)
        return Batch(torch.from_numpy(tokens), captions)


def cross_entropy(lm, tokens: torch.Tensor, captions: list[str | None]) -> torch.Tensor:
    """Mean cross-entropy per codebook in nats, [codebook], of a `Batch`."""
    from audiocraft.modules.conditioners import ConditioningAttributes

    conditions = [ConditioningAttributes(text={"description": text}) for text in captions]
    out = lm.compute_predictions(tokens, conditions)
    losses = [
        F.cross_entropy(out.logits[:, k][out.mask[:, k]].float(), tokens[:, k][out.mask[:, k]])
        for k in range(tokens.shape[1])
    ]
    return torch.stack(losses)


def optimisers(lm) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the weight matrices of the blocks, AdamW for everything else.

    Muon's updates are scaled to the size of AdamW's.
    """
    trained = {name: p for name, p in lm.named_parameters() if p.requires_grad}
    matrices = [p for name, p in trained.items() if name.startswith("transformer.") and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in trained.values() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.05),
    ]


def train(
    clips: Clips,
    checkpoint: Path,
    steps: int,
    seed: int,
    start_from: Path | None = None,
    peak: float = 4e-3,
    others: float = OTHERS,
    parts: Sequence[Part] = ("whole",),
    device: str = "cpu",
) -> None:
    """Train to `steps` with `optimisers` and a cosine, resuming from `checkpoint` where it exists.

    Parameters
    ----------
    peak : float
        The largest learning rate of the matrices; that of all else is `others` times as large.
    parts : sequence of Part
        What the batches hold, one after the other, over and over.
    start_from : Path, optional
        A finished checkpoint of this function whose weights are the beginning (the base).
    """
    torch.set_flush_denormal(True)
    lm = new_lm(seed).to(device)
    pair = optimisers(lm)
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        lm.load_state_dict(state["lm"])
        for optimiser, its in zip(pair, state["optimisers"], strict=True):
            optimiser.load_state_dict(its)
        done = state["step"]
    elif start_from is not None:
        lm.load_state_dict(torch.load(start_from, map_location=device, weights_only=True)["lm"])
    lm.train()
    began, recent = time.time(), []
    for step in range(done, steps):
        rate = min(1.0, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for optimiser, faster in zip(pair, (1, others), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = faster * peak * rate
        rng = np.random.default_rng([seed, step])  # a resumed run sees the batches it would have seen
        lm.cfg_dropout.rng.manual_seed(seed * 1_000_003 + step)
        batch = clips.batch(rng, parts[step % len(parts)])
        batch = batch._replace(tokens=batch.tokens.to(device))
        with half(device):
            losses = cross_entropy(lm, *batch)
        lm.zero_grad(set_to_none=True)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        for optimiser in pair:
            optimiser.step()
        recent.append(losses.detach())
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            mean = torch.stack(recent).mean(0).tolist()
            recent = []
            pace = (time.time() - began) / (step + 1 - done)
            nats = " ".join(f"{x:.3f}" for x in mean)
            print(f"{checkpoint.stem} {step + 1}/{steps} nats {nats}, {pace:.2f} s/step", flush=True)
            partial = checkpoint.with_suffix(".tmp")
            states = [optimiser.state_dict() for optimiser in pair]
            torch.save({"lm": lm.state_dict(), "optimisers": states, "step": step + 1}, partial)
            os.replace(partial, checkpoint)
