"""Train a language model on tokens of composed pieces, in two stages.

First a *base* on the factorial corpus: music in which every factor is independent, captioned with cue,
instrument and genre words only; it learns the music on whole clips, then the words on openings. Then
each étude on its own emotional corpus (with a share of the factorial one), captioned with emotion words
as well. Étude-null continues on étude's music with the emotion words of other clips.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from etude.factors import FACTORS
from etude.lm import new_lm
from etude.words import caption

BATCH = 8
SAVE_EVERY = 50  # steps
OTHERS = 5  # from nothing, embeddings, outputs and norms learn this many times faster than matrices
OPENINGS = 2048  # frames of all clips in a batch of openings


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

    def batch(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, list[str]]:
        """Tokens [size, codebook, frame] and freshly worded captions of clips drawn at random."""
        picks = rng.integers(len(self.tokens), size=size)
        levels = [dict(zip(FACTORS, row, strict=True)) for row in self.levels[picks].tolist()]
        captions = [
            caption(quadrant, level, rng)
            for quadrant, level in zip(self.quadrant[picks].tolist(), levels, strict=True)
        ]
        return torch.from_numpy(self.tokens[picks].astype(np.int64)), captions


def cross_entropy(lm, tokens: torch.Tensor, captions: list[str]) -> torch.Tensor:
    """Mean cross-entropy per codebook in nats, [codebook]."""
    from audiocraft.modules.conditioners import ConditioningAttributes

    conditions = [ConditioningAttributes(text={"description": text}) for text in captions]
    out = lm.compute_predictions(tokens, conditions)
    losses = []
    for k in range(tokens.shape[1]):
        keep = out.mask[:, k]
        losses.append(F.cross_entropy(out.logits[:, k][keep].float(), tokens[:, k][keep]))
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
    openings: int = 0,
    device: str = "cpu",
) -> None:
    """Train to `steps` with `optimisers` and a cosine, resuming from `checkpoint` where it exists.

    Parameters
    ----------
    peak : float
        The largest learning rate of the matrices; that of all else is `others` times as large.
    openings : int
        Where it is above 0, three batches in four hold only so many frames of how clips begin, and so many
        more clips. Once a model has learnt to go on as a clip began, its words tell it something new in
        the opening alone: over whole clips that is lost in the noise, and the words come to mean nothing.
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
        short = openings and step % 4
        tokens, captions = clips.batch(rng, OPENINGS // openings if short else BATCH)
        if short:
            tokens = tokens[:, :, :openings]
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            losses = cross_entropy(lm, tokens.to(device), captions)
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
