"""Readouts find what is there, nothing where nothing is, and know nothing of groups they are tested on."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.errors import InterpError
from interp.probe import Probe, profile, ridge
from interp.probe.gain import gain
from interp.probe.scores import score
from interp.probe.transfer import fit, transfer


def clips(seed=0, groups=24, per_group=3, width=12):
    """Vectors that share most of what they are within a group, and their groups."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    own = rng.normal(0, 1, (groups, width))[group]
    return rng, own + 0.5 * rng.normal(0, 1, own.shape), group


def of_groups(rng, group):
    """A number for every group, of no meaning."""
    return rng.normal(0, 1, group.max() + 1)[group]


def test_the_closed_form_is_scikit_learns_ridge():
    for width in (5, 60):  # fewer and more features than clips
        rng, x, group = clips(width=width)
        y = of_groups(rng, group)
        probe = Probe(x, group, folds=4)
        for matrix, penalty in zip(probe.held_out.matrices, ridge.PENALTIES, strict=True):
            for train, test in probe.splits:
                model = make_pipeline(StandardScaler(), Ridge(penalty * len(train))).fit(x[train], y[train])
                assert (matrix @ y)[test] == pytest.approx(model.predict(x[test]), abs=1e-8)
                assert not set(group[train]) & set(group[test])


def test_a_prediction_does_not_depend_on_labels_of_its_own_group():
    rng, x, group = clips()
    y = of_groups(rng, group)
    probe = Probe(x, group, n=20)
    before = probe.ridge(y).predicted
    changed = np.where(group == 3, y + 100, y)
    fold = next(test for _, test in probe.splits if 3 in group[test])
    assert probe.ridge(changed).predicted[fold] == pytest.approx(before[fold])


def test_a_planted_number_and_a_planted_class_are_found():
    rng, x, group = clips(groups=40)
    y = of_groups(rng, group)
    x[:, :3] += 1.5 * y[:, None]
    found = Probe(x, group, n=199).ridge(y)
    assert found.p == 0.005 and 0.2 < found.score.low < found.score.estimate < 1
    assert found.score.estimate == pytest.approx(score(y, found.predicted, False).value)
    assert (found.clips, found.n_groups) == (120, 40)
    measured = found.measure()
    assert measured.estimate == found.score.estimate and measured.clusters == 40
    quadrant = np.array(["calm", "happy"])[(y > 0).astype(int)]
    found = Probe(x, group, n=199).logistic(quadrant)
    assert found.p == 0.005 and found.score.low > 0.6 and set(found.predicted) <= {"calm", "happy"}
    assert found.measure().estimate == pytest.approx(found.score.estimate - 0.5)


@pytest.mark.parametrize("kind", ["ridge", "classes"])
def test_p_keeps_its_level_where_clips_of_a_group_are_alike(kind):
    small, sets = [], 200
    for seed in range(sets):
        rng, x, group = clips(seed, groups=16, width=6)
        probe = Probe(x, group, folds=4, n=39, seed=seed)
        y = of_groups(rng, group)
        # For classes the test is that of ridge on one column a class: the logistic fits have no say in it.
        small.append((probe.ridge(y) if kind == "ridge" else least_squares(probe, y > 0)).p <= 0.05)
    assert np.sum(small) <= 19  # exceeded once in 300 times at a rate of .05


def least_squares(probe, y):
    """A classification without its logistic fits, which would take minutes."""
    probe._fit_logistic = lambda y, train, test, strength: np.zeros(len(test), int)
    return probe.logistic(y)


def test_groups_with_identical_vectors_and_random_labels_give_no_positive_score():
    scores = []
    for seed in range(20):
        rng, x, group = clips(seed)
        x = x[group * 3]  # every clip of a group is its first
        probe = Probe(x, group, n=9)
        found = probe.ridge(of_groups(rng, group))
        scores.append(found.score.estimate)
        # With groups shared between folds the labels would be remembered: the control task shows it.
        assert found.selectivity < 0.5
    assert np.mean(scores) < 0 and np.mean(np.array(scores) > 0) <= 0.2


