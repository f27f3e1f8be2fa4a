"""Command line: ``python -m interp doctor``, ``download`` and ``data``."""

from __future__ import annotations

import argparse
import sys

from .errors import InterpError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; bad input ends in one sentence on stderr and exit status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m interp", description="Look inside music generation models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check this machine, and try a model for real")
    doctor.add_argument("--model", default="etude", help="the model to try (default: etude)")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    from . import data, download

    others = {"data": data, "download": download}
    data.add_arguments(commands.add_parser("data", help="data sets with labels of emotion"))
    download.add_arguments(commands.add_parser("download", help="fetch a model of Meta's, once"))
    options = parser.parse_args(arguments)
    try:
        if options.command in others:
            return others[options.command].main(options)
        from .doctor import main as run

        return run(options.model, options.json)
    except InterpError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
