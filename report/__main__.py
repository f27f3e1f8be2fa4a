"""The report builder's command line: ``python -m report``."""

from __future__ import annotations

import argparse
import errno
import statistics
import subprocess
import sys
import time

from .corpus import add_study, study
from .profile import Profile
from .project import Project, ReportError, here, no_room
from .runs import State, states
from .sweeps import command as sweep_command
from .versions import command as versions_command

IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in {
        "build": "run what is not up to date, then build the book",
        "run": "run what is not up to date",
        "collect": "put the book's sources into build/book-src",
        "status": "one line a phase: done, stale, failed, running, damaged or missing",
        "why-stale": "which part of a run's key changed, old → new",
        "check": "every link, picture and sound of the built book leads somewhere; --browser opens it all",
        "bench": "how long a build takes that has nothing to do",
        "bench-sweep": "what a short run of a sweep costs, beside papermill in a loop",
    }.items():
        command = commands.add_parser(name, help=text, description=text)
        if name != "bench-sweep":
            add_study(command)
        if name in ("build", "run"):
            text = "how many phases may run at a time (default: as many as have room; with an NVIDIA GPU one)"
            command.add_argument("--jobs", type=_at_least_one, metavar="N", help=text)
        if name == "check":
            text = "also open every page in Chromium, with the network cut, and play a sound on each"
            command.add_argument("--browser", action="store_true", help=text)
            text = "also labels, sizes, runs, references, accessibility, and what a reader does with a page"
            command.add_argument("--all", action="store_true", help=text)
    versions_command.add_arguments(commands)
    text = "show the built book to a browser on this machine"
    serve_command = commands.add_parser("serve", help=text, description=text)
    serve_command.add_argument(
        "--port", type=int, default=8000, help="(default: 8000; 0 for any that is free)"
    )
    text = "write the paper from the same results: LaTeX sources, a tarball, a PDF"
    paper_command = commands.add_parser("paper", help=text, description=text)
    text = "1 technical report, 2 workshop paper, 3 full paper (default: the largest that the profile has)"
    paper_command.add_argument("--phase", type=int, choices=(1, 2, 3), help=text)
    add_study(paper_command)
    text = "run a notebook over many values of its parameters"
    sweep_command.add_arguments(commands.add_parser("sweep", help=text, description=text))
    options = parser.parse_args(arguments)
    project = here()
    try:
        _refuse_empty(options)
        if options.command == "sweep":
            return sweep_command.sweep(project, options)
        if options.command in ("publish", "diff"):
            return versions_command.run(project, options)
        if options.command == "bench-sweep":
            return bench_sweep()
        if options.command == "check" and not options.all:
            return check(project, options.browser)
        if options.command == "serve":
            return serve(project, options.port)
        profile = study(project, options)
        if options.command == "check":
            return check_all(project, profile)
        if options.command == "paper":
            return paper(project, profile, options.phase)
        if options.command in ("build", "run"):
            return {"build": build, "run": run}[options.command](project, profile, options.jobs)
        return {"collect": collect, "status": status, "why-stale": why_stale, "bench": bench}[
            options.command
        ](project, profile)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        full = no_room(str(error))  # what copies whole folders has it in its text alone
        if not full and error.errno not in IN_THE_WAY:
            raise
        where = f"{project.relative(error.filename)}: " if error.filename else ""
        cure = "move what is there, or let this account write it, and run again"
        if full:
            cure = "make room and build again, finished runs are kept"
        print(f"report: {where}{full or error.strerror}; {cure}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("report: stopped; finished runs are kept.", file=sys.stderr)
        return 130


def _refuse_empty(options: argparse.Namespace) -> None:
    empty = [name for name, value in vars(options).items() if value == ""]
    if empty:
        raise ReportError(f"{' and '.join(empty)}: the value is empty; give one, or leave it out.")


def build(project: Project, profile: Profile, jobs: int | None = None) -> int:
    from .book import build_book
    from .collect import collect as stage
    from .lock import build_lock
    from .progress import say
    from .run import run_profile

    begin = time.monotonic()
    with build_lock(project):
        states = run_profile(project, profile, jobs)
        fresh = build_book(project, stage(project, profile, states))
    say(f"The book is {'built' if fresh else 'up to date'} ({time.monotonic() - begin:.1f} s): open")
    print(project.relative(project.html / "index.html"))
    return 0


def run(project: Project, profile: Profile, jobs: int | None = None) -> int:
    from .lock import build_lock
    from .run import run_profile

    with build_lock(project):
        run_profile(project, profile, jobs)
    return 0


def collect(project: Project, profile: Profile) -> int:
    from .collect import collect as stage
    from .lock import build_lock

    with build_lock(project):
        print(project.relative(stage(project, profile, states(project, profile))))
    return 0


def status(project: Project, profile: Profile) -> int:
    for now in states(project, profile):
        print(f"{now.phase:<22} {now.status:<8} {'; '.join(_known(project, now))}".rstrip())
    return 0


def _known(project: Project, now: State) -> list[str]:
    """Age, cost, and where or why, as far as they are known."""
    from .progress import span

    known = now.manifest
    if now.status == "running":
        at = f"cell {min(known['cell'], known['of'])} of {known['of']}" if known else "starting"
        return [f"{at}, {span(time.time() - known['started'])} so far" if known else at]
    parts = []
    if "finished" in known:
        parts.append(f"{span(time.time() - known['finished'])} ago, took {span(known['wall_s'])}")
    if "peak_memory_bytes" in known:
        parts[-1] += f", peak {known['peak_memory_bytes'] / 2**30:.1f} GiB"
    if now.reasons:
        more = f" (and {len(now.reasons) - 1} more)" if now.reasons[1:] else ""
        parts.append(now.reasons[0] + more)
    if now.status == "failed":
        parts.append(f"kept in {project.relative(now.folder)}")
    return parts


def why_stale(project: Project, profile: Profile) -> int:
    for now in states(project, profile):
        print(f"{now.phase}: {now.status}")
        for reason in now.reasons:
            print(f"  {reason}")
    return 0


def bench(project: Project, profile: Profile) -> int:
    not_done = [f"{now.phase} is {now.status}" for now in states(project, profile) if now.status != "done"]
    if not_done:
        raise ReportError(
            f"A build of profile {profile.name} has something to do ({', '.join(not_done)}); "
            f"run `make report {profile.asked}` first, so that there is nothing to do."
        )
    command = [sys.executable, "-m", "report", "build", "--profile", profile.name]
    command += ["--corpus", profile.corpus] if profile.corpus else []
    seconds = []
    for _ in range(4):  # the first one may still have pages to build
        begin = time.monotonic()
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
        if done.returncode:
            raise ReportError(f"The build failed: {done.stderr.strip()}")
        seconds.append(time.monotonic() - begin)
    middle, least, most = statistics.median(seconds[1:]), min(seconds[1:]), max(seconds[1:])
    print(f"report with nothing to do: {middle:.1f} s  (from {least:.1f} to {most:.1f})")
    return 0


def paper(project: Project, profile: Profile, kind: int | None) -> int:
    from .lock import build_lock
    from .paper.build import build_paper
    from .paper.source import largest

    with build_lock(project):
        print(project.relative(build_paper(project, profile, kind or largest(project, profile))))
    return 0


def bench_sweep() -> int:
    from .sweeps.bench import bench as measure

    print("\n".join(measure()))
    return 0


def serve(project: Project, port: int) -> int:
    from .browser import served

    _needs_book(project)
    try:
        with served(project.html, port) as address:
            print(address, flush=True)
            while True:
                time.sleep(3600)
    except OverflowError:
        raise ReportError(f"--port {port}: a port is a number from 0 to 65535.") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ReportError(f"Port {port} is in use; take another one, such as --port {port + 1}.") from None


def _needs_book(project: Project) -> None:
    if not (project.html / "index.html").is_file():
        raise ReportError("There is no book here; make it with `make report`.")


def check_all(project: Project, profile: Profile) -> int:
    from .checks.every import check_everything

    _needs_book(project)
    return _concluded(*check_everything(project, profile), good="nothing is wrong")


def check(project: Project, browser: bool = False) -> int:
    from .check import check_book

    _needs_book(project)
    counts, problems = check_book(project.html)
    if browser:
        from .browser import check_in_browser

        opened, more = check_in_browser(project.html)
        counts, problems = counts | opened, problems + more
    return _concluded(counts, problems, good="all lead somewhere, none leaves the book")


def _concluded(counts: dict[str, float], problems: list[str], good: str) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    looked = ", ".join(f"{number} {what}" for what, number in counts.items())
    print(f"{looked}: {f'{len(problems)} problems' if problems else good}")
    return 1 if problems else 0


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
