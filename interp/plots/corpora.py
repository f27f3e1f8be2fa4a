"""Pictures of corpora."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from . import COLOURS, _figure


def rated_plane(valence: Sequence[float], arousal: Sequence[float], title: str, alt: str) -> Figure:
    """Clips on the plane of valence and arousal, [-1, 1] each; the darker, the more of them at one place."""
    figure, axes = _figure(alt, size=(5.2, 5.2))
    ax = axes[0, 0]
    x, y = np.asarray(valence, float), np.asarray(arousal, float)
    places, counts = np.unique(np.stack([x, y]).round(3), axis=1, return_counts=True)
    size = 14 * np.sqrt(counts)  # area grows with the number at one place, as in sets that rate by sign alone
    ax.scatter(*places, s=size, color=COLOURS[0], alpha=0.45, linewidths=0)
    ax.axhline(0, color="#888888", linewidth=0.8)
    ax.axvline(0, color="#888888", linewidth=0.8)
    ax.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), xlabel="valence", ylabel="arousal", title=title)
    ax.set_aspect("equal")
    return figure
