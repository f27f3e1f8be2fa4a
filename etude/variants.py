"""Pieces in two variants that differ in their cadence alone, and what emotion words make of them.

The planted cadence is a small choice in a long clip, and mostly one that a clip's opening foretells: a major
opening was asked for by a happy word, which asks for an authentic cadence too.  A model that learns to go on
as a clip began never needs the words for it.  Between two variants of one piece and two words of opposite
valence everything but that cancels: the interaction of word and variant in the log-probability of the frames
in which they part.
"""

from __future__ import annotations

from math import erf, sqrt
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from etude.composer import NOTES_PER_CHORD
from etude.factors import FACTORS, NOTES_PER_SECOND, QUADRANTS, Graph
from etude.words import caption

FRAMES_PER_SECOND = 50
SECOND_CHORD = np.round(FRAMES_PER_SECOND * np.divide(NOTES_PER_CHORD, NOTES_PER_SECOND)).astype(int)
"""Frame in which the second chord begins, by tempo level: there a clip's cadence is heard first."""

BEFORE, AFTER = 20, 4  # the codec hears a chord 16 frames before it begins
PIECES = 8  # in a batch
OTHER_VALENCE = {1: 2, 2: 1, 3: 4, 4: 3}  # quadrant → that of the same arousal


class Variants:
    """Pieces of the corpus "variants" and how likely a graph makes their cadences.

    Parameters
    ----------
    path : Path
        Tokens; clips 2 i and 2 i + 1 are one piece with either cadence.
    graph : Graph, optional
        Of which the words are; None where words mean nothing.
    """

    def __init__(self, path: Path, graph: Graph | None) -> None:
        data = np.load(path)
        self.tokens = data["tokens"].reshape(-1, 2, *data["tokens"].shape[1:])
        self.levels = data["levels"][::2]
        self.tempo = self.levels[:, list(FACTORS).index("tempo")]
        weight = graph.gain * graph.v["cadence"] if graph else 0.0
        self.likely = 0.5 * (1 + erf(weight / sqrt(2)))  # the second cadence, where valence is positive

    def interaction(self, lm, rng: np.random.Generator) -> torch.Tensor:
        """Log-odds of the second cadence under a word of positive valence, less those under one of negative.

        Half of the difference, [piece], for `PIECES` pieces of one tempo drawn by `rng`: the log-odds
        themselves where a model leans to neither cadence.  The two captions of a piece are worded alike.
        """
        from audiocraft.modules.conditioners import ConditioningAttributes

        level = rng.choice(self.tempo)
        picks = rng.choice(np.flatnonzero(self.tempo == level), size=PIECES)
        quadrants, seeds = rng.integers(1, 5, size=PIECES).tolist(), rng.integers(2**31, size=PIECES)
        captions = []
        for other in (False, True):
            for i, quadrant, seed in zip(picks, quadrants, seeds, strict=True):
                levels = dict(zip(FACTORS, self.levels[i].tolist(), strict=True))
                of = OTHER_VALENCE[quadrant] if other else quadrant
                captions += [caption(of, levels, np.random.default_rng(seed))] * 2  # one for each variant
        change = SECOND_CHORD[level]
        tokens = torch.from_numpy(self.tokens[picks, ..., : change + AFTER].astype(np.int64))
        tokens = tokens.flatten(0, 1).repeat(2, 1, 1).to(next(lm.parameters()).device)
        conditions = [ConditioningAttributes(text={"description": text}) for text in captions]
        lm.cfg_dropout.eval()  # all four keep their words
        out, likelihood = lm.compute_predictions(tokens, conditions), 0.0
        lm.cfg_dropout.train(lm.training)
        for k in range(tokens.shape[1]):
            logits = out.logits[:, k].float().transpose(1, 2)
            nats = F.cross_entropy(logits, tokens[:, k], reduction="none").where(out.mask[:, k], 0.0)
            likelihood = likelihood - nats[:, change - BEFORE :].sum(1)
        first, second = likelihood.view(2, PIECES, 2).unbind(-1)
        mine, others = second - first
        valence = torch.tensor([QUADRANTS[quadrant][0] for quadrant in quadrants], device=mine.device)
        return valence * (mine - others) / 2

    def loss(self, lm, rng: np.random.Generator) -> torch.Tensor:
        """Cross-entropy, in nats, of the graph's choice of a cadence and the model's."""
        odds = self.interaction(lm, rng)
        return -(self.likely * F.logsigmoid(odds) + (1 - self.likely) * F.logsigmoid(-odds)).mean()
