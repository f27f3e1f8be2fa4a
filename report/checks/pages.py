"""The built pages: labels that are missing or double, sizes, and text of results that became markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup

from ..check import pages_of
from ..project import read_json
from ..runs import State

# In bytes.  A page is what a reader waits for; sounds and pictures come when they are asked for.
BUDGETS = {"page": 4e6, "sound": 3e6, "picture": 2e6, "book": 400e6}
KINDS = {
    **dict.fromkeys((".html",), "page"),
    **dict.fromkeys((".flac", ".mp3", ".ogg", ".opus", ".wav"), "sound"),
    **dict.fromkeys((".png", ".jpg", ".svg", ".webp"), "picture"),
}


def check_labels(html: Path) -> Iterator[str]:
    """A label that stands twice on a page, and figures and tables that have none."""
    for page in pages_of(html):
        soup, where = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser"), _name(html, page)
        counts = Counter(tag["id"] for tag in soup.find_all(id=True) if not tag.find_parent("svg"))
        yield from (f"{where}: the label {label} stands {n} times" for label, n in counts.items() if n > 1)
        for figure in soup.select("main figure, main table"):
            shown = figure.find(["figcaption", "caption"])
            # What has no number is not referred to.
            if shown and shown.select_one(".caption-number") and not figure.get("id"):
                yield f"{where}: {figure.name} “{_short(shown.get_text())}” has a number and no label"


def check_sizes(html: Path, budgets: dict[str, float] = BUDGETS) -> Iterator[str]:
    """Files, and the book, that are larger than their budget."""
    whole = 0
    for path in sorted(path for path in html.rglob("*") if path.is_file()):
        size = path.stat().st_size
        whole += size
        kind = KINDS.get(path.suffix)
        if kind and size > budgets[kind]:
            yield (
                f"{_name(html, path)}: {size / 1e6:.1f} MB, more than the {budgets[kind] / 1e6:g} MB "
                f"that a {kind} may have"
            )
    if whole > budgets["book"]:
        yield f"the book has {whole / 1e6:.0f} MB, more than {budgets['book'] / 1e6:g} MB"


def check_escaping(html: Path, states: list[State]) -> Iterator[str]:
    """Text that runs left, prompts among it, which stands in a page as markup."""
    texts = {text for now in states for text in texts_of(read_json(now.folder / "results.json"))}
    risky = {text for text in texts if re.search(r"<[a-zA-Z/!]", text)}
    for page in pages_of(html):
        content = page.read_text(encoding="utf-8")
        for text in sorted(risky):
            if text in content:
                yield f"{_name(html, page)}: the text “{_short(text)}” of a result stands there as markup"


def texts_of(value: object) -> Iterator[str]:
    """Every string in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def _name(html: Path, path: Path) -> str:
    return path.relative_to(html).as_posix()


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
