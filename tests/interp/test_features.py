"""Sparse features and labels: by hand, where nothing is, where something was planted."""

import numpy as np
import pytest
import torch

from interp.errors import InterpError
from interp.sae.associations import associations, contrasts
from interp.sae.features import Directions, activity, ica_directions, pca_directions
from interp.sae.planted import answering
from interp.sae.selectivity import _influence, dealt, exclusive, halves, modularity, modularity_null

EMOTION, OTHERS = ["quadrant"], ["timbre", "genre", "key"]


def labels_of(clips: int, seed: int = 0) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    classes = {"quadrant": 4, "timbre": 6, "genre": 5, "key": 3}
    made = {name: [f"{name[0]}{k}" for k in rng.integers(0, n, clips)] for name, n in classes.items()}
    return made | {"tempo": rng.integers(0, 5, clips).tolist(), "mode": rng.integers(0, 2, clips).tolist()}


@pytest.fixture(scope="module")
def planted():
    """Labels of 300 clips, activity of features that answer to them, and what each answers to."""
    labels = labels_of(300)
    made = answering(labels, per_contrast=4, idle=20, steps=40)
    return labels, activity(made.dictionary.encode, made.vectors), made


# --- activity ---


def test_activity_by_hand():
    clips = [np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([[0.0, 4.0]])]
    found = activity(torch.relu, clips)
    assert found.mean.tolist() == [[2, 0], [0, 4]]
    assert found.highest.tolist() == [[3, 0], [0, 4]]
    assert found.rate.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(found.firing_rate, [2 / 3, 1 / 3])  # of steps, not of clips
    half = activity(torch.relu, (torch.tensor(x).half() for x in clips))  # a stream, in half precision
    np.testing.assert_array_equal(half.mean, found.mean)


def test_activity_of_what_is_none():
    with pytest.raises(InterpError, match="no clips"):
        activity(torch.relu, [])
    with pytest.raises(InterpError, match=r"\[step, width\]"):
        activity(torch.relu, [np.zeros(3)])
    with pytest.raises(InterpError, match="clip 1 are negative or not finite"):
        activity(torch.relu, [np.zeros((2, 3)), np.full((2, 3), np.nan)])
    with pytest.raises(InterpError, match="negative"):
        activity(lambda x: x, [-np.ones((2, 3))])


def test_directions_are_two_sides_each():
    both = Directions(torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert both.encode(torch.tensor([[3.0, -1.0]])).tolist() == [[2, 0, 0, 2]]


def test_components_find_independent_sources():
    """Two sparse sources, mixed: PCA finds the plane they lie in, ICA the sources themselves."""
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(4000, 2))
    x = sources @ np.array([[1.0, 1.0, 0.0], [1.0, -0.5, 0.0]]) + 1e-3 * rng.normal(size=(4000, 3))
    read = ica_directions(x, 2).encode(torch.tensor(x).float()).numpy()
    correlation = np.abs(np.corrcoef((read[:, :2] - read[:, 2:]).T, sources.T)[:2, 2:])
    assert (correlation.max(1) > 0.99).all()
    assert np.abs(pca_directions(x, 2).rows.numpy()[:, 2]).max() < 1e-2
    with pytest.raises(InterpError, match="4 components"):
        pca_directions(x, 4)


# --- associations ---


def test_contrasts_of_classes_and_levels():
    made = contrasts({"key": ["C", "D", None, "E"], "tempo": [1, 2, 3, float("nan")]})
    assert [c.name() for c in made] == ["key C", "key D", "key E", "high tempo"]
    assert made[-1].name(above=False) == "low tempo"
    np.testing.assert_array_equal(made[0].side, [1, 0, np.nan, 0])
    np.testing.assert_array_equal(made[-1].side, [0, np.nan, 1, np.nan])  # the middle level is left out
    even = contrasts({"register": [1, 2, 5, 9]})[0]
    np.testing.assert_array_equal(even.side, [0, 0, 1, 1])


def test_auroc_by_hand():
    label = {"mode": [1, 1, 0, 0]}
    x = np.array([[4, 1, 7, 1, 2], [3, 2, 7, 0, 1], [2, 3, 7, 0, 1], [1, 4, 7, 0, 0]], float)
    found = associations(x, label, range(4))
    # Of four pairs: all, none, all tied, two and two tied, three and one tied.
    np.testing.assert_allclose(found.auroc[:, 0], [1, 0, 0.5, 0.75, 0.875])
    np.testing.assert_allclose(found.strength[:, 0], [1, 1, 0, 0.5, 0.75])
    assert found.p[2, 0] == 1
    assert found.p[0, 0] == found.p[1, 0]
    assert [found.name(f, 0) for f in (0, 1)] == ["high mode", "low mode"]


