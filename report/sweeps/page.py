"""A sweep's page in the book: plots, the table, and what each run offers for download."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..page import plain
from ..project import Project, ReportError, read_json
from .plots import MOST_PLOTS, numbers_of
from .points import Finished, Sweep
from .spec import ATTRIBUTES, Spec

MOST_ROWS = 60  # on the page; the table offered for download has all


def stage_sweeps(project: Project, staged: Path) -> list[str]:
    """Put a page for every sweep into the staged sources; their names for the table of contents."""
    names = []
    for record_path in sorted((project.build / "sweeps").glob("*/sweep.json")):
        record, folder = read_json(record_path), record_path.parent
        name = record["name"]
        below = staged / "sweeps" / name
        below.mkdir(parents=True)
        for table in ("table.csv", "table.parquet"):
            if (folder / table).is_file():
                shutil.copy(folder / table, below)
        if (folder / "plots").is_dir():
            shutil.copytree(folder / "plots", staged / "_static" / "sweeps" / name)
        there = _copy_runs(project, record, below)
        page = page_of(record, there, _changed(project, record), below)
        (staged / "sweeps" / f"{name}.md").write_text(page, encoding="utf-8")
        names.append(f"sweeps/{name}")
    return names


def _copy_runs(project: Project, record: dict[str, Any], below: Path) -> set[str]:
    """Copy executed notebooks; the keys of the runs that are still there."""
    there = set()
    for row in record["rows"]:
        run = project.runs / record["spec"]["notebook"] / row.get("run", "none")
        if (run / "manifest.json").is_file():
            shutil.copy(run / "notebook.ipynb", below / f"{row['run']}.ipynb")
            there.add(row["run"])
    return there


def _changed(project: Project, record: dict[str, Any]) -> str:
    """A sentence where today's code would not give these runs; else empty."""
    content = {key: value for key, value in record["spec"].items() if key != "notebook"}
    attributes = {ATTRIBUTES.get(key, key): value for key, value in content.items()}
    try:
        sweep = Sweep.plan(project, Spec(record["name"], record["spec"]["notebook"], **attributes))
    except ReportError as error:
        return f"This sweep could not be made today: {error}"
    finished = Finished(sweep)
    finished.look()
    today = {found[1]["key"] for found in map(finished.of, sweep.points) if found}
    old = sum(row["status"] == "done" and row["run"] not in today for row in record["rows"])
    if not old:
        return ""
    return (
        f"{old} of these runs were made before code, data or parameters changed; sweep again to renew them."
    )


def page_of(record: dict[str, Any], there: set[str], changed: str, below: Path) -> str:
    """The page as MyST."""
    name, phase, rows = record["name"], record["spec"]["notebook"], record["rows"]
    count = {status: sum(row["status"] == status for row in rows) for status in ("done", "failed", "left")}
    said = ", ".join(f"{number} {status}" for status, number in count.items() if number)
    lines = [
        f"# Sweep {plain(name)}",
        "",
        f"The notebook `{phase}` over {', '.join(f'`{swept}`' for swept in record['swept'])}: "
        f"{len(rows)} points, {said}. Everything else is as in profile "
        f"`{record['spec'].get('profile', 'etude')}`.",
        "",
    ]
    if changed:
        lines += ["```{warning}", plain(changed), "```", ""]
    offered = [table for table in ("table.csv", "table.parquet") if (below / table).is_file()]
    links = ", ".join(f"{{download}}`{table} <{name}/{table}>`" for table in offered)
    lines += [f"All results as one table: {links}.", ""]
    if record.get("plots"):
        for index, number in enumerate(numbers_of(record)):
            if number not in record["plots"]:
                continue
            lines += [
                f"```{{figure}} /_static/sweeps/{name}/{index}.png",
                f":alt: {json.dumps(record['plots'][number], ensure_ascii=False)}",
                "",
                f"{plain(number)}{_interval(record, number)}.",
                "```",
                "",
            ]
        more = len(record["units"]) - MOST_PLOTS
        if more > 0:
            lines += [f"{more} more numbers are in the table.", ""]
    lines += ["## Runs", "", *_table(record, rows, there), ""]
    asked = json.dumps(record["spec"], indent=2, ensure_ascii=False)
    lines += ["````{dropdown} What was asked", "```json", asked, "```", "````", ""]
    return "\n".join(lines)


def _interval(record: dict[str, Any], number: str) -> str:
    if any(f"{number}.low" in row for row in record["rows"]):
        return "; vertical lines are 95 % intervals"
    return ""


def _table(record: dict[str, Any], rows: list[dict[str, Any]], there: set[str]) -> list[str]:
    numbers = numbers_of(record)[:6]
    heads = [*record["swept"], *numbers, "status", "run"]
    lines = ["| " + " | ".join(plain(head) for head in heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows[:MOST_ROWS]:
        cells = [plain(_text(row[name])) for name in record["swept"]]
        cells += [f"{row[name]:.4g}" if name in row else "" for name in numbers]
        key = row.get("run", "")
        cells += [
            row["status"],
            f"{{download}}`{key[:8]} <{record['name']}/{key}.ipynb>`" if key in there else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if len(rows) > MOST_ROWS:
        lines += ["", f"{len(rows) - MOST_ROWS} more rows are in the table."]
    return lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
