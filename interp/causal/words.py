"""Which sites carry a word: clips heard with the word that they were made for, and with another in its place.

A clip that was made for one word is less likely under its opposite.  That difference, in nats per token, is
what the word is *worth* to the model (:attr:`WordSwap.worth`); the share of it that comes back when
activations of the one pass are put into the other says what a site carries (:meth:`WordSwap.share`).

Source: activation patching in both directions, Heimersheim & Nanda (2024, arXiv:2404.15255).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from .. import stats
from ..activations import capture
from ..errors import check_list, unknown
from ..pairs import one_word_apart
from .patch import patch, recovered, values
from .runs import Heard, TeacherForced, prompt_pair
from .setters import astray, replace

if TYPE_CHECKING:
    from ..model import Model

WAYS = ("put back", "taken out", "random direction")


def nats_per_token(heard: Heard) -> torch.Tensor:
    """Cross-entropy of a clip's own tokens, mean over codebooks and steps: [clip]."""
    return heard.cross_entropy.mean(1)


class WordSwap:
    """Clips made for one prompt of each pair, heard with it (*right*) and with the other (*wrong*).

    Parameters
    ----------
    pairs : list of (str, str)
        As of :func:`interp.pairs.prompt_pairs`: the prompt that a clip is made for, and another that differs
        in one word.
    sites, layers : as in :func:`interp.capture`
        What can be put from one pass into the other.
    seconds, seed, batch_size : of the clips, as in :func:`interp.generation.generate`.

    Attributes
    ----------
    nats : dict
        "right" and "wrong" → cross-entropy per token, [clip].
    worth : stats.Interval
        Mean of wrong minus right, over pairs, with its 95 % interval.

    Raises
    ------
    InterpError
        For prompts that differ in more than one word or in none, and unknown sites or layers.
    """

    def __init__(
        self,
        model: Model,
        pairs: Sequence[tuple[str, str]],
        sites: Sequence[str] = ("resid", "attn", "cross", "mlp"),
        layers: Sequence[int] | None = None,
        seconds: float = 3.0,
        seed: int = 0,
        batch_size: int = 32,
    ) -> None:
        self.pairs = check_list(list(pairs), "pairs")
        for pair in self.pairs:
            one_word_apart(*pair)
        made = model.generate(
            [own for own, _ in self.pairs], seconds=seconds, seed=seed, batch_size=batch_size, progress=False
        )
        right, wrong = prompt_pair(model, made, [other for _, other in self.pairs])
        heard = {"right": right, "wrong": wrong}
        self.clusters = [" / ".join(pair) for pair in self.pairs]
        self._passes = {word: TeacherForced(model, clips) for word, clips in heard.items()}
        self._sources = {
            word: capture(model, clips, layers, sites=sites, steps="all", progress=False)
            for word, clips in heard.items()
        }
        self.nats = {word: values(run, nats_per_token) for word, run in self._passes.items()}
        self.worth = stats.mean(self.nats["wrong"] - self.nats["right"], self.clusters)

    def share(
        self,
        sites: pd.DataFrame,
        way: str = "put back",
        method: Callable[..., pd.DataFrame] = patch,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Share of the word's worth that each intervention carries (:func:`~interp.causal.patch.recovered`).

        Parameters
        ----------
        sites : of :func:`~interp.causal.patch.grid`.
        way : str
            "put back": the right pass's activations into the wrong one; "taken out": the wrong one's into the
            right; "random direction", the control: as far as "put back" goes, but astray.
        method : callable
            :func:`~interp.causal.patch.patch`, or its gradient twin
            :func:`~interp.causal.attribution.attribute`.
        """
        if way not in WAYS:
            raise unknown("way", way, WAYS)
        into, out_of = ("right", "wrong") if way == "taken out" else ("wrong", "right")
        source = self._sources[out_of]
        setter: Any = astray(source, seed) if way == "random direction" else replace(source)
        table = method(self._passes[into], nats_per_token, sites, setter, progress=False)
        return recovered(table, self.nats[out_of], self.clusters)
