"""Permutation tests: what would the statistic be if labels had nothing to do with what was measured?

If they have not, labels could as well have been dealt otherwise, as long as clips that belong together stay
so.  Which dealings are allowed follows from how labels lie on the clusters (prompts, pieces, songs):

===============================================  =========================================================
labels                                           dealt
===============================================  =========================================================
one for each cluster (the emotion of a prompt)   over whole clusters
the same set in every cluster (the variants of   within each cluster: whatever clusters differ by cannot
a piece)                                         matter
anything else (ratings of several excerpts of    a cluster's labels together, in their order, to a cluster
a song)                                          with as many clips
===============================================  =========================================================

Source: Good (2005), *Permutation, Parametric and Bootstrap Tests of Hypotheses*, ch. 3; Winkler et al. (2015)
for blocks.  A p from random dealings counts the data's own among them (Phipson & Smyth 2010), so the test
keeps its level with any number of dealings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial, prod

import numpy as np

from ..errors import InterpError, check_whole, unknown
from . import codes

TIE = 1e-12  # relabellings that only rename conditions tie exactly, up to rounding


@dataclass(frozen=True)
class Test:
    """A permutation test.

    Attributes
    ----------
    statistic : float, or np.ndarray [feature]
        On the data as they are.
    p : float, or np.ndarray [feature]
        Share of relabellings, the data's own among them, with a statistic at least as extreme.
    null : np.ndarray
        Statistic under each relabelling: [relabelling] or [relabelling, feature].
    exact : bool
        Whether every relabelling was taken, rather than a random draw of them.
    """

    __test__ = False  # not a test case, whatever pytest may think of the name

    statistic: float | np.ndarray
    p: float | np.ndarray
    null: np.ndarray
    exact: bool

    @classmethod
    def of(
        cls, statistic: float | np.ndarray, null: np.ndarray, exact: bool, alternative: str = "greater"
    ) -> Test:
        """The test of a statistic against its null.

        Parameters
        ----------
        alternative : "greater", "less", or "two-sided" (by absolute value, for a statistic that is 0 when
            there is nothing).
        """
        side = {"greater": lambda x: x, "less": np.negative, "two-sided": np.abs}
        if alternative not in side:
            raise unknown("alternative", alternative, side)
        hits = (side[alternative](null) >= side[alternative](np.asarray(statistic)) - TIE).sum(0)
        p = hits / len(null) if exact else (1 + hits) / (1 + len(null))
        return cls(statistic, float(p) if np.ndim(p) == 0 else p, null, exact)


def relabellings(
    labels: Sequence, clusters: Sequence, n: int = 2000, seed: int = 0
) -> tuple[np.ndarray, bool]:
    """Ways to deal labels anew that keep clusters together, as the table above says.

    Returns
    -------
    tuple
        Indices [relabelling, clip]: under relabelling r, clip i has the label of clip ``index[r, i]``. And
        whether these are all there are, each once; otherwise ``n`` are drawn from ``seed``.

    Raises
    ------
    InterpError
        If lengths differ, all labels are the same, or no two clusters could swap theirs.
    """
    label, cluster = codes(labels), codes(clusters)
    check_whole(n, "The number of relabellings", 1)
    check_whole(seed, "seed", 0)
    if len(label) != len(cluster) or len(label) == 0:
        raise InterpError(f"{len(label)} labels for {len(cluster)} clips; give each clip one label.")
    if label.max() == 0:
        raise InterpError("All clips have the same label, so there is nothing to deal anew.")
    rng, clips = np.random.default_rng(seed), np.arange(len(label))
    order = np.argsort(cluster, kind="stable")  # clips, cluster after cluster
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    first = order[starts]  # a clip of each cluster
    if (label[first][cluster] == label).all():
        of_cluster = label[first]
        arrangements = prod(range(1, len(first) + 1)) // prod(map(factorial, np.bincount(of_cluster)))
        if arrangements <= n:
            holder = {value: np.flatnonzero(of_cluster == value)[0] for value in of_cluster}
            dealt = np.array([[holder[value] for value in row] for row in _distinct(of_cluster)])
            return first[dealt][:, cluster], True
        return first[_shuffles(len(first), n, rng)][:, cluster], False
    sets = {tuple(sorted(label[order[a : a + size]])) for a, size in zip(starts, sizes, strict=True)}
    index = np.tile(clips, (n, 1))
    if len(sets) == 1:
        # Sorting random numbers inside each cluster shuffles all clusters of all relabellings at once.
        keys = rng.random((n, len(clips))) + cluster[order]
        index[:, order] = order[np.argsort(keys, axis=1)]
        return index, False
    if np.bincount(sizes).max() == 1:
        raise InterpError(
            "Labels differ within clusters, and no two clusters have the same number of clips to swap them; "
            "keep as many clips of each."
        )
    for size in np.unique(sizes):
        blocks = order[starts[sizes == size][:, None] + np.arange(size)]  # [cluster, clip]
        index[:, blocks.ravel()] = blocks[_shuffles(len(blocks), n, rng)].reshape(n, -1)
    return index, False


def association(
    values: np.ndarray,
    labels: Sequence[float],
    clusters: Sequence,
    alternative: str = "two-sided",
    n: int = 2000,
    seed: int = 0,
) -> Test:
    """Does what was measured go with a number, such as valence, or 1 for happy and 0 for sad?

    Parameters
    ----------
    values : np.ndarray
        [clip], or [clip, feature] for many tests with the same relabellings.
    labels : sequence of float
        [clip].

    Returns
    -------
    Test
        Of the correlation over clips. A feature that does not vary has correlation 0 and p = 1.
    """
    x, y = np.asarray(values, float), np.asarray(labels, float)
    if len(x) != len(y) or x.ndim not in (1, 2) or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise InterpError(f"Values {list(x.shape)} and {len(y)} labels must be as many, and all finite.")
    index, exact = relabellings(labels, clusters, n, seed)
    x = x - x.mean(0)
    norm = np.sqrt((x**2).sum(0))
    x = np.divide(x, norm, out=np.zeros_like(x), where=norm > TIE)

    def correlation(dealt: np.ndarray) -> np.ndarray:
        dealt = dealt - dealt.mean(-1, keepdims=True)
        return (dealt / np.linalg.norm(dealt, axis=-1, keepdims=True)) @ x

    observed = correlation(y)
    return Test.of(observed if x.ndim == 2 else float(observed), correlation(y[index]), exact, alternative)


def two_sample(
    first: np.ndarray,
    second: np.ndarray,
    first_clusters: Sequence,
    second_clusters: Sequence,
    alternative: str = "two-sided",
    n: int = 2000,
    seed: int = 0,
) -> Test:
    """Is the mean of the first greater than that of the second?  Sides are dealt over whole clusters.

    Parameters
    ----------
    first, second : np.ndarray
        [clip].
    first_clusters, second_clusters : sequence
        No cluster may lie on both sides: pairs are for :func:`sign_flip`.
    """
    a, b = (np.asarray(x, float) for x in (first, second))
    if set(first_clusters) & set(second_clusters):
        raise InterpError("A cluster lies on both sides; take its difference and use sign_flip.")
    values, side = np.concatenate([a, b]), np.repeat([1.0, 0.0], [len(a), len(b)])
    clusters = codes([*first_clusters, *second_clusters])
    if len(clusters) != len(values) or not np.isfinite(values).all():
        raise InterpError(
            f"{len(values)} values for {len(clusters)} cluster labels; want as many, all finite."
        )
    index, exact = relabellings(side, clusters, n, seed)

    def difference(dealt: np.ndarray) -> np.ndarray:
        ones = dealt.sum(-1)
        return dealt @ values / ones - (1 - dealt) @ values / (len(values) - ones)

    return Test.of(float(difference(side)), difference(side[index]), exact, alternative)


def sign_flip(
    differences: np.ndarray, clusters: Sequence, alternative: str = "two-sided", n: int = 2000, seed: int = 0
) -> Test:
    """Is a mean of paired differences [clip] other than 0?  The signs of whole clusters are flipped.

    If there is nothing, which of a pair came first was arbitrary, and so was the sign.
    """
    values = np.asarray(differences, float)
    if values.ndim != 1 or len(values) != len(clusters) or not np.isfinite(values).all():
        raise InterpError(
            f"{len(values)} differences for {len(clusters)} clusters; want as many, all finite."
        )
    sums = np.bincount(codes(clusters), values) / len(values)
    exact = 2 ** len(sums) <= n
    if exact:
        signs = np.array(list(product([1.0, -1.0], repeat=len(sums))))
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], (n, len(sums)))
    return Test.of(float(sums.sum()), signs @ sums, exact, alternative)


def _shuffles(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` orders of ``size`` things: [n, size]."""
    return rng.permuted(np.tile(np.arange(size), (n, 1)), axis=1)


def _distinct(labels: np.ndarray) -> Iterator[tuple]:
    """Every distinct arrangement of labels, in a fixed order."""
    remaining, chosen = dict(zip(*np.unique(labels, return_counts=True), strict=True)), []

    def extend():
        if len(chosen) == len(labels):
            yield tuple(chosen)
            return
        for label in remaining:
            if remaining[label]:
                remaining[label] -= 1
                chosen.append(label)
                yield from extend()
                chosen.pop()
                remaining[label] += 1

    yield from extend()
