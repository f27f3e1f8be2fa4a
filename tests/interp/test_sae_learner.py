"""The step by sparse kernels is the step by autograd, auxiliary loss and biases included."""

import numpy as np
import pytest
import torch

from interp.errors import InterpError
from interp.sae import Config, sparse
from interp.sae.learner import Learner

D, F, B = 24, 160, 64


def data(n: int = B, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)) + 0.3


def learner(config: Config, sparse: bool | None = None) -> Learner:
    made = Learner(config, torch.full((D,), 0.3), sparse=sparse)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():  # encoder and decoder apart, biases not zero: nothing cancels by accident
        made.dictionary.encoder.copy_(made.dictionary.decoder + 0.1 * torch.randn(F, D, generator=draw))
        made.dictionary.encoder_bias.add_(0.2 * torch.randn(F, generator=draw))
    return made


@pytest.mark.parametrize("k", [1, 3, 32, F])
@pytest.mark.parametrize("n_columns", [F, 161, 1000, 4096])
def test_top_k_is_exact(k, n_columns):
    pre = torch.randn(17, n_columns, generator=torch.Generator().manual_seed(k))
    pre[3] = 0  # all equal
    pre[4] = pre[4].round()  # many ties
    feature, value = np.empty((17, k), np.int32), np.empty((17, k), np.float32)
    sparse.top_k(pre.numpy(), k, feature, value)
    assert np.array_equal(np.sort(value), np.sort(pre.topk(k).values.numpy()))
    assert np.array_equal(np.take_along_axis(pre.numpy(), feature, 1), value)
    assert all(len(set(row)) == k for row in feature.tolist())


@pytest.mark.parametrize("dead", [0, 40])
@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_gradients_are_autograds(architecture, dead):
    """The first mean of Adam is (1 - beta1) times the gradient: it shows what the kernels fed to Adam."""
    config = Config(F, architecture, k=5, k_aux=7, aux_coefficient=0.5)
    fast, slow = learner(config), learner(config, sparse=False)
    assert fast.sparse and not slow.sparse
    for one in (fast, slow):
        one.seen = config.dead_after + 1 if dead else 0
        one.fired[dead:] = one.seen
        one.step(data())
    for name in ("encoder", "decoder", "encoder_bias", "decoder_bias"):
        got, true = fast.means[name] * 10, slow.means[name] * 10
        assert (got - true).norm() <= 1e-5 * true.norm(), name
        assert true.norm() > 0


@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_many_steps_agree(architecture):
    config = Config(F, architecture, k=5, dead_after=300, rate=1e-3)
    fast, slow = learner(config), learner(config, sparse=False)
    for i in range(20):
        a, b = fast.step(data(seed=i)), slow.step(data(seed=i))
        assert a == pytest.approx(b, rel=1e-3)
    assert a.dead > 0  # the auxiliary loss took part
    for name, weight in fast.parameters.items():
        true = slow.parameters[name]  # rounding may select another feature now and then
        assert (weight - true).norm() <= 2e-3 * true.norm(), name
    assert fast.batch_threshold == pytest.approx(slow.batch_threshold, rel=1e-3)


def test_the_reference_is_right_too():
    """The dense step against formulas written down independently: TopK loss, torch's own Adam.

    The decoder learns at 8 times the rate at first, and at the others' from the 100th step on.
    """
    config = Config(F, k=5, rate=1e-3, aux_coefficient=0)
    one = learner(config, sparse=False)
    p = {name: value.detach().clone().requires_grad_() for name, value in one.parameters.items()}
    rest = [value for name, value in p.items() if name != "decoder"]
    adam = torch.optim.Adam([{"params": [p["decoder"]]}, {"params": rest}], lr=1e-3)
    for i in range(3):
        x = data(seed=i)
        adam.param_groups[0]["lr"] = 1e-3 * (1 + 7 * (1 - (i + 1) / 100))
        pre = (x - p["decoder_bias"]) @ p["encoder"].T + p["encoder_bias"]
        kept = pre >= pre.topk(5).values[:, -1:]
        loss = (((pre.relu() * kept) @ p["decoder"] + p["decoder_bias"] - x) ** 2).sum(1).mean()
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            w = p["decoder"]
            w.grad -= (w.grad * w).sum(1, keepdim=True) * w
            adam.step()
            w /= w.norm(dim=1, keepdim=True)
        one.step(x)
    for name, weight in one.parameters.items():
        torch.testing.assert_close(weight, p[name], rtol=1e-4, atol=1e-6)
    assert one.turning == pytest.approx(1 + 7 * 0.97)
    one.steps = 200
    assert one.turning == 1


@pytest.mark.parametrize("sparse", [True, False])
def test_the_auxiliary_loss_reaches_the_encoder_and_has_no_decoder_bias(sparse):
    """Two traps: a gradient of exactly zero for dead encoder rows; b_dec added to the rebuilt residual."""
    config = Config(F, k=5, k_aux=1000, aux_coefficient=2.0)
    one = learner(config, sparse)
    dead, x = torch.arange(40), data()
    d = one.dictionary
    with torch.no_grad():
        error = d(x) - x
    got = one._auxiliary_gradients(x, error, dead)
    encoder, decoder, bias = (
        t.detach()[dead].requires_grad_() for t in (d.encoder, d.decoder, d.encoder_bias)
    )
    centre = d.decoder_bias.detach().clone().requires_grad_()
    rebuilt = ((x - centre) @ encoder.T + bias).relu() @ decoder
    loss = 2 * ((rebuilt - (-error)) ** 2).sum(1).mean()
    for g, true in zip(got, torch.autograd.grad(loss, [encoder, decoder, bias, centre]), strict=True):
        torch.testing.assert_close(torch.as_tensor(g), true, rtol=1e-4, atol=1e-5)
    one.seen = config.dead_after + 1
    one.fired[40:] = one.seen
    with torch.no_grad():
        d.encoder_bias[:40] -= 5  # dead indeed: never among the largest, but above 0 for some vectors
        d.encoder_bias[:40] += 4
    one.step(x)
    assert (one.means["encoder"][:40].norm(dim=1) > 0).all()


@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_threads_do_not_change_the_result(architecture):
    """Not a bit: slices of rows are the same, however many threads take them; torch gets its threads back."""
    results = []
    for threads in (1, 3):
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(threads)
            one = learner(Config(F, architecture, k=5, dead_after=3000))
            for i in range(3):
                one.step(data(2 * sparse.SLICE_ROWS + 100, seed=i))
            assert torch.get_num_threads() == threads
            with pytest.raises(InterpError, match="the same"):
                one.step(torch.ones(4, D))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        results.append(one.dictionary.decoder.detach().clone())
    assert torch.equal(*results)
