"""Labels are dealt over clusters, never over clips, and p says how rare the data's own dealing is."""

from itertools import permutations

import numpy as np
import pytest

from interp.errors import InterpError
from interp.stats import permutation
from interp.stats.permutation import association, relabellings, sign_flip, two_sample


def test_one_label_a_cluster_is_dealt_over_clusters():
    labels, clusters = np.array(list("aaabbb")), np.array([1, 1, 2, 3, 4, 4])
    index, exact = relabellings(labels, clusters, n=100)
    dealt = labels[index]
    assert exact and len(dealt) == 6  # 4 clusters, 2 of each label
    assert (dealt[:, 0] == dealt[:, 1]).all() and (dealt[:, 4] == dealt[:, 5]).all()
    assert {tuple(row) for row in dealt[:, [0, 2, 3, 4]]} == set(permutations("aabb"))
    drawn, exact = relabellings(np.repeat(np.arange(9), 2), np.repeat(np.arange(9), 2), n=50)
    assert not exact and drawn.shape == (50, 18)


def test_the_same_labels_in_every_cluster_are_dealt_within():
    labels, clusters = np.tile([0, 1, 2], 5), np.repeat(np.arange(5), 3)
    order = np.random.default_rng(0).permutation(15)
    labels, clusters = labels[order], clusters[order]
    index, exact = relabellings(labels, clusters, n=40)
    assert not exact and (clusters[index] == clusters).all()
    dealt = labels[index]
    assert len({tuple(row) for row in dealt}) > 35
    for cluster in range(5):
        assert (np.sort(dealt[:, clusters == cluster], axis=1) == [0, 1, 2]).all()


def test_other_labels_go_together_to_clusters_of_the_same_size():
    clusters = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4])
    labels = np.arange(12)
    index, _ = relabellings(labels, clusters, n=200)
    for row in index:
        for cluster in range(5):
            taken = row[clusters == cluster]
            (source,) = set(clusters[taken])  # from one cluster, all of it, in order
            assert (taken == np.flatnonzero(clusters == source)).all()
    assert len({tuple(row) for row in index}) == 12  # 3! orders of the pairs times 2! of the threes


def test_p_counts_the_data_themselves():
    values, clusters = np.array([3.0, 3, 2, 2, 1, 1]), np.repeat([1, 2, 3], 2)
    found = association(values, np.repeat([3, 2, 1], 2), clusters, "greater")
    assert found.exact and found.statistic == pytest.approx(1)
    assert found.p == pytest.approx(1 / 6)
    assert association(values, np.repeat([3, 2, 1], 2), clusters).p == pytest.approx(2 / 6)
    # A random draw of relabellings: never below 1 / (n + 1).
    many = np.repeat(np.arange(12.0), 2)
    assert association(many, many, many, "greater", n=99).p == pytest.approx(0.01)


def test_many_features_share_their_relabellings():
    rng = np.random.default_rng(0)
    x, label, cluster = rng.normal(size=(40, 3)), np.tile([0, 1], 20).repeat(1), np.arange(40)
    x[:, 2] = 7.0  # a dead feature
    found = association(x, label, cluster, n=200)
    alone = association(x[:, 1], label, cluster, n=200)
    assert found.statistic[1] == pytest.approx(np.corrcoef(x[:, 1], label)[0, 1])
    assert found.p[1] == alone.p and found.null[:, 1] == pytest.approx(alone.null)
    assert (found.statistic[2], found.p[2]) == (0, 1)


def test_two_samples_by_hand():
    found = two_sample([5.0, 7], [1.0, 3], [1, 2], [3, 4], "greater")
    assert found.exact and found.statistic == 4 and found.p == pytest.approx(1 / 6)
    assert sorted(found.null) == pytest.approx([-4, -2, 0, 0, 2, 4])


def test_signs_are_flipped_by_cluster():
    found = sign_flip([1.0, 1, 2, 4], [1, 1, 2, 3], "greater")
    assert found.exact and len(found.null) == 8
    assert found.statistic == 2 and found.p == pytest.approx(1 / 8)
    assert sign_flip(np.ones(30), np.arange(30), n=99).p == pytest.approx(0.01)


@pytest.mark.parametrize("test", ["over clusters", "signs"])
def test_clusters_keep_the_level_and_clips_do_not(test):
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(12), 6)
    label = (cluster % 2).astype(float)

    def p(clusters, values):
        if test == "signs":
            return sign_flip(values, clusters, n=99).p
        return association(values, label, clusters, n=99).p

    sets = [rng.normal(0, 1, 12)[cluster] + rng.normal(0, 0.5, 72) for _ in range(150)]
    right = np.mean([p(cluster, values) <= 0.05 for values in sets])
    naive = np.mean([p(np.arange(72), values) <= 0.05 for values in sets])
    assert right <= 0.1 and naive > 0.3  # 0.1 is exceeded once in 300 times at a rate of 0.05


def test_bad_input():
    with pytest.raises(InterpError, match="same label"):
        relabellings([1, 1, 1], [1, 2, 3])
    with pytest.raises(InterpError, match="2 labels for 3 clips"):
        relabellings([1, 2], [1, 2, 3])
    with pytest.raises(InterpError, match="as many clips"):
        relabellings([1, 2, 3, 1, 1], [1, 1, 2, 2, 2])
    with pytest.raises(InterpError, match="all finite"):
        association([1.0, np.nan], [1, 2], [1, 2])
    with pytest.raises(InterpError, match="both sides"):
        two_sample([1.0, 2], [3.0, 4], [1, 2], [2, 3])
    with pytest.raises(InterpError, match="all finite"):
        sign_flip([1.0, 2], [1])
    with pytest.raises(InterpError, match="two-sided"):
        permutation.Test.of(0.0, np.zeros(3), True, "both")
