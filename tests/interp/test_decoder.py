"""The cached decoder gives what audiocraft gives, and a clip draws from a stream of its own."""

import warnings
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

import interp
from interp.decoder import decoding, why_not
from interp.hooks import hook
from interp.sampling import _draw, delayed, exponential_noise, text_condition

PROMPTS = ["upbeat cheerful pop music", "melancholic sad piano ballad", None]
NOISE = torch.randn(3, 1, 1000, generator=torch.Generator().manual_seed(0)) * 0.1
SITES = ("resid.pre", "resid.1", "attn.0", "cross.1", "mlp.2", "head.1.2", "cross_head.0.3")


def audiocraft_tokens(model, prompts, seconds, prompt=None, **settings):
    """Tokens of audiocraft's own loop, which knows nothing of this library."""
    musicgen = model.musicgen
    before = dict(vars(musicgen)), model.lm.cfg_coef
    try:
        musicgen.set_generation_params(
            duration=seconds, top_k=32, extend_stride=0.6 * model.max_seconds, **settings
        )
        model.lm.cfg_coef = settings.get("cfg_coef", 3.0)  # read from here with two_step_cfg
        attributes, _ = musicgen._prepare_tokens_and_attributes(prompts, None)
        return musicgen._generate_tokens(attributes, prompt, progress=False)
    finally:
        vars(musicgen).update(before[0])
        model.lm.cfg_coef = before[1]


@pytest.fixture(scope="module")
def clips(model):
    return model.generate(PROMPTS, seconds=0.6, seed=3, progress=False)


