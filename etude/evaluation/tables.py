"""Figures with their number of clips and interval, goals, tables, and the generated part of the card."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from interp.errors import InterpError
from interp.stats import Interval, mean


@dataclass(frozen=True)
class Goal:
    """Something that was to be reached, and whether it was."""

    text: str
    met: bool
    found: str


@dataclass
class Table:
    """A table of strings, a note that says how the figures were made, and the goals that hang on them."""

    title: str
    columns: tuple[str, ...]
    note: str
    rows: list[tuple[str, ...]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row of as many cells as there are columns."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{self.title}: {len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def goal(self, text: str, met: bool, found: str) -> None:
        """Append a goal."""
        self.goals.append(Goal(text, bool(met), found))

    def plain(self) -> str:
        """For a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        body.insert(1, "  ".join("-" * width for width in widths))
        verdicts = [f"  {_verdict(g)}  {g.text}: {g.found}" for g in self.goals]
        return "\n".join([self.title, "=" * len(self.title), self.note, "", *body, *verdicts, ""])

    def markdown(self) -> str:
        """For the card."""
        out = [f"### {self.title}", "", self.note, "", _markdown_row(self.columns)]
        out += ["|---" * len(self.columns) + "|", *map(_markdown_row, self.rows), ""]
        if self.goals:
            out += [_markdown_row(("goal", "found", "")), "|---|---|---|"]
            out += [_markdown_row((g.text, g.found, _verdict(g))) for g in self.goals] + [""]
        return "\n".join(out)


def show(interval: Interval, form: str = ".2f", factor: float = 1.0) -> str:
    """``estimate [low, high]``, each times `factor`."""
    return "{} [{}, {}]".format(
        *(format(factor * x, form) for x in (interval.estimate, interval.low, interval.high))
    )


def share(right: np.ndarray, clusters: np.ndarray | None = None) -> Interval:
    """Share of what is right [clip], with its 95 % interval, which stays within 0 and 1.

    Wilson's interval (1927) where clips are independent draws; over `clusters` [clip] where they are not.
    """
    right = np.asarray(right, float)
    if clusters is None:
        ends = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        return Interval(float(right.mean()), float(ends.low), float(ends.high))
    found = mean(right, clusters)
    return Interval(found.estimate, max(0.0, found.low), min(1.0, found.high))


def percent(interval: Interval) -> str:
    """An interval of shares in per cent."""
    return show(interval, ".0f", 100) + " %"


def write_card(card: Path, part: str, body: str) -> None:
    """Put `body` between ``<!-- part: begin -->`` and ``<!-- part: end -->`` in the card, atomically.

    Raises
    ------
    InterpError
        If the card has no such pair of markers.
    """
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    text = card.read_text(encoding="utf-8")
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise InterpError(f"{card} has no lines {begin} and {end}; restore them, tables go between the two.")
    partial = card.with_name(card.name + ".tmp")
    partial.write_text(f"{head}{begin}\n\n{body.strip()}\n\n{end}{tail}", encoding="utf-8")
    os.replace(partial, card)


def _verdict(goal: Goal) -> str:
    return "met" if goal.met else "MISSED"


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
