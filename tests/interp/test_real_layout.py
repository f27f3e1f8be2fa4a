"""Checkpoints of the true layout, loaded offline by id out of a hub cache of the real structure."""

import os
import pickle

import pytest
import real_layout
import torch

import interp
from interp import __main__ as cli
from interp.audio import encode_waveforms
from interp.codec import decode, encode

SMALL = "facebook/musicgen-small"


@pytest.fixture(scope="module")
def whole_cache(tmp_path_factory, builders):
    cache = tmp_path_factory.mktemp("hub")
    real_layout.write_cache(cache, *builders, tmp_path_factory.mktemp("work"))
    return cache


@pytest.fixture
def cache(whole_cache, monkeypatch, tmp_path):
    """A copy of the cache, which is this process' own now."""
    copied = real_layout.copy(whole_cache, tmp_path / "hub")
    real_layout.use_cache(monkeypatch, copied)
    return copied


def test_a_checkpoint_is_loaded_offline_by_its_id(cache):
    """Language model, T5 and SEANet codec, each from its own repository in the cache; then all is as ever."""
    model = interp.load(SMALL)
    assert type(model.codec).__name__ == "HFEncodecCompressionModel"
    assert (model.n_codebooks, model.cardinality, model.frame_rate, model.max_seconds) == (4, 64, 50, 30)
    assert model.d_text == 768 and model.sample_rate == 3200
    made = model.generate(["calm", "sad piano"], seconds=0.6, progress=False)
    assert made.audio.shape == (2, 1, 1920) and made.decoder == "cached"
    once, live = (
        interp.capture(model, made, rows="both", streaming=streaming) for streaming in (False, True)
    )
    assert max(((once[s] - live[s]).norm() / live[s].norm()).item() for s in once) < 1e-4
    tokens = encode(model, made.audio)  # through the SEANet and its codebooks, and back
    assert tokens.shape == made.tokens.shape and decode(model, tokens).shape == made.audio.shape
    assert interp.load(SMALL, twin_seed=1).hash != model.hash


def test_what_is_in_the_cache_is_loaded_without_asking_the_hub(cache, monkeypatch):
    """Also where nobody has set HF_HUB_OFFLINE; the hub is asked when something is missing."""
    from huggingface_hub import constants

    asked = []

    def ask(host, *args, **options):
        asked.append(host)
        raise OSError("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", ask)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert interp.load(SMALL).n_layers == 3 and asked == []
    real_layout.damage(cache, SMALL, "state_dict.bin", None)
    with pytest.raises(interp.InterpError, match="Cannot get"):
        interp.load(SMALL)
    assert asked and constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        (SMALL, "state_dict.bin"),
        (SMALL, "compression_state_dict.bin"),
        (real_layout.CODEC, "config.json"),
        (real_layout.TEXT, "model.safetensors"),
    ],
)
def test_what_is_missing_from_the_cache_is_told(cache, repo, name):
    real_layout.damage(cache, repo, name, None)
    with pytest.raises(
        interp.InterpError, match=f"Cannot get {SMALL}.*python -m interp download {SMALL}"
    ) as caught:
        interp.load(SMALL)
    assert "\n" not in str(caught.value)


def test_damaged_downloads_are_one_sentence(cache):
    real_layout.damage(cache, SMALL, "state_dict.bin", b"<html>captive portal</html>")
    with pytest.raises(interp.InterpError, match="damaged or not audiocraft's.*--again") as caught:
        interp.load(SMALL)
    assert "\n" not in str(caught.value)


def test_a_configuration_kept_as_an_object_is_read(whole_cache, builders, tmp_path, monkeypatch):
    """audiocraft's own training saves it so; torch alone would refuse to unpickle it."""
    import numpy as np
    from omegaconf import OmegaConf

    real_layout.write_cache(tmp_path / "hub", *builders, tmp_path)
    real_layout.use_cache(monkeypatch, tmp_path / "hub")
    (file,) = (tmp_path / "hub").glob("models--facebook--musicgen-small/snapshots/*/state_dict.bin")
    package = torch.load(file, weights_only=True)
    package["xp.cfg"] = OmegaConf.create(package["xp.cfg"])
    package["best"] = {"loss": np.float64(1.5), "array": np.zeros(2)[0]}
    torch.save(package, file.resolve())
    with pytest.raises(pickle.UnpicklingError, match="omegaconf"):
        torch.load(file, weights_only=True)
    assert interp.load(SMALL).n_layers == 3


