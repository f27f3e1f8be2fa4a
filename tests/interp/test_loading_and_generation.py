"""Models by name, twins, and generations that can be made again."""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

import interp
from interp import loading
from interp.generation import Generation

PROMPTS = ["upbeat cheerful pop music", "melancholic sad piano ballad", "calm"]


def test_import_is_light():
    """``import interp`` must not pull torch or audiocraft in."""
    code = "import sys, interp; print([m for m in ('torch', 'audiocraft', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checkpoint_directory(checkpoint, model):
    loaded = interp.load(checkpoint)
    assert loaded.hash == model.hash
    facts, expected = loaded.describe(), model.describe()
    assert {k: v for k, v in facts.items() if k != "name"} == {
        k: v for k, v in expected.items() if k != "name"
    }
    json.dumps(facts)
    assert facts["n_layers"] == 3 and facts["d_model"] == 32 and facts["n_heads"] == 4
    assert facts["delays"] == [0, 1, 2, 3] and facts["special_token"] == 64 and facts["d_text"] == 24
    one, other = (m.generate(PROMPTS, seconds=0.4, progress=False) for m in (loaded, model))
    assert torch.equal(one.tokens, other.tokens)


def test_random_twin_is_drawn_from_its_seed_alone(checkpoint, model):
    first, again = (interp.load(checkpoint, twin_seed=7) for _ in range(2))
    other = interp.load(checkpoint, twin_seed=8)
    assert first.hash == again.hash
    assert len({first.hash, other.hash, model.hash}) == 3
    assert len({first.codec_hash, other.codec_hash, model.codec_hash, model.hash}) == 2  # one codec
    assert first.twin_seed == 7
    for kept in ("codec", "text_encoder"):
        pairs = zip(
            getattr(first, kept).state_dict().items(), getattr(model, kept).state_dict().items(), strict=True
        )
        if kept == "codec":
            assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)
    t5 = zip(first.text_encoder.t5.parameters(), model.text_encoder.t5.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in t5)
    # Drawn with the same spread: the scale of every weight is the untrained model's, layer by layer.
    for (name, a), (_, b) in zip(first.lm.named_parameters(), model.lm.named_parameters(), strict=True):
        if a.dim() > 1:
            assert not torch.equal(a, b), name
            assert a.std().item() == pytest.approx(b.std().item(), rel=0.15), name


def test_plugins_are_found_by_entry_point(model, monkeypatch):
    entry = EntryPoint("mine", "interp.plugin_of_the_test:make", loading.GROUP)
    monkeypatch.setattr(loading, "entry_points", lambda group: [entry] if group == "interp.models" else [])
    calls = []
    monkeypatch.setattr(
        EntryPoint, "load", lambda self: lambda name, device: calls.append((name, device)) or model.musicgen
    )
    assert interp.load("mine", device="cpu").name == "mine"
    assert calls == [("mine", "cpu")]
    with pytest.raises(interp.InterpError, match="valid: mine, facebook/musicgen-small"):
        interp.load("yours")


