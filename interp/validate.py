"""Do the tests hold their level, and the intervals their promise?  ``python -m interp.validate`` measures it.

Data sets are made up in which the answer is known: steps (tokens) in clips, clips in clusters (prompts,
songs), with an effect of the cluster, one of the clip, and noise that goes on from step to step.  Where there
is nothing to be found, a test at 5 % may find it in 5 % of the data sets; the same test as if every step were
by itself stands beside it.  Every rate has the interval of its own Monte-Carlo error (Wilson 1927).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from . import stats
from .errors import InterpError, check_whole
from .probe.scores import score
from .stats import contrast, permutation

CLIPS, STEPS = 3, 6  # in a cluster, in a clip
ALPHA = 0.05
PARTS = 10  # of a row, for its processes
DEALS = 99  # relabellings in a test; p then takes steps of .01, of which five lie at or under .05
BORDER = 0.5  # of equivalence, in standard deviations of a cluster's effect


@dataclass(frozen=True)
class Rate:
    """How often something happened, over data sets made alike.

    Attributes
    ----------
    name : what was counted; ``kind`` says which group of the table it is in.
    nominal : what it should be: at most this for errors, this for coverage.
    rate, low, high : share, and its 95 % interval (Wilson).
    naive : the same share, over a tenth of the data sets, when every step or clip is taken as independent.
    clusters : in each data set.
    n : data sets.
    """

    name: str
    kind: str
    nominal: float
    rate: float
    low: float
    high: float
    naive: float
    clusters: int
    n: int


def wilson(hits: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share of ``n``. Source: Wilson (1927)."""
    from scipy.stats import norm

    z, share = norm.ppf((1 + level) / 2), hits / n
    middle, spread = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float((middle - spread) / (1 + z**2 / n)), float((middle + spread) / (1 + z**2 / n))


