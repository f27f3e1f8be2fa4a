"""A claim is recorded whole, with its controls, or not at all."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from interp import InterpError, results
from interp.results import Measure
from interp.results.claims import HYPOTHESES

GOOD = {"estimate": 0.3, "interval": (0.2, 0.4), "p": 0.01, "clips": 24, "clusters": 12}


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "h.yaml").write_text(
        "hypotheses:\n- {id: G1, question: 'Is <it> so?', unit: R², smallest_effect: 0.1,"
        " controls: {etude: found, etude-null: not found}}\n"
    )
    monkeypatch.setenv(HYPOTHESES, str(tmp_path / "h.yaml"))
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    return tmp_path


def measures(**changed) -> dict[str, Measure]:
    return {name: Measure(**GOOD | changed) for name in ("small", "etude", "etude-null")}


def test_a_claim_is_kept_with_its_hypothesis_as_it_stood(run):
    results.claim(
        "G1", measures(p=np.float64(0.5), clips=np.int64(30)), target="small", note="middle\n layer"
    )
    kept = json.loads((run / "results.json").read_text())["claims"]["G1"]
    assert kept["target"] == "small" and kept["note"] == "middle layer"
    assert kept["measures"]["etude"] == GOOD | {"p": 0.5, "clips": 30, "interval": [0.2, 0.4]}
    assert kept["stated"]["smallest_effect"] == 0.1
    results.claim("G1", measures(), target="etude")  # a cell that is run again
    results.number("x", 1)
    kept = json.loads((run / "results.json").read_text())
    assert kept["claims"]["G1"]["target"] == "etude" and kept["numbers"]["x"]["value"] == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"estimate": float("nan")}, "A claim's estimate must be a finite number"),
        ({"estimate": "1"}, "A claim's estimate must be a finite number"),
        ({"interval": (0.2, float("inf"))}, "An end of a claim's interval must be a finite number"),
        ({"interval": (0.2, 0.3, 0.4)}, "A claim's interval must be (low, high), not (0.2, 0.3, 0.4)."),
        ({"interval": None}, "A claim's interval must be (low, high), not None."),
        ({"interval": (0.4, 0.2)}, "A claim's interval is upside down: 0.4 > 0.2; give (low, high)."),
        ({"interval": (0.31, 0.4)}, "A claim's interval (0.31, 0.4) leaves out its estimate 0.3."),
        ({"p": 1.01}, "A claim's p must lie between 0 and 1, not 1.01."),
        ({"p": -0.1}, "A claim's p must lie between 0 and 1"),
        ({"p": None}, "A claim's p must be a finite number"),
        ({"clusters": 1}, "A claim's number of clusters must be a whole number, 2 or more, not 1."),
        ({"clips": 11}, "A claim's number of clips must be a whole number, 12 or more, not 11."),
        ({"clips": 24.0}, "A claim's number of clips must be a whole number"),
    ],
)
def test_a_measure_that_cannot_be_is_refused(changed, sentence):
    with pytest.raises(InterpError, match=re.escape(sentence)) as refused:
        Measure(**GOOD | changed)
    assert "\n" not in str(refused.value)


def test_the_ends_of_an_interval_belong_to_it():
    assert Measure(**GOOD | {"estimate": 0.2, "p": 0, "clusters": 24}).interval == (0.2, 0.4)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: results.claim("G9", measures(), target="small"), "Unknown hypothesis 'G9'; valid: G1."),
        (
            lambda: results.claim("G1", measures(), target="large"),
            "Unknown target 'large'; valid: small, etude",
        ),
        (
            lambda: results.claim("G1", {"etude": Measure(**GOOD)}, target="etude"),
            "A claim under G1 needs its controls; etude-null is missing (wanted are etude, etude-null).",
        ),
        (
            lambda: results.claim("G1", measures() | {"twin": GOOD}, target="small"),
            "twin must be a Measure, not dict.",
        ),
    ],
)
def test_a_claim_that_cannot_be_is_refused(run, call, sentence):
    with pytest.raises(InterpError, match=re.escape(sentence)):
        call()
    assert not (run / "results.json").exists()


def test_a_file_that_holds_no_hypotheses_is_named(run, monkeypatch):
    for text in ("", "hypotheses: 3", "hypotheses: [{id: G1}]"):
        (run / "h.yaml").write_text(text)
        with pytest.raises(InterpError, match="h.yaml has no list of hypotheses"):
            results.claim("G1", measures(), target="small")
    monkeypatch.setenv(HYPOTHESES, str(run / "none.yaml"))
    with pytest.raises(InterpError, match="There is no .*none.yaml"):
        results.claim("G1", measures(), target="small")


def test_the_projects_own_file_is_the_default(run, monkeypatch):
    monkeypatch.delenv(HYPOTHESES)
    with pytest.raises(InterpError, match="Unknown hypothesis 'Z9'; valid: F1"):
        results.claim("Z9", measures(), target="small")


def test_the_table_is_text_not_markup(run, monkeypatch):
    shown = []
    monkeypatch.setattr(results, "_show", lambda data, mark: shown.append((data["text/html"], mark)))
    odd = {"<b>small</b>": Measure(**GOOD)}
    results.claim("G1", measures() | odd, target="<b>small</b>")
    ((table, mark),) = shown
    assert mark == {"claim": "G1"}
    assert "Is &lt;it&gt; so?" in table and "&lt;b&gt;small" in table and "<b>" not in table
    assert '<th scope="row">etude-null</th>' in table and "must be not found" in table
    assert "+0.3 [+0.2, +0.4]" in table and "24 / 12" in table
