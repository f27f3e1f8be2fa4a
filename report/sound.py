"""A Sphinx directive that shows a run's sounds as figures: outline, player, number, caption.

::

    ```{sounds} 0-foundation
    gallery.01
    gallery.02
    ```

Captions and what to listen for come from the run's ``results.json``.  On its phase's own page a sound has a
number and can be referred to: ``{numref}`sound-0-foundation-gallery.01` ``.  Shown again, there or on another
page, it says where that is.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from .project import read_json


class sound(nodes.figure):
    """A figure with a player in it, numbered apart from the pictures."""


class sound_again(sound):
    """One that has its number elsewhere."""


class Sounds(SphinxDirective):
    """``{sounds} PHASE`` with one name of a sound a line."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        phase = self.arguments[0]
        results = Path(self.env.srcdir) / "runs" / phase / "results.json"
        recorded = read_json(results)["audio"] if results.is_file() else {}
        names = [line.strip() for line in self.content if line.strip()]
        unknown = [name for name in names if name not in recorded]
        if unknown or not names:
            raise self.error(f"The run of {phase} left no sound {', '.join(unknown) or 'without a name'}.")
        items = [recorded[name] for name in names]
        shared = {item["listen"] for item in items}
        if len(items) == 1 or len(shared) > 1:
            return [self._figure(phase, item, item["listen"]) for item in items]
        grid = nodes.container("", *(self._figure(phase, item, "") for item in items), classes=["sounds"])
        return [nodes.paragraph("", "", *_listen(*shared)), grid]

    def _figure(self, phase: str, item: dict[str, Any], listen: str) -> sound:
        static = "../" * self.env.docname.count("/") + "_static/"
        wave = (Path(self.env.srcdir) / "_static" / item["wave"]).read_text(encoding="utf-8")
        player = (
            f'{wave.strip()}<audio controls preload="none" src="{static}{item["file"]}" '
            f'aria-label="{html.escape(item["caption"])}"></audio>'
        )
        name = nodes.fully_normalize_name(f"sound-{phase}-{item['name']}")
        again = self.env.docname != f"phases/{phase}" or name in self.state.document.nameids
        caption = nodes.caption("", item["caption"])
        if again:
            where = addnodes.pending_xref(
                "",
                nodes.inline(),
                refdomain="std",
                reftype="numref",
                reftarget=name,
                refdoc=self.env.docname,
                refexplicit=False,
                refwarn=True,
            )
            caption = nodes.caption("", "", where, nodes.Text(f" {item['caption']}"))
        figure = (sound_again if again else sound)("", nodes.raw("", player, format="html"), caption)
        if listen:
            figure += nodes.legend("", nodes.paragraph("", "", *_listen(listen)))
        self.set_source_info(figure)
        if not again:
            figure["names"].append(name)
            self.state.document.note_explicit_target(figure, figure)
        return figure


def _listen(what: str) -> list[nodes.Node]:
    return [nodes.emphasis("", "Listen for:"), nodes.Text(f" {what}.")]


def visit(writer: HTML5Translator, node: sound) -> None:
    writer.body.append(writer.starttag(node, "figure", CLASS="sound"))


def depart(writer: HTML5Translator, node: sound) -> None:
    writer.depart_figure(node)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_enumerable_node(sound, "sound", html=(visit, depart))
    app.add_node(sound_again, html=(visit, depart))
    app.add_directive("sounds", Sounds)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
