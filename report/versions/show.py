"""A difference of two versions as text, as a page, and as lines for the changelog."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from ..project import ReportError, read_text, write_atomic
from .diff import Difference, Number

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #8886}"
)
OVERLAP = {True: "overlap", False: "apart", None: ""}


def as_text(found: Difference) -> str:
    """Everything, one line each."""
    if not found:
        return f"{found.old} → {found.new}: nothing differs ({found.same_numbers} numbers are the same)."
    lines = [f"{found.old} → {found.new}"]
    for title, rows in sections(found):
        lines += ["", f"{title} ({len(rows)})"] + [f"  {'  '.join(filter(None, row))}" for row in rows]
    return "\n".join([*lines, "", f"{found.same_numbers} numbers are the same."])


def as_page(found: Difference) -> str:
    """A page that needs nothing else; all text is escaped."""
    title = html.escape(f"What differs: {found.old} → {found.new}")
    body = []
    for name, rows in sections(found):
        cells = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        body.append(f"<h2>{html.escape(name)}</h2>\n<table>{cells}</table>")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>'
        f"<h1>{title}</h1>{''.join(body) or '<p>Nothing.</p>'}"
        f"<p>{found.same_numbers} numbers are the same.</p></main></body></html>\n"
    )


def sections(found: Difference) -> Iterator[tuple[str, list[list[str]]]]:
    """The titles and rows of what there is to say, what matters most first."""
    yield from (
        (title, rows)
        for title, rows in (
            ("Verdicts", [[name, f"{old} → {new}"] for name, (old, new) in found.verdicts.items()]),
            ("Numbers", [_number(number) for number in sorted(found.numbers, key=_weight)]),
            ("Figures", [[f"{one.phase}: {one.name}", one.what] for one in found.figures]),
            ("Tables", [[f"{one.phase}: {one.name}", one.what] for one in found.tables]),
            ("Audio", [[f"{one.phase}: {one.name}", one.what] for one in found.audio]),
            ("Parameters", [[line] for line in found.parameters]),
            ("Code and data", [[line] for line in found.code]),
            ("Environment", [[line] for line in found.environment]),
        )
        if rows
    )


def _weight(number: Number) -> tuple:
    """Intervals that are apart come first."""
    return {False: 0, None: 1, True: 2}[number.overlap], number.phase, number.name


def _number(number: Number) -> list[str]:
    sides = [
        "absent" if value is None else f"{value:.4g}" + (f" [{ends[0]:.4g}, {ends[1]:.4g}]" if ends else "")
        for value, ends in ((number.old, number.old_interval), (number.new, number.new_interval))
    ]
    change = "" if number.change is None else f"{number.change:+.3g}"
    unit = f" {number.unit}" if number.unit else ""
    return [f"{number.phase}: {number.name}", " → ".join(sides) + unit, change, OVERLAP[number.overlap]]


def changelog_lines(found: Difference) -> list[str]:
    """The summary: verdicts and numbers whose intervals are apart by name, the rest counted."""
    lines = [f"- {name}: {old} → {new}." for name, (old, new) in found.verdicts.items()]
    apart = [number for number in found.numbers if number.overlap is False]
    lines += [f"- {'; '.join(_number(number)[:2])}: the intervals are apart." for number in apart[:10]]
    counts = {
        "number": len(found.numbers),
        "figure": len(found.figures),
        "table": len(found.tables),
        "sound": len(found.audio),
    }
    differ = [_counted(number, what) for what, number in counts.items() if number]
    if not differ:
        return [*lines, "- No number, figure, table or sound differs."]
    verb = "differs" if sum(counts.values()) == 1 else "differ"
    tail = f"; the intervals of {_counted(len(apart), 'number')} are apart" if apart else ""
    return [*lines, f"- {', '.join(differ)} {verb}{tail}."]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def into_changelog(path: Path, found: Difference) -> None:
    """Put the summary in front of the changelog's newest version; one of the same two versions is replaced.

    Raises
    ------
    ReportError
        If the file is not there, or has no heading of a version.
    """
    if not path.is_file():
        raise ReportError(f"There is no {path.name}; write one with a heading `## [Unreleased]`.")
    text = read_text(path, path.name)
    start = re.search(r"^## .*$", text, re.M)
    if start is None:
        raise ReportError(f"{path.name} has no heading of a version; write `## [Unreleased]`.")
    heading = f"### Results changed, {found.old} → {found.new}"
    summary = "\n".join([heading, "", *changelog_lines(found)]) + "\n\n"
    again = re.search(rf"^{re.escape(heading)}\n.*?(?=^##|\Z)", text, re.M | re.S)
    if again:
        text = text[: again.start()] + summary + text[again.end() :]
    else:  # after the version's own words, before its other sections
        section = re.compile(r"^##|\Z", re.M).search(text, start.end())
        before = text[: section.start()].rstrip("\n")
        text = f"{before}\n\n{summary}{text[section.start() :]}"
    write_atomic(path, text.rstrip("\n") + "\n")
