"""Sphinx extension: corrects in the built pages what tools above us leave against WCAG 2.1 AA.

Each is a name for screen readers that hides or contradicts what stands there, found by axe
(:mod:`report.checks.axe`).  Once the theme and its friends mend them, the replacement finds nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

CORRECTIONS = (
    # A cell that is folded away is named "Toggle hidden content" and reads "Show code cell source".
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
    # The button "Color mode" holds pictures whose titles are other names.
    (re.compile(r'(<i class="theme-switch [^>]*?) title="[^"]*"'), r'\1 aria-hidden="true"'),
    # A list whose children are no list items, and a role that ARIA has withdrawn.
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (re.compile(r' role="doc-biblioentry"'), ""),
)


def correct(text: str) -> str:
    for pattern, replacement in CORRECTIONS:
        text = pattern.sub(replacement, text)
    return text


def _pages(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.write_text(correct(text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
