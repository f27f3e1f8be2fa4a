"""``python -m report publish`` and ``python -m report diff``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..corpus import add_study, study
from ..lock import build_lock
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError, write_atomic
from .diff import compare
from .record import published, working
from .show import as_page, as_text, into_changelog


def add_arguments(commands: Any) -> None:
    text = "add the book to the folder of versions, after every check"
    publish = commands.add_parser("publish", help=text, description=text)
    publish.add_argument("version", help="such as v0.1.0")
    publish.add_argument("--no-browser", action="store_true", help="open no page in Chromium")
    text = "what differs between two published versions, or a version and the working tree"
    diff = commands.add_parser("diff", help=text, description=text)
    diff.add_argument("old", help="a published version")
    diff.add_argument("new", nargs="?", help="another one (default: the working tree's finished runs)")
    diff.add_argument("--json", action="store_true", help="print JSON instead of text")
    diff.add_argument("--page", metavar="FILE.html", help="also write a page")
    text = 'also write the summary into CHANGELOG.md, under "Results changed" of the newest version'
    diff.add_argument("--changelog", action="store_true", help=text)
    for command in (publish, diff):
        add_study(command)
        text = "the folder of versions (default: build/site)"
        command.add_argument("--site", help=text)


def run(project: Project, options: argparse.Namespace) -> int:
    site = Path(options.site or project.build / "site").resolve()
    profile = study(project, options)
    return {"publish": _publish, "diff": _diff}[options.command](project, profile, site, options)


def _publish(project: Project, profile: Profile, site: Path, options: argparse.Namespace) -> int:
    from .publish import publish

    with build_lock(project):
        folder = publish(project, profile, options.version, site, browser=not options.no_browser)
    print(project.relative(folder / "index.html"))
    return 0


def _diff(project: Project, profile: Profile, site: Path, options: argparse.Namespace) -> int:
    old = published(site, options.old)
    new = published(site, options.new) if options.new else working(project, profile)
    found = compare(old, new)
    changelog = project.root / "CHANGELOG.md"
    if options.page and Path(options.page).is_dir():
        raise ReportError(f"--page {options.page} is a folder; name a file such as diff.html.")
    if options.changelog:
        into_changelog(changelog, found)
        say(f"Written: {project.relative(changelog)}")
    if options.page:
        write_atomic(Path(options.page), as_page(found))
        say(f"Written: {options.page}")
    print(json.dumps(found.as_plain(), indent=2, ensure_ascii=False) if options.json else as_text(found))
    return 0
