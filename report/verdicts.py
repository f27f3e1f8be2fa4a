"""The formula: from an estimate, its interval and p to a verdict.  The same for every hypothesis and model.

With s the smallest effect of interest and [a, b] the equivalence bounds (a < 0 < b), an interval is read:

=========  ==============================================  ==================================
direction  supported: p < alpha and the interval lies      contradicted: the interval lies
=========  ==============================================  ==================================
greater    above s                                         below b
less       below −s                                        above a
differs    above s, or below −s                            between a and b
within     between a and b                                 above s, or below −s
=========  ==============================================  ==================================

and *inconclusive* otherwise.  "Above", "below" and "between" are strict: an interval that just touches a
threshold decides nothing.  Where something is said to be greater, "below b" takes in no effect that matters,
the opposite effect, and an interval that spans the two.  p is Holm's, over the claims of a pillar, for each
model by itself.

A verdict is the reading, unless a required control did not give what it must: then it is *not answerable*,
for every model, whatever the reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .hypotheses import Hypothesis, Register

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
NOT_ANSWERABLE, NOT_TESTED = "not answerable", "not tested"


@dataclass(frozen=True)
class Reading:
    """What one interval says of one hypothesis, and why."""

    word: str
    why: str


@dataclass(frozen=True)
class Measured:
    """What a claim holds for one model or procedure, read by the formula."""

    estimate: float
    low: float
    high: float
    p: float
    corrected: float
    clips: int
    clusters: int
    reading: Reading


@dataclass(frozen=True)
class Check:
    """One required control: what it must give, and what it gave."""

    control: str
    expected: str
    got: str

    @property
    def held(self) -> bool:
        return {
            "found": self.got == SUPPORTED,
            "not found": self.got in (CONTRADICTED, INCONCLUSIVE),
            "absent": self.got == CONTRADICTED,
        }[self.expected]


@dataclass(frozen=True)
class Judged:
    """One hypothesis with all that was claimed under it; without a claim, ``target`` is None."""

    hypothesis: Hypothesis
    target: str | None = None
    measured: dict[str, Measured] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    note: str = ""

    def verdict(self, model: str | None = None) -> Reading:
        """The verdict on a model; on the model under study when none is named."""
        if self.target is None:
            return Reading(NOT_TESTED, "no claim was recorded in this edition")
        failed = [check for check in self.checks if not check.held]
        if failed:
            return Reading(NOT_ANSWERABLE, "; ".join(_failure(check) for check in failed))
        return self.measured[model or self.target].reading


def _failure(check: Check) -> str:
    return f"the control {check.control} must be {check.expected} and is {check.got}"


def read_interval(hypothesis: Hypothesis, low: float, high: float, corrected: float) -> Reading:
    """Read a 95 % interval and a corrected p; the formula of the module's docstring."""
    least, (below, above) = hypothesis.smallest_effect, hypothesis.equivalence
    significant = corrected < hypothesis.alpha
    if hypothesis.direction == "less":  # the mirror image of greater
        low, high, below, above = -high, -low, -above, -below
    is_beyond = low > least or (high < -least and hypothesis.direction in ("differs", "within"))
    is_between = below < low and high < above
    beyond = "beyond the smallest effect of interest"
    between = "no effect that matters"
    unsure = "reaches across a threshold"
    if hypothesis.direction == "within":
        supports, contradicts, for_, against = is_between, is_beyond, between, beyond
    else:
        one_sided = hypothesis.direction != "differs"
        supports, contradicts = is_beyond, high < above if one_sided else is_between
        for_, against = beyond, between
        if one_sided and not is_between:
            against = "the opposite effect" if high < below else "no effect that matters on this side"
    if supports and significant:
        return Reading(SUPPORTED, for_)
    if supports:
        return Reading(INCONCLUSIVE, f"{for_}, but the corrected p is not below {hypothesis.alpha:g}")
    return Reading(CONTRADICTED, against) if contradicts else Reading(INCONCLUSIVE, unsure)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected so that the chance of any false rejection among them stays below alpha.

    Notes
    -----
    Holm's step-down method holds however the tests depend on each other; those of a pillar share their clips.
    Source: Holm (1979), *A simple sequentially rejective multiple test procedure*, Scand. J. Statist. 6.
    """
    corrected, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected


def judge(register: Register, claims: Mapping[str, Mapping[str, Any]]) -> dict[str, Judged]:
    """Every hypothesis with its verdict.

    Parameters
    ----------
    claims : dict
        From the id of a hypothesis to its claim in ``results.json``: ``target`` and ``measures``.
    """
    judged = {}
    for pillar in register.pillars:
        entries = register.of(pillar)
        corrected = _corrected({h.id: claims[h.id]["measures"] for h in entries if h.id in claims})
        for h in entries:
            if h.id not in claims:
                judged[h.id] = Judged(h)
                continue
            claim = claims[h.id]
            measured = {
                name: _measured(h, measure, corrected[name][h.id])
                for name, measure in claim["measures"].items()
            }
            checks = [
                Check(name, expected, measured[name].reading.word if name in measured else "not measured")
                for name, expected in h.controls.items()
            ]
            judged[h.id] = Judged(h, claim["target"], measured, checks, claim["note"])
    return {name: judged[name] for name in register.hypotheses}


def _corrected(measures: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Model → id → corrected p; each model's claims in one pillar are a family."""
    families: dict[str, dict[str, float]] = {}
    for identifier, by_model in measures.items():
        for name, measure in by_model.items():
            families.setdefault(name, {})[identifier] = measure["p"]
    return {
        name: dict(zip(family, holm(list(family.values())), strict=True)) for name, family in families.items()
    }


def _measured(hypothesis: Hypothesis, measure: Mapping[str, Any], corrected: float) -> Measured:
    low, high = measure["interval"]
    return Measured(
        estimate=measure["estimate"],
        low=low,
        high=high,
        p=measure["p"],
        corrected=corrected,
        clips=measure["clips"],
        clusters=measure["clusters"],
        reading=read_interval(hypothesis, low, high, corrected),
    )
