"""Attribution patching: what a gradient says that each intervention would do.

To first order, putting a' in place of the activations a changes a metric M by (a' - a) · ∂M/∂a, summed over
steps and width.  One forward and one backward pass give ∂M/∂a at every site.  The number is exact where M is
linear in a, and a guess elsewhere: best for heads and single steps, worst for the residual stream, where the
change is large and a norm follows; and where attention is saturated, the gradient is near 0 though the patch
is not.  So take it to find candidates, and :func:`interp.causal.patch.patch` to test them.
Source: Nanda (2023), *Attribution Patching*; Syed et al. (2023, arXiv:2310.10348); Kramár et al. (2024,
arXiv:2403.00745), whose corrections (AtP*) are not made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ..errors import InterpError
from ..hooks import Edit, Pass
from .patch import Metric, Run, Setter, checked_table, measured, place_of, replacement, with_values


def attribute(
    run: Run,
    metric: Metric,
    sites: pd.DataFrame | Sequence[Mapping],
    setter: Setter,
    progress: bool = True,
) -> pd.DataFrame:
    """What :func:`interp.causal.patch.patch` would give, to first order: same parameters, same table.

    Raises
    ------
    InterpError
        As :func:`~interp.causal.patch.patch`, and if no gradient can be taken: of a generation, of tokens
        (they are drawn), or of a metric that leaves torch.
    """
    table = checked_table(run, sites)
    plain, patched = np.full(run.clips, np.nan), np.full((len(table), run.clips), np.nan)
    seen: dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor, Pass]] = {}

    def probe(site: str) -> Edit:
        def edit(x: torch.Tensor, layout: Pass, group: str) -> torch.Tensor:
            nothing = torch.zeros_like(x, requires_grad=True)  # its gradient is that of the activations
            seen[site, group] = x.detach(), nothing, layout
            return x + nothing

        return edit

    with (
        torch.enable_grad(),
        tqdm(total=run.clips, desc="attribute", disable=not progress, leave=False) as bar,
    ):
        for clips, outcome in run({site: probe(site) for site in table.site.unique()}, "both"):
            values = measured(metric, outcome, clips)
            if len(table) and not values.requires_grad:
                raise InterpError(
                    "The metric has no gradient: take a teacher-forced run and a metric made of torch "
                    "operations on its activations or logits."
                )
            gradients = dict.fromkeys(seen)
            if seen:
                of = [nothing for _, nothing, _ in seen.values()]
                found = torch.autograd.grad(values.sum(), of, allow_unused=True, materialize_grads=True)
                gradients = dict(zip(seen, found, strict=True))
            plain[clips] = values.detach()
            with torch.no_grad():
                for number, row in enumerate(table.itertuples()):
                    change = torch.zeros(len(clips), dtype=torch.float64)
                    for group in run.groups if row.rows == "both" else [row.rows]:
                        x, _, layout = seen[row.site, group]
                        place, where = place_of(run, row, layout, group)
                        step = replacement(setter, x[:, where], place) - x[:, where]
                        product = step.double() * gradients[row.site, group][:, where].double()
                        change += product.sum((1, 2)).cpu()
                    patched[number, clips] = plain[clips] + change.numpy()
            seen.clear()
            bar.update(len(clips))
    return with_values(table, plain, list(patched))
