"""What the study holds itself to: ``phases/hypotheses.yaml``, read and checked.

The file explains its own fields.  Whatever it should not hold is refused in one sentence that names the file,
the entry, the field and what it may be, before anything runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from .project import Project, ReportError, mapping, read_text
from .yamlfile import parse_yaml

FILE = "hypotheses.yaml"
FAVOURS = ("understanding", "association")
DIRECTIONS = ("greater", "less", "differs", "within")
ROUTES = ("text", "audio")
KINDS = ("model", "procedure")
EXPECTED = ("found", "not found", "absent")

# What a verdict hangs on; the rest of an entry is wording.
BINDING = ("pillar", "favours", "statistic", "unit", "direction", "smallest_effect", "equivalence", "alpha")
BINDING += ("controls", "route")

_ID = re.compile(r"[A-Z][0-9]{1,2}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CITATION = re.compile(r"^@\w+\{\s*([^,\s]+)\s*,", re.MULTILINE)


@dataclass(frozen=True)
class Control:
    """A comparison whose outcome is known: another model, or the same model under another procedure."""

    name: str
    kind: str
    what: str


@dataclass(frozen=True)
class Pillar:
    """One part of the question, with the clause that a "yes" and a "no" put into words."""

    name: str
    title: str
    question: str
    if_yes: str
    if_no: str


@dataclass(frozen=True)
class Rule:
    """From pillars to the answer: ``requires`` must be answered yes before ``over`` counts."""

    question: str
    requires: list[str]
    over: list[str]
    if_yes: str
    if_no: str
    if_partly: str
    if_undecided: str


@dataclass(frozen=True)
class Hypothesis:
    """One entry; its fields are explained at the top of the file."""

    id: str
    pillar: str
    favours: str
    question: str
    statistic: str
    unit: str
    direction: str
    smallest_effect: float
    equivalence: list[float]
    alpha: float
    controls: dict[str, str]
    route: str
    phase: str
    rationale: str
    cite: list[str]


@dataclass(frozen=True)
class Register:
    """Everything in the file, by name and in its order."""

    controls: dict[str, Control]
    pillars: dict[str, Pillar]
    answer: Rule
    hypotheses: dict[str, Hypothesis]

    def of(self, pillar: str) -> list[Hypothesis]:
        """The hypotheses of a pillar."""
        return [entry for entry in self.hypotheses.values() if entry.pillar == pillar]


def read(project: Project) -> Register:
    """Read the project's hypotheses.

    Raises
    ------
    ReportError
        If the file is not there, or holds anything that it should not.
    """
    path = project.phases / FILE
    where = project.relative(path)
    if not path.is_file():
        raise ReportError(f"There is no {where}, which says what the study tests.")
    bibliography = project.root / "book" / "references.bib"
    text = read_text(bibliography) if bibliography.is_file() else ""
    return parse(read_text(path, where), where, _CITATION.findall(text))


def check_claims(project: Project, declared: Mapping[str, Iterable[str]]) -> None:
    """Refuse, before anything runs, a wrong file of hypotheses and claims that nobody may make.

    Parameters
    ----------
    declared : from each phase to the claims that its notebook declares among its outputs.

    Raises
    ------
    ReportError
        If a phase declares a claim under a hypothesis that does not exist or that belongs to another phase.
    """
    named = {phase: list(names) for phase, names in declared.items()}
    if not any(named.values()) and not (project.phases / FILE).is_file():
        return
    register = read(project)
    for phase, names in named.items():
        for name in names:
            here = f"{phase} declares a claim under {name}"
            _choice(name, register.hypotheses, here)
            wanted = register.hypotheses[name].phase
            if wanted != phase:
                raise ReportError(f"{here}, which phases/{FILE} gives to phase {wanted}; change one of them.")


def parse(text: str, where: str, citations: Iterable[str]) -> Register:
    """Check a file's text; ``where`` names the file in errors, ``citations`` are keys that may be cited."""
    content = parse_yaml(text, where)
    sections = ("controls", "pillars", "answer", "hypotheses")
    _fields(content, sections, where)
    controls = {name: _control(name, raw, where) for name, raw in _named(content, "controls", where)}
    pillars = {name: _pillar(name, raw, where) for name, raw in _named(content, "pillars", where)}
    answer = _rule(content["answer"], list(pillars), where)
    if not isinstance(content["hypotheses"], list):
        raise ReportError(f"{where}: hypotheses must be a list of entries, each with its id.")
    hypotheses: dict[str, Hypothesis] = {}
    for position, raw in enumerate(content["hypotheses"], start=1):
        entry = _hypothesis(raw, position, controls, list(pillars), set(citations), where)
        if entry.id in hypotheses:
            raise ReportError(f"{where}: {entry.id}: id stands twice; every hypothesis needs its own.")
        hypotheses[entry.id] = entry
    for name in pillars:
        if not any(entry.pillar == name for entry in hypotheses.values()):
            raise ReportError(f"{where}: pillars: {name} has no hypothesis; add one or take the pillar out.")
    return Register(controls, pillars, answer, hypotheses)


def _control(name: str, raw: Any, where: str) -> Control:
    here = f"{where}: controls: {name}"
    if not _NAME.fullmatch(name):
        raise ReportError(f"{here} is no name for a control; use a-z and 0-9 with - between.")
    control = _entry(Control, {"name": name, **mapping(raw, here)}, here)
    _choice(control.kind, KINDS, f"{here}: kind")
    return control


