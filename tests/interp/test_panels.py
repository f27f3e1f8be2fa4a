"""Listening panels: recorded whole, escaped, refused where a slider position would have no clip."""

import json

import numpy as np
import pytest
from bs4 import BeautifulSoup

from interp import results
from interp.errors import InterpError
from interp.results.panels import Stop, panel

UNITS = {"level": "dB", "onset rate": "onsets/s"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    return tmp_path


def stop(at, name=None):
    name = name or "clip." + ".".join(f"{value:g}".replace("-", "m") for value in at)
    wave = np.linspace(-0.5, 0.5, 4000) * (1 + sum(at)) / 4
    sound = results.audio(name, wave, 8000, caption="a <clip>", listen="level", show=False)
    return Stop(at, sound, {"level": -20.0 + at[0], "onset rate": 3.0})


def make(stops, axes=("valence",), name="dose"):
    panel(name, stops, axes, UNITS, caption="A **panel**.", alt="Level against strength")


def test_a_panel_holds_every_position_with_its_numbers(run):
    pad = [(v, a) for v in (-1.0, 0.0, 1.0) for a in (0.0, 1.0)]
    make({'<piano> & "co"': [stop(at) for at in pad]}, ("valence", "arousal"))
    page = BeautifulSoup((run / "figures/dose.html").read_text(), "html.parser")
    items = [json.loads(li["data-stop"]) for li in page.select("li[data-stop]")]
    assert [tuple(item["at"]) for item in items] == pad
    assert items[0]["prompt"] == page.option.get_text() == '<piano> & "co"'
    assert items[-1]["measured"] == {"level": -19.0, "onset rate": 3.0}
    assert [json.loads(s["data-values"]) for s in page.select("input.dose")] == [[-1, 0, 1], [0, 1]]
    assert page.select("input.dose")[0]["value"] == "1", "it starts where nothing is pushed"
    assert page.select_one(".pad") and all((run / a["href"]).is_file() for a in page.select("a.clip"))
    recorded = json.loads((run / "results.json").read_text())["figures"]["dose"]
    assert recorded["panel"]["axes"] == ["valence", "arousal"] and len(recorded["panel"]["sounds"]) == 6
    assert (run / recorded["file"]).is_file()


def test_one_slider_needs_no_pad(run):
    make({"piano": [stop((v,)) for v in (-1.0, 0.0, 1.0)]})
    assert 'class="pad"' not in (run / "figures/dose.html").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda stops: stops.pop(), "sliders have 4 positions"),
        (lambda stops: stops.__setitem__(1, stops[0]), "once"),
        (
            lambda stops: stops.__setitem__(1, Stop(stops[1].at, stops[1].sound, {"level": 1.0})),
            "finite value",
        ),
        (
            lambda stops: stops.__setitem__(1, Stop(stops[1].at, "clip", stops[1].measured)),
            "no sound of this run",
        ),
    ],
)
def test_what_would_have_a_hole_is_refused(run, change, said):
    first = [stop((v, a)) for v in (0.0, 1.0) for a in (0.0, 1.0)]
    second = list(first)
    change(second)
    with pytest.raises(InterpError, match=said):
        make({"piano": first, "strings": second}, ("valence", "arousal"))


def test_three_sliders_are_too_many(run):
    with pytest.raises(InterpError, match="one slider or two"):
        make({"piano": [stop((0.0,))]}, ("a", "b", "c"))
    with pytest.raises(InterpError, match="no prompts"):
        make({})
