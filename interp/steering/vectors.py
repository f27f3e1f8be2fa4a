"""Directions from contrasts of clips.

All take one vector per clip and one label per clip, so it is the caller's business whether the clips are
generations of prompts or recordings, and pooled how.  Every direction points from low labels to high ones and
is as long as the difference between the two sides' means, so that methods compare at equal size.

=================  =======================================================================================
method             direction
=================  =======================================================================================
``mean``           mean of the high clips minus mean of the low (Turner et al. 2023, Rimsky et al. 2024)
``pca``            first axis of the clips' differences from the mean of the *other* side, uncentred
``least_squares``  weights of ridge regression on the labels (Panda et al. 2025, arXiv 2506.10225)
``logistic``       weights of logistic regression
``lda``            mean difference whitened by the shrunk covariance within sides (Ledoit & Wolf 2004)
=================  =======================================================================================

With n clips, the uncentred second moment that ``pca`` takes the first axis of is n c c' + S: the mean
difference c and the scatter S within sides.  Centring first, as some libraries do, leaves S alone, in which
nothing of c is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InterpError, check_list, check_whole, unknown
from ..probe import check_numbers
from ..stats import codes
from .saved import Located, origin

if TYPE_CHECKING:
    from ..model import Model
    from ..sae import Dictionary


@dataclass(frozen=True, eq=False)
class Vector(Located):
    """A direction at one site of one model, with a length; sums and multiples of vectors are vectors.

    Attributes
    ----------
    values : np.ndarray
        [width], float32.
    """

    values: np.ndarray
    __array_ufunc__ = None  # so that np.float64(2) * vector is a vector

    def __post_init__(self) -> None:
        try:
            values = np.array(self.values, np.float32)  # a copy: the caller's may change
        except (TypeError, ValueError) as error:
            raise InterpError(f"A steering vector must be an array [width]: {error}.") from error
        if values.ndim != 1 or values.size == 0:
            raise InterpError(f"A steering vector must be [width], not {list(values.shape)}.")
        object.__setattr__(self, "values", values)
        super().__post_init__()

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.values)

    @property
    def norm(self) -> float:
        """Euclidean length."""
        return float(np.linalg.norm(self.values))

    @property
    def unit(self) -> np.ndarray:
        """[width], of length 1.

        Raises
        ------
        InterpError
            If all values are zero.
        """
        if self.norm == 0:
            raise InterpError("This vector is zero, so it has no direction to steer along.")
        return self.values / np.float32(self.norm)

    def at(self, site: str) -> Vector:
        """The same direction for another site; its provenance keeps where it was made."""
        return replace(self, site=site, about={"moved_from": self.site, **self.about})

    def cosine(self, other: Vector) -> float:
        """Cosine of the angle with another vector."""
        self.meets(other)
        return float(self.unit @ other.unit)

    def of_norm(self, norm: float) -> Vector:
        """The same direction with another length."""
        return replace(self, values=self.unit * norm)

    def orthogonal_to(self, *others: Vector) -> Vector:
        """What is left of it outside the span of ``others``.

        Raises
        ------
        InterpError
            If nothing is left.
        """
        for other in others:
            self.meets(other)
        axes = span(others)
        rest = self.values - (self.values @ axes.T) @ axes
        if np.linalg.norm(rest) <= 1e-5 * self.norm:
            raise InterpError("This vector lies in the span of the others: nothing orthogonal is left of it.")
        about = {"orthogonal_to": [o.about for o in others], "of": self.about}
        return replace(self, values=rest, about=about)

    def __add__(self, other: Vector) -> Vector:
        self.meets(other)
        about = {"sum": [self.about, other.about]}
        return replace(self, values=self.values + other.values, about=about)

    def __mul__(self, factor: float) -> Vector:
        about = {"times": float(factor), "of": self.about}
        return replace(self, values=self.values * np.float32(factor), about=about)

    __rmul__ = __mul__

    def __neg__(self) -> Vector:
        return -1 * self

    def __sub__(self, other: Vector) -> Vector:
        return self + -other

    def meets(self, other: Vector) -> None:
        """Raise unless the other is a vector of the same width, site and model."""
        if not isinstance(other, Vector):
            raise InterpError(
                f"A steering vector goes together with another one, not {type(other).__name__}."
            )
        for what in ("width", "site", "model"):
            mine, its = getattr(self, what), getattr(other, what)
            if mine != its:
                raise InterpError(f"These vectors do not share a space: their {what}s are {mine!r}, {its!r}.")

    def __repr__(self) -> str:
        return f"Vector({self.width} at {self.site or '?'}, norm {self.norm:.3g}, {self.about})"


@dataclass(frozen=True, eq=False)
class EachClip(Located):
    """A vector for each clip of one run, so that many vectors are compared in one batched generation.

    A clip gets the tokens that it would get alone with its vector.

    Attributes
    ----------
    values : np.ndarray
        [clip, width], float32.
    """

    values: np.ndarray

    @classmethod
    def of(cls, vectors: Sequence[Vector]) -> EachClip:
        """From one :class:`Vector` a clip, in the order of the clips.

        Raises
        ------
        InterpError
            If they are not all of one width, site and model, or one is zero.
        """
        for vector in (vectors := check_list(vectors, "vectors")):
            vectors[0].meets(vector)
        about = {"each": [vector.about for vector in vectors]}
        values = np.stack([vector.values for vector in vectors])
        return cls(values, site=vectors[0].site, model=vectors[0].model, about=about)

    @property
    def width(self) -> int:
        """Number of features."""
        return self.values.shape[1]

    @property
    def unit(self) -> np.ndarray:
        """[clip, width], each of length 1; refused as by :attr:`Vector.unit`."""
        return np.stack([Vector(row).unit for row in self.values])

    def __len__(self) -> int:
        return len(self.values)


def span(vectors: Sequence[Vector]) -> np.ndarray:
    """Orthonormal axes [axis, width] of what vectors span; those that point alike share one."""
    for vector in (vectors := check_list(vectors, "vectors")):
        vectors[0].meets(vector)
    size, axes = np.linalg.svd(np.stack([v.unit for v in vectors]).astype(float), full_matrices=False)[1:]
    return axes[size > 1e-6 * size[0]]


def contrast(
    vectors: np.ndarray,
    labels: Sequence[float],
    clusters: Sequence,
    method: str = "mean",
    *,
    site: str = "",
    model: Model | None = None,
    seed: int = 0,
    **about: Any,
) -> Vector:
    """The direction in which clips of high labels differ from clips of low ones.

    Parameters
    ----------
    vectors : np.ndarray
        [clip, width]: one vector a clip, such as ``acts.pooled("resid.3")``. Steps of clips are refused.
    labels : sequence of float
        [clip]. Two values (0 and 1), or, for "mean" and "least_squares", numbers such as valence; "mean" then
        weights the clips on either side of the mean label by their distance from it.
    clusters : sequence
        [clip], prompt or song; the probes' penalty is chosen in folds of these.
    method : str
        See the table of this module.
    site, model
        Where the vectors were captured. :func:`interp.steer` refuses the vector elsewhere.
    **about
        More provenance as plain values, such as ``source="prompts"``.

    Raises
    ------
    InterpError
        For an unknown method, lengths that do not agree, no clips or too few for the method, NaN, labels that
        are all alike or too many for the method, and sides that have the same mean.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    check_whole(seed, "seed", 0)
    x, cluster = np.asarray(vectors, float), codes(clusters, "Clusters")
    if x.ndim != 2 or len(x) != len(cluster) or not x.size or not np.isfinite(x).all():
        raise InterpError(
            f"Vectors {list(x.shape)} and {len(cluster)} clusters: want [clip, width] without NaN, and one "
            "cluster a clip (pool the steps and choose the rows first)."
        )
    y = check_numbers(labels, cluster)
    if method not in GRADED and len(np.unique(y)) > 2:
        raise InterpError(
            f"Method {method!r} needs labels of two values; graded ones suit {', '.join(GRADED)}."
        )
    difference = _mean(x, y, cluster, seed)
    length = np.linalg.norm(difference)
    if length <= 1e-9 * np.linalg.norm(x, axis=1).max():
        raise InterpError("Clips of high and of low labels have the same mean, so there is no direction.")
    direction = METHODS[method](x, y, cluster, seed)
    direction *= np.sign(direction @ difference) or 1.0
    # Plain values of this call come first, so that a caller cannot contradict them.
    known = {"method": method, "clips": len(x), "clusters": int(cluster.max()) + 1, "seed": seed}
    return Vector(direction * (length / np.linalg.norm(direction)), **origin(site, model, about | known))


