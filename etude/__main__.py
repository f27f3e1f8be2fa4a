"""``python -m etude train`` and ``python -m etude evaluate``."""

from __future__ import annotations

import argparse
import sys

from interp.errors import InterpError


def main(argv: list[str]) -> int:
    if argv[:1] == ["evaluate"]:
        from etude.evaluate import main as evaluate

        return evaluate(argv[1:])
    parser = argparse.ArgumentParser("python -m etude", description="Train or evaluate the embedded models.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train everything from nothing, resuming what was begun")
    train.add_argument("--device", default="cpu", help="a torch device (default: cpu)")
    commands.add_parser("evaluate", help="print the tables of the model card")
    arguments = parser.parse_args(argv)
    from etude.recipe import train_all

    train_all(arguments.device)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InterpError as error:
        sys.exit(f"error: {error}")
