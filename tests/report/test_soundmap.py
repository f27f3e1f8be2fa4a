"""Sound maps in the book: numbered figures, and points that play by mouse and by keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from report_project import OUTPUTS, PHASE, make_project, read
from sphinx.application import Sphinx

from report.book import build_book
from report.browser import check_in_browser, chromium, find_browser
from report.check import check_book
from report.collect import collect
from report.project import ReportError
from report.run import run_profile

ROOT = Path(__file__).resolve().parents[2]

try:
    no_browser = find_browser() and ""
except ReportError as error:
    no_browser = str(error)
with_browser = pytest.mark.skipif(bool(no_browser), reason=no_browser)

# Five clips as on a die: 0 bottom left, 1 bottom right, 2 near the middle, 3 top left, 4 top right.
MAP = """
die = [[0, 0], [2, 0], [1.1, 1.2], [0, 2], [2, 2]]
clips = [
    results.audio(f'clip.{i}', wave[i * 100 :], 8000, caption=f'Clip <{i}>', listen='hiss', show=False)
    for i in range(5)
]
results.sound_map('die', np.array(die) * 1.0, clips, ['low', 'low', 'mid', 'high', 'high'],
    caption='A **die**.', alt='Five points')
"""


def test_the_directive_is_a_figure_with_the_map_beside_its_picture(tmp_path):
    source, figures = tmp_path / "src", tmp_path / "src" / "_static" / "runs" / "0-a" / "figures"
    figures.mkdir(parents=True)
    (source / "deep").mkdir()
    shutil.copy(ROOT / "book" / "_static" / "favicon.svg", figures / "map.svg")
    (figures / "map.html").write_text('<div class="map"><a href="audio/x.flac" title="&quot;">x</a></div>')
    (source / "index.rst").write_text("A\n=\n\n:numref:`fig-a`\n\n.. toctree::\n\n   deep/page\n")
    (source / "deep" / "page.rst").write_text(
        "B\n=\n\n.. soundmap:: /_static/runs/0-a/figures/map.svg\n   :name: fig-a\n   :alt: dots\n\n   Words."
        "\n\n.. soundmap:: /_static/runs/0-a/figures/gone.svg\n"
    )
    settings = {"extensions": ["report.soundmap"], "numfig": True, "html_theme": "basic"}
    with (tmp_path / "log").open("w") as log:
        places = [str(tmp_path / name) for name in ("html", "doctrees")]
        Sphinx(str(source), None, *places, "html", settings, status=None, warning=log).build()
    page = BeautifulSoup((tmp_path / "html" / "deep" / "page.html").read_text(), "html.parser")
    (figure,) = page.select("figure.soundmap")
    assert figure["id"] == "fig-a" and figure.img["alt"] == "dots"
    assert figure.select_one(".map a")["href"] == "../_static/audio/x.flac"
    assert "Words." in figure.figcaption.get_text()
    assert "Fig. 1" in BeautifulSoup((tmp_path / "html" / "index.html").read_text(), "html.parser").get_text()
    assert "There is no map beside /_static/runs/0-a/figures/gone.svg" in (tmp_path / "log").read_text()


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of one phase with a figure, a sound, and a map of five clips."""
    root = tmp_path_factory.mktemp("map")
    project = make_project(root, (MAP,), outputs=OUTPUTS | {"figures": ["wave", "die"]})
    (root / "book").mkdir()
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "index.md").write_text(f"# Book\n\n{{numref}}`fig-{PHASE}-die`\n")
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n- file: phases/{PHASE}\n")
    profile, _ = read(project)
    assert build_book(project, collect(project, profile, run_profile(project, profile)))
    return project.html


@pytest.mark.slow
def test_a_map_is_a_numbered_figure_with_picture_and_clips(book):
    page = BeautifulSoup((book / "phases" / f"{PHASE}.html").read_text(), "html.parser")
    (figure,) = page.select("figure.soundmap")
    assert figure["id"] == f"fig-{PHASE}-die"
    assert figure.img["alt"] == "Five points" and figure.figcaption.strong.get_text() == "die"
    hrefs = [point["href"] for point in figure.select(".point")]
    assert len(set(hrefs)) == 5 and all(href.startswith("../_static/audio/") for href in hrefs)
    assert figure.select(".point")[3]["aria-label"] == "high: Clip <3>"
    assert "Fig. 2" in (book / "index.html").read_text()
    counts, problems = check_book(book)
    assert problems == []


@pytest.mark.slow
@with_browser
def test_every_map_is_played_by_the_check(book):
    counts, problems = check_in_browser(book)
    assert problems == [] and counts["sounds played"] == 4, "a sound and a map, as a file and over HTTP"


