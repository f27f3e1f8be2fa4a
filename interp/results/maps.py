"""A sound map: a scatter plot of clips in which a click on a point plays its clip.

:func:`sound_map` draws the same scene twice from one layout: as a picture, and as a piece of HTML with an SVG
whose points are links to the sounds.  A script and a style that the book carries as well make these play:
``book/_static/soundmap.js`` and ``soundmap.css``.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Outline

from .. import results
from ..errors import InterpError, check_list
from ..plots import COLOURS, MARKERS, _as_numpy, _figure

DPI = 100  # dots of the layout are pixels of the SVG at its natural size
MARKER_PT = 7  # size of a marker
TARGET_PX = 28  # diameter of what answers to a click; 24 and more where a page shows the map smaller
HINT = "Click a point to hear its clip. Keyboard: arrows move, Enter plays, Escape stops."
LETTERS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}


def sound_map(
    name: str,
    points: Any,
    sounds: Sequence[Any],
    groups: Sequence[Any],
    *,
    caption: str,
    alt: str,
    axes: tuple[str, str] = ("UMAP 1", "UMAP 2"),
) -> None:
    """Record and show a scatter plot of clips, each of which plays when its point is chosen.

    It is a figure of the run like any other; in the book, readers without JavaScript and those who print see
    the picture.  Maps of the same clips share their sounds.

    Parameters
    ----------
    name : as in :func:`interp.results.figure`.
    points : array or tensor [clip, 2]; finite.  Both axes get one scale, since distances mean something.
    sounds : list of Sound
        One a clip, as :func:`interp.results.audio` with ``show=False`` returned them in this run.
    groups : list
        One label a clip, such as its emotion: colour, marker, and a line of the legend.
    caption : what the figure shows; MyST text.
    alt : the same for someone who cannot see it; plain text.
    axes : labels of the horizontal and the vertical axis.

    Raises
    ------
    InterpError
        If the lengths differ, a coordinate is not finite, a sound was not recorded in this run, there are
        more groups than pairs of colour and marker (49), or caption or alternative text is empty.
    """
    xy, sounds, groups = _as_numpy(points), check_list(sounds, "sounds"), [str(g) for g in groups]
    if xy.shape != (len(sounds), 2) or len(groups) != len(sounds):
        raise InterpError(
            f"Map {name!r} has points of shape {list(xy.shape)}, {len(sounds)} sounds and {len(groups)} "
            "groups; give [n, 2], n and n."
        )
    if not np.isfinite(xy).all():
        where = ", ".join(map(str, np.flatnonzero(~np.isfinite(xy).all(1))[:5]))
        raise InterpError(f"Map {name!r} has points that are not finite, at {where}; leave these clips out.")
    for sound in sounds:
        if not isinstance(sound, results.Sound) or sound.name not in results._written["audio"]:
            what = getattr(sound, "name", sound)
            raise InterpError(f"Map {name!r}: {what!r} is no sound of this run; record it by results.audio.")
    if len(axes) != 2:
        raise InterpError(f"Map {name!r} needs two labels of axes, not {axes!r}.")
    figure = _scatter(xy, groups, axes, alt)
    fragment = _fragment(figure, xy, sounds, groups)
    path = results.figure(name, figure, caption=caption, alt=alt, show=False)
    results._write(path.with_suffix(".html"), fragment.encode())
    results._written["figures"][name]["map"] = {
        "file": f"figures/{name}.html",
        "axes": list(axes),
        "points": xy.tolist(),
        "sounds": [sound.name for sound in sounds],
        "groups": groups,
    }
    results._save()
    shown = {
        "text/html": self_contained("soundmap", fragment, sounds, caption),
        "image/png": base64.b64encode(path.read_bytes()).decode(),
        "text/plain": alt,
    }
    results._show(shown, {"figure": name})


def _styles(groups: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each group, in order of first appearance; no two groups share both."""
    labels = list(dict.fromkeys(groups))
    if len(labels) > len(COLOURS) * len(MARKERS):
        raise InterpError(f"A map tells {len(COLOURS) * len(MARKERS)} groups apart, not {len(labels)}.")
    return {label: (COLOURS[i % 7], MARKERS[(i + i // 7) % 7]) for i, label in enumerate(labels)}


def _scatter(xy: np.ndarray, groups: Sequence[str], axes: Sequence[str], alt: str) -> Figure:
    figure, panels = _figure(alt, size=(7, 4.6))
    figure.set_dpi(DPI)
    ax = panels[0, 0]
    chosen = np.array(groups)
    for label, (colour, marker) in _styles(groups).items():
        x, y = xy[chosen == label].T
        style = {"color": colour, "marker": marker, "markersize": MARKER_PT, "markeredgecolor": "k"}
        ax.plot(x, y, linestyle="none", markeredgewidth=0.4, label=label, **style)
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.06)
    figure.legend(loc="outside right upper", frameon=False, fontsize=10, handletextpad=0.2)
    return figure


def _fragment(figure: Figure, xy: np.ndarray, sounds: Sequence[Any], groups: Sequence[str]) -> str:
    """The SVG of a scatter plot in the place of its parts, with a player; text is escaped."""
    figure.draw_without_rendering()  # lays it out
    (ax,), (legend,) = figure.axes, figure.legends
    width, height = (int(side) for side in figure.bbox.size)

    def text(item: Any, anchor: str, turned: bool = False) -> str:
        box = item.get_window_extent()
        x = {"start": box.x0, "middle": (box.x0 + box.x1) / 2, "end": box.x1}[anchor]
        y = height - (box.y0 + box.y1) / 2
        place = (
            f'transform="translate({x:.1f} {y:.1f}) rotate(-90)"' if turned else f'x="{x:.1f}" y="{y:.1f}"'
        )
        said = html.escape(item.get_text())
        size = item.get_fontsize() * DPI / 72
        return f'<text {place} dy="0.35em" text-anchor="{anchor}" font-size="{size:.1f}">{said}</text>'

    def mark(label: str) -> str:
        colour, marker = styles[label]
        colour = "currentColor" if colour == "#000000" else colour  # black is not seen on a dark page
        return f'<path class="dot" fill="{colour}" d="{_outline(marker)}"/>'

    styles, box = _styles(groups), ax.bbox
    left, right, top, bottom = box.x0, box.x1, height - box.y1, height - box.y0
    lines = [f"M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}"]
    words = [text(ax.xaxis.label, "middle"), text(ax.yaxis.label, "middle", turned=True)]
    for axis in (ax.xaxis, ax.yaxis):
        for tick, value in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True):
            x, y = ax.transData.transform((value, value))
            if axis is ax.xaxis and left <= x <= right:
                lines.append(f"M{x:.1f} {bottom:.1f}v5")
                words.append(text(tick.label1, "middle"))
            elif axis is ax.yaxis and top <= height - y <= bottom:
                lines.append(f"M{left:.1f} {height - y:.1f}h-5")
                words.append(text(tick.label1, "end"))
    for handle, item in zip(legend.legend_handles, legend.get_texts(), strict=True):
        middle, row = handle.get_window_extent(), item.get_window_extent()
        x, y = (middle.x0 + middle.x1) / 2, height - (row.y0 + row.y1) / 2
        words.append(f'<g transform="translate({x:.1f} {y:.1f})">{mark(item.get_text())}</g>')
        words.append(text(item, "start"))
    dots = []
    for index, ((x, y), sound, group) in enumerate(
        zip(ax.transData.transform(xy), sounds, groups, strict=True)
    ):
        said = html.escape(f"{group}: {sound.caption}")
        dots.append(
            f'<a class="point" role="button" href="{sound.file}" aria-label="{said}" '
            f'tabindex="{-1 if index else 0}" transform="translate({x:.1f} {height - y:.1f})">'
            f'<title>{said}</title><circle class="target" r="{TARGET_PX // 2}"/>{mark(group)}</a>'
        )
    return (
        f'<div class="map"><div class="plot"><svg viewBox="0 0 {width} {height}" role="group" '
        f'aria-label="{html.escape(figure.alt)}">\n'
        f'<g class="axes" aria-hidden="true"><path d="{"".join(lines)}"/>{"".join(words)}</g>\n'
        + "\n".join(dots)
        + '\n</svg></div><div class="player"><audio controls preload="none" '
        f'aria-label="Clip of the chosen point"></audio><p role="status">{HINT}</p></div></div>\n'
    )


def _outline(marker: str) -> str:
    """A marker of matplotlib as the outline of an SVG path around 0, in pixels."""
    style, scale = MarkerStyle(marker), MARKER_PT * DPI / 72
    path = style.get_path().transformed(style.get_transform())
    steps = []
    for values, code in path.iter_segments():
        if code == Outline.CLOSEPOLY:
            steps.append("Z")
        else:
            corners = values.reshape(-1, 2) * [scale, -scale]
            steps.append(LETTERS[code] + " ".join(f"{value:.2f}" for value in corners.ravel()))
    return "".join(steps)


def self_contained(kind: str, fragment: str, sounds: Sequence[Any], caption: str) -> str:
    """A figure that plays, as a notebook shows it: with script, style and, outside a report's run, sounds.

    Parameters
    ----------
    kind : name of its script, of its style and of its class: "soundmap" or "dosepanel".
    """
    if results.RUN_DIR not in os.environ:
        for file in {sound.file for sound in sounds}:
            fragment = fragment.replace(
                f'href="{file}"', f'href="{results._data_uri(results.run_dir() / file)}"'
            )
    static = results.ROOT / "book" / "_static"
    style, script = (
        (static / f"{kind}.{suffix}").read_text(encoding="utf-8").strip() for suffix in ("css", "js")
    )
    return (
        f'<style>{style}</style><figure class="{kind}">{fragment}'
        f"<figcaption>{html.escape(' '.join(caption.split()))}</figcaption></figure><script>{script}</script>"
    )
