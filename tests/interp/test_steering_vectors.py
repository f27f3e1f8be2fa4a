"""Directions from contrasts, their arithmetic, controls and erasers, by exact arithmetic."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from interp.errors import InterpError
from interp.sae import Dictionary
from interp.steering import (
    METHODS,
    Eraser,
    Vector,
    contrast,
    leace,
    of_features,
    orthogonal,
    projection,
    random,
    select,
    shuffled,
)

WIDTH = 12


def _tensor(x):
    return torch.as_tensor(np.asarray(x), dtype=torch.float32)


def clips(n=80, gap=2.0, seed=0, spread=None):
    """Two sides that differ along the first coordinate; scatter is largest along the second."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    clusters = np.arange(n) // 4 * 2 + labels  # two clips a prompt, a prompt has one label
    x = rng.standard_normal((n, WIDTH)) * (np.ones(WIDTH) if spread is None else spread)
    x[:, 0] += gap * labels
    return x, labels, clusters


# --- contrasts ---


def test_mean_difference_is_exact():
    x = np.array([[1.0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 6, 0]])
    made = contrast(x, [1, 1, 0, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(made.values, [2, -5, 0])
    # Graded labels -1, 0, 0, 3 (mean .5): weights -1.5, -.5, -.5 on one side, 2.5 on the other.
    graded = contrast(x, [-1, 0, 0, 3], [0, 1, 2, 3])
    np.testing.assert_allclose(graded.values, x[3] - (1.5 * x[0] + 0.5 * x[1] + 0.5 * x[2]) / 2.5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_points_from_low_to_high_and_is_as_long_as_the_difference(method):
    x, labels, clusters = clips(gap=4.0)
    made = contrast(x, labels, clusters, method, site="resid.1", source="audio")
    assert made.unit[0] > 0.9
    difference = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    np.testing.assert_allclose(made.norm, np.linalg.norm(difference), rtol=1e-6)
    back = contrast(x, 1 - labels, clusters, method)
    np.testing.assert_allclose(back.values, -made.values, atol=2e-2)
    expected = {"method": method, "clips": 80, "clusters": 40, "seed": 0, "source": "audio"}
    assert made.about == expected


def test_centred_differences_lose_the_direction_that_uncentred_ones_find():
    """All differences between sides share the mean difference, so centring them takes it away."""
    spread = np.r_[0.1, 1.0, np.full(WIDTH - 2, 0.1)]
    x, labels, clusters = clips(gap=4.0, spread=spread)
    high, low = x[labels == 1], x[labels == 0]
    pairs = high - low
    centred = np.linalg.svd(pairs - pairs.mean(0))[2][0]
    truth = np.eye(WIDTH)[0]
    assert abs(centred @ truth) < 0.05
    assert abs(contrast(x, labels, clusters, "pca").unit @ truth) > 0.99


def test_whitening_turns_away_from_scatter_and_the_mean_difference_does_not():
    """Scatter within sides is (u, u) and the difference (1, 0): S^-1 c is along (1, -1) nearly."""
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    x = rng.standard_normal((4000, 1)) * [1, 1] + 0.1 * rng.standard_normal((4000, 2))
    x[:, 0] += labels
    mean, lda = (contrast(x, labels, np.arange(4000), method).unit for method in ("mean", "lda"))
    np.testing.assert_allclose(mean, [1, 0], atol=0.05)
    np.testing.assert_allclose(lda, [0.7, -0.7], atol=0.05)


def test_probe_weights_are_those_on_raw_vectors():
    """A feature on a hundredfold scale must get a hundredth of the weight: standardising is undone."""
    x, labels, clusters = clips(n=400, gap=1.0)
    x[:, 1] += 0.5 * labels
    for method in ("least_squares", "logistic"):
        before = contrast(x, labels, clusters, method).unit
        after = contrast(x * np.r_[1, 100, np.ones(WIDTH - 2)], labels, clusters, method).unit
        np.testing.assert_allclose(after[1] / after[0], before[1] / before[0] / 100, rtol=1e-3)


def test_features_are_max_activation_times_decoder_row():
    dictionary = Dictionary(3, 4, "standard")
    dictionary.decoder.data[1, 0], dictionary.decoder.data[2, 2] = 1.0, 2.0
    made = of_features(dictionary, {1: 3.0, 2: 0.5}, site="resid.0")
    np.testing.assert_array_equal(made.values, [3, 0, 1])
    assert made.about["features"] == {"1": 3.0, "2": 0.5}
    with pytest.raises(InterpError, match="0 to 3"):
        of_features(dictionary, {4: 1.0})
    with pytest.raises(InterpError, match="finite"):
        of_features(dictionary, {1: float("nan")})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "magic"}, "valid: mean, pca, least_squares, logistic, lda"),
        ({"labels": np.ones(80)}, "same label"),
        ({"labels": np.arange(80), "method": "pca"}, "two values"),
        ({"labels": np.arange(79) % 2}, "one label"),
        ({"clusters": np.arange(79)}, "79 clusters"),
        # Rows [2, clip, width] and steps [clip, step, width] would mix null rows or tokens into the clips.
        ({"vectors": np.zeros((2, 80, WIDTH))}, r"\[clip, width\]"),
        ({"vectors": np.full((80, WIDTH), np.nan)}, "NaN"),
        ({"vectors": np.ones((80, WIDTH))}, "no direction"),
    ],
)
def test_bad_contrasts_are_refused(change, said):
    x, labels, clusters = clips()
    with pytest.raises(InterpError, match=said):
        contrast(**({"vectors": x, "labels": labels, "clusters": clusters} | change))