@pytest.mark.parametrize(
    "damage", ["truncated", "not a checkpoint", "other shape", "no codec", "no keys", "unknown resolver"]
)
def test_damaged_weights_are_one_sentence(checkpoint, tmp_path, damage):
    weights = (checkpoint / "state_dict.bin").read_bytes()
    (tmp_path / "compression_state_dict.bin").write_bytes(
        (checkpoint / "compression_state_dict.bin").read_bytes()
    )
    if damage == "truncated":
        weights = weights[: len(weights) // 2]
    elif damage == "not a checkpoint":
        weights = b"hello"
    (tmp_path / "state_dict.bin").write_bytes(weights)
    if damage in ("other shape", "no keys", "unknown resolver"):
        package = torch.load(checkpoint / "state_dict.bin", weights_only=True)
        if damage == "no keys":
            package = {"model": 1}
        elif damage == "unknown resolver":
            package["xp.cfg"] = package["xp.cfg"].replace("name: ", "name: ${nobody:} # ")
        else:
            package["best_state"]["emb.0.weight"] = torch.zeros(3, 3)
        torch.save(package, tmp_path / "state_dict.bin")
    if damage == "no codec":
        os.remove(tmp_path / "compression_state_dict.bin")
    with pytest.raises(
        interp.InterpError, match=r"damaged|missing|by its registered name \(etude,"
    ) as caught:
        interp.load(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_weights_that_would_run_code_are_refused(checkpoint, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    (tmp_path / "compression_state_dict.bin").write_bytes(
        (checkpoint / "compression_state_dict.bin").read_bytes()
    )
    torch.save({"best_state": Bomb(), "xp.cfg": ""}, tmp_path / "state_dict.bin")
    with pytest.raises(interp.InterpError):
        interp.load(tmp_path)
    assert not (tmp_path / "boom").exists()


def test_hub_model_that_cannot_be_had(monkeypatch):
    from audiocraft.models import MusicGen
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(name, device):
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(MusicGen, "get_pretrained", staticmethod(offline))
    with pytest.raises(interp.InterpError, match="facebook/musicgen-small"):
        interp.load("facebook/musicgen-small")


def test_device():
    assert loading.resolve_device("cpu") == "cpu"
    assert loading.resolve_device("auto") in ("cpu", "cuda")
    with pytest.raises(interp.InterpError, match="auto, cpu, cuda, mps"):
        loading.resolve_device("tpu")
    with pytest.raises(interp.InterpError, match="not available"):
        loading.resolve_device("cuda:99")


def test_same_seed_same_tokens(model):
    options = {"seconds": 0.5, "batch_size": 2, "progress": False}
    state = torch.random.get_rng_state()
    first = model.generate(PROMPTS, seed=3, **options)
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's own random numbers are untouched
    torch.rand(7)
    assert torch.equal(model.generate(PROMPTS, seed=3, **options).tokens, first.tokens)
    assert not torch.equal(model.generate(PROMPTS, seed=4, **options).tokens, first.tokens)
    assert first.tokens.shape == (3, 4, 25) and first.audio.shape == (3, 1, 1600)
    assert first.batch_size == 2
    assert int(first.tokens.max()) < model.special_token


def test_guidance_strength_is_used_in_both_ways(model):
    """With two_step_cfg, audiocraft reads the strength from the model, not from the parameters."""
    for two_step in (False, True):
        drawn = [
            model.generate(["calm"], seconds=1, cfg_coef=g, two_step_cfg=two_step, progress=False).tokens
            for g in (1.0, 30.0)
        ]
        assert not torch.equal(*drawn)
    single, double = (
        model.generate(
            ["calm"], seconds=1, cfg_coef=5.0, two_step_cfg=two_step, temperature=0, progress=False
        )
        for two_step in (False, True)
    )
    assert torch.equal(single.tokens, double.tokens)
    assert model.lm.cfg_coef == 3.0


def test_audiocraft_settings_are_put_back(model):
    model.musicgen.set_generation_params(duration=4, top_k=11, cfg_coef=1.5, extend_stride=3)
    before = dict(vars(model.musicgen))
    model.generate(["calm"], seconds=0.3)
    assert vars(model.musicgen) == before


def test_the_beginning_of_clips(model):
    """A clip is drawn step by step, so its beginning is the clip that was asked for shorter.

    But not the last frames, whose later codebooks are drawn when the longer clip has gone on.
    """
    short, long = (model.generate(PROMPTS, seconds=s, seed=3, progress=False) for s in (0.4, 0.8))
    begun = long.until(0.4)
    whole = short.tokens.shape[-1] - max(model.delays)
    assert torch.equal(begun.tokens[..., :whole], short.tokens[..., :whole])
    assert begun.tokens.shape == short.tokens.shape and begun.seconds == short.seconds
    assert begun.audio.shape == short.audio.shape and begun.prompts == long.prompts
    for seconds in (0.9, 0.001):
        with pytest.raises(interp.InterpError, match=f"no beginning of {seconds} s"):
            long.until(seconds)


def test_clips_joined_are_what_they_were(model):
    first = model.generate(["happy", "sad"], seconds=0.4, batch_size=2, progress=False)
    second = model.generate(["calm"], seconds=0.4, batch_size=2, streams=[7], progress=False)
    whole = interp.Generation.joined([first, second])
    assert (whole.prompts, whole.streams) == (["happy", "sad", "calm"], [0, 1, 7])
    assert torch.equal(whole[:2].tokens, first.tokens) and torch.equal(whole[[2]].audio, second.audio)
    with pytest.raises(interp.InterpError, match="must have one seconds"):
        interp.Generation.joined([first, second.until(0.2)])
    with pytest.raises(interp.InterpError, match="parts is an empty list"):
        interp.Generation.joined([])


def test_selection_save_and_load(model, tmp_path):
    generation = model.generate(PROMPTS, seconds=0.3, progress=False)
    chosen = generation[[2, 0]]
    assert chosen.prompts == [PROMPTS[2], PROMPTS[0]] and chosen.streams == [2, 0]
    assert torch.equal(chosen.tokens[0], generation.tokens[2])
    assert (
        generation[np.array([False, True, False])].prompts == [PROMPTS[1]] == generation[np.int64(1)].prompts
    )
    for none, said in ((3, "No clip 3"), ([], "selects none")):
        with pytest.raises(interp.InterpError, match=said):
            generation[none]
    path = generation.save(tmp_path / "clips.safetensors")
    assert os.listdir(tmp_path) == ["clips.safetensors"]
    back = interp.Generation.load(path)
    assert torch.equal(back.tokens, generation.tokens) and torch.equal(back.audio, generation.audio)
    assert back.prompts == generation.prompts and back.text_steps == generation.text_steps
    path.write_bytes(path.read_bytes()[:50])
    for bad in (path, tmp_path / "none"):
        with pytest.raises(interp.InterpError, match="Cannot read a generation"):
            interp.Generation.load(bad)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([],), "empty list"),
        (("happy music",), "must be a list"),
        (([3],), "string or None"),
        ((["a"], 0), "seconds must be a number above 0"),
        ((["a"], -1), "seconds must be a number above 0"),
        ((["a"], float("nan")), "seconds must be a number above 0"),
        ((["a"], "8"), "seconds must be a number above 0"),
        ((["a"], 0.01), "too short"),
    ],
)
def test_bad_input_to_generate(model, arguments, said):
    with pytest.raises(interp.InterpError, match=said):
        model.generate(*arguments)


