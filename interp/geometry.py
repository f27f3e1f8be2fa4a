"""The shape that labels have in a space of activations: axes, clusters, the circumplex, dimension.

Vectors are [clip, width], labels and clusters [clip].  An *axis* of a number is the direction in which
vectors move with it, ``cov(vector, label)``.  That is the pattern of a linear readout and not its weights,
which bend away from whatever else varies and say little about where the label lies (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from .errors import InterpError, check_list, check_whole, unknown
from .results.claims import Measure
from .stats import Interval, codes, leave_one_out
from .stats.permutation import Test, relabellings

CIRCUMPLEX = {  # valence and arousal of the quadrants' middles (Russell 1980)
    "Q1": (1.0, 1.0),
    "Q2": (-1.0, 1.0),
    "Q3": (-1.0, -1.0),
    "Q4": (1.0, -1.0),
}


@dataclass(frozen=True)
class Finding:
    """A statistic with its permutation test and, where one is defined, its interval over clusters."""

    estimate: float
    interval: Interval | None
    test: Test
    clips: int
    clusters: int

    @property
    def p(self) -> float:
        """Of the permutation test."""
        return self.test.p

    def measure(self) -> Measure:
        """As a claim takes it."""
        if self.interval is None:
            raise InterpError("This finding has no interval, so no claim can be made of it.")
        low, high = self.interval.low, self.interval.high
        return Measure(self.estimate, (low, high), self.p, self.clips, self.clusters)


# --- axes ---


def axis(vectors: np.ndarray, labels: Sequence[float]) -> np.ndarray:
    """Unit vector [width] along which vectors move with a number."""
    x, y, _ = _check(vectors, labels, np.arange(len(labels)))
    direction = (y - y.mean()) @ x
    norm = np.linalg.norm(direction)
    if norm == 0:
        raise InterpError("The label does not go with the vectors in any direction, so it has no axis.")
    return direction / norm


def class_axes(
    vectors: np.ndarray, labels: Sequence, clusters: Sequence, classes: Sequence[str]
) -> np.ndarray:
    """The direction in which each class lies, of all clips and then without each cluster.

    What the latter differ by is what the choice of clusters (words, songs) makes of a direction: intervals
    over them are those of :func:`interp.stats.leave_one_out`.

    Parameters
    ----------
    classes : list of str
        All classes, in the order wanted.

    Returns
    -------
    np.ndarray
        [1 + cluster, class, width]: mean of the class minus the mean over classes, clusters in sorted order.

    Raises
    ------
    InterpError
        If the classes are not those of the labels, or one of them has clips of one cluster only.
    """
    names, y = np.unique(np.asarray(labels), return_inverse=True)
    if sorted(classes) != names.tolist():
        raise InterpError(f"Clips are of {', '.join(names)}; asked for are {', '.join(classes)}.")
    x, y, cluster = _check(vectors, y, clusters)
    own = np.array([list(classes).index(name) for name in names])[y.astype(int)]
    sums = np.zeros((cluster.max() + 1, len(names), 1 + x.shape[1]))  # counts, then vectors
    np.add.at(sums, (cluster, own), np.column_stack([np.ones(len(x)), x]))
    kept = np.concatenate([sums.sum(0)[None], sums.sum(0) - sums])
    if not kept[..., 0].all():
        lonely = classes[int(np.nonzero(kept[..., 0] == 0)[1][0])]
        raise InterpError(f"All clips of {lonely} are of one cluster; give each class two or more.")
    means = kept[..., 1:] / kept[..., :1]
    return means - means.mean(1, keepdims=True)


def axis_overlap(
    vectors: np.ndarray,
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence,
    splits: int = 20,
    n: int = 1000,
    seed: int = 0,
) -> Finding:
    """Are two labels one direction?  Squared cosine between axes fitted on different halves, above chance.

    The axis of the first label is fitted on one half of the clusters and that of the second on the other, so
    that noise common to both does not pass for likeness; mean over ``splits`` random halves and both ways.

    Returns
    -------
    Finding
        The estimate is the squared cosine minus its mean when the second label is dealt anew (0 is no
        overlap); the interval leaves out one cluster at a time, with the halves as they are.

    Notes
    -----
    Noise in the axes makes them look further apart than they are: see what :func:`axis_reliability` gives.
    """
    x, y, cluster = _check(vectors, first, clusters)
    _, z, _ = _check(vectors, second, clusters)
    halves = _halves(cluster, splits, seed)
    observed = _squared_cosine(x, y, z[None], halves)[0]
    index, exact = relabellings(z, cluster, n, seed)
    null = _squared_cosine(x, y, z[index], halves)
    count = cluster.max() + 1
    without = np.array([_squared_cosine(x, y, z[None], halves, cluster != g)[0] for g in range(count)])
    interval = leave_one_out(observed - null.mean(), without)
    test = Test.of(float(observed), null, exact)
    return Finding(interval.estimate, interval, test, len(x), int(count))


def axis_reliability(
    vectors: np.ndarray, labels: Sequence[float], clusters: Sequence, splits: int = 20, seed: int = 0
) -> float:
    """Mean squared cosine between the axes of one label on two halves: 1 is an axis without noise."""
    x, y, cluster = _check(vectors, labels, clusters)
    return float(_squared_cosine(x, y, y[None], _halves(cluster, splits, seed))[0])


def _halves(cluster: np.ndarray, splits: int, seed: int) -> np.ndarray:
    """Whether a clip is in the first half: [split, clip]."""
    count = cluster.max() + 1
    check_whole(splits, "splits", 1), check_whole(seed, "seed", 0)
    if count < 4:
        raise InterpError(f"Halves need at least four clusters (songs), not {count}.")
    rng = np.random.default_rng(seed)
    first = np.arange(count) < count // 2
    return np.array([rng.permutation(first)[cluster] for _ in range(splits)])


def _squared_cosine(
    x: np.ndarray, y: np.ndarray, others: np.ndarray, halves: np.ndarray, kept: np.ndarray | None = None
) -> np.ndarray:
    """Mean over halves of the squared cosine of y's axis with those of ``others`` [label, clip]: [label]."""
    kept = np.ones(len(x), bool) if kept is None else kept
    total = np.zeros(len(others))
    for half in halves:
        for one, other in ((half & kept, ~half & kept), (~half & kept, half & kept)):
            fixed = (y[one] - y[one].mean()) @ x[one]
            moving = (others[:, other] - others[:, other].mean(1, keepdims=True)) @ x[other]
            norm = (fixed**2).sum() * (moving**2).sum(1)
            total += np.divide((moving @ fixed) ** 2, norm, out=np.zeros(len(others)), where=norm > 0)
    return total / (2 * len(halves))


