"""What a model loses when a dictionary's reconstruction takes the place of its activations.

A dictionary may explain most of the variance and miss what the model needs.  So finished clips go through the
model three times, teacher-forced: as they are, with the activations of one site replaced by their
reconstruction, and with them ablated.  Recovered, for every codebook::

    (CE_ablated - CE_patched) / (CE_ablated - CE_clean)

1 when the reconstruction is as good as the original, 0 when it is no better than the ablation.  Only clean
steps are replaced, and only tokens that are predicted at clean steps are counted (see
:mod:`interp.activations`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from ..activations import interleave, text_condition
from ..errors import unknown
from ..generation import Generation
from ..hooks import Pass, hook, running
from ..sites import find_site
from .dictionary import Dictionary

if TYPE_CHECKING:
    from ..model import Model

ABLATIONS = ("zero", "mean")


@dataclass(frozen=True)
class PatchedLoss:
    """Cross-entropies in nats per token, [clip, codebook], so that intervals can be taken over clips."""

    clean: torch.Tensor
    patched: torch.Tensor
    ablated: torch.Tensor

    @property
    def recovered(self) -> torch.Tensor:
        """[codebook], of the means over clips."""
        clean, patched, ablated = (x.mean(0) for x in (self.clean, self.patched, self.ablated))
        return (ablated - patched) / (ablated - clean)


@torch.no_grad()
def patched_loss(
    model: Model, clips: Generation, site: str, dictionary: Dictionary, ablation: str = "zero"
) -> PatchedLoss:
    """Loss of the model with and without a dictionary in its way.

    Parameters
    ----------
    model : Model
    clips : Generation
        Conditioned by their own prompts.
    site : str
        Where the dictionary was trained, see :mod:`interp.sites`.
    dictionary : Dictionary
    ablation : str
        "zero", or "mean": the mean over all steps of the clip, a harder floor where activations have a
        large constant part.
    """
    if ablation not in ABLATIONS:
        raise unknown("ablation", ablation, ABLATIONS)
    width = find_site(model, site).width
    dictionary.preactivations(torch.zeros(1, width, device=dictionary.encoder.device))  # does it fit?
    first, last = max(model.delays) + 1, clips.tokens.shape[-1]  # clean steps, both included

    def replaced(by) -> torch.Tensor:
        def edit(x: torch.Tensor, layout: Pass, group: str) -> torch.Tensor:
            new = x.clone()
            clean = x[:, first : last + 1].float()
            new[:, first : last + 1] = by(clean).to(x)
            return new

        return edit

    def ablate(x: torch.Tensor) -> torch.Tensor:
        return x.mean(1, keepdim=True).expand_as(x) if ablation == "mean" else torch.zeros_like(x)

    edits = {"clean": {}, "patched": {site: replaced(dictionary)}, "ablated": {site: replaced(ablate)}}
    losses: dict[str, list] = {name: [] for name in edits}
    for i in range(len(clips)):  # one by one: the padding of a text is seen by the model
        clip = clips[i]
        condition = {"description": text_condition(model, clip.prompts, clip.text_steps[0])}
        for name, edit in edits.items():
            with running(model, Pass(1, (("cond",),))), hook(model, edit), model.musicgen.autocast:
                sequence = interleave(model, clip.tokens.to(model.device))
                logits = model.lm(sequence, conditions=[], condition_tensors=condition)
            losses[name].append(_loss(model, logits[0].float(), clip.tokens[0], first, last))
    return PatchedLoss(**{name: torch.stack(values) for name, values in losses.items()})


def _loss(model: Model, logits: torch.Tensor, tokens: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Mean cross-entropy per codebook; step s predicts frame s - delay of a codebook."""
    result = []
    for q, delay in enumerate(model.delays):
        steps = torch.arange(first, min(last, tokens.shape[-1] + delay - 1) + 1)
        truth = tokens[q, steps - delay].to(logits.device)
        result.append(cross_entropy(logits[q, steps], truth).cpu())
    return torch.stack(result)
