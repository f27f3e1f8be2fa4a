"""``python -m report sweep``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..lock import build_lock
from ..notebook import Notebook
from ..progress import say
from ..project import Project, ReportError, read_json, write_json
from .drive import Outcome, drive, words
from .points import Finished, Sweep
from .spec import Spec, from_words
from .table import collect_rows, write_table


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", help="phases/NAME.ipynb with --grid or --zip, or phases/sweeps/NAME.yaml")
    command.add_argument(
        "--grid", action="append", default=[], metavar="NAME=VALUES", help="every combination"
    )
    command.add_argument("--zip", action="append", default=[], metavar="NAME=VALUES", help="side by side")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="the same in all runs"
    )
    command.add_argument(
        "--where", action="append", default=[], metavar="CONDITION", help="such as 'layer < 3'"
    )
    command.add_argument(
        "--budget", action="append", default=[], metavar="runs=N|hours=H", help="what one call starts at most"
    )
    command.add_argument("--name", help="of the sweep (default: of the notebook and what is swept)")
    command.add_argument("--profile", help="whose parameters hold for what is not swept (default: etude)")
    command.add_argument(
        "--jobs", type=int, metavar="N", help="runs at a time; with --cluster, jobs in the queue"
    )
    command.add_argument("--cold", action="store_true", help="each run loads everything itself")
    command.add_argument(
        "--points", action="store_true", help="list the points and whether they are done; run nothing"
    )
    command.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="send the runs to a Dask scheduler")
    command.add_argument("--dask", action="store_true", help="a Dask cluster on this machine")
    command.add_argument(
        "--cluster", metavar="QUEUE", help="a batch queue that dask-jobqueue knows: slurm, pbs, sge, ..."
    )
    command.add_argument("--gpu", action="store_true", help="each run needs a GPU of its own (Dask)")
    command.add_argument(
        "--dry-run", action="store_true", help="with --cluster: print the job script, start nothing"
    )


def sweep(project: Project, options: argparse.Namespace) -> int:
    """Run a sweep, write its table and plots."""
    spec = spec_of(project, options)
    if options.jobs is not None and options.jobs < 1:
        raise ReportError(f"--jobs {options.jobs}: it must be 1 or more.")
    places = [f"--{name}" for name in ("dask", "scheduler", "cluster") if getattr(options, name)]
    if len(places) > 1:
        raise ReportError(f"{' and '.join(places)} name different places for the runs; give one of them.")
    far = options.scheduler or options.cluster or options.dask or options.dry_run or options.gpu
    if options.dry_run:
        from .cluster import job_script

        print(job_script(project, options.cluster, options.gpu))
        return 0
    planned = Sweep.plan(project, spec)
    if options.points:
        return list_points(planned)
    with build_lock(project):
        if far:
            from .cluster import Where, drive_far

            where = Where(options.scheduler, options.cluster, options.gpu, options.jobs)
            outcome = drive_far(planned, where, warm=not options.cold)
        else:
            outcome = drive(planned, options.jobs, warm=not options.cold)
        finish(planned, outcome)
    return 1 if outcome.failed else 0


def finish(planned: Sweep, outcome: Outcome) -> None:
    """Write the table and the plots, and say where they are."""
    rows = collect_rows(planned, outcome.failed)
    folder = write_table(planned, rows)
    record = read_json(folder / "sweep.json")
    if any(row["status"] == "done" for row in rows):
        from .plots import draw

        write_json(folder / "sweep.json", record | {"plots": draw(record, folder / "plots")})
    if outcome.left:
        say(f"{planned.spec.name}: {outcome.left} points are left by the budget; call again for them.")
    if outcome.failed:
        say(f"{planned.spec.name}: of its runs, {len(outcome.failed)} failed; the same call tries again.")
    print(planned.project.relative(folder / "table.csv"))


def list_points(planned: Sweep) -> int:
    """One line for each point."""
    finished = Finished(planned)
    finished.look()
    for point in planned.points:
        found = finished.of(point)
        print(f"{'done ' + found[1]['key'] if found else 'to run':<26} {words(point.swept)}")
    return 0


def spec_of(project: Project, options: argparse.Namespace) -> Spec:
    """What the command line asks for."""
    path = Path(options.what)
    written = {
        key: getattr(options, key) for key in ("grid", "zip", "set", "where", "budget", "profile", "name")
    }
    if path.suffix in (".yaml", ".yml"):
        given = [f"--{key}" for key, value in written.items() if value and key != "budget"]
        if given:
            raise ReportError(f"{' and '.join(given)} belong in {options.what}, which says what is swept.")
        spec = Spec.read(project, path if path.is_absolute() else project.root / path)
        return spec if not options.budget else _with_budget(spec, options.budget)
    Notebook.path_of(project, path.stem)
    content = {"grid": from_words(options.grid, "grid"), "zip": from_words(options.zip, "zip")}
    content["parameters"] = {
        name: _one(name, values) for name, values in from_words(options.set, "set").items()
    }
    content["where"], content["budget"] = options.where, _budget(options.budget)
    content = {key: value for key, value in content.items() if value}
    if options.profile:
        content["profile"] = options.profile
    swept = [*content.get("grid", {}), *content.get("zip", {})]
    name = options.name or "-".join([path.stem, *swept])
    return Spec.checked("The command line", name, path.stem, content)


def _one(name: str, values: list) -> object:
    if len(values) > 1:
        raise ReportError(
            f"--set {name} gives {len(values)} values; several are given with --grid {name}=..."
        )
    return values[0]


def _budget(words: list[str]) -> dict[str, object]:
    return {name: _one(name, values) for name, values in from_words(words, "budget").items()}


def _with_budget(spec: Spec, words: list[str]) -> Spec:
    content = {key: value for key, value in spec.as_plain().items() if key != "notebook"}
    content["budget"] = _budget(words)
    return Spec.checked("The command line", spec.name, spec.phase, content)
