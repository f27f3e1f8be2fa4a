"""The one family of errors of this library, and the checks that raise it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any


class InterpError(ValueError):
    """Bad input, said in one sentence that names the thing and the way out."""


class UnknownName(InterpError, KeyError):
    """A name that is not among the valid ones; the message lists those."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


def unknown(kind: str, name: object, valid: Iterable[object]) -> UnknownName:
    """The error for a name that is not known, with the valid ones in the message."""
    return UnknownName(f"Unknown {kind} {name!r}; valid: {', '.join(map(str, valid))}.")


def check_list(value: Any, what: str) -> list:
    """Return ``value`` as a non-empty list.

    Raises
    ------
    InterpError
        If it is a string (which Python would happily iterate by character), not a sequence, or empty.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InterpError(f"{what} must be a list, not {type(value).__name__}: write [{value!r}].")
    if not value:
        raise InterpError(f"{what} is an empty list; give at least one.")
    return list(value)


def check_whole(value: Any, what: str, least: int) -> int:
    """Return ``value`` as an int; raise :class:`InterpError` unless it is whole and at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InterpError(f"{what} must be a whole number, {least} or more, not {value!r}.")
    return int(value)


def check_finite(value: Any, what: str) -> float:
    """Return ``value`` as a float; raise :class:`InterpError` unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < float("inf"):
        raise InterpError(f"{what} must be a finite number, not {value!r}.")
    return float(value)


def check_positive(value: float, what: str) -> None:
    """Raise :class:`InterpError` unless ``value`` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < float("inf"):
        raise InterpError(f"{what} must be a number above 0, not {value!r}.")
