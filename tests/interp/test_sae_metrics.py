"""Measures of dictionaries, by exact arithmetic on tensors small enough to check by hand."""

import numpy as np
import pytest
import torch

from interp.errors import InterpError
from interp.sae.metrics import Reconstruction, recovery, stability
from interp.sae.toy import Planted


def reconstruction(x, x_hat, features=None, parts: int = 1) -> Reconstruction:
    result = Reconstruction()
    x, x_hat = torch.tensor(x), torch.tensor(x_hat)
    features = torch.ones(len(x), 1) if features is None else torch.tensor(features)
    for part in zip(*(t.chunk(parts) for t in (x, x_hat, features)), strict=True):
        result.update(*part)
    return result


def test_explained_variance():
    x = [[2.0, 0.0], [0.0, 4.0]]
    assert reconstruction(x, [[2.0, 1.0], [0.0, 3.0]]).explained_variance == pytest.approx(0.8)
    assert reconstruction(x, x).explained_variance == 1
    assert reconstruction(x, [[1.0, 2.0], [1.0, 2.0]]).explained_variance == pytest.approx(0)  # the mean
    assert reconstruction(x, [[0.0, 0.0], [0.0, 0.0]]).fvu == pytest.approx(2)


def test_batches_and_a_large_mean_do_not_matter():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(600, 5, generator=draw)
    noise = 0.1 * torch.randn(600, 5, generator=draw)
    true = float(noise.square().sum() / (x - x.mean(0)).square().sum())
    for parts in (1, 7, 600):
        assert reconstruction(
            (x + 1000).tolist(), (x + noise + 1000).tolist(), parts=parts
        ).fvu == pytest.approx(true, rel=1e-3)


def test_sparsity_and_firing():
    features = [[1.0, 0.0, 0.0, 2.0], [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    x = torch.eye(4).tolist()
    seen = reconstruction(x, x, features, parts=2)
    assert seen.l0 == 6 / 4
    assert seen.dead == 1 / 4
    assert seen.firing_rates.tolist() == [1, 0, 0.25, 0.25]
    counts, edges = seen.firing_histogram(bins=2)
    assert counts.tolist() == [2, 1] and edges == pytest.approx([np.log10(1 / 4), np.log10(1 / 2), 0])


def test_nothing_measured_or_nothing_to_explain():
    with pytest.raises(InterpError, match="No vector"):
        _ = Reconstruction().fvu
    with pytest.raises(InterpError, match="do not vary"):
        _ = reconstruction([[1.0], [1.0]], [[1.0], [1.0]]).fvu
    with pytest.raises(InterpError, match="do not belong together"):
        reconstruction([[1.0], [1.0]], [[1.0, 2.0], [1.0, 2.0]])


def test_stability():
    a = torch.eye(3)
    assert stability(a, a[[2, 0, 1]] * 5) == 1  # order and length do not matter
    assert stability(a, -a) == 0  # a direction and its opposite are two features
    assert stability(a[:2], a) == pytest.approx((1 + 2 / 3) / 2)


def test_recovery():
    planted = torch.eye(3)
    codes = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    assert recovery(planted[[1, 2, 0]], codes[:, [1, 2, 0]], planted, codes) == (1, 1)
    # Feature 2 was not found: its match is another direction that never fires.
    decoder = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])
    features = codes * torch.tensor([1.0, 1, 0])
    mcc, f1 = recovery(decoder, features, planted, codes)
    assert mcc == pytest.approx((1 + 1 + 0.8) / 3) and f1 == pytest.approx(2 / 3)
    # Two features have one match between them: one of them stays with an orthogonal row.
    assert recovery(torch.eye(3)[[0, 2, 2]], codes[:, [0, 2, 2]], planted, codes).mcc == pytest.approx(2 / 3)
    with pytest.raises(InterpError, match="cannot match"):
        recovery(planted[:2], codes[:, :2], planted, codes)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_planted_codes_are_as_asked(correlation):
    toy = Planted(d_in=8, n_features=32, active=4, correlation=correlation, group=4)
    x, codes = toy.sample(20_000, seed=0)
    torch.testing.assert_close(x, codes @ toy.features)
    on = codes > 0
    assert float(on.float().sum(1).mean()) == pytest.approx(4, rel=0.03)
    assert on.float().mean(0).numpy() == pytest.approx(4 / 32, rel=0.1)
    assert codes[on].min() >= 1 and float(codes[on].mean()) == pytest.approx(2, rel=0.02)
    r = np.corrcoef(on.numpy().T.astype(float))
    inside = [r[i, i + 1] for i in range(0, 32, 4)]
    across = [r[i, i + 4] for i in range(0, 28, 4)]
    assert np.abs(across).max() < 0.05
    assert np.mean(inside) > 0.25 if correlation else np.abs(inside).max() < 0.05
    assert torch.equal(toy.sample(5, 3)[0], toy.sample(5, 3)[0])
    assert not torch.equal(toy.sample(5, 3)[0], toy.sample(5, 4)[0])
