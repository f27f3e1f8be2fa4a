"""The dialect of LaTeX: an article that any distribution compiles, and arXiv."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import latexcodec  # noqa: F401  registers the codec "ulatex"

PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[a4paper,margin=2.4cm]{geometry}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb,textcomp}
\usepackage{graphicx}
\usepackage{booktabs,array}
\usepackage[hidelinks]{hyperref}
\input{numbers.tex}
"""
SECTIONS = {1: "section", 2: "section", 3: "subsection", 4: "subsubsection"}
SPECIAL = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "^": r"\textasciicircum{}"}


def escape(plain: str) -> str:
    """Text as LaTeX takes it, in ASCII."""
    pieces = [SPECIAL.get(sign) or codecs.encode(sign, "ulatex", "replace") for sign in plain]
    # A macro must not swallow the letter or the space after it.
    return "".join(
        f"{{{piece}}}" if piece.startswith("\\") and piece[-1].isalpha() else piece for piece in pieces
    )


class Latex:
    def text(self, plain: str) -> str:
        return escape(plain)

    def em(self, inner: str) -> str:
        return rf"\emph{{{inner}}}"

    def strong(self, inner: str) -> str:
        return rf"\textbf{{{inner}}}"

    def code(self, plain: str) -> str:
        return rf"\texttt{{{escape(plain)}}}"

    def link(self, address: str, inner: str) -> str:
        address = address.replace("%", r"\%").replace("#", r"\#")
        return rf"\href{{{address}}}{{{inner}}}"

    def math(self, formula: str, display: bool) -> str:
        return f"\\[\n{formula}\n\\]" if display else f"${formula}$"

    def cite(self, keys: list[str]) -> str:
        return rf"~\cite{{{','.join(keys)}}}"

    def number(self, key: str, printed: str) -> str:
        return rf"\num{{{key}}}"

    def reference(self, label: str, number: int) -> str:
        kind = "Figure" if label.startswith("fig") else "Table"
        return rf"{kind}~\ref{{{label}}}"

    def heading(self, level: int, inner: str) -> str:
        return rf"\{SECTIONS[min(level, 4)]}{{{inner}}}"

    def paragraph(self, inner: str) -> str:
        return inner

    def items(self, items: list[str], ordered: bool) -> str:
        kind = "enumerate" if ordered else "itemize"
        return "\n".join([rf"\begin{{{kind}}}", *(rf"\item {item}" for item in items), rf"\end{{{kind}}}"])

    def quote(self, inner: str) -> str:
        return f"\\begin{{quote}}\n{inner}\n\\end{{quote}}"

    def listing(self, plain: str) -> str:
        return f"\\begin{{verbatim}}\n{plain.rstrip()}\n\\end{{verbatim}}"

    def table(self, label: str, number: int, caption: str, rows: list[list[str]]) -> str:
        size, shares = _columns(rows)
        columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}" for share in shares)
        lines = [" & ".join(row) + r" \\" for row in rows]
        body = "\n".join([lines[0], r"\midrule", *lines[1:]])
        inside = f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}"
        if not label:
            return f"\\begin{{center}}{size}\n{inside}\n\\end{{center}}"
        head = f"\\begin{{table}}[htbp]\n\\setlength{{\\belowcaptionskip}}{{6pt}}\n\\centering{size}"
        head += f"\n\\caption{{{caption}}}\\label{{{label}}}"
        return f"{head}\n{inside}\n\\end{{table}}"

    def figure(self, label: str, number: int, caption: str, file: Path, name: str, alt: str) -> str:
        return (
            f"% {' '.join(alt.split())}\n\\begin{{figure}}[htbp]\n\\centering\n"
            f"\\includegraphics[width=0.95\\linewidth,height=0.45\\textheight,keepaspectratio]{{figures/{name}}}\n"
            f"\\caption{{{caption}}}\\label{{{label}}}\n\\end{{figure}}"
        )


def _columns(rows: list[list[str]]) -> tuple[str, list[float]]:
    """A size of letters, and each column's share of the line: room for its longest word, then by content."""
    printed = [[re.sub(r"\\[a-zA-Z]+|[{}$\\]", "", cell) for cell in row] for row in rows]
    signs = list(zip(*printed, strict=True))
    least = [1 + max(len(word) for cell in column for word in cell.split() or [""]) for column in signs]
    wanted = [max(least[at], min(40, max(map(len, column)))) for at, column in enumerate(signs)]
    size, line = (r"\small", 92) if sum(wanted) <= 92 else (r"\footnotesize", 106)
    spare = max(0, line - sum(least)) / (sum(wanted) - sum(least) or 1)
    given = [low + spare * (high - low) for low, high in zip(least, wanted, strict=True)]
    room = 0.98 - 0.03 * len(rows[0])  # the rest lies between the columns
    return size, [room * one / sum(given) for one in given]


def numbers_tex(quoted: dict[str, str]) -> str:
    """``\\num{key}`` for every number that the text quotes."""
    lines = [
        "% Written by `make paper` from the runs' results: change nothing here.",
        r"\newcommand{\num}[1]{\csname num:#1\endcsname}",
    ]
    lines += [
        rf"\expandafter\def\csname num:{key}\endcsname{{{escape(printed)}}}"
        for key, printed in sorted(quoted.items())
    ]
    return "\n".join(lines) + "\n"
