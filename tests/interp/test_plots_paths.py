"""Figures of paths and sites show every effect at its place."""

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

from interp.errors import InterpError
from interp.plots.paths import path_diagrams, site_maps
from interp.stats import Interval

EFFECTS = {
    "on mediator": Interval(0.5, 0.3, 0.7),
    "through": Interval(0.02, -0.1, 0.14),
    "direct": Interval(1.0, 0.8, 1.2),
}


def test_an_arrow_is_as_wide_as_its_effect_and_dashed_if_there_may_be_none():
    figure = path_diagrams({"tempo": EFFECTS, "level": EFFECTS}, "energy", "arousal", alt="Two triangles.")
    assert [ax.get_title() for ax in figure.axes] == ["tempo to arousal", "level to arousal"]
    on, through, direct = (p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch))
    assert through.get_linewidth() < on.get_linewidth() < direct.get_linewidth()
    assert through.get_linestyle() not in ("-", "solid") and direct.get_linestyle() in ("-", "solid")
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written[:3] == ["tempo", "energy", "arousal"] and "past it\n+1.00\n[+0.80, +1.20]" in written


def test_maps_share_a_scale_around_0():
    panels = {"sites": np.array([[0.5, 0.0]]), "heads": np.array([[0.1, np.nan], [-1.0, 0.2]])}
    rows = {"sites": ["resid"], "heads": ["0", "1"]}
    figure = site_maps(panels, rows, ["0", "1"], alt="Two maps.")
    assert {ax.images[0].get_clim() for ax in figure.axes[:2]} == {(-1.0, 1.0)}
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.10", "-1.00", "0.20"]
    assert figure.axes[1].get_title() == "heads" and figure.alt == "Two maps."


def test_they_need_alternative_text():
    with pytest.raises(InterpError, match="alternative text"):
        path_diagrams({"tempo": EFFECTS}, "energy", "arousal", alt="")
