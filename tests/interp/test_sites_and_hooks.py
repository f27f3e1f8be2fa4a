"""What a hook sees, and what it refuses."""

from types import SimpleNamespace

import pytest
import torch

import interp
from interp.hooks import Pass, hook, running
from interp.sites import same_depth

PROMPTS = ["upbeat cheerful pop music", "melancholic sad piano ballad", "calm"]


def see_all(model, sites, run):
    """Shapes and tensors that plain hooks see while ``run`` runs, by site."""
    seen = {site: [] for site in sites}
    edits = {site: (lambda x, layout, group, site=site: seen[site].append(x.clone())) for site in sites}
    with hook(model, edits, rows="all"):
        run()
    return seen


def shapes_of(model, run):
    """What plain hooks see at ``resid.1``, call by call."""
    return see_all(model, ["resid.1"], run)["resid.1"]


@pytest.mark.parametrize("clips", [1, 3])
def test_first_axis_is_the_guidance_batch(model, clips):
    """The original notes call the first axis of [2, 1, 1, 2048] the codebooks; it is the doubled batch."""
    prompts = PROMPTS[:clips]
    generation = model.generate(prompts, seconds=0.2, progress=False)
    seen = shapes_of(model, lambda: model.generate(prompts, seconds=0.2, progress=False))
    assert model.n_codebooks == 4
    assert all(x.shape == (2 * clips, 1, model.d_model) for x in seen)
    # The first half is what the prompts give and the second half what the null prompt gives.
    stacked = torch.cat(seen, dim=1)
    for half, rows in ((stacked[:clips], "cond"), (stacked[clips:], "null")):
        expected = interp.capture(model, generation, [1], rows=rows, steps="all")["resid.1"]
        torch.testing.assert_close(half, expected, rtol=1e-4, atol=1e-5)
    # A pass without guidance has the batch alone on that axis, whatever the number of codebooks.
    condition = {"description": model.text_encoder(model.text_encoder.tokenize(prompts))}
    alone = shapes_of(model, lambda: model.lm.compute_predictions(generation.tokens, [], condition))
    assert [x.shape[0] for x in alone] == [clips]


def test_call_counts_are_as_documented(model):
    frames = 10

    def calls_of(**options):
        return shapes_of(model, lambda: model.generate(["calm"], seconds=0.2, progress=False, **options))

    assert len(calls_of()) == frames + 3
    calls = calls_of(two_step_cfg=True)
    assert len(calls) == 2 * (frames + 3)
    assert all(x.shape[0] == 1 for x in calls)
    prompt = torch.randn(1, 1, 4 * 64) * 0.1
    calls = calls_of(audio_prompt=prompt)
    assert calls[0].shape[1] == 4 + 1
    assert sum(x.shape[1] for x in calls) == frames + 3


def test_residual_stream_is_the_sum_of_its_parts(model):
    generation = model.generate(PROMPTS, seconds=0.3, progress=False)
    acts = interp.capture(model, generation, sites=["resid", "attn", "cross", "mlp"])
    before = acts["resid.pre"]
    for layer in range(model.n_layers):
        after = before + acts[f"attn.{layer}"] + acts[f"cross.{layer}"] + acts[f"mlp.{layer}"]
        torch.testing.assert_close(after, acts[f"resid.{layer}"], rtol=1e-5, atol=1e-5)
        before = acts[f"resid.{layer}"]


