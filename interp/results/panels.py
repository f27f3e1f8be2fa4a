"""Listening panels: sliders that switch between clips, with what is measured of each beside them.

A panel is a figure of the run: ``figures/<name>.html`` is a piece of the page that a script
(``book/_static/dosepanel.js``) makes play, and ``figures/<name>.png``, what is seen without the script and on
paper, draws the same numbers.  Every slider position has its player, so that readers without JavaScript can
still listen.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .. import results
from ..errors import InterpError, check_list
from ..plots import COLOURS, MARKERS, _figure
from .maps import self_contained

HINT = "Move a slider to change the strength. Keyboard: arrows move a slider, Enter plays and pauses."


@dataclass(frozen=True)
class Stop:
    """One position of the sliders.

    Attributes
    ----------
    at : tuple of float
        Value on each slider, in their order.
    sound : Sound
        As :func:`interp.results.audio` with ``show=False`` gave it in this run.
    measured : dict
        Measure → its value; all stops have the same measures.
    """

    at: tuple[float, ...]
    sound: Any
    measured: Mapping[str, float]


def panel(
    name: str,
    stops: Mapping[str, Sequence[Stop]],
    axes: Sequence[str],
    units: Mapping[str, str],
    *,
    caption: str,
    alt: str,
) -> None:
    """Record and show a panel.

    Parameters
    ----------
    name : as in :func:`interp.results.figure`.
    stops : dict
        From a prompt to its stops: one for each combination of the sliders' values that all prompts have.
    axes : names of the sliders, one ("valence") or two ("valence", "arousal").
    units : dict
        From each measure to its unit, in the order in which they are shown.
    caption : what the figure shows; MyST text.
    alt : the same for someone who cannot see it; plain text.

    Raises
    ------
    InterpError
        If a combination is missing or there twice, measures differ or are not finite, a sound was not
        recorded in this run, there are not one or two sliders, or caption or alternative text is empty.
    """
    axes = check_list(axes, "axes")
    if len(axes) not in (1, 2):
        raise InterpError(f"Panel {name!r} has one slider or two, not {len(axes)}.")
    if not stops:
        raise InterpError(f"Panel {name!r} has no prompts; give at least one.")
    values = _positions(name, stops, len(axes))
    for prompt, of_prompt in stops.items():
        for stop in of_prompt:
            _check(name, prompt, stop, units)
    figure = _draw(stops, axes, units, alt)
    path = results.figure(name, figure, caption=caption, alt=alt, show=False)
    fragment = _fragment(name, stops, axes, units, values)
    results._write(path.with_suffix(".html"), fragment.encode())
    results._written["figures"][name]["panel"] = {
        "file": f"figures/{name}.html",
        "axes": axes,
        "prompts": list(stops),
        "sounds": [stop.sound.name for of_prompt in stops.values() for stop in of_prompt],
    }
    results._save()
    sounds = [stop.sound for of_prompt in stops.values() for stop in of_prompt]
    shown = {
        "text/html": self_contained("dosepanel", fragment, sounds, caption),
        "image/png": base64.b64encode(path.read_bytes()).decode(),
        "text/plain": alt,
    }
    results._show(shown, {"figure": name})


def _positions(name: str, stops: Mapping[str, Sequence[Stop]], count: int) -> list[list[float]]:
    """Values of each slider, ascending; every prompt has each combination once."""
    first = next(iter(stops.values()))
    values = [sorted({stop.at[i] for stop in first if len(stop.at) == count}) for i in range(count)]
    wanted = (
        sorted((a, b) for a in values[0] for b in values[-1]) if count == 2 else [(a,) for a in values[0]]
    )
    for prompt, of_prompt in stops.items():
        if sorted(tuple(stop.at) for stop in of_prompt) != wanted or not wanted:
            raise InterpError(
                f"Panel {name!r}: “{prompt}” has {len(of_prompt)} stops, and the sliders have {len(wanted)} "
                "positions; give each combination of values once."
            )
    return values


def _check(name: str, prompt: str, stop: Stop, units: Mapping[str, str]) -> None:
    if not isinstance(stop.sound, results.Sound) or stop.sound.name not in results._written["audio"]:
        what = getattr(stop.sound, "name", stop.sound)
        raise InterpError(f"Panel {name!r}: {what!r} is no sound of this run; record it by results.audio.")
    if list(stop.measured) != list(units) or not np.isfinite(list(stop.measured.values())).all():
        raise InterpError(
            f"Panel {name!r}: “{prompt}” at {stop.at} must have a finite value of {', '.join(units)}, "
            f"not {dict(stop.measured)}."
        )


def _draw(
    stops: Mapping[str, Sequence[Stop]], axes: Sequence[str], units: Mapping[str, str], alt: str
) -> Figure:
    """Each measure against the first slider, the second in its middle."""
    columns = min(3, len(units))
    rows = -(-len(units) // columns)
    figure, grid = _figure(alt, rows, columns, size=(2.7 * columns, 2.2 * rows + 0.4))
    middle = sorted({stop.at[-1] for stop in next(iter(stops.values()))})
    middle = middle[len(middle) // 2]
    for ax, (measure, unit) in zip(grid.flat, units.items(), strict=False):
        for i, (prompt, of_prompt) in enumerate(stops.items()):
            shown = sorted(
                (s.at[0], s.measured[measure]) for s in of_prompt if len(axes) == 1 or s.at[1] == middle
            )
            x, y = np.array(shown).T
            ax.plot(x, y, color=COLOURS[i % 7], marker=MARKERS[i % 7], markersize=4, label=prompt)
        ax.set_title(measure, fontsize=10)
        ax.set_ylabel(unit, fontsize=8)
        ax.set_xlabel(f"strength, {axes[0]}", fontsize=8)
    for ax in grid.flat[len(units) :]:
        ax.axis("off")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _fragment(
    name: str,
    stops: Mapping[str, Sequence[Stop]],
    axes: Sequence[str],
    units: Mapping[str, str],
    values: Sequence[Sequence[float]],
) -> str:
    """Controls, and the list of all clips from which the script takes what it plays and shows."""
    said = {measure: [s.measured[measure] for of in stops.values() for s in of] for measure in units}
    scale = {measure: (min(x), max(x)) for measure, x in said.items()}
    rows = []
    for prompt, of_prompt in stops.items():
        for stop in sorted(of_prompt, key=lambda s: s.at):
            at = ", ".join(f"{axis} {value:+g}" for axis, value in zip(axes, stop.at, strict=True))
            data = html.escape(
                json.dumps({"prompt": prompt, "at": list(stop.at), "measured": dict(stop.measured)})
            )
            numbers = "; ".join(f"{m} {v:.3g} {units[m]}" for m, v in stop.measured.items())
            rows.append(
                f'<li data-stop="{data}"><a class="clip" href="{stop.sound.file}">{html.escape(prompt)}, '
                f"{html.escape(at)}</a> <span>{html.escape(numbers)}</span></li>"
            )
    sliders = []
    for i, (axis, of_axis) in enumerate(zip(axes, values, strict=True)):
        nearest = int(np.abs(np.array(of_axis)).argmin())
        sliders.append(
            f'<label>{html.escape(axis)} <input type="range" class="dose" data-axis="{i}" min="0" '
            f'max="{len(of_axis) - 1}" step="1" value="{nearest}" '
            f'data-values="{html.escape(json.dumps(list(of_axis)))}" '
            f'aria-label="strength of {html.escape(axis)}"><output></output></label>'
        )
    choices = "".join(f"<option>{html.escape(prompt)}</option>" for prompt in stops)
    meters = "".join(
        f'<div class="meter" data-measure="{html.escape(m)}" data-low="{scale[m][0]:.6g}" '
        f'data-high="{scale[m][1]:.6g}" data-unit="{html.escape(unit)}">'
        f'<span class="what">{html.escape(m)}</span>'
        '<span class="bar"><span></span></span><span class="value"></span></div>'
        for m, unit in units.items()
    )
    pad = '<div class="pad" aria-hidden="true"><span class="dot"></span></div>' if len(axes) == 2 else ""
    return (
        f'<div class="doses" data-panel="{html.escape(name)}"><div class="controls">'
        f'<label>prompt <select class="prompt">{choices}</select></label>{"".join(sliders)}{pad}'
        '<audio controls preload="none" aria-label="Clip at the chosen strength"></audio>'
        f'<p role="status">{HINT}</p></div><div class="meters">{meters}</div>'
        f'<ul class="clips">{"".join(rows)}</ul></div>\n'
    )
