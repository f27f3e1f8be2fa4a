"""Subspaces: what they hold, how they are found, and what is refused."""

import numpy as np
import pytest
import torch

from interp.causal.subspace import Subspace
from interp.errors import InterpError
from interp.geometry import axis
from interp.probe import transfer


def plane() -> Subspace:
    return Subspace.from_directions([[0, 3.0, 0, 0], [0, 1.0, 1.0, 0]], "resid.0", "plane")


def clips(count: int = 60, width: int = 8, seed: int = 0):
    """Vectors whose first feature is tempo and whose second is energy, which goes with tempo; and noise."""
    rng = np.random.default_rng(seed)
    tempo = rng.standard_normal(count)
    energy = tempo + 0.5 * rng.standard_normal(count)
    vectors = 0.1 * rng.standard_normal((count, width))
    vectors[:, 0] += tempo
    vectors[:, 1] += energy
    return vectors, tempo, energy, np.repeat(np.arange(count // 2), 2)


def test_directions_become_orthonormal_rows_in_their_order_and_keep_the_sign_of_the_first():
    found = plane()
    torch.testing.assert_close(found.basis, torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0]]))
    assert (found.rank, found.width, found.basis.dtype) == (2, 4, torch.float32)


def test_swap_replaces_what_is_inside_and_leaves_what_is_outside():
    x, source = np.array([[1.0, 2, 3, 4]]), np.array([[10.0, 20, 30, 40]])
    np.testing.assert_allclose(plane().swap(x, source), [[1, 20, 30, 4]])
    np.testing.assert_allclose(plane().coordinates(x), [[2, 3]])
    np.testing.assert_allclose(plane().project(x), [[0, 2, 3, 0]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_of_any_shape_keep_their_precision(dtype):
    x, source = torch.randn(2, 3, 5, 4, dtype=torch.float64).to(dtype)
    swapped = plane().swap(x, source)
    assert swapped.dtype == dtype
    torch.testing.assert_close(swapped[..., 1:3], source[..., 1:3], atol=1e-2, rtol=1e-2)
    assert torch.equal(swapped[..., [0, 3]], x[..., [0, 3]])


def test_inside_and_outside_of_a_random_subspace_add_up():
    found = Subspace.random(3, 20, "resid.0", seed=1)
    x, source = np.random.default_rng(0).standard_normal((2, 7, 20))
    swapped = found.swap(x, source)
    np.testing.assert_allclose(found.coordinates(swapped), found.coordinates(source), atol=1e-5)
    np.testing.assert_allclose(swapped - found.project(swapped), x - found.project(x), atol=1e-6)


def test_weights_are_blind_to_what_goes_with_the_label_and_the_pattern_is_not():
    vectors, tempo, energy, groups = clips()
    readout = transfer.fit(vectors, energy, groups)
    by_weights = Subspace.from_readout(readout, "resid.0", "energy")
    by_pattern = Subspace.from_pattern(vectors, energy, "resid.0", "energy")
    assert by_pattern.basis[0].numpy() == pytest.approx(axis(vectors, energy), abs=1e-6)
    assert abs(by_weights.basis[0, 0]) < 0.2 < 0.5 < by_pattern.basis[0, 0]


def test_class_means_span_a_plane_for_three_classes():
    rng = np.random.default_rng(0)
    means = np.zeros((3, 6))
    means[1, 2], means[2, 4] = 5, 5
    label = np.repeat(["brass", "piano", "strings"], 10)
    vectors = np.repeat(means, 10, axis=0) + 0.01 * rng.standard_normal((30, 6))
    found = Subspace.from_means(vectors, label, "resid.0", "instrument")
    assert found.rank == 2
    np.testing.assert_allclose(found.project(np.eye(6))[[2, 4], [2, 4]], 1, atol=1e-3)
    with pytest.raises(InterpError, match="cannot have rank 3: there are 2 dimensions"):
        Subspace.from_means(vectors, label, "resid.0", "instrument", rank=3)


def test_readouts_one_after_the_other_find_both_copies_of_a_label():
    rng = np.random.default_rng(0)
    label = rng.standard_normal(80)
    vectors = 0.3 * rng.standard_normal((80, 6))
    vectors[:, 0] += label
    vectors[:, 3] += label
    groups = np.arange(80)
    found = Subspace.from_label(vectors, label, groups, "resid.0", "energy", rank=2)
    first = Subspace.from_readout(transfer.fit(vectors, label, groups), "resid.0", "energy")
    torch.testing.assert_close(found.leading(1).basis, first.basis, atol=1e-5, rtol=0)
    inside = np.trace(found.project(np.eye(6))[np.ix_([0, 3], [0, 3])])
    assert inside > np.trace(first.project(np.eye(6))[np.ix_([0, 3], [0, 3])])


def test_what_is_saved_comes_back(tmp_path):
    found = Subspace.random(2, 5, "resid.3", "tempo", seed=4)
    back = Subspace.load(found.save(tmp_path / "tempo.safetensors"))
    assert torch.equal(back.basis, found.basis)
    assert (back.site, back.name, back.provenance) == ("resid.3", "tempo", {"from": "random", "seed": 4})
    (tmp_path / "other.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(InterpError, match="Cannot read a subspace"):
        Subspace.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ([], "rank of Subspace 'x' must be a whole number, 1 or more, not 0"),
        (np.eye(3)[:, :2], "cannot have rank 3: there are 2 dimensions"),
        ([[1.0, 2, 3], [2.0, 4, 6]], "linearly dependent"),
        ([[1.0, 0, 0], [0, 0, 0]], "is zero"),
        ([[1.0, np.nan, 0]], "not finite"),
    ],
)
def test_directions_that_span_no_subspace_are_refused(directions, message):
    with pytest.raises(InterpError, match=message):
        Subspace.from_directions(directions, "resid.0", "x")


def test_a_basis_that_is_not_orthonormal_and_vectors_that_do_not_fit_are_refused():
    with pytest.raises(InterpError, match="not orthonormal"):
        Subspace(torch.ones(2, 4), "resid.0", "x")
    with pytest.raises(InterpError, match="not orthonormal"):
        Subspace(torch.full((1, 4), torch.nan), "resid.0", "x")
    with pytest.raises(InterpError, match="width 4; vectors have"):
        plane().project(np.ones((2, 5)))
    with pytest.raises(InterpError, match="Unpaired"):
        plane().swap(np.ones((2, 4)), np.ones((1, 4)))
