"""The codec keeps audiocraft's contract, and loads from the committed weights."""

import shutil

import pytest
import torch

from etude import WEIGHTS
from etude.checkpoint import load_codec, load_musicgen
from etude.codec import EtudeCodec, to_features, to_relative
from etude.corpus import draw
from etude.render import render
from etude.spectral import FLOOR_DB, N_FEATURES, N_TONES
from interp.errors import InterpError


@pytest.fixture(scope="module")
def codec():
    return load_codec()


@pytest.fixture(scope="module")
def audio():
    clips = [render(*draw("factorial", i, 901)[1:], 2.0) for i in range(2)]
    return torch.stack([torch.from_numpy(clip) for clip in clips])[:, None]


@torch.no_grad()
def test_contract(codec, audio):
    from audiocraft.models.encodec import CompressionModel

    assert isinstance(codec, CompressionModel)
    shape = (codec.sample_rate, codec.frame_rate, codec.channels, codec.num_codebooks, codec.total_codebooks)
    assert shape == (16_000, 50.0, 1, 4, 4)
    codes, scale = codec.encode(audio)
    assert scale is None and codes.dtype == torch.int64
    assert codes.shape == (2, 4, 100)
    assert 0 <= codes.min() and codes.max() < codec.cardinality
    assert codec.decode(codes).shape == audio.shape
    out = codec(audio[..., :-7])
    assert out.x.shape == audio[..., :-7].shape and torch.equal(out.codes, codec.encode(audio[..., :-7])[0])
    assert codec.decode_latent(codes).shape[::2] == (2, 100)


@torch.no_grad()
def test_a_clip_is_coded_alike_alone_and_in_a_batch(codec, audio):
    together = codec.encode(audio)[0]
    for i in range(2):
        same = (codec.encode(audio[i : i + 1])[0][0] == together[i]).float().mean()
        assert same > 0.99  # rounding may tip a tie


@torch.no_grad()
def test_what_comes_back_is_like_what_went_in(codec, audio):
    from etude.evaluation.codec import chroma, correlation, envelope

    for original, back in zip(audio[:, 0], codec.decode(codec.encode(audio)[0])[:, 0], strict=True):
        assert correlation(chroma(original.numpy()), chroma(back.numpy())) > 0.75
        assert correlation(envelope(original.numpy()), envelope(back.numpy())) > 0.75
        assert abs(10 * torch.log10(back.square().mean() / original.square().mean())) < 2


def test_bad_input(codec):
    with pytest.raises(ValueError, match="4 codebooks, not 2"):
        codec.set_num_codebooks(2)
    codec.set_num_codebooks(4)
    with pytest.raises(ValueError, match=r"\[batch, 1, sample\], got \[1, 2, 320\]"):
        codec.encode(torch.zeros(1, 2, 320))
    with pytest.raises(ValueError, match="no scale"):
        codec.decode(torch.zeros(1, 4, 3, dtype=torch.long), torch.ones(1))


def test_relative_features_and_back():
    generator = torch.Generator().manual_seed(0)
    features = torch.full((1, N_FEATURES, 5), FLOOR_DB)
    features[:, 20:24] = -30 - 5 * torch.rand(1, 4, 5, generator=generator)
    features[:, N_TONES:] = -50.0
    tones, noise, loudness = to_relative(features)
    assert tones.shape[1] == N_TONES and loudness.shape[1] == 1
    assert 0 <= tones.min() and tones.max() <= 1
    torch.testing.assert_close(to_features(tones, noise, loudness), features, atol=0.01, rtol=0)
    silent = torch.full((1, N_FEATURES, 5), FLOOR_DB)
    assert torch.equal(to_features(*to_relative(silent)), silent)


def test_an_untrained_codec_has_the_released_ones_shape(codec):
    fresh = EtudeCodec().state_dict()
    assert {name: x.shape for name, x in fresh.items()} == {
        name: x.shape for name, x in codec.state_dict().items()
    }


@pytest.fixture
def copy(tmp_path):
    """A copy of the weights folder, to be damaged."""
    return shutil.copytree(WEIGHTS, tmp_path / "weights")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "file", ["codec.bin", "etude/state_dict.bin", "text/model.safetensors", "text/tokenizer.json"]
)
def test_damaged_and_missing_weights_are_named_in_one_sentence(copy, file):
    flip(copy / file)
    with pytest.raises(InterpError, match=f"{file} are not the ones that SHA256SUMS lists") as altered:
        load_musicgen("etude", weights=copy)
    (copy / file).unlink()
    with pytest.raises(InterpError, match=f"{file} are missing") as missing:
        load_musicgen("etude", weights=copy)
    for error in (altered, missing):
        assert "\n" not in str(error.value) and "make etude" in str(error.value)


def test_no_sums_and_an_unknown_name(copy):
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(InterpError, match="SHA256SUMS is missing"):
        load_musicgen("etude", weights=copy)
    with pytest.raises(InterpError, match="Unknown étude 'sonata'; valid: etude, etude-alt, etude-null"):
        load_musicgen("sonata")
