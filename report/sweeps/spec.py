"""What a sweep runs over: ``phases/sweeps/*.yaml``, or the command line.

::

    notebook: 3-steering                    a phase
    profile: etude                          whose parameters hold for what is not swept (default: etude)
    parameters: {seconds: 2.0}              the same in every run
    grid: {layer: [1, 3], strengths: [[0], [1.0]]}       every combination
    zip: {prompt: [calm, angry], seed: [3, 4]}           side by side, equally many
    list: [{layer: 2, seed: 5}]                          written out
    random: {runs: 20, seed: 0, values: {alpha: {uniform: [0, 1]}, k: {choice: [16, 32]}}}
    where: ["layer < 3 or alpha > 0.5"]     conditions that a point must meet
    budget: {runs: 100, hours: 8}           what one call starts at most

What is given of grid, zip, list and random is combined: every combination of one of each.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..project import Project, ReportError, digest
from ..yamlfile import parse_yaml, read_yaml

KEYS = ("notebook", "profile", "parameters", "grid", "zip", "list", "random", "where", "budget")
ATTRIBUTES = {"zip": "zipped", "list": "listed", "random": "drawn"}  # where a key is Python's own name
DRAWS = ("uniform", "log-uniform", "integers", "choice")
MOST = 100_000  # points: more is a slip


@dataclass(frozen=True)
class Spec:
    """A sweep as it was asked for."""

    name: str
    phase: str
    profile: str = "etude"
    parameters: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list] = field(default_factory=dict)
    zipped: dict[str, list] = field(default_factory=dict)
    listed: list[dict[str, Any]] = field(default_factory=list)
    drawn: dict[str, Any] = field(default_factory=dict)
    where: list[str] = field(default_factory=list)
    budget: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, project: Project, path: Path) -> Spec:
        """Read a file.

        Raises
        ------
        ReportError
            If it is not there or holds anything that would be overlooked or misread.
        """
        where = project.relative(path.resolve())
        if not path.is_file():
            known = ", ".join(sorted(p.name for p in (project.phases / "sweeps").glob("*.yaml"))) or "none"
            raise ReportError(f"There is no sweep {where}; in phases/sweeps there are: {known}.")
        content = read_yaml(path, where)
        if not isinstance(content.get("notebook"), str):
            raise ReportError(f"{where} must name its 'notebook', such as 0-foundation.")
        for key in content:
            if key not in KEYS:
                raise ReportError(f"{where} holds {key!r}, which nobody reads; known are: {', '.join(KEYS)}.")
        phase = Path(content.pop("notebook")).stem
        return cls.checked(where, path.stem, phase, {k: v for k, v in content.items() if v is not None})

    @classmethod
    def checked(cls, where: str, name: str, phase: str, content: dict[str, Any]) -> Spec:
        """A spec from plain values.

        Raises
        ------
        ReportError
            If one of them has the wrong form; ``where`` is named.
        """
        if not re.fullmatch(r"[a-zA-Z0-9][\w.-]*", name):
            raise ReportError(f"{name!r} is no name for a sweep; use letters, digits, _ . - (--name).")
        _check(where, content)
        return cls(name, phase, **{ATTRIBUTES.get(key, key): value for key, value in content.items()})

    @property
    def swept(self) -> list[str]:
        """Names of the parameters that differ between runs, in the order in which they were written."""
        names = [*self.grid, *self.zipped, *(name for point in self.listed for name in point)]
        return list(dict.fromkeys([*names, *self.drawn.get("values", {})]))

    def points(self) -> list[dict[str, Any]]:
        """The swept values of every point, conditions not yet asked.

        Raises
        ------
        ReportError
            If there are more than :data:`MOST`.
        """
        grid = [
            dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())
        ]
        zipped = [
            dict(zip(self.zipped, values, strict=True)) for values in zip(*self.zipped.values(), strict=True)
        ]
        blocks = [block for block in (grid, zipped, self.listed, self._draws()) if block and block != [{}]]
        count = math.prod(map(len, blocks))
        if count > MOST:
            raise ReportError(f"The sweep {self.name} has {count} points; more than {MOST} is a slip.")
        found = []
        for parts in itertools.product(*blocks):
            point: dict[str, Any] = {}
            for part in parts:
                point |= part
            found.append(point)
        return found

    def _draws(self) -> list[dict[str, Any]]:
        """The random points; the first ones stay as they are when more are asked for."""
        if not self.drawn:
            return []
        points = []
        for index in range(self.drawn["runs"]):
            seed = digest([self.drawn.get("seed", 0), index])
            draw = random.Random(seed)
            points.append({name: _draw(draw, rule) for name, rule in self.drawn["values"].items()})
        return points

    def as_plain(self) -> dict[str, Any]:
        """What was asked, as JSON has it."""
        plain = {key: getattr(self, ATTRIBUTES.get(key, key)) for key in KEYS if key != "notebook"}
        return {"notebook": self.phase, **{key: value for key, value in plain.items() if value}}


def from_words(words: list[str], what: str) -> dict[str, list]:
    """``layer=1,3,5`` → ``{"layer": [1, 3, 5]}``; values are YAML, a list may stand in brackets.

    Raises
    ------
    ReportError
        If a word has another form.
    """
    found: dict[str, list] = {}
    for word in words:
        name, equals, text = word.partition("=")
        example = _example(what, name if name.isidentifier() else "layer")
        if not equals or not name.isidentifier():
            raise ReportError(f"--{what} {word} is not name=values, such as {example}.")
        listed = text if text.lstrip().startswith("[") else f"[{text}]"
        values = parse_yaml(listed, f"What --{what} {word} gives")
        if not isinstance(values, list) or not values:
            raise ReportError(f"--{what} {word} gives no values; write them as {example}.")
        if name in found:
            raise ReportError(f"--{what} gives {name} twice; write all its values at one place.")
        found[name] = values
    return found


def _example(what: str, name: str) -> str:
    if what == "budget":
        return "--budget runs=100"
    return f"--{what} {name}={'1' if what == 'set' else '1,3,5'}"


def _draw(draw: random.Random, rule: dict[str, list]) -> Any:
    ((kind, ends),) = rule.items()
    if kind == "choice":
        return draw.choice(ends)
    if kind == "integers":
        return draw.randint(*ends)
    if kind == "log-uniform":
        return math.exp(draw.uniform(*map(math.log, ends)))
    return draw.uniform(*ends)


def _check(where: str, content: dict[str, Any]) -> None:
    def refuse(text: str) -> None:
        raise ReportError(f"{where}: {text}.")

    for key in ("parameters", "grid", "zip", "random", "budget"):
        if not isinstance(content.get(key, {}), dict):
            refuse(f"'{key}' must be a mapping, not {content[key]!r}")
    for key in ("grid", "zip"):
        for name, values in content.get(key, {}).items():
            if not isinstance(values, list) or not values:
                refuse(f"'{key}' gives {name} as {values!r}; it must be a list of one or more values")
    lengths = {name: len(values) for name, values in content.get("zip", {}).items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {number}" for name, number in lengths.items())
        refuse(f"'zip' takes values side by side, so there must be equally many; {said}")
    written = content.get("list", [])
    if not isinstance(written, list) or not all(isinstance(point, dict) and point for point in written):
        refuse("'list' must be a list of points, each a mapping such as {layer: 2, seed: 5}")
    if len({frozenset(point) for point in written}) > 1:
        refuse("the points of 'list' must all give the same parameters")
    if content.get("random"):
        _check_random(content["random"], refuse)
    conditions = content.get("where", [])
    if not isinstance(conditions, list) or not all(isinstance(text, str) for text in conditions):
        refuse("'where' must be a list of conditions, such as [\"layer < 3\"]")
    for key, value in content.get("budget", {}).items():
        if key not in ("runs", "hours"):
            refuse(f"'budget' holds {key!r}; it has 'runs' and 'hours'")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            refuse(f"'budget' gives {key} as {value!r}; it must be a number above 0")
        if key == "runs" and not isinstance(value, int):
            refuse(f"'budget' gives runs as {value!r}; it must be a whole number")
    blocks = [content.get("grid", {}), content.get("zip", {}), *written[:1]]
    blocks.append(content.get("random", {}).get("values", {}))
    blocks.append(content.get("parameters", {}))
    for one, other in itertools.combinations(blocks, 2):
        for name in one.keys() & other.keys():
            refuse(f"{name} is given in two places; leave one of them out")
    if not any(blocks[:-1]):
        refuse("nothing is swept; give 'grid', 'zip', 'list' or 'random'")


def _check_random(rule: dict[str, Any], refuse: Any) -> None:
    if (
        set(rule) - {"runs", "seed", "values"}
        or not isinstance(rule.get("values"), dict)
        or not rule["values"]
    ):
        refuse("'random' must hold 'runs', 'values' and if wanted 'seed'")
    for key, least in (("runs", 1), ("seed", 0)):
        number = rule.get(key, 0 if key == "seed" else None)
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            refuse(f"'random' gives {key} as {number!r}; it must be a whole number, {least} or more")
    for name, how in rule["values"].items():
        if not isinstance(how, dict) or len(how) != 1 or next(iter(how)) not in DRAWS:
            refuse(f"'random' draws {name} as {json.dumps(how)}; it must be one of: {', '.join(DRAWS)}")
        ((kind, ends),) = how.items()
        numbers = isinstance(ends, list) and all(isinstance(e, (int, float)) for e in ends)
        if kind == "choice" and (not isinstance(ends, list) or not ends):
            refuse(f"'random': choice of {name} needs a list of values, not {ends!r}")
        if kind != "choice" and not (numbers and len(ends) == 2 and ends[0] <= ends[1]):
            refuse(f"'random': {kind} of {name} needs [least, most], not {ends!r}")
        if kind == "log-uniform" and not ends[0] > 0:
            refuse(f"'random': log-uniform of {name} needs ends above 0, not {ends!r}")
        if kind == "integers" and not all(isinstance(e, int) for e in ends):
            refuse(f"'random': integers of {name} needs whole numbers, not {ends!r}")
