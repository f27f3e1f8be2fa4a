"""The report builder's command line: ``python -m report``."""

from __future__ import annotations

import argparse
import sys
import time

from .notebook import Notebook
from .profile import Profile
from .project import Project, ReportError, here


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in {
        "build": "run what is not up to date, then build the book",
        "run": "run what is not up to date",
        "collect": "put the book's sources into build/book-src",
        "status": "one line a phase: done, stale, failed, running or missing",
        "why-stale": "which part of a run's key changed, old → new",
        "check": "every link, picture and sound of the built book leads somewhere",
    }.items():
        command = commands.add_parser(name, help=text, description=text)
        if name != "check":
            command.add_argument(
                "--profile", default="etude", help="a file of phases/profiles (default: etude)"
            )
    options = parser.parse_args(arguments)
    project = here()
    try:
        if options.command == "check":
            return check(project)
        profile = Profile.read(project, options.profile)
        return {"build": build, "run": run, "collect": collect, "status": status, "why-stale": why_stale}[
            options.command
        ](project, profile)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("report: stopped; finished runs are kept.", file=sys.stderr)
        return 130


def build(project: Project, profile: Profile) -> int:
    from .book import build_book
    from .collect import collect as stage
    from .lock import build_lock
    from .run import run_profile, say

    begin = time.monotonic()
    with build_lock(project):
        states = run_profile(project, profile)
        fresh = build_book(project, stage(project, profile, states))
    say(f"The book is {'built' if fresh else 'up to date'} ({time.monotonic() - begin:.1f} s): open")
    print(project.relative(project.html / "index.html"))
    return 0


def run(project: Project, profile: Profile) -> int:
    from .lock import build_lock
    from .run import run_profile

    with build_lock(project):
        run_profile(project, profile)
    return 0


def collect(project: Project, profile: Profile) -> int:
    from .collect import collect as stage
    from .lock import build_lock

    with build_lock(project):
        print(project.relative(stage(project, profile, _states(project, profile))))
    return 0


def status(project: Project, profile: Profile) -> int:
    for now in _states(project, profile):
        line = f"{now.phase:<20} {now.status:<8}"
        if now.manifest:
            age = (time.time() - now.manifest["finished"]) / 3600
            line += f" {age:6.1f} h ago, took {now.manifest['wall_s']:.0f} s, "
            line += f"peak {now.manifest['peak_memory_bytes'] / 2**30:.1f} GiB"
        if now.reasons:
            line += f"  {now.reasons[0]}" + (f" (and {len(now.reasons) - 1} more)" if now.reasons[1:] else "")
        print(line.rstrip())
    return 0


def why_stale(project: Project, profile: Profile) -> int:
    for now in _states(project, profile):
        print(f"{now.phase}: {now.status}")
        for reason in now.reasons:
            print(f"  {reason}")
    return 0


def check(project: Project) -> int:
    from .check import check_book

    if not (project.html / "index.html").is_file():
        raise ReportError("There is no book to check; make it with `make report`.")
    counts, problems = check_book(project.html)
    for problem in problems:
        print(problem, file=sys.stderr)
    looked = ", ".join(f"{number} {what}" for what, number in counts.items())
    print(
        f"{looked}: "
        + (f"{len(problems)} problems" if problems else "all lead somewhere, none leaves the book")
    )
    return 1 if problems else 0


def _states(project: Project, profile: Profile):
    from .runs import state

    return [state(project, profile, Notebook.read(project, phase)) for phase in profile.phases]


if __name__ == "__main__":
    sys.exit(main())
