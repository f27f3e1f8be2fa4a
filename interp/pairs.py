"""Pairs that differ in one thing: two versions of a piece in one cue, two prompts in one word.

What a model does differently within such a pair, it does because of that one thing.  So whatever is paired
here is checked: by its labels first, and then by measurement of the sound, since a change of one cue in the
notes may move others in the ear (:func:`measure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import stats
from .corpora import Corpus
from .descriptors import ANALYSIS, describe_all
from .descriptors import CUES as UNITS
from .errors import InterpError, check_list, unknown

if TYPE_CHECKING:
    import pandas as pd

MEASURED_BY = {
    "mode": "mode",
    "tempo": "onset_rate",
    "register": "pitch",
    "level": "level",
    "articulation": "articulation",
}
"""Cue → the descriptor (:mod:`interp.descriptors`) that rises with it."""


class Pairs(NamedTuple):
    """Two corpora, aligned: clip i of one is clip i of the other with another level of ``cue``."""

    base: Corpus
    counterfactual: Corpus
    cue: str


def pairs(corpus: Corpus, cue: str, low: int | str, high: int | str) -> Pairs:
    """Every piece of a corpus at two levels of a cue.

    Parameters
    ----------
    corpus : Corpus
        Every group (piece) is there at both levels, as in ``interp.corpus("factorial", vary="tempo")``.
    cue : a label of the corpus.
    low, high : its levels in the base and in the counterfactual.

    Raises
    ------
    InterpError
        If there is no such label, the levels are the same, or a piece is not there exactly once at each; and
        see :func:`paired`.
    """
    column, groups = corpus.column(cue), np.asarray(corpus.groups, dtype=object)
    if low == high:
        raise InterpError(f"A pair needs two levels of {cue}, not {low!r} twice.")
    sides: list[list[int]] = [[], []]
    for group in dict.fromkeys(corpus.groups):
        for side, level in zip(sides, (low, high), strict=True):
            found = np.flatnonzero((groups == group) & (column == level))
            if len(found) != 1:
                raise InterpError(
                    f"{group} is there {len(found)} times with {cue} {level!r}, so it makes no pair; want "
                    f"each piece once at each level, as a composed corpus has with vary={cue!r}."
                )
            side.append(int(found[0]))
    return paired(corpus[sides[0]], corpus[sides[1]], cue)


def paired(base: Corpus, counterfactual: Corpus, cue: str) -> Pairs:
    """Take two corpora as pairs, clip by clip, once their labels show that they are.

    Raises
    ------
    InterpError
        If one is longer than the other, or the clips of a pair are of different groups (pieces), have the
        same level of the cue, or differ in another label as well.
    """
    if len(base) != len(counterfactual):
        raise InterpError(f"{len(base)} clips and {len(counterfactual)} are no pairs; give as many of each.")
    for a, b in zip(base, counterfactual, strict=True):
        if a.group != b.group:
            raise InterpError(f"{a.id} and {b.id} are no pair: one is of {a.group}, the other of {b.group}.")
        differ = [name for name in {**a.labels, **b.labels} if a.labels.get(name) != b.labels.get(name)]
        if differ != [cue]:
            others = ", ".join(differ) or "nothing that is labelled"
            raise InterpError(f"{a.id} and {b.id} must differ in {cue} alone, but differ in {others}.")
    return Pairs(base, counterfactual, cue)


@dataclass(frozen=True)
class Moved:
    """What was heard to change within pairs.

    Attributes
    ----------
    cue : str
    differences : dict of str to Interval
        Descriptor → mean of counterfactual minus base, in its own unit, over pieces.
    spreads : dict of str to float
        Descriptor → its standard deviation over the base clips.
    counts : dict of str to int
        Descriptor → pairs in which it could be measured on both sides. With fewer than two pieces it has no
        entry in `differences`.
    """

    cue: str
    differences: dict[str, stats.Interval]
    spreads: dict[str, float]
    counts: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the cue's own descriptor rose: its 95 % interval lies above 0."""
        own = MEASURED_BY[self.cue]
        return own in self.differences and self.differences[own].low > 0

    @property
    def others(self) -> list[str]:
        """Every other descriptor that moved: 0 lies outside its 95 % interval."""
        own = MEASURED_BY[self.cue]
        return [n for n, x in self.differences.items() if n != own and not x.low <= 0 <= x.high]

    def frame(self) -> pd.DataFrame:
        """A row for each descriptor: its difference with interval, also in spreads between pieces."""
        import pandas as pd

        rows = {
            f"{name}, {UNITS[name]}": {
                "difference": x.estimate,
                "low": x.low,
                "high": x.high,
                "in spreads": x.estimate / self.spreads[name] if self.spreads[name] > 0 else np.nan,
                "pairs": self.counts[name],
                "": "the cue" if name == MEASURED_BY[self.cue] else "moved" if name in self.others else "",
            }
            for name, x in self.differences.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("descriptor")


def measure(pairs: Pairs, progress: bool = False) -> Moved:
    """Did the cue move, and what moved with it?  Measured on the sound of both sides.

    Raises
    ------
    InterpError
        If no descriptor measures the cue (`MEASURED_BY`), or a clip is shorter than a second.
    """
    if pairs.cue not in MEASURED_BY:
        raise unknown("cue", pairs.cue, MEASURED_BY)
    sides = []
    for corpus in (pairs.base, pairs.counterfactual):
        sounds = [clip.waveform(ANALYSIS).numpy() for clip in corpus]
        sides.append(describe_all(sounds, ANALYSIS, progress))
    groups, differences, spreads, counts = np.asarray(pairs.base.groups), {}, {}, {}
    for name in UNITS:
        # What differs by less comes from rounding, not from the music.
        base, counterfactual = (np.round(side[name], 4) for side in sides)
        known = np.isfinite(base) & np.isfinite(counterfactual)
        counts[name] = int(known.sum())
        if len(set(groups[known])) > 1:
            differences[name] = stats.mean((counterfactual - base)[known], groups[known])
            spreads[name] = float(base[known].std(ddof=1))
    return Moved(pairs.cue, differences, spreads, counts)


def prompt_pairs(first: str, second: str, templates: Sequence[str]) -> list[tuple[str, str]]:
    """Prompts that differ in one word.

    Parameters
    ----------
    first, second : single words.
    templates : list of str
        Each with one ``{}`` where the word goes, such as ``"{} piano music"``.

    Raises
    ------
    InterpError
        If a template has not exactly one place for the word, or the prompts of a pair do not differ in
        exactly one word.
    """
    made = []
    for template in check_list(templates, "templates"):
        if template.count("{}") != 1:
            raise InterpError(f"Template {template!r} must have exactly one {{}} for the word.")
        made.append((template.replace("{}", first), template.replace("{}", second)))
        one_word_apart(*made[-1])
    return made


def one_word_apart(first: str, second: str) -> tuple[str, str]:
    """The two words in which two prompts differ.

    Raises
    ------
    InterpError
        If they differ in none, in more than one, or in their number of words.
    """
    a, b = first.split(), second.split()
    differ = [(x, y) for x, y in zip(a, b, strict=False) if x != y]
    if len(a) != len(b) or len(differ) != 1:
        said = "in length" if len(a) != len(b) else f"in {len(differ)} words"
        raise InterpError(
            f"Prompts {first!r} and {second!r} must differ in exactly one word; they differ {said}."
        )
    return differ[0]
