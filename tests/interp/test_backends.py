"""audiocraft and transformers run the same weights alike: same sites, shapes, rows, and numbers."""

import subprocess
import sys

import pytest
import real_layout
import torch

import interp
from interp.audio import encode_waveforms
from interp.backends.convert import to_transformers
from interp.decoder import decoding
from interp.hooks import Pass, running
from interp.sampling import delayed, text_condition

EQUAL = ["calm piano", "sad piano"]  # texts of equal length in tokens
UNEQUAL = ["calm", "upbeat cheerful pop music"]
SITES = ("resid", "attn", "cross", "mlp", "head", "cross_head")


@pytest.fixture(scope="module")
def pair(tmp_path_factory, make_musicgen):
    """A tiny model, and what transformers makes of its weights."""
    first = interp.Model(make_musicgen(), "tiny")
    with torch.no_grad():  # a bias that is not zero, to be seen to arrive
        first.text_encoder.output_proj.bias.normal_()
    folder = to_transformers(first, tmp_path_factory.mktemp("converted"), real_layout.encodec())
    return first, interp.load(folder)


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def test_they_describe_themselves_alike(pair):
    first, second = (model.describe() for model in pair)
    different = {key for key in first if first[key] != second[key]}
    assert different == {"name", "backend", "n_parameters_codec"}
    assert (first["backend"], second["backend"]) == ("audiocraft", "transformers")


@torch.no_grad()
def logits(model, tokens, prompts, length):
    """Of forced tokens, conditional rows then null rows."""
    sequence = delayed(tokens, model.delays, model.special_token)[..., :-1].repeat(2, 1, 1)
    texts = [text_condition(model, p, length) for p in (prompts, [None] * len(prompts))]
    condition = {"description": tuple(torch.cat(parts) for parts in zip(*texts, strict=True))}
    with running(model, Pass(len(prompts), (("cond", "null"),))):
        return model.lm(sequence, conditions=[], condition_tensors=condition)


def test_logits_activations_and_steering_agree(pair):
    first, second = pair
    made = first.generate(EQUAL, seconds=0.8, progress=False)
    length = made.text_steps[0]
    assert (
        relative(logits(second, made.tokens, EQUAL, length), logits(first, made.tokens, EQUAL, length)) < 1e-4
    )
    a, b = (interp.capture(model, made, sites=SITES, rows="both") for model in pair)
    assert list(a) == list(b) and len(a) == 1 + 4 * 3 + 2 * 3 * 4
    for site in a:
        assert a[site].shape == b[site].shape
        assert relative(b[site], a[site]) < 1e-4, site
    pushed = torch.randn(first.d_model, generator=torch.Generator().manual_seed(2)).numpy()
    how = dict(vector=pushed, layer=1, strength=0.5, rows="cond")
    edited = []
    for model in pair:
        with interp.steer(model, **how):
            edited.append(
                (model.generate(EQUAL, seconds=0.8, progress=False), interp.capture(model, made, [1, 2]))
            )
    (one, acts), (other, others) = edited
    assert torch.equal(one.tokens, other.tokens) and not torch.equal(one.tokens, made.tokens)
    assert relative(acts["resid.2"], others["resid.2"]) < 1e-4
    assert relative(acts["resid.2"], a["resid.2"][0]) > 0.05


def test_they_draw_the_same_tokens(pair):
    """Guidance in one batch and in two calls, and beyond one window."""
    first, second = pair
    for how in ({}, {"two_step_cfg": True}, {"temperature": 0, "cfg_coef": 5.0}):
        one, other = (model.generate(EQUAL, seconds=0.6, seed=3, progress=False, **how) for model in pair)
        assert torch.equal(one.tokens, other.tokens) and one.decoder == other.decoder == "cached"
    before = [model.musicgen.max_duration for model in pair]
    try:
        for model in pair:
            model.musicgen.max_duration = 0.5
        one, other = (model.generate(EQUAL, seconds=0.9, seed=3, progress=False) for model in pair)
    finally:
        for model, seconds in zip(pair, before, strict=True):
            model.musicgen.max_duration = seconds
    assert torch.equal(one.tokens, other.tokens)


