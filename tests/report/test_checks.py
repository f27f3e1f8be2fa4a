"""The checks of ``make check``: each finds what it is there for, and nothing in a page that is well made."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

import pytest
from report_project import PHASE, make_project, read, write_notebook
from test_report_book import with_browser

import report.checks.every as every
from report.__main__ import main
from report.accessible import correct
from report.browser import chromium, served
from report.checks.axe import find_axe, look
from report.checks.live import CITE, DARK, _ask
from report.checks.pages import check_escaping, check_labels, check_sizes
from report.checks.runs import check_declared, check_references, check_states
from report.edition import Edition
from report.runs import State

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head><body><main>
<h1>Questions and answers</h1>
<figure id="f1"><figcaption><span class="caption-number">Fig. 1</span> A line</figcaption></figure>
<table class="claim"><caption>Without a number</caption><tr><td>1</td></tr></table></main></body></html>"""


@pytest.fixture
def html(tmp_path):
    folder = tmp_path / "html"
    folder.mkdir()
    (folder / "index.html").write_text(GOOD)
    return folder


def test_labels(html):
    assert list(check_labels(html)) == []
    (html / "index.html").write_text(
        GOOD.replace(' id="f1"', "").replace("<h1>", '<h1 id="a"><b id="a"></b>')
    )
    assert list(check_labels(html)) == [
        "index.html: the label a stands 2 times",
        "index.html: figure “Fig. 1 A line” has a number and no label",
    ]


def test_sizes(html):
    (html / "x.flac").write_bytes(bytes(2000))
    budgets = {"page": 1e4, "sound": 3000, "picture": 1e4, "book": 1e6}
    assert list(check_sizes(html, budgets)) == []
    found = list(check_sizes(html, budgets | {"sound": 1000, "book": 2000}))
    assert found == [
        "x.flac: 0.0 MB, more than the 0.001 MB that a sound may have",
        "the book has 0 MB, more than 0.002 MB",
    ]


