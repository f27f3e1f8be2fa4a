"""A model of audiocraft's as one of transformers': the same weights under other names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import InterpError

if TYPE_CHECKING:
    from ..model import Model

_BLOCK = {
    "self_attn.out_proj": "self_attn.out_proj",
    "cross_attention.out_proj": "encoder_attn.out_proj",
    "linear1": "fc1",
    "linear2": "fc2",
    "norm1": "self_attn_layer_norm",
    "norm_cross": "encoder_attn_layer_norm",
    "norm2": "final_layer_norm",
}
_PACKED = {"self_attn": "self_attn", "cross_attention": "encoder_attn"}


def to_transformers(model: Model, to: str | Path, encodec: torch.nn.Module | None = None) -> Path:
    """Write a model as ``MusicgenForConditionalGeneration.save_pretrained`` does.

    Parameters
    ----------
    model : Model
        Loaded through audiocraft.
    to : path
        A folder.
    encodec : transformers.EncodecModel, optional
        The codec; None takes the model's own, which must be transformers' EnCodec, as Meta's checkpoints use.

    Raises
    ------
    InterpError
        If transformers' MusicGen has no place for something in the model (biases, scales, another codec).
    """
    from transformers import MusicgenConfig, MusicgenDecoderConfig, MusicgenForConditionalGeneration

    codec = getattr(model.codec, "model", model.codec)  # inside the wrapper for two channels
    encodec = encodec or getattr(codec, "model", None)
    if type(encodec).__name__ != "EncodecModel":
        raise InterpError(f"The codec of {model.name} is not transformers' EnCodec: give one as encodec=.")
    if model.d_text == model.d_model:
        raise InterpError(
            f"{model.name} is as wide as its text encoder: transformers would leave out the projection."
        )
    decoder = MusicgenDecoderConfig(
        vocab_size=model.cardinality,
        num_hidden_layers=model.n_layers,
        ffn_dim=model.d_mlp,
        num_attention_heads=model.n_heads,
        hidden_size=model.d_model,
        num_codebooks=model.n_codebooks,
        audio_channels=model.channels,
        pad_token_id=model.special_token,
        bos_token_id=model.special_token,
        dropout=0.0,
    )
    text = model.text_encoder
    config = MusicgenConfig(text_encoder=text.t5.config, audio_encoder=encodec.config, decoder=decoder)
    with torch.device("cpu"):
        made = MusicgenForConditionalGeneration(config)
    weights = renamed(model)
    weights |= {f"text_encoder.{key}": value for key, value in text.t5.state_dict().items()}
    weights |= {f"audio_encoder.{key}": value for key, value in encodec.state_dict().items()}
    missing, unexpected = made.load_state_dict(
        {key: value.detach().float().cpu() for key, value in weights.items()}, strict=False
    )
    if missing or unexpected:
        raise InterpError(
            f"{model.name} is not built as transformers' MusicGen: "
            f"{', '.join([*unexpected, *missing][:3])} would be left over."
        )
    made.generation_config.max_length = int(model.max_seconds * model.frame_rate)
    made.generation_config.guidance_scale = float(model.lm.cfg_coef)
    made.save_pretrained(to)
    text.t5_tokenizer.save_pretrained(to)
    return Path(to)


def renamed(model: Model) -> dict[str, torch.Tensor]:
    """The language model's weights under the names of transformers."""
    names: dict[str, torch.Tensor] = {}
    inner = "decoder.model.decoder"
    for key, value in model.lm.state_dict().items():
        part, _, leaf = key.rpartition(".")
        if part.startswith("condition_provider."):
            names[f"enc_to_dec_proj.{leaf}"] = value
        elif part.startswith("emb."):
            names[f"{inner}.embed_tokens.{part.removeprefix('emb.')}.{leaf}"] = value
        elif part.startswith("linears."):
            names[f"decoder.lm_heads.{part.removeprefix('linears.')}.{leaf}"] = value
        elif part == "out_norm":
            names[f"{inner}.layer_norm.{leaf}"] = value
        else:
            _, _, layer, within = part.split(".", 3)
            block = f"{inner}.layers.{layer}"
            if within in _BLOCK:
                names[f"{block}.{_BLOCK[within]}.{leaf}"] = value
            elif within in _PACKED and leaf == "in_proj_weight":
                for kind, rows in zip("qkv", value.chunk(3), strict=True):
                    names[f"{block}.{_PACKED[within]}.{kind}_proj.weight"] = rows
            else:
                names[key] = value  # of no use to transformers: told by whoever loads this
    return names
