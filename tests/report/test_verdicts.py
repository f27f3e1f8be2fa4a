"""The formula reaches each verdict exactly where it says."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from scipy import stats
from verdict_project import FOUND, NOTHING, claim, hypothesis, measure, register

from report.hypotheses import DIRECTIONS
from report.verdicts import Check, holm, judge, read_interval

# Smallest effect 0.2, equivalence bounds -0.1 and 0.1, alpha 0.05.
H = {d: register(hypothesis(direction=d)).hypotheses["G1"] for d in DIRECTIONS}


@pytest.mark.parametrize(
    ("direction", "low", "high", "p", "word", "why"),
    [
        ("greater", 0.21, 0.9, 0.049, "supported", "beyond the smallest effect of interest"),
        (
            "greater",
            0.2,
            0.9,
            0.001,
            "inconclusive",
            "reaches across a threshold",
        ),  # touches: decides nothing
        ("greater", 0.21, 0.9, 0.05, "inconclusive", "the corrected p is not below 0.05"),
        ("greater", -0.09, 0.09, 0.5, "contradicted", "no effect that matters"),
        ("greater", -0.09, 0.1, 0.5, "inconclusive", "reaches across a threshold"),
        ("greater", -0.5, 0.09, 0.9, "contradicted", "no effect that matters on this side"),
        ("greater", -0.5, -0.1, 0.9, "contradicted", "no effect that matters on this side"),
        ("greater", -0.5, -0.11, 0.9, "contradicted", "the opposite effect"),
        ("greater", 0.11, 0.19, 0.001, "inconclusive", "reaches across a threshold"),  # grey zone
        ("less", -0.9, -0.21, 0.049, "supported", "beyond"),
        ("less", -0.9, -0.2, 0.001, "inconclusive", "reaches across"),
        ("less", 0.11, 0.5, 0.9, "contradicted", "the opposite effect"),
        ("less", -0.09, 0.5, 0.9, "contradicted", "on this side"),
        ("less", -0.1, 0.5, 0.9, "inconclusive", "reaches across"),
        ("differs", 0.21, 0.9, 0.01, "supported", "beyond"),
        ("differs", -0.9, -0.21, 0.01, "supported", "beyond"),
        ("differs", -0.9, 0.9, 0.01, "inconclusive", "reaches across"),
        ("differs", -0.09, 0.09, 0.9, "contradicted", "no effect that matters"),
        ("differs", -0.1, 0.09, 0.9, "inconclusive", "reaches across"),
        ("within", -0.09, 0.09, 0.01, "supported", "no effect that matters"),
        ("within", -0.09, 0.09, 0.05, "inconclusive", "not below 0.05"),
        ("within", -0.1, 0.09, 0.01, "inconclusive", "reaches across"),
        ("within", 0.21, 0.9, 0.9, "contradicted", "beyond"),
        ("within", -0.9, -0.21, 0.9, "contradicted", "beyond"),
        ("within", 0.2, 0.9, 0.9, "inconclusive", "reaches across"),
    ],
)
def test_reading_at_and_beside_each_border(direction, low, high, p, word, why):
    found = read_interval(H[direction], low, high, p)
    assert found.word == word
    assert why in found.why


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_reading_against_a_list_of_regions(direction):
    """Written anew: a verdict is a set of open regions, and the interval has to lie inside one of them."""
    least, bound, far = 0.2, 0.1, np.inf
    regions = {
        "greater": ([(least, far)], [(-far, bound)]),
        "less": ([(-far, -least)], [(-bound, far)]),
        "differs": ([(-far, -least), (least, far)], [(-bound, bound)]),
        "within": ([(-bound, bound)], [(-far, -least), (least, far)]),
    }[direction]
    rng = np.random.default_rng(0)
    ends = np.sort(np.round(rng.uniform(-0.4, 0.4, (8000, 2)), 2), axis=1)  # a grid, so that borders are hit
    p = rng.choice([0.0, 0.01, 0.05, 0.5], 8000)
    supports, contradicts = (
        np.any([(ends[:, 0] > a) & (ends[:, 1] < b) for a, b in side], axis=0) for side in regions
    )
    assert not (supports & contradicts).any()
    expected = np.where(
        supports & (p < 0.05), "supported", np.where(contradicts, "contradicted", "inconclusive")
    )
    got = [read_interval(H[direction], *pair, q).word for pair, q in zip(ends, p, strict=True)]
    assert (expected == got).all()
    assert set(got) == {"supported", "contradicted", "inconclusive"}


def test_holm_is_the_closed_test_of_bonferroni():
    """p of a hypothesis is the largest Bonferroni p of all sets of hypotheses that hold it."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 5):
        for p in [*rng.uniform(size=(20, size)) ** 3, np.full(size, 0.03)]:
            sets = list(chain.from_iterable(combinations(range(size), k) for k in range(1, size + 1)))
            closed = [max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(size)]
            assert holm(list(p)) == pytest.approx(closed)
    assert holm([]) == []