def tokens(rng: np.random.Generator, clusters: int, effect: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Values of steps and their clusters, [cluster * clip * step]; their mean is ``effect``."""
    noise = rng.normal(0, 1, (clusters, CLIPS, STEPS))
    for step in range(1, STEPS):  # neighbouring steps are alike
        noise[..., step] = 0.7 * noise[..., step - 1] + 0.7 * noise[..., step]
    values = effect + rng.normal(0, 1, (clusters, 1, 1)) + rng.normal(0, 0.5, (clusters, CLIPS, 1)) + noise
    return values.ravel(), np.repeat(np.arange(clusters), CLIPS * STEPS)


# A trial makes a data set and returns what is asked of it, as a function of what is taken as independent,
# with its clusters: so the same data are asked again as if every step or clip were a cluster of its own.
Asked = tuple[Callable[[np.ndarray], float], np.ndarray]


# --- false positives: is p at most .05? ---


def _two_sample(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = tokens(rng, clusters)
    side = cluster % 2 == 0

    def ask(of: np.ndarray) -> bool:
        sides = (values[side], values[~side], of[side], of[~side])
        return permutation.two_sample(*sides, n=DEALS, seed=seed).p <= ALPHA

    return ask, cluster


def _association(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = tokens(rng, clusters)
    valence = rng.normal(0, 1, clusters)[cluster]
    return lambda of: permutation.association(values, valence, of, n=DEALS, seed=seed).p <= ALPHA, cluster


def _sign_flip(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = tokens(rng, clusters)
    return lambda of: permutation.sign_flip(values, of, n=DEALS, seed=seed).p <= ALPHA, cluster


def _cosines(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    cluster = np.repeat(np.arange(clusters), CLIPS)
    x = 5 + rng.normal(0, 1, (clusters, 6))[cluster] + rng.normal(0, 0.5, (len(cluster), 6))
    return lambda of: contrast.permutation_test(x, cluster % 2, of, n=DEALS, seed=seed).p <= ALPHA, cluster


def _equivalence(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = tokens(rng, clusters, effect=BORDER)  # at the border itself no more than 5 % may pass
    return lambda of: stats.equivalence(stats.mean(values, of), (-BORDER, BORDER)) <= ALPHA, cluster


# --- coverage: does the interval hold the truth? ---


def _holds(interval: stats.Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def _clips(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of clips, two to eight in a cluster, of mean 0 and variance 1.5; their clusters."""
    cluster = np.repeat(np.arange(clusters), 2 + np.arange(clusters) % 7)
    return rng.normal(0, 1, clusters)[cluster] + rng.normal(0, np.sqrt(0.5), len(cluster)), cluster


def _mean(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = _clips(rng, clusters)
    return lambda of: _holds(stats.mean(values, of), 0), cluster


def _bootstrap(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = _clips(rng, clusters)
    return lambda of: _holds(stats.bootstrap(values, of, n=200, seed=seed), 0), cluster


def _percentiles(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    """The usual percentile bootstrap, which this project does not use."""
    values, cluster = _clips(rng, clusters)

    def ask(of: np.ndarray) -> bool:
        sums = stats.totals(of, values, np.ones(len(values)))
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), 500) @ sums
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
        return bool(low <= 0 <= high)

    return ask, cluster


def _cohens_d(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    values, cluster = _clips(rng, clusters)
    side = rng.permutation(np.arange(clusters) % 2 == 0)[cluster]
    first, second, truth = values[side] + 0.8 * np.sqrt(1.5), values[~side], 0.8
    return lambda of: _holds(
        stats.cohens_d(first, second, of[side], of[~side], n=200, seed=seed), truth
    ), cluster


def _r_squared(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    labels, cluster = _clips(rng, clusters)
    # The error is half the difference of two values of variance 1.5, so R² is 1 - .75 / 1.5.
    found = score(labels, 0.5 * labels + 0.5 * _clips(rng, clusters)[0], False)
    return lambda of: _holds(stats.jackknife(stats.totals(of, *found.columns), found.statistic), 0.5), cluster


# --- many tests at once: which share of what is found is false? ---


def _false_discoveries(rng: np.random.Generator, clusters: int, seed: int) -> Asked:
    """40 features, 8 of which go with the label."""
    cluster = np.repeat(np.arange(clusters), CLIPS)
    x = rng.normal(0, 1, (clusters, 40))[cluster] + rng.normal(0, 0.5, (len(cluster), 40))
    label = rng.normal(0, 1, clusters)[cluster]
    x[:, :8] += 1.5 * label[:, None]

    def ask(of: np.ndarray) -> float:
        p = permutation.association(x, label, of, n=499, seed=seed).p
        found = stats.benjamini_hochberg(p) <= ALPHA
        return float(found[8:].sum() / max(found.sum(), 1))

    return ask, cluster


FALSE_POSITIVES, COVERAGE = "false positives at 5 %", "coverage of 95 % intervals"
FALSE_DISCOVERIES = "false discoveries at q = 5 %"
TRIALS: list[tuple[str, str, float, Callable[..., Asked]]] = [
    ("two samples", FALSE_POSITIVES, ALPHA, _two_sample),
    ("association", FALSE_POSITIVES, ALPHA, _association),
    ("paired, signs flipped", FALSE_POSITIVES, ALPHA, _sign_flip),
    ("cosine within minus between", FALSE_POSITIVES, ALPHA, _cosines),
    ("equivalence, at its border", FALSE_POSITIVES, ALPHA, _equivalence),
    ("mean, jackknife", COVERAGE, 0.95, _mean),
    ("mean, bootstrap", COVERAGE, 0.95, _bootstrap),
    ("mean, percentiles (not used)", COVERAGE, 0.95, _percentiles),
    ("Cohen's d, bootstrap", COVERAGE, 0.95, _cohens_d),
    ("R² of predictions, jackknife", COVERAGE, 0.95, _r_squared),
    ("Benjamini-Hochberg", FALSE_DISCOVERIES, ALPHA, _false_discoveries),
]


def validate(
    n: int = 10_000,
    clusters: tuple[int, ...] = (8, 24),
    seed: int = 0,
    jobs: int = -1,
    progress: bool = True,
) -> list[Rate]:
    """Measure every rate over ``n`` data sets; a row for each method and number of clusters.

    Parameters
    ----------
    jobs : int
        Processes; -1 is one for every core. The numbers do not depend on it.

    Raises
    ------
    InterpError
        If ``n`` is below 10, or there are fewer than 4 clusters or an odd number of them.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    check_whole(n, "The number of data sets", 10)
    for count in clusters:
        if check_whole(count, "The number of clusters", 4) % 2:
            raise InterpError(f"The number of clusters must be even, for two equal sides, not {count}.")
    rows = [(row, count) for row in range(len(TRIALS)) for count in clusters]
    # In parts, so that the progress bar moves and no core is left with one long row at the end.
    parts = [(row, count, part) for row, count in rows for part in range(PARTS)]
    sums = np.zeros((len(rows), 4))
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_part)(row, count, len(range(part, n, PARTS)), [seed, row, count, part])
        for row, count, part in parts
    )
    for i, counted in enumerate(tqdm(done, "made-up data", len(parts), disable=not progress, leave=False)):
        sums[i // PARTS] += counted
    found = []
    for (row, count), (hits, _, naive, asked) in zip(rows, sums, strict=True):
        name, kind, nominal, _ = TRIALS[row]
        low, high = wilson(hits, n)
        found.append(Rate(name, kind, nominal, float(hits / n), low, high, float(naive / asked), count, n))
    return found


def _part(row: int, clusters: int, n: int, seed: list[int]) -> tuple[float, int, float, int]:
    """Sum over ``n`` data sets, and over every tenth of them as if nothing were clustered."""
    rng, trial = np.random.default_rng(seed), TRIALS[row][3]
    hits, naive, asked = 0.0, 0.0, 0
    for i in range(n):
        ask, cluster = trial(rng, clusters, int(rng.integers(2**31)))
        hits += ask(cluster)
        if i % 10 == 0:
            naive, asked = naive + ask(np.arange(len(cluster))), asked + 1
    return hits, n, naive, asked


def rows(found: list[Rate]) -> Iterator[str]:
    """The table, line by line."""
    kind = None
    for rate in found:
        if rate.kind != kind:
            kind = rate.kind
            head = f"{kind}, {rate.n:,} data sets"
            yield f"{head:<46}clusters    rate  95 % interval    not clustered"
        between = f"{rate.low:.4f} to {rate.high:.4f}"
        yield f"  {rate.name:<44}{rate.clusters:>8}{rate.rate:>8.4f}  {between:<17}{rate.naive:>13.3f}"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m interp.validate", description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=10_000, help="data sets for every row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1 is one for every core")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        found = validate(options.sets, seed=options.seed, jobs=options.jobs)
    except InterpError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(rate) for rate in found], indent=1, ensure_ascii=False))
        return 0
    print("\n".join(rows(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