# --- arithmetic ---


def test_arithmetic_is_exact():
    a, b = Vector([3.0, 0, 4], site="resid.1"), Vector([1.0, 2, 0], site="resid.1")
    np.testing.assert_array_equal((a + b).values, [4, 2, 4])
    np.testing.assert_array_equal((a - b).values, [2, -2, 4])
    np.testing.assert_array_equal((0.5 * a).values, (a * 0.5).values)
    np.testing.assert_array_equal((-2 * b).values, [-2, -4, 0])
    np.testing.assert_array_equal((np.float64(2) * b).values, [2, 4, 0])
    assert a.norm == 5
    np.testing.assert_allclose(a.of_norm(10).values, [6, 0, 8])
    np.testing.assert_allclose(a.cosine(b), 3 / (5 * 5**0.5), rtol=1e-6)
    rest = b.orthogonal_to(a)
    np.testing.assert_allclose(rest.values, [1 - 9 / 25, 2, -12 / 25], rtol=1e-6)
    # Others that point alike span one axis, and the whole of them goes.
    np.testing.assert_allclose(b.orthogonal_to(a, 2 * a).values, rest.values, rtol=1e-5)
    two = Vector([1.0, 1, 1], site="resid.1").orthogonal_to(a, b)
    np.testing.assert_allclose([two.values @ a.values, two.values @ b.values], [0, 0], atol=1e-6)
    assert (a + b).site == "resid.1"


def test_arithmetic_refuses_what_does_not_go_together():
    a = Vector([3.0, 0, 4], site="resid.1")
    with pytest.raises(InterpError, match="site"):
        a + Vector([1.0, 0, 0], site="resid.2")
    with pytest.raises(InterpError, match="width"):
        a + Vector([1.0, 0], site="resid.1")
    with pytest.raises(InterpError, match="nothing orthogonal"):
        a.orthogonal_to(3 * a)
    with pytest.raises(InterpError, match="empty"):
        a.orthogonal_to()
    with pytest.raises(InterpError, match="no direction"):
        (0 * a).of_norm(1)
    for values in ([float("nan")], [[1.0]], [], "happy"):
        with pytest.raises(InterpError):
            Vector(values)


