"""The folder of versions, as a web server or a reader's disk has it.

::

    index.html             leads to the newest version
    versions.js            the list, and the switcher that every page shows
    .nojekyll              GitHub Pages shall take the files as they are: names with _ in front too
    .github/workflows/     what publishes this folder when it is pushed as a branch
    v0.1.0/                a book
    archives/v0.1.0.tar.gz and its .sha256

The theme's own switcher fetches its list, which browsers refuse to pages read from disk, and writes the
address of the list into every page.  This one is a script beside the versions, found by a relative path.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from ..check import pages_of
from ..project import read_json, write_atomic

NAME = re.compile(r"v?\d+(\.\d+){1,3}([-.]?(a|b|rc|alpha|beta|dev|post)\.?\d*)?")
WORKFLOW = """\
# Publishes this branch, a folder of versions made by `make publish`, on GitHub Pages.
name: pages
on:
  push:
    branches: [pages]
  workflow_dispatch:
permissions:
  contents: read
  pages: write
  id-token: write
concurrency: pages
jobs:
  publish:
    runs-on: ubuntu-latest
    environment:
      name: github-pages
      url: ${{ steps.deployment.outputs.page_url }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/configure-pages@v5
      - uses: actions/upload-pages-artifact@v3
        with:
          path: .
      - id: deployment
        uses: actions/deploy-pages@v4
"""
SWITCHER = """\
// Which versions of the report there are, and a menu that leads from a page to the same page of another.
(() => {
  const versions = %s;
  const script = document.currentScript, here = script.dataset.version, page = script.dataset.page;
  const root = new URL(".", script.src);
  const show = () => {
    const menu = document.createElement("select");
    menu.className = "version-menu";
    menu.setAttribute("aria-label", "Version of this report");
    for (const { name, pages } of versions) {
      const option = document.createElement("option");
      option.textContent = name + (name === versions[0].name ? " (newest)" : "");
      option.value = new URL(`${name}/${pages.includes(page) ? page : "index.html"}`, root).href;
      option.selected = name === here;
      menu.append(option);
    }
    menu.addEventListener("change", () => { window.location.href = menu.value; });
    menu.style.cssText =
      "font:inherit;max-width:11em;color:inherit;background:var(--pst-color-background,#fff)";
    (document.querySelector(".article-header-buttons") || document.body).prepend(menu);
  };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", show) : show();
})();
"""


def versions_of(site: Path) -> list[str]:
    """Names of the published versions, newest first."""
    names = [path.parent.parent.name for path in site.glob("*/record/record.json")]
    return sorted((name for name in names if NAME.fullmatch(name)), key=order, reverse=True)


def order(name: str) -> tuple:
    """By numbers; 1.0rc1 comes before 1.0, 1.0.post1 after it."""
    match = re.fullmatch(r"v?([\d.]+?)(?:[-.]?(a|b|rc|alpha|beta|dev|post)\.?(\d*))?", name)
    numbers, kind, number = match.groups()
    ranks = {"dev": -4, "alpha": -3, "a": -3, "beta": -2, "b": -2, "rc": -1, None: 0, "post": 1}
    parts = [int(part) for part in numbers.split(".")]
    return (*parts, *[0] * (4 - len(parts))), ranks[kind], int(number or 0)


def add_switcher(folder: Path, version: str) -> None:
    """Let every page of a version load the list of versions from beside it."""
    for page in pages_of(folder):
        text = page.read_text(encoding="utf-8")
        up = os.path.relpath(folder.parent, page.parent).replace(os.sep, "/")
        own = page.relative_to(folder).as_posix()
        tag = f'<script src="{up}/versions.js" data-version="{version}" data-page="{own}"></script>'
        head, found, rest = text.rpartition("</body>")
        if found:
            write_atomic(page, f"{head}{tag}\n</body>{rest}")


def write_front(site: Path) -> None:
    """Write everything that lies beside the versions, for the versions that there are."""
    names = versions_of(site)
    listed = [
        {"name": name, "pages": [page.relative_to(site / name).as_posix() for page in pages_of(site / name)]}
        for name in names
    ]
    write_atomic(site / "versions.js", SWITCHER % json.dumps(listed))
    lines = []
    for name in names:
        record = read_json(site / name / "record" / "record.json")
        archive = f"archives/{name}.tar.gz"
        lines.append(
            f'<li><a href="{name}/index.html">{name}</a> ({record["date"]}, profile {record["profile"]}, '
            f'<a href="{archive}">archive</a>)</li>'
        )
    write_atomic(
        site / "index.html",
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<title>Versions of this report</title><link rel="icon" href="data:,">\n'
        f'<meta http-equiv="refresh" content="3; url={names[0]}/index.html"></head>\n'
        f"<body><h1>Versions of this report</h1>\n<p>The newest opens by itself.</p>\n"
        f"<ul>{''.join(lines)}</ul></body></html>\n",
    )
    write_atomic(site / ".nojekyll", "")
    write_atomic(site / ".github" / "workflows" / "pages.yml", WORKFLOW)
