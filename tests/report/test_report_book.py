"""From a finished run to a book, and the check of the book."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup
from report_project import PHASE, make_project, read

from report.book import build_book
from report.browser import check_in_browser, find_browser
from report.check import check_book
from report.collect import ELSEWHERE, collect, phases_of
from report.edition import Edition
from report.page import absent_page
from report.profile import Profile
from report.project import Project, ReportError, digest, read_json
from report.quotes import check_quotes
from report.run import run_profile
from report.runs import State

ROOT = Path(__file__).resolve().parents[2]

try:
    no_browser = find_browser() and ""
except ReportError as error:
    no_browser = str(error)
with_browser = pytest.mark.skipif(bool(no_browser), reason=no_browser)


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


@pytest.mark.parametrize("name", ["_toc.yml", "_config.yml"])
def test_a_malformed_table_of_contents_or_configuration_is_named(tmp_path, name):
    project = make_project(tmp_path)
    (tmp_path / "book").mkdir()
    for file in ("_toc.yml", "_config.yml"):
        (tmp_path / file).write_text("html: {}\ntitle: A\n" if file != name else "root: [index")
    with pytest.raises(ReportError, match=f"^{name} is not valid YAML: .*[.]$"):
        collect(project, read(project)[0], [])


@pytest.mark.parametrize(
    ("text", "free", "error", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", 2**40, OSError, "No space left on device"),
        ("cut off", 0, OSError, "No space left on device"),
        ("Segmentation fault", 2**40, ReportError, "Sphinx ended with status 2; see build/book.log"),
        ("a.md:1: WARNING: b", 2**40, ReportError, "warnings: 1; see build/book.log"),
    ],
)
def test_why_a_book_was_not_built(tmp_path, monkeypatch, text, free, error, sentence):
    project = make_project(tmp_path)
    (project.build / "book-src").mkdir(parents=True)

    def sphinx(command, stdout, **_):
        stdout.write(text)
        (project.build / "book-out" / "_build").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr("report.book.subprocess.run", sphinx)
    monkeypatch.setattr("report.book.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
    with pytest.raises(error, match=sentence):
        build_book(project, project.build / "book-src")
    assert (project.build / "book-out").exists() == (error is ReportError), "half a book takes no room"


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


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A real run in a real book, of a checkout, with a page from elsewhere: project, profile, states."""
    root = tmp_path_factory.mktemp("book")
    project = make_project(root)
    (root / "book").mkdir()
    (root / ".gitignore").write_text("build/\n__pycache__/\n")
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "index.md").write_text(
        f"# Book\n\nLevel {{glue:text}}`phases/{PHASE}.ipynb::level:.1f`, $x^2$, "
        f"{{numref}}`fig-{PHASE}-wave`, {{numref}}`tab-{PHASE}-counts`, {{numref}}`sound-{PHASE}-noise`.\n\n"
        f"```{{sounds}} {PHASE}\nnoise\n```\n"
    )
    (source,) = ELSEWHERE
    (root / source).parent.mkdir()
    (root / source).write_text("# Card\n\n[The book](../book/index.md)\n")
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n"
        f"- file: phases/{PHASE}\n- file: phases/9-other\n- file: {Path(ELSEWHERE[source]).stem}\n"
    )
    commit(project, "all")
    profile, _ = read(project)
    states = run_profile(project, profile)
    assert build_book(project, collect(project, profile, states))
    return project, profile, states


def commit(project: Project, message: str) -> str:
    """Commit everything below a project's root; return the hash."""

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=project.root, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", message)
    return git("rev-parse", "HEAD").strip()


def test_an_edition_is_the_last_commit_that_touched_the_book(tmp_path):
    project, profile = Project(tmp_path), Profile("etude", {})
    (tmp_path / "page.md").write_text("1")
    assert "outside a git checkout" in Edition.of(project, profile).footer()
    first = commit(project, "a page")
    edition = Edition.of(project, profile)
    assert edition.commit == first and not edition.dirty

    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test.py").write_text("1")
    assert Edition.of(project, profile) == edition, "tests are not in the book"
    commit(project, "a test")
    assert Edition.of(project, profile) == edition

    (tmp_path / "page.md").write_text("2")
    assert "with uncommitted changes" in Edition.of(project, profile).footer()
    second = commit(project, "another page")
    assert Edition.of(project, profile).footer().count(second[:10]) == 1