def test_auroc_agrees_with_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    x, y = rng.poisson(2, (40, 5)).astype(float), rng.integers(0, 2, 40)
    found = associations(x, {"y": y.tolist()}, range(40))
    np.testing.assert_allclose(found.auroc[:, 0], [roc_auc_score(y, column) for column in x.T])


def test_p_of_single_clips_is_that_of_the_rank_sum_test():
    """Where a class is neither rare nor apart, the larger error is the usual one, without correction."""
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(2)
    x, y = rng.poisson(3, (300, 8)).astype(float), np.arange(300) % 2
    found = associations(x, {"y": y.tolist()}, range(300))
    usual = [
        mannwhitneyu(c[y == 1], c[y == 0], method="asymptotic", use_continuity=False).pvalue for c in x.T
    ]
    np.testing.assert_allclose(found.p[:, 0], usual, atol=0.02)


@pytest.mark.parametrize("grouped", [False, True])
def test_null_is_calibrated_even_for_the_rare(grouped):
    """Features from dense to nearly silent, classes down to 1 in 25; groups of eight alike, or none."""
    rng = np.random.default_rng(3)
    clips, features = 400, 300
    group = np.arange(clips) // 8 if grouped else np.arange(clips)
    count = group.max() + 1
    label = {
        "half": rng.integers(0, 2, count)[group].tolist(),
        "sixth": [f"s{k}" for k in rng.integers(0, 6, count)[group]],
        "rare": np.where(np.arange(count) % 25 == 0, "rare", "common")[group].tolist(),
    }
    on = rng.random((count, features)) < 10 ** rng.uniform(-2.5, 0, features)
    x = on[group] * (rng.exponential(size=(count, features))[group] + 0.1 * rng.random((clips, features)))
    found = associations(x, label, group)
    assert (found.p < 0.05).mean() < 0.06
    assert (found.p < 0.001).mean() < 0.002
    assert (found.q < 0.05).sum() == 0