def test_selectivity_is_high_where_the_target_is_read_and_groups_cannot_be_remembered():
    rng, x, group = clips(groups=60, width=4)
    x = rng.normal(0, 1, x.shape)  # nothing of the group
    y = of_groups(rng, group)
    x[:, 0] += 2 * y
    assert Probe(x, group, n=9).ridge(y).selectivity > 0.5
    alone = Probe(x, np.arange(len(x)), n=9).ridge(y)
    assert alone.selectivity is None


def test_what_is_left_when_known_cues_are_regressed_out():
    rng, x, group = clips(groups=120, width=10)
    cue, planted = of_groups(rng, group), of_groups(rng, group)
    valence = 0.7 * cue + 0.7 * planted
    x += np.outer(cue, rng.normal(0, 1, 10)) + np.outer(planted, rng.normal(0, 1, 10))
    beyond = Probe(x, group, n=99, nuisance=cue)
    rest = beyond.ridge(valence)
    assert rest.score.low > 0.5 and rest.p == 0.01
    # How much of the label is cue does not matter: the score is a share of what the cue leaves of it.
    assert beyond.ridge(valence + 9 * cue).score.estimate == pytest.approx(rest.score.estimate)
    assert beyond.ridge(cue + 0.1 * rng.normal(0, 1, 120)[group]).score.estimate < 0.1
    # Without the planted part nothing is left; vectors that are cues and nothing else leave nothing at all.
    assert Probe(x, group, n=99, nuisance=np.column_stack([cue, planted])).ridge(valence).p > 0.01
    empty = Probe(np.column_stack([100 + cue, 7 * cue]), group, n=9, nuisance=cue).ridge(valence)
    assert empty.score.estimate <= 0


def test_where_cues_say_it_all_nothing_is_left_and_the_test_holds_its_level():
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(48), 3)
        label = rng.choice([-1.0, 1.0], 48)[group]
        cues = 0.8 * np.outer(label, [1, 0.5]) + rng.normal(0, 0.6, (144, 2))
        vectors = cues @ rng.normal(0, 1, (2, 20)) + rng.normal(0, 1, (144, 20))
        found.append(Probe(vectors, group, folds=8, n=39, nuisance=cues).ridge(label))
    assert np.mean([reading.score.estimate for reading in found]) < 0
    assert np.mean([reading.p <= 0.1 for reading in found]) <= 0.2
    assert Probe(vectors, group, n=9).ridge(label).score.low > 0.3  # with the cues it is plain


def test_a_gain_is_paired_and_is_zero_against_itself():
    rng, x, group = clips(groups=40)
    y, z = of_groups(rng, group), of_groups(rng, group)
    better = x + np.outer(y, np.ones(12)) + np.outer(z, np.tile([1, -1], 6))
    probes = {name: Probe(v, group, n=9) for name, v in {"worse": x, "better": better}.items()}
    readings = {name: [p.ridge(y), p.ridge(z)] for name, p in probes.items()}
    found = gain(readings["better"], {"worse": readings["worse"]})
    mean = np.mean([a.score.estimate - b.score.estimate for a, b in zip(*readings.values(), strict=True)])
    assert found.difference.estimate == pytest.approx(-mean) and found.difference.low > 0 and found.p < 0.01
    same = gain(readings["better"], readings)
    assert same.baseline == "better" and same.difference.estimate == 0 and same.p == 1
    assert found.measure().clusters == 40
    with pytest.raises(InterpError, match="other clips"):
        gain(readings["better"], {"worse": readings["worse"][::-1]})


