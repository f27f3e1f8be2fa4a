"""The dialect of the print page: one HTML file that Chromium prints where there is no LaTeX."""

from __future__ import annotations

import html
from pathlib import Path

STYLE = """
@page { size: A4; margin: 22mm 20mm; @bottom-center { content: counter(page); font-size: 9pt; } }
body { font: 10.5pt/1.45 "Latin Modern Roman", "Libertinus Serif", Georgia, "DejaVu Serif", serif; }
main { max-width: 17cm; margin: auto; }
h1 { font-size: 17pt; text-align: center; line-height: 1.25; }
h2 { font-size: 13pt; } h3 { font-size: 11pt; } h2, h3 { break-after: avoid; }
.authors { text-align: center; } .abstract { margin: 1.2em 1.2cm; font-size: 9.5pt; }
figure { margin: 1.2em 0; break-inside: avoid; }
figure img { max-width: 100%; max-height: 11cm; display: block; margin: auto; }
figcaption, caption { font-size: 9pt; text-align: left; padding: 0.4em 0; caption-side: top; }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; margin: 1em 0; }
table { border-top: 1pt solid; border-bottom: 1pt solid; } tr { break-inside: avoid; }
th { border-bottom: 0.5pt solid; }
th, td { text-align: left; vertical-align: top; padding: 0.15em 0.6em 0.15em 0; }
ol.references { font-size: 9pt; list-style: none; padding: 0; }
.references li { margin: 0 0 0.4em 2.2em; text-indent: -2.2em; }
.references li { break-inside: avoid; } a { color: inherit; text-decoration: none; }
.abstract p:first-of-type { display: inline; }
p, li { text-align: justify; hyphens: auto; }
"""


class Html:
    def __init__(self, numbers: dict[str, int]) -> None:
        self.numbers = numbers  # key of a work → its number; filled before the text is written a second time

    def text(self, plain: str) -> str:
        return html.escape(plain)

    def em(self, inner: str) -> str:
        return f"<em>{inner}</em>"

    def strong(self, inner: str) -> str:
        return f"<strong>{inner}</strong>"

    def code(self, plain: str) -> str:
        return f"<code>{html.escape(plain)}</code>"

    def link(self, address: str, inner: str) -> str:
        return f'<a href="{html.escape(address, quote=True)}">{inner}</a>'

    def math(self, formula: str, display: bool) -> str:
        ends = (r"\[", r"\]") if display else (r"\(", r"\)")
        return f"{ends[0]}{html.escape(formula)}{ends[1]}"

    def cite(self, keys: list[str]) -> str:
        return " [" + ", ".join(str(self.numbers.get(key, "?")) for key in keys) + "]"

    def number(self, key: str, printed: str) -> str:
        return html.escape(printed)

    def reference(self, label: str, number: int) -> str:
        kind = "Figure" if label.startswith("fig") else "Table"
        return f'<a href="#{label}">{kind}&nbsp;{number}</a>'

    def heading(self, level: int, inner: str) -> str:
        tag = f"h{max(2, min(level, 4))}"
        return f"<{tag}>{inner}</{tag}>"

    def paragraph(self, inner: str) -> str:
        return f"<p>{inner}</p>"

    def items(self, items: list[str], ordered: bool) -> str:
        tag = "ol" if ordered else "ul"
        return f"<{tag}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{tag}>"

    def quote(self, inner: str) -> str:
        return f"<blockquote>{inner}</blockquote>"

    def listing(self, plain: str) -> str:
        return f"<pre>{html.escape(plain)}</pre>"

    def table(self, label: str, number: int, caption: str, rows: list[list[str]]) -> str:
        head = "".join(f"<th>{cell}</th>" for cell in rows[0])
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:])
        said = f"<caption>Table {number}. {caption}</caption>" if label else ""
        name = f' id="{label}"' if label else ""
        return f"<table{name}>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def figure(self, label: str, number: int, caption: str, file: Path, name: str, alt: str) -> str:
        picture = f'<img src="figures/{html.escape(name)}" alt="{html.escape(alt, quote=True)}">'
        return f'<figure id="{label}">{picture}<figcaption>Figure {number}. {caption}</figcaption></figure>'