def test_copies_of_a_clip_add_nothing():
    """Eight copies of each of 30 clips are 30 groups: taken for 240 clips they would look significant."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(30, 200)), np.arange(30) % 2
    copies = np.repeat(np.arange(30), 8)
    label = {"y": y[copies].tolist()}
    assert (associations(x[copies], label, range(240)).p < 0.05).mean() > 0.3
    assert (associations(x[copies], label, copies).p < 0.05).mean() < 0.07


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"mode": [1] * 6}}, "mode must have two values"),
        ({"labels": {"mode": [1, "a", 1, 0, 0, 1]}}, "all texts .* or all numbers"),
        ({"labels": {"mode": [None] * 6}}, "it has none"),
        ({"labels": {"mode": [0, 1, 0]}}, "do not belong together"),
        ({"labels": {"a": [0, 1], "b": [0]}}, "other lengths"),
        ({"labels": {}}, "one or more"),
        ({"labels": {"key": ["C", "D", "D", "D", "D", "D"]}}, "key C: one side .* fewer than two groups"),
        ({"groups": [0, 0, 0, 1, 1, 1]}, "fewer than two groups"),
        ({"groups": range(5)}, "do not belong together"),
        ({"values": np.full((6, 2), np.nan)}, "finite"),
        ({"values": np.zeros(6)}, r"\[clip, feature\]"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    given = {"values": np.ones((6, 2)), "labels": {"mode": [0, 0, 0, 1, 1, 1]}, "groups": range(6)} | change
    with pytest.raises(InterpError, match=message) as error:
        associations(**given)
    assert str(error.value).count("\n") == 0


# --- halves ---


def test_planted_features_are_found_and_named(planted):
    labels, found_in, made = planted
    found = halves(found_in.mean, labels, range(300))
    names = [found.first.name(f, b) if b >= 0 else None for f, b in enumerate(found.best)]
    answers = np.array([name is not None for name in made.names])
    right = np.array([name == true for name, true in zip(names, made.names, strict=True)])
    assert right[answers].mean() > 0.8
    assert found.confirmed[answers].mean() > 0.8
    assert found.confirmed[~answers].sum() <= 1
    assert np.nanmedian(modularity(found.second, found.best)) > 0.9
    table = found.table()
    assert len(table) == found.confirmed.sum()
    assert table["AUROC, held out"].is_monotonic_decreasing
    assert (found.auroc[found.best < 0] == 0.5).all()


def test_the_halves_share_no_group(planted):
    labels, found_in, _ = planted
    group = np.arange(300) // 2
    by_pairs = {name: [values[2 * g] for g in group] for name, values in labels.items()}
    found = halves(found_in.mean, by_pairs, group)
    first = np.setdiff1d(np.arange(300), found.held_out)
    assert len(found.held_out) == len(first) == 150
    assert not set(group[first]) & set(group[found.held_out])


def test_dealt_labels_leave_nothing(planted):
    labels, found_in, _ = planted
    shuffled = dealt(labels, range(300), seed=1)
    assert {name: sorted(v) for name, v in shuffled.items()} == {n: sorted(v) for n, v in labels.items()}
    rows = set(zip(*labels.values(), strict=True))
    assert set(zip(*shuffled.values(), strict=True)) == rows  # all labels of a clip together
    assert halves(found_in.mean, shuffled, range(300)).confirmed.sum() == 0


# --- one thing or several ---


def test_modularity_by_hand(planted):
    labels, found_in, _ = planted
    found = halves(found_in.mean, labels, range(300)).second
    quadrant, tempo = np.flatnonzero(found.of("quadrant"))[0], np.flatnonzero(found.of("tempo"))[0]
    auroc = np.full((3, len(found.contrasts)), 0.5)
    auroc[0, quadrant] = 1.0  # to one label alone
    auroc[1, :] = 0.75  # to all alike
    auroc[2, quadrant], auroc[2, tempo] = 1.0, 0.25  # the other five labels: 0.5² / (1 * 5)
    made = type(found)(found.contrasts, auroc, auroc, auroc)
    np.testing.assert_allclose(modularity(made, np.full(3, quadrant)), [1, 0, 0.95])
    assert np.isnan(modularity(made, np.array([-1, quadrant, quadrant]))[0])


def test_modularity_against_chance(planted):
    labels, found_in, _ = planted
    found = halves(found_in.mean, labels, range(300))
    null = modularity_null(found, n=3)
    assert null.max() < 0.5 < np.nanmean(modularity(found.second, found.best))
    nothing = halves(found_in.mean, dealt(labels, range(300), seed=1), range(300))
    with pytest.raises(InterpError, match="No feature answers"):
        modularity_null(nothing)


def test_exclusive_features_are_found(planted):
    labels, found_in, made = planted
    found = exclusive(halves(found_in.mean, labels, range(300)), EMOTION, OTHERS)
    assert np.mean([made.labels[f] == "quadrant" for f in found.features]) > 0.9
    assert found.measure.estimate > 0.4
    assert found.measure.interval[0] > 0.1
    assert found.measure.p < 0.001
    assert found.measure.clips == found.measure.clusters == 150


def test_influence_foretells_the_auroc_of_a_clip_counted_twice():
    rng = np.random.default_rng(5)
    x, y = rng.poisson(4, (200, 3)).astype(float), rng.integers(0, 2, 200)
    made = contrasts({"y": y.tolist()})
    influence = _influence(x, made)
    np.testing.assert_allclose(influence.sum(0), 0, atol=1e-12)
    before = associations(x, made, range(200)).auroc
    for clip in (0, 1, 2):
        twice = np.append(np.arange(200), clip)
        after = associations(x[twice], {"y": y[twice].tolist()}, range(201)).auroc
        np.testing.assert_allclose(after - before, influence[clip], atol=1e-4)  # of changes up to 5e-3


def test_features_of_two_labels_are_not_exclusive(planted):
    """Features of emotion, each added to a louder one of timbre: emotion is there, and not the most."""
    labels, found_in, made = planted
    of = {
        name: [f for f, label in enumerate(made.labels) if label == name] for name in ("quadrant", "timbre")
    }
    mixed = found_in.mean[:, of["quadrant"]] + 2 * found_in.mean[:, of["timbre"][: len(of["quadrant"])]]
    found = exclusive(halves(mixed, labels, range(300)), EMOTION, OTHERS)
    assert len(found.features) >= 3
    assert found.measure.estimate < -0.2
    assert found.measure.p > 0.5


def test_no_feature_of_emotion_says_nothing(planted):
    labels, found_in, _ = planted
    found = exclusive(halves(found_in.mean, dealt(labels, range(300), 1), range(300)), EMOTION, OTHERS)
    assert len(found.features) == 0
    assert found.measure.estimate == 0
    assert found.measure.interval[0] < -0.45 and found.measure.interval[1] > 0.45
    assert found.measure.p == 0.5


def test_a_label_is_emotion_or_something_else(planted):
    labels, found_in, _ = planted
    found = halves(found_in.mean, labels, range(300))
    with pytest.raises(InterpError, match="at once"):
        exclusive(found, ["quadrant"], ["quadrant"])
    with pytest.raises(InterpError, match="Unknown label 'mood'"):
        exclusive(found, ["mood"], OTHERS)
