"""Steering while the model runs: what it does, what it leaves alone, and what it refuses."""

import numpy as np
import pytest
import torch

import interp
from interp.errors import InterpError
from interp.hooks import Pass, hook, running
from interp.sae import Dictionary
from interp.steering import OPERATORS, Clamp, Monitor, Vector, leace, projection

PROMPTS = ["calm", "happy", "sad", "slow"]  # of one length in tokens
SHORT = dict(seconds=0.4, progress=False)


@pytest.fixture(scope="module")
def vector(model):
    values = np.random.default_rng(0).standard_normal(model.d_model)
    return Vector(values, site="resid.1", model=model.hash)


@pytest.fixture(scope="module")
def plain(model):
    return model.generate(PROMPTS, **SHORT)


def steered(model, x, group="cond", clips=None, **options):
    """What steering makes of activations [clip, step, width], without running the model."""
    layout = Pass(len(x), ((group,),), frames=options.pop("frames", 0), **options.pop("layout", {}))
    layout.start, layout.length, seen = 0, x.shape[1], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interp.steering.apply.hook", _catch(seen))
        with interp.steer(model, options.pop("vector"), options.pop("layer", 1), **options):
            return seen[0](x, layout, group)


def _catch(seen):
    from contextlib import nullcontext

    def instead(model, edits, rows):
        seen.extend(edits.values())
        return nullcontext()

    return instead


# --- operators ---


def test_operators_are_exact(model):
    h = torch.zeros(1, 1, model.d_model)
    h[..., :2] = torch.tensor([3.0, 4.0])
    v = np.eye(model.d_model)[1] * 2  # u = (0, 1), the norm of h is 5
    expected = {
        "add": [3, 4 + 0.5 * 2],
        "relative": [3, 4 + 0.5 * 5],
        "norm_preserving": [3 / 1.5, (4 + 0.5 * 5) / 1.5],
        "ablate": [3, 4 - 0.5 * 4],
    }
    assert set(expected) == set(OPERATORS)
    for operator, values in expected.items():
        out = steered(model, h, vector=v, strength=0.5, operator=operator)
        np.testing.assert_allclose(out[0, 0, :2], values, rtol=1e-6)
        assert not out[..., 2:].any()
    down = steered(model, h, vector=v, strength=-0.5)
    np.testing.assert_allclose(down[0, 0, :2], [3 / 1.5, (4 - 0.5 * 5) / 1.5], rtol=1e-6)
    assert steered(model, h, vector=v, strength=1.0, operator="ablate")[0, 0, 1] == 0
    assert steered(model, h, vector=v, strength=0.0) is None


def test_norm_preserving_never_makes_longer(model, vector):
    h = torch.randn(2, 30, model.d_model, generator=torch.Generator().manual_seed(0))
    for strength in (-2.0, 0.1, 0.7, 5.0):
        out = steered(model, h, vector=vector, strength=strength)
        assert (out.norm(dim=-1) <= h.norm(dim=-1) * (1 + 1e-6)).all()


def test_clamp_sets_a_feature_and_leaves_the_rest(model):
    width, rng = model.d_model, np.random.default_rng(1)
    axes = torch.from_numpy(np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32))
    dictionary = Dictionary(width, width, "standard")
    dictionary.encoder.data[:], dictionary.decoder.data[:] = axes, axes
    h = torch.randn(1, 3, width, generator=torch.Generator().manual_seed(0))
    out = steered(model, h, vector=Clamp(dictionary, {2: 7.0, 5: 0.0}))
    before, after = dictionary.encode(h), dictionary.encode(out)
    # The features are set in the dictionary's reconstruction, and its error is kept.
    clamped = before.clone()
    clamped[..., 2], clamped[..., 5] = 7.0, 0.0
    torch.testing.assert_close(out, h - dictionary(h) + dictionary.decode(clamped), atol=1e-5, rtol=1e-5)
    active = before[..., 2] > 0  # read again, an active feature has its value; others rise from below 0
    assert 0 < active.sum() < 3
    torch.testing.assert_close(after[..., 2][active], torch.full((int(active.sum()),), 7.0))
    assert (after[..., 2][~active] < 7.0).all()
    torch.testing.assert_close(after[..., 5], torch.zeros(1, 3), atol=1e-5, rtol=0)
    others = [f for f in range(width) if f not in (2, 5)]
    torch.testing.assert_close(after[..., others], before[..., others], atol=1e-5, rtol=1e-5)
    half = steered(model, h, vector=Clamp(dictionary, {2: 7.0, 5: 0.0}), strength=0.5)
    torch.testing.assert_close(half, (h + out) / 2, atol=1e-5, rtol=1e-5)