def test_saved_with_provenance(tmp_path):
    x, labels, clusters = clips()
    made = contrast(x, labels, clusters, site="resid.1", source="prompts").at("resid.2")
    again = Vector.load(made.save(tmp_path / "v.safetensors"))
    np.testing.assert_array_equal(again.values, made.values)
    assert (again.site, again.about) == ("resid.2", made.about)
    assert again.about["moved_from"] == "resid.1"
    eraser = leace(x, labels, site="resid.1")
    loaded = Eraser.load(eraser.save(tmp_path / "e.safetensors"))
    np.testing.assert_array_equal(loaded.right, eraser.right)
    assert loaded.about == eraser.about
    with pytest.raises(InterpError, match=r"Cannot read a steering vector from .*e\.safetensors"):
        Vector.load(tmp_path / "e.safetensors")
    with pytest.raises(InterpError, match="Cannot read"):
        Vector.load(tmp_path / "none.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.safetensors", "v.safetensors"]


# --- controls ---


def test_controls_are_as_long_and_say_what_they_are():
    x, labels, clusters = clips(gap=4.0)
    made = contrast(x, labels, clusters, "lda", site="resid.1")
    for control in (random(made, 3), orthogonal(made, 3), shuffled(made, x, labels, clusters, 3)):
        np.testing.assert_allclose(control.norm, made.norm, rtol=1e-5)
        assert control.site == "resid.1"
        assert control.about["seed"] == 3
        assert control.about["beside"] == made.about
    assert abs(orthogonal(made, 3).cosine(made)) < 1e-6
    np.testing.assert_array_equal(random(made, 3).values, random(made, 3).values)
    cosines = [abs(random(made, seed).cosine(made)) for seed in range(50)]
    assert 0.1 < np.mean(cosines) < 0.4  # sqrt(2 / (pi 12)) = 0.23


def test_shuffled_labels_are_dealt_over_clusters():
    """Clusters with a mean of their own: were they split, coordinates would differ in size."""
    labels = np.repeat([0, 1], 20)
    clusters = np.arange(40) // 2
    x = np.eye(20)[clusters]
    made = contrast(x, labels, clusters)
    for seed in range(5):
        values = shuffled(made, x, labels, clusters, seed).values
        # Every cluster is wholly on one side, ten on each, so every coordinate is plus or minus the same.
        np.testing.assert_allclose(np.abs(values), 0.1, rtol=1e-5)
        assert (values > 0).sum() == 10


# --- erasers ---


def test_projection_removes_the_span_and_nothing_else():
    a, b = Vector([1.0, 1, 0, 0], site="resid.0"), Vector([0.0, 1, 0, 0], site="resid.0")
    x = _tensor([[1.0, 2, 3, 4]])
    np.testing.assert_allclose(projection([a, b, a + b])(x), [[0, 0, 3, 4]], atol=1e-6)
    np.testing.assert_allclose(projection([b], mean=[9, 9, 9, 9])(x), [[1, 9, 3, 4]], atol=1e-6)
    np.testing.assert_array_equal(projection([a])(x, 0.0), x)


def test_after_leace_no_linear_readout_tells_the_label():
    x, labels, _ = clips(n=300, gap=2.0)
    x[:, 1] += x[:, 0]  # correlated features: the label leaks past a projection
    erased = leace(x, labels)(_tensor(x)).numpy().astype(float)
    centred = labels - labels.mean()
    assert np.abs(centred @ erased).max() / 300 < 1e-5
    assert LinearRegression().fit(erased, labels).score(erased, labels) < 1e-6
    assert np.abs(LogisticRegression().fit(erased, labels).coef_).max() < 1e-3
    projected = projection([contrast(x, labels, np.arange(300), "least_squares")])(_tensor(x)).numpy()
    assert LinearRegression().fit(projected, labels).score(projected, labels) > 0.01
    # More labels than dimensions of them: three one-hot columns span two.
    hot = np.eye(3)[np.arange(300) % 3]
    erased = leace(x, hot)(_tensor(x)).numpy().astype(float)
    assert np.abs((hot - hot.mean(0)).T @ erased).max() / 300 < 1e-5


