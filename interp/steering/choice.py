"""Choose layer and strength on development prompts and seeds, never on those of the reported result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..errors import InterpError, check_list

Candidate = TypeVar("Candidate")
Part = tuple[Sequence[str], Sequence[int]]  # prompts and seeds


@dataclass(frozen=True)
class Choice:
    """The best candidate, and the score of each [candidate]."""

    best: object
    candidates: list
    scores: np.ndarray
    development: tuple[list[str], list[int]]
    test: tuple[list[str], list[int]]


def select(
    candidates: Sequence[Candidate],
    score: Callable[[Candidate, list[str], list[int]], float],
    development: Part,
    test: Part,
) -> Choice:
    """Take the candidate with the highest score on development prompts and seeds.

    Parameters
    ----------
    candidates : sequence
        Such as pairs of layer and strength, mildest first: of two that score alike the first is taken.
    score : callable
        ``score(candidate, prompts, seeds)``; NaN for one that must not be taken, such as one beyond the bound
        on coherence. It sees the development part only.
    development, test : (prompts, seeds)
        Kept with the choice, so that what is reported can be checked against them.

    Raises
    ------
    InterpError
        If the two parts share a prompt (in whatever case) or a seed, or no candidate may be taken.
    """
    candidates = check_list(candidates, "candidates")
    parts = [(check_list(p, "prompts"), check_list(s, "seeds")) for p, s in (development, test)]
    words = [{" ".join(prompt.casefold().split()) for prompt in prompts} for prompts, _ in parts]
    for what, shared in (("prompt", words[0] & words[1]), ("seed", set(parts[0][1]) & set(parts[1][1]))):
        if shared:
            raise InterpError(
                f"The {what} {min(shared)!r} is in development and in test; a choice made on it cannot be "
                "tested on it, so leave it out of one."
            )
    scores = np.array([float(score(candidate, *parts[0])) for candidate in candidates])
    if np.isnan(scores).all():
        raise InterpError("No candidate may be taken: every score is NaN.")
    return Choice(candidates[int(np.nanargmax(scores))], candidates, scores, *parts)