def test_an_eraser_steers_as_it_erases(model, vector):
    h = torch.randn(2, 3, model.d_model, generator=torch.Generator().manual_seed(0))
    eraser = projection([vector])
    out = steered(model, h, vector=eraser)
    torch.testing.assert_close(out, steered(model, h, vector=vector, operator="ablate"))
    rng = np.random.default_rng(0)
    affine = leace(rng.standard_normal((50, model.d_model)), np.arange(50) % 2, site="resid.1", model=model)
    torch.testing.assert_close(steered(model, h, vector=affine), affine(h))


# --- strengths, batches, traces ---


@pytest.mark.parametrize(
    ("operator", "decoder"), [*((name, "cached") for name in OPERATORS), ("norm_preserving", "audiocraft")]
)
def test_zero_strength_gives_the_very_same(model, vector, operator, decoder):
    """Also beside clips that are steered: rows of no strength are left bit for bit."""
    before = model.generate(PROMPTS, decoder=decoder, **SHORT)
    with interp.steer(model, vector, strength=0.0, rows="both", operator=operator):
        same = model.generate(PROMPTS, decoder=decoder, **SHORT)
    with interp.steer(model, vector, strength=[0, 5.0, 0, -5.0], rows="both", operator=operator):
        mixed = model.generate(PROMPTS, decoder=decoder, **SHORT)
        acts = interp.capture(model, before, [1, 2], rows="both")
    assert torch.equal(before.tokens, same.tokens)
    assert torch.equal(before.tokens[[0, 2]], mixed.tokens[[0, 2]])
    reference = interp.capture(model, before, [1, 2], rows="both")
    for site in ("resid.1", "resid.2"):
        assert torch.equal(acts[site][:, [0, 2]], reference[site][:, [0, 2]])
        assert not torch.allclose(acts[site][:, [1, 3]], reference[site][:, [1, 3]])


def test_nothing_is_left_behind(model, vector, plain):
    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.lm.modules())

    before = hooks()
    with interp.steer(model, [vector, vector.at("resid.2")], strength=4.0):
        changed = model.generate(PROMPTS, **SHORT)
        assert hooks() > before
    assert hooks() == before
    assert not torch.equal(changed.tokens, plain.tokens)
    assert torch.equal(model.generate(PROMPTS, **SHORT).tokens, plain.tokens)
    with pytest.raises(ZeroDivisionError), interp.steer(model, vector):
        raise ZeroDivisionError
    assert hooks() == before


def test_a_clip_of_a_dose_response_is_the_clip_alone(model, vector):
    """Whatever the batches are, and the order in which a teacher-forced pass takes the clips."""
    doses, prompts = [-3.0, 0.0, 1.0, 3.0, 6.0], ["happy"] * 5
    with interp.steer(model, vector, strength=torch.tensor(doses)):
        together = model.generate(prompts, streams=[4] * 5, **SHORT)
        by_two = model.generate(prompts, streams=[4] * 5, batch_size=2, **SHORT)
    assert torch.equal(together.tokens, by_two.tokens)
    for i, dose in enumerate(doses):
        with interp.steer(model, vector, strength=dose):
            alone = model.generate(["happy"], streams=[4], **SHORT)
        assert torch.equal(alone.tokens[0], together.tokens[i]), f"dose {dose}"
    assert len({tuple(t.flatten().tolist()) for t in together.tokens}) == 5