def _pillar(name: str, raw: Any, where: str) -> Pillar:
    here = f"{where}: pillars: {name}"
    return _entry(Pillar, {"name": name, **mapping(raw, here)}, here)


def _rule(raw: Any, pillars: list[str], where: str) -> Rule:
    here = f"{where}: answer"
    rule = _entry(Rule, mapping(raw, here), here)
    for field in ("requires", "over"):
        for name in getattr(rule, field):
            _choice(name, pillars, f"{here}: {field}")
    both = [name for name in rule.requires if name in rule.over]
    if both or not rule.over:
        wrong = f"{both[0]!r} is in requires too" if both else "is empty"
        raise ReportError(f"{here}: over {wrong}; it lists the pillars that decide, once they count.")
    return rule


def _hypothesis(
    raw: Any, position: int, controls: dict[str, Control], pillars: list[str], citations: set[str], where: str
) -> Hypothesis:
    given = raw.get("id") if isinstance(raw, dict) else None
    here = f"{where}: {given if isinstance(given, str) else f'hypothesis number {position}'}"
    entry = _entry(Hypothesis, mapping(raw, here), here)
    if not _ID.fullmatch(entry.id):
        raise ReportError(f"{here}: id must be a capital and a number, such as G1, not {entry.id!r}.")
    for field, valid in {
        "pillar": pillars,
        "favours": FAVOURS,
        "direction": DIRECTIONS,
        "route": ROUTES,
    }.items():
        _choice(getattr(entry, field), valid, f"{here}: {field}")
    if not re.fullmatch(r"[0-9]-[a-z0-9-]+", entry.phase):
        raise ReportError(f"{here}: phase must be a notebook's name, such as 1-emotion-geometry.")
    _check_thresholds(entry, here)
    for name, expected in entry.controls.items():
        _choice(name, controls, f"{here}: controls")
        _choice(expected, EXPECTED, f"{here}: controls: {name}")
    if {expected == "found" for expected in entry.controls.values()} != {True, False}:
        raise ReportError(
            f"{here}: controls must hold one that must be found and one that must not (not found, absent)."
        )
    for key in entry.cite:
        if key not in citations:
            raise ReportError(f"{here}: cite: {key!r} is no key of book/references.bib; add it there.")
    return entry


def _check_thresholds(entry: Hypothesis, here: str) -> None:
    if entry.smallest_effect <= 0:
        raise ReportError(
            f"{here}: smallest_effect must be above 0, not {entry.smallest_effect:g}; its sign "
            "follows from the direction."
        )
    if len(entry.equivalence) != 2 or not entry.equivalence[0] < 0 < entry.equivalence[1]:
        raise ReportError(
            f"{here}: equivalence must be [below 0, above 0], with no effect (0) between, "
            f"not {entry.equivalence}."
        )
    if not 0 < entry.alpha < 1:
        raise ReportError(f"{here}: alpha must lie between 0 and 1, not {entry.alpha:g}.")
    below, above = entry.equivalence
    farthest = {"greater": above, "less": -below}.get(entry.direction, max(above, -below))
    if entry.smallest_effect < farthest:
        raise ReportError(
            f"{here}: smallest_effect {entry.smallest_effect:g} lies inside equivalence {entry.equivalence}: "
            f"an effect could matter and not matter at once; make it {farthest:g} or more."
        )


def _entry(kind: type, raw: dict[str, Any], here: str) -> Any:
    """A dataclass of a mapping, every field present, known and of its type."""
    _fields(raw, [field.name for field in fields(kind)], here)
    checks = {
        str: _text,
        float: _number,
        list[str]: lambda value, at: [_text(item, at) for item in _list(value, at)],
        list[float]: lambda value, at: [_number(item, at) for item in _list(value, at)],
        dict[str, str]: lambda value, at: {
            _text(name, at): _text(item, at) for name, item in mapping(value, at).items()
        },
    }
    hints = get_type_hints(kind)
    return kind(**{name: checks[hints[name]](value, f"{here}: {name}") for name, value in raw.items()})


def _fields(raw: Any, known: Iterable[str], here: str) -> None:
    raw, known = mapping(raw, here), list(known)
    unknown = [str(name) for name in raw if name not in known]
    missing = [name for name in known if name not in raw]
    if unknown:
        raise ReportError(f"{here}: unknown field {unknown[0]!r}; there are: {', '.join(known)}.")
    if missing:
        raise ReportError(f"{here}: field {missing[0]!r} is missing; wanted are: {', '.join(known)}.")


def _named(content: dict[str, Any], section: str, where: str) -> Iterable[tuple[str, Any]]:
    here = f"{where}: {section}"
    return [(_text(name, here), raw) for name, raw in mapping(content[section], here).items()]


def _list(raw: Any, here: str) -> list[Any]:
    if not isinstance(raw, list):
        raise ReportError(f"{here} must be a list in brackets, not {raw!r}.")
    return raw


def _text(raw: Any, here: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ReportError(f"{here} must be text, not {raw!r}.")
    return " ".join(raw.split())


def _number(raw: Any, here: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not math.isfinite(raw):
        raise ReportError(f"{here} must be a finite number such as 0.05, not {raw!r}.")
    return float(raw)


def _choice(value: str, valid: Iterable[str], here: str) -> None:
    if value not in valid:
        raise ReportError(f"{here}: {value!r} is not known; there are: {', '.join(valid)}.")
