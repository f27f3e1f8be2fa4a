"""What a preparation found, in words, numbers and a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora.dataset import Row
from corpora.listen import Heard
from corpora.tables import Problems
from interp.descriptors import CUES
from interp.plots.corpora import rated_plane

SHOWN = 10  # problems in the report; all of them are in problems.csv


def write_report(
    folder: Path,
    facts: dict[str, Any],
    kept: Sequence[tuple[Row, Heard]],
    problems: Problems,
    unlabelled: Sequence[Path],
) -> None:
    """Write ``features.csv``, ``problems.csv``, ``plane.png`` (where there are ratings) and ``report.md``."""
    with (folder / "features.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "seconds", *CUES])
        for row, heard in kept:
            table.writerow([row.id, f"{heard.seconds:.3f}", *(f"{heard.cues[cue]:.6g}" for cue in CUES)])
    told = [*problems.found, *((str(sound), 0, "sound without labels") for sound in unlabelled)]
    with (folder / "problems.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "line", "reason"])
        table.writerows((name, line or "", reason) for name, line, reason in told)
    lines = [f"# {facts['title']}", "", *_counts(facts), ""]
    if facts["rated"]:
        valence, arousal = ([getattr(row, axis) for row, _ in kept] for axis in ("valence", "arousal"))
        said = f"{len(kept)} clips of {facts['name']}: valence {_spread(valence)}, arousal {_spread(arousal)}"
        alt = f"Scatter plot of {said}; {_quadrants(facts)}."
        rated_plane(valence, arousal, facts["title"], alt).savefig(folder / "plane.png", dpi=120)
        lines += [f"![{alt}](plane.png)", ""]
    if told:
        lines += [f"Not used ({len(told)} in all, see `problems.csv`):", ""]
        for name, line, reason in told[:SHOWN]:
            lines.append(f"- {name}{f', line {line}' if line else ''}: {reason}")
    (folder / "report.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _counts(facts: dict[str, Any]) -> list[str]:
    def of(kind: str) -> str:
        whole = facts["complete"].get(kind)
        return "" if whole is None else f" (the whole set: {whole:,})"

    checks = facts["checksums"]
    used = f"{facts['clips']:,} in {facts['groups']:,} groups, {facts['seconds'] / 60:.1f} min"
    return [
        f"Source: {facts['home']}. Licence: {facts['licence']}. {facts['paper']}.",
        "",
        "| | |",
        "|---|---|",
        f"| clips that can be used | {used} |",
        f"| labelled clips | {facts['labels']:,}{of('labels')} |",
        f"| rows of labels that cannot be read | {facts['unreadable_rows']:,} |",
        f"| labels without a sound | {facts['labels_without_sound']:,} |",
        f"| sounds without labels | {facts['sounds_without_labels']:,} |",
        f"| sounds that are unreadable, silent or too short | {facts['unusable_sounds']:,} |",
        f"| files checked by checksums beside them | {checks['checked']:,} of {checks['listed']:,} listed |",
        f"| quadrants | {_quadrants(facts)} |",
    ]


def _quadrants(facts: dict[str, Any]) -> str:
    names = {"1": "Q1 (+ +)", "2": "Q2 (− +)", "3": "Q3 (− −)", "4": "Q4 (+ −)", "None": "none"}
    return ", ".join(f"{names[key]} {count:,}" for key, count in facts["quadrants"].items())


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):+.2f} to {max(values):+.2f}, mean {sum(values) / len(values):+.2f}"
