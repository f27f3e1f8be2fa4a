"""Markdown to a dialect: LaTeX, or the HTML of the print page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from ..project import ReportError
from .source import Paper


class Dialect(Protocol):
    """How things are written; everything but ``text`` and ``code`` gets what is written already."""

    def text(self, plain: str) -> str: ...
    def em(self, inner: str) -> str: ...
    def strong(self, inner: str) -> str: ...
    def code(self, plain: str) -> str: ...
    def link(self, address: str, inner: str) -> str: ...
    def math(self, formula: str, display: bool) -> str: ...
    def cite(self, keys: list[str]) -> str: ...
    def number(self, key: str, printed: str) -> str: ...
    def reference(self, label: str, number: int) -> str: ...
    def heading(self, level: int, inner: str) -> str: ...
    def paragraph(self, inner: str) -> str: ...
    def items(self, items: list[str], ordered: bool) -> str: ...
    def quote(self, inner: str) -> str: ...
    def listing(self, plain: str) -> str: ...
    def table(self, label: str, number: int, caption: str, rows: list[list[str]]) -> str: ...
    def figure(self, label: str, number: int, caption: str, file: Path, name: str, alt: str) -> str: ...


def parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin).use(myst_role_plugin)


class Renderer:
    """Writes a paper's text in one dialect."""

    def __init__(self, paper: Paper, dialect: Dialect) -> None:
        self.paper, self.dialect, self._parser = paper, dialect, parser()

    def document(self, text: str) -> str:
        """A whole text."""
        return self._blocks(self._parser.parse(text))

    def inline(self, text: str, of_results: bool = False) -> str:
        """Text on one line, such as a caption; one that a run left may refer to what is not shown."""
        (token,) = self._parser.parseInline(text)
        return self._inline(token.children or [], of_results)

    def _blocks(self, tokens: list[Token]) -> str:
        written, at = [], 0
        while at < len(tokens):
            token = tokens[at]
            end = _closing(tokens, at)
            inside = tokens[at + 1 : end]
            written.append(self._block(token, inside))
            at = end + 1
        return "\n\n".join(part for part in written if part)

    def _block(self, token: Token, inside: list[Token]) -> str:
        write = self.dialect
        if token.type == "heading_open":
            return write.heading(int(token.tag[1]), self._inline(inside[0].children))
        if token.type == "paragraph_open":
            return write.paragraph(self._inline(inside[0].children))
        if token.type in ("bullet_list_open", "ordered_list_open"):
            return write.items(self._items(inside), token.type.startswith("ordered"))
        if token.type == "blockquote_open":
            return write.quote(self._blocks(inside))
        if token.type == "math_block":
            return write.math(token.content.strip(), display=True)
        if token.type == "table_open":
            rows = [[]]
            for cell in inside:
                if cell.type == "tr_open":
                    rows.append([])
                if cell.type == "inline":
                    rows[-1].append(self._inline(cell.children))
            return write.table("", 0, "", rows[1:])
        if token.type == "fence" and token.info.startswith("{"):
            return self._directive(*token.info[1:].split("}", 1))
        if token.type in ("fence", "code_block"):
            return write.listing(token.content)
        raise ReportError(f"The paper holds a block of Markdown that it does not take: {token.type}.")

    def _items(self, inside: list[Token]) -> list[str]:
        items, at = [], 0
        while at < len(inside):
            end = _closing(inside, at)
            items.append(self._blocks(inside[at + 1 : end]))
            at = end + 1
        return items

    def _directive(self, kind: str, words: str) -> str:
        paper, write = self.paper, self.dialect
        if kind == "answer":
            return write.quote(write.paragraph(write.text(paper.answer())))
        if kind == "figure-of":
            label, phase, figure = paper.shown("figures", words)
            caption, file = self.inline(figure["caption"], True), paper.runs[phase].folder / figure["file"]
            name = f"{phase}-{Path(figure['file']).name}"
            return write.figure(label, paper.labels[label], caption, file, name, figure["alt"])
        if kind == "table-of":
            label, _, table = paper.shown("tables", words)
            rows = [[write.text(printed(cell)) for cell in row] for row in (table["heads"], *table["rows"])]
            return write.table(label, paper.labels[label], self.inline(table["caption"], True), rows)
        if kind == "verdicts-of":
            return self._verdicts(words.strip())
        raise ReportError(
            f"The paper has a block {{{kind}}}; it takes figure-of, table-of, verdicts-of and answer."
        )

    def _verdicts(self, pillar: str) -> str:
        paper, write = self.paper, self.dialect
        rows = [["", "question", "estimate and interval", "p", "verdict"]]
        for one in paper.of_pillar(pillar):
            measured = one.measured.get(one.target) if one.target else None
            found, p = "", ""
            if measured:
                found = (
                    f"{measured.estimate:.2f} [{measured.low:.2f}, {measured.high:.2f}] {one.hypothesis.unit}"
                )
                p = f"{measured.corrected:.3f}" if measured.corrected >= 0.001 else "< 0.001"
            rows.append([one.hypothesis.id, one.hypothesis.question, found, p, one.verdict().word])
        title = paper.register.pillars[pillar].title
        label = f"tab-verdicts-{pillar}"
        caption = write.text(f"{title}: verdicts. p is Holm's, over the claims of the pillar.")
        return write.table(
            label, paper.labels[label], caption, [[write.text(printed(cell)) for cell in row] for row in rows]
        )

    def _inline(self, tokens: list[Token], of_results: bool = False) -> str:
        write, written, at = self.dialect, "", 0
        while at < len(tokens):
            token = tokens[at]
            if token.nesting == 1:
                end = _closing(tokens, at)
                inner = self._inline(tokens[at + 1 : end], of_results)
                if token.type == "link_open":
                    written += write.link(str(token.attrGet("href")), inner)
                else:
                    written += {"em_open": write.em, "strong_open": write.strong}[token.type](inner)
                at = end + 1
                continue
            if token.type == "text":
                written += write.text(token.content)
            elif token.type in ("softbreak", "hardbreak"):
                written += "\n"
            elif token.type == "code_inline":
                written += write.code(token.content)
            elif token.type == "math_inline":
                written += write.math(token.content, display=False)
            elif token.type == "myst_role":
                if token.meta["name"].startswith("cite"):
                    written = written.rstrip()  # the dialect says what stands before it
                written += self._role(token.meta["name"], token.content, of_results)
            elif of_results:  # such as a tag that a caption holds as text
                written += write.text(token.content)
            else:
                raise ReportError(
                    f"The paper holds {token.content!r}, which it does not take; write Markdown."
                )
            at += 1
        return written

    def _role(self, name: str, content: str, of_results: bool) -> str:
        paper, write = self.paper, self.dialect
        if name.startswith("glue"):
            return write.number(*paper.number(content))
        if name.startswith("cite"):
            keys = [key.strip() for key in content.split(",")]
            paper.cited += [key for key in keys if key not in paper.cited]
            return write.cite(keys)
        if name in ("numref", "ref"):
            if content in paper.labels:
                return write.reference(content, paper.labels[content])
            if of_results:
                return write.text("a figure of the report")
            raise ReportError(f"The paper refers to {content}; it shows: {', '.join(paper.labels)}.")
        if of_results:
            return write.text(content)
        raise ReportError(f"The paper uses the role {{{name}}}; it takes glue:text, cite and numref.")


def _closing(tokens: list[Token], at: int) -> int:
    """Where the token at ``at`` is closed: itself, unless it opens something."""
    if tokens[at].nesting != 1:
        return at
    depth = 0
    for index in range(at, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    raise ReportError(f"The paper opens {tokens[at].type} and does not close it.")


def printed(text: str) -> str:
    """Numbers as they are printed: a minus where no word stands before it, no end of line after <."""
    return re.sub(r"(?<=[<>≤≥]) (?=\d)", "\N{NO-BREAK SPACE}", re.sub(r"(?<![\w.)-])-(?=\.?\d)", "−", text))
