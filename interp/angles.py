"""Angles between what valence and arousal span in different layers, beside those of labels dealt anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import check_whole, unknown
from .geometry import _check, _halves
from .stats import codes
from .stats.permutation import relabellings


@dataclass(frozen=True)
class Angles:
    """Principal angles between two planes, with their null.

    Attributes
    ----------
    degrees : np.ndarray
        [2], smaller first.
    null : np.ndarray
        [relabelling, 2], the same with the labels of one of the planes dealt anew.
    """

    degrees: np.ndarray
    null: np.ndarray

    @property
    def p(self) -> float:
        """Of the question whether the planes lie closer than chance puts them, by the mean of both angles."""
        closer = self.null.mean(1) <= self.degrees.mean() + 1e-4  # what rounding makes of an angle of 0
        return float((1 + closer.sum()) / (1 + len(closer)))


def angles_to_layer(
    layers: Mapping[str, np.ndarray],
    reference: str,
    valence: Sequence[float],
    arousal: Sequence[float],
    clusters: Sequence,
    splits: int = 5,
    n: int = 200,
    seed: int = 0,
) -> dict[str, Angles]:
    """Is the valence-arousal plane of every layer that of one of them?  Principal angles, with a null.

    The plane of the reference is fitted on one half of the clusters and the other on the other half, so that
    noise common to both does not pass for likeness; means over ``splits`` random halves, both ways. What the
    reference has with itself is the closest that could be seen.

    Parameters
    ----------
    layers : dict
        From the label of a layer to vectors [clip, width] of the same clips.
    reference : str
        One of them.
    n : int
        Relabellings: valence and arousal of whole clusters, dealt together.

    Notes
    -----
    Source: Björck & Golub (1973). Two planes drawn at random in a wide space are nearly orthogonal, and those
    of any two labels of the same clips less so, which is why labels are dealt anew.
    """
    if reference not in layers:
        raise unknown("layer", reference, layers)
    check_whole(splits, "The number of halves", 1)
    checked = {name: _check(x, valence, clusters)[0] for name, x in layers.items()}
    labels = np.stack([np.asarray(valence, float), np.asarray(arousal, float)])
    cluster = codes(clusters)
    index, _ = relabellings(np.unique(labels, axis=1, return_inverse=True)[1].ravel(), cluster, n, seed)
    dealt = np.concatenate([labels[None], labels[:, index].swapaxes(0, 1)])  # the data's own come first
    halves = _halves(cluster, splits, seed)
    degrees = {name: np.zeros((len(dealt), 2)) for name in checked}
    for half in np.concatenate([halves, ~halves]):
        fixed = _planes(checked[reference][half], labels[None][..., half])
        for name, x in checked.items():
            moving = _planes(x[~half], dealt[..., ~half])
            cosines = np.linalg.svd(fixed.swapaxes(1, 2) @ moving, compute_uv=False)
            degrees[name] += np.degrees(np.arccos(np.clip(cosines, 0, 1))) / (2 * splits)
    return {name: Angles(found[0], found[1:]) for name, found in degrees.items()}


def _planes(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Orthonormal axes [relabelling, width, 2] along which vectors move with two labels [..., 2, clip]."""
    return np.linalg.qr(((labels - labels.mean(-1, keepdims=True)) @ x).swapaxes(1, 2))[0]
