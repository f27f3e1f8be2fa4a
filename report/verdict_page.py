"""The pages made from hypotheses and claims, as fragments that pages of the book include.

::

    generated/answer.md        the front page's summary, in words
    generated/verdicts.md      a table for each pillar: hypotheses down, models across
    generated/hypotheses.md    every hypothesis in full, with its history

The prose around them is ``book/verdicts.md`` and ``book/hypotheses.md``.  Text from the file of hypotheses
and from claims is escaped: it is text, never markup.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .answer import UNDECIDED, Answer, answer
from .history import Change, after_a_run, changes, day, moved, recorded
from .hypotheses import FILE, Hypothesis, Register, read
from .profile import Profile
from .project import Project, ReportError, read_json
from .runs import State
from .verdict_table import number, table
from .verdicts import Judged, judge


def write_verdicts(project: Project, profile: Profile, states: list[State], staged: Path) -> None:
    """Write the fragments into the staged book; nothing where the project has no hypotheses.

    Raises
    ------
    ReportError
        If the file of hypotheses is not as it should be, a claim comes from another phase than its hypothesis
        names, or the claims speak of more than one model.
    """
    if not (project.phases / FILE).is_file():
        return
    register = read(project)
    claims = claims_of(register, states)
    judged = judge(register, claims)
    found = answer(register, judged)
    log, gaps = changes(project)
    records = recorded(project)
    warnings = moved(project, records)
    trial = any(now.manifest["parts"]["parameters"].get("smoke") is True for now in states)
    front = summary(register, profile, judged, found, trial)
    pages = {
        "answer": front,
        "verdicts": "\n\n".join(
            [f"> {plain(register.answer.question)}", front, *_warnings(warnings)]
            + [
                f"## {plain(p.title)}\n\n{table(register, name, judged)}"
                for name, p in register.pillars.items()
            ]
        ),
        "hypotheses": "\n\n".join(
            [_rule(register), *_warnings(warnings)]
            + [_pillar(register, name, log, records) for name in register.pillars]
            + [_other_changes(register, log, records), plain(gaps)]
        ),
    }
    (staged / "generated").mkdir(exist_ok=True)
    for name, text in pages.items():
        (staged / "generated" / f"{name}.md").write_text(text.strip() + "\n", encoding="utf-8")


def claims_of(register: Register, states: list[State]) -> dict[str, dict[str, Any]]:
    """The claims of an edition's runs, by hypothesis.

    A claim whose hypothesis was taken out since is left out here; the history names it.
    """
    claims: dict[str, dict[str, Any]] = {}
    for now in states:
        for identifier, claim in read_json(now.folder / "results.json").get("claims", {}).items():
            if identifier not in register.hypotheses:
                continue
            wanted = register.hypotheses[identifier].phase
            if now.phase != wanted:
                raise ReportError(
                    f"{now.phase} recorded a claim under {identifier}, which phases/{FILE} gives to phase "
                    f"{wanted}; change one of them."
                )
            claims[identifier] = claim
    targets = sorted({claim["target"] for claim in claims.values()})
    if len(targets) > 1:
        raise ReportError(
            f"Claims speak of several models under study ({', '.join(targets)}); one edition answers for one."
        )
    return claims


def summary(
    register: Register, profile: Profile, judged: dict[str, Judged], found: Answer, trial: bool
) -> str:
    """The answer in words, for the front page."""
    if trial:
        return (
            "**This edition gives no answer.** It was made with tiny budgets (profile "
            f"`{profile.name}`), to see that everything runs; its numbers mean nothing here or elsewhere."
        )
    tested = [one for one in judged.values() if one.target]
    if not tested:
        return (
            "**This edition gives no answer.** None of its runs has recorded a claim, so no part of the "
            f"question has been tested. {{doc}}`/hypotheses` holds what will be: {len(judged)} hypotheses."
        )
    target = tested[0].target
    lines = [
        f"Model under study: **{plain(target)}**. **{plain(found.text)}** {len(tested)} of {len(judged)} "
        "hypotheses were tested.",
        "",
    ]
    for one in found.pillars.values():
        why = f": {plain(one.why)}" if one.why else ""
        lines.append(f"- *{plain(one.pillar.title)}.* {plain(one.pillar.question)} **{one.word}**{why}.")
    if target in register.controls:
        lines += [
            "",
            f"{plain(target)} is one of the study's own controls "
            f"({plain(register.controls[target].what)}): how it was made is known. This edition shows how "
            "well the instrument works, and says nothing of other models.",
        ]
    if found.word == UNDECIDED:
        lines += ["", "No answer does not mean no: it says what is missing before there can be one."]
    lines += ["", "The numbers are in {doc}`/verdicts`, what was laid down beforehand in {doc}`/hypotheses`."]
    return "\n".join(lines)


def thresholds(h: Hypothesis) -> tuple[str, str]:
    """What an interval must do for support, and for contradiction, in words."""
    least, (below, above) = h.smallest_effect, h.equivalence
    between = f"lies between {number(below, h)} and {number(above, h)}"
    beyond = f"lies above {number(least, h)} or below {number(-least, h)}"
    return {
        "greater": (f"lies above {number(least, h)}", f"lies below {number(above, h)}"),
        "less": (f"lies below {number(-least, h)}", f"lies above {number(below, h)}"),
        "differs": (beyond, between),
        "within": (between, beyond),
    }[h.direction]


def plain(text: str) -> str:
    """Text as it is, inside a line of Markdown: characters that could be markup are escaped."""
    return re.sub(r"([\\`*_{}\[\]<>$#|~&!])", r"\\\1", text)


def _warnings(sentences: list[str]) -> list[str]:
    if not sentences:
        return []
    lines = "\n".join(f"- {plain(sentence)}" for sentence in sentences)
    title = "What was laid down has changed since a run recorded a claim under it"
    return [f":::{{warning}}\n{title}.\n\n{lines}\n:::"]


def _rule(register: Register) -> str:
    rule = register.answer
    titles = {name: plain(pillar.title) for name, pillar in register.pillars.items()}
    required = _all([titles[name] for name in rule.requires])
    first = f"First, {required} must be answered yes. " if required else ""
    return "\n".join(
        [
            f"> {plain(rule.question)}",
            "",
            first + f"The answer comes from {_all([titles[name] for name in rule.over])}:",
            "",
            f"- all yes: *{plain(rule.if_yes)}*",
            f"- all no: *{plain(rule.if_no)}*",
            f"- all answered, but not all the same: *{plain(rule.if_partly)}*",
            f"- anything else: *{plain(rule.if_undecided)}*",
        ]
    )


def _all(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _pillar(register: Register, name: str, log: list[Change], records: list) -> str:
    pillar = register.pillars[name]
    entries = [_entry(register, h, log, records) for h in register.of(name)]
    return "\n\n".join([f"## {plain(pillar.title)}", f"*{plain(pillar.question)}*", *entries])


def _entry(register: Register, h: Hypothesis, log: list[Change], records: list) -> str:
    supported, contradicted = thresholds(h)
    sides = {"understanding": "understanding", "association": "pattern matching"}
    controls = [
        f"  - {plain(name)} must be **{expected}**: {plain(register.controls[name].what)}"
        for name, expected in h.controls.items()
    ]
    cited = " {cite}`" + ",".join(h.cite) + "`" if h.cite else ""
    lines = [
        f"({h.id.lower()})=",
        f"### {h.id}\\. {plain(h.question)}",
        "",
        f"- **Measured**: {plain(h.statistic)}; in {plain(h.unit)}. Zero is no effect. Emotion comes in as "
        f"{h.route}; recorded by `{h.phase}`.",
        f"- **Supported**, which speaks for {sides[h.favours]}, when the 95 % interval {supported} and the "
        f"corrected p is below {h.alpha:g}. **Contradicted** when it {contradicted}.",
        "- **Controls**",
        *controls,
        f"- **Why so**: {plain(h.rationale)}{cited}",
        *_history([change for change in log if change.entry == h.id], records),
    ]
    return "\n".join(lines)


def _history(own: list[Change], records: list) -> list[str]:
    if not own:
        return []
    return ["- **History**", *(f"  - {_said(change, records)}" for change in own)]


def _said(change: Change, records: list) -> str:
    """A change in words, with its warning."""
    when = f"{day(change.when)}, commit `{change.commit}`" if change.commit else "not committed"
    if change.field:
        kind = "" if change.binding else " (wording)"
        what = f"{plain(change.field)}{kind}: {plain(change.old)} → {plain(change.new)}"
    else:
        what = plain(change.new)
    run = after_a_run(change, records)
    if run is None:
        return f"{when}: {what}"
    known = f"after run `{run.key}` of {day(run.finished)} had recorded its claim"
    return f"{when}: {what} **({known})**"


def _other_changes(register: Register, log: list[Change], records: list) -> str:
    """Changes of the rule, of pillars and controls, and hypotheses that were taken out."""
    own = [change for change in log if change.entry not in register.hypotheses]
    own = [change for change in own if change.field or change.new == "taken out"]
    if not own:
        return ""
    lines = [f"- {plain(change.entry)}, {_said(change, records)}" for change in own]
    return "\n".join(["## Changes of the rule, and what was taken out", "", *lines])