def test_leace_with_white_vectors_is_the_projection_of_the_mean_difference():
    """Where no direction has more scatter than another, the oblique eraser stands upright."""
    x = np.concatenate([np.eye(4), -np.eye(4)]) * 2.0
    labels = np.array([1, 0, 0, 0, 0, 0, 0, 0])
    made = leace(x, labels)
    upright = np.diag([1.0, 0, 0, 0])
    np.testing.assert_allclose(made.left @ made.right, upright, atol=1e-6)


def test_leace_moves_less_than_the_projection_that_erases_as_much():
    """Erasing by projection on the axis of the labels' covariance also kills the covariance, at a cost."""
    x, labels, _ = clips(n=2000, gap=2.0)
    x[:, 1] += 2 * x[:, 0]
    made, tensor = leace(x, labels), _tensor(x)
    orthogonal_one = projection([contrast(x, labels, np.arange(2000))], mean=x.mean(0))
    moved = [float(((e(tensor) - tensor) ** 2).sum()) for e in (made, orthogonal_one)]
    assert moved[0] < moved[1]


def test_erasers_refuse():
    x, labels, _ = clips()
    with pytest.raises(InterpError, match="nothing to erase"):
        leace(x, np.ones(80))
    with pytest.raises(InterpError, match="no NaN"):
        leace(x, np.full(80, np.nan))
    with pytest.raises(InterpError, match="empty"):
        projection([])
    with pytest.raises(InterpError, match="width"):
        projection([Vector([1.0, 0]), Vector([1.0])])


# --- choosing ---


def test_selection_sees_the_development_part_only():
    seen = []

    def score(candidate, prompts, seeds):
        seen.append((prompts, seeds))
        layer, strength = candidate
        return float("nan") if strength > 1 else layer * strength

    grid = [(layer, strength) for layer in (1, 2) for strength in (0.5, 1.0, 2.0)]
    choice = select(grid, score, development=(["happy", "sad"], [0, 1]), test=(["cheerful"], [2]))
    assert choice.best == (2, 1.0)
    assert seen == [(["happy", "sad"], [0, 1])] * 6
    assert select([1, 2], lambda *_: 0.0, (["a"], [0]), (["b"], [1])).best == 1  # the mildest of equals


@pytest.mark.parametrize(
    ("test", "said"), [((["Happy "], [1]), "prompt 'happy'"), ((["cheerful"], [0]), "seed 0")]
)
def test_selection_refuses_overlap(test, said):
    with pytest.raises(InterpError, match=said):
        select([1], lambda *_: 0.0, (["happy"], [0]), test)
    with pytest.raises(InterpError, match="every score is NaN"):
        select([1], lambda *_: float("nan"), (["happy"], [0]), (["sad"], [1]))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda x, y: contrast(x[:0], [], []), r"Vectors \[0, 8\] and 0 clusters"),
        (lambda x, y: contrast(x[:, :0], y, y), r"Vectors \[4, 0\]"),
        (lambda x, y: contrast(x[:2], y[:2], y[:2], "lda"), "'lda' needs three clips or more"),
        (lambda x, y: contrast(x, y, y, seed=-1), "seed must be a whole number"),
        (lambda x, y: random(Vector(x[0]), -1), "seed must be a whole number"),
        (lambda x, y: shuffled(contrast(x, y, [0, 1, 2, 3]), x, y, [0, 1, 2, 3], -1), "seed must be a whole"),
    ],
)
def test_no_clips_and_no_seeds_are_refused(ask, said):
    with pytest.raises(InterpError, match=said):
        ask(np.random.default_rng(0).standard_normal((4, 8)), [0, 1, 0, 1])
