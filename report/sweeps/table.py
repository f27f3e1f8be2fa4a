"""The results of a sweep as one tidy table: a row for each point, a column for each parameter and number.

A number ``x`` has the columns ``x``, and where it was recorded with them ``x.low``, ``x.high`` and ``x.n``.
``status`` is ``done``, ``failed`` or ``left`` (by the budget); ``run`` is the key of the run.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from ..progress import say
from ..project import Project, read_json, write_atomic, write_json
from .points import Finished, Sweep


def folder_of(project: Project, name: str) -> Path:
    """Where a sweep's table, plots and record lie."""
    return project.build / "sweeps" / name


def collect_rows(sweep: Sweep, failed: dict[str, str]) -> list[dict[str, Any]]:
    """One row for each point, in the sweep's order.

    Parameters
    ----------
    failed : label of a point → why it failed in this call.
    """
    finished = Finished(sweep)
    finished.look()
    rows = []
    for point in sweep.points:
        row: dict[str, Any] = dict(point.swept)
        found = finished.of(point)
        row["status"] = "done" if found else "failed" if point.label in failed else "left"
        if found:
            folder, manifest = found
            row |= {"run": manifest["key"], "seconds": manifest["wall_s"]}
            for name, number in read_json(folder / "results.json").get("numbers", {}).items():
                row[name] = number["value"]
                if number["interval"]:
                    row[f"{name}.low"], row[f"{name}.high"] = number["interval"]
                if number["n"] is not None:
                    row[f"{name}.n"] = number["n"]
        rows.append(row)
    return rows


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def write_table(sweep: Sweep, rows: list[dict[str, Any]]) -> Path:
    """Write ``table.csv``, ``table.parquet`` where pyarrow is installed, and ``sweep.json``.

    Returns
    -------
    Path
        Their folder.
    """
    folder, columns = folder_of(sweep.project, sweep.spec.name), columns_of(rows)
    flat = [{name: _flat(row.get(name)) for name in columns} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_atomic(folder / "table.csv", text.getvalue())
    write_parquet(folder / "table.parquet", flat)
    units = _units(sweep, rows)
    record = {"spec": sweep.spec.as_plain(), "name": sweep.spec.name, "swept": sweep.spec.swept}
    write_json(folder / "sweep.json", record | {"units": units, "columns": columns, "rows": rows})
    return folder


def write_parquet(path: Path, flat: list[dict[str, Any]]) -> bool:
    """Write a Parquet file; False where pyarrow is not installed, and then no older one stays."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path.unlink(missing_ok=True)
        say("The table is written as CSV alone; for Parquet too, install pyarrow.")
        return False
    for name in flat[0] if flat else ():  # a column has one type; "all" beside 3 is text
        values = [row[name] for row in flat if row[name] is not None]
        if len({isinstance(value, str) for value in values}) > 1:
            flat = [row | {name: None if row[name] is None else str(row[name])} for row in flat]
    partial = path.with_name(f".{path.name}")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), partial)
    partial.replace(path)
    return True


def _flat(value: Any) -> Any:
    """A value that a cell can hold: lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _units(sweep: Sweep, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Number → unit, as the runs recorded them."""
    units: dict[str, str] = {}
    for row in rows:
        if row.get("run"):
            run = sweep.project.runs / sweep.spec.phase / row["run"]
            for name, number in read_json(run / "results.json").get("numbers", {}).items():
                units.setdefault(name, number["unit"])
    return units
