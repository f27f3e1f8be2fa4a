"""The pages made from hypotheses and claims."""

from __future__ import annotations

import shutil

import pytest
import yaml
from bs4 import BeautifulSoup
from verdict_project import FOUND, NOTHING, ROOT, claim, content, hypothesis, write_run

from interp import results
from interp.results.claims import HYPOTHESES
from report.book import build_book
from report.check import check_book
from report.hypotheses import read
from report.profile import Profile
from report.project import Project, ReportError, read_json
from report.verdict_page import write_verdicts

ODD = "Is <b>it</b> *so*, {doc}`here` $x$?"


def staged(project: Project, states: list, *entries: dict, profile: str = "etude"):
    """The fragments for a file with these entries, by name."""
    project.phases.mkdir(exist_ok=True)
    (project.phases / "hypotheses.yaml").write_text(yaml.safe_dump(content(*entries)))
    (project.root / "book").mkdir(exist_ok=True)
    (project.root / "book" / "references.bib").write_text("@misc{known2020,\n title={T}}\n")
    folder = project.root / "staged"
    folder.mkdir(exist_ok=True)
    write_verdicts(project, Profile(profile, {}), states, folder)
    return {path.stem: path.read_text() for path in (folder / "generated").glob("*.md")}


def table(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser").table


def said(part: BeautifulSoup) -> list[str]:
    """The text of every cell, as one line each."""
    return [" ".join(cell.get_text(" ").split()) for cell in part.find_all("td")]


def test_an_edition_without_claims_says_so(tmp_path):
    pages = staged(Project(tmp_path), [], hypothesis())
    assert set(pages) == {"answer", "verdicts", "hypotheses"}
    assert "This edition gives no answer.** None of its runs has recorded a claim" in pages["answer"]
    assert "not tested in this edition" in table(pages["verdicts"]).text
    assert "This is no git checkout" in pages["hypotheses"] or "not committed yet" in pages["hypotheses"]


def test_a_smoke_edition_says_that_its_numbers_mean_nothing(tmp_path):
    project = Project(tmp_path)
    pages = staged(
        project, [write_run(project, {"G1": claim(FOUND)}, smoke=True)], hypothesis(), profile="smoke"
    )
    for name in ("answer", "verdicts"):
        assert "**This edition gives no answer.**" in pages[name]
        assert "its numbers mean nothing" in pages[name]
    assert "It does." not in pages["verdicts"]


def test_a_project_without_hypotheses_has_no_such_pages(tmp_path):
    write_verdicts(Project(tmp_path), Profile("etude", {}), [], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_notebook_records_is_what_the_book_reads(tmp_path, monkeypatch):
    """From ``interp.results.claim`` through ``results.json`` to the page."""
    project = Project(tmp_path)
    staged(project, [], hypothesis())
    monkeypatch.setenv(HYPOTHESES, str(project.phases / "hypotheses.yaml"))
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path / "run"))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    measured = {
        name: results.Measure(**given | {"interval": tuple(given["interval"])})
        for name, given in claim(FOUND)["measures"].items()
    }
    results.claim("G1", measured, target="musicgen-small", note="layer 3")
    claims = read_json(tmp_path / "run" / "results.json")["claims"]
    pages = staged(project, [write_run(project, claims)], hypothesis())
    assert "**It does.**" in pages["answer"] and ":::{warning}" not in pages["answer"]
    assert "In R²; layer 3." in pages["verdicts"]


def test_the_front_page_says_the_answer_in_words(tmp_path):
    project = Project(tmp_path)
    text = staged(project, [write_run(project, {"G1": claim(FOUND)})], hypothesis())["answer"]
    assert "Model under study: **musicgen-small**. **It does.** 1 of 1 hypotheses were tested." in text
    assert "**yes**: it is so (G1)." in text
    assert "says nothing of other models" not in text
    known = write_run(project, {"G1": claim(FOUND, model="etude")}, "def")
    assert "says nothing of other models" in staged(project, [known], hypothesis())["answer"]


def test_models_stand_side_by_side_in_an_accessible_table(tmp_path):
    project = Project(tmp_path)
    run = write_run(project, {"G1": claim(FOUND, overdose=NOTHING)})
    controls = {"etude": "found", "etude-null": "not found", "overdose": "absent"}
    page = staged(project, [run], hypothesis(controls=controls), hypothesis("G2"))["verdicts"]
    found = table(page)
    assert found.caption.text == "Is it?"
    heads = [head.text for head in found.thead.find_all("th", scope="col")]
    assert heads == ["musicgen-smallunder study", "etude", "etude-null"]
    first, second = found.find_all("tbody")
    assert first.find("th", scope="rowgroup").text.startswith("G1 Is there a direction? In R².")
    target, etude, null = said(first.find_all("tr")[1])
    assert "● supported" in target and "beyond the smallest effect" in target
    assert "+0.40 [+0.30, +0.50]" in target and "p = 0.001" in target and "24 clips, 12 clusters" in target
    assert "must be found: held" in etude and "○ contradicted" in null and "must be not found: held" in null
    assert "overdose must be absent, is contradicted: held (+0.00 [−0.05, +0.05], p = 0.400)" in first.text
    assert "not tested in this edition" in second.text
    for picture in found.find_all("svg"):
        assert picture["aria-hidden"] == "true", "the numbers stand beside it"
    region = found.parent
    assert region["role"] == "region" and region["tabindex"] == "0" and region["aria-label"]
    assert "\n\n" not in str(region), "a blank line would end the HTML"


