"""Figures of what linear readouts find; see :mod:`interp.plots` for how all figures are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .plots import COLOURS, MARKERS, _figure
from .stats import Interval


def readouts_by_layer(
    panels: Mapping[str, Mapping[str, Sequence[Interval]]],
    layers: Sequence[int | str],
    baselines: Mapping[str, Mapping[str, float]],
    alt: str,
    score: str = "held-out R²",
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
    """
    columns = min(3, len(panels))
    rows, x = -(-len(panels) // columns), np.arange(len(layers))
    figure, axes = _figure(alt, rows, columns, size=(8.2, 2.6 * rows + 0.5), sharex=True, sharey=True)
    for ax, (target, lines) in zip(axes.flat, panels.items(), strict=False):
        for i, (model, found) in enumerate(lines.items()):
            middle = np.array([f.estimate for f in found])
            ends = np.array([[f.estimate - f.low, f.high - f.estimate] for f in found]).T
            style = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1, "capsize": 2}
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
    axes[0, 0].set_ylim(-0.35, 1.03)  # a readout worse than none by more than this says no more
    for ax in axes[:, 0]:
        ax.set_ylabel(score)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
