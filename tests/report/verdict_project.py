"""A project with hypotheses and runs that hold claims, for tests of verdicts and their pages."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from report.hypotheses import Register, parse
from report.project import Project
from report.runs import SCHEMA, State

ROOT = Path(__file__).resolve().parents[2]


def hypothesis(identifier: str = "G1", **changed) -> dict:
    """An entry that is as it should be."""
    entry = {
        "id": identifier,
        "pillar": "geometry",
        "favours": "understanding",
        "question": "Is there a direction?",
        "statistic": "gain over the input",
        "unit": "R²",
        "direction": "greater",
        "smallest_effect": 0.2,
        "equivalence": [-0.1, 0.1],
        "alpha": 0.05,
        "controls": {"etude": "found", "etude-null": "not found"},
        "route": "text",
        "phase": "0-noise",
        "rationale": "Because.",
        "cite": ["known2020"],
    }
    return entry | changed


def content(*entries: dict, pillars: tuple[str, ...] = ("geometry",)) -> dict:
    """A whole file of hypotheses."""
    words = {"title": "Title", "question": "Is it?", "if_yes": "it is so", "if_no": "it is not so"}
    return {
        "controls": {
            "etude": {"kind": "model", "what": "the positive control"},
            "etude-null": {"kind": "model", "what": "the null"},
            "overdose": {"kind": "procedure", "what": "too much"},
        },
        "pillars": {name: words | {"title": name.capitalize()} for name in pillars},
        "answer": {
            "question": "Does it?",
            "requires": ["foundation"] if "foundation" in pillars else [],
            "over": [name for name in pillars if name != "foundation"],
            "if_yes": "It does.",
            "if_no": "It does not.",
            "if_partly": "It does in part.",
            "if_undecided": "Not answered.",
        },
        "hypotheses": list(entries),
    }


def register(*entries: dict, pillars: tuple[str, ...] = ("geometry",)) -> Register:
    return parse(yaml.safe_dump(content(*entries, pillars=pillars)), "h.yaml", ["known2020"])


def measure(low: float, high: float, p: float = 0.001) -> dict:
    return {"estimate": (low + high) / 2, "interval": [low, high], "p": p, "clips": 24, "clusters": 12}


FOUND, NOTHING = measure(0.3, 0.5), measure(-0.05, 0.05, 0.4)


def claim(target: dict, stated: dict | None = None, model: str = "musicgen-small", **controls: dict) -> dict:
    """A claim whose controls hold, unless told otherwise (``etude_null=...``)."""
    measures = {model: target, "etude": FOUND, "etude-null": NOTHING}
    measures |= {name.replace("_", "-"): given for name, given in controls.items()}
    return {"target": model, "measures": measures, "note": "", "stated": stated or {}}


def write_run(project: Project, claims: dict, key: str = "abc", finished: float = 2e9, **parameters) -> State:
    """A finished run with claims, as the builder would have left it."""
    folder = project.runs / "0-noise" / key
    folder.mkdir(parents=True)
    text = json.dumps({"schema": 1, "numbers": {}, "figures": {}, "audio": {}, "claims": claims})
    (folder / "results.json").write_text(text)
    manifest = {"schema": SCHEMA, "key": key, "profile": "etude", "finished": finished, "files": {}}
    manifest["parts"] = {"parameters": parameters}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return State("0-noise", "done", folder, manifest)
