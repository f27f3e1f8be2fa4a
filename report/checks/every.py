"""All checks, in one list."""

from __future__ import annotations

from pathlib import Path

from bs4 import BeautifulSoup

from ..browser import check_in_browser, chromium, find_browser, served
from ..check import check_book
from ..hypotheses import FILE, read
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError
from ..runs import states
from .axe import find_axe
from .live import check_live
from .pages import check_escaping, check_labels, check_sizes
from .runs import check_declared, check_references, check_states


def check_everything(
    project: Project, profile: Profile, browser: bool = True
) -> tuple[dict[str, float], list[str]]:
    """Look at the book and at what it is made of.

    Parameters
    ----------
    browser : whether pages are opened, where there is a Chromium.

    Returns
    -------
    counts : how much of what was looked at.
    problems : one line each.
    """
    html, found = project.html, states(project, profile)
    counts, problems = check_book(html)
    problems += [*check_states(found, profile), *check_declared(project, found)]
    problems += [*check_labels(html), *check_sizes(html), *check_references(project)]
    problems += check_escaping(html, [now for now in found if now.status == "done"])
    more, live = _in_browser(project, html) if browser else ({}, [])
    return counts | more, problems + live


def _in_browser(project: Project, html: Path) -> tuple[dict[str, float], list[str]]:
    try:
        find_browser()
    except ReportError as error:
        say(f"No page was opened: {error}")
        return {}, []
    counts, problems = check_in_browser(html)
    axe, why = find_axe(project)
    if axe is None:
        say(why)
    hypotheses = len(read(project).hypotheses) if (project.phases / FILE).is_file() else 0
    with served(html) as address, chromium() as browser:
        more, live = check_live(browser, html, address, axe, hypotheses, a_word(html))
    return counts | more, problems + live


def a_word(html: Path) -> str:
    """A long word of the front page's first heading, to search for."""
    soup = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    heading = soup.find("h1")
    words = "".join(sign if sign.isalpha() else " " for sign in heading.get_text()).split() if heading else []
    return max(words, key=len, default="the")
