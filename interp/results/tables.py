"""A table as a result: recorded with its caption, shown with it, numbered by the book."""

from __future__ import annotations

import html
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from ..errors import InterpError

if TYPE_CHECKING:
    import pandas as pd


def table(name: str, frame: pd.DataFrame, *, caption: str) -> None:
    """Record a table, and show it under its caption.

    Parameters
    ----------
    name : lower-case letters, digits, ``_ . -``; pages refer to it by ``tab-<phase>-<name>``.
    frame : its index names the rows.  Text and whole numbers stand as they are, other numbers get four
        digits; write them out for others.
    caption : what the table shows; MyST text.

    Raises
    ------
    InterpError
        If the name is malformed or taken, the caption is empty, the table is, or its rows or columns have
        names of several levels.
    """
    from .. import results  # which has this function among its own

    results._need_text(f"Table {name!r}", {"caption": caption})
    if not frame.size or frame.index.nlevels > 1 or frame.columns.nlevels > 1:
        raise InterpError(
            f"Table {name!r} is empty, or its rows or columns have names of several levels; give it cells, "
            "and names of one level (reset_index)."
        )
    record = {
        "caption": results._one_line(caption),
        "heads": [_written(frame.index.name or ""), *map(_written, frame.columns)],
        "rows": [[_written(cell) for cell in row] for row in frame.itertuples(name=None)],
    }
    results._keep("tables", name, record)
    plain = f"{record['caption']}\n{frame.to_string()}"
    results._show({"text/html": _as_html(record), "text/plain": plain}, {"table": name})


def _written(cell: Any) -> str:
    if isinstance(cell, Real) and not isinstance(cell, Integral):  # numpy's numbers are of these kinds too
        return f"{cell:.4g}"
    return str(cell)


def _as_html(record: dict[str, Any]) -> str:
    """What a notebook shows; the book makes its own from ``results.json``."""
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in record["heads"])
    rows = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in record["rows"]
    )
    caption = html.escape(record["caption"])
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
