"""What became of each hypothesis: its changes in git, and whether a threshold moved after a run.

Two witnesses, which do not need each other.  Git knows when the file changed.  A claim holds its hypothesis
as it stood when the run recorded it, so a change shows without git as well, and before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .hypotheses import BINDING, FILE
from .project import Project, ReportError, git, read_json
from .runs import damaged, finished_runs
from .yamlfile import parse_yaml, read_yaml

# Of the pillars and of the rule, what an answer hangs on.
RULE = ("requires", "over")


@dataclass(frozen=True)
class Change:
    """One field of one entry, from one commit to the next."""

    entry: str  # an id, "answer", "pillars geometry" or "controls etude"
    field: str  # empty where the whole entry came or went
    old: str
    new: str
    commit: str  # empty for what is not committed
    when: float  # seconds since 1970; infinite for what is not committed
    subject: str

    @property
    def binding(self) -> bool:
        """Whether a verdict can hang on it; wording cannot."""
        return not self.field or self.field in (*BINDING, *RULE)


@dataclass(frozen=True)
class Recorded:
    """A claim in a finished run, with the hypothesis as it stood then."""

    id: str
    stated: dict[str, Any]
    key: str
    profile: str
    finished: float


def changes(project: Project) -> tuple[list[Change], str]:
    """Every change of the file, oldest first, and a sentence where the record has gaps (else empty)."""
    path = f"./{project.relative(project.phases / FILE)}"
    log = git(project, "log", "--reverse", "--format=%H%x09%ct%x09%s", "--", path)
    if git(project, "rev-parse", "--git-dir") is None:
        return [], "This is no git checkout, so the history of the hypotheses is not at hand."
    if not log:
        return [], "The hypotheses are not committed yet, so they have no history."
    found: list[Change] = []
    gaps = []
    if git(project, "rev-parse", "--is-shallow-repository") == "true":
        gaps.append("This checkout is shallow, so older changes are not at hand.")
    before: dict[str, dict[str, Any]] = {}
    for line in log.splitlines():
        commit, when, subject = line.split("\t", 2)
        text = git(project, "show", f"{commit}:{path}") or ""  # nothing where the commit deletes it
        try:
            now = _entries(parse_yaml(text, path))
        except ReportError:
            gaps.append(f"In commit {commit[:10]} the file is not valid YAML.")
            continue
        found += _differences(before, now, commit[:10], float(when), subject)
        before = now
    present = _entries(read_yaml(project.phases / FILE, FILE))
    found += _differences(before, present, "", float("inf"), "not committed")
    return found, " ".join(gaps)


def recorded(project: Project) -> list[Recorded]:
    """The claims of all finished runs that are still there, oldest first."""
    found = []
    for folder in sorted(path for path in project.runs.glob("*") if path.is_dir()):
        for run, manifest in finished_runs(project, folder.name):
            if damaged(run, manifest):
                continue
            for identifier, claim in read_json(run / "results.json").get("claims", {}).items():
                key, profile, finished = (manifest[name] for name in ("key", "profile", "finished"))
                found.append(Recorded(identifier, claim["stated"], key, profile, finished))
    return sorted(found, key=lambda one: one.finished)


def moved(project: Project, records: list[Recorded]) -> list[str]:
    """One sentence for each thing that a verdict hangs on and that changed since a run recorded its claim."""
    present = _entries(read_yaml(project.phases / FILE, FILE))
    runs: dict[tuple[str, str, str, str], list[Recorded]] = {}
    for record in records:
        now = present.get(record.id)
        if now is None:
            runs.setdefault((record.id, "", "stated", "taken out"), []).append(record)
            continue
        for name in BINDING:
            old, new = _plain(record.stated.get(name)), _plain(now.get(name))
            if old != new:
                runs.setdefault((record.id, name, written(old), written(new)), []).append(record)
    lines = []
    for (identifier, name, old, new), seen in runs.items():
        last = seen[-1]
        count = f"{len(seen)} runs, the last of them" if len(seen) > 1 else "run"
        what = f"{name} was {old} and is now {new}" if name else "was taken out"
        lines.append(
            f"{identifier}: {what}, after {count} {last.key} (profile {last.profile}, {day(last.finished)}) "
            "had recorded a claim under it."
        )
    return lines


def after_a_run(change: Change, records: list[Recorded]) -> Recorded | None:
    """The first run that had recorded a claim when a binding change came, or None.

    A change of the rule or of a pillar comes after any claim, that of a hypothesis after a claim under it.
    """
    if not change.binding:
        return None
    whole = change.entry == "answer" or change.entry.startswith("pillars ")
    for record in records:
        if record.finished < change.when and (whole or record.id == change.entry):
            return record
    return None


def day(seconds: float) -> str:
    """A date in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def written(value: Any) -> str:
    """A value of the file on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {written(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _entries(content: Any) -> dict[str, dict[str, Any]]:
    """Entry → field → value, for any version of the file, however it was formed."""
    content = content if isinstance(content, dict) else {}
    listed = content.get("hypotheses")
    listed = listed if isinstance(listed, list) else []
    found = {str(entry["id"]): entry for entry in listed if isinstance(entry, dict) and "id" in entry}
    for section in ("pillars", "controls"):
        named = content.get(section)
        for name, entry in named.items() if isinstance(named, dict) else ():
            found[f"{section} {name}"] = entry
    found["answer"] = content.get("answer")
    return {name: _plain(entry) for name, entry in found.items() if isinstance(entry, dict)}


def _plain(value: Any) -> Any:
    """A value without what makes no difference: line breaks in text, 1 for 1.0."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _differences(
    before: dict[str, dict], now: dict[str, dict], commit: str, when: float, subject: str
) -> Iterator[Change]:
    for entry in dict.fromkeys([*before, *now]):
        old, new = before.get(entry), now.get(entry)
        if old is None or new is None:
            words = ("", "stated") if old is None else ("stated", "taken out")
            yield Change(entry, "", *words, commit, when, subject)
            continue
        for field in dict.fromkeys([*old, *new]):
            if old.get(field) != new.get(field):
                sides = (written(side[field]) if field in side else "nothing" for side in (old, new))
                yield Change(entry, field, *sides, commit, when, subject)