def test_trained_on_one_corpus_and_tested_on_another():
    rng, x, group = clips(groups=40)
    y = of_groups(rng, group)
    x += np.outer(y, np.ones(12))
    half = group < 20
    found = transfer(x[half], y[half], group[half], to=(x[~half], y[~half], group[~half]), n=199)
    assert found.p == 0.005 and found.score.low > 0.3 and found.n_groups == 20
    classes = np.where(y > 0, "happy", "sad")
    found = transfer(
        x[half], classes[half], group[half], to=(x[~half], classes[~half], group[~half]), classes=True, n=199
    )
    assert found.p <= 0.01 and found.score.low > 0.6
    assert set(fit(x, classes, group, classes=True).classes_) == {"happy", "sad"}
    with pytest.raises(InterpError, match="never trained on"):
        transfer(x, classes, group, to=(x, np.where(y > 0, "happy", "calm"), group), classes=True)
    with pytest.raises(InterpError, match="width 12, tested on 5"):
        transfer(x, y, group, to=(x[:, :5], y, group))


def test_a_profile_reads_every_target_at_every_site():
    rng, x, group = clips()
    y = of_groups(rng, group)
    mode = np.where(y > 0, "major", "minor")
    found = profile(
        {"0": x, "1": x + y[:, None]}, {"valence": y}, {"mode": mode}, groups=group, n=19, progress=False
    )
    assert found["1"]["valence"].score.estimate > found["0"]["valence"].score.estimate
    assert set(found["0"]) == {"valence", "mode"} and found["0"]["mode"].chance == 0.5


def test_bad_input():
    rng, x, group = clips()
    y = of_groups(rng, group)
    with pytest.raises(InterpError, match="not finite"):
        Probe(np.where(x > 2, np.nan, x), group)
    with pytest.raises(InterpError, match="same for all clips"):
        Probe(np.ones_like(x), group)
    with pytest.raises(InterpError, match="3 groups for 5 folds"):
        Probe(x[:9], group[:9])
    with pytest.raises(InterpError, match="do not go together"):
        Probe(x, group[:-1])
    with pytest.raises(InterpError, match="Cues to regress out"):
        Probe(x, group, nuisance=np.full(len(x), np.nan))
    probe = Probe(x, group)
    with pytest.raises(InterpError, match="71 labels for 72 clips"):
        probe.ridge(y[:-1])
    with pytest.raises(InterpError, match="not finite"):
        probe.ridge(np.where(y > 0, np.nan, y))
    with pytest.raises(InterpError, match="same label"):
        probe.ridge(np.ones(72))
    with pytest.raises(InterpError, match="logistic"):
        probe.ridge(np.where(y > 0, "a", "b"))
    with pytest.raises(InterpError, match="Class rare has clips of one group only"):
        probe.logistic(np.where(np.arange(72) == 5, "rare", "usual"))
    with pytest.raises(InterpError, match="same label"):
        probe.logistic(["a"] * 72)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(seed=-1), "seed must be a whole number, 0 or more, not -1"),
        (dict(seed="x"), "seed must be a whole number"),
        (dict(vectors=np.zeros((40, 0))), r"Vectors \[40, 0\] and 40 groups do not go together"),
        (dict(groups=None), "Groups must be a list with one for each clip, not None"),
        (dict(groups=[1, None] * 20), "Groups must be all texts or all numbers, and none of them None"),
        (dict(groups=[1.0, np.nan] * 20), "Groups hold NaN"),
        (dict(labels=["a", None] * 20), "Labels must be all texts or all numbers"),
        (dict(labels=[0.0, 1.0, np.nan, 1.0] * 10), "Labels hold NaN; leave out"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(changed, said):
    asked = dict(
        vectors=np.random.default_rng(0).standard_normal((40, 3)),
        groups=np.repeat(np.arange(10), 4),
        labels=["a", "b"] * 20,
    )
    asked |= changed
    with pytest.raises(InterpError, match=said):
        labels = asked.pop("labels")
        Probe(**asked).logistic(labels)
