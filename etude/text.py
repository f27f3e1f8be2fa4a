"""The text encoder: a two-layer T5 of the project's own, with a word tokenizer, in T5's format.

It is trained by denoising captions whose words are drawn independently of each other, so it knows
the words but not which emotion goes with which cue; then it is frozen, as T5 is in MusicGen.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import torch

import interp.compat

interp.compat.prepare()  # transformers imports torchaudio where it is installed

from etude.factors import FACTORS  # noqa: E402
from etude.words import CUE_WORDS, EMOTIONS, NOUNS, PLAIN, vocabulary  # noqa: E402

WIDTH = 128


def build_tokenizer():
    """A Unigram tokenizer that knows every word of `vocabulary` whole and spells the others."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -100.0)]
    pieces += [("▁" + word, -1.0) for word in vocabulary()]
    pieces += [("▁", -12.0)] + [(c, -12.0) for c in string.ascii_lowercase + string.digits + ",.-'!"]
    return T5Tokenizer(vocab=pieces, extra_ids=4)


def independent_caption(rng: np.random.Generator) -> str:
    """A caption whose words are drawn independently: any emotion beside any cue, genre, instrument."""
    groups = [
        [w for words in EMOTIONS.values() for w in words],
        [w for cue in CUE_WORDS.values() for words in cue.values() for w in words],
        list(FACTORS["timbre"]),
        list(FACTORS["genre"]),
        list(NOUNS),
        list(PLAIN),
    ]
    kinds = rng.choice(len(groups), size=rng.integers(2, 9), p=[0.28, 0.28, 0.12, 0.12, 0.1, 0.1])
    return " ".join(str(rng.choice(groups[k])) for k in kinds)


def train(folder: Path, steps: int = 1500, seed: int = 0) -> None:
    """Train and save tokenizer and encoder to `folder` (transformers' own files, half precision)."""
    from tqdm import tqdm
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = build_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        is_encoder_decoder=False,
        use_cache=False,
    )
    encoder = T5EncoderModel(config).train()
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    blank = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    for _ in tqdm(range(steps), desc="text", mininterval=10):
        batch = tokenizer([independent_caption(rng) for _ in range(64)], return_tensors="pt", padding=True)
        ids, attend = batch["input_ids"], batch["attention_mask"]
        hide = (torch.rand(ids.shape) < 0.15) & (ids > 2)
        kept = (torch.rand(ids.shape) < 0.5) & (ids > 2) & ~hide  # these must be read as they are
        hidden = encoder(input_ids=ids.masked_fill(hide, blank), attention_mask=attend).last_hidden_state
        logits = hidden @ encoder.get_input_embeddings().weight.T / WIDTH**0.5
        loss = torch.nn.functional.cross_entropy(logits[hide | kept], ids[hide | kept])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    folder.mkdir(parents=True, exist_ok=True)
    encoder.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
