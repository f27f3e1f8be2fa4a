"""The table of a pillar: hypotheses down, models side by side, with a small picture of every interval.

HTML, since a table of Markdown has neither caption nor row headings.  No information is in colour or in a
picture alone: each cell says its verdict and its numbers in words.
"""

from __future__ import annotations

import html
import math

from .hypotheses import Hypothesis, Register
from .verdicts import (
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_ANSWERABLE,
    NOT_TESTED,
    SUPPORTED,
    Check,
    Judged,
    Measured,
)

MARKS = {SUPPORTED: "●", CONTRADICTED: "○", INCONCLUSIVE: "◐", NOT_ANSWERABLE: "✕", NOT_TESTED: "·"}


def number(value: float, h: Hypothesis) -> str:
    """A value of a hypothesis's statistic with its sign, to a tenth of the smallest effect of interest."""
    digits = max(0, 1 - math.floor(math.log10(h.smallest_effect)))
    return f"{value:+.{digits}f}".replace("-", "−")


def probability(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def table(register: Register, pillar: str, judged: dict[str, Judged]) -> str:
    """The table of one pillar, as HTML without blank lines, which would end it in Markdown."""
    own = [judged[h.id] for h in register.of(pillar)]
    models = columns(register, own)
    title, question = (html.escape(getattr(register.pillars[pillar], name)) for name in ("title", "question"))
    target = next((one.target for one in own if one.target), None)
    heads = [
        f'<th scope="col">{html.escape(model)}{"<br>under study" if model == target else ""}</th>'
        for model in models
    ]
    head = f"<thead><tr>{''.join(heads)}</tr></thead>\n" if heads else ""
    bodies = "\n".join(_body(one, models) for one in own)
    return (
        f'<div class="verdicts" role="region" tabindex="0" aria-label="Verdicts: {title}">\n'
        f"<table><caption>{question}</caption>\n{head}{bodies}\n</table>\n</div>"
    )


def columns(register: Register, own: list[Judged]) -> list[str]:
    """Models with a measure in these claims: the one under study, the study's own, any others."""
    target = [one.target for one in own if one.target][:1]
    measured = {name for one in own for name in one.measured}
    controls = [name for name, control in register.controls.items() if control.kind == "model"]
    others = sorted(measured - set(register.controls))
    return [name for name in dict.fromkeys([*target, *controls, *others]) if name in measured]


def _body(one: Judged, models: list[str]) -> str:
    """One hypothesis: a row that names it, a row of cells, and a row of the controls that are no models."""
    h, width = one.hypothesis, max(1, len(models))
    note = f"; {html.escape(one.note)}" if one.note else ""
    name = (
        f'<tr class="hypothesis"><th scope="rowgroup" colspan="{width}">'
        f'<a href="hypotheses.html#{h.id.lower()}">{h.id}</a> {html.escape(h.question)} '
        f"<small>In {html.escape(h.unit)}{note}.</small></th></tr>"
    )
    if one.target is None:
        cells = f'<td colspan="{width}">{_mark(NOT_TESTED)} not tested in this edition</td>'
    else:
        cells = "".join(f"<td>{_cell(one, model)}</td>" for model in models)
    others = [_other(one, check) for check in one.checks if check.control not in models]
    row = f'<tr><td colspan="{width}">Controls. {" ".join(others)}</td></tr>' if others else ""
    return f"<tbody>{name}<tr>{cells}</tr>{row}</tbody>"


def _cell(one: Judged, model: str) -> str:
    if model not in one.measured:
        return "not measured"
    found, verdict = one.measured[model], one.verdict(model)
    lines = [f'<span class="verdict">{_mark(verdict.word)} {verdict.word}</span>']
    if verdict.word == NOT_ANSWERABLE:
        lines.append(f"by itself {found.reading.word}")
    elif model == one.target:
        lines.append(html.escape(verdict.why))
    lines += [picture(one.hypothesis, found), *_numbers(one.hypothesis, found)]
    lines.append(f"{found.clips} clips, {found.clusters} clusters")
    own = [check for check in one.checks if check.control == model]
    lines += [f"must be {check.expected}: {_held(check)}" for check in own]
    return "<br>".join(lines)


def _numbers(h: Hypothesis, found: Measured) -> tuple[str, str]:
    interval = f"[{number(found.low, h)}, {number(found.high, h)}]"
    return f"<b>{number(found.estimate, h)}</b> {interval}", probability(found.corrected)


def _other(one: Judged, check: Check) -> str:
    numbers = ""
    if check.control in one.measured:
        numbers = f" ({', '.join(_numbers(one.hypothesis, one.measured[check.control]))})"
    name = html.escape(check.control)
    return f"{name} must be {check.expected}, is {check.got}: {_held(check)}{numbers}."


def _held(check: Check) -> str:
    return "held" if check.held else "<b>failed</b>"


def _mark(word: str) -> str:
    return f'<span aria-hidden="true">{MARKS[word]}</span>'


def picture(h: Hypothesis, found: Measured) -> str:
    """An interval on its hypothesis's scale: grey where no effect matters, a line at each smallest effect.

    Decoration: the numbers stand beside it.
    """
    reach = 2 * h.smallest_effect

    def x(value: float) -> float:
        """Place in a picture 120 wide; what lies farther out is drawn at the edge."""
        return round(60 + 56 * max(-1.0, min(1.0, value / reach)), 1)

    below, above = (x(end) for end in h.equivalence)
    lines = "".join(
        f'<line x1="{x(at)}" x2="{x(at)}" y1="1" y2="15" stroke-dasharray="2 2"/>'
        for at in (-h.smallest_effect, h.smallest_effect)
    )
    return (
        '<svg class="interval" viewBox="0 0 120 16" width="120" height="16" aria-hidden="true" '
        'stroke="currentColor" fill="currentColor">'
        f'<rect x="{below}" y="2" width="{above - below:.1f}" height="12" stroke="none" opacity="0.15"/>'
        f'{lines}<line x1="{x(found.low)}" x2="{x(found.high)}" y1="8" y2="8" stroke-width="2"/>'
        f'<circle cx="{x(found.estimate)}" cy="8" r="3"/></svg>'
    )
