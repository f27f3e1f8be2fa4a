"""Figures of how much each cue weighs, for people and in models; see :mod:`interp.plots` for all figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ..stats import Interval
from . import _figure, _style


def cue_weights(
    panels: Mapping[str, Mapping[str, Mapping[str, Interval]]], alt: str, reference: str = "people"
) -> Figure:
    """Standardised weights of cues: a panel for each emotion, cues along the axis, models side by side.

    Parameters
    ----------
    panels : dict
        ``panels[emotion][who][cue]``: β with its interval.
    reference : str
        Who is drawn as a grey bar, for the others to be held against.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = _figure(alt, rows, columns, size=(8.2, 2.7 * rows + 0.5), sharex=True, sharey=True)
    for ax, (emotion, weights) in zip(axes.flat, panels.items(), strict=False):
        cues = list(next(iter(weights.values())))
        x, others = np.arange(len(cues)), [who for who in weights if who != reference]
        for who, of in weights.items():
            found = [of[cue] for cue in cues]
            middle = np.array([f.estimate for f in found])
            ends = np.array([[f.estimate - f.low, f.high - f.estimate] for f in found]).T
            if who == reference:
                style = {"color": "0.8", "ecolor": "0.4", "width": 0.9, "error_kw": {"elinewidth": 1}}
                ax.bar(x, middle, yerr=ends, label=who, zorder=0, **style)
                continue
            i = others.index(who)
            at = x + 0.75 * ((i + 0.5) / len(others) - 0.5)
            style = _style(i) | {"markersize": 4, "elinewidth": 1}
            ax.errorbar(at, middle, yerr=ends, linestyle="none", label=who, **style)
        ax.axhline(0, color="k", linewidth=0.6)
        ax.set_title(emotion, fontsize=10)
        ax.set_xticks(x, cues, rotation=45, ha="right", fontsize=8)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax in axes[:, 0]:
        ax.set_ylabel("standardised weight (β)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure
