"""What a file of hypotheses may hold, and how the rest is refused."""

from __future__ import annotations

import re

import pytest
import yaml
from verdict_project import ROOT, content, hypothesis, register

from report.hypotheses import check_claims, parse, read
from report.project import Project, ReportError

OURS = read(Project(ROOT))


def test_ours_is_as_it_should_be():
    assert 12 <= len(OURS.hypotheses) <= 18
    assert OURS.answer.over == ["geometry", "pathway", "control"]
    for pillar in OURS.answer.over:
        favours = {h.favours for h in OURS.of(pillar)}
        assert favours == {"understanding", "association"}, f"{pillar} has hypotheses for one answer only"
    for h in OURS.hypotheses.values():
        silent = {name for name, expected in h.controls.items() if expected != "found"}
        assert silent, f"{h.id} has nothing that must not be found"


def test_every_hypothesis_has_a_null_of_its_route():
    nulls = {"etude-null", "no-push", "random-directions"}
    for h in OURS.hypotheses.values():
        if h.route == "text":
            assert nulls & set(h.controls), f"{h.id} lacks a null of the text route"
        else:
            assert "shuffled-labels" in h.controls, f"{h.id} lacks the null of the audio route"


def test_phases_declare_only_claims_that_are_theirs(tmp_path):
    project = Project(tmp_path)
    check_claims(project, {"0-noise": []})  # no hypotheses, no claims
    with pytest.raises(ReportError, match=r"There is no phases/hypotheses\.yaml"):
        check_claims(project, {"0-noise": ["G1"]})
    project.phases.mkdir()
    (project.phases / "hypotheses.yaml").write_text(changed_file(hypotheses=[hypothesis(cite=[])]))
    check_claims(project, {"0-noise": ["G1"], "1-other": []})
    with pytest.raises(
        ReportError, match="0-noise declares a claim under G2: 'G2' is not known; there are: G1."
    ):
        check_claims(project, {"0-noise": ["G2"]})
    with pytest.raises(
        ReportError, match="1-other declares a claim under G1, which .* gives to phase 0-noise"
    ):
        check_claims(project, {"1-other": ["G1"]})
    (project.phases / "hypotheses.yaml").write_text("a: [")
    with pytest.raises(ReportError, match="not valid YAML"):
        check_claims(project, {"0-noise": []})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sesoi": 1}, "h.yaml: G1: unknown field 'sesoi'; there are: id, pillar, favours"),
        ({"id": "g1"}, "h.yaml: g1: id must be a capital and a number, such as G1, not 'g1'."),
        ({"id": 3}, "h.yaml: hypothesis number 1: id must be text, not 3."),
        ({"pillar": "steering"}, "h.yaml: G1: pillar: 'steering' is not known; there are: geometry."),
        ({"favours": "both"}, "favours: 'both' is not known; there are: understanding, association."),
        ({"direction": "up"}, "'up' is not known; there are: greater, less, differs, within."),
        ({"route": "video"}, "route: 'video' is not known; there are: text, audio."),
        ({"smallest_effect": "1e-3"}, "smallest_effect must be a finite number such as 0.05, not '1e-3'."),
        ({"smallest_effect": float("inf")}, "must be a finite number"),
        ({"smallest_effect": True}, "must be a finite number"),
        ({"smallest_effect": 0}, "must be above 0, not 0; its sign follows from the direction."),
        ({"equivalence": [0.0, 0.1]}, "equivalence must be [below 0, above 0]"),
        ({"equivalence": [-0.1]}, "equivalence must be [below 0, above 0]"),
        ({"equivalence": 0.1}, "equivalence must be a list in brackets, not 0.1."),
        ({"smallest_effect": 0.09}, "0.09 lies inside equivalence [-0.1, 0.1]"),
        ({"direction": "less", "equivalence": [-0.3, 0.1]}, "make it 0.3 or more."),
        ({"direction": "differs", "equivalence": [-0.1, 0.4]}, "make it 0.4 or more."),
        ({"alpha": 5}, "alpha must lie between 0 and 1, not 5."),
        ({"controls": {}}, "controls must hold one that must be found and one that must not"),
        ({"controls": {"etude": "found"}}, "controls must hold one that must be found and one that must not"),
        ({"controls": {"twin": "found"}}, "controls: 'twin' is not known; there are: etude, etude-null"),
        (
            {"controls": {"etude": "yes"}},
            "controls: etude: 'yes' is not known; there are: found, not found, absent.",
        ),
        ({"controls": ["etude"]}, "controls must hold fields with values"),
        ({"cite": ["unknown1999"]}, "cite: 'unknown1999' is no key of book/references.bib; add it there."),
        ({"phase": "geometry"}, "phase must be a notebook's name, such as 1-emotion-geometry."),
        ({"question": " "}, "question must be text, not ' '."),
    ],
)
def test_an_entry_is_refused_in_one_sentence(changed, sentence):
    with pytest.raises(ReportError, match=re.escape(sentence)) as refused:
        register(hypothesis(**changed))
    assert "\n" not in str(refused.value) and str(refused.value).startswith("h.yaml: ")


def test_thresholds_that_meet_are_accepted():
    assert register(hypothesis(smallest_effect=0.1)).hypotheses["G1"].smallest_effect == 0.1
    assert register(hypothesis(direction="less", equivalence=[-0.1, 0.9], smallest_effect=1)).hypotheses


def changed_file(**sections) -> str:
    return yaml.safe_dump(content(hypothesis()) | sections)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "h.yaml is not valid YAML"),
        ("a: 1\na: 2", "'a' stands twice"),
        ("", "h.yaml must hold fields with values, not None."),
        (changed_file(extra=1), "h.yaml: unknown field 'extra'; there are: controls, pillars"),
        (changed_file(hypotheses=3), "hypotheses must be a list of entries"),
        (changed_file(hypotheses=[]), "pillars: geometry has no hypothesis"),
        (changed_file(hypotheses=["G1"]), "hypothesis number 1 must hold fields with values, not 'G1'."),
        (changed_file(hypotheses=[hypothesis(), hypothesis()]), "G1: id stands twice"),
        (changed_file(controls={"A b": {"kind": "model", "what": "x"}}), "A b is no name for a control"),
        (
            changed_file(controls={"a": {"kind": "x", "what": "x"}}),
            "kind: 'x' is not known; there are: model",
        ),
        (changed_file(controls={"a": {"kind": "model"}}), "controls: a: field 'what' is missing"),
        (
            changed_file(answer=content()["answer"] | {"over": ["x"]}),
            "answer: over: 'x' is not known; there are: geometry.",
        ),
        (changed_file(answer=content()["answer"] | {"over": []}), "answer: over is empty"),
        (
            changed_file(answer=content()["answer"] | {"requires": ["geometry"]}),
            "answer: over 'geometry' is in requires too",
        ),
    ],
)
def test_a_file_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ReportError, match=re.escape(sentence)) as refused:
        parse(text, "h.yaml", ["known2020"])
    assert "\n" not in str(refused.value)


def test_a_missing_field_and_a_missing_file(tmp_path):
    entry = hypothesis()
    del entry["alpha"]
    with pytest.raises(ReportError, match="h.yaml: G1: field 'alpha' is missing; wanted are: id, pillar"):
        register(entry)
    with pytest.raises(ReportError, match=r"There is no phases/hypotheses\.yaml"):
        read(Project(tmp_path))
