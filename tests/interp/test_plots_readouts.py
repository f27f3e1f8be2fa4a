"""Figures of linear readouts show every model, layer and baseline that they were given."""

from __future__ import annotations

import pytest

from interp.errors import InterpError
from interp.plots.readouts import plane, readouts_by_layer
from interp.stats import Interval

PANELS = {
    "tempo": {
        "étude": [Interval(0.2, 0.1, 0.3), Interval(0.8, 0.7, 0.9)],
        "twin": [Interval(0, -0.1, 0.1)] * 2,
    },
    "cadence": {
        "étude": [Interval(0.1, 0, 0.2), Interval(0.5, 0.4, 0.6)],
        "twin": [Interval(0, -0.1, 0.1)] * 2,
    },
}


def test_readouts_by_layer_has_a_panel_a_target_and_a_line_a_model():
    baselines = {"tempo": {"acoustic descriptors": 0.7}}
    figure = readouts_by_layer(PANELS, ["in", "0"], baselines, alt="Scores by layer.")
    tempo, cadence = figure.axes
    assert [tempo.get_title(), cadence.get_title()] == ["tempo", "cadence"]
    assert tempo.get_legend_handles_labels()[1] == [
        "acoustic descriptors",
        "étude",
        "twin",
    ]
    assert list(tempo.containers[0].lines[0].get_ydata()) == [0.2, 0.8]
    assert len(tempo.lines) == len(cadence.lines) + 1  # the baseline


def test_readouts_by_layer_needs_alternative_text():
    with pytest.raises(InterpError, match="alternative text"):
        readouts_by_layer(PANELS, ["in", "0"], {}, alt="")


def test_a_plane_has_a_mean_with_both_intervals_for_every_condition_and_kind():
    at = (Interval(0.5, 0.25, 0.75), Interval(-0.5, -0.75, -0.25))
    panels = {"étude": {"emotion words": {"happy": at, "sad": at}, "neither": {"none": at}}}
    figure = plane(panels, alt="Readings of three conditions.")
    (ax,) = figure.axes
    assert len(ax.containers) == 3
    assert [float(ax.containers[0].lines[0].get_data()[i][0]) for i in (0, 1)] == [0.5, -0.5]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["happy", "sad", "none", "emotion words", "neither"]
