"""Statistics, against answers worked out by hand, by scipy, or known by construction."""

import numpy as np
import pytest
from scipy.stats import t

from interp import stats
from interp.errors import InterpError


def test_the_mean_of_equal_clusters_is_students_interval_over_their_means():
    values = np.array([1.0, 3, 2, 4, 9, 11])
    found = stats.mean(values, list("aabbcc"))
    means = np.array([2.0, 3, 10])
    low, high = t.interval(0.95, 2, means.mean(), means.std(ddof=1) / np.sqrt(3))
    assert (found.estimate, found.low, found.high) == pytest.approx((5, low, high))
    assert found.df == 2
    # Another order of the clips, and other names of the clusters, change nothing.
    assert stats.mean(values[::-1], [3, 3, 2, 2, 1, 1]).low == pytest.approx(low)


def test_a_jackknife_serves_any_smooth_statistic_of_totals():
    rng = np.random.default_rng(0)
    x, cluster = rng.normal(2, 1, 60), np.repeat(np.arange(20), 3)
    sums = stats.totals(cluster, np.ones(60), x, x**2)
    found = stats.jackknife(sums, lambda s: s[..., 2] / s[..., 0] - (s[..., 1] / s[..., 0]) ** 2)
    assert found.estimate == pytest.approx(x.var())
    assert found.low < 1 < found.high


def test_the_bootstrap_agrees_with_the_jackknife_on_a_mean_and_takes_a_median():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(15), 4)
    values = rng.normal(0, 1, 15)[cluster] + rng.normal(0, 1, 60)
    drawn, left_out = stats.bootstrap(values, cluster), stats.mean(values, cluster)
    assert drawn.estimate == pytest.approx(left_out.estimate)
    assert drawn.error == pytest.approx(left_out.error, rel=0.06)
    # The quick way for means draws what the way for any statistic does.
    slow = stats.bootstrap(values, cluster, lambda x: np.mean(x))
    assert (slow.low, slow.high) == pytest.approx((drawn.low, drawn.high))
    middle = stats.bootstrap(values, cluster, np.median, n=400)
    assert middle.low < middle.estimate == np.median(values) < middle.high


def test_a_correlation_has_an_interval_within_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=14)
    pieces = np.repeat(np.arange(7), 2)
    found = stats.correlation(x, x + 0.2 * rng.normal(size=14), pieces)
    assert found.low < found.estimate < found.high < 1
    assert found.estimate - found.low > found.high - found.estimate  # a tail towards nought
    exact = stats.correlation(x, -x, pieces)
    assert exact.estimate == pytest.approx(-1) and exact.low >= -1


def test_clusters_make_an_interval_wider_than_clips_by_themselves():
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(8), 20)
    values = rng.normal(0, 1, 8)[prompts] + rng.normal(0, 0.1, 160)
    clustered, naive = stats.bootstrap(values, prompts), stats.bootstrap(values, np.arange(160))
    assert clustered.high - clustered.low > 2.5 * (naive.high - naive.low)


def test_cohens_d():
    assert stats.cohens_d(np.array([2.0, 4, 6]), np.array([0.0, 2, 4])).estimate == pytest.approx(1)
    rng = np.random.default_rng(0)
    found = stats.cohens_d(rng.normal(0.8, 1, 400), rng.normal(0, 1, 400))
    assert found.low < 0.8 < found.high and found.high - found.low < 0.35
    clustered = stats.cohens_d(
        rng.normal(0, 1, 400), rng.normal(0, 1, 400), np.repeat(range(8), 50), np.repeat(range(8), 50)
    )
    assert clustered.low < clustered.estimate < clustered.high
    # A common offset, however large, changes nothing.
    offset = stats.cohens_d(np.array([2.0, 4, 6]) + 1e6, np.array([0.0, 2, 4]) + 1e6)
    assert offset.estimate == pytest.approx(1)


def test_equivalence_is_the_90_percent_interval_within_the_bounds():
    rng = np.random.default_rng(0)
    values, cluster = rng.normal(0.1, 0.3, 40), np.repeat(np.arange(20), 2)
    narrow = stats.mean(values, cluster, level=0.90)
    found = stats.mean(values, cluster)
    edge = max(abs(narrow.low), abs(narrow.high))
    assert stats.equivalence(found, (-edge, edge)) == pytest.approx(0.05)
    assert stats.equivalence(found, (-2 * edge, 2 * edge)) < 0.05
    assert stats.equivalence(found, (1, 2)) > 0.99


def test_benjamini_hochberg_by_hand():
    # Sorted .01 .02 .03 .5 times 4/rank: .04 .04 .04 .5
    assert stats.benjamini_hochberg([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.04, 0.5, 0.04, 0.04])


def test_bad_input():
    with pytest.raises(InterpError, match="finite"):
        stats.cohens_d([1.0, np.nan], [1.0, 2])
    with pytest.raises(InterpError, match="spread"):
        stats.cohens_d([1.0, 1], [2.0, 2])
    with pytest.raises(InterpError, match="two clusters"):
        stats.cohens_d([1.0, 2], [2.0, 3], [1, 1], [1, 2])
    with pytest.raises(InterpError, match="at least two"):
        stats.bootstrap(np.ones(3), [1, 1, 1])
    with pytest.raises(InterpError, match="at least two"):
        stats.mean(np.ones(3), [1, 1, 1])
    with pytest.raises(InterpError, match="3 values for 2 cluster labels"):
        stats.mean(np.ones(3), [1, 2])
    with pytest.raises(InterpError, match="no value once a cluster is left out"):
        stats.jackknife(np.array([[1.0, 0], [0, 1]]), lambda s: s[..., 0] / s[..., 1])
    with pytest.raises(InterpError, match="not NaN"):
        stats.benjamini_hochberg([0.1, np.nan])
    with pytest.raises(InterpError, match=r"\(low, high\)"):
        stats.equivalence(stats.Interval(0, -1, 1, 0.5, 9), (1, -1))
    with pytest.raises(InterpError, match="standard error"):
        stats.equivalence(stats.Interval(0, -1, 1), (-1, 1))