@torch.no_grad()
def test_transformers_keeps_keys_and_values_in_one_place(pair):
    """To the last bit as transformers alone: one tensor for the run, in place of a new one at every step."""
    _, second = pair
    sequence = torch.randint(0, second.cardinality, (2, 4, 12), generator=torch.Generator().manual_seed(0))
    text = text_condition(second, EQUAL, 3)
    found, places = {}, {}
    for kind in ("cached", "audiocraft"):
        with decoding(second, kind, [text], 12) as (decode,):
            found[kind], places[kind] = [], set()
            for first, stop in [(0, 5), *((s, s + 1) for s in range(5, 12))]:
                found[kind].append(decode(sequence[..., first:stop]))
                keys = decode.state["cache"].self_attention_cache.layers[0].keys
                assert keys.shape[2] == stop
                places[kind].add(keys.untyped_storage().data_ptr())
    assert all(torch.equal(a, b) for a, b in zip(found["cached"], found["audiocraft"], strict=True))
    assert len(places["cached"]) == 1 < len(places["audiocraft"])


def test_streaming_equals_teacher_forced_in_transformers(pair):
    """Of new clips, and of such as go on from audio, beyond one window."""
    _, second = pair
    prompt = torch.randn(2, 1, 1000, generator=torch.Generator().manual_seed(0))
    before = second.musicgen.max_duration
    try:
        for longest, how in ((before, {}), (0.5, {"audio_prompt": prompt})):
            second.musicgen.max_duration = longest
            made = second.generate(UNEQUAL, seconds=0.7, progress=False, **how)
            assert made.prompt_frames == (16 if how else 0)
            once, live = (
                interp.capture(second, made, rows="both", streaming=streaming) for streaming in (False, True)
            )
            for site in once:
                assert relative(once[site], live[site]) < 1e-4, site
    finally:
        second.musicgen.max_duration = before


def test_unequal_texts_are_padded_differently(pair):
    """audiocraft attends to padding and transformers does not: told by what a clip's companions do to it."""
    first, second = pair
    made = first.generate(UNEQUAL, seconds=0.6, progress=False)
    a, b = (interp.capture(model, made, [2])["resid.2"] for model in pair)
    assert relative(b[1], a[1]) < 1e-4  # the longest text has no padding
    assert relative(b[0], a[0]) > 1e-3  # the other one has
    alone = {model.backend: model.generate(UNEQUAL[:1], seconds=0.6, progress=False) for model in pair}
    assert torch.equal(
        second.generate(UNEQUAL, seconds=0.6, progress=False).tokens[0], alone["transformers"].tokens[0]
    )
    assert torch.equal(alone["audiocraft"].tokens, alone["transformers"].tokens)
    assert not torch.equal(made.tokens[0], alone["audiocraft"].tokens[0])


