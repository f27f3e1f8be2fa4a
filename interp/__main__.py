"""Command line: ``python -m interp doctor``, ``download``, ``plan``, ``verify`` and ``data``."""

from __future__ import annotations

import argparse
import sys

from .errors import InterpError


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    from . import data, download, verify

    every = argparse.ArgumentParser(
        prog="python -m interp", description="Look inside music generation models."
    )
    commands = every.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check this machine, and try a model for real")
    doctor.add_argument("--model", default="etude", help="the model to try (default: etude)")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    download.add_arguments(commands.add_parser("download", help="fetch a model of Meta's, once"))
    plan = commands.add_parser(
        "plan", help="memory, disk and time that clips and their activations will take"
    )
    plan.add_argument("model", help="a registered name, an id on the hub or a folder")
    plan.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    plan.add_argument("--seconds", type=float, default=8, help="of every clip (default: 8)")
    plan.add_argument("--clips", type=int, default=32, help="how many (default: 32)")
    plan.add_argument("--batch", type=int, help="clips at a time (default: as many as fit)")
    verify.add_arguments(
        commands.add_parser("verify", help="hold a real model against all that is said of it")
    )
    data.add_arguments(commands.add_parser("data", help="data sets with labels of emotion"))
    return every


def main(arguments: list[str] | None = None) -> int:
    """Run a command; bad input ends in one sentence on stderr and exit status 2."""
    from . import data, download, verify

    others = {"data": data, "download": download, "verify": verify}
    options = parser().parse_args(arguments)
    try:
        if options.command in others:
            return others[options.command].main(options)
        if options.command == "plan":
            from . import load
            from . import plan as foresee

            found = foresee(
                load(options.model, options.device), options.seconds, options.batch, clips=options.clips
            )
            print(found)
            return 0 if found.fits else 1
        from .doctor import main as run

        return run(options.model, options.json)
    except InterpError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
