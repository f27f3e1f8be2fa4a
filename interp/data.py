"""``python -m interp data``: the data sets that are known here, and preparing one.

The data sets are plug-ins (:mod:`interp.corpora.prepared`); this is their command line.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from pathlib import Path

from .corpora import corpus
from .corpora.prepared import data_set, data_sets, home, is_prepared
from .errors import InterpError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    commands = parser.add_subparsers(dest="data_command", required=True)
    commands.add_parser("list", help="the known data sets: source, licence, what to download")
    prepare = commands.add_parser("prepare", help="check a data set that was downloaded, and convert it")
    prepare.add_argument("name", help="as `data list` says")
    prepare.add_argument("path", help="its folder or archive; nothing in it is changed")
    prepare.add_argument("--to", help="the folder of the prepared corpus (build/corpora/NAME)")
    prepare.add_argument("--partial", action="store_true", help="go on although labelled sounds are missing")
    prepare.add_argument("--renderer", help="what plays MIDI files, where there are several")
    prepare.add_argument("--workers", type=int, default=1, help="processes that listen (default: 1)")


def main(options: argparse.Namespace) -> int:
    """Run ``data list`` or ``data prepare``."""
    if options.data_command == "list":
        listing()
        return 0
    chosen = data_set(options.name)
    path = _named(options.path, "PATH", "the data set's folder or archive")
    to = _named(options.to, "--to", "a folder") if options.to is not None else home() / options.name
    show(options.name, chosen.about)
    folder = chosen.prepare(
        path,
        to,
        partial=options.partial,
        renderer=options.renderer,
        workers=options.workers,
    )
    report = (folder / "report.md").read_text(encoding="utf-8")
    print(re.sub(r"!\[.*\]\((.+)\)", lambda picture: f"Picture: {folder / picture[1]}", report))
    print(f"Prepared: {corpus(folder)!r} in {folder}")
    return 0


def _named(text: str, argument: str, what: str) -> Path:
    """The path that was given; an empty one, as of a variable that is not set, is not the current folder."""
    if not text.strip():
        raise InterpError(f"{argument} is empty; name {what}.")
    return Path(text)


def listing() -> None:
    """Print every data set that is registered."""
    registered = data_sets()
    if not registered:
        raise InterpError("No data set is registered; run: make setup (or pip install --no-deps -e .).")
    for name, found in registered.items():
        show(name, found.about)
        folder = home() / name
        print(f"  here      {folder if is_prepared(folder) else 'not prepared'}\n")


def show(name: str, about) -> None:
    """Print what a data set is and where it comes from."""
    print(f"{name}: {about.title}")
    for key in ("holds", "home", "licence", "fetch", "paper"):
        text = textwrap.fill(getattr(about, key), 96, subsequent_indent=" " * 12, break_long_words=False)
        print(f"  {key:<9} {text}")
