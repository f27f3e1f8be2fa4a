"""Figures of the shape of activations show every clip in every picture."""

import numpy as np

from interp.plots.geometry import pictures


def test_pictures_have_a_panel_each_with_every_clip_in_the_colour_of_its_group():
    points = np.arange(10.0).reshape(5, 2)
    groups = ["sad", "happy", "sad", "happy", "happy"]
    figure = pictures({"5 neighbours": points, "15 neighbours": -points}, groups, alt="Two pictures.")
    assert figure.alt == "Two pictures."
    few, many = figure.axes
    assert [few.get_title(), many.get_title()] == ["5 neighbours", "15 neighbours"]
    sad, happy = few.collections
    assert np.array_equal(sad.get_offsets(), points[[0, 2]])
    assert np.array_equal(happy.get_offsets(), points[[1, 3, 4]])
    assert not np.array_equal(sad.get_facecolor(), happy.get_facecolor())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sad", "happy"]
