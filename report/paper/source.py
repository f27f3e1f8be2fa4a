"""A paper's text, and the results that it may name."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..answer import answer
from ..collect import authors
from ..hypotheses import FILE, Register, read
from ..profile import Profile
from ..project import Project, ReportError, read_json, read_text
from ..runs import State, states
from ..verdict_page import claims_of
from ..verdicts import Judged, judge
from ..yamlfile import parse_yaml

KINDS = {1: "technical-report", 2: "workshop-paper", 3: "full-paper"}
BLOCK = re.compile(r"^```\{(figure-of|table-of|verdicts-of)\} *([^\n]*)$", re.M)
_INCLUDE = re.compile(r"^```\{include\} *(\S+)\n```$", re.M)


@dataclass
class Paper:
    """A text with everything that it needs.

    Attributes
    ----------
    quoted : the numbers that were asked for, by key, as they are printed.
    cited : keys of works, in the order in which they were first cited.
    labels : label of a figure or table → its number.
    """

    project: Project
    name: str
    title: str
    authors: list[str]
    abstract: str
    text: str
    runs: dict[str, State]
    results: dict[str, dict[str, Any]]
    register: Register | None
    judged: dict[str, Judged]
    quoted: dict[str, str] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, project: Project, profile: Profile, kind: int) -> Paper:
        """Read a text and check what can be checked before it is rendered.

        Raises
        ------
        ReportError
            If the text is missing or malformed, or a phase that it needs is not done.
        """
        name = KINDS[kind]
        path = project.root / "paper" / f"{name}.md"
        if not path.is_file():
            raise ReportError(
                f"There is no paper/{path.name}, the text of the {name.replace('-', ' ')}; write it."
            )
        front, text = _front(path)
        found = {now.phase: now for now in states(project, profile)}
        for phase in front["phases"]:
            status = found[phase].status if phase in found else "not in the profile"
            if status != "done":
                smaller = f", or make a smaller paper with PHASE={kind - 1}" if kind > min(KINDS) else ""
                raise ReportError(
                    f"The {name.replace('-', ' ')} needs {phase}, which is {status}; run `make report "
                    f"{profile.asked}` first{smaller}."
                )
        done = {phase: now for phase, now in found.items() if now.status == "done"}
        results = {phase: read_json(now.folder / "results.json") for phase, now in done.items()}
        register, judged = None, {}
        if (project.phases / FILE).is_file():
            register = read(project)
            judged = judge(register, claims_of(register, list(done.values())))
        text = _include(path.parent, text)
        paper = cls(
            project,
            name,
            front["title"],
            authors(project),
            front["abstract"],
            text,
            done,
            results,
            register,
            judged,
        )
        paper._number_labels()
        return paper

    def number(self, quoted: str) -> tuple[str, str]:
        """A quoted number: its key for ``numbers.tex``, and how it is printed.

        Parameters
        ----------
        quoted : ``phases/0-foundation.ipynb::words.target:.2f``.
        """
        where, _, rest = quoted.partition("::")
        name, _, form = rest.partition(":")
        phase = Path(where).stem
        known = self._values(phase)
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, 3)) or f"{len(known)} others"
            raise ReportError(
                f"The paper quotes {name}, which the run of {phase} did not leave; there are: {near}."
            )
        try:
            printed = format(known[name], form or ".3g").replace("-", "−")
        except ValueError as error:
            raise ReportError(f"The paper prints {name} as {form!r}, which is no format: {error}.") from error
        key = re.sub(r"[^A-Za-z0-9.:-]", "", f"{phase}:{name}:{form.replace('%', 'pct')}".rstrip(":"))
        self.quoted[key] = printed
        return key, printed

    def _values(self, phase: str) -> dict[str, float]:
        """Names as they can be quoted, ends of intervals and counts too."""
        values: dict[str, float] = {}
        for name, number in self._results(phase).get("numbers", {}).items():
            values[name] = number["value"]
            if number["interval"]:
                values[f"{name}.low"], values[f"{name}.high"] = number["interval"]
            if number["n"] is not None:
                values[f"{name}.n"] = number["n"]
        return values

    def shown(self, kind: str, words: str) -> tuple[str, str, dict[str, Any]]:
        """A figure or table that a block names: its label, its phase, its record."""
        phase, _, name = words.strip().partition(" ")
        known = self._results(phase).get(kind, {})
        if name not in known:
            what = kind[:-1]
            raise ReportError(
                f"The paper shows {what} {name} of {phase}; there are: {', '.join(known) or 'none'}."
            )
        return f"{kind[:3]}-{phase}-{name}", phase, known[name]

    def of_pillar(self, name: str) -> list[Judged]:
        if self.register is None or name not in self.register.pillars:
            known = ", ".join(self.register.pillars) if self.register else "none"
            raise ReportError(f"The paper shows verdicts of pillar {name!r}; there are: {known}.")
        return [self.judged[one.id] for one in self.register.of(name)]

    def answer(self) -> str:
        if self.register is None:
            raise ReportError("The paper shows the answer, but the project states no hypotheses.")
        return answer(self.register, self.judged).text

    def _results(self, phase: str) -> dict[str, Any]:
        if phase not in self.results:
            raise ReportError(
                f"The paper speaks of {phase}, which is not done; done are {', '.join(self.results)}."
            )
        return self.results[phase]

    def _number_labels(self) -> None:
        counts = {"fig": 0, "tab": 0}
        for kind, words in BLOCK.findall(self.text):
            short = "fig" if kind == "figure-of" else "tab"
            counts[short] += 1
            name = "-".join(words.split())
            label = f"{short}-verdicts-{name}" if kind == "verdicts-of" else f"{short}-{name}"
            self.labels[label] = counts[short]


def largest(project: Project, profile: Profile) -> int:
    """The largest paper all of whose phases the profile has; the smallest where it has none."""
    for kind, name in sorted(KINDS.items(), reverse=True):
        path = project.root / "paper" / f"{name}.md"
        if path.is_file() and set(_front(path)[0]["phases"]) <= set(profile.phases):
            return kind
    return min(KINDS)


def _front(path: Path) -> tuple[dict[str, Any], str]:
    """The block of YAML at the top, and the text after it."""
    where = f"paper/{path.name}"
    match = re.match(r"---\n(.*?)\n---\n(.*)", read_text(path, where), re.S)
    front = parse_yaml(match.group(1), f"The block at the top of {where}") if match else None
    if not isinstance(front, dict) or set(front) != {"title", "phases", "abstract"}:
        raise ReportError(f"{where} must begin with a block of title, phases and abstract, between '---'.")
    return front, match.group(2)


def _include(folder: Path, text: str) -> str:
    def content(match: re.Match) -> str:
        part = folder / match.group(1)
        if not part.is_file():
            raise ReportError(f"The paper includes paper/{match.group(1)}, which is not there.")
        return read_text(part, f"paper/{match.group(1)}").strip()

    return _INCLUDE.sub(content, text)