def test_heads_through_out_proj_give_what_attention_adds(model):
    generation = model.generate(PROMPTS, seconds=0.3, progress=False)
    acts = interp.capture(model, generation, [1], sites=["attn", "cross", "head", "cross_head"])
    block = model.lm.transformer.layers[1]
    attentions = (("head", "attn", block.self_attn), ("cross_head", "cross", block.cross_attention))
    for kind, added, module in attentions:
        heads = torch.cat([acts[f"{kind}.1.{h}"] for h in range(model.n_heads)], dim=-1)
        torch.testing.assert_close(module.out_proj(heads), acts[f"{added}.1"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("rows", "factor"), [("both", 1.0), ("cond", 3.0), ("null", -2.0)])
def test_an_edit_reaches_the_rows_asked_for(model, rows, factor):
    """Guided logits move by 1x, g x and (1 - g) x for both, conditional and null rows (g = 3)."""
    direction, logits = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0)), {}
    sequence = torch.full((2, 4, 1), model.special_token)
    condition = model.text_encoder(model.text_encoder.tokenize(["calm", None]))

    def run(name, edits):
        with hook(model, edits, rows=rows), running(model, Pass(1, (("cond", "null"),))):
            out = []
            handle = model.lm.out_norm.register_forward_pre_hook(lambda module, args: out.append(args[0]))
            with torch.no_grad():
                model.lm(sequence, [], {"description": condition})
            handle.remove()
        logits[name] = out[0][1] + 3.0 * (out[0][0] - out[0][1])  # guidance is linear: look before the norm

    run("plain", {})
    run("edited", {f"resid.{model.n_layers - 1}": lambda x, layout, group: x + direction})
    shift = (logits["edited"] - logits["plain"]).squeeze(0)
    torch.testing.assert_close(shift, factor * direction, rtol=1e-3, atol=1e-4)


def test_an_edit_changes_what_is_generated_and_leaves_nothing_behind(model):
    plain = model.generate(PROMPTS, seconds=0.4, progress=False)
    with hook(model, {"mlp.1": lambda x, layout, group: -20 * x}):
        edited = model.generate(PROMPTS, seconds=0.4, progress=False)
    again = model.generate(PROMPTS, seconds=0.4, progress=False)
    assert not torch.equal(plain.tokens, edited.tokens)
    assert torch.equal(plain.tokens, again.tokens)


def count_hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.lm.modules())


def test_hooks_are_gone_after_an_exception(model):
    before, parameters = count_hooks(model), dict(model.musicgen.generation_params)

    def fail(x, layout, group):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), hook(model, {"resid.0": fail, "head.1.2": fail}):
        model.generate(["calm"], seconds=0.2, progress=False)
    assert count_hooks(model) == before
    assert model.current_pass is None
    assert not model.lm.transformer._streaming_state
    assert model.musicgen.generation_params == parameters
    with pytest.raises(interp.InterpError), hook(model, {"resid.0": fail, "resid.99": fail}):
        pass
    assert count_hooks(model) == before


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("resid.3", "layers 0 to 2"),
        ("resid.-1", "layers 0 to 2"),
        ("head.0.4", "heads 0 to 3"),
        ("head.0", "head.LAYER.HEAD"),
        ("mlp", "mlp.LAYER"),
        ("layer_3", "resid.LAYER"),
    ],
)
def test_unknown_sites_are_refused_with_the_valid_ones(model, site, said):
    with pytest.raises(interp.InterpError, match=said), hook(model, {site: lambda x, layout, group: None}):
        pass


def test_changed_shape_and_ambiguous_rows_are_refused(model):
    with (
        pytest.raises(interp.InterpError, match="must keep the shape"),
        hook(model, {"resid.0": lambda x, layout, group: x[:1]}),
    ):
        model.generate(PROMPTS, seconds=0.2, progress=False)
    with (
        pytest.raises(interp.InterpError, match="must keep the shape"),
        hook(model, {"resid.0": lambda x, layout, group: 0.0}),
    ):
        model.generate(PROMPTS, seconds=0.2, progress=False)
    # audiocraft's own call does not say which rows are which
    with (
        pytest.raises(interp.InterpError, match="rows='all'"),
        hook(model, {"resid.0": lambda x, layout, group: None}),
    ):
        model.musicgen.generate(["calm"])
    with pytest.raises(interp.InterpError, match="cond, null, both, all"), hook(model, {}, rows="first"):
        pass


def test_a_layer_of_a_model_of_another_depth():
    def blocks(number):
        return SimpleNamespace(n_layers=number)

    assert [same_depth(layer, blocks(6), blocks(6)) for layer in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [same_depth(layer, blocks(24), blocks(6)) for layer in (0, 4, 8, 12, 16, 23)] == [0, 1, 2, 3, 4, 5]
    assert same_depth(3, blocks(6), blocks(24)) == 14 and same_depth(24, blocks(48), blocks(24)) == 12
