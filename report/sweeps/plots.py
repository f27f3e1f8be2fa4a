"""Plots of a sweep: each number over the first swept parameter, a line for each value of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_PLOTS = 12
MOST_LINES = 8
MOST_TICKS = 8  # at the values themselves; beyond that where they fall


def numbers_of(record: dict[str, Any]) -> list[str]:
    """The numbers that have a plot: those that the runs recorded, without ends of intervals."""
    return list(record["units"])[:MOST_PLOTS]


def draw(record: dict[str, Any], folder: Path) -> dict[str, str]:
    """Draw one PNG for each number into ``folder``.

    Returns
    -------
    dict
        Number → what its plot shows, for those who cannot see it.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    done = [row for row in record["rows"] if row["status"] == "done"]
    across, *others = record["swept"]
    words = {}
    for index, name in enumerate(numbers_of(record)):
        rows = [row for row in done if name in row]
        lines: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            lines.setdefault(", ".join(f"{o} = {_text(row[o])}" for o in others), []).append(row)
        fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        scattered = len(lines) > MOST_LINES  # random draws: no two points have the rest in common
        place = _places(rows, across)
        for label, line in {"": rows}.items() if scattered else lines.items():
            line = sorted(line, key=lambda row: place[_text(row[across])])
            at, value = [place[_text(row[across])] for row in line], [row[name] for row in line]
            ax.plot(at, value, "o" if scattered else "o-", ms=4, lw=1.2, label=label or None)
            if all(f"{name}.low" in row for row in line):
                ends = [[row[f"{name}.low"] for row in line], [row[f"{name}.high"] for row in line]]
                ax.vlines(at, *ends, lw=0.8, color=ax.lines[-1].get_color(), alpha=0.6)
        if not _are_numbers(rows, across):
            ax.set_xticks(list(place.values()), list(place), rotation=20, ha="right")
        elif len(place) <= MOST_TICKS:
            ax.set_xticks(sorted(place.values()))
        unit = record["units"][name]
        ax.set(xlabel=across, ylabel=f"{name} ({unit})" if unit else name)
        if others and not scattered:
            ax.legend(fontsize="small")
        fig.savefig(folder / f"{index}.png", dpi=120, metadata={"Software": None})
        plt.close(fig)
        values = [row[name] for row in rows]
        words[name] = f"{name} over {across}, from {min(values):g} to {max(values):g} in {len(rows)} runs"
    return words


def _are_numbers(rows: list[dict[str, Any]], name: str) -> bool:
    return all(isinstance(row[name], (int, float)) and not isinstance(row[name], bool) for row in rows)


def _places(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Where each value stands on the axis: at itself, or where it is no number, in order of appearance."""
    if _are_numbers(rows, name):
        return {_text(row[name]): row[name] for row in rows}
    return {text: place for place, text in enumerate(dict.fromkeys(_text(row[name]) for row in rows))}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