def test_a_failed_control_shows_where_it_failed(tmp_path):
    project = Project(tmp_path)
    run = write_run(project, {"G1": claim(FOUND, etude_null=FOUND)})
    pages = staged(project, [run], hypothesis())
    cells = said(table(pages["verdicts"]))
    assert all("✕ not answerable" in cell for cell in cells)
    assert "by itself supported" in cells[0] and "must be not found: failed" in cells[2]
    assert "“Geometry” is not answerable" in pages["answer"]
    assert "the control etude-null must be not found and is supported" in pages["answer"]


def test_text_is_escaped(tmp_path):
    project = Project(tmp_path)
    odd = claim(FOUND) | {"note": "<i>note</i>"}
    odd["measures"]["<u>own</u>"] = NOTHING
    pages = staged(project, [write_run(project, {"G1": odd})], hypothesis(question=ODD, unit="<s>"))
    assert "<b>" not in table(pages["verdicts"]).th.decode_contents() and ODD in table(pages["verdicts"]).text
    for markup in ("<i>", "<u>", "<s>"):
        assert markup not in pages["verdicts"]
    assert r"Is \<b\>it\</b\> \*so\*, \{doc\}\`here\` \$x\$?" in pages["hypotheses"]


def test_a_moved_threshold_stands_on_both_pages(tmp_path):
    project = Project(tmp_path)
    run = write_run(project, {"G1": claim(FOUND, hypothesis(smallest_effect=0.25))})
    pages = staged(project, [run], hypothesis())
    for name in ("verdicts", "hypotheses"):
        assert ":::{warning}" in pages[name] and r"smallest\_effect was 0.25 and is now 0.2" in pages[name]
    assert ":::{warning}" not in staged(project, [], hypothesis(smallest_effect=0.25))["verdicts"]


def test_a_claim_of_another_phase_or_a_second_model_is_refused(tmp_path):
    project = Project(tmp_path)
    run = write_run(project, {"G1": claim(FOUND)})
    with pytest.raises(
        ReportError, match="0-noise recorded a claim under G1, which .* gives to phase 1-other"
    ):
        staged(project, [run], hypothesis(phase="1-other"))
    two = write_run(project, {"G1": claim(FOUND), "G2": claim(FOUND, model="large")}, "two")
    with pytest.raises(ReportError, match=r"several models under study \(large, musicgen-small\)"):
        staged(project, [two], hypothesis("G1"), hypothesis("G2"))


@pytest.mark.parametrize(
    ("direction", "supported", "contradicted"),
    [
        ("greater", "lies above +0.20", "lies below +0.10"),
        ("less", "lies below −0.20", "lies above −0.10"),
        ("differs", "lies above +0.20 or below −0.20", "lies between −0.10 and +0.10"),
        ("within", "lies between −0.10 and +0.10", "lies above +0.20 or below −0.20"),
    ],
)
def test_thresholds_are_said_in_words(direction, supported, contradicted, tmp_path):
    text = staged(Project(tmp_path), [], hypothesis(direction=direction))["hypotheses"]
    assert f"the 95 % interval {supported} and the" in text
    assert f"**Contradicted** when it {contradicted}." in text


@pytest.mark.slow
def test_the_pages_of_this_study_build_without_a_warning(tmp_path):
    """Our own hypotheses and prose, half of them with a claim, in a real book."""
    project = Project(tmp_path)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    for name in ("verdicts.md", "hypotheses.md", "references.md", "references.bib"):
        shutil.copy(ROOT / "book" / name, tmp_path / "book")
    (tmp_path / "phases").mkdir()
    shutil.copy(ROOT / "phases" / "hypotheses.yaml", tmp_path / "phases")
    claims = {}
    for h in list(read(project).hypotheses.values())[::2]:
        claims[h.id] = claim(FOUND, **{name: NOTHING for name in h.controls})
    path = tmp_path / "phases" / "hypotheses.yaml"
    path.write_text(path.read_text().replace("phase: ", "phase: 0-noise # "))
    source = tmp_path / "build" / "book-src"
    shutil.copytree(tmp_path / "book", source)
    shutil.copy(ROOT / "_config.yml", source)
    (source / "index.md").write_text("# Book\n\n```{include} generated/answer.md\n```\n")
    for linked in ("sae", "comparison"):
        (source / f"{linked}.md").write_text(f"# {linked}\n")
    names = ("verdicts", "hypotheses", "references", "sae", "comparison")
    chapters = "".join(f"- file: {name}\n" for name in names)
    (source / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
    write_verdicts(project, Profile("etude", {}), [write_run(project, claims)], source)
    assert build_book(project, source)
    counts, problems = check_book(project.html)
    assert problems == []
    assert "Model under study" in BeautifulSoup((project.html / "index.html").read_text(), "html.parser").text
