"""Accessibility of every page: axe-core, WCAG 2.1 AA, in light and in dark mode.

axe-core (MPL-2.0) is not part of this repository: its one file has 650 KB.  It is taken from ``build/axe``,
where npm puts it at the first check; without npm and without the file, accessibility is not checked, and
that is said.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from ..browser import Browser
from ..project import Project, file_digest

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
SERIOUS = ("serious", "critical")
RUN = """(async () => {
  document.documentElement.dataset.theme = "%s";
  document.documentElement.dataset.mode = "%s";
  await new Promise(done => setTimeout(done, 100));
  const found = await axe.run(document, {runOnly: %s, resultTypes: ["violations"]});
  return found.violations.map(one => ({id: one.id, impact: one.impact, help: one.help,
    where: one.nodes.slice(0, 3).map(node => node.target.join(" ")), count: one.nodes.length}));
})()"""


def find_axe(project: Project) -> tuple[str | None, str]:
    """axe-core's source, or None and one sentence that says how to get it."""
    path = project.build / "axe" / "axe.min.js"
    if not path.is_file() and shutil.which("npm"):
        _fetch(path)
    if not path.is_file():
        return None, (
            f"Accessibility was not checked: axe-core is not here. Run `npm pack axe-core@{VERSION}` and put "
            f"its axe.min.js into {project.relative(path.parent)}."
        )
    if file_digest(path) != SHA256:
        return None, (
            f"Accessibility was not checked: {project.relative(path)} is not that of axe-core {VERSION}; "
            "delete it."
        )
    return path.read_text(encoding="utf-8"), ""


def _fetch(path: Path) -> None:
    """Take the file out of the package, with the licence beside it; nothing where npm does not get it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(path.parent)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        return
    packed = path.parent / f"axe-core-{VERSION}.tgz"
    if done.returncode or not packed.is_file():
        return
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
        for name in ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt"):
            (path.parent / name).write_bytes(archive.extractfile(f"package/{name}").read())
    packed.unlink()


def look(browser: Browser, axe: str, theme: str) -> list[dict[str, Any]]:
    """The serious findings on the page that is open."""
    browser.call("Runtime.evaluate", expression=axe)
    expression = RUN % (theme, theme, json.dumps(STANDARD))
    answer = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    found = answer["result"].get("value")
    if found is None:
        return [
            {"id": "axe", "help": str(answer.get("exceptionDetails", answer))[:200], "where": [], "count": 1}
        ]
    return [one for one in found if one["impact"] in SERIOUS]