def test_captured_clips_keep_their_strengths_when_lengths_differ(model, vector):
    """Teacher-forced batches gather clips of one text length: 0 and 2, then 1 and 3."""
    prompts = ["calm", "upbeat cheerful pop music", "sad", "very slow sad piano ballad"]
    clips = model.generate(prompts, batch_size=1, **SHORT)
    assert len(set(clips.text_steps)) > 1
    with interp.steer(model, vector, strength=[0, 1.0, 2.0, 3.0]):
        acts = interp.capture(model, clips, [1])["resid.1"]
    for i in range(4):
        with interp.steer(model, vector, strength=float(i)):
            alone = interp.capture(model, clips[i], [1])["resid.1"]
        torch.testing.assert_close(acts[i], alone[0], rtol=1e-5, atol=1e-5)


def test_streaming_and_teacher_forced_passes_are_steered_alike(model, vector):
    """Hooking the steered generation, and putting its tokens through the steered model: the same numbers."""
    schedule = {0.1: 1.0, 0.2: -0.5}
    with interp.steer(model, vector, strength=[1.0, 2.0, 3.0, 0.0], schedule=schedule, rows="both"):
        clips = model.generate(PROMPTS, **SHORT)
        streaming = interp.capture(model, clips, rows="both", streaming=True, steps="all")
        forced = interp.capture(model, clips, rows="both", steps="all")
    for site, value in streaming.items():
        torch.testing.assert_close(value, forced[site], rtol=1e-4, atol=1e-4)


def test_two_step_guidance_is_steered_alike(model, vector):
    for rows in ("cond", "null", "both"):
        with interp.steer(model, vector, strength=[0.0, 1.0, 2.0, 3.0], rows=rows):
            one = model.generate(PROMPTS, **SHORT)
            two = model.generate(PROMPTS, two_step_cfg=True, **SHORT)
        assert torch.equal(one.tokens, two.tokens), rows


@pytest.mark.parametrize(("rows", "factor"), [("both", 1.0), ("cond", 3.0), ("null", -2.0)])
def test_rows_shift_guided_logits_by_one_g_and_one_minus_g(model, vector, rows, factor):
    last, found = vector.at(f"resid.{model.n_layers - 1}"), []
    sequence = torch.full((4, 4, 1), model.special_token)
    condition = model.text_encoder(model.text_encoder.tokenize(["calm", "happy", None, None]))
    for strength in ([0.0, 0.0], [1.0, -2.0]):
        seen = []
        handle = model.lm.out_norm.register_forward_pre_hook(
            lambda module, args, seen=seen: seen.append(args[0])
        )
        layout = Pass(2, (("cond", "null"),))
        with interp.steer(model, last, strength=strength, rows=rows, operator="add"), torch.no_grad():
            with running(model, layout):
                model.lm(sequence, [], {"description": condition})
        handle.remove()
        cond, null = seen[0].chunk(2)  # the norm after this is not linear, so look before it
        found.append(null + 3.0 * (cond - null))
    shift = (found[1] - found[0])[:, 0]
    expected = factor * torch.tensor([[1.0], [-2.0]]) * torch.from_numpy(vector.values)
    torch.testing.assert_close(shift, expected, rtol=1e-3, atol=1e-4)


# --- places ---


def test_several_layers_and_vectors_are_one_after_the_other(model, vector, plain):
    other = Vector(np.arange(model.d_model), site="resid.1")
    with interp.steer(model, [vector, other], operator="add", strength=2.0):
        both = interp.capture(model, plain, [1, 2])
    with interp.steer(model, vector, strength=2.0, operator="add"):
        with interp.steer(model, other, strength=2.0, operator="add"):
            nested = interp.capture(model, plain, [1, 2])
    summed = Vector(vector.values, site="resid.1") + other
    with interp.steer(model, summed, strength=2.0, operator="add"):
        at_once = interp.capture(model, plain, [1, 2])
    for site in both:
        assert torch.equal(both[site], nested[site])
        torch.testing.assert_close(both[site], at_once[site], rtol=1e-4, atol=1e-4)


