"""People's cue weights against the published table, and the comparison of two tables of weights."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from interp import Clip, InterpError, people
from interp.corpora import Corpus
from interp.people import CUES, EMOTIONS, Design
from interp.people.agreement import agreement, centred, cosine
from interp.people.readings import readings

RNG = np.random.default_rng(0)

# R², then mode, tempo, register, level, articulation: the table of book/etude.md.
PUBLISHED = {
    "happy": (0.898, 0.70, 0.35, 0.31, -0.02, 0.16),
    "sad": (0.880, -0.74, -0.47, -0.08, -0.07, -0.19),
    "peaceful": (0.645, 0.21, -0.42, 0.25, -0.38, -0.10),
    "scary": (0.842, -0.29, 0.09, -0.39, 0.28, -0.03),
    "valence": (0.891, 0.67, 0.11, 0.36, -0.21, 0.10),
    "arousal": (0.798, 0.39, 0.56, -0.11, 0.30, 0.17),
}


def random_design(stimuli=60, per_group=1) -> Design:
    cues = RNG.integers(0, 4, (stimuli, 5))
    return Design(
        cues, people.dummies(RNG.integers(0, 3, stimuli)), CUES, tuple(np.arange(stimuli) // per_group)
    )


@pytest.fixture(scope="module")
def human():
    return people.weights(people.ratings(), people.design())


# --- the study ---


def test_the_study_has_200_stimuli_rated_from_1_to_7():
    ratings, design = people.ratings(), people.design()
    assert ratings.shape == (200, 4) and ratings.min() >= 1 and ratings.max() <= 7
    assert [int(n) for n in design.cues.max(0)] == [1, 4, 5, 4, 3] and not design.cues.min(0).any()
    assert design.covariates.shape == (200, 2 + 3)
    first = people.levels()[
        0
    ]  # Register 4, Mode 1, Tempo 4, Soundlevel 4, Articulation 2, Timbre 2, Melody 4
    assert first == {
        "id": "eerola2013-001", "mode": 1, "tempo": 3, "register": 3, "level": 3, "articulation": 1,
        "timbre": "flute", "melody": "sad",
    }  # fmt: skip


def test_the_published_table_is_recomputed():
    """It takes timbre as one number, 1 to 3, and the melodies as categories."""
    rows = people.levels()
    timbre = [people.TIMBRES.index(row["timbre"]) for row in rows]
    melody = people.dummies([row["melody"] for row in rows])
    own = people.design()
    design = Design(own.cues, np.column_stack([timbre, melody]), CUES, own.groups)
    readings = np.hstack([people.ratings(), people.composites(people.ratings())])
    found = people.weights(readings, design, tuple(PUBLISHED))
    for i, (r2, *betas) in enumerate(PUBLISHED.values()):
        assert found.r2[i] == pytest.approx(r2, abs=0.00051)
        assert found.table[i] == pytest.approx(betas, abs=0.0051)


def test_timbre_as_a_category_explains_more_and_moves_no_weight_by_more_than_two_hundredths(human):
    assert human.table == pytest.approx(np.array([row[1:] for row in PUBLISHED.values()])[:4], abs=0.025)
    assert human.r2[EMOTIONS.index("peaceful")] == pytest.approx(0.80, abs=0.005)
    assert human.r2 == pytest.approx([0.898, 0.892, 0.801, 0.870], abs=0.001)


def test_each_melody_has_the_name_of_the_emotion_it_was_best_matched_with():
    """With cues and timbre regressed out, no other naming of the melodies gives higher ratings in all."""
    rows, design = people.levels(), people.design()
    which = np.array([[row["melody"] == name for name in EMOTIONS] for row in rows], float)
    cues = design.cues - design.cues.mean(0)
    timbre = people.dummies([row["timbre"] for row in rows])
    effect = np.linalg.lstsq(np.hstack([which, cues, timbre]), people.ratings(), rcond=None)[0][:4]
    sums = {order: effect[list(order), range(4)].sum() for order in permutations(range(4))}
    assert max(sums, key=sums.get) == (0, 1, 2, 3)


# --- weights ---


def test_weights_are_those_of_least_squares_on_standardised_data():
    design = random_design()
    readings = RNG.normal(size=(60, 4)) + 1e4
    found = people.weights(readings, design)

    def standardise(x):
        return (x - x.mean(0)) / x.std(0)

    def fit(kept):
        x = np.hstack([standardise(design.cues[kept]), standardise(design.covariates[kept])])
        return np.linalg.lstsq(x, standardise(readings[kept]), rcond=None)[0][:5].T

    everything = np.arange(60)
    np.testing.assert_allclose(found.table, fit(everything), atol=1e-8)
    np.testing.assert_allclose(found.refits[7], fit(np.delete(everything, 7)), atol=1e-8)


def test_weights_that_were_put_in_are_found():
    design = random_design(400)
    z = (design.cues - design.cues.mean(0)) / design.cues.std(0)
    truth = people.weights(people.ratings(), people.design()).table
    readings = z @ truth.T
    found = people.weights(readings, design)
    np.testing.assert_allclose(found.table, truth / readings.std(0)[:, None], atol=1e-9)
    np.testing.assert_allclose(found.r2, 1, atol=1e-9)


def test_variants_of_a_piece_are_left_out_together():
    design = random_design(60, per_group=3)
    readings = RNG.normal(size=(60, 4))
    found = people.weights(readings, design)
    assert found.refits.shape == (20, 4, 5) and found.interval("sad", "tempo").df == 19


def test_intervals_hold_the_truth_as_often_as_they_say():
    design, truth, hits = random_design(60), 0.6, []
    z = (design.cues - design.cues.mean(0)) / design.cues.std(0)
    for _ in range(200):
        noisy = truth * z[:, [1]] + 0.8 * RNG.normal(size=(60, 4))
        found = people.weights(noisy, design).interval("happy", "tempo")
        hits.append(found.low <= truth <= found.high)
    assert 0.90 <= np.mean(hits) <= 0.99


def test_a_readout_has_the_same_frame_as_people(human):
    frame = human.frame()
    assert list(frame.index) == list(EMOTIONS) and list(frame.columns) == ["R²", *CUES]
    assert frame.loc["happy", "mode"].startswith("+0.70 [+0.6")


def test_a_design_from_the_labels_of_clips():
    rows = people.levels()
    clips = [Clip(row["id"], None, labels={k: v for k, v in row.items() if k != "id"}) for row in rows]
    design = Design.of(Corpus("study", clips))
    np.testing.assert_array_equal(design.cues, people.design().cues)
    np.testing.assert_array_equal(design.covariates, people.design().covariates)
    assert design.groups == people.design().groups
    broken = Corpus("study", [*clips[:-1], Clip("x", None, labels={"tempo": 1})])
    with pytest.raises(InterpError, match="Corpus study has clips without a value"):
        Design.of(broken)
    with pytest.raises(InterpError, match="cue that is not a number"):
        Design.of(Corpus("study", clips), cues=["mode", "timbre"])


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda r, d: (r[:-1], d), r"Readings \[59, 4\] must be \[60 stimuli of the design, 4 emotions\]"),
        (lambda r, d: (np.where(r > 2, np.nan, r), d), "must be finite"),
        (lambda r, d: (r * [1, 1, 0, 1], d), "Readings of peaceful are the same for all stimuli"),
        (lambda r, d: (r, Design(d.cues * [1, 0, 1, 1, 1], d.covariates, CUES, d.groups)), "cannot be told"),
        (lambda r, d: (r, Design(d.cues, np.full((60, 1), 0.1), CUES, d.groups)), "cannot be told apart"),
        (lambda r, d: (r, Design(d.cues, d.cues[:, :1] * 2, CUES, d.groups)), "cannot be told apart"),
        (lambda r, d: (r, Design(d.cues, d.covariates, CUES, ("one",) * 60)), "two groups of stimuli"),
    ],
)  # fmt: skip
def test_what_has_no_weights_is_refused(change, said):
    with pytest.raises(InterpError, match=said):
        people.weights(*change(RNG.normal(size=(60, 4)), random_design()))


def test_a_cue_that_one_group_alone_varies_is_refused():
    design = random_design()
    cues = design.cues.copy()
    cues[:, 0] = 0
    cues[5, 0] = 1
    with pytest.raises(InterpError, match="not once a group is left out"):
        people.weights(RNG.normal(size=(60, 4)), Design(cues, design.covariates, CUES, design.groups))


def test_composites_weigh_the_four_emotions_alike():
    readings = RNG.normal(size=(50, 4)) * [1, 10, 100, 1000] + 5
    z = (readings - readings.mean(0)) / readings.std(0)
    np.testing.assert_allclose(people.composites(readings), z @ [[1, 1], [-1, -1], [1, -1], [-1, 1]])
    with pytest.raises(InterpError, match="happy, sad, peaceful, scary"):
        people.composites(readings[:, :3])


# --- agreement ---


def test_the_mean_over_orders_is_that_of_all_of_them():
    a, b = RNG.normal(size=(2, 4, 5)) + 0.5
    every = np.array([cosine(a[:, list(order)], b) for order in permutations(range(5))])
    assert centred(a, b) == pytest.approx(cosine(a, b) - every.mean())
    assert centred(b, a) == pytest.approx(centred(a, b))


def test_people_agree_with_themselves(human):
    found = agreement(human, human)
    assert found.cosine == pytest.approx(1) and found.rmse == 0
    assert found.expected == pytest.approx(0.43, abs=0.01)
    assert found.test.exact and len(found.test.null) == 120
    assert found.test.p == 1 / 120  # the floor: there are no more orders
    assert found.interval.low > 0.5 and set(found.errors) == {"stimuli"}


def test_an_order_of_the_cues_is_one_for_all_emotions(human):
    """Weights dealt to other cues have the same null, and the p of their place in it."""
    found = agreement(human.table[:, [1, 0, 2, 3, 4]], human)
    assert sorted(found.test.null) == pytest.approx(sorted(agreement(human, human).test.null))
    assert found.test.p == pytest.approx(np.mean(found.test.null >= found.interval.estimate - 1e-12))
    assert found.test.null.mean() == pytest.approx(0, abs=1e-12)


def test_weights_of_other_orders_are_not_found_more_often_than_alpha(human):
    p = [agreement(human.table[:, list(o)], human).test.p for o in permutations(range(5))]
    assert np.mean(np.array(p) <= 0.05) <= 0.05


def test_the_same_sign_and_size_for_every_cue_is_no_agreement(human):
    found = agreement(human.table.mean(1, keepdims=True) * np.ones(5), human)
    assert found.cosine > 0.5 and found.interval.estimate == pytest.approx(0) and found.test.p == 1


def test_stimuli_are_left_out_of_both_tables_at_once():
    """A readout that *is* the ratings agrees fully, whichever stimuli were heard."""
    design, readings = random_design(), RNG.normal(size=(60, 4))
    mine = people.weights(readings, design)
    elsewhere = Design(design.cues, design.covariates, CUES, tuple(f"other {g}" for g in design.groups))
    theirs = people.weights(readings, elsewhere)
    joint, apart = agreement(mine, mine), agreement(mine, theirs)
    expected = [centred(r, r) for r in mine.refits]
    assert joint.errors["stimuli"] == pytest.approx(
        np.sqrt(59 / 60 * np.sum((expected - np.mean(expected)) ** 2))
    )
    one = agreement(mine.table, theirs).errors["stimuli"]
    assert apart.errors["stimuli"] == pytest.approx(one * np.sqrt(2))


def test_words_add_their_own_error(human):
    refits = human.table + 0.02 * RNG.normal(size=(8, 4, 5))
    alone, with_words = agreement(human, human), agreement(human, human, refits)
    without = centred(refits, human.table)
    words = np.sqrt(7 / 8 * np.sum((without - without.mean()) ** 2))
    assert with_words.errors == pytest.approx({**alone.errors, "readouts": words})
    assert with_words.interval.error == pytest.approx(np.hypot(alone.errors["stimuli"], words))
    assert 7 <= with_words.interval.df <= 199 + 7
    measure = with_words.measure()
    assert (measure.clips, measure.clusters, measure.p) == (200, 8, 1 / 120)
    assert measure.interval == (with_words.interval.low, with_words.interval.high)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda w: (np.zeros((4, 5)), None), "not all 0"),
        (lambda w: (w.table * np.nan, None), "must be finite"),
        (lambda w: (w.table[:2], None), r"Weights \[2, 5\] .* do not go with people's \[4, 5\]"),
        (lambda w: (w, w.refits[:, :2]), r"refits \[200, 2, 5\] do not go"),
        (lambda w: (w, w.refits[:1]), "refits without each of two units or more"),
        (lambda w: (replace(w, emotions=EMOTIONS[::-1]), None), "in the same order"),
    ],
)  # fmt: skip
def test_tables_that_do_not_compare_are_refused(human, change, said):
    with pytest.raises(InterpError, match=said):
        agreement(*[change(human)[0], human, change(human)[1]])


# --- readouts of emotion ---


def test_a_cue_counts_by_how_far_words_move_it_and_not_by_its_room_in_the_activations():
    """Two independent cues, one with a hundred times the room of the other; words move both alike."""
    loud, faint = np.array([10.0, 0, 0]), np.array([0, 0.06, 0.08])
    cues = RNG.normal(0, 1, (400, 2))
    heard = cues @ np.stack([loud, faint]) + RNG.normal(0, 0.001, (400, 3))
    happy = loud + faint
    found = readings(np.stack([happy, -happy]), heard, shrinkage=0.01)
    assert found.shape == (400, 2)
    assert found[:, 1] == pytest.approx(-found[:, 0])
    weight = np.linalg.lstsq(np.column_stack([cues, np.ones(400)]), found[:, 0], rcond=None)[0]
    assert weight[1] / weight[0] == pytest.approx(1, abs=0.1)
    projected = np.linalg.lstsq(np.column_stack([cues, np.ones(400)]), heard @ happy, rcond=None)[0]
    assert projected[1] / projected[0] < 0.01


def test_many_directions_are_read_at_once_and_full_shrinkage_is_a_projection():
    heard = RNG.normal(0, 1, (30, 4)) * [1, 2, 3, 0]
    axes = RNG.normal(0, 1, (5, 3, 4))
    found = readings(axes, heard)
    assert found.shape == (5, 30, 3) and found[2] == pytest.approx(readings(axes[2], heard))
    z = (heard - heard.mean(0))[:, :3] / heard.std(0)[:3]
    assert readings(axes[0], heard, 1.0) == pytest.approx(z @ (axes[0, :, :3] / heard.std(0)[:3]).T)
    with pytest.raises(InterpError, match="two widths"):
        readings(axes[..., :3], heard)
    with pytest.raises(InterpError, match="above 0 and at most 1, not 0"):
        readings(axes, heard, 0)