def test_text_of_results_must_not_become_markup(html, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    left = {"audio": {"a": {"caption": "<img src=x> sad", "n": [1, "a < b"]}}}
    (run / "results.json").write_text(json.dumps(left))
    states = [State(PHASE, "done", run)]
    (html / "index.html").write_text("<p>&lt;img src=x&gt; sad</p><p>a < b</p>")
    assert list(check_escaping(html, states)) == []
    (html / "index.html").write_text("<p><img src=x> sad</p>")
    assert list(check_escaping(html, states)) == [
        "index.html: the text “<img src=x> sad” of a result stands there as markup"
    ]


def test_runs_and_what_they_left_undeclared(tmp_path):
    project = make_project(tmp_path)
    _, notebook = read(project)
    outputs = {"numbers": ["level"], "figures": ["wave.*"]}
    write_notebook(tmp_path, notebook.code[1:], {"outputs": outputs})
    assert read(project)[1].outputs == {"numbers": ["level"], "figures": []}, "a pattern asks for nothing"
    run = tmp_path / "run"
    run.mkdir()
    left = {"numbers": {"level": {}, "more": {}}, "figures": {"wave.1": {}}, "audio": {"noise": {}}}
    (run / "results.json").write_text(json.dumps(left))
    assert list(check_declared(project, [State(PHASE, "done", run)])) == [
        f"{PHASE} does not declare its {left}; add them to the outputs in its metadata, "
        'by name or by a pattern such as "cue.*"'
        for left in ("numbers more", "audio noise")
    ]
    assert list(check_declared(project, [State(PHASE, "stale", run)])) == []
    states = [State(PHASE, "done"), State("1-b", "stale", reasons=["lock: 1 → 2"]), State("2-c", "missing")]
    cure = "run `make report PROFILE=etude`, or name the profile that the book was made with (--profile)"
    assert list(check_states(states, read(project)[0])) == [
        f"1-b is stale (lock: 1 → 2); {cure}",
        f"2-c is missing; {cure}",
    ]


def test_works_that_nobody_cites(tmp_path):
    project = make_project(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text("@book{one2020,\n}\n@article{two2020,\n}\n")
    (tmp_path / "book" / "index.md").write_text("As {cite}`one2020,three` say; two2020b is another.")
    assert list(check_references(project)) == ["book/references.bib: nobody cites two2020"]


def test_what_tools_above_us_leave_is_corrected():
    text = '<summary aria-label="Toggle hidden content">\n<p>Show</p></summary>'
    assert correct(text) == "<summary>\n<p>Show</p></summary>"
    icon = '<i class="theme-switch fa-solid fa-sun   fa-lg" data-mode="light" title="Light"></i>'
    assert (
        correct(icon)
        == '<i class="theme-switch fa-solid fa-sun   fa-lg" data-mode="light" aria-hidden="true"></i>'
    )
    assert correct('<i class="x" title="Light">') == '<i class="x" title="Light">'


def test_without_a_book_or_axe_it_is_said_how_to_get_them(tmp_path, monkeypatch, capsys):
    project = make_project(tmp_path)
    monkeypatch.setattr("report.__main__.here", lambda: project)
    for words in (["check", "--all"], ["serve"]):
        assert main(words) == 1
        assert capsys.readouterr().err == "report: There is no book here; make it with `make report`.\n"
    monkeypatch.setattr("report.checks.axe.shutil.which", lambda name: None)
    source, why = find_axe(project)
    assert source is None and "Run `npm pack axe-core@" in why
    (project.build / "axe").mkdir(parents=True)
    (project.build / "axe" / "axe.min.js").write_text("alert(1)")
    source, why = find_axe(project)
    assert source is None and "is not that of axe-core" in why, (
        "what is run in the browser is what was chosen"
    )


def test_every_check_is_asked(html, tmp_path, monkeypatch, capsys):
    project = make_project(tmp_path / "study")
    project.html.parent.mkdir(parents=True)
    html.rename(project.html)
    monkeypatch.setattr("report.__main__.here", lambda: project)
    monkeypatch.setattr(
        every, "find_browser", lambda: (_ for _ in ()).throw(every.ReportError("No Chromium."))
    )
    assert main(["check", "--all"]) == 1
    said = capsys.readouterr()
    assert "No page was opened: No Chromium." in said.err and f"{PHASE} is missing" in said.err
    assert said.out.startswith("1 pages, 0 links") and said.out.endswith("1 problems\n")


def test_serve_shows_the_book_on_this_machine_alone(html, tmp_path):
    project = make_project(tmp_path / "study")
    project.html.parent.mkdir(parents=True)
    html.rename(project.html)
    code = (
        "import sys, pathlib; from report.project import Project; from report.__main__ import serve\n"
        "serve(Project(pathlib.Path(sys.argv[1])), 0)"
    )
    command = [sys.executable, "-c", code, str(project.root)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert b"Questions and answers" in urllib.request.urlopen(address).read()
    finally:
        server.kill()
        server.communicate()


def test_a_port_that_is_taken_is_named(html, tmp_path, monkeypatch, capsys):
    project = make_project(tmp_path / "study")
    project.html.parent.mkdir(parents=True)
    html.rename(project.html)
    monkeypatch.setattr("report.__main__.here", lambda: project)
    with served(project.html) as address:
        port = address.rstrip("/").rpartition(":")[2]
        assert main(["serve", "--port", port]) == 1
    said = capsys.readouterr().err
    assert said == f"report: Port {port} is in use; take another one, such as --port {int(port) + 1}.\n"
    assert main(["serve", "--port", "99999"]) == 1
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@with_browser
def test_dark_mode_and_citing_are_used_in_a_browser(html):
    cite = Edition("etude", "c" * 40, "2026-01-02").citation("A <title>", ["A & B"])
    button = """<button class="theme-switch-button">x</button><script>
      document.querySelector("button").onclick = () => { document.documentElement.dataset.theme = "dark"; };
      </script><style>html[data-theme="dark"] body { background: #000 }</style>"""
    (html / "good.html").write_text(GOOD.replace("</body>", f"{button}{cite}</body>"))
    with served(html) as address, chromium() as browser:
        browser.visit(f"{address}good.html", address)
        assert _ask(browser, DARK) == ""
        assert _ask(browser, CITE) == ""
        shown = _ask(browser, "document.querySelector('details.cite pre').innerText")
        for words in ("title = {A <title>}", "author = {{A & B}}", "commit cccccccccc"):
            assert words in shown
        browser.visit(f"{address}index.html", address)
        assert _ask(browser, DARK) == "there is no button for it"
        assert _ask(browser, CITE) == "there is no “cite this”"
        (html / "stuck.html").write_text(
            GOOD.replace("</body>", button.replace("background: #000", "") + "</body>")
        )
        browser.visit(f"{address}stuck.html", address)
        assert "stays" in _ask(browser, DARK)


@with_browser
def test_axe_finds_what_cannot_be_read(html, tmp_path):
    axe, why = find_axe(make_project(tmp_path / "study"))
    if axe is None:
        pytest.skip(why)
    (html / "bad.html").write_text(GOOD.replace("<h1>", '<p style="color:#ddd;background:#fff">pale</p><h1>'))
    with served(html) as address, chromium() as browser:
        browser.visit(f"{address}index.html", address)
        assert look(browser, axe, "light") == []
        browser.visit(f"{address}bad.html", address)
        assert [one["id"] for one in look(browser, axe, "light")] == ["color-contrast"]
