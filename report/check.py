"""Check the built book: what it links and shows is there, has words beside it, and needs no network."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

# element → attribute with an address; what a browser fetches by itself must be local
FETCHED = {"img": "src", "audio": "src", "source": "src", "video": "src", "script": "src", "link": "href"}
FOLLOWED = {"a": "href"}
NOT_FETCHED = {"canonical", "alternate", "next", "prev", "search", "index", "author", "copyright", "top"}


def check_book(html: Path) -> tuple[dict[str, float], list[str]]:
    """Look at every page below a folder.

    Returns
    -------
    counts : how many pages, links, pictures and sounds were looked at, and the size of all files.
    problems : one line each.
    """
    for remembered in (_soup, _anchors):  # pages of an earlier call may have changed
        remembered.cache_clear()
    counts: dict[str, float] = dict.fromkeys(("pages", "links", "pictures", "sounds"), 0)
    problems: list[str] = []
    for page in pages_of(html):
        counts["pages"] += 1
        soup = _soup(page)
        for tag in soup.find_all([*FETCHED, *FOLLOWED]):
            address = tag.get(FETCHED.get(tag.name) or FOLLOWED[tag.name])
            where = page.relative_to(html).as_posix()
            if tag.name == "img" and not tag.has_attr("alt"):
                problems.append(f"{where}: the picture {address} has no alternative text")
            if tag.name == "audio" and tag.get("preload") != "none":
                problems.append(f"{where}: the sound {address} is loaded before anyone plays it")
            if not address or NOT_FETCHED & set(tag.get("rel") or []):
                continue
            kind = {"a": "links", "img": "pictures", "audio": "sounds"}.get(tag.name)
            if kind:
                counts[kind] += 1
            problem = _problem(html, page, tag.name, address)
            if problem:
                problems.append(f"{where}: {problem}")
    for style in sorted(html.rglob("*.css")):
        text = style.read_text(encoding="utf-8", errors="replace")
        for address in re.findall(r"(?:url\(|@import\s+)['\"]?(https?:)?//[^)'\"]+", text):
            problems.append(f"{style.relative_to(html).as_posix()}: fetches {address}")
    size = sum(path.stat().st_size for path in html.rglob("*") if path.is_file())
    counts["MB"] = round(size / 1e6, 1)
    return counts, problems


def pages_of(html: Path) -> list[Path]:
    """Every page below a folder; what lies in ``_static`` are fragments that the theme's scripts carry."""
    return [page for page in sorted(html.rglob("*.html")) if "_static" not in page.relative_to(html).parts]


def _problem(html: Path, page: Path, element: str, address: str) -> str | None:
    parts = urlsplit(address)
    if parts.scheme in {"data", "mailto", "javascript"}:
        return None
    if parts.scheme or parts.netloc:
        return f"<{element}> fetches {address}" if element in FETCHED else None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(html.resolve()):
        return f"<{element}> leads out of the book: {address}"
    if not target.is_file():
        return f"<{element}> leads nowhere: {address}"
    if element == "a" and parts.fragment and target.suffix == ".html":
        if unquote(parts.fragment) not in _anchors(target):
            return f"<a> leads to a place that is not on the page: {address}"
    return None


@cache
def _soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def _anchors(page: Path) -> set[str]:
    soup = _soup(page)
    return {tag["id"] for tag in soup.find_all(id=True)} | {
        tag["name"] for tag in soup.find_all("a", {"name": True})
    }
