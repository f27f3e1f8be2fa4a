"""What became of each hypothesis, and whether a threshold moved after a run."""

from __future__ import annotations

import os
import subprocess

import pytest
import yaml
from verdict_project import FOUND, claim, content, hypothesis, write_run

from report import history
from report.project import Project

STATED = 1_700_000_000  # when the first version was committed; later ones follow a day apart
DAY = 86_400


def commit(project: Project, text: str, days: int = 0, subject: str = "Change") -> None:
    """Commit the file as ``text`` a number of days after the first version."""
    (project.phases / "hypotheses.yaml").write_text(text)
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    date = f"@{STATED + days * DAY} +0000"
    for arguments in (["add", "phases"], [*identity, "commit", "-qm", subject]):
        subprocess.run(
            ["git", *arguments],
            cwd=project.root,
            check=True,
            env={"PATH": os.environ["PATH"], "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date},
        )


def file(*entries: dict, **sections) -> str:
    return yaml.safe_dump(content(*entries) | sections)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "phases").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return Project(tmp_path)


def shown(found: list[history.Change]) -> list[tuple]:
    """What changed, without what came with the first version of the rule."""
    return [
        (one.entry, one.field, one.old, one.new, one.binding)
        for one in found
        if one.field or not one.entry.startswith(("pillars", "controls", "answer"))
    ]


def test_every_change_is_told_with_its_commit(project):
    commit(project, file(hypothesis("G1"), hypothesis("G2")), subject="State\twith a tab")
    commit(project, file(hypothesis("G1", smallest_effect=0.3, question="Is\n there?")), 1)
    answer = content()["answer"] | {"over": ["geometry", "geometry"], "if_no": "No."}
    commit(project, file(hypothesis("G1", smallest_effect=0.3, question="Is there?"), answer=answer), 2)
    (project.phases / "hypotheses.yaml").write_text(
        file(hypothesis("G1", smallest_effect=0.4, question="Is there?"), answer=answer)
    )
    found, gaps = history.changes(project)
    assert gaps == ""
    assert shown(found) == [
        ("G1", "", "", "stated", True),
        ("G2", "", "", "stated", True),
        ("G1", "question", "Is there a direction?", "Is there?", False),
        ("G1", "smallest_effect", "0.2", "0.3", True),
        ("G2", "", "stated", "taken out", True),
        ("answer", "if_no", "It does not.", "No.", False),
        ("answer", "over", "[geometry]", "[geometry, geometry]", True),
        ("G1", "smallest_effect", "0.3", "0.4", True),
    ]
    assert found[0].subject == "State\twith a tab" and found[0].when == STATED
    assert found[-1].commit == "" and found[-1].when == float("inf"), "the last is not committed"


def test_an_old_version_that_cannot_be_read_is_a_gap_and_no_more(project):
    commit(project, file(hypothesis()))
    commit(project, "a: [", 1)
    commit(project, "hypotheses: 3", 2)
    commit(project, file(hypothesis(alpha=0.01)), 3)
    found, gaps = history.changes(project)
    assert "the file is not valid YAML" in gaps
    assert [one.new for one in found if one.entry == "G1"] == ["stated", "taken out", "stated"]


def test_without_git_it_says_so(tmp_path, monkeypatch):
    (tmp_path / "phases").mkdir()
    (tmp_path / "phases" / "hypotheses.yaml").write_text(file(hypothesis()))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert history.changes(Project(tmp_path)) == (
        [],
        "This is no git checkout, so the history of the hypotheses is not at hand.",
    )
    monkeypatch.setenv("PATH", str(tmp_path))  # nor is git installed
    assert "no git checkout" in history.changes(Project(tmp_path))[1]


def test_before_the_first_commit_it_says_so(project):
    (project.phases / "hypotheses.yaml").write_text(file(hypothesis()))
    assert history.changes(project) == ([], "The hypotheses are not committed yet, so they have no history.")


def test_a_shallow_checkout_says_so(project, tmp_path):
    commit(project, file(hypothesis()))
    commit(project, file(hypothesis(alpha=0.01)), 1)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{tmp_path}", shallow], check=True)
    found, gaps = history.changes(Project(shallow))
    assert gaps == "This checkout is shallow, so older changes are not at hand."
    assert shown(found) == [("G1", "", "", "stated", True)]


def test_a_threshold_that_moved_after_a_run_is_marked(project):
    commit(project, file(hypothesis("G1"), hypothesis("G2")))
    write_run(project, {"G1": claim(FOUND, hypothesis("G1"))}, finished=STATED + DAY / 2)
    changed = hypothesis("G1", smallest_effect=0.1, question="Another?"), hypothesis("G2", alpha=0.01)
    commit(project, file(*changed), 1)
    records = history.recorded(project)
    marked = {
        (one.entry, one.field): history.after_a_run(one, records) is not None
        for one in history.changes(project)[0]
        if one.field
    }
    assert marked == {
        ("G1", "smallest_effect"): True,
        ("G1", "question"): False,  # wording
        ("G2", "alpha"): False,  # nothing had been recorded under it
    }
    commit(project, file(*changed, answer=content()["answer"] | {"over": ["geometry", "x"]}), 2)
    rule = history.changes(project)[0][-1]
    assert rule.entry == "answer" and history.after_a_run(rule, records).key == "abc"


def test_a_claim_shows_what_moved_without_git(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "phases").mkdir()
    recorded = {name: claim(FOUND, hypothesis(name)) for name in ("G1", "G7")}
    write_run(project, {"G1": recorded["G1"]}, "one", STATED)
    write_run(project, recorded, "two", STATED + DAY)
    path = project.phases / "hypotheses.yaml"
    path.write_text(file(hypothesis("G1", alpha=0.05, rationale="Better\nsaid.", smallest_effect=0.20)))
    gone = "G7: was taken out, after run two (profile etude, 2023-11-15) had recorded a claim under it."
    assert history.moved(project, history.recorded(project)) == [gone]
    path.write_text(file(hypothesis("G1", equivalence=[-0.2, 0.1], controls={"etude": "absent"})))
    assert history.moved(project, history.recorded(project)) == [
        "G1: equivalence was [-0.1, 0.1] and is now [-0.2, 0.1], after 2 runs, the last of them two "
        "(profile etude, 2023-11-15) had recorded a claim under it.",
        "G1: controls was etude: found, etude-null: not found and is now etude: absent, after 2 runs, the "
        "last of them two (profile etude, 2023-11-15) had recorded a claim under it.",
        gone,
    ]


def test_a_damaged_run_is_no_witness(tmp_path):
    project = Project(tmp_path)
    state = write_run(project, {"G1": claim(FOUND)})
    manifest = state.folder / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"files": {}', '"files": {"notebook.ipynb": {"bytes": 1}}')
    )
    assert history.recorded(project) == []