# --- clusters ---


def silhouette(
    vectors: np.ndarray,
    labels: Sequence,
    clusters: Sequence,
    metric: str = "cosine",
    n: int = 1000,
    seed: int = 0,
) -> Finding:
    """Mean silhouette of labels in centred vectors, with the null of labels dealt over clusters.

    A clip's silhouette compares its mean distance to the clips of its own label with that to the nearest
    other label: 1 is tight and apart, 0 is on the border, below 0 is nearer to another.

    Notes
    -----
    Source: Rousseeuw (1987). Clips of one cluster (prompt) count as neighbours; the null has them too.
    """
    if metric not in ("cosine", "euclidean"):
        raise unknown("metric", metric, ("cosine", "euclidean"))
    x, _, cluster = _check(vectors, np.arange(len(labels)), clusters)
    label = codes(labels)
    _two_each(label)
    distance = cdist(x, x, metric)
    observed = _silhouette(distance, label)
    index, exact = relabellings(label, cluster, n, seed)
    test = Test.of(observed, np.array([_silhouette(distance, dealt) for dealt in label[index]]), exact)
    return Finding(observed, None, test, len(x), int(cluster.max()) + 1)


def _silhouette(distance: np.ndarray, label: np.ndarray) -> float:
    own = np.eye(label.max() + 1)[label]  # [clip, label]
    size, sums, clip = own.sum(0), distance @ own, np.arange(len(label))
    inside = sums[clip, label] / np.maximum(size[label] - 1, 1)
    means = sums / np.maximum(size, 1)
    means[clip, label] = np.inf
    nearest = means.min(1)
    score = (nearest - inside) / np.maximum(np.maximum(nearest, inside), 1e-300)
    return float(np.where(size[label] > 1, score, 0).mean())


def umap_pictures(
    vectors: np.ndarray, n_neighbors: Sequence[int] = (5, 15, 50), seed: int = 0
) -> dict[int, np.ndarray]:
    """Pictures of vectors in two dimensions, [clip, 2], one for each number of neighbours.

    One picture is a choice; where they disagree, the picture shows the choice. No statistic is taken from
    them. Source: McInnes, Healy & Melville (2018).

    Raises
    ------
    InterpError
        If there are not more clips than neighbours, or n_neighbors is no list of numbers from 2.
    """
    import warnings

    x, _, _ = _check(vectors, np.arange(len(vectors)), np.arange(len(vectors)))
    n_neighbors = check_list(n_neighbors, "n_neighbors")
    n_neighbors = [check_whole(k, "A number in n_neighbors", 2) for k in n_neighbors]
    if max(n_neighbors) >= len(x):
        raise InterpError(f"{max(n_neighbors)} neighbours need more than {len(x)} clips; ask for fewer.")
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="n_jobs value", category=UserWarning
        )  # a seed means one job
        return {
            k: UMAP(n_neighbors=k, metric="cosine", random_state=seed).fit_transform(x) for k in n_neighbors
        }


# --- the circumplex ---


