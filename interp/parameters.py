"""The parameters of a notebook, checked before anything is loaded: by hand they may be of any type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InterpError, check_list, check_positive, check_whole


def check(
    values: Mapping[str, Any],
    text: Iterable[str] = (),
    lists: Mapping[str, int] | None = None,
    positive: Iterable[str] = (),
    whole: Mapping[str, int] | None = None,
) -> None:
    """Refuse the first parameter that is not what its name stands under.

    Parameters
    ----------
    values : mapping
        All parameters by name, such as ``globals()`` of a notebook.
    text : names
        Each a string with something in it.
    lists : name → the fewest entries
        Each a list of such strings.
    positive : names
        Each a number above 0.
    whole : name → the least
        Each a whole number.

    Raises
    ------
    InterpError
        One sentence that names the parameter, what it must be and what it is.
    """
    for name in text:
        _check_text(values[name], name)
    for name, fewest in (lists or {}).items():
        words = [] if not fewest and values[name] == [] else check_list(values[name], name)
        if len(words) < fewest:
            raise InterpError(f"{name} must hold at least {fewest}, not {words!r}.")
        for word in words:
            _check_text(word, f"An entry of {name}")
    for name in positive:
        check_positive(values[name], name)
    for name, least in (whole or {}).items():
        check_whole(values[name], name, least)


def _check_text(value: Any, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InterpError(f"{what} must be text, not {value!r}.")