def of_features(
    dictionary: Dictionary,
    highest: Mapping[int, float],
    *,
    site: str = "",
    model: Model | None = None,
    **about: Any,
) -> Vector:
    """Features of a dictionary at their largest: the sum of max activation times decoder row.

    Parameters
    ----------
    highest : dict
        From a feature to its largest activation on real clips
        (:attr:`interp.sae.features.Activity.highest`); steering with ``operator="add"`` and strength alpha is
        then the source's alpha x max activation x decoder row.

    Notes
    -----
    Source: Singh, Cherep & Maes (2025), arXiv 2505.18186.
    """
    check_features(dictionary, highest)
    rows = dictionary.decoder.detach().float().cpu().numpy()
    values = sum(value * rows[feature] for feature, value in highest.items())
    known = {"method": "features", "features": {str(f): float(v) for f, v in highest.items()}}
    return Vector(values, **origin(site, model, about | known))


def check_features(dictionary: Dictionary, values: Mapping[int, float]) -> None:
    """Raise unless ``values`` are finite numbers for features that the dictionary has."""
    if not values:
        raise InterpError("Name at least one feature of the dictionary.")
    for feature, value in values.items():
        if feature not in range(dictionary.d_sae):
            raise InterpError(f"No feature {feature!r}; this dictionary has 0 to {dictionary.d_sae - 1}.")
        if not np.isfinite(value):
            raise InterpError(f"The activation of feature {feature} must be a finite number, not {value!r}.")


