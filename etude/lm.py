"""The language model: audiocraft's `LMModel` at étude's size, and its checkpoint.

The checkpoint is audiocraft's own format (`state_dict.bin` with `best_state` and `xp.cfg`), so that
audiocraft's `load_lm_model` builds and loads it. The path of the frozen text encoder, which no
checkpoint can know, is filled in by a resolver when the configuration is read.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

import interp.compat

interp.compat.prepare()

from audiocraft.models import builders  # noqa: E402
from audiocraft.modules.conditioners import T5Conditioner  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

from etude import WEIGHTS  # noqa: E402
from etude.codec import ENTRIES, TONE_BOOKS  # noqa: E402
from etude.text import WIDTH as TEXT_WIDTH  # noqa: E402

CONFIG = f"""
lm_model: transformer_lm
device: cpu
dtype: float32
transformer_lm:
  dim: 224
  num_heads: 7
  num_layers: 6
  hidden_scale: 4
  n_q: {TONE_BOOKS + 1}
  card: {ENTRIES}
  dropout: 0.0
  emb_lr: null
  activation: gelu
  norm_first: true
  bias_ff: false
  bias_attn: false
  bias_proj: false
  past_context: null
  causal: true
  custom: false
  memory_efficient: true
  attention_as_float32: false
  layer_scale: null
  positional_embedding: sin
  xpos: false
  checkpointing: none
  weight_init: gaussian
  depthwise_init: current
  zero_bias_init: true
  norm: layer_norm
  cross_attention: true
  qk_layer_norm: false
  qk_layer_norm_cross: false
  attention_dropout: null
  kv_repeat: 1
codebooks_pattern:
  modeling: delay
  delay:
    delays: [0, 1, 2, 3]
    flatten_first: 0
    empty_initial: 0
classifier_free_guidance:
  training_dropout: 0.15
  inference_coef: 3.0
attribute_dropout: {{}}
fuser:
  cross_attention_pos_emb: false
  cross_attention_pos_emb_scale: 1
  sum: []
  prepend: []
  cross: [description]
  input_interpolate: []
conditioners:
  description:
    model: t5
    t5:
      name: ${{etude:text}}
      finetune: false
      word_dropout: 0.0
      normalize_text: false
dataset:
  segment_duration: 30
"""
# audiocraft's MusicGen insists on more than 18 s when it is built; what étude can do is set on load.


def register_text_encoder(folder: Path = WEIGHTS / "text") -> None:
    """Make the frozen text encoder known to audiocraft and to the configuration's ``${etude:text}``."""
    path = str(folder)
    if path not in T5Conditioner.MODELS:
        T5Conditioner.MODELS.append(path)
        T5Conditioner.MODELS_DIMS[path] = TEXT_WIDTH
    OmegaConf.register_new_resolver("etude", lambda _: path, replace=True)


def new_lm(seed: int) -> torch.nn.Module:
    """An untrained language model with weights drawn from `seed`."""
    register_text_encoder()
    torch.manual_seed(seed)
    return builders.get_lm_model(OmegaConf.create(CONFIG))


def save_lm(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Write `state_dict.bin` in audiocraft's format, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "state_dict.tmp"
    half = {name: tensor.half().clone() for name, tensor in state.items()}
    torch.save({"best_state": half, "xp.cfg": CONFIG}, partial)
    os.replace(partial, folder / "state_dict.bin")
