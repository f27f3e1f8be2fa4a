"""Do activations differ between conditions?  One number a layer, with its null.

Every clip is taken as the mean of its activations over time, [clip, width], at each layer.  What is asked of
these vectors is asked of all layers with the same relabellings, so that looking at many layers can be
corrected for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .processes import each
from .stats import Interval
from .stats.contrast import difference_interval, permutation_test

if TYPE_CHECKING:
    from .generation import Generation
    from .model import Model

ALPHA = 0.05


@dataclass(frozen=True)
class ByLayer:
    """The contrast of :func:`interp.stats.contrast.within_between` at every layer.

    Attributes
    ----------
    layers : list of str
        "in" for the stream before the first block, else the block's number.
    estimates : list of Interval
        Cosine within minus between conditions, with its 95 % interval over clusters.
    nulls : list of np.ndarray
        The same number under each relabelling of whole clusters; entry i is the same relabelling everywhere.
    p, corrected : list of float
        p of each layer by itself, and corrected for having looked at all of them.
    clips, clusters : int
    """

    layers: list[str]
    estimates: list[Interval]
    nulls: list[np.ndarray]
    p: list[float]
    corrected: list[float]
    clips: int
    clusters: int

    @property
    def best_p(self) -> float:
        """Smallest corrected p: that of the question whether *any* layer differs."""
        return min(self.corrected)

    def at(self, layer: str) -> Interval:
        """Estimate at a layer by its label."""
        return self.estimates[self.layers.index(layer)]


def pooled_by_layer(
    model: Model,
    clips: Generation,
    layers: Sequence[int] | None = None,
    progress: bool = True,
    rows: str = "both",
    sites: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Mean activation of each clip in the residual stream: label of the layer to [2, clip, width].

    First comes each clip as heard with its prompt, then as heard with the null prompt, without its words.
    With ``rows="null"`` (or "cond") it is [clip, width], of clips without their words (or with them).
    Batches are those of the generation, one at a time: only means are kept, so that large models fit.

    Parameters
    ----------
    layers : list of int, optional
        Blocks; None means all. The stream before the first block ("in") is always there.
    sites : list of str
        Further sites by their full names (:mod:`interp.sites`), which come under these.
    """
    from .activations import capture

    def heard(batch: Generation) -> dict[str, np.ndarray]:
        acts = capture(model, batch, layers=layers, sites=("resid.pre", "resid", *sites), rows=rows)
        return {site: acts.pooled(site).numpy() for site in acts}

    starts, bar = range(0, len(clips), clips.batch_size), f"{model.name} listens" if progress else None
    batches = (clips[start : start + clips.batch_size] for start in starts)
    parts = each(heard, batches, bar, model.hooked)
    whole = {site: np.concatenate([part[site] for part in parts], axis=-2) for site in parts[0]}
    return {site.removeprefix("resid.").replace("pre", "in"): x for site, x in whole.items()}


def raw_cosines(vectors: np.ndarray, conditions: Sequence, clusters: Sequence) -> tuple[float, float, float]:
    """Mean cosine of vectors [clip, width] as they are, not centred, over pairs of clips.

    Returns
    -------
    tuple of float
        Of the same cluster (prompt); of other clusters with the same condition; of other conditions.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, (conditions, clusters) = unit @ unit.T, (np.asarray(conditions), np.asarray(clusters))
    condition = conditions[:, None] == conditions[None, :]
    cluster = clusters[:, None] == clusters[None, :]
    pair = ~np.eye(len(unit), dtype=bool)
    return tuple(float(cosine[k].mean()) for k in (cluster & pair, condition & ~cluster, ~condition))


def by_layer(
    vectors: Mapping[str, np.ndarray],
    conditions: Sequence,
    clusters: Sequence,
    n: int = 2000,
    seed: int = 0,
) -> ByLayer:
    """Contrast conditions at every layer, with a permutation test over clusters.

    Parameters
    ----------
    vectors : dict
        From the label of a layer to [clip, width].
    n : int
        Relabellings of the test.

    Notes
    -----
    Correction over layers: each layer's statistic in units of its null's standard deviation, against the
    null of the largest one. Source: Westfall & Young (1993), *Resampling-Based Multiple Testing*, ch. 2.
    """
    tests = [permutation_test(x, conditions, clusters, n=n, seed=seed) for x in vectors.values()]
    nulls, observed = np.array([t.null for t in tests]), np.array([[t.statistic] for t in tests])
    spread = nulls.std(1, keepdims=True)
    spread[spread == 0] = 1
    largest = (nulls / spread).max(0)
    hits = (largest[None, :] >= observed / spread - 1e-9).sum(1)
    more = 0 if tests[0].exact else 1  # a random draw of relabellings does not hold the data's own
    return ByLayer(
        layers=list(vectors),
        estimates=[difference_interval(x, conditions, clusters) for x in vectors.values()],
        nulls=list(nulls),
        p=[t.p for t in tests],
        corrected=[float(h + more) / (len(largest) + more) for h in hits],
        clips=len(clusters),
        clusters=len(set(clusters)),
    )


def sentence(name: str, found: ByLayer, layer: str) -> str:
    """What was found, in Markdown, written from the numbers: the estimate at ``layer``, the test over all."""
    here = found.at(layer)
    verdict = "more than relabelled prompts give" if found.best_p < ALPHA else "not more than chance gives"
    count = len(found.layers)
    return (
        f"**{name}**: {here.estimate:+.3f} at layer {layer} (95 % interval {here.low:+.3f} to "
        f"{here.high:+.3f}; {found.clusters} prompts, {found.clips} clips). Over {count} "
        f"layer{'s' if count > 1 else ''}, {verdict} (p = {found.best_p:.3f}, corrected)."
    )


def verdict(target: str, p: float, nulls: Mapping[str, float]) -> str:
    """What tests of a model and of its nulls say together, in one sentence of Markdown.

    Parameters
    ----------
    p : float
        Of the target model.
    nulls : dict
        From the name of each null to its p.
    """
    passed = [name for name, value in nulls.items() if value < ALPHA]
    if p >= ALPHA:
        return f"**{target}**: no difference was found (p = {p:.3f}); that does not show that there is none."
    if passed:
        return (
            f"**{target}**: a difference was found (p = {p:.3f}), and so it was in {', '.join(passed)}: "
            f"finding it says nothing about what {target} has learnt of emotion."
        )
    if not nulls:
        return f"**{target}**: a difference was found (p = {p:.3f}), with no null beside it to judge it by."
    return (
        f"**{target}**: a difference was found (p = {p:.3f}), and in none of its nulls "
        f"({', '.join(f'{name} p = {value:.3f}' for name, value in nulls.items())})."
    )