@pytest.mark.parametrize("prefix", [0, 12], ids=["from the start", "after a prefix"])
@torch.no_grad()
def test_logits_are_those_of_audiocraft(model, clips, prefix):
    """On forced tokens, conditional and null rows, step by step or with a prefix at once."""
    sequence = delayed(clips.tokens, model.delays, model.special_token).repeat(2, 1, 1)
    text = tuple(torch.cat(both) for both in zip(
        text_condition(model, PROMPTS, 5), text_condition(model, [None] * 3, 5), strict=True
    ))  # fmt: skip
    expected = model.lm(sequence, [], {"description": text})  # one causal pass, without any cache
    for kind in ("cached", "audiocraft"):
        with decoding(model, kind, [text], sequence.shape[-1]) as (decoder,):
            ends = [prefix + 1, *range(prefix + 2, sequence.shape[-1] + 1)]
            for start, end in zip([0, *ends], ends, strict=False):
                logits = decoder(sequence[..., start:end])
                torch.testing.assert_close(logits, expected[:, :, end - 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cfg_coef": 1.0},
        {"cfg_coef": 6.0},
        {"two_step_cfg": True},
        {"two_step_cfg": True, "cfg_coef": 1.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("prompt", [None, NOISE], ids=["new", "continued"])
def test_greedy_tokens_are_those_of_audiocraft(model, settings, prompt):
    made = model.generate(
        PROMPTS, seconds=0.8, temperature=0, audio_prompt=prompt, progress=False, **settings
    )
    known = made.tokens[..., : made.prompt_frames] if made.prompt_frames else None
    expected = audiocraft_tokens(model, PROMPTS, 0.8, known, use_sampling=False, **settings)
    assert torch.equal(made.tokens, expected)


def test_windows_are_those_of_audiocraft(make_musicgen):
    """Beyond the longest clip, each window starts with what it shares with the one before."""
    short = interp.Model(make_musicgen(), "short")
    short.musicgen.max_duration = 1.0
    for prompt in (None, NOISE[:1]):
        made = short.generate(["calm"], seconds=2.2, temperature=0, audio_prompt=prompt, progress=False)
        known = made.tokens[..., : made.prompt_frames] if made.prompt_frames else None
        expected = audiocraft_tokens(short, ["calm"], 2.2, known, use_sampling=False)
        assert made.tokens.shape[-1] == 110
        assert torch.equal(made.tokens, expected)


@pytest.mark.parametrize(
    "architecture",
    [
        {"bias_attn": True, "bias_ff": True, "bias_proj": True, "layer_scale": 0.1},
        {"memory_efficient": False, "custom": True},
    ],
    ids=["biases and scales", "einsum attention"],
)
def test_other_architectures(make_musicgen, architecture):
    other = interp.Model(make_musicgen(zero_bias_init=False, **architecture), "other")
    assert why_not(other) is None
    made = other.generate(PROMPTS, seconds=0.5, temperature=0, progress=False)
    assert torch.equal(made.tokens, audiocraft_tokens(other, PROMPTS, 0.5, use_sampling=False))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ({"positional_embedding": "rope"}, "sinusoidal"),
        ({"norm_first": False}, "pre-norm"),
        ({"qk_layer_norm": True}, "attention in block 0"),
        ({"kv_repeat": 2}, "repeats keys"),
    ],
)
def test_what_it_cannot_do_is_left_to_audiocraft_with_the_reason(make_musicgen, architecture, said):
    other = interp.Model(make_musicgen(**architecture), "other")
    with pytest.warns(UserWarning, match=said) as warned:
        made = other.generate(PROMPTS, seconds=0.3, temperature=0, progress=False)
    assert len(warned) == 1 and made.decoder == "audiocraft"
    assert torch.equal(made.tokens, audiocraft_tokens(other, PROMPTS, 0.3, use_sampling=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meant = other.generate(PROMPTS, seconds=0.3, temperature=0, decoder="audiocraft", progress=False)
    assert torch.equal(meant.tokens, made.tokens)


def test_a_hook_that_only_audiocraft_calls(model):
    """One on a module that the cached decoder passes by is still called, through audiocraft."""
    seen = []
    handle = model.lm.transformer.layers[1].self_attn.register_forward_hook(lambda *args: seen.append(1))
    try:
        with pytest.warns(UserWarning, match=r"hook on transformer\.layers\.1\.self_attn"):
            model.generate(["calm"], seconds=0.2, progress=False)
    finally:
        handle.remove()
    assert len(seen) == 13


def test_both_decoders_draw_the_same(model, clips):
    slow = model.generate(PROMPTS, seconds=0.6, seed=3, decoder="audiocraft", progress=False)
    assert torch.equal(slow.tokens, clips.tokens)
    with pytest.raises(interp.InterpError, match="cached, audiocraft"):
        model.generate(PROMPTS, decoder="fast")


@pytest.mark.parametrize("two_step_cfg", [False, True])
def test_hooks_see_the_same_through_both_decoders(model, two_step_cfg):
    """Same calls, same shapes, same numbers, and an edit reaches what comes after it alike."""
    seen = {"cached": [], "audiocraft": []}
    for decoder, calls in seen.items():

        def edit(site, calls=calls):
            return lambda x, layout, group: calls.append((site, group, layout.start, x.clone())) or 1.1 * x

        with hook(model, {site: edit(site) for site in SITES}, rows="both"):
            options = {"two_step_cfg": two_step_cfg, "decoder": decoder, "audio_prompt": NOISE}
            model.generate(PROMPTS, seconds=0.4, progress=False, **options)
    assert [call[:3] for call in seen["cached"]] == [call[:3] for call in seen["audiocraft"]]
    for (*_, a), (*_, b) in zip(*seen.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_hooks_that_change_nothing_change_no_token(model, clips):
    for rows in ("cond", "null", "both"):
        with hook(model, {site: lambda x, layout, group: x.clone() for site in SITES}, rows=rows):
            again = model.generate(PROMPTS, seconds=0.6, seed=3, progress=False)
        assert torch.equal(again.tokens, clips.tokens)


def test_an_exception_leaves_nothing_behind(model, clips):
    def fail(x, layout, group):
        if layout.start == 7:
            raise ZeroDivisionError

    for decoder in ("cached", "audiocraft"):
        with pytest.raises(ZeroDivisionError), hook(model, {"resid.1": fail, "head.0.1": fail}):
            model.generate(PROMPTS, seconds=0.6, decoder=decoder, progress=False)
        assert not any("forward" in vars(module) for module in model.lm.modules())
        assert not model.lm.get_streaming_state() and model.current_pass is None
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.lm.modules())
    assert torch.equal(model.generate(PROMPTS, seconds=0.6, seed=3, progress=False).tokens, clips.tokens)


def test_a_clip_does_not_depend_on_its_batch(model):
    prompts = ["calm", "sad", "happy", "calm", "slow"]  # of equal length in tokens
    together = model.generate(prompts, seconds=0.6, progress=False)
    assert len(set(together.text_steps)) == 1
    for batch_size in (1, 2, 3):
        parts = model.generate(prompts, seconds=0.6, batch_size=batch_size, progress=False)
        assert torch.equal(parts.tokens, together.tokens)
    fewer = model.generate(prompts[:2], seconds=0.6, progress=False)
    assert torch.equal(fewer.tokens, together.tokens[:2])
    assert not torch.equal(together.tokens[0], together.tokens[3])  # one prompt, two streams
    # A longer clip starts as the shorter one does, up to the frames beside which that one had ended.
    longer = model.generate(prompts, seconds=0.9, progress=False)
    assert torch.equal(longer.tokens[..., :27], together.tokens[..., :27])


def test_streams_can_be_chosen(model):
    made = model.generate(["calm"] * 4, seconds=0.6, streams=[5, 0, 5, 1], progress=False)
    first, second, third, fourth = made.tokens
    assert torch.equal(first, third)
    plain = model.generate(["calm"] * 2, seconds=0.6, progress=False)
    assert torch.equal(torch.stack([second, fourth]), plain.tokens)
    for streams, said in (([0], "one per prompt"), ([0, -1], "whole number"), ([0, 0.5], "whole number")):
        with pytest.raises(interp.InterpError, match=said):
            model.generate(["calm", "sad"], streams=streams)


def test_a_selection_is_drawn_again(model):
    """Mixed text lengths and batches; a selection keeps streams and padding."""
    prompts = ["upbeat cheerful pop music", "sad", "calm", "happy"]
    made = model.generate(prompts, seconds=0.5, batch_size=2, progress=False)
    assert made.text_steps == [5, 5, 2, 2]
    chosen = made[[3, 1]]
    live = interp.capture(model, chosen, [1], streaming=True)["resid.1"]
    torch.testing.assert_close(live, interp.capture(model, chosen, [1])["resid.1"], rtol=1e-4, atol=1e-5)


def test_draws_follow_the_probabilities():
    """Top-k keeps the k likeliest; among them, a token is drawn as often as its probability says."""
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0]).log_softmax(-1)
    n = 20_000
    noise = (torch.cat(list(islice(exponential_noise(0, [0], (1, 5), torch.device("cpu")), n))) for _ in "x")
    drawn = _draw(logits.expand(n, 1, 5), 1.0, 3, noise).flatten()
    expected = logits[:3].softmax(-1).numpy()
    counts = Counter(drawn.tolist())
    assert set(counts) == {0, 1, 2}
    shares = np.array([counts[i] / n for i in range(3)])
    np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / n))
    # A higher temperature flattens, and top_k 0 draws among all.
    noise = (torch.cat(list(islice(exponential_noise(1, [0], (1, 5), torch.device("cpu")), n))) for _ in "x")
    hot = Counter(_draw(logits.expand(n, 1, 5), 2.0, 0, noise).flatten().tolist())
    expected = (logits / 2).softmax(-1).numpy()
    np.testing.assert_allclose([hot[i] / n for i in range(5)], expected, atol=4 * np.sqrt(0.25 / n))


def test_random_streams_are_functions_of_seed_and_number():
    def drawn(seed, *streams):
        return list(islice(exponential_noise(seed, list(streams), (4, 8), torch.device("cpu")), 40))

    both, second = drawn(7, 0, 3), drawn(7, 3)
    assert all(torch.equal(a[1:], b) for a, b in zip(both, second, strict=True))
    everything = torch.stack([*both, *drawn(8, 0, 3)])
    assert everything.unique().numel() > 0.999 * everything.numel()  # no two streams or steps alike
    assert everything.min() > 0


def test_logits_that_are_not_finite_are_refused(model):
    spoil = {"resid.1": lambda x, layout, group: x * float("nan") if layout.start == 5 else None}
    for temperature in (0, 1):
        with pytest.raises(interp.InterpError, match="not finite"), hook(model, spoil):
            model.generate(["calm"], seconds=0.3, temperature=temperature, progress=False)


def test_an_audio_prompt_must_fit_into_a_window(make_musicgen):
    short = interp.Model(make_musicgen(), "short")
    short.musicgen.max_duration = 0.5
    with pytest.raises(interp.InterpError, match="sees 25 at a time"):
        short.generate(["calm"], seconds=1, audio_prompt=torch.zeros(1, 1, 1600), progress=False)
