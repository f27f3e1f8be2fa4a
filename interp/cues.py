"""Measured cues (:mod:`interp.descriptors`) under conditions such as emotions.

Clips of one prompt are a cluster; a clip in which a cue could not be measured (NaN) is left out for that cue,
and a cue with too few clips left has no entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .stats import Interval, cohens_d, mean

Cues = Mapping[str, np.ndarray]


def means(cues: Cues, conditions: Sequence, clusters: Sequence) -> dict[str, dict[str, Interval]]:
    """Mean of each cue under each condition with its 95 % interval: ``means(...)[condition][cue]``."""
    conditions, clusters = np.asarray(conditions), np.asarray(clusters)
    found: dict[str, dict[str, Interval]] = {str(c): {} for c in dict.fromkeys(conditions)}
    for cue, values in cues.items():
        for condition, row in found.items():
            kept = (conditions == condition) & np.isfinite(values)
            if len(set(clusters[kept])) > 1:
                row[cue] = mean(values[kept], clusters[kept])
    return found


def effects(cues: Cues, conditions: Sequence, clusters: Sequence, pair: Sequence[str]) -> dict[str, Interval]:
    """Standardised difference (Cohen's d) of each cue, first condition of the pair minus the second."""
    conditions, clusters = np.asarray(conditions), np.asarray(clusters)
    found = {}
    for cue, values in cues.items():
        kept = [(conditions == condition) & np.isfinite(values) for condition in pair]
        sides = [values[k] for k in kept]
        # Equal values on both sides have no spread to measure a difference in.
        if min(len(set(clusters[k])) for k in kept) > 1 and max(np.ptp(side) for side in sides) > 0:
            found[cue] = cohens_d(*sides, *(clusters[k] for k in kept))
    return found


def standardised(cues: Cues) -> np.ndarray:
    """All cues as vectors [clip, cue], each in units of its own spread; unmeasured ones at their mean.

    So a clip's sound can be put to the same test as a clip's activations.  A cue that is the same in all
    clips says nothing and is left out.
    """
    columns = []
    for values in cues.values():
        known = np.isfinite(values)
        if known.sum() > 1 and values[known].std() > 0:
            z = (values - values[known].mean()) / values[known].std()
            columns.append(np.where(known, z, 0.0))
    return np.stack(columns, axis=1)
