"""From the verdicts on hypotheses to the answer of each pillar, and to that of the whole question.

A hypothesis speaks for "yes" when it is supported and favours understanding, or is contradicted and favours
association; the other way round it speaks for "no".  A pillar's answer is

* **yes** or **no** when all its hypotheses speak for that side,
* **both ways** when some speak for each side, whatever the others would say,
* **not tested** when none has a claim,
* **not answerable** when the controls of one failed, and otherwise **open**.

The question is answered yes or no when the required pillars are yes and all the others are yes, or no; partly
when each of the others has an answer (yes, no, both ways) but not all the same; and is undecided otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .hypotheses import Pillar, Register, Rule
from .verdicts import CONTRADICTED, INCONCLUSIVE, NOT_ANSWERABLE, NOT_TESTED, SUPPORTED, Judged

YES, NO, BOTH, OPEN = "yes", "no", "both ways", "open"
PARTLY, UNDECIDED = "partly", "undecided"


@dataclass(frozen=True)
class PillarAnswer:
    """The answer of a pillar, and a sentence that says why it is this one."""

    pillar: Pillar
    word: str
    why: str


@dataclass(frozen=True)
class Answer:
    """The answer to the question in one word and in sentences, with those of the pillars."""

    word: str
    text: str
    pillars: dict[str, PillarAnswer]


def answer(register: Register, judged: Mapping[str, Judged]) -> Answer:
    """The answer of the model under study."""
    pillars = {
        name: of_pillar(pillar, [judged[h.id] for h in register.of(name)])
        for name, pillar in register.pillars.items()
    }
    rule = register.answer
    unmet = [pillars[name] for name in rule.requires if pillars[name].word != YES]
    over = [pillars[name] for name in rule.over]
    unmet += [found for found in over if found.word not in (YES, NO, BOTH)]
    words = {found.word for found in over}
    if unmet:
        word = UNDECIDED
    else:
        word = words.pop() if words in ({YES}, {NO}) else PARTLY
    return Answer(word, _sentences(rule, word, unmet), pillars)


def of_pillar(pillar: Pillar, judged: list[Judged]) -> PillarAnswer:
    """The answer of one pillar from its hypotheses, one or more."""
    sides: dict[str, list[Judged]] = {}
    for found in judged:
        sides.setdefault(side(found), []).append(found)
    found_sides = set(sides)
    if found_sides in ({YES}, {NO}):
        (word,) = found_sides
        clause = pillar.if_yes if word == YES else pillar.if_no
        return PillarAnswer(pillar, word, f"{clause} ({_ids(judged)})")
    if {YES, NO} <= found_sides:
        parts = [f"{_ids(sides[YES])} for it", f"{_ids(sides[NO])} against it"]
        word = BOTH
    elif found_sides == {NOT_TESTED}:
        word, parts = NOT_TESTED, []
    else:
        word = NOT_ANSWERABLE if NOT_ANSWERABLE in sides else OPEN
        parts = [
            f"{_ids(sides[s])} {text}" for s, text in ((YES, "for it"), (NO, "against it")) if s in sides
        ]
    parts += [f"{found.hypothesis.id}: {found.verdict().why}" for found in sides.get(NOT_ANSWERABLE, [])]
    parts += [f"{_ids(sides[word])} {word}" for word in (INCONCLUSIVE, NOT_TESTED) if word in sides]
    return PillarAnswer(pillar, word, "; ".join(parts))


def side(found: Judged) -> str:
    """Yes or no, where a hypothesis speaks for one; else the word of its verdict."""
    word = found.verdict().word
    if word not in (SUPPORTED, CONTRADICTED):
        return word
    return YES if (word == SUPPORTED) == (found.hypothesis.favours == "understanding") else NO


def _ids(judged: list[Judged]) -> str:
    return ", ".join(found.hypothesis.id for found in judged)


def _sentences(rule: Rule, word: str, unmet: list[PillarAnswer]) -> str:
    sentence = {YES: rule.if_yes, NO: rule.if_no, PARTLY: rule.if_partly, UNDECIDED: rule.if_undecided}[word]
    if not unmet:
        return sentence
    reasons = "; ".join(f"“{found.pillar.title}” is {_said(found.word)}" for found in unmet)
    return f"{sentence} The reason: {reasons}."


def _said(word: str) -> str:
    return f"answered {word}" if word in (YES, NO, BOTH) else word
