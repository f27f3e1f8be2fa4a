"""Axes, silhouettes, squares and dimensions that are known by construction."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from interp import geometry
from interp.errors import InterpError


def songs(n=40, clips=2, width=20, seed=0):
    """Valence and arousal of songs, independent, and the song of every clip."""
    rng = np.random.default_rng(seed)
    song = np.repeat(np.arange(n), clips)
    return rng, *(rng.normal(0, 1, n)[song] for _ in range(2)), song


def test_an_axis_is_where_vectors_move_with_the_label():
    rng, valence, _, _ = songs(n=400)
    x = np.outer(valence, [3.0, 4, 0]) + 5 + rng.normal(0, 0.1, (800, 3))
    assert geometry.axis(x, valence) == pytest.approx([0.6, 0.8, 0], abs=0.02)


def test_directions_of_classes_and_what_they_are_without_one_cluster():
    x = np.array([[0.0, 0], [2, 0], [0, 3], [0, 5], [0, 7]])
    mood, word = ["sad", "sad", "happy", "happy", "happy"], ["blue", "low", "glad", "glad", "merry"]
    whole, blue, glad, low, merry = geometry.class_axes(x, mood, word, ["happy", "sad"])
    assert whole == pytest.approx(np.array([[-0.5, 2.5], [0.5, -2.5]]))  # means [0, 5] and [1, 0]
    assert blue == pytest.approx(np.array([[-1, 2.5], [1, -2.5]]))
    assert glad == pytest.approx(np.array([[-0.5, 3.5], [0.5, -3.5]]))
    assert low == pytest.approx(np.array([[0, 2.5], [0, -2.5]]))
    assert merry == pytest.approx(np.array([[-0.5, 2], [0.5, -2]]))
    with pytest.raises(InterpError, match="Clips are of happy, sad; asked for are happy, calm."):
        geometry.class_axes(x, mood, word, ["happy", "calm"])
    with pytest.raises(InterpError, match="All clips of sad are of one cluster"):
        geometry.class_axes(x, mood, ["a", "a", "b", "c", "d"], ["happy", "sad"])


def test_labels_on_one_axis_overlap_and_on_two_they_do_not():
    rng, valence, arousal, song = songs(n=60)
    noise = rng.normal(0, 0.2, (120, 20))
    apart = noise + np.outer(valence, np.eye(20)[0]) + np.outer(arousal, np.eye(20)[1])
    found = geometry.axis_overlap(apart, valence, arousal, song, n=199)
    assert found.interval.high < 0.25 and found.p > 0.05 and (found.clips, found.clusters) == (120, 60)
    one = noise + np.outer(valence + arousal, np.eye(20)[0])
    same = geometry.axis_overlap(one, valence, arousal, song, n=199)
    assert (
        same.measure().p == 0.005 or same.test.null.mean() > 0.5
    )  # all labels lie on the only axis there is
    # Labels that share most of their variance, in a space that holds more than them.
    alike = 0.95 * valence + 0.3 * arousal
    overlapping = geometry.axis_overlap(apart, valence, alike, song, n=199)
    assert overlapping.interval.low > 0.25 and overlapping.p == 0.005
    assert geometry.axis_reliability(apart, valence, song) > 0.85


def test_overlap_keeps_its_level():
    small = 0
    for seed in range(60):
        rng, valence, arousal, song = songs(n=20, seed=seed)
        x = rng.normal(0, 1, (20, 8))[song] + rng.normal(0, 0.3, (40, 8)) + np.outer(valence, np.ones(8))
        small += geometry.axis_overlap(x, valence, arousal, song, splits=4, n=39, seed=seed).p <= 0.05
    assert small <= 8  # exceeded once in 300 times at a rate of .05


def test_silhouette_is_scikit_learns_and_its_null_deals_over_clusters():
    rng, _, _, song = songs(n=12, clips=3)
    label = np.array(["a", "b", "c"])[song % 3]
    x = rng.normal(0, 1, (12, 5))[song] + rng.normal(0, 0.1, (36, 5))
    found = geometry.silhouette(x, label, song, n=99)
    centred = x - x.mean(0)
    assert found.estimate == pytest.approx(silhouette_score(centred, label, metric="cosine"))
    assert found.p > 0.05
    with pytest.raises(InterpError, match="no interval"):
        found.measure()
    x += 3 * np.eye(5)[song % 3]
    assert geometry.silhouette(x, label, song, n=99).p == 0.01
    assert geometry.silhouette(x, label, song, metric="euclidean", n=99).estimate == pytest.approx(
        silhouette_score(x, label)
    )


def test_a_square_fits_in_any_size_place_and_orientation():
    rng, _, _, song = songs(n=24)
    quadrant = np.array(["Q1", "Q2", "Q3", "Q4"])[song % 4]
    corners = np.array([geometry.CIRCUMPLEX[q] for q in quadrant])
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    x = 7 * corners @ turn + 100
    found = geometry.circumplex(x + rng.normal(0, 0.5, x.shape), quadrant, song, n=199)
    assert geometry.circumplex(x, quadrant, song, n=9).estimate == pytest.approx(1)
    assert found.estimate > 0.98 and found.p == 0.005
    # Neighbours in the wrong order are no circumplex; vectors that know nothing are no better than chance.
    swapped = geometry.circumplex(
        x[:, ::-1], np.where(quadrant == "Q1", "Q2", np.where(quadrant == "Q2", "Q1", quadrant)), song, n=9
    )
    assert swapped.estimate < 0.6
    assert geometry.circumplex(rng.normal(size=x.shape), quadrant, song, n=99).p > 0.05


def test_dimensions_of_a_line_a_plane_and_a_ball():
    rng = np.random.default_rng(0)
    line = np.outer(rng.normal(size=300), rng.normal(size=10))
    assert geometry.participation_ratio(line) == pytest.approx(1)
    assert geometry.participation_ratio(rng.normal(size=(4000, 10))) == pytest.approx(10, rel=0.05)
    plane = rng.uniform(size=(1500, 2)) @ rng.normal(size=(2, 10))
    assert geometry.two_nn(plane) == pytest.approx(2, rel=0.15)
    assert geometry.two_nn(rng.normal(size=(1000, 5))) == pytest.approx(5, rel=0.15)


def test_clips_with_the_vector_of_another_are_left_out():
    """Such as silent ones."""
    ball = np.random.default_rng(0).normal(size=(1000, 5))
    silent = np.concatenate([ball, np.zeros((50, 5))])
    assert geometry.two_nn(silent) == pytest.approx(5, rel=0.15)


def test_neighbours_of_the_same_cluster_are_passed_over():
    rng = np.random.default_rng(0)
    plane = rng.uniform(size=(500, 2)) @ rng.normal(size=(2, 10))
    song = np.repeat(np.arange(500), 3)
    copies = plane[song] + 1e-6 * rng.normal(size=(1500, 10))
    assert geometry.two_nn(copies, song) == pytest.approx(2, rel=0.2)
    assert not 1.5 < geometry.two_nn(copies) < 2.5


@pytest.mark.slow
def test_pictures_are_repeatable():
    rng, valence, _, _ = songs()
    x = rng.normal(0, 1, (80, 10))
    first, again = (geometry.umap_pictures(x, n_neighbors=(5, 15)) for _ in range(2))
    assert list(first) == [5, 15] and first[5].shape == (80, 2)
    assert (first[15] == again[15]).all()


def test_bad_input():
    rng, valence, arousal, song = songs(n=8)
    x = rng.normal(size=(16, 4))
    with pytest.raises(InterpError, match="not finite"):
        geometry.axis(np.where(x > 1, np.nan, x), valence)
    with pytest.raises(InterpError, match="same for all clips"):
        geometry.axis(np.ones((16, 4)), valence)
    with pytest.raises(InterpError, match="same label"):
        geometry.axis_overlap(x, valence, np.ones(16), song)
    with pytest.raises(InterpError, match="four clusters"):
        geometry.axis_overlap(x, valence, arousal, song % 3)
    with pytest.raises(InterpError, match="do not go together"):
        geometry.axis_overlap(x, valence, arousal, song[:-1])
    with pytest.raises(InterpError, match="two clips or more"):
        geometry.silhouette(x, ["a"] * 15 + ["b"], song)
    with pytest.raises(InterpError, match="valid: cosine"):
        geometry.silhouette(x, song % 2, song, metric="manhattan")
    with pytest.raises(InterpError, match="all four quadrants"):
        geometry.circumplex(x, ["Q1", "Q2"] * 8, song)
    with pytest.raises(InterpError, match="Unknown quadrant 'happy'"):
        geometry.circumplex(x, ["Q1", "happy"] * 8, song)
    with pytest.raises(InterpError, match="50 neighbours need more than 16 clips"):
        geometry.umap_pictures(x)
    with pytest.raises(InterpError, match="vector of another clip"):
        geometry.two_nn(np.repeat(x, 2, axis=0))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda x, y, song: geometry.axis_overlap(x, y, y[::-1], song, splits=0), "splits must be a whole"),
        (lambda x, y, song: geometry.axis_reliability(x, y, song, seed=-1), "seed must be a whole"),
        (lambda x, y, song: geometry.two_nn(x, discard=0.999), "discard=0.999 leaves no clip"),
        (lambda x, y, song: geometry.umap_pictures(x, []), "n_neighbors is an empty list"),
        (lambda x, y, song: geometry.umap_pictures(x, [0]), "A number in n_neighbors must be a whole"),
        (lambda x, y, song: geometry.umap_pictures(x, ["5"]), "A number in n_neighbors must be a whole"),
        (lambda x, y, song: geometry.axis(x[:, :0], y), "do not go together"),
        (lambda x, y, song: geometry.axis_reliability(x, y, [None, *song[1:]]), "none of them None"),
    ],
)
def test_settings_that_give_no_number_are_refused(ask, said):
    rng = np.random.default_rng(0)
    with pytest.raises(InterpError, match=said):
        ask(rng.standard_normal((40, 5)), rng.standard_normal(40), np.repeat(np.arange(20), 2))