@pytest.mark.parametrize(
    ("expected", "got", "held"),
    [
        ("found", "supported", True),
        ("found", "inconclusive", False),
        ("found", "contradicted", False),
        ("not found", "supported", False),
        ("not found", "inconclusive", True),
        ("not found", "contradicted", True),
        ("absent", "supported", False),
        ("absent", "inconclusive", False),
        ("absent", "contradicted", True),
        *((expected, "not measured", False) for expected in ("found", "not found", "absent")),
    ],
)
def test_when_a_control_holds(expected, got, held):
    assert Check("etude", expected, got).held is held


def test_a_failed_control_makes_every_model_not_answerable():
    h = register(hypothesis())
    good = judge(h, {"G1": claim(FOUND)})["G1"]
    assert good.verdict().word == good.verdict("etude").word == "supported"
    assert good.verdict("etude-null").word == "contradicted"
    for broken in (claim(FOUND, etude_null=FOUND), claim(FOUND, etude=NOTHING)):
        found = judge(h, {"G1": broken})["G1"]
        assert {found.verdict(model).word for model in found.measured} == {"not answerable"}
        assert found.measured["musicgen-small"].reading.word == "supported", "what it says by itself is kept"
    assert "the control etude must be found and is contradicted" in found.verdict().why


def test_a_control_that_was_added_after_the_run_is_not_measured():
    h = register(hypothesis(controls={"etude": "found", "overdose": "absent"}))
    assert "overdose must be absent and is not measured" in judge(h, {"G1": claim(FOUND)})["G1"].verdict().why


def test_a_model_may_be_its_own_control():
    h = register(hypothesis())
    assert judge(h, {"G1": claim(FOUND, model="etude", etude=FOUND)})["G1"].verdict().word == "supported"
    found = judge(h, {"G1": claim(NOTHING, model="etude", etude=NOTHING)})["G1"]
    assert found.verdict().word == "not answerable", "what is known to be there was not found"


def test_without_a_claim_nothing_is_tested():
    assert judge(register(hypothesis()), {})["G1"].verdict().word == "not tested"


def test_correction_is_over_the_claims_of_a_pillar_and_for_each_model():
    h = register(
        hypothesis("G1"), hypothesis("G2"), hypothesis("G3"), hypothesis("C1", pillar="pathway"),
        pillars=("geometry", "pathway"),
    )  # fmt: skip
    strong = measure(0.3, 0.5, 0.02)
    claims = {name: claim(strong, etude=measure(0.3, 0.5, 0.001)) for name in ("G1", "G2", "C1")}
    found = judge(h, claims)
    corrected = {name: found[name].measured["musicgen-small"].corrected for name in claims}
    assert corrected == {"G1": 0.04, "G2": 0.04, "C1": 0.02}, "G3 has no claim, C1 is of another pillar"
    assert found["G1"].measured["etude"].corrected == 0.002
    claims["G3"] = claim(strong)
    assert judge(h, claims)["G1"].verdict().word == "inconclusive", "a third claim makes 0.06 of 0.02"
    assert "corrected p" in judge(h, claims)["G1"].verdict().why


def studies(effect: float, direction: str, n: int = 100, number: int = 1000) -> list[str]:
    """Readings of simulated studies of n clips with spread 0.5: Student's interval, one-sided test."""
    draws = np.random.default_rng(1).normal(effect, 0.5, (number, n))
    mean, error = draws.mean(1), draws.std(1, ddof=1) / np.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * error
    if direction == "within":
        p = np.maximum(
            stats.t.sf((mean + 0.1) / error, n - 1), stats.t.cdf((mean - 0.1) / error, n - 1)
        )  # two one-sided tests
    else:
        p = stats.t.sf(mean / error, n - 1)
    h = H[direction]
    return [read_interval(h, *row).word for row in zip(mean - half, mean + half, p, strict=True)]


def share(words: list[str], word: str) -> float:
    return words.count(word) / len(words)


def test_simulated_studies_find_what_is_there():
    assert share(studies(0.5, "greater"), "supported") > 0.99
    assert share(studies(0.0, "greater", n=1000), "contradicted") > 0.99
    assert share(studies(-0.5, "greater"), "contradicted") > 0.99
    assert share(studies(0.03, "greater", n=1000), "contradicted") > 0.95, "real, but too small to matter"
    assert share(studies(0.0, "within", n=1000), "supported") > 0.99
    assert share(studies(0.5, "within"), "contradicted") > 0.99
    assert share(studies(0.15, "greater"), "inconclusive") > 0.5


def test_simulated_studies_find_nothing_where_nothing_is():
    alpha = 0.05
    assert share(studies(0.0, "greater"), "supported") <= alpha
    # The hardest cases: the true effect lies exactly on the threshold.
    assert share(studies(0.2, "greater"), "supported") <= alpha
    assert share(studies(0.1, "greater"), "contradicted") <= alpha
    assert share(studies(0.1, "within"), "supported") <= alpha
    assert share(studies(0.2, "within"), "contradicted") <= alpha
