"""Figures of what acts on what, and where; see :mod:`interp.plots` for all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from ..stats import Interval
from . import COLOURS, _figure

CORNERS = {"cause": (0.14, 0.2), "mediator": (0.5, 0.85), "outcome": (0.86, 0.2)}


def path_diagrams(
    panels: Mapping[str, Mapping[str, Interval]], mediator: str, outcome: str, alt: str
) -> Figure:
    """A triangle for each cause: what it does to a mediator, and to an outcome through it and past it.

    Parameters
    ----------
    panels : dict
        ``panels[cause]`` has the intervals "on mediator", "through" and "direct", in one unit. Arrows are as
        wide as the effect is large, and dashed where the interval holds 0.
    """
    figure, axes = _figure(alt, 1, len(panels), size=(4.3 * len(panels), 3.0))
    for ax, (cause, effects) in zip(axes.flat, panels.items(), strict=True):
        ax.set(xlim=(0, 1), ylim=(-0.12, 1))
        ax.axis("off")
        ax.set_title(f"{cause} to {outcome}", fontsize=10)
        for corner, name in (("cause", cause), ("mediator", mediator), ("outcome", outcome)):
            box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.3"}
            ax.text(*CORNERS[corner], name, ha="center", va="center", bbox=box, fontsize=10)
        arrows = (
            ("cause", "mediator", "on mediator", f"on {mediator}", (0.24, 0.55), "right", COLOURS[2]),
            ("mediator", "outcome", "through", "through it", (0.76, 0.55), "left", COLOURS[0]),
            ("cause", "outcome", "direct", "past it", (0.5, 0.01), "center", COLOURS[1]),
        )
        for start, end, key, said, at, side, colour in arrows:
            found = effects[key]
            style = {"color": colour, "linewidth": 0.8 + 3 * min(abs(found.estimate), 1.5)}
            if found.low <= 0 <= found.high:
                style["linestyle"] = (0, (4, 3))
            ends = (CORNERS[start], CORNERS[end])
            ax.add_patch(
                FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, shrinkA=30, shrinkB=34, **style)
            )
            numbers = f"{found.estimate:+.2f}\n[{found.low:+.2f}, {found.high:+.2f}]"
            ax.text(*at, f"{said}\n{numbers}", ha=side, va="center", fontsize=8, color=colour)
    return figure


def site_maps(
    panels: Mapping[str, np.ndarray],
    rows: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    alt: str,
    label: str = "share of the effect",
) -> Figure:
    """Heat maps on one scale, with layers along the axis: what each site, or each head, carries.

    Parameters
    ----------
    panels : dict
        Title → [row, layer]. 0 is white, and what is not finite is left grey.
    rows : dict
        Title → names of its rows.
    columns : labels of the layers.
    """
    width = 8.6 if len(panels) > 1 else 5
    figure, axes = _figure(
        alt, -(-len(panels) // 2), min(2, len(panels)), size=(width, 2.6 * -(-len(panels) // 2))
    )
    most = max(float(np.nanmax(np.abs(values))) for values in panels.values()) or 1.0
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=False):
        ax.set_facecolor("0.85")
        image = ax.imshow(values, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
        ax.set_title(title, fontsize=10)
        ax.set_yticks(range(len(rows[title])), rows[title], fontsize=8)
        ax.set_xticks(range(len(columns)), columns, fontsize=8)
        ax.set_xlabel("layer", fontsize=8)
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.7 * most else "black"
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    figure.colorbar(image, ax=axes, label=label, shrink=0.8)
    return figure
