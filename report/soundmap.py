"""Sphinx directives for figures that play: ``{figure}``, with the piece of HTML that lies beside its picture.

A run leaves a sound map, or a listening panel, as a picture and a piece of HTML of the same name
(``interp/results/maps.py``, ``panels.py``).  The figure has both, with one number and caption; the scripts
``soundmap.js`` and ``dosepanel.js`` show the live one instead of the picture.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.util.docutils import SphinxDirective


class SoundMap(Figure, SphinxDirective):
    """``{soundmap} /_static/runs/PHASE/figures/NAME.png`` with the options and content of ``{figure}``."""

    what, kind = "map", "soundmap"

    def run(self) -> list[nodes.Node]:
        beside = (Path(self.env.srcdir) / self.arguments[0].lstrip("/")).with_suffix(".html")
        if not beside.is_file():
            raise self.error(f"There is no {self.what} beside {self.arguments[0]}.")
        static = "../" * self.env.docname.count("/") + "_static/"
        content = beside.read_text(encoding="utf-8").replace('href="audio/', f'href="{static}audio/')
        (figure,) = super().run()
        figure["classes"].append(self.kind)
        figure.insert(1, nodes.raw("", content, format="html"))  # after the picture
        return [figure]


class DosePanel(SoundMap):
    """``{dosepanel} /_static/runs/PHASE/figures/NAME.png``, likewise."""

    what, kind = "panel", "dosepanel"


def setup(app: Sphinx) -> dict[str, bool]:
    for directive in (SoundMap, DosePanel):
        app.add_directive(directive.kind, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
