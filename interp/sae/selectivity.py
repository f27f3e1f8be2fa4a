"""Does a feature answer to one thing or to several?  Found on one half of the groups, measured on the other.

The strongest of many associations is exaggerated, so features are chosen on one half of the groups (songs,
prompts), and what is said of them is measured on the other half (:class:`Halves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import rankdata, t

from ..errors import InterpError
from ..results.claims import Measure
from ..stats import benjamini_hochberg, codes
from ..stats.permutation import relabellings
from .associations import Associations, Contrast, Labels, alike, associations, checked, sums_of_groups

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Halves:
    """Associations in two halves of the groups.

    Attributes
    ----------
    first, second : Associations
        Found, and looked at again.
    best : np.ndarray
        [feature], the contrast with the strongest discovery of the first half; -1 if there is none.
    confirmed : np.ndarray
        [feature], whether ``best`` holds in the second half, on the same side, at the same false discovery
        rate over all features that have one.
    held_out : np.ndarray
        Indices of the clips of the second half.
    values, groups : np.ndarray
        The whole of the data, [clip, feature] and [clip].
    level : float
        The false discovery rate.
    """

    first: Associations
    second: Associations
    best: np.ndarray
    confirmed: np.ndarray
    held_out: np.ndarray
    values: np.ndarray
    groups: np.ndarray
    level: float

    @property
    def auroc(self) -> np.ndarray:
        """[feature], AUROC of ``best`` in the second half, turned so that above 0.5 is on the side found.

        0.5 for a feature without one.
        """
        at = np.arange(len(self.best)), self.best  # -1 picks any contrast, and is overwritten
        turned = np.where(self.first.auroc[at] >= 0.5, self.second.auroc[at], 1 - self.second.auroc[at])
        return np.where(self.best >= 0, turned, 0.5)

    def table(self) -> pd.DataFrame:
        """Every confirmed feature, strongest first: its name, AUROC in both halves, modularity."""
        import pandas as pd

        shown = np.flatnonzero(self.confirmed)
        shown = shown[np.argsort(-self.auroc[shown], kind="stable")]
        at = shown, self.best[shown]
        columns = {
            "answers to": [self.first.name(*pair) for pair in zip(*at, strict=True)],
            "AUROC, first half": 0.5 + self.first.strength[at] / 2,
            "AUROC, held out": self.auroc[shown],
            "modularity": modularity(self.second, self.best)[shown],
        }
        return pd.DataFrame(columns, index=pd.Index(shown, name="feature"))


def halves(
    values: np.ndarray, labels: Labels, groups: Sequence, level: float = 0.05, seed: int = 0
) -> Halves:
    """Find associations on a random half of the groups and look at them again on the other.

    Parameters
    ----------
    values, labels, groups
        As for :func:`associations`.
    level : float
        False discovery rate.
    seed : int
        Of the halves.
    """
    values, group, made = checked(values, labels, groups)
    count = group.max() + 1
    in_second = np.zeros(count, bool)
    in_second[np.random.default_rng(seed).permutation(count)[: count // 2]] = True
    second = in_second[group]
    parts = []
    for part in (~second, second):
        parts.append(associations(values[part], [c._replace(side=c.side[part]) for c in made], group[part]))
    found, again = parts
    strength = np.where(found.q < level, found.strength, -1)
    best = np.where(strength.max(1) >= 0, strength.argmax(1), -1)
    confirmed = np.zeros(len(best), bool)
    candidates = np.flatnonzero(best >= 0)
    if len(candidates):
        at = candidates, best[candidates]
        same_side = (found.auroc[at] - 0.5) * (again.auroc[at] - 0.5) > 0
        confirmed[candidates] = same_side & (benjamini_hochberg(again.p[at]) < level)
    return Halves(found, again, best, confirmed, np.flatnonzero(second), values, group, level)


def dealt(labels: Labels, groups: Sequence, seed: int = 0) -> dict[str, list]:
    """The labels of other groups, all labels of a clip together: the control in which nothing answers."""
    index, _ = relabellings(np.arange(len(groups)), groups, 1, seed)
    return {label: [values[i] for i in index[0]] for label, values in labels.items()}


def modularity(found: Associations, best: np.ndarray) -> np.ndarray:
    """Does a feature answer to one label alone?  From 0 (to all alike) to 1 (to one), [feature].

    With m the strength of a feature's strongest contrast of each label, and * the label of ``best``::

        1 - sum of m² over labels other than * / (m*² (labels - 1)),  not below 0

    Parameters
    ----------
    found : Associations
        Of clips on which ``best`` was not chosen: ``halves.second``.
    best : np.ndarray
        [feature], ``halves.best``; NaN is given for a feature without one (-1).

    Notes
    -----
    Source: Ridgeway & Mozer (2018), with the strength of an association in place of mutual information,
    whose estimates are biased in samples of this size.
    """
    names = list(dict.fromkeys(c.label for c in found.contrasts))
    if len(names) < 2:
        raise InterpError("Whether a feature answers to one label alone needs two labels or more.")
    by_label = np.stack([found.strength[:, found.of(name)].max(1) for name in names], axis=1)
    own = np.array([names.index(c.label) for c in found.contrasts])[best]
    mine = by_label[np.arange(len(own)), own] ** 2
    others = (by_label**2).sum(1) - mine
    share = np.divide(others, mine * (len(names) - 1), out=np.ones_like(mine), where=mine > 0)
    return np.where(best >= 0, np.maximum(0, 1 - share), np.nan)


def modularity_null(found: Halves, n: int = 20, seed: int = 0) -> np.ndarray:
    """Mean modularity of the same features with the held-out clips dealt to other groups: [n].

    What a mean over features comes to when none of them answers to its label any more.
    """
    chosen, group = found.best >= 0, found.groups[found.held_out]
    if not chosen.any():
        raise InterpError("No feature answers to any label, so there is nothing to compare with chance.")
    values = found.values[found.held_out][:, chosen]
    index, _ = relabellings(np.arange(len(group)), group, n, seed)
    dealings = (associations(values[deal], found.second.contrasts, group) for deal in index)
    return np.array([modularity(by_chance, found.best[chosen]).mean() for by_chance in dealings])


class Exclusive(NamedTuple):
    """The statistic of G5, and what it was counted from."""

    measure: Measure
    features: np.ndarray
    """Those associated with emotion in the first half."""
    alone: np.ndarray
    """[feature], whether the strongest association of each in the held-out half is emotion."""


def exclusive(
    found: Halves, emotion: Sequence[str], others: Sequence[str], n: int = 2000, seed: int = 0
) -> Exclusive:
    """Share of the features associated with emotion that answer to it more than to anything else, minus 1/2.

    Features are found on the first half: any contrast of an emotion label below the false discovery rate.
    Their strongest association is taken from the held-out half.

    Parameters
    ----------
    emotion, others : list of str
        Labels, such as ["quadrant"] and ["timbre", "genre", "key"].
    n : int
        Bootstrap draws.

    Returns
    -------
    Exclusive
        The interval has two parts. Groups of the held-out half are drawn anew, and the AUROCs follow to first
        order by their structural components; and the features are as many draws from those that a dictionary
        could have learnt, a share with the interval of Agresti and Coull, as if two features of each kind had
        been seen before. So a few features cannot claim much, and none at all give 0 with an interval over
        everything: without features of emotion the data do not speak. Near-copies of a feature count each,
        which that interval does not know.

    Notes
    -----
    Sources: DeLong et al. (1988) and Obuchowski (1997) for AUROCs over clusters; Agresti & Coull (1998). A
    label with more classes has more chances to be a feature's strongest by accident, which here speaks
    against emotion as long as the others have more.
    """
    of_emotion = np.any([found.first.of(label) for label in emotion], axis=0)
    of_others = np.any([found.first.of(label) for label in others], axis=0)
    if (of_emotion & of_others).any():
        raise InterpError("A label cannot be emotion and something else at once.")
    features = np.flatnonzero((found.first.q[:, of_emotion] < found.level).any(1))
    clips, k = len(found.held_out), len(features)
    group = codes(found.groups[found.held_out])
    n_groups = int(group.max()) + 1

    def alone(strength: np.ndarray) -> np.ndarray:
        return strength[..., of_emotion].max(-1) > strength[..., of_others].max(-1)

    is_alone = alone(found.second.strength[features])
    variance = 0.0
    if k:
        influence = _influence(found.values[found.held_out][:, features], found.second.contrasts)
        flat, base = sums_of_groups(influence, group).reshape(n_groups, -1), found.second.auroc[features]
        rng, shares = np.random.default_rng(seed), []
        for first in range(0, n, 100):
            times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), min(100, n - first))
            drawn = base + ((times - 1) @ flat).reshape(-1, *base.shape)
            shares.append(alone(np.abs(2 * drawn - 1)).mean(-1))
        variance = float(np.concatenate(shares).var(ddof=1)) * n_groups / (n_groups - 1)
    share = (is_alone.sum() + 2) / (k + 4)
    error = np.sqrt(variance * (k / (k + 4)) ** 2 + share * (1 - share) / (k + 4))
    reach = t.ppf(0.975, n_groups - 1) * error
    estimate = is_alone.mean() - 0.5 if k else 0.0
    interval = (max(-0.5, share - 0.5 - reach), min(0.5, share - 0.5 + reach))
    p = float(t.sf((share - 0.5) / error, n_groups - 1))
    return Exclusive(Measure(float(estimate), interval, p, clips, n_groups), features, is_alone)


def _influence(values: np.ndarray, made: Sequence[Contrast]) -> np.ndarray:
    """What each clip adds to each AUROC when it is counted once more: [clip, feature, contrast].

    A clip's structural component is the share of the other side's clips that it is on the right side of.
    """
    out = np.zeros((*values.shape, len(made)))
    for known, columns in alike(made):
        rank = rankdata(values[known], axis=0)
        for c in columns:
            side = made[c].side[known] == 1
            component = np.empty_like(rank)
            for own, sign in ((side, 1), (~side, -1)):
                below = (rank[own] - rankdata(values[known][own], axis=0)) / (~own).sum()
                component[own] = below if sign > 0 else 1 - below
                component[own] = (component[own] - component[own].mean(0)) / own.sum()
            out[known, :, c] = component
    return out
