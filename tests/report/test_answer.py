"""From verdicts to the answer: every combination has one, and it follows the rule."""

from __future__ import annotations

from itertools import product

from verdict_project import FOUND, NOTHING, claim, hypothesis, measure, register

from report.answer import Answer, answer
from report.hypotheses import Register
from report.verdicts import judge

CLAIMS = {
    "supported": claim(FOUND),
    "contradicted": claim(NOTHING),
    "inconclusive": claim(measure(-0.5, 0.5)),
    "not answerable": claim(FOUND, etude=NOTHING),
    "not tested": None,
}
PILLARS = ("foundation", "geometry", "pathway")


PILLAR = {"G1": {}, "G2": {}, "G3": {"favours": "association"}}
WHOLE = {f"{pillar[0].upper()}{i}": {"pillar": pillar} for pillar in PILLARS for i in (1, 2)}


def book(entries: dict[str, dict], pillars: tuple[str, ...]) -> Register:
    return register(*(hypothesis(name, **changed) for name, changed in entries.items()), pillars=pillars)


def answered(book: Register, verdicts: list[str]) -> Answer:
    """The answer when the hypotheses of a book get these verdicts, in its order."""
    named = zip(book.hypotheses, verdicts, strict=True)
    return answer(book, judge(book, {name: CLAIMS[word] for name, word in named if CLAIMS[word]}))


def test_a_pillar():
    """Every combination of verdicts on three hypotheses.

    One of them favours association: when that is contradicted, it speaks for understanding.
    """
    pillar = book(PILLAR, ("geometry",))
    turned = {"supported": "contradicted", "contradicted": "supported"}
    for words in product(CLAIMS, repeat=3):
        found = answered(pillar, words).pillars["geometry"]
        aligned = [*words[:2], turned.get(words[2], words[2])]
        if "supported" in aligned and "contradicted" in aligned:
            assert found.word == "both ways", words
        elif aligned in (["supported"] * 3, ["contradicted"] * 3):
            assert found.word == {"supported": "yes", "contradicted": "no"}[aligned[0]]
            assert found.why == {"yes": "it is so", "no": "it is not so"}[found.word] + " (G1, G2, G3)"
        elif aligned == ["not tested"] * 3:
            assert found.word == "not tested"
        else:
            assert found.word == ("not answerable" if "not answerable" in aligned else "open"), words
        assert all(name in found.why for name in PILLAR), f"{words}: {found.why}"


# Verdicts of two hypotheses that give a pillar each of its answers.
VERDICTS = {
    "yes": ("supported", "supported"),
    "no": ("contradicted", "contradicted"),
    "both ways": ("supported", "contradicted"),
    "open": ("supported", "inconclusive"),
    "not answerable": ("supported", "not answerable"),
    "not tested": ("not tested", "not tested"),
}


def test_the_answer():
    """Every combination of answers of a required pillar and two that decide."""
    whole, decided = book(WHOLE, PILLARS), {"yes", "no", "both ways"}
    texts = {"yes": "It does.", "no": "It does not.", "partly": "It does in part."}
    for words in product(VERDICTS, repeat=3):
        found = answered(whole, [verdict for word in words for verdict in VERDICTS[word]])
        assert tuple(one.word for one in found.pillars.values()) == words
        foundation, *over = words
        if foundation == "yes" and set(over) <= decided:
            expected = {("yes", "yes"): "yes", ("no", "no"): "no"}.get(tuple(over), "partly")
            assert found.text == texts[expected]
        else:
            expected = "undecided"
            assert found.text.startswith("Not answered. The reason: ")
            assert ("“Foundation”" in found.text) == (foundation != "yes")
            assert ("“Pathway”" in found.text) == (over[1] not in decided)
        assert found.word == expected, words
