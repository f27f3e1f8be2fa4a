"""Is it still music?  What a push costs, clip by clip and as a set, against what chance does anyway.

No threshold is chosen.  Two clips of one prompt differ by their seeds; a clip is *incoherent* when it is
further from the unsteered clips of its prompt, in any of the measures below, than 95 % of these are from each
other (:class:`Bound`).

==============  ============================  =========================================================
measure         unit                          what it shows
==============  ============================  =========================================================
``surprise``    nats per token                how unlikely the tokens are to the model when unsteered;
                                              too little is as odd as too much
``steadiness``  correlation                   how well the onset strength repeats after its best period
``clarity``     correlation                   how well the pitch classes fit the best key
``clipping``    share of samples              at full scale
``silence``     share of frames               below -70 dB full scale
``loops``       correlation                   how like the spectrum is to itself after its best lag
==============  ============================  =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .descriptors import ANALYSIS, HOP, SILENCE
from .errors import InterpError

if TYPE_CHECKING:
    from .generation import Generation
    from .judges.sounds import Sounds
    from .model import Model

WORSE = {"surprise": 0, "steadiness": -1, "clarity": -1, "clipping": 1, "silence": 1, "loops": 1}
"""The side on which a measure is odd: 0 is both."""
FINEST = {
    "surprise": 0.01,
    "steadiness": 0.01,
    "clarity": 0.01,
    "clipping": 0.001,
    "silence": 0.05,
    "loops": 0.001,
}
"""A spread below this is taken as this: what never varies must not make a trifle odd."""
FULL_SCALE = 0.999
PERIODS = (0.2, 1.2)  # seconds: beats of 300 to 50 a minute


def measures(sounds: Sounds, surprise: np.ndarray) -> dict[str, np.ndarray]:
    """All measures of clips: name → [clip].

    Parameters
    ----------
    surprise : np.ndarray
        [clip], from :func:`surprise`.
    """
    found = {"surprise": np.asarray(surprise, float)}
    rows = [_heard(y) for y in sounds.resampled]
    found |= {name: np.array([row[name] for row in rows]) for name in rows[0]}
    clarity = np.array([key.clarity for key in sounds.keys])
    found["clarity"] = np.where(np.isfinite(clarity), clarity, 0.0)  # silence has no key
    found["clipping"] = (np.abs(sounds.waveforms) >= FULL_SCALE).mean(1)
    return {name: found[name] for name in WORSE}


def surprise(model: Model, clips: Generation) -> np.ndarray:
    """Mean negative log-likelihood of each clip's tokens under the model as it is, in nats: [clip].

    Each clip is heard under its own prompt; call it outside of any steering.
    """
    from .causal.patch import values
    from .causal.runs import TeacherForced

    return values(TeacherForced(model, clips), lambda heard: heard.cross_entropy.mean(1))


def _heard(y: np.ndarray) -> dict[str, float]:
    import librosa

    strength = librosa.onset.onset_strength(y=y, sr=ANALYSIS, hop_length=HOP)
    rms = librosa.feature.rms(y=y, frame_length=1024, hop_length=HOP)[0]
    mel = librosa.feature.melspectrogram(y=y, sr=ANALYSIS, n_fft=1024, hop_length=HOP, n_mels=40)
    rate = ANALYSIS / HOP
    first, last = (round(seconds * rate) for seconds in PERIODS)
    return {
        "steadiness": _best_lag(strength[None], first, last),
        "silence": float((rms < 10 ** (SILENCE / 20)).mean()),
        "loops": _best_lag(np.log(mel + 1e-6), first, last),
    }


def _best_lag(frames: np.ndarray, first: int, last: int) -> float:
    """Highest correlation of [feature, frame] with itself, ``first`` to ``last`` frames later.

    Each feature's mean over time is taken away first; 0 where nothing changes.
    """
    x = frames - frames.mean(1, keepdims=True)
    found = [0.0]
    for lag in range(first, min(last, x.shape[1] - 2) + 1):
        a, b = x[:, :-lag], x[:, lag:]
        power = np.sqrt((a**2).sum() * (b**2).sum())
        found.append(float((a * b).sum() / power) if power > 1e-9 else 0.0)
    return max(found)


@dataclass(frozen=True, eq=False)
class Bound:
    """How far clips of one prompt are from each other when nothing is steered.

    A clip is held against unsteered clips as if it were one of them: how odd each is, the clip included, is
    measured from the *other* clips of its prompt, and it is outside where it is among the oddest. So of
    unsteered clips exactly as many are outside as the level says, however few there are and however heavy
    the tails. A percentile of scores that the reference clips have among themselves promises no such thing:
    they helped to set the means and the spreads, and the percentile of a few dozen lies too low.

    Attributes
    ----------
    reference : dict
        Measure → [clip], of the unsteered clips.
    prompts : sequence
        [clip], theirs.
    level : float
        Share of unsteered clips that are inside.

    Raises
    ------
    InterpError
        If there are so few clips that none could ever be outside, or a measure is not finite.

    Notes
    -----
    Source: conformal prediction, Vovk, Gammerman & Shafer (2005), *Algorithmic Learning in a Random World*.
    """

    reference: Mapping[str, np.ndarray]
    prompts: Sequence[str]
    level: float = 0.95

    def __post_init__(self) -> None:
        least = round(1 / (1 - self.level)) - 1
        if len(self.prompts) < least:
            raise InterpError(
                f"{len(self.prompts)} unsteered clips give no bound that a clip could be outside of; at "
                f"level {self.level:g} it takes {least}."
            )
        for name, values in self.reference.items():
            if not np.isfinite(values).all():
                raise InterpError(f"The measure {name} has values that are not finite.")

    def p(self, found: Mapping[str, np.ndarray], prompts: Sequence[str]) -> np.ndarray:
        """Share of the unsteered clips and the clip itself that are as odd as it, or odder: [clip].

        Parameters
        ----------
        found : dict
            Measure → [clip], from :func:`measures`.
        """
        prompt_codes = {prompt: i for i, prompt in enumerate(dict.fromkeys(self.prompts))}
        home, shares = [prompt_codes[prompt] for prompt in self.prompts], []
        for i, prompt in enumerate(prompts):
            if prompt not in prompt_codes:
                raise InterpError(f"“{prompt}” has no unsteered clips, so nothing says what is usual for it.")
            together = {name: np.append(x, found[name][i]) for name, x in self.reference.items()}
            odd = oddness(together, np.append(home, prompt_codes[prompt]))
            shares.append(np.mean(odd >= odd[-1] - 1e-9))
        return np.array(shares)

    def outside(self, found: Mapping[str, np.ndarray], prompts: Sequence[str]) -> np.ndarray:
        """Whether each clip lies outside, [clip] of bool."""
        return self.p(found, prompts) <= 1 - self.level + 1e-9


def oddness(found: Mapping[str, np.ndarray], cluster: np.ndarray) -> np.ndarray:
    """Largest deviation of each clip from the other clips of its cluster, over all measures: [clip].

    In standard deviations between clips of one cluster; a clip that is alone in its own is at 0.
    """
    counts, worst = np.bincount(cluster), np.full(len(cluster), -np.inf)
    for name, values in found.items():
        residual = values - (np.bincount(cluster, values) / counts)[cluster]
        spread = np.sqrt((residual**2).sum() / max(1, len(values) - len(counts)))
        apart = residual * (counts / np.maximum(counts - 1, 1))[cluster] / max(spread, FINEST[name])
        worst = np.maximum(worst, np.abs(apart) if WORSE[name] == 0 else WORSE[name] * apart)
    return worst


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between two sets of vectors [clip, width], each taken as a normal distribution.

    Notes
    -----
    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½). Source: Dowson & Landau (1982); for music Kilgour et al. (2019).
    With fewer clips than several times the width it is biased upwards: compare sets of one size.
    """
    a, b = _vectors(a, b)
    first, second = np.cov(a, rowvar=False, ddof=1), np.cov(b, rowvar=False, ddof=1)
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    # The product's eigenvalues are real and not negative, whatever rounding makes of them.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    gap = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(max(0.0, gap + np.trace(first) + np.trace(second) - 2 * roots))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of two sets [clip, width], kernel (x·y / width + 1)³.

    About 0 for sets of one distribution, however few; it may be negative.

    Notes
    -----
    Source: Gretton et al. (2012); Bińkowski et al. (2018), "KID".
    """
    a, b = _vectors(a, b)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: np.ndarray) -> float:
        table = kernel(x, x)
        return (table.sum() - np.trace(table)) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def _vectors(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InterpError(
            f"Sets of {list(a.shape)} and {list(b.shape)} have no distance; give two or more of each, "
            "all of one width."
        )
    return a, b
