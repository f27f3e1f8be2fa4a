"""Listening panels and the listening test in a real browser: what moves, what plays, what is saved."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from interp import results
from interp.listening import Pair, Rated, answers, kit
from interp.results import panels
from report.browser import check_in_browser, chromium, find_browser
from report.project import ReportError

ROOT = Path(__file__).resolve().parents[2]
RATE = 8000

try:
    no_browser = find_browser() and ""
except ReportError as error:
    no_browser = str(error)
with_browser = pytest.mark.skipif(bool(no_browser), reason=no_browser)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A panel of two prompts, three by two positions, as a notebook shows it, in one page."""
    folder = tmp_path_factory.mktemp("panel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(results.RUN_DIR, str(folder))
        patch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
        patch.setattr(results, "_show", lambda data, mark: shown.update(data))
        shown, stops = {}, {}
        for p, prompt in enumerate(("piano music", "a flute & strings")):
            stops[prompt] = []
            for v in (-0.5, 0.0, 0.5):
                for a in (0.0, 1.0):
                    wave = 0.1 * (1 + p + v) * np.sin(np.arange(16_000) * (0.1 + 0.05 * a))
                    name = f"{p}.{v + 1:g}.{a:g}"
                    sound = results.audio(name, wave, RATE, caption="c", listen="l", show=False)
                    stops[prompt].append(panels.Stop((v, a), sound, {"level": 10 * v + p, "tempo": 60 + a}))
        panels.panel(
            "dose", stops, ("valence", "arousal"), {"level": "dB", "tempo": "bpm"}, caption="C", alt="A"
        )
    (folder / "page.html").write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">{shown["text/html"]}'
    )
    return folder / "page.html"


@pytest.fixture
def browser():
    with chromium() as opened:

        def ask(expression: str):
            answer = opened.call(
                "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
            )
            return answer["result"].get("value")

        yield opened, ask


def press(browser, key: str, code: int) -> None:
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)


SOURCE = "document.querySelector('.dosepanel audio').getAttribute('src')"
STATE = "[...document.querySelectorAll('.dosepanel .value')].map(v => v.textContent).join('|')"
PLAYING = (
    "new Promise(done => setTimeout(() => done(!document.querySelector('.dosepanel audio').paused), 300))"
)


@pytest.mark.slow
@with_browser
def test_sliders_change_the_clip_and_what_is_measured(page, browser):
    chromium, ask = browser
    visit = chromium.visit(page.as_uri(), page.parent.as_uri())
    assert visit.errors == [] and visit.strangers == []
    assert list(visit.played.values()) and all(isinstance(far, float) for far in visit.played.values())
    ask("document.querySelectorAll('input.dose')[0].value = 1")
    ask("document.querySelectorAll('input.dose')[0].dispatchEvent(new Event('input', {bubbles: true}))")
    ask("document.querySelectorAll('input.dose')[0].focus()")
    assert ask(STATE) == "0 dB|60 bpm"
    before = ask(SOURCE)
    press(chromium, "ArrowRight", 39)
    assert ask(SOURCE) != before and ask(STATE) == "5 dB|60 bpm"
    assert ask("document.activeElement.getAttribute('aria-valuetext')") == "+0.5"
    assert ask("document.querySelector('.dosepanel [role=status]').textContent") == (
        "piano music: valence +0.5, arousal 0"
    )
    press(chromium, "ArrowRight", 39)
    assert ask(STATE) == "5 dB|60 bpm", "the end of the slider"
    press(chromium, "Enter", 13)
    assert ask(PLAYING) is True
    at_second = ask("document.querySelector('.dosepanel audio').currentTime")
    press(chromium, "ArrowLeft", 37)
    assert ask(PLAYING) is True, "it goes on with the next clip"
    assert ask("document.querySelector('.dosepanel audio').currentTime") > at_second, "at the same second"
    press(chromium, "Enter", 13)
    assert ask(PLAYING) is False


@pytest.mark.slow
@with_browser
def test_the_pad_moves_both_sliders_and_the_prompt_changes(page, browser):
    chromium, ask = browser
    chromium.visit(page.as_uri(), page.parent.as_uri())
    box = "document.querySelector('.pad').getBoundingClientRect()"
    ask("document.querySelector('.pad').scrollIntoView()")
    left, top, side = (ask(f"{box}.{name}") for name in ("left", "top", "width"))
    place = {"x": left + side - 3, "y": top + 3, "button": "left", "clickCount": 1}
    chromium.call("Input.dispatchMouseEvent", type="mousePressed", **place)
    chromium.call("Input.dispatchMouseEvent", type="mouseReleased", **place)
    assert ask("[...document.querySelectorAll('input.dose')].map(s => s.value).join()") == "2,1"
    assert ask(STATE) == "5 dB|61 bpm"
    before = ask(SOURCE)
    ask("document.querySelector('select.prompt').selectedIndex = 1")
    ask("document.querySelector('select.prompt').dispatchEvent(new Event('input', {bubbles: true}))")
    assert ask(SOURCE) != before and ask(STATE) == "6 dB|61 bpm"


