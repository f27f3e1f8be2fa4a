"""How far one gradient foretells what each patch does."""

import numpy as np
import pytest
import torch

import interp
from interp.activations import Activations
from interp.causal.attribution import attribute
from interp.causal.patch import grid, patch
from interp.causal.runs import Generated, TeacherForced, prompt_pair
from interp.causal.setters import replace, zero
from interp.hooks import Pass

PROMPTS = ["happy pop music", "calm sad ballad", "a very slow sad piano ballad"]
OTHERS = ["sad pop music", "energetic happy pop", "a very upbeat happy piano ballad"]


class Chain:
    """A network of two sites: ``b = bend(a W)``, and the outcome is ``b``. Clips go through one by one."""

    frame_rate, groups = 10.0, ("cond",)

    def __init__(self, bend=lambda x: x, clips=3, steps=4, width=2):
        rng = torch.Generator().manual_seed(0)
        self.bend, self.clips, self.steps = bend, clips, steps
        self.inputs = torch.randn(clips, steps, width, generator=rng)
        self.weights = torch.randn(width, width, generator=rng)

    def check(self, site):
        assert site in ("a", "b")

    def __call__(self, edits, rows):
        for clip in range(self.clips):
            layout = Pass(1, (("cond",),), [clip], run_clips=self.clips)
            layout.length = self.steps

            def at(site, x, layout=layout):
                new = edits[site](x, layout, "cond") if site in edits else None
                return x if new is None else new

            a = at("a", self.inputs[[clip]])
            yield [clip], at("b", self.bend(a @ self.weights))


def total(outcome):
    return outcome.sum((1, 2))


SITES = [{"site": "a"}, {"site": "b"}, {"site": "a", "start": 0.1, "stop": 0.3}]


def both(run, metric, setter, sites=SITES):
    tables = [function(run, metric, sites, setter, progress=False) for function in (patch, attribute)]
    np.testing.assert_allclose(*(np.stack(t.plain) for t in tables), rtol=1e-6)
    return [np.stack(t.patched) for t in tables]


def test_exact_in_a_linear_network():
    run = Chain()
    source = Activations(
        {site: torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1)) for site in ("a", "b")},
        torch.arange(4) / 10,
        [None] * 3,
        "cond",
        "chain",
    )
    patched, attributed = both(run, total, replace(source))
    np.testing.assert_allclose(patched, attributed, rtol=1e-5)
    # And both are what the arithmetic says.
    a = source["a"] @ run.weights
    expected = [a.sum((1, 2)), source["b"].sum((1, 2))]
    own = run.inputs @ run.weights
    expected.append(own.sum((1, 2)) + (a - own)[:, 1:3].sum((1, 2)))
    np.testing.assert_allclose(patched, torch.stack(expected), rtol=1e-5)


def test_first_order_where_the_network_bends():
    """Of a square, zeroing takes away 2 a² by the gradient and a² in truth."""
    run = Chain(bend=torch.square)
    patched, attributed = both(run, total, zero, SITES[:1])
    plain = (run.inputs @ run.weights).square().sum((1, 2)).numpy()
    np.testing.assert_allclose(patched[0], 0, atol=1e-6)
    np.testing.assert_allclose(attributed[0], -plain, rtol=1e-5)


def test_a_site_that_cannot_act_gets_nothing():
    _, attributed = both(Chain(), lambda b: 0 * b.sum((1, 2)), zero)
    assert not attributed.any()


@pytest.fixture(scope="module")
def pair(model):
    clips = model.generate(PROMPTS, seconds=0.4, batch_size=2, progress=False)
    return prompt_pair(model, clips, OTHERS)


def loss(heard):
    return heard.cross_entropy.mean(1)


def test_exact_for_the_smallest_of_steps_in_a_model(model, pair):
    """A patch that goes a thousandth of the way is as good as linear, at every kind of site."""
    kinds = ["resid", "attn", "cross", "mlp", "head", "cross_head"]
    source = interp.capture(model, pair[1], sites=kinds, steps="all")

    def nudge(x, place):
        return x + 0.01 * (replace(source)(x, place) - x)

    def margin(heard):
        return heard.logits[..., 0].double().mean((1, 2)) - heard.logits[..., 1].double().mean((1, 2))

    sites = grid(model, kinds, steps=[(0, None), (0.2, 0.3)])
    tables = [
        f(TeacherForced(model, pair[0]), margin, sites, nudge, progress=False) for f in (patch, attribute)
    ]
    truth, guess = (np.stack(t.patched) - np.stack(t.plain) for t in tables)
    assert np.abs(truth).max() > 1e-5
    np.testing.assert_allclose(guess, truth, rtol=0.05, atol=0.02 * np.abs(truth).max())


def test_rows_of_a_guided_run(model, pair):
    """The gradient of both rows is the sum of those of each."""
    sites = [{"site": "mlp.1", "rows": rows} for rows in ("cond", "null", "both")]
    table = attribute(TeacherForced(model, pair[0], rows="both"), loss, sites, zero, progress=False)
    cond, null, together = np.stack(table.patched) - np.stack(table.plain)
    np.testing.assert_allclose(cond + null, together, rtol=1e-6)
    assert np.abs(null).min() > 0


def test_nothing_is_left_behind(model, pair):
    wanted = [p.requires_grad for p in model.lm.parameters()]
    before = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.lm.modules())
    with pytest.raises(interp.InterpError, match="keep the shape"):
        attribute(TeacherForced(model, pair[0]), loss, grid(model), lambda x, p: x[:, :1], progress=False)
    assert before == sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.lm.modules())
    assert all(p.grad is None for p in model.lm.parameters()) and model.current_pass is None
    assert wanted == [p.requires_grad for p in model.lm.parameters()]


def test_what_has_no_gradient_is_refused(model, pair):
    sites = [{"site": "mlp.1"}]
    for run, metric in (
        (Generated(model, PROMPTS, 0.2), lambda generation: [0.0] * len(generation)),
        (TeacherForced(model, pair[0]), lambda heard: heard.cross_entropy.detach().mean(1)),
    ):
        with pytest.raises(interp.InterpError, match="The metric has no gradient"):
            attribute(run, metric, sites, zero, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [["head", "cross_head"], ["resid", "attn", "cross", "mlp"]])
def test_agreement_in_etude(kinds):
    """Another word in the prompt: patches and gradient rank heads and blocks alike."""
    model = interp.load("etude", device="cpu")
    clips = model.generate(["sad piano music"] * 4, seconds=2, progress=False)
    target, other = prompt_pair(model, clips, ["happy piano music"] * 4)
    source, sites = interp.capture(model, other, sites=kinds, steps="all"), grid(model, kinds)
    run = TeacherForced(model, target)
    tables = [f(run, loss, sites, replace(source), progress=False) for f in (patch, attribute)]
    effects = [(np.stack(t.patched) - np.stack(t.plain)).mean(1) for t in tables]
    correlation = np.corrcoef(*effects)[0, 1]
    assert correlation > 0.95, correlation