def readout(pipeline: Any) -> tuple[np.ndarray, float]:
    """Weights [width] and intercept on raw vectors, of a probe that standardises first."""
    scaler, model = pipeline[0], pipeline[-1]
    coefficients = np.atleast_2d(model.coef_)
    if len(coefficients) != 1:
        raise InterpError(f"This probe tells {len(coefficients)} classes apart; use one of two classes.")
    weights = coefficients[0] / scaler.scale_
    return weights, float(np.ravel(model.intercept_)[0] - weights @ scaler.mean_)


# --- methods: (vectors [clip, width], labels, clusters, seed) to a direction [width] ---


def _mean(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, seed: int) -> np.ndarray:
    weight = y - y.mean()
    return weight @ x / weight[weight > 0].sum()


def _pca(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, seed: int) -> np.ndarray:
    high = y == y.max()
    differences = np.concatenate([x[high] - x[~high].mean(0), x[high].mean(0) - x[~high]])
    return np.linalg.svd(differences, full_matrices=False)[2][0]


def _probe(classes: bool) -> Callable[..., np.ndarray]:
    def weights(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, seed: int) -> np.ndarray:
        from ..probe.transfer import fit

        # As many folds as there are clusters, five at most.
        folds = min(5, int(cluster.max()) + 1)
        return readout(fit(x, y, cluster, classes, folds, seed))[0]

    return weights


def _lda(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, seed: int) -> np.ndarray:
    if len(x) < 3:
        raise InterpError("Method 'lda' needs three clips or more, to see how they scatter within a side.")
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y > y.min()).coef_[0]


METHODS = {
    "mean": _mean,
    "pca": _pca,
    "least_squares": _probe(classes=False),
    "logistic": _probe(classes=True),
    "lda": _lda,
}
GRADED = ("mean", "least_squares")