def test_without_the_script_every_clip_is_a_link(page):
    read = BeautifulSoup(page.read_text(), "html.parser")
    links = read.select(".dosepanel .clips a.clip")
    assert len(links) == 12 and all((page.parent / link["href"]).is_file() for link in links)
    assert links[-3].parent.get_text() == (
        "a flute & strings, valence +0, arousal +1 level 1 dB; tempo 61 bpm"
    ), "with its numbers"


def test_the_directive_is_a_figure_with_the_panel_beside_its_picture(page, tmp_path):
    source, figures = tmp_path / "src", tmp_path / "src" / "_static" / "runs" / "3-a" / "figures"
    figures.mkdir(parents=True)
    shutil.copy(page.parent / "figures" / "dose.html", figures)
    shutil.copy(page.parent / "figures" / "dose.png", figures)
    (source / "index.rst").write_text(
        "A\n=\n\n.. dosepanel:: /_static/runs/3-a/figures/dose.png\n"
        "   :name: fig-a\n   :alt: dots\n\n   Words.\n"
    )
    places = [str(tmp_path / name) for name in ("html", "doctrees")]
    settings = {"extensions": ["report.soundmap"], "html_theme": "basic"}
    Sphinx(str(source), None, *places, "html", settings, status=None, warning=None).build()
    built = BeautifulSoup((tmp_path / "html" / "index.html").read_text(), "html.parser")
    (figure,) = built.select("figure.dosepanel")
    assert figure.img["alt"] == "dots" and figure.select_one("a.clip")["href"].startswith("_static/audio/")
    assert not figure.select(".soundmap")


@pytest.mark.slow
@with_browser
def test_the_check_moves_a_slider_of_every_panel(page, tmp_path):
    shutil.copytree(page.parent / "audio", tmp_path / "audio")
    shutil.copy(page, tmp_path)
    counts, problems = check_in_browser(tmp_path)
    assert problems == [] and counts["sounds played"] == 2 * 2, (
        "what is chosen first, and what the slider chose"
    )
    still = page.read_text().replace('addEventListener("input"', 'addEventListener("never"')
    (tmp_path / "page.html").write_text(still)
    _, problems = check_in_browser(tmp_path)
    assert any("its slider does not change the clip" in problem for problem in problems)


# --- the listening test ---


@pytest.mark.slow
@with_browser
def test_a_listener_answers_and_the_file_is_read_back(tmp_path, browser):
    tones = [0.3 * np.sin(np.arange(1600) * step) for step in (0.1, 0.2, 0.3)]
    made = kit(
        [Pair("p", "valence", *tones[:2])], [Rated("r", tones[2])], RATE, title="Listen", checks=1, seed=0
    )
    path = tmp_path / "test.html"
    path.write_text(made.page)
    chromium, ask = browser
    visit = chromium.visit(path.as_uri(), path.as_uri())
    assert visit.errors == [] and visit.strangers == []
    ask("document.getElementById('who').value = '=cmd|, \"x\"'")
    ask("document.getElementById('begin').click()")
    right = {trial["trial"]: trial.get("high") for trial in made.trials}
    for _ in made.trials:
        assert ask("document.getElementById('next').disabled") is True, "not before all is heard and answered"
        choose = (
            "(() => { const q = order[at], high = RIGHT[q.trial];"
            "document.querySelectorAll('fieldset').forEach((set) => {"
            "const inputs = set.querySelectorAll('input');"
            "inputs[high ? q.clips.indexOf(high) : 4].click(); }); })()"
        ).replace("RIGHT", json.dumps(right))
        ask(choose)
        assert ask("document.getElementById('next').disabled") is True, "answered, but not heard"
        ask(
            "(async () => { for (const a of document.querySelectorAll('audio')) { await a.play();"
            "await new Promise(done => { if (a.ended) done(); else a.onended = done; }); } })()"
        )
        assert ask("document.getElementById('next').disabled") is False
        ask("document.getElementById('next').click()")
    href = ask("document.getElementById('save').href")
    assert ask("document.getElementById('save').download") == "answers.csv"
    text = unquote(href.partition(",")[2])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 4 and rows[0]["listener"] == '\'=cmd|, "x"', "a spreadsheet runs nothing"
    (tmp_path / "answers.csv").write_text(text)
    (tmp_path / "key.json").write_text(made.key)
    found = answers.read([tmp_path / "answers.csv"], tmp_path / "key.json")
    assert found.pairs["high"].tolist() == [1] and found.ratings["rating"].tolist() == [5, 5]
    assert chromium.now.strangers == [], "nothing was asked of a network"
