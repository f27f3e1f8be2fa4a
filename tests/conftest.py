"""A tiny MusicGen made of audiocraft's own parts, for tests that need no trained weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import interp
import interp.compat

VOCABULARY = "upbeat cheerful pop music melancholic sad piano ballad calm energetic happy a very slow".split()

SMALL = dict(dim=32, num_heads=4, num_layers=3, card=64)  # the architecture of the tiny model


def write_t5(
    folder: Path, d_model: int = 24, layers: int = 2, vocabulary: Iterable[str] = VOCABULARY
) -> Path:
    """Write a T5 encoder with a word tokenizer, as transformers saves them."""
    interp.compat.prepare()  # transformers imports torchaudio
    import torch
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *(f"\u2581{word}" for word in vocabulary)]
    T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0).save_pretrained(
        folder
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        config = T5Config(
            vocab_size=len(pieces),
            d_model=d_model,
            d_kv=d_model // 2,
            d_ff=32,
            num_layers=layers,
            num_heads=2,
        )
        T5EncoderModel(config).save_pretrained(folder)
    return folder


def lm_config(t5: Path, dim: int, num_heads: int, num_layers: int, card: int, **changes):
    """What audiocraft's ``builders.get_lm_model`` reads, in the manner of MusicGen's own configuration."""
    from omegaconf import OmegaConf

    transformer = dict(
        dim=dim,
        num_heads=num_heads,
        num_layers=num_layers,
        hidden_scale=4,
        n_q=4,
        card=card,
        dropout=0.0,
        emb_lr=None,
        activation="gelu",
        norm_first=True,
        bias_ff=False,
        bias_attn=False,
        bias_proj=False,
        past_context=None,
        causal=True,
        custom=False,
        memory_efficient=True,
        attention_as_float32=False,
        layer_scale=None,
        positional_embedding="sin",
        xpos=False,
        checkpointing="none",
        weight_init="gaussian",
        depthwise_init="current",
        zero_bias_init=True,
        norm="layer_norm",
        cross_attention=False,
        qk_layer_norm=False,
        qk_layer_norm_cross=False,
        attention_dropout=None,
        kv_repeat=1,
    )
    n_q = changes.get("n_q", 4)
    delays = [codebook * 4 // n_q for codebook in range(n_q)]  # of eight, two channels' share each delay
    return OmegaConf.create(
        dict(
            lm_model="transformer_lm",
            device="cpu",
            dtype="float32",
            dataset=dict(segment_duration=20),
            transformer_lm=transformer | changes,
            codebooks_pattern=dict(
                modeling="delay", delay=dict(delays=delays, flatten_first=0, empty_initial=0)
            ),
            classifier_free_guidance=dict(training_dropout=0.2, inference_coef=3.0),
            attribute_dropout=dict(args=dict(active_on_eval=False), text={}, wav={}),
            conditioners=dict(
                description=dict(
                    model="t5", t5=dict(name=str(t5), finetune=False, word_dropout=0.0, normalize_text=False)
                )
            ),
            fuser=dict(
                cross_attention_pos_emb=False,
                cross_attention_pos_emb_scale=1,
                sum=[],
                prepend=[],
                cross=["description"],
                input_interpolate=[],
            ),
        )
    )


def codec_config(bins: int):
    """A SEANet of 50 frames per second at 3.2 kHz with four codebooks."""
    from omegaconf import OmegaConf

    return OmegaConf.create(
        dict(
            compression_model="encodec",
            device="cpu",
            encodec=dict(autoencoder="seanet", quantizer="rvq", sample_rate=3200, channels=1, causal=False),
            seanet=dict(
                dimension=8,
                channels=1,
                n_filters=2,
                n_residual_layers=1,
                ratios=[8, 8],
                lstm=0,
                encoder={},
                decoder={},
            ),
            rvq=dict(n_q=4, bins=bins, kmeans_init=False),
        )
    )


def build_musicgen(t5: Path, seed: int = 0, **architecture):
    """A MusicGen with random weights."""
    import torch

    interp.compat.prepare()
    from audiocraft.models import MusicGen, builders
    from audiocraft.modules.conditioners import T5Conditioner

    if str(t5) not in T5Conditioner.MODELS_DIMS:
        import json

        T5Conditioner.MODELS.append(str(t5))
        T5Conditioner.MODELS_DIMS[str(t5)] = json.loads((t5 / "config.json").read_text())["d_model"]
    config = lm_config(t5, **(SMALL | architecture))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        lm = builders.get_lm_model(config).eval()
        lm.cfg = config
        codec = builders.get_compression_model(codec_config(config.transformer_lm.card)).eval()
        for (
            layer
        ) in codec.quantizer.vq.layers:  # an untrained codebook is all zeros: every token would sound alike
            layer._codebook.embed.normal_()
    return MusicGen("tiny", codec, lm)


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory) -> Path:
    return write_t5(tmp_path_factory.mktemp("t5"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What counts memory goes first: in a process with a history of hundreds of tests the counts differ."""
    items.sort(key=lambda item: item.path.stem not in ("test_planning", "test_verify"))


@pytest.fixture(scope="session")
def make_musicgen(t5_folder):
    """``make_musicgen(seed=0, **architecture)`` gives an audiocraft MusicGen with random weights."""
    return lambda seed=0, **architecture: build_musicgen(t5_folder, seed, **architecture)


@pytest.fixture(scope="session")
def model(make_musicgen) -> interp.Model:
    """The tiny model, shared: tests must leave it as they found it."""
    return interp.Model(make_musicgen(), "tiny")


@pytest.fixture(scope="session")
def checkpoint(make_musicgen, tmp_path_factory) -> Path:
    """The tiny model on disk in audiocraft's checkpoint format."""
    import torch
    from omegaconf import OmegaConf

    folder = tmp_path_factory.mktemp("checkpoint")
    musicgen = make_musicgen()
    parts = {
        "state_dict.bin": (musicgen.lm, musicgen.lm.cfg),
        "compression_state_dict.bin": (musicgen.compression_model, codec_config(64)),
    }
    for name, (part, config) in parts.items():
        torch.save({"best_state": part.state_dict(), "xp.cfg": OmegaConf.to_yaml(config)}, folder / name)
    return folder


@pytest.fixture(scope="session")
def builders():
    """What writes tiny models: ``build_musicgen`` and ``write_t5``."""
    return build_musicgen, write_t5