@pytest.mark.slow
@with_browser
def test_the_check_tells_a_map_that_does_not_play(tmp_path):
    point = '<a class="point" href="no.flac" aria-label="a" tabindex="0">point</a>'
    body = (
        f'<figure class="soundmap" id="m"><div class="map"><svg></svg>{point}<audio></audio></div></figure>'
    )
    hidden = "<style>.map { display: none }</style>"
    (tmp_path / "still.html").write_text(f'<link rel="icon" href="data:,">{hidden}{body}')
    counts, problems = check_in_browser(tmp_path)
    assert counts["sounds played"] == 0
    assert "still.html (file): the map m does not play: its picture shows instead" in problems


KEYS = {" ": 32, "Enter": 13, "Escape": 27, "Tab": 9, "Home": 36, "End": 35, "PageUp": 33, "PageDown": 34}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


@pytest.fixture
def page(book):
    """The page with the map, in a browser that has played its first point."""
    with chromium() as browser:
        home = book.resolve().as_uri() + "/"
        assert browser.visit(f"{home}phases/{PHASE}.html", home).errors == []

        def ask(expression: str):
            answer = browser.call(
                "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
            )
            return answer["result"].get("value")

        yield browser, ask


FOCUSED = "[...document.querySelectorAll('.point')].indexOf(document.activeElement)"
SAID = "document.querySelector('.map [role=status]').textContent"
PLAYER = "document.querySelector('.map audio')"
SETTLED = "new Promise(done => setTimeout(done, 300))"


def press(browser, key: str) -> None:
    event = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
    text = {"text": " "} if key == " " else {"text": "\r"} if key == "Enter" else {}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **event)


@pytest.mark.slow
@with_browser
def test_a_map_by_keyboard(page):
    browser, ask = page
    ask("document.querySelectorAll('.point')[0].focus()")
    for key, now in [
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowUp", 4),  # none within 45 degrees: the nearest above
        ("ArrowLeft", 2),
        ("ArrowLeft", 3),
        ("ArrowLeft", 3),  # nothing is left of it
        ("ArrowDown", 0),
        ("End", 4),
        ("PageUp", 3),
        ("PageUp", 2),
        ("PageDown", 3),
        ("Home", 0),
    ]:
        press(browser, key)
        assert ask(FOCUSED) == now, key
    press(browser, "End")
    assert ask("[...document.querySelectorAll('.point')].map(p => p.tabIndex).join()") == "-1,-1,-1,-1,0"
    ring = "getComputedStyle(document.activeElement.querySelector('.target')).strokeWidth"
    assert ask(ring) == "2.5px", "what has the focus can be seen"

    top = ask("scrollY")
    press(browser, " ")
    ask(SETTLED)
    assert ask(SAID) == "Playing – high: Clip <4>"
    assert ask(f"{PLAYER}.currentTime") > 0 and ask("scrollY") == top, "a space does not scroll"
    press(browser, "Escape")
    ask(SETTLED)
    assert ask(SAID) == "Stopped – high: Clip <4>" and ask(f"{PLAYER}.paused")
    press(browser, "PageUp")
    press(browser, "Enter")
    ask(SETTLED)
    assert ask(SAID) == "Playing – high: Clip <3>"
    assert ask("document.querySelectorAll('[aria-current=true]').length") == 1

    press(browser, "Tab")
    assert ask(FOCUSED) == -1 and ask("document.activeElement.localName") == "audio", "one tab stop, then on"


@pytest.mark.slow
@with_browser
def test_a_map_by_mouse_takes_the_nearest_point(page):
    browser, ask = page
    ask("document.querySelector('.map').scrollIntoView()")
    box = "document.querySelectorAll('.point')[2].getBoundingClientRect()"
    x, y = (ask(f"{box}.{side}") for side in ("left", "top"))
    place = {"x": x + 2, "y": y + 12, "button": "left", "clickCount": 1}  # at the edge of its target
    browser.call("Input.dispatchMouseEvent", type="mousePressed", **place)
    browser.call("Input.dispatchMouseEvent", type="mouseReleased", **place)
    ask(SETTLED)
    assert ask(SAID) == "Playing – mid: Clip <2>" and ask(FOCUSED) == 2
    assert ask("location.pathname").endswith(f"{PHASE}.html"), "the link was not followed"


@pytest.mark.slow
@with_browser
def test_on_paper_and_without_the_script_the_picture_shows(page):
    browser, ask = page
    shown = "['.map', 'img'].map(it => getComputedStyle(document.querySelector('.soundmap ' + it)).display)"
    assert ask(f"{shown}.join()").startswith("block,none")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert ask(f"{shown}.join()") == "none,block"
    browser.call("Emulation.setEmulatedMedia", media="screen")
    ask("document.documentElement.classList.remove('sound-maps')")  # which the script had set
    assert ask(f"{shown}.join()") == "none,block"
