"""Statistics, against answers worked out by hand or known by construction."""

import numpy as np
import pytest

from interp import stats
from interp.errors import InterpError


def planted(effect, seed=0, conditions=2, clusters=6, clips=4, width=16, offset=50.0):
    """Vectors with a big common offset, an effect of the condition, and one of the cluster (prompt)."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, effect, (conditions, width))
    rows, labels, prompts = [], [], []
    for c in range(conditions):
        for k in range(clusters):
            prompt = rng.normal(0, 1, width)
            for _ in range(clips):
                rows.append(offset + means[c] + prompt + rng.normal(0, 0.3, width))
                labels.append(f"emotion {c}")
                prompts.append(f"prompt {c}.{k}")
    return np.array(rows), labels, prompts


def test_the_statistic_by_hand():
    # Centred already. Conditions a and b on opposite sides: within 1, between -1.
    x = np.array([[1.0, 0], [2, 0], [-1, 0], [-2, 0]])
    found = stats.within_between(x, list("aabb"), [1, 2, 3, 4])
    assert (found.within, found.between, found.difference) == pytest.approx((1, -1, 2))
    # A common offset changes nothing.
    assert stats.within_between(x + 1000, list("aabb"), [1, 2, 3, 4]).difference == pytest.approx(2)
    # a: 0 and 90 degrees, b: opposite. within (0 + 0) / 2, between (-1, 0, 0, -1) / 4
    x = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    found = stats.within_between(x, list("aabb"), [1, 2, 3, 4])
    assert (found.within, found.between) == pytest.approx((0, -0.5))


def test_pairs_inside_a_cluster_do_not_count():
    x = np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [0, -1]])
    conditions, clusters = list("aaabbb"), [1, 1, 2, 3, 4, 4]
    centred = x - x.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosine = unit @ unit.T
    pairs = [(i, j) for i in range(6) for j in range(6) if clusters[i] != clusters[j]]
    same = np.mean([cosine[i, j] for i, j in pairs if conditions[i] == conditions[j]])
    other = np.mean([cosine[i, j] for i, j in pairs if conditions[i] != conditions[j]])
    found = stats.within_between(x, conditions, clusters)
    assert (found.within, found.between) == pytest.approx((same, other))


def test_exact_enumeration():
    x = np.array([[1.0, 0], [2, 0.1], [-1, 0], [-2, 0.1]])
    found = stats.permutation_test(x, list("aabb"), [1, 2, 3, 4])
    assert found.exact and len(found.null) == 6
    assert found.p == pytest.approx(2 / 6)  # itself, and the same split with the names swapped


def test_a_planted_effect_is_found_and_its_interval_excludes_zero():
    data = planted(2.0, conditions=4)
    found = stats.permutation_test(*data, n=500)
    assert not found.exact and found.p < 0.01
    interval = stats.difference_interval(*data, n=300)
    assert 0 < interval.low < interval.estimate < interval.high
    assert found.statistic == interval.estimate == stats.within_between(*data).difference


def test_no_effect_gives_uniform_p_though_clips_of_a_prompt_are_alike():
    p = [stats.permutation_test(*planted(0.0, seed=s), n=199).p for s in range(100)]
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) < 0.1) < 0.2
    # Shuffling clips as if each were a prompt of its own finds an emotion nearly every time.
    naive = []
    for s in range(20):
        x, labels, _ = planted(0.0, seed=s)
        naive.append(stats.permutation_test(x, labels, range(len(x)), n=199).p)
    assert np.mean(np.array(naive) < 0.05) > 0.5


def test_cluster_bootstrap_is_wider_than_one_over_clips():
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(8), 20)
    values = rng.normal(0, 1, 8)[prompts] + rng.normal(0, 0.1, 160)
    clustered, naive = stats.bootstrap(values, prompts), stats.bootstrap(values, np.arange(160))
    assert clustered.high - clustered.low > 2.5 * (naive.high - naive.low)
    assert clustered.estimate == pytest.approx(values.mean())


def test_bootstrap_interval_covers():
    rng = np.random.default_rng(1)
    hits = 0
    for i in range(100):
        interval = stats.bootstrap(rng.normal(3, 1, 40), range(40), n=300, seed=i)
        hits += interval.low < 3 < interval.high
    assert hits >= 86


def test_cohens_d():
    assert stats.cohens_d(np.array([2.0, 4, 6]), np.array([0.0, 2, 4])).estimate == pytest.approx(1)
    rng = np.random.default_rng(0)
    found = stats.cohens_d(rng.normal(0.8, 1, 400), rng.normal(0, 1, 400))
    assert found.low < 0.8 < found.high and found.high - found.low < 0.35
    clustered = stats.cohens_d(
        rng.normal(0, 1, 400), rng.normal(0, 1, 400), np.repeat(range(8), 50), np.repeat(range(8), 50)
    )
    assert clustered.low < clustered.estimate < clustered.high


@pytest.mark.parametrize(
    ("vectors", "conditions", "clusters", "said"),
    [
        (np.eye(4), list("aaaa"), [1, 2, 3, 4], "two conditions"),
        (np.eye(4), list("aabb"), [1, 1, 2, 3], "two clusters"),
        (np.eye(4), list("aabb"), [1, 2, 2, 3], "more than one condition"),
        (np.eye(4), list("aab"), [1, 2, 3, 4], "do not go together"),
        (np.full((4, 2), np.nan), list("aabb"), [1, 2, 3, 4], "not finite"),
        (np.ones((4, 2)), list("aabb"), [1, 2, 3, 4], "no direction"),
    ],
)
def test_bad_input(vectors, conditions, clusters, said):
    with pytest.raises(InterpError, match=said):
        stats.within_between(vectors, conditions, clusters)


def test_bad_input_to_d_and_bootstrap():
    with pytest.raises(InterpError, match="finite"):
        stats.cohens_d([1.0, np.nan], [1.0, 2])
    with pytest.raises(InterpError, match="spread"):
        stats.cohens_d([1.0, 1], [2.0, 2])
    with pytest.raises(InterpError, match="two clusters"):
        stats.cohens_d([1.0, 2], [2.0, 3], [1, 1], [1, 2])
    with pytest.raises(InterpError, match="at least two"):
        stats.bootstrap(np.ones(3), [1, 1, 1])