def test_what_could_run_code_is_named_and_refused(cache, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    (file,) = cache.glob("models--facebook--musicgen-small/snapshots/*/state_dict.bin")
    torch.save({"best_state": Bomb(), "xp.cfg": ""}, file.resolve())
    with pytest.raises(interp.InterpError, match="they hold posix.mkdir, which could run code"):
        interp.load(SMALL)
    assert not (tmp_path / "boom").exists()


def test_melody_is_refused_with_the_reason(cache):
    """Before anything is built: its conditioner would want packages that text-to-music does not."""
    from omegaconf import OmegaConf

    (file,) = cache.glob("models--facebook--musicgen-small/snapshots/*/state_dict.bin")
    package = torch.load(file, weights_only=True)
    config = OmegaConf.create(package["xp.cfg"])
    config.conditioners.self_wav = {"model": "chroma_stem"}
    config.fuser = {"prepend": ["self_wav", "description"], "cross": [], "sum": [], "input_interpolate": []}
    torch.save(package | {"xp.cfg": OmegaConf.to_yaml(config)}, file.resolve())
    with pytest.raises(
        interp.InterpError, match="conditioned on self_wav.* as a prefix, which would shift every step"
    ):
        interp.load(SMALL)


def test_stereo_is_generated_and_captured(builders, tmp_path, monkeypatch):
    """Eight codebooks, two of them at each delay; both channels through the codec."""
    real_layout.write_cache(
        tmp_path / "hub", *builders, tmp_path, repo="facebook/musicgen-stereo-small", n_q=8
    )
    real_layout.use_cache(monkeypatch, tmp_path / "hub")
    (file,) = (tmp_path / "hub").glob("models--facebook--musicgen-stereo-small/snapshots/*/state_dict.bin")
    package = torch.load(file, weights_only=True)
    config = package["xp.cfg"] + "\ninterleave_stereo_codebooks:\n  use: true\n  per_timestep: false\n"
    torch.save(package | {"xp.cfg": config}, file.resolve())
    stereo = interp.load("facebook/musicgen-stereo-small")
    assert stereo.delays == [0, 0, 1, 1, 2, 2, 3, 3] and stereo.channels == 2
    made = stereo.generate(["calm", "sad"], seconds=0.6, temperature=0, progress=False)
    assert made.tokens.shape == (2, 8, 30) and made.audio.shape == (2, 2, 1920)
    musicgen = stereo.musicgen
    musicgen.set_generation_params(duration=0.6, use_sampling=False)
    attributes, _ = musicgen._prepare_tokens_and_attributes(["calm", "sad"], None)
    assert torch.equal(musicgen._generate_tokens(attributes, None, progress=False), made.tokens)
    once, live = (interp.capture(stereo, made, streaming=streaming) for streaming in (False, True))
    assert once["resid.1"].shape == (2, 27, 32)
    assert max(((once[s] - live[s]).norm() / live[s].norm()).item() for s in once) < 1e-4
    noise = 30 * torch.randn(1, 2, 1920, generator=torch.Generator().manual_seed(0))
    heard = encode_waveforms(stereo, noise)
    assert heard.shape == (1, 8, 30) and not torch.equal(heard[:, ::2], heard[:, 1::2])


def test_a_codec_that_metal_cannot_run_goes_to_the_cpu_and_says_so_once():
    """Played by a codec that claims to be on MPS until it is moved."""

    class Codec:
        device = "mps"

        def parameters(self):
            yield torch.empty(0, device="cpu") if self.device == "cpu" else Fake()

        def to(self, device):
            self.device = device

        def decode(self, tokens, scale):
            if self.device == "mps":
                raise NotImplementedError("Output channels > 65536 not supported at the MPS device.\nmore")
            return tokens.float()

    class Fake:
        device = torch.device("mps")

    class Tokens(torch.Tensor):
        def to(self, device):  # there is no such device here
            return self

    model = type("Model", (), {"codec": Codec(), "name": "small"})()
    tokens = torch.ones(1, 4, 3).as_subclass(Tokens)
    with pytest.warns(
        UserWarning, match="codec of small runs on the CPU: mps cannot .Output channels"
    ) as said:
        assert decode(model, tokens).shape == (1, 4, 3)
        decode(model, torch.ones(1, 4, 3))
    assert len(said) == 1


def test_the_command_says_where_it_goes(cache, capsys):
    real_layout.damage(cache, SMALL, "state_dict.bin", None)
    assert cli.main(["doctor", "--model", SMALL]) == 1
    assert "python -m interp download" in capsys.readouterr().out
