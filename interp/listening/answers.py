"""Answers of listeners, read back and analysed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InterpError, check_list
from ..stats import Interval, mean
from . import POINTS, SCALES
from .reliability import ICC, alpha, icc

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("test", "listener", "trial", "position", "first", "second", "scale", "answer", "seconds", "plays")
ASKED = {"pair": ("pair",), "check": ("pair",), "rating": tuple(SCALES)}  # scales of a question, by its kind
FIELDS = {"pair": ("axis", "low", "high"), "check": ("low", "high"), "rating": ()}  # that its key must have
MISSED = 0  # checks that a listener may miss


@dataclass(frozen=True, eq=False)
class Answers:
    """What listeners said, with what was asked.

    Attributes
    ----------
    pairs : pandas.DataFrame
        ``listener``, ``label``, ``axis``, ``high``: 1 where the clip that should be higher was chosen.
    ratings : pandas.DataFrame
        ``listener``, ``label``, ``axis``, ``rating`` from 1 to 7.
    left_out : dict
        Listener → checks missed, of those who missed more than was allowed.
    """

    pairs: pd.DataFrame
    ratings: pd.DataFrame
    left_out: dict[str, int]

    def preference(self, axis: str) -> Interval:
        """Share of choices of the clip that should be higher, over listeners; chance is .5."""
        chosen = self.pairs[self.pairs["axis"] == axis]
        return mean(chosen["high"].to_numpy(float), chosen["listener"].tolist())

    def agreement(self, axis: str) -> dict[str, float | ICC]:
        """Krippendorff's alpha of choices and of ratings, and the ICC where all rated all."""
        found: dict[str, float | ICC] = {}
        for kind, frame, column in (("choices", self.pairs, "high"), ("ratings", self.ratings, "rating")):
            of_axis = frame[frame["axis"] == axis]
            if of_axis["listener"].nunique() > 1:
                table = of_axis.pivot(index="label", columns="listener", values=column).to_numpy(float)
                found[kind] = alpha(table, nominal=kind == "choices")
                if kind == "ratings" and np.isfinite(table).all() and min(table.shape) > 1:
                    found["icc"] = icc(table)
        return found

    def summary(self) -> pd.DataFrame:
        """Preference, its interval and the raters' agreement by axis, as a table."""
        import pandas as pd

        rows = {}
        for axis in dict.fromkeys(self.pairs["axis"]):
            found, agree = self.preference(axis), self.agreement(axis)
            rows[axis] = {
                "listeners": self.pairs["listener"].nunique(),
                "chose the steered clip": f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]",
                "alpha, choices": agree.get("choices", float("nan")),
                "alpha, ratings": agree.get("ratings", float("nan")),
            }
        return pd.DataFrame(rows).T.rename_axis("axis")


def read(files: Sequence[str | Path], key: str | Path, missed: int = MISSED) -> Answers:
    """Read the files that listeners saved.

    Parameters
    ----------
    files : list of paths
        One CSV a listener.
    key : path
        The key of the test.
    missed : int
        How many checks a listener may miss.

    Raises
    ------
    InterpError
        If a file is missing or not an answer file, belongs to another test, has an unknown question or an
        impossible answer, does not answer every question once, names no listener, two files are of one
        listener, or nobody is left.
    """
    import pandas as pd

    try:
        stated = json.loads(Path(key).read_text(encoding="utf-8"))
        test, trials = stated["test"], {trial["trial"]: trial for trial in stated["trials"]}
        asked = [(name, scale) for name, trial in trials.items() for scale in ASKED[trial["kind"]]]
        for trial in trials.values():
            if missing := {"label", *FIELDS[trial["kind"]]} - trial.keys():
                raise KeyError(min(missing))
    except KeyError as error:
        raise InterpError(f"{key} is no key of a listening test: it has no {error}.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InterpError(f"{key} is no key of a listening test: {error}.") from error
    pairs, ratings, wrong = [], [], {}
    for file in map(Path, check_list(files, "files")):
        rows = _rows(file, test)
        listeners = {row["listener"] for row in rows}
        if len(listeners) != 1 or "" in listeners or listeners & set(wrong):
            named = ", ".join(filter(None, sorted(listeners))) or "nobody"
            raise InterpError(f"{file} is of {named}; want one file for each listener.")
        (listener,) = listeners
        wrong[listener] = 0
        _once_each(file, asked, rows)
        for row in rows:
            trial = trials[row["trial"]]
            if trial["kind"] == "rating":
                ratings.append((listener, trial["label"], *_rating(file, row)))
                continue
            if row["answer"] not in (trial["low"], trial["high"]):
                raise InterpError(f"{file}: {row['answer']!r} is no clip of {row['trial']}.")
            high = int(row["answer"] == trial["high"])
            if trial["kind"] == "check":
                wrong[listener] += 1 - high
            else:
                pairs.append((listener, trial["label"], trial["axis"], high))
    left_out = {listener: count for listener, count in wrong.items() if count > missed}
    if len(left_out) == len(wrong):
        raise InterpError(f"All {len(wrong)} listeners missed more than {missed} of the checks.")
    frames = [
        pd.DataFrame(rows, columns=["listener", "label", "axis", column])
        for rows, column in ((pairs, "high"), (ratings, "rating"))
    ]
    return Answers(*(frame[~frame["listener"].isin(left_out)] for frame in frames), left_out)


def _rows(file: Path, test: str) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InterpError(f"Cannot read answers from {file}: {error}.") from error
    if columns != COLUMNS or any(None in row or None in row.values() for row in rows):
        raise InterpError(f"{file} is no file of answers: its columns must be {', '.join(COLUMNS)}.")
    if any(row["test"] != test for row in rows):
        raise InterpError(f"{file} answers another test than the key's, {test}.")
    return [row | {"listener": row["listener"].strip()} for row in rows]


def _once_each(file: Path, asked: list[tuple[str, str]], rows: list[dict[str, str]]) -> None:
    """Raise unless the rows answer every question of the test once, on every scale."""
    counts = Counter((row["trial"], row["scale"]) for row in rows)
    for question in [*counts, *asked]:
        answer = f"{file} answers {question[0]!r} on {question[1]!r}"
        if question not in asked:
            raise InterpError(f"{answer}, which the test does not ask.")
        if counts[question] != 1:
            raise InterpError(
                f"{answer} {counts[question]} times, not once; take the file as the page saved it, or leave "
                "the listener out."
            )


def _rating(file: Path, row: dict[str, str]) -> tuple[str, int]:
    if row["answer"] not in map(str, range(1, POINTS + 1)):
        raise InterpError(f"{file}: {row['answer']!r} on {row['scale']!r} is no rating from 1 to {POINTS}.")
    return row["scale"], int(row["answer"])