def test_what_transformers_itself_says(pair):
    """The adapter's logits are those of ``MusicgenForConditionalGeneration`` called as its users call it."""
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    _, second = pair
    theirs = MusicgenForConditionalGeneration.from_pretrained(second.name)
    texts = AutoTokenizer.from_pretrained(second.name)(UNEQUAL, return_tensors="pt", padding=True)
    tokens = torch.randint(0, 64, (2, 4, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(**texts, decoder_input_ids=tokens.reshape(8, 9)).logits.view(2, 4, 9, 64)
        text = text_condition(second, UNEQUAL, texts["input_ids"].shape[1])
        with decoding(second, "cached", [text], 9) as (decode,):
            steps = [decode(tokens[..., i : i + 1]) for i in range(9)]
    torch.testing.assert_close(torch.stack(steps, dim=2), expected, rtol=1e-4, atol=1e-5)


def test_twins(pair):
    _, second = pair
    one, again, other = (interp.load(second.name, twin_seed=seed) for seed in (1, 1, 2))
    assert one.hash == again.hash != other.hash and one.hash != second.hash
    assert one.codec_hash == second.codec_hash
    first = pair[0].lm.state_dict()
    for layer in (0, 2):  # the spread of audiocraft's own initialisation
        drawn = one.lm.transformer.layers[layer].fc1.weight
        assert drawn.std().item() == pytest.approx(
            first[f"transformer.layers.{layer}.linear1.weight"].std().item(), rel=0.1
        )


def test_a_folder_that_is_no_model(tmp_path, pair):
    (tmp_path / "config.json").write_text('{"model_type": "musicgen_melody"}')
    with pytest.raises(interp.InterpError, match="of the kind musicgen_melody, not musicgen: its prefix"):
        interp.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(interp.InterpError) as caught:
        interp.load(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    with pytest.raises(interp.InterpError, match="valid: audiocraft, transformers"):
        interp.load(pair[1].name, backend="jax")


def test_stereo_in_transformers(pair, make_musicgen, tmp_path):
    from audiocraft.models.encodec import InterleaveStereoCompressionModel

    musicgen = make_musicgen(n_q=8)
    musicgen.compression_model = InterleaveStereoCompressionModel(musicgen.compression_model)
    first = interp.Model(musicgen, "stereo")
    second = interp.load(to_transformers(first, tmp_path, real_layout.encodec()))
    assert second.delays == first.delays == [0, 0, 1, 1, 2, 2, 3, 3] and second.channels == 2
    one, other = (model.generate(EQUAL, seconds=0.6, progress=False) for model in (first, second))
    assert torch.equal(one.tokens, other.tokens) and other.audio.shape == (2, 2, 1920)
    left, right = 30 * torch.randn(2, 1, 1, 1920, generator=torch.Generator().manual_seed(0))
    heard, swapped = (
        encode_waveforms(second, torch.cat(sides, dim=1)) for sides in ((left, right), (right, left))
    )
    assert heard.shape == (1, 8, 30) and not torch.equal(heard[:, ::2], heard[:, 1::2])
    assert torch.equal(heard[:, ::2], swapped[:, 1::2]) and torch.equal(heard[:, 1::2], swapped[:, ::2])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bias_ff": True}, "linear1.bias|not built as"),
        ({"layer_scale": 0.1}, "layer_scale"),
        ({"dim": 24}, "as wide as"),
    ],
)
def test_what_transformers_has_no_place_for(make_musicgen, tmp_path, changes, said):
    with pytest.raises(interp.InterpError, match=said):
        to_transformers(interp.Model(make_musicgen(**changes), "odd"), tmp_path, real_layout.encodec())


def test_it_runs_without_audiocraft(pair):
    """For those who cannot install it: load, generate, capture, steer, hear audio."""
    code = f"""
import sys
sys.modules["audiocraft"] = None  # an import of it fails now
import interp
from interp.audio import encode_waveforms
model = interp.load({str(pair[1].name)!r})
made = model.generate(["calm piano"], seconds=0.4, progress=False)
acts = interp.capture(model, made, [1], streaming=True)
heard = encode_waveforms(model, made.audio)
print(model.backend, tuple(acts["resid.1"].shape), tuple(heard.shape))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "transformers (1, 17, 32) (1, 4, 20)", done.stderr


@pytest.mark.slow
def test_etude_in_transformers(tmp_path):
    """A trained language model: audiocraft and transformers give the same numbers."""
    etude = interp.load("etude")
    etude.text_encoder.t5.float()  # it is kept, and by itself run, in half precision
    codec = real_layout.encodec(etude.cardinality)
    second = interp.load(to_transformers(etude, tmp_path, codec))
    prompts = ["happy piano music", "gloomy piano music"]
    made = etude.generate(prompts, seconds=4, progress=False)
    assert len(set(made.text_steps)) == 1
    length = made.text_steps[0]
    error = relative(
        logits(second, made.tokens, prompts, length), logits(etude, made.tokens, prompts, length)
    )
    a, b = (interp.capture(model, made, rows="both", sites=SITES) for model in (etude, second))
    worst = max(relative(b[site], a[site]) for site in a)
    drawn = second.generate(prompts, seconds=4, progress=False)
    same = (drawn.tokens == made.tokens).float().mean().item()
    print(f"logits {error:.1e}, activations {worst:.1e}, tokens alike {same:.3f}")
    assert error < 1e-4 and worst < 1e-4
