"""Figures of what linear readouts find; see :mod:`interp.plots` for how all figures are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..stats import Interval
from . import COLOURS, MARKERS, _figure, _style


def readouts_by_layer(
    panels: Mapping[str, Mapping[str, Sequence[Interval]]],
    layers: Sequence[int | str],
    baselines: Mapping[str, Mapping[str, float]],
    alt: str,
    score: str = "held-out R²",
    limits: tuple[float, float] = (-0.35, 1.03),
) -> Figure:
    """How well each target is read at each depth: a panel for each target, a line for each model.

    Parameters
    ----------
    panels : dict
        ``panels[target][model]``: a score with its interval for each layer.
    layers : list
        Labels of the layers; "in" is the stream before the first block.
    baselines : dict
        ``baselines[target][baseline]``: a score, drawn as a level line.
    limits : tuple of float
        Of the scores that are shown; a readout worse than none by more than the default says no more.
    """
    columns = min(3, len(panels))
    rows, x = -(-len(panels) // columns), np.arange(len(layers))
    figure, axes = _figure(alt, rows, columns, size=(8.2, 2.6 * rows + 0.5), sharex=True, sharey=True)
    for ax, (target, lines) in zip(axes.flat, panels.items(), strict=False):
        for i, (model, found) in enumerate(lines.items()):
            middle = np.array([f.estimate for f in found])
            ends = np.array([[f.estimate - f.low, f.high - f.estimate] for f in found]).T
            style = _style(i) | {"markersize": 4, "linewidth": 1, "capsize": 2}
            ax.errorbar(x + 0.08 * (i - len(lines) / 2), middle, yerr=ends, label=model, **style)
        for dash, (name, value) in zip(("--", ":", "-."), baselines.get(target, {}).items(), strict=False):
            ax.axhline(value, color="k", linestyle=dash, linewidth=1, label=name)
        ax.axhline(0, color="0.7", linewidth=0.6)
        ax.set_title(target, fontsize=10)
        ax.set_xticks(x, [str(layer) for layer in layers])
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax in axes[-1]:
        ax.set_xlabel("layer")
    axes[0, 0].set_ylim(limits)
    for ax in axes[:, 0]:
        ax.set_ylabel(score)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def plane(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[Interval]]]],
    alt: str,
    axes: tuple[str, str] = ("valence read", "arousal read"),
) -> Figure:
    """Where conditions lie on two readouts: a panel for each model, means with intervals both ways.

    Parameters
    ----------
    panels : dict
        ``panels[model][kind][condition]``: (horizontal, vertical). Conditions differ by colour, kinds by
        marker.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = _figure(alt, rows, columns, size=(8.2, 2.9 * rows + 0.6), sharex=True, sharey=True)
    conditions = list(dict.fromkeys(c for kinds in panels.values() for of in kinds.values() for c in of))
    kinds = list(dict.fromkeys(kind for of in panels.values() for kind in of))
    for ax, (model, shown) in zip(grid.flat, panels.items(), strict=False):
        ax.axhline(0, color="0.8", linewidth=0.6)
        ax.axvline(0, color="0.8", linewidth=0.6)
        for kind, means in shown.items():
            for condition, (x, y) in means.items():
                spread = [[[z.estimate - z.low], [z.high - z.estimate]] for z in (x, y)]
                colour, marker = COLOURS[conditions.index(condition) % 7], MARKERS[kinds.index(kind) % 7]
                ax.errorbar(
                    x.estimate,
                    y.estimate,
                    xerr=spread[0],
                    yerr=spread[1],
                    color=colour,
                    marker=marker,
                    markersize=5,
                    elinewidth=0.8,
                )
        ax.set_title(model, fontsize=10)
    for ax in grid.flat[len(panels) :]:
        ax.axis("off")
    for ax in grid[-1]:
        ax.set_xlabel(axes[0])
    for ax in grid[:, 0]:
        ax.set_ylabel(axes[1])
    handles = [Line2D([], [], color=COLOURS[i % 7], linewidth=4, label=c) for i, c in enumerate(conditions)]
    handles += [
        Line2D([], [], color="k", marker=MARKERS[i % 7], linestyle="none", label=kind)
        for i, kind in enumerate(kinds)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
