"""Within against between conditions, against answers worked out by hand or known by construction."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.stats import contrast


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
    found = contrast.within_between(x, list("aabb"), [1, 2, 3, 4])
    assert (found.within, found.between, found.difference) == pytest.approx((1, -1, 2))
    # A common offset changes nothing.
    assert contrast.within_between(x + 1000, list("aabb"), [1, 2, 3, 4]).difference == pytest.approx(2)
    # a: 0 and 90 degrees, b: opposite. within (0 + 0) / 2, between (-1, 0, 0, -1) / 4
    x = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    found = contrast.within_between(x, list("aabb"), [1, 2, 3, 4])
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
    found = contrast.within_between(x, conditions, clusters)
    assert (found.within, found.between) == pytest.approx((same, other))


def test_exact_enumeration():
    x = np.array([[1.0, 0], [2, 0.1], [-1, 0], [-2, 0.1]])
    found = contrast.permutation_test(x, list("aabb"), [1, 2, 3, 4])
    assert found.exact and len(found.null) == 6
    assert found.p == pytest.approx(2 / 6)  # itself, and the same split with the names swapped


def test_a_planted_effect_is_found_and_its_interval_excludes_zero():
    data = planted(2.0, conditions=4)
    found = contrast.permutation_test(*data, n=500)
    assert not found.exact and found.p < 0.01
    interval = contrast.difference_interval(*data)
    assert 0 < interval.low < interval.estimate < interval.high
    assert found.statistic == pytest.approx(interval.estimate)
    assert interval.estimate == pytest.approx(contrast.within_between(*data).difference)


def test_the_interval_leaves_out_whole_clusters():
    vectors, labels, prompts = planted(1.0)
    sums, counts, condition = contrast._prepare(vectors, labels, prompts)
    without = []
    for i in range(12):
        keep = np.arange(12) != i
        pairs = np.ix_(keep, keep)
        without.append(contrast._difference(sums[pairs], counts[pairs], condition[keep]))
    found = contrast.difference_interval(vectors, labels, prompts)
    assert found.df == 11
    assert found.error == pytest.approx(np.sqrt(11 / 12 * np.sum((without - np.mean(without)) ** 2)))


def test_no_effect_gives_uniform_p_though_clips_of_a_prompt_are_alike():
    p = [contrast.permutation_test(*planted(0.0, seed=s), n=199).p for s in range(100)]
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) < 0.1) < 0.2
    # Shuffling clips as if each were a prompt of its own finds an emotion nearly every time.
    naive = []
    for s in range(20):
        x, labels, _ = planted(0.0, seed=s)
        naive.append(contrast.permutation_test(x, labels, range(len(x)), n=199).p)
    assert np.mean(np.array(naive) < 0.05) > 0.5


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
        contrast.within_between(vectors, conditions, clusters)


def test_clips_of_clusters_with_several_conditions_are_told_apart():
    conditions, songs = ["happy", "happy", "sad", "sad", "happy"], ["a", "a", "b", "c", "c"]
    assert contrast.unmixed(conditions, songs).tolist() == [True, True, True, False, False]
    assert contrast.unmixed(["happy", "sad"], ["a", "b"]).all()