def test_a_head_alone(model, plain):
    width = model.d_model // model.n_heads
    made = Vector(np.ones(width), site="head.1.2")
    before = interp.capture(model, plain, [1], sites=["head"])
    with interp.steer(model, made, strength=3.0, operator="add"):
        after = interp.capture(model, plain, [1], sites=["head"])
    for head in range(model.n_heads):
        change = after[f"head.1.{head}"] - before[f"head.1.{head}"]
        torch.testing.assert_close(change, torch.full_like(change, 3.0 * (head == 2)), atol=1e-5, rtol=1e-5)


# --- schedules ---


def test_factors_at_each_step(model, vector):
    h = torch.zeros(1, 10, model.d_model)  # steps of 0.02 s
    schedule = {0.06: 1.0, 0.12: 0.5, 0.15: 0.0}
    out = steered(model, h, vector=vector, operator="add", schedule=schedule)
    found = (out @ torch.from_numpy(vector.unit))[0] / vector.norm
    np.testing.assert_allclose(found, [0, 0, 0, 1, 1, 1, 0.5, 0.5, 0, 0], atol=1e-6)
    # A window of a long clip begins at a later frame, while its steps begin at 0 again.
    out = steered(model, h, vector=vector, operator="add", schedule=schedule, layout={"first_frame": 5})
    found = (out @ torch.from_numpy(vector.unit))[0] / vector.norm
    np.testing.assert_allclose(found, [1, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)


def test_long_clips_are_steered_by_their_own_seconds(make_musicgen, vector):
    """Windows start again at step 0; the first 0.2 s are the first of the clip, not of every window."""
    model = interp.Model(make_musicgen(), "tiny")
    model.musicgen.max_duration = 0.5
    edited = {}

    def watch(x, layout, group):
        first = layout.first_frame + layout.start
        moved = x - clean[layout.window, layout.start] if clean else x
        edited[layout.window, layout.start] = x.clone()
        for i in range(x.shape[1]):
            touched.setdefault(first + i, []).append(bool(moved[:, i].any()))

    clean, touched = {}, {}
    with hook(model, {"resid.1": watch}):
        reference = model.generate(PROMPTS[:1], seconds=1.0, temperature=0, progress=False)
    assert max(window for window, _ in edited) > 0
    clean, edited, touched = dict(edited), {}, {}
    place = Vector(1e-6 * vector.values, site="resid.1")  # too little to change a token
    schedule = {0: 1.0, 0.2: 0.0, 0.6: 1.0, 0.7: 0.0}
    with interp.steer(model, place, operator="add", schedule=schedule, strength=10.0):
        with hook(model, {"resid.1": watch}):
            again = model.generate(PROMPTS[:1], seconds=1.0, temperature=0, progress=False)
    assert torch.equal(again.tokens, reference.tokens)
    for frame in [*range(10), *range(30, 35)]:
        assert all(touched[frame]), frame
    # After the first edit caches differ, but layer 1 reads the blocks below, which were not edited.
    for frame in [*range(10, 30), *range(35, 50)]:
        assert not any(touched[frame]), frame


def test_all_layers_keep_the_same_time(model, vector, plain):
    """A step counter shared by layers would run through the schedule once for each of them."""
    schedule = {0: 1.0, 0.1: 0.0}
    places = [vector.at(f"mlp.{layer}") for layer in range(3)]
    first = model.generate(PROMPTS, seconds=0.1, progress=False)  # frames 0 to 4
    with interp.steer(model, places, strength=3.0, operator="add", schedule=schedule):
        many = interp.capture(model, plain, sites=["mlp"], steps="all")
    assert first.tokens.shape[-1] == 5
    with interp.steer(model, places[2], strength=3.0, operator="add", schedule=schedule):
        one = interp.capture(model, plain, sites=["mlp"], steps="all")
    reference = interp.capture(model, plain, sites=["mlp"], steps="all")
    assert torch.equal(one["mlp.2"][:, 5:], reference["mlp.2"][:, 5:])
    difference = one["mlp.2"] - reference["mlp.2"]
    expected = torch.from_numpy(3 * vector.values).expand_as(difference[:, :5])
    torch.testing.assert_close(difference[:, :5], expected, rtol=1e-4, atol=1e-4)
    difference = many["mlp.0"] - reference["mlp.0"]
    torch.testing.assert_close(difference[:, :5], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(many["mlp.0"][:, 5:], reference["mlp.0"][:, 5:])


def test_steering_that_stops_leaves_a_trace_above_and_none_at_its_layer(model, vector, plain):
    """With the tokens given, what remains of the first 0.1 s is in the caches of the layers above."""
    with interp.steer(model, vector, strength=2.0, schedule={0: 1.0, 0.1: 0.0}):
        acts = interp.capture(model, plain, [0, 1, 2], steps="all")
    reference = interp.capture(model, plain, [0, 1, 2], steps="all")
    assert torch.equal(acts["resid.0"], reference["resid.0"])
    assert torch.equal(acts["resid.1"][:, 5:], reference["resid.1"][:, 5:])
    later = (acts["resid.2"] - reference["resid.2"])[:, 5:].norm(dim=-1)
    assert (later > 1e-4).all()
    # Before its start, a schedule has no effect anywhere.
    with interp.steer(model, vector, strength=2.0, schedule={0.1: 1.0}):
        acts = interp.capture(model, plain, [2], steps="all")
    assert torch.equal(acts["resid.2"][:, :5], reference["resid.2"][:, :5])


# --- monitor ---


def test_strength_follows_a_probe(model):
    """p is 0.5, 0.9 and 0.99 of the direction's own class; the goal is 0.9."""
    u = np.eye(model.d_model)[0]
    h = torch.zeros(2, 3, model.d_model)
    h[..., 0] = torch.logit(torch.tensor([0.5, 0.9, 0.99]))
    monitor = Monitor(u, 0.0, goal=0.9)
    out = steered(model, h, vector=u, operator="add", strength=[1.0, -1.0], monitor=monitor)
    push = (out - h)[..., 0]
    np.testing.assert_allclose(push[0], [1 - 0.5 / 0.9, 0, 0], atol=1e-6)
    np.testing.assert_allclose(push[1], [-(1 - 0.5 / 0.9), -(1 - 0.1 / 0.9), -(1 - 0.01 / 0.9)], atol=1e-5)


def test_a_monitor_from_a_probe_reads_what_the_probe_reads(model):
    from interp.probe.transfer import fit

    rng = np.random.default_rng(0)
    labels, groups = np.arange(60) % 2, np.arange(60) // 2
    x = rng.standard_normal((60, model.d_model)) * 3 + 5
    x[:, 0] += 2 * labels
    probe = fit(x, labels, groups, classes=True)
    monitor = Monitor.of(probe, goal=0.99)
    p = 0.99 * (1 - monitor(torch.from_numpy(x)[:, None], torch.ones(60, 1))[:, 0])
    truth = probe.predict_proba(x)[:, 1]
    np.testing.assert_allclose(p, np.minimum(truth, 0.99), atol=1e-4)


# --- precision ---


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept_and_computed_in_full(model, vector, dtype):
    """The edit is worked out in float32, under autocast too, and cast to what the block gave."""
    h = (100 * torch.randn(1, 4, model.d_model, generator=torch.Generator().manual_seed(0))).to(dtype)
    exact = steered(model, h.float(), vector=vector, strength=0.5, operator="ablate")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(steered(model, h, vector=vector, strength=0.5, operator="ablate"), exact)
    tensors = []
    block = model.lm.transformer.layers[1]
    with running(model, layout := Pass(1, (("cond",),))), interp.steer(model, vector):
        layout._call, layout.length = 0, 4
        for handle in block._forward_hooks.values():
            tensors.append(handle(block, (), h))
    assert tensors[0].dtype == dtype
    assert not torch.equal(tensors[0], h)


# --- refusals ---


def test_refusals_at_once(model, vector):
    nan = np.full(model.d_model, np.nan)
    good = vector.values
    cases = [
        (dict(vector=good, layer=3), "layers 0 to 2"),
        (dict(vector=good, layer=-1), "layers 0 to 2"),
        (dict(vector=good), "does not know its site"),
        (dict(vector=good, layer=1, site="mlp.1"), "two places"),
        (dict(vector=good, site="brain.1"), "Unknown site"),
        (dict(vector=good, layer=1, rows="all"), "valid: cond, null, both"),
        (dict(vector=good, layer=1, operator="magic"), "valid: norm_preserving, relative, add, ablate"),
        (dict(vector=good[:-1], layer=1), f"width {model.d_model - 1}"),
        (dict(vector=good, site="head.1.0"), f"width {model.d_model}"),
        (dict(vector=nan, layer=1), "NaN"),
        (dict(vector=0 * good, layer=1), "zero"),
        (dict(vector=0 * good, layer=1, operator="add"), "zero"),
        (dict(vector=[], layer=1), "empty"),
        (dict(vector="happy", layer=1), "array"),
        (dict(vector=vector, layer=2), "made at resid.1, not at resid.2"),
        (dict(vector=Vector(good, site="resid.1", model="0" * 64)), "other weights"),
        (dict(vector=projection([vector]), operator="add"), "has its own"),
        (dict(vector=vector, strength=float("nan")), "finite"),
        (dict(vector=vector, strength=[0.0, float("inf")]), "finite"),
        (dict(vector=vector, strength=[[0.0]]), r"\[clip\]"),
        (dict(vector=vector, strength=[]), r"\[clip\]"),
        (dict(vector=vector, strength="much"), "a number"),
        (dict(vector=vector, schedule={}), "schedule"),
        (dict(vector=vector, schedule={-1: 1}), "schedule"),
        (dict(vector=vector, schedule={0: float("nan")}), "schedule"),
        (dict(vector=vector, schedule=(0, 2)), "schedule"),
        (dict(vector=vector, monitor=Monitor(np.ones(3), 0.0)), "monitor reads width 3"),
    ]
    for options, said in cases:
        with pytest.raises(InterpError, match=said) as refused, interp.steer(model, **options):
            pass
        assert str(refused.value).rstrip(".").count(". ") == 0, f"more than one sentence: {refused.value}"
    for goal in (0, 1, float("nan")):
        with pytest.raises(InterpError, match="probability"):
            Monitor(good, 0.0, goal)


def test_refusals_of_a_run(model, vector):
    for strengths in ([1.0, 2.0], [1.0] * 5):
        with pytest.raises(InterpError, match=f"{len(strengths)} strengths for a run of 4"):
            with interp.steer(model, vector, strength=strengths):
                model.generate(PROMPTS, batch_size=2, **SHORT)
    with pytest.raises(InterpError, match=r"second 0.5, and the clips have 0.4 s"):
        with interp.steer(model, vector, schedule={0: 1, 0.5: 0}):
            model.generate(PROMPTS, **SHORT)
    with pytest.raises(InterpError, match="Ambiguous rows"), interp.steer(model, vector), torch.no_grad():
        condition = model.text_encoder(model.text_encoder.tokenize(["calm"]))
        model.lm(torch.full((1, 4, 1), model.special_token), [], {"description": condition})
    assert model.current_pass is None


def test_steered_clips_do_not_enter_a_store(model, vector, plain, tmp_path):
    with interp.steer(model, vector), pytest.raises(InterpError, match="has hooks on it"):
        interp.capture(model, plain, to=tmp_path / "store")


@pytest.mark.parametrize("schedule", [{"a": 1}, {0: 1, "a": 1}, {}, [1, 0], {0: None}])
def test_a_schedule_of_something_else_is_refused(model, schedule):
    with pytest.raises(InterpError, match="schedule must map seconds"):
        with interp.steer(model, np.ones(model.d_model), 1, schedule=schedule):
            pass
