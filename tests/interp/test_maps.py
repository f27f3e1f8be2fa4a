"""Scatter plots whose points play their clips."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup

from interp import InterpError, results
from interp.results import maps

GROUPS = ["calm", "sad & <slow>", "calm"]
POINTS = np.array([[0.0, 0.0], [1.0, 2.0], [-1.0, 1.0]])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    return tmp_path


@pytest.fixture
def clips(run):
    waves = np.random.default_rng(0).standard_normal((3, 800)) / 10
    return [
        results.audio(f"clip.{i}", wave, 8000, caption=f'Clip "{i}" <b>', listen="hiss", show=False)
        for i, wave in enumerate(waves)
    ]


def draw(points, clips, groups, **changes):
    options = {"caption": "Three *clips*.", "alt": 'Three "points"'} | changes
    results.sound_map("map", points, clips, groups, **options)


def test_a_map_is_a_figure_with_its_data_and_a_drawing_with_a_link_to_every_clip(run, clips):
    draw(POINTS, clips, GROUPS)
    record = json.loads((run / "results.json").read_text())["figures"]["map"]
    assert (record["file"], record["caption"]) == ("figures/map.png", "Three *clips*.")
    assert (run / record["file"]).read_bytes().startswith(b"\x89PNG")
    assert record["map"] == {
        "file": "figures/map.html",
        "axes": ["UMAP 1", "UMAP 2"],
        "points": POINTS.tolist(),
        "sounds": ["clip.0", "clip.1", "clip.2"],
        "groups": GROUPS,
    }
    soup = BeautifulSoup((run / record["map"]["file"]).read_text(), "html.parser")
    points = soup.select("svg .point")
    assert [point["href"] for point in points] == [clip.file for clip in clips]
    assert all((run / point["href"]).is_file() for point in points)
    assert points[1]["aria-label"] == 'sad & <slow>: Clip "1" <b>' == points[1].title.get_text()
    assert soup.svg["aria-label"] == 'Three "points"'
    assert [point["tabindex"] for point in points] == ["0", "-1", "-1"], "a map is one tab stop"
    assert all(float(point.circle["r"]) >= 12 for point in points), "targets are 24 pixels or wider"
    assert soup.audio["preload"] == "none" and not soup.audio.has_attr("src"), "nothing is fetched yet"
    assert not soup.find("b"), "text is text, not markup"
    assert {"UMAP 1", "UMAP 2", "calm", "sad & <slow>"} <= {text.get_text() for text in soup.select("text")}


def test_points_lie_in_the_drawing_as_they_lie_in_the_plane_on_one_scale(run, clips):
    draw(POINTS, clips, GROUPS)
    soup = BeautifulSoup((run / "figures/map.html").read_text(), "html.parser")
    places = [re.findall(r"[\d.]+", point["transform"]) for point in soup.select(".point")]
    x, y = np.array(places, dtype=float).T
    across, down = np.polyfit(POINTS[:, 0], x, 1), np.polyfit(POINTS[:, 1], y, 1)
    assert np.allclose(np.polyval(across, POINTS[:, 0]), x, atol=0.2)
    assert np.allclose(np.polyval(down, POINTS[:, 1]), y, atol=0.2)
    assert across[0] > 0 and np.isclose(across[0], -down[0], rtol=0.01)
    width, height = (float(side) for side in soup.svg["viewbox"].split()[2:])
    assert (12 < x).all() and (x < width - 12).all() and (12 < y).all() and (y < height - 12).all()


def test_the_same_map_is_the_same_file(run, clips):
    draw(POINTS, clips, GROUPS)
    first = [(run / f"figures/map.{kind}").read_bytes() for kind in ("png", "html")]
    draw(POINTS, clips, GROUPS)
    assert [(run / f"figures/map.{kind}").read_bytes() for kind in ("png", "html")] == first


def test_groups_differ_in_marker_or_colour_and_neighbours_in_both():
    styles = list(maps._styles([f"group {i}" for i in range(49)]).values())
    assert len(set(styles)) == 49
    for one, two in zip(styles[:7], styles[1:7], strict=False):
        assert one[0] != two[0] and one[1] != two[1]
    with pytest.raises(InterpError, match="49 groups apart, not 50"):
        maps._styles([f"group {i}" for i in range(50)])


def test_outside_a_run_a_map_carries_its_sounds_script_and_style(run, clips, monkeypatch):
    draw(POINTS, clips, GROUPS)
    fragment = (run / "figures/map.html").read_text()
    within = maps.self_contained("soundmap", fragment, clips, "A <caption>")
    assert clips[0].file in within and "soundMaps" in within and "@media print" in within
    monkeypatch.delenv(results.RUN_DIR)
    monkeypatch.setattr(results, "run_dir", lambda: run)
    alone = maps.self_contained("soundmap", fragment, clips, "A <caption>")
    assert 'href="audio/' not in alone and alone.count('href="data:audio/') == 3
    assert "A &lt;caption&gt;" in alone


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"points": POINTS[:2]}, r"points of shape \[2, 2\], 3 sounds and 3 groups"),
        ({"points": POINTS.T[:, :2]}, "give .n, 2., n and n"),
        ({"groups": ["calm"]}, "3 sounds and 1 groups"),
        ({"points": POINTS * [[1, 1], [1, np.nan], [np.inf, 1]]}, "not finite, at 1, 2"),
        ({"axes": ("UMAP 1",)}, "two labels of axes"),
        ({"caption": " "}, "has no caption"),
        ({"alt": " "}, "needs alternative text"),
    ],
)
def test_what_is_no_map_says_why_and_leaves_nothing(changes, sentence, run, clips):
    arguments = {"points": POINTS, "groups": GROUPS} | changes
    with pytest.raises(InterpError, match=sentence):
        draw(clips=clips, **arguments)
    assert json.loads((run / "results.json").read_text())["figures"] == {}
    assert not (run / "figures").exists()


def test_a_sound_must_be_of_this_run(run, clips, monkeypatch):
    with pytest.raises(InterpError, match="'file.flac' is no sound of this run"):
        draw(POINTS, [*clips[:2], "file.flac"], GROUPS)
    monkeypatch.setattr(results, "_written", {kind: {} for kind in results.KINDS})
    with pytest.raises(InterpError, match=r"'clip.0' is no sound of this run; record it by results.audio"):
        draw(POINTS, clips, GROUPS)


def test_results_have_no_other_names_on_demand():
    with pytest.raises(AttributeError, match="no attribute 'sound_maps'"):
        results.sound_maps  # noqa: B018
