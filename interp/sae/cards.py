"""Cards of features: what a feature answers to, where it is strongest, to listen to, and what it does.

A name says what was found on one half of the groups and held on the other
(:class:`interp.sae.selectivity.Halves`); the excerpts are for the ear to judge it.  What a feature does is
measured by its ablation: its part of the activation, ``f_j decoder_j``, is taken away at every clean step and
all else is left, the error of the dictionary included (Marks et al. 2024), and the model's next-token
distributions move by so much Kullback-Leibler divergence.  Any change moves them a little, so the same is
done to a random feature that fires as often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .. import results
from ..activations import interleave, text_condition
from ..errors import InterpError, check_positive
from ..generation import Generation
from ..hooks import Pass, hook, running
from ..plots.features import over_time
from ..sites import find_site
from .dictionary import Dictionary
from .features import Activity, Encode, as_vectors
from .selectivity import Halves

if TYPE_CHECKING:
    from ..model import Model


class Excerpt(NamedTuple):
    """Where a feature is strong: a window of a clip, and the activation over the whole clip."""

    clip: int
    start: float
    """Seconds."""
    end: float
    seconds: np.ndarray
    """[step]."""
    activation: np.ndarray
    """[step]."""


@dataclass(frozen=True)
class Card:
    """A feature; see the module's docstring.

    Attributes
    ----------
    feature : int
    name : str
        From its strongest descriptors: "slow; strings".
    evidence : str
        The same with the held-out AUROC of each.
    firing_rate : float
        Share of all steps.
    excerpts : list of Excerpt
        Strongest first.
    effect, control : np.ndarray
        [clip, codebook], nats per token: of the feature on the clips of its excerpts, and of another feature
        that fires as often, on its own strongest clips.
    other : int
        That other feature.
    """

    feature: int
    name: str
    evidence: str
    firing_rate: float
    excerpts: list[Excerpt]
    effect: np.ndarray
    control: np.ndarray
    other: int

    @property
    def caption(self) -> str:
        """All of the card that is not sound or picture, in a sentence or two."""
        return (
            f"Feature {self.feature}, “{self.name}” ({self.evidence}): fires at {self.firing_rate:.2%} of "
            f"the steps. Without it the next tokens move by {self.effect.mean():.2g} nats on these clips; "
            f"without feature {self.other}, which fires as often, by {self.control.mean():.2g} on its own."
        )

    def show(
        self, name: str, waveforms: Sequence[Any], sample_rate: int, titles: Sequence[str] | None = None
    ) -> None:
        """Record the card's figure under ``name`` and its excerpts under ``name-1``, ..., and show them.

        Parameters
        ----------
        waveforms : sequence
            [channel, sample] of every clip, such as ``generation.audio``.
        titles : list of str, optional
            What the clips are called; by default their numbers.
        """
        called = [f"clip {e.clip}" if titles is None else titles[e.clip] for e in self.excerpts]
        peaks = ", ".join(f"{e.seconds[e.activation.argmax()]:.1f}" for e in self.excerpts)
        alt = (
            f"Activation of feature {self.feature}, {self.name}, over time in the clips in which it is "
            f"strongest; the excerpts around the peaks at {peaks} s are shaded."
        )
        shown = zip(called, self.excerpts, strict=True)
        panels = [(clip, e.seconds, e.activation, (e.start, e.end)) for clip, e in shown]
        figure = over_time(panels, alt)
        results.figure(name, figure, caption=self.caption)
        sounds = []
        for i, (clip, e) in enumerate(zip(called, self.excerpts, strict=True), 1):
            part = waveforms[e.clip][..., round(e.start * sample_rate) : round(e.end * sample_rate)]
            caption = f"Feature {self.feature}, {self.name}: {clip}, {e.start:.1f} to {e.end:.1f} s"
            options = {"caption": caption, "listen": self.name, "show": False}
            sounds.append(results.audio(f"{name}-{i}", part, sample_rate, **options))
        results.gallery(sounds)


def cards(
    model: Model,
    clips: Generation,
    site: str,
    dictionary: Dictionary,
    vectors: Sequence,
    seconds: Sequence[float],
    activity: Activity,
    found: Halves,
    features: Sequence[int],
    words: Mapping[str, str] | None = None,
    n: int = 3,
    length: float = 2.0,
    seed: int = 0,
) -> list[Card]:
    """Cards of some features.

    Parameters
    ----------
    clips : Generation
        The clips as the model heard them (:func:`interp.encode`), for ablations.
    site : str
        Where the dictionary was trained.
    vectors, seconds
        Activations of the same clips there, ``vectors[clip]`` [step, width], and the time of each step.
    activity : Activity
        Of this dictionary on these clips.
    found : Halves
        What its features answer to.
    features : list of int
        Such as :func:`representatives` gives.
    words : dict, optional
        Plainer words for what contrasts are called: ``{"low tempo": "slow"}``.
    n, length
        Excerpts of a card, and their seconds.
    seed : int
        Of the features that are compared with.
    """
    if not len(clips) == len(vectors) == len(activity):
        raise InterpError(
            f"{len(clips)} clips, activations of {len(vectors)} and activity in {len(activity)} do not "
            "belong together; give the same clips in the same order."
        )
    others = matched(activity, features, seed)
    strongest = {f: _strongest(activity, f, n) for f in (*features, *others)}
    effects = ablate(model, clips, site, dictionary, strongest)
    made = []
    for feature, other in zip(features, others, strict=True):
        name, evidence = describe(found, feature, words)
        places = excerpts(dictionary.encode, vectors, seconds, feature, strongest[feature], length)
        rate = float(activity.firing_rate[feature])
        made.append(Card(int(feature), name, evidence, rate, places, effects[feature], effects[other], other))
    return made


def representatives(found: Halves, labels: Sequence[str]) -> list[int]:
    """For each contrast of these labels, and each way of a number, the confirmed feature that answers most.

    Features are confirmed on the second half and ranked by the first; a contrast that none answers to is
    left out.
    """
    chosen = []
    best = np.where(found.confirmed, found.best, -1)
    for c, contrast in enumerate(found.first.contrasts):
        if contrast.label in labels:
            signed = np.where(best == c, 2 * found.first.auroc[:, c] - 1, 0.0)
            ways = (signed, -signed) if contrast.value == "high" else (signed,)
            chosen += [int(way.argmax()) for way in ways if way.max() > 0]
    return chosen


def describe(
    found: Halves, feature: int, words: Mapping[str, str] | None = None, n: int = 3
) -> tuple[str, str]:
    """Name of a feature, and the same with the held-out AUROCs.

    Of the associations found on the first half that hold on the second, on the same side with p below 5 %,
    the strongest there of each label, at most ``n``. What a feature is absent from ("not flute") is named
    only where there is nothing else.
    """
    first, second = found.first, found.second
    same_side = (first.auroc[feature] - 0.5) * (second.auroc[feature] - 0.5) > 0
    holds = (first.q[feature] < found.level) & same_side & (second.p[feature] < 0.05)
    order = sorted(np.flatnonzero(holds), key=lambda c: -second.strength[feature, c])
    positive = [c for c in order if not first.name(feature, c).startswith("not ")]
    by_label: dict[str, int] = {}
    for c in positive or order:
        by_label.setdefault(first.contrasts[c].label, c)
    kept = list(by_label.values())[:n]
    if not kept:
        return "no label", "no association that held"
    names = [(words or {}).get(first.name(feature, c), first.name(feature, c)) for c in kept]
    aurocs = [0.5 + second.strength[feature, c] / 2 for c in kept]
    held = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, aurocs, strict=True))
    return "; ".join(names), f"held-out AUROC: {held}"


def excerpts(
    encode: Encode,
    vectors: Sequence,
    seconds: Sequence[float],
    feature: int,
    clips: Sequence[int],
    length: float = 2.0,
) -> list[Excerpt]:
    """The window around the peak of a feature in each of these clips.

    What made a feature fire lies before its peak, so three quarters of the window do.
    """
    check_positive(length, "length")
    times, found = np.asarray(seconds, float), []
    end_of_clip = float(times[-1])
    for clip in clips:
        x = as_vectors(vectors[clip], f"clip {clip}")
        if len(x) != len(times):
            raise InterpError(f"Clip {clip} has {len(x)} steps, and seconds are given for {len(times)}.")
        with torch.no_grad():
            activation = encode(x)[:, feature].cpu().numpy()
        peak = float(times[activation.argmax()])
        start = min(max(0.0, peak - 0.75 * length), max(0.0, end_of_clip - length))
        found.append(Excerpt(int(clip), start, min(start + length, end_of_clip), times, activation))
    return found


def matched(activity: Activity, features: Sequence[int], seed: int = 0, nearest: int = 10) -> list[int]:
    """For each feature another that fires as often: one of the ``nearest`` in firing rate, not among them."""
    rate, rng = activity.firing_rate, np.random.default_rng(seed)
    free = np.setdiff1d(np.flatnonzero(rate > 0), features)
    if not len(free) or (rate[list(features)] == 0).any():
        raise InterpError("A card needs a feature that fires, and another that fires beside those chosen.")
    choices = [
        free[np.argsort(np.abs(np.log(rate[free] / rate[f])), kind="stable")[:nearest]] for f in features
    ]
    return [int(rng.choice(choice)) for choice in choices]


@torch.no_grad()
def ablate(
    model: Model, clips: Generation, site: str, dictionary: Dictionary, features: Mapping[int, Sequence[int]]
) -> dict[int, np.ndarray]:
    """What the model's output loses with a feature: KL(as it is || without it), teacher-forced.

    Parameters
    ----------
    features : dict
        From a feature to the clips on which to ablate it.

    Returns
    -------
    dict
        From each feature to [clip, codebook], nats per token, mean over the tokens that are predicted at
        clean steps.
    """
    width = find_site(model, site).width
    dictionary.preactivations(torch.zeros(1, width, device=dictionary.encoder.device))  # does it fit?
    first, last = max(model.delays) + 1, clips.tokens.shape[-1]  # clean steps, both included
    result: dict[tuple[int, int], np.ndarray] = {}
    for i in sorted({int(clip) for chosen in features.values() for clip in chosen}):
        here = [feature for feature, chosen in features.items() if i in chosen]

        def without(x: torch.Tensor, layout: Pass, group: str, here: list[int] = here) -> torch.Tensor:
            new, clean = x.clone(), slice(first, last + 1)
            active = dictionary.encode(x[0, clean].float())[:, here]  # [step, feature]; all rows are alike
            part = active.T[..., None] * dictionary.decoder[here][:, None]
            new[1:, clean] = (x[1:, clean].float() - part).to(x)
            return new

        clip, rows = clips[i], 1 + len(here)  # the clip as it is, and without each feature
        texts, mask = text_condition(model, clip.prompts, clip.text_steps[0])
        condition = {"description": (texts.expand(rows, -1, -1), mask.expand(rows, -1))}
        with running(model, Pass(rows, (("cond",),))), hook(model, {site: without}), model.musicgen.autocast:
            sequence = interleave(model, clip.tokens.to(model.device)).expand(rows, -1, -1)
            logits = model.lm(sequence, conditions=[], condition_tensors=condition)
        log_p = logits.float().log_softmax(-1)  # [row, codebook, step, token]
        moved = (log_p[0].exp() * (log_p[0] - log_p[1:])).sum(-1)
        by_codebook = []
        for q, delay in enumerate(model.delays):  # step s predicts frame s - delay of a codebook
            by_codebook.append(moved[:, q, first : min(last, last + delay - 1) + 1].mean(-1))
        for feature, values in zip(here, torch.stack(by_codebook, 1).cpu().numpy(), strict=True):
            result[feature, i] = values
    return {
        feature: np.stack([result[feature, int(i)] for i in chosen]) for feature, chosen in features.items()
    }


def _strongest(activity: Activity, feature: int, n: int) -> list[int]:
    """The clips in which a feature is highest, strongest first; only those in which it fires."""
    order = np.argsort(-activity.highest[:, feature], kind="stable")[:n]
    return [int(clip) for clip in order if activity.highest[clip, feature] > 0]