def manifest(**changes) -> State:
    run = {
        "key": "k3y",
        "profile": "etude",
        "commit": "c" * 40,
        "dirty": False,
        "finished": 0.0,
        "wall_s": 2.4,
    }
    return State(PHASE, "done", manifest=run | changes)


def test_a_page_says_what_made_it_and_how_to_make_it_again():
    edition = Edition("etude", "e" * 40, "1970-01-02")
    said = edition.provenance(manifest())
    assert "Run `k3y`: profile `etude`, commit `cccccccccc`, 1970-01-01 00:00 UTC, 2 s." in said
    assert f"git checkout {'e' * 40} && make report PROFILE=etude\n" in said
    assert "uncommitted" not in said and "in no commit" not in said
    assert "commit `cccccccccc` with uncommitted changes" in edition.provenance(manifest(dirty=True))
    assert "in no commit" in Edition("etude", "e" * 40, "1970-01-02", dirty=True).provenance(manifest())
    outside = Edition("etude").provenance(manifest(commit=None))
    assert "no git checkout" in outside and "\nmake report PROFILE=etude\n" in outside


@pytest.mark.slow
def test_book_of_a_run(book):
    """Figure, number, sound and provenance are in the page; what it offers for download is there."""
    project, profile, states = book
    page = (project.html / "phases" / f"{PHASE}.html").read_text()
    assert 'alt="A jagged line"' in page and "<strong>not</strong> music" in page
    assert "results.finish" not in page
    soup = BeautifulSoup(page, "html.parser")
    for permalink in soup.select(".headerlink"):
        permalink.decompose()
    (table,) = soup.select("table")
    assert table["id"] == f"tab-{PHASE}-counts" and table.caption.em.get_text() == "all"
    assert table.caption.get_text(" ", strip=True) == "Table 1 Of all ."
    assert [cell.get_text(strip=True) for cell in table.select("th, td")] == [
        "",
        "n",
        "of",
        "x_1",
        "3",
        "[a|b] *c*",
    ]
    (figure,) = soup.select("figure.sound")
    assert figure["id"] == f"sound-{PHASE}-noise"
    assert figure.figcaption.get_text(" ", strip=True) == (
        "Sound 1 Noise <b>&</b> more Listen for: hiss, <i>no</i> pitch."
    ), "a caption is text, not markup"
    assert figure.audio["preload"] == "none" and figure.svg["aria-hidden"] == "true"
    sound = read_json(states[0].folder / "results.json")["audio"]["noise"]["file"]
    assert figure.audio["src"] == f"../_static/{sound}" and (project.html / "_static" / sound).is_file()

    foot = soup.select_one(".provenance")
    run = states[0].manifest
    assert run["key"] in foot.get_text() and "uncommitted" not in foot.get_text()
    assert foot.pre.get_text().strip() == f"git checkout {run['commit']} && make report PROFILE=etude"
    offered = {link.get_text(): project.html / "phases" / link["href"] for link in foot.select("a.download")}
    assert read_json(offered["manifest"]) == run
    assert digest(offered["executed notebook"].read_bytes()) == run["files"]["notebook.ipynb"]["sha256"]
    assert digest(offered["results"].read_bytes()) == run["files"]["results.json"]["sha256"]
    for path in project.html.glob("*.html"):
        assert f"{run['commit'][:10]}" in path.read_text(), f"{path.name} does not name its edition"


