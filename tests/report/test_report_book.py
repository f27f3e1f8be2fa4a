"""From a finished run to a book, and the check of the book."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from report_project import PHASE, make_project, read

from report.book import build_book
from report.check import check_book
from report.collect import absent_page, check_quotes, collect, phases_of
from report.profile import Profile
from report.project import ReportError, read_json
from report.run import run_profile
from report.runs import State

ROOT = Path(__file__).resolve().parents[2]


def test_phases_of_a_table_of_contents():
    toc = {
        "root": "index",
        "parts": [
            {"caption": "Phases", "chapters": [{"file": "phases/0-a"}, {"file": "phases/1-b"}]},
            {"caption": "Guides", "chapters": [{"file": "quickstart"}]},
        ],
    }
    assert list(phases_of(toc)) == ["0-a", "1-b"]


def test_a_phase_that_the_profile_does_not_run_says_so(tmp_path):
    project = make_project(tmp_path)
    profile = Profile("other", {})
    assert absent_page(project, profile, PHASE).startswith("# Noise\n")
    assert "profile `other`, which does not run" in absent_page(project, profile, "9-unwritten")


@pytest.mark.parametrize("status", ["missing", "failed", "stale", "running"])
def test_the_book_takes_nothing_from_a_run_that_is_not_done(status, tmp_path):
    project = make_project(tmp_path)
    profile, _ = read(project)
    with pytest.raises(ReportError, match=rf"not done: {PHASE} \({status}\)"):
        collect(project, profile, [State(PHASE, status)])


def test_a_quoted_number_must_exist(tmp_path):
    (tmp_path / "phases").mkdir()
    glue = {"scrapbook": {"name": "level", "mime_prefix": ""}}
    output = nbformat.v4.new_output("display_data", {"text/plain": "1"}, metadata=glue)
    cell = nbformat.v4.new_code_cell("x", outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "phases" / "0-a.ipynb")
    page = tmp_path / "page.md"
    page.write_text("It is {glue:text}`phases/0-a.ipynb::level:.2f` or {glue:}`phases/0-a.ipynb::level`.")
    done = State("0-a", "done")
    check_quotes(tmp_path, [done])
    page.write_text("It is {glue:text}`phases/0-a.ipynb::lvl:.2f` and {glue:text}`phases/1-b.ipynb::x`.")
    with pytest.raises(
        ReportError, match="page.md: lvl, which the run of 0-a did not leave; page.md: x of 1-b"
    ):
        check_quotes(tmp_path, [done])


@pytest.mark.slow
def test_book_of_a_run(tmp_path):
    """A real build: figure, number, sound and provenance are in the page; a second build builds nothing."""
    project = make_project(tmp_path)
    (tmp_path / "book").mkdir()
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    (tmp_path / "book" / "references.bib").write_text("")
    index = tmp_path / "book" / "index.md"
    index.write_text(f"# Book\n\nLevel {{glue:text}}`phases/{PHASE}.ipynb::level:.1f`, $x^2$.\n")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "_toc.yml").write_text(
        f"format: jb-book\nroot: index\nchapters:\n- file: phases/{PHASE}\n- file: phases/9-other\n"
    )
    profile, _ = read(project)
    states = run_profile(project, profile)
    assert build_book(project, collect(project, profile, states))
    page = (project.html / "phases" / f"{PHASE}.html").read_text()
    assert "Noise &lt;b&gt;&amp;&lt;/b&gt; more" in page, "a caption is text, not markup"
    assert 'alt="A jagged line"' in page and "<strong>not</strong> music" in page
    text = BeautifulSoup(page, "html.parser").get_text()
    assert states[0].manifest["key"] in text and "make report PROFILE=etude" in text
    assert "results.finish" not in page
    assert "data:audio" not in page and 'preload="none"' in page
    sound = read_json(states[0].folder / "results.json")["audio"]["noise"]["file"]
    assert (project.html / "_static" / sound).is_file()
    assert "0.1" in (project.html / "index.html").read_text()
    assert "does not run this phase" in (project.html / "phases" / "9-other.html").read_text()
    counts, problems = check_book(project.html)
    assert problems == [] and counts["sounds"] == 1 and counts["pictures"] >= 1

    assert not build_book(project, collect(project, profile, states)), "nothing changed, nothing was built"

    # A warning stops the build and leaves the old book.
    good = (project.html / "index.html").read_text()
    index.write_text(index.read_text() + "\n{doc}`nowhere`\n")
    with pytest.raises(ReportError, match="The book was not built: 1 warnings"):
        build_book(project, collect(project, profile, states))
    assert (project.html / "index.html").read_text() == good

    (project.html / "_static" / sound).unlink()
    assert any("<audio> leads nowhere" in problem for problem in check_book(project.html)[1])


@pytest.mark.parametrize(
    ("markup", "problem"),
    [
        ('<a href="b.html#there">x</a>', None),
        ('<a href="https://example.org/">x</a>', None),
        ('<a href="b.html#gone">x</a>', "not on the page"),
        ('<a href="c.html">x</a>', "leads nowhere: c.html"),
        ('<a href="../../etc/passwd">x</a>', "leads out of the book"),
        ('<img src="no.png">', "<img> leads nowhere"),
        ('<audio src="no.flac"></audio>', "<audio> leads nowhere"),
        ('<script src="https://example.org/x.js"></script>', "<script> fetches https://example.org/x.js"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "<link> fetches //example.org/x.css"),
    ],
)
def test_check(markup, problem, tmp_path):
    (tmp_path / "a.html").write_text(markup)
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    counts, problems = check_book(tmp_path)
    assert counts["pages"] == 2
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]
