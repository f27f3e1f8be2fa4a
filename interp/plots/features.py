"""Figures of sparse features; see :mod:`interp.plots` for how all figures are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..errors import check_list
from . import COLOURS, _figure


def over_time(
    panels: Sequence[tuple[str, Sequence[float], Sequence[float], tuple[float, float]]], alt: str
) -> Figure:
    """Activation of a feature against time, a panel for each clip, the excerpt shaded.

    Parameters
    ----------
    panels : list of (title, seconds [step], activation [step], (start, end))
        Times in seconds.
    """
    panels = check_list(panels, "panels")
    figure, axes = _figure(alt, 1, len(panels), size=(2.6 * len(panels) + 0.6, 1.9), sharey=True)
    for ax, (title, seconds, activation, excerpt) in zip(axes[0], panels, strict=True):
        ax.axvspan(*excerpt, color=COLOURS[4], alpha=0.3, linewidth=0)
        ax.plot(seconds, activation, color=COLOURS[0], linewidth=1)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("time in the clip (s)", fontsize=8)
        ax.set_xlim(0, seconds[-1])
    axes[0, 0].set_ylim(0, None)
    axes[0, 0].set_ylabel("activation", fontsize=8)
    return figure


def answering_features(series: Mapping[str, Sequence[float]], alt: str) -> Figure:
    """How many features answer how well: share of features above each held-out AUROC, a line for each set.

    Parameters
    ----------
    series : dict
        From a name (a dictionary, its random twin, PCA, ICA) to the held-out AUROC of every feature for what
        it was found to answer to, 0.5 for a feature that answers to nothing; below 0.5 counts as 0.5.
    """
    figure, axes = _figure(alt, size=(6, 3.6))
    ax = axes[0, 0]
    for i, (name, aurocs) in enumerate(series.items()):
        x = np.sort(np.maximum(0.5, np.asarray(aurocs, float)))
        share = 1 - np.arange(len(x)) / len(x)
        style = {"color": COLOURS[i % 7], "linestyle": ["-", "--", "-.", ":"][i % 4], "linewidth": 1.5}
        ax.step(np.concatenate([[0.5], x, [1.0]]), np.concatenate([[1.0], share, [0.0]]), label=name, **style)
    ax.set(xlabel="held-out AUROC", ylabel="share of features above it", xlim=(0.5, 1), ylim=(0, 1.02))
    ax.legend(frameon=False, fontsize=9)
    return figure
