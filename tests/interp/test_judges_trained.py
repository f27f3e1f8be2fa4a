"""Judges of others: loaded from small random checkpoints that these tests write, and refused clearly."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import interp.compat
from interp.errors import InterpError
from interp.judges import Sounds
from interp.judges.trained import Clap, Embedded, Vibe, networks


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    return Sounds(
        rng.standard_normal((20, 16_000)).astype(np.float32) * np.linspace(0.01, 0.5, 20)[:, None], 16_000
    )


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory, t5_folder):
    """A CLAP of random weights, with a word tokenizer and its feature extractor."""
    interp.compat.prepare()
    import torch
    from transformers import (
        AutoTokenizer,
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapProcessor,
        ClapTextConfig,
    )

    folder = tmp_path_factory.mktemp("clap")
    tokenizer = AutoTokenizer.from_pretrained(t5_folder)
    text = ClapTextConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    audio = ClapAudioConfig(
        depths=[1, 1], num_attention_heads=[1, 2], hidden_size=32, patch_embeds_hidden_size=16, spec_size=64,
        num_mel_bins=16, window_size=4, num_classes=4,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(folder)
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=16_000, max_length_s=2, fft_window_size=256, hop_length=128,
        truncation="rand_trunc", frequency_max=8000,
    )  # fmt: skip
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def test_clap_compares_sound_with_text(clap_folder, sounds):
    judge = Clap.load(clap_folder)
    said = judge(sounds)
    assert said.shape == (20, 2) and np.isfinite(said).all() and np.ptp(said, axis=0).min() > 0
    np.testing.assert_allclose(judge(sounds[:3]), said[:3], atol=1e-5)  # whatever the batch
    assert np.abs(said).max() <= 2 + 1e-6, "a difference of two cosines"


@pytest.fixture(scope="module")
def hubert_folder(tmp_path_factory):
    interp.compat.prepare()
    import torch
    from transformers import HubertConfig, HubertModel

    folder = tmp_path_factory.mktemp("mert")
    config = HubertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 8), conv_stride=(8, 8), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        HubertModel(config).save_pretrained(folder)
    return folder


def test_states_are_read_by_what_a_corpus_taught(hubert_folder, sounds):
    level = np.linspace(-1, 1, 20)
    corpus = SimpleNamespace(
        column={"valence": -level, "arousal": level}.__getitem__, groups=[str(i) for i in range(20)]
    )
    said = Embedded.train(hubert_folder, sounds, corpus)(sounds)
    assert said.shape == (20, 2)
    assert np.corrcoef(said[:, 0], said[:, 1])[0, 1] < -0.99, "one readout is the other, turned round"


def test_what_is_no_such_model_is_refused(hubert_folder, clap_folder, tmp_path):
    with pytest.raises(InterpError, match="no model in transformers' format .*nothing is fetched"):
        Clap.load(tmp_path)
    with pytest.raises(InterpError, match="holds a 'hubert' model; want clap"):
        Clap.load(hubert_folder)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clap"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(InterpError, match="no \\*.safetensors"):
        Clap.load(tmp_path)


def test_networks_are_taken_by_name(clap_folder, sounds):
    (judge,) = networks({"clap": clap_folder}, sounds, None)
    np.testing.assert_array_equal(judge(sounds[:4]), Clap.load(clap_folder)(sounds[:4]))
    assert networks({}, sounds, None) == []
    with pytest.raises(InterpError, match="Unknown network 'klap'; valid: vibenet, clap, mert"):
        networks({"klap": clap_folder}, sounds, None)


def test_vibenet_is_optional(monkeypatch, sounds):
    monkeypatch.setitem(sys.modules, "vibenet", None)
    with pytest.raises(InterpError, match="not installed .* GPL-3.0-or-later"):
        Vibe.load()
    heard = SimpleNamespace(
        predict=lambda waves, rate: [SimpleNamespace(valence=0.2, energy=0.7) for _ in waves]
    )
    assert Vibe(heard)(sounds[:2]).tolist() == [[0.2, 0.7]] * 2