def circumplex(
    vectors: np.ndarray, quadrants: Sequence[str], clusters: Sequence, n: int = 2000, seed: int = 0
) -> Finding:
    """Do the four quadrants' mean vectors lie as the corners of a square, in their order around it?

    Parameters
    ----------
    quadrants : sequence of str
        "Q1" (happy) to "Q4" (calm), counted as in :data:`CIRCUMPLEX`.

    Returns
    -------
    Finding
        The fit: share of the square that the means reproduce after shift, rotation, reflection and scaling
        (1 minus Procrustes disparity). Chance is not 0, since any four points can be turned to look somewhat
        square; the null, quadrants dealt over clusters, says how much.

    Notes
    -----
    Source: Gower (1975) for Procrustes; Russell (1980) for the circumplex.
    """
    names = list(CIRCUMPLEX)
    unknown_names = sorted(set(map(str, quadrants)) - set(names))
    if unknown_names:
        raise unknown("quadrant", unknown_names[0], names)
    x, _, cluster = _check(vectors, np.arange(len(quadrants)), clusters)
    label = np.array([names.index(str(q)) for q in quadrants])
    if len(np.unique(label)) < 4:
        raise InterpError("The circumplex needs clips of all four quadrants.")
    ideal = np.array(list(CIRCUMPLEX.values()))
    ideal = ideal / np.linalg.norm(ideal)

    def fit(dealt: np.ndarray) -> float:
        own = np.eye(4)[dealt]
        means = own.T @ x / own.sum(0)[:, None]
        means = means - means.mean(0)
        return float(np.linalg.svd(ideal.T @ means / np.linalg.norm(means), compute_uv=False).sum() ** 2)

    index, exact = relabellings(label, cluster, n, seed)
    observed = fit(label)
    test = Test.of(observed, np.array([fit(dealt) for dealt in label[index]]), exact)
    return Finding(observed, None, test, len(x), int(cluster.max()) + 1)


# --- dimension ---


def participation_ratio(vectors: np.ndarray) -> float:
    """Dimension by variance: width for a ball, 1 for a line.

    (Sum of the covariance's eigenvalues)² over the sum of their squares. Source: Gao et al. (2017).
    """
    x, _, _ = _check(vectors, np.arange(len(vectors)), np.arange(len(vectors)))
    values = np.linalg.svd(x, compute_uv=False) ** 2
    return float(values.sum() ** 2 / (values**2).sum())


def two_nn(vectors: np.ndarray, clusters: Sequence | None = None, discard: float = 0.1) -> float:
    """Dimension of the surface that vectors lie on, from distances to the first and second neighbour.

    Parameters
    ----------
    clusters : sequence, optional
        The two neighbours are of two other clusters: clips of one prompt lie together for other reasons.
    discard : float
        Share of the largest ratios that is left out, as the source does.

    Raises
    ------
    InterpError
        If hardly a clip differs from all clips of other clusters: one that is like another is left out; or
        if ``discard`` leaves none.

    Notes
    -----
    Source: Facco et al. (2017), fit of -log(1 - F) on log(r2 / r1) through the origin.
    """
    every = np.arange(len(vectors))
    x, _, cluster = _check(vectors, every, every if clusters is None else clusters)
    distance = cdist(x, x)
    distance[cluster[:, None] == cluster[None, :]] = np.inf
    order = np.argsort(
        cluster, kind="stable"
    )  # the nearest clip of each cluster, then the nearest two of those
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    nearest = np.minimum.reduceat(distance[:, order], starts, axis=1)
    if nearest.shape[1] < 3:
        raise InterpError("Every clip needs neighbours in two other clusters.")
    nearest = np.partition(nearest, 1, axis=1)[:, :2]
    nearest = nearest[nearest[:, 0] > 0]  # two silent clips are the same point: no ratio of distances
    if len(nearest) < 3:
        raise InterpError("All clips but two have the vector of another clip; give clips that differ.")
    if not 0 < discard < 1:
        raise InterpError(f"discard must lie between 0 and 1, not {discard}.")
    ratio = np.sort(np.log(nearest[:, 1] / nearest[:, 0]))
    kept = int(len(ratio) * (1 - discard))
    if not ratio[:kept].any():
        raise InterpError(
            f"discard={discard} leaves no clip of {len(ratio)} whose two neighbours are at two distances; "
            "take less, or clips that differ more."
        )
    below = np.arange(1, kept + 1) / len(ratio)
    rise = -np.log1p(-below)
    return float((ratio[:kept] @ rise) / (ratio[:kept] @ ratio[:kept]))


def _check(
    vectors: np.ndarray, labels: Sequence[float], clusters: Sequence
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors centred, labels as numbers, clusters as whole numbers from 0."""
    x, y, cluster = np.asarray(vectors, float), np.asarray(labels, float), codes(clusters)
    if x.ndim != 2 or not len(x) == len(y) == len(cluster) or len(x) < 2 or not x.size:
        raise InterpError(
            f"Vectors {list(x.shape)}, {len(y)} labels and {len(cluster)} clusters do not go together."
        )
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise InterpError("Vectors or labels hold values that are not finite (NaN or infinite).")
    if np.ptp(x, axis=0).max() == 0:
        raise InterpError("The vectors are the same for all clips, so they have no geometry.")
    if (y == y[0]).all():
        raise InterpError("All clips have the same label, so it has no place in the space.")
    return x - x.mean(0), y, cluster


def _two_each(label: np.ndarray) -> None:
    if label.max() == 0 or np.bincount(label).min() < 2:
        raise InterpError("A silhouette needs two labels or more, with two clips or more each.")