@pytest.mark.slow
def test_other_pages_quote_the_run(book):
    project, _, _ = book
    index = BeautifulSoup((project.html / "index.html").read_text(), "html.parser").article
    assert "Level 0.1" in index.get_text() and "Fig. 1, Table 1, Sound 1." in index.get_text()
    assert index.find(id=f"sound-{PHASE}-noise") is None, "a sound has its number on its own page"
    assert index.select_one("figure.sound figcaption a")["href"] == f"phases/{PHASE}.html#sound-{PHASE}-noise"
    assert index.audio["src"].startswith("_static/audio/")
    assert "does not run this phase" in (project.html / "phases" / "9-other.html").read_text()
    card = BeautifulSoup(
        (project.html / ELSEWHERE["etude/CARD.md"]).with_suffix(".html").read_text(), "html.parser"
    )
    assert card.article.select_one('a[href="index.html"]')


@pytest.mark.slow
def test_the_book_is_whole_and_is_built_once(book):
    project, profile, states = book
    counts, problems = check_book(project.html)
    assert problems == [] and counts["sounds"] == 2 and counts["pictures"] >= 1 and counts["MB"] > 1
    assert not build_book(project, collect(project, profile, states)), "nothing changed, nothing was built"


@pytest.mark.slow
@with_browser
def test_a_browser_without_network_reads_and_plays_the_book(book):
    project, _, _ = book
    counts, problems = check_in_browser(project.html)
    pages = check_book(project.html)[0]["pages"]
    assert problems == []
    assert counts == {"pages opened": 2 * pages, "sounds played": 4, "requests blocked": 0}


@pytest.mark.slow
def test_a_warning_stops_the_build_and_leaves_the_old_book(book):
    project, profile, states = book
    index = project.root / "book" / "index.md"
    good, text = (project.html / "index.html").read_text(), index.read_text()
    index.write_text(f"{text}\n{{doc}}`nowhere`\n\n```{{sounds}} {PHASE}\nno-such\n```\n")
    with pytest.raises(ReportError, match="The book was not built: warnings: 2"):
        build_book(project, collect(project, profile, states))
    index.write_text(text)
    assert "left no sound no-such" in (project.build / "book.log").read_text()
    assert (project.html / "index.html").read_text() == good


@pytest.mark.slow
@with_browser
def test_what_a_browser_finds(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(8000), 8000)
    (tmp_path / "b.flac").write_bytes(b"no sound")
    icon = '<link rel="icon" href="data:,">'
    (tmp_path / "good.html").write_text(f'{icon}<audio src="a.flac" preload="none"></audio>')
    (tmp_path / "silent.html").write_text(f'{icon}<audio src="b.flac" preload="none"></audio>')
    (tmp_path / "far.html").write_text(f'{icon}<img alt="" src="https://example.org/x.png">')
    (tmp_path / "late.html").write_text(
        f"{icon}<script>setTimeout(() => fetch('https://example.org/y'))</script>"
    )
    (tmp_path / "wrong.html").write_text(f"{icon}<script>console.error('told'); undefined.x</script>")
    counts, problems = check_in_browser(tmp_path)
    assert counts["pages opened"] == 10 and counts["sounds played"] == 2
    assert counts["requests blocked"] >= 4
    for found in (
        "far.html (file): asks for https://example.org/x.png",
        "late.html (http): asks for https://example.org/y",
    ):
        assert found in problems
    assert any("silent.html (file): its first sound does not play" in problem for problem in problems)
    assert "wrong.html (http): console: told" in problems
    assert any("wrong.html (file): console: TypeError" in problem for problem in problems)
    assert not [problem for problem in problems if problem.startswith("good.html")]


@pytest.mark.parametrize(
    ("markup", "problem"),
    [
        ('<a href="b.html#there">x</a>', None),
        ('<a href="https://example.org/">x</a>', None),
        ('<a href="b.html#gone">x</a>', "not on the page"),
        ('<a href="c.html">x</a>', "leads nowhere: c.html"),
        ('<a href="../../etc/passwd">x</a>', "leads out of the book"),
        ('<img alt="" src="no.png">', "<img> leads nowhere"),
        ('<img src="b.html">', "no alternative text"),
        ('<audio src="no.flac" preload="none"></audio>', "<audio> leads nowhere"),
        ('<audio src="b.html"></audio>', "loaded before anyone plays it"),
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
