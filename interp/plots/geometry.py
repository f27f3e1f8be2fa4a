"""Figures of the shape of activations; see :mod:`interp.plots` for how all figures are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from . import _figure, _style


def pictures(panels: Mapping[str, np.ndarray], groups: Sequence[str], alt: str) -> Figure:
    """Pictures of the same clips side by side, such as UMAP's with several numbers of neighbours.

    Parameters
    ----------
    panels : dict
        From a title to points [clip, 2].
    groups : sequence of str
        What each clip is, by colour and marker.
    """
    figure, axes = _figure(alt, 1, len(panels), size=(2.8 * len(panels), 3.2))
    groups = np.asarray(groups)
    for ax, (title, points) in zip(axes[0], panels.items(), strict=True):
        for i, group in enumerate(dict.fromkeys(groups.tolist())):
            x, y = points[groups == group].T
            ax.scatter(x, y, s=12, linewidths=0, label=group, **_style(i))
        ax.set_title(title, fontsize=10)
        ax.set(xticks=[], yticks=[])  # distances on such a picture have no unit
        ax.spines[["top", "right"]].set_visible(True)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
