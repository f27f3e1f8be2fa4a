"""The works that a paper cites, written by pybtex in its plain style."""

from __future__ import annotations

import io
from pathlib import Path

from pybtex.backends.html import Backend as Html
from pybtex.backends.latex import Backend as Latex
from pybtex.database import BibliographyData, parse_file
from pybtex.plugin import find_plugin

from ..project import ReportError


class Works:
    """The cited entries, numbered as the plain style sorts them."""

    def __init__(self, path: Path, cited: list[str]) -> None:
        everything = parse_file(str(path), bib_format="bibtex")
        missing = [key for key in cited if key not in everything.entries]
        if missing:
            raise ReportError(
                f"The paper cites {', '.join(missing)}, which {path.name} does not have; add it there."
            )
        self.data = BibliographyData({key: everything.entries[key] for key in cited})
        style = find_plugin("pybtex.style.formatting", "plain")()
        self._formatted = style.format_bibliography(self.data)
        self.numbers = {entry.key: number for number, entry in enumerate(self._formatted, start=1)}

    def bib(self) -> str:
        """The entries as BibTeX, for those who set the paper anew."""
        return self.data.to_string("bibtex")

    def bbl(self) -> str:
        """The list of references as LaTeX reads it without running BibTeX."""
        stream = io.StringIO()
        Latex("utf8").write_to_stream(self._formatted, stream)
        return stream.getvalue()

    def html(self) -> str:
        backend = Html("utf-8")
        items = [
            f"<li>[{at}] {entry.text.render(backend)}</li>"
            for at, entry in enumerate(self._formatted, start=1)
        ]
        return f'<ol class="references">{"".join(items)}</ol>'
