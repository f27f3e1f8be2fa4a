"""Figures of what a push does and what it costs; see :mod:`interp.plots` for all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..stats import Interval
from . import COLOURS, _figure, _style


def candidates_map(
    maps: Mapping[str, np.ndarray],
    places: Sequence[str],
    doses: Sequence[float],
    chosen: Mapping[str, tuple[str, float]],
    alt: str,
) -> Figure:
    """Heat maps [place, dose], a panel for each title, with what was chosen in a frame; places are names."""
    columns = 2
    rows = -(-len(maps) // columns)
    figure, axes = _figure(alt, rows, columns, size=(7.6, 0.55 * len(places) * rows + 1.4 * rows))
    for ax, (title, values) in zip(axes.flat, maps.items(), strict=False):
        most = float(np.nanmax(np.abs(values))) or 1.0
        signed = np.nanmin(values) < 0
        colours = {"cmap": "PuOr", "vmin": -most} if signed else {"cmap": "Purples", "vmin": 0.0}
        image = ax.imshow(values, vmax=most, aspect="auto", **colours)
        for (i, j), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.7 * most else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)
        place, dose = chosen[title]
        corner = (list(doses).index(dose) - 0.5, list(places).index(place) - 0.5)
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5))
        ax.set_xticks(range(len(doses)), [f"{dose:g}" for dose in doses])
        ax.set_yticks(range(len(places)), places)
        ax.set(xlabel="strength (share of the length)", ylabel="layer, from")
        ax.set_title(title, fontsize=10)
        figure.colorbar(image, ax=ax, shrink=0.9)
    for ax in axes.flat[len(maps) :]:
        ax.axis("off")
    return figure


def dose_response(
    panels: Mapping[str, Mapping[str, Mapping[float, Interval]]], bands: Mapping[str, float], alt: str
) -> Figure:
    """A judgement against dose: a panel for each axis, a line for each vector.

    Parameters
    ----------
    panels : dict
        ``panels[axis][vector][dose]``, means with intervals.
    bands : dict
        Axis → reach of random vectors on either side of 0, drawn grey.
    """
    figure, axes = _figure(alt, 1, len(panels), size=(8.2, 4.2), sharey=True)
    for ax, (axis, lines) in zip(axes[0], panels.items(), strict=True):
        ax.axhspan(-bands[axis], bands[axis], color="#999999", alpha=0.3, linewidth=0, label="random vectors")
        ax.axhline(0, color="k", linewidth=0.6)
        widest = max(abs(dose) for found in lines.values() for dose in found)
        for i, (name, found) in enumerate(lines.items()):
            x = np.array(list(found)) + 0.012 * widest * (i - len(lines) / 2)
            middle = np.array([f.estimate for f in found.values()])
            ends = np.array([[f.estimate - f.low, f.high - f.estimate] for f in found.values()]).T
            own = name == axis
            style = _style(i) | {"linewidth": 2 if own else 0.8, "markersize": 6 if own else 4}
            ax.errorbar(x, middle, yerr=ends, label=name, elinewidth=0.8, **style)
        ax.set_title(f"judged {axis}", fontsize=10)
        ax.set_xlabel("strength (share of the activation's length)")
        ax.locator_params(axis="x", nbins=5)
    axes[0, 0].set_ylabel("judged (SD of unsteered clips)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def against_chance(groups: Mapping[str, Mapping], alt: str) -> Figure:
    """Shifts of vectors that mean nothing as points, and of vectors that were found as lines across.

    Parameters
    ----------
    groups : dict
        Axis → ``{"random": [vector], "reach": float, "shuffled": [vector], "found": {method: shift}}``; bars
        stand at ``reach`` either way, see :func:`interp.steering.effects.reach`.
    """
    figure, axes = _figure(alt, len(groups), 1, size=(7.6, 2.6 * len(groups) + 0.6), sharex=True)
    rng = np.random.default_rng(0)
    for ax, (axis, found) in zip(axes[:, 0], groups.items(), strict=True):
        for row, (kind, colour) in enumerate((("random", "#777777"), ("shuffled", COLOURS[5]))):
            values = np.asarray(found[kind])
            y = row + rng.uniform(-0.22, 0.22, len(values))
            ax.plot(values, y, linestyle="none", marker="o", markersize=3.5, color=colour, alpha=0.8)
        for bar in (-found["reach"], found["reach"]):
            ax.plot([bar, bar], [-0.35, 0.35], color="k", linewidth=1)
        for i, (method, value) in enumerate(found["found"].items()):
            y = 2 + 0.12 * (i - len(found["found"]) / 2)
            ax.plot([value], [y], linestyle="none", label=method, markersize=7, **_style(i))
        ax.axvline(0, color="k", linewidth=0.6)
        ax.set_yticks([0, 1, 2], ["random", "labels dealt anew", "found"], fontsize=9)
        ax.set_title(f"judged {axis}", fontsize=10)
    axes[-1, 0].set_xlabel("shift (SD of unsteered clips)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    return figure


def trade_off(points: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], alt: str) -> Figure:
    """Shift against the share of incoherent clips: a panel for each axis, a line for each method's doses.

    Parameters
    ----------
    points : dict
        ``points[axis][method]``: (share beyond the bound, shift) of each dose, mildest first. What no other
        point beats in both is ringed.
    """
    figure, axes = _figure(alt, 1, len(points), size=(8.2, 4.2), sharey=True)
    for ax, (axis, methods) in zip(axes[0], points.items(), strict=True):
        every = np.array([at for of in methods.values() for at in of])
        for i, (method, of) in enumerate(methods.items()):
            x, y = np.array(of).T
            ax.plot(x, y, markersize=6, linewidth=1, label=method, **_style(i))
        for x, y in every:
            if not ((every[:, 0] <= x) & (every[:, 1] >= y) & (every != (x, y)).any(1)).any():
                ax.plot([x], [y], marker="o", markersize=13, markerfacecolor="none", color="k", linewidth=0)
        ax.axvline(0.05, color="k", linestyle=":", linewidth=1)
        ax.axhline(0, color="k", linewidth=0.6)
        ax.set_title(f"judged {axis}", fontsize=10)
        ax.set_xlabel("share of clips beyond the bound")
    axes[0, 0].set_ylabel("shift, negative to positive dose (SD)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
