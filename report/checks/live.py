"""What a reader does, done in a real browser without a network: dark mode, search, citing, the hypotheses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..browser import Browser
from ..check import pages_of
from .axe import look

# Presses the button until the page is dark, then says what its background is.
DARK = """(async () => {
  const button = document.querySelector(".theme-switch-button"), root = document.documentElement;
  if (!button) return "there is no button for it";
  const before = getComputedStyle(document.body).backgroundColor;
  root.dataset.theme = root.dataset.mode = "light";
  const light = getComputedStyle(document.body).backgroundColor;
  for (let press = 0; press < 3 && root.dataset.theme !== "dark"; press++) {
    button.click();
    await new Promise(done => setTimeout(done, 100));
  }
  if (root.dataset.theme !== "dark") return "its button does not make the page dark";
  const dark = getComputedStyle(document.body).backgroundColor;
  return dark === light ? `the background stays ${light}` : "";
})()"""
SEARCH = """(async () => {
  const end = performance.now() + 15000;
  const found = () => document.querySelectorAll("#search-results li a").length;
  while (!found() && performance.now() < end) await new Promise(done => setTimeout(done, 100));
  return found();
})()"""
CITE = """(() => {
  const box = document.querySelector("details.cite");
  if (!box) return "there is no “cite this”";
  box.open = true;
  const text = box.querySelector("pre")?.innerText || "";
  return /@misc\\{[\\s\\S]+title[\\s\\S]+year/.test(text) ? "" : `it gives no entry: ${text.slice(0, 60)}`;
})()"""
HYPOTHESES = """(() => [...document.querySelectorAll("main table")].reduce(
  (rows, table) => rows + table.querySelectorAll("tbody tr").length, 0))()"""


def check_live(
    browser: Browser, html: Path, base: str, axe: str | None, hypotheses: int, word: str
) -> tuple[dict[str, int], list[str]]:
    """Use the book as a reader does.

    Parameters
    ----------
    base : the address at which ``html`` is served.
    axe : axe-core's source; None to leave accessibility out.
    hypotheses : how many the page of verdicts must show.
    word : one that is in the book, to search for.
    """
    counts = {"pages seen by axe": 0}
    problems = list(_uses(browser, html, base, hypotheses, word))
    for page in pages_of(html) if axe else []:
        name = page.relative_to(html).as_posix()
        browser.visit(base + name, base)
        counts["pages seen by axe"] += 1
        for theme in ("light", "dark"):
            for one in look(browser, axe, theme):
                where = "; ".join(one["where"])
                problems.append(
                    f"{name} ({theme}): {one['help']} ({one['id']}, {one['count']} times: {where})"
                )
    return counts, problems


def _uses(browser: Browser, html: Path, base: str, hypotheses: int, word: str) -> Iterator[str]:
    browser.visit(f"{base}index.html", base)
    if said := _ask(browser, DARK):
        yield f"index.html: dark mode: {said}"
    if said := _ask(browser, CITE):
        yield f"index.html: citing: {said}"
    if (html / "search.html").is_file():
        browser.visit(f"{base}search.html?q={word}", base)
        if not _ask(browser, SEARCH):
            yield f"search.html: a search for “{word}”, which is in the book, finds nothing"
    if hypotheses and (html / "verdicts.html").is_file():
        browser.visit(f"{base}verdicts.html", base)
        rows = _ask(browser, HYPOTHESES)
        if rows < hypotheses:
            yield f"verdicts.html: its tables have {rows} rows for {hypotheses} hypotheses"


def _ask(browser: Browser, expression: str) -> Any:
    answer = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    return answer["result"].get("value", str(answer.get("exceptionDetails", "")))