def test_bad_audio_prompt(model, tmp_path):
    for prompt, said in [
        (torch.zeros(2, 1, 100), "one per prompt"),
        (torch.zeros(1, 1, 6400), "more seconds"),
        ([tmp_path / "none.wav"], "Cannot read audio from .*none.wav: there is no such file"),
        ([], "empty list"),
    ]:
        with pytest.raises(interp.InterpError, match=said):
            model.generate(["calm"], seconds=1, audio_prompt=prompt, progress=False)
    for bad in ({"batch_size": 0}, {"seed": 1.5}, {"temperature": -1}, {"top_k": "many"}):
        with pytest.raises(interp.InterpError, match=next(iter(bad))):
            model.generate(["calm"], **bad)


def test_files_and_numbers_that_cannot_be(model, tmp_path):
    for ask, said in [
        (lambda: interp.encode(model, [tmp_path]), "it is a folder; give the files in it"),
        (lambda: interp.encode(model, [tmp_path], batch_size=0), "batch_size must be a whole number"),
        (lambda: Generation.joined([]), "parts is an empty list"),
        (lambda: interp.capture(model, [tmp_path], layers=[-1]), r"No layer -1; this model has"),
    ]:
        with pytest.raises(interp.InterpError, match=said):
            ask()


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(interp.InterpError, match="There is no folder path/to/a/checkpoint; give one"):
        interp.load("path/to/a/checkpoint")


def test_damaged_weights_name_the_file_and_the_way_out(checkpoint, tmp_path):
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "state_dict.bin").write_bytes(b"half")
    with pytest.raises(interp.InterpError, match=r"\(?.*state_dict.bin cannot be opened; .* --again"):
        interp.load(tmp_path)


@pytest.mark.parametrize("backend", ["audiocraft", "transformers"])
def test_without_a_network_one_short_sentence_comes_soon(backend, monkeypatch, tmp_path, caplog):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    begin = time.monotonic()
    with pytest.raises(
        interp.InterpError, match="Cannot get someone/else: .* python -m interp download"
    ) as caught:
        interp.load("someone/else", backend=backend)
    assert len(str(caught.value)) < 400 and time.monotonic() - begin < 8
    assert "Retrying" not in caplog.text
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(interp.InterpError, match="Cannot get someone/else: .*HF_HUB_OFFLINE is set"):
        interp.load("someone/else", backend=backend)
