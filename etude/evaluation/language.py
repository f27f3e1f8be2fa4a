"""The language models: cross-entropy on music that they never heard, and the clips that they generate."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch

from etude.evaluation.codec import entropy
from etude.evaluation.features import measure_all
from etude.evaluation.tables import Table, show
from etude.factors import FACTORS
from etude.words import CUE_WORDS, EMOTIONS, caption
from interp.stats import Interval, bootstrap

SECONDS = 8.0
BATCH = 64


def emotion_prompts(each: int) -> list[str]:
    """Every emotion word by itself, `each` times."""
    return [word for words in EMOTIONS.values() for word in words for _ in range(each)]


def cue_prompts(each: int) -> list[str]:
    """Every cue word and every instrument, followed by "music", `each` times."""
    words = [word for groups in CUE_WORDS.values() for group in groups.values() for word in group]
    return [f"{word} music" for word in [*words, *FACTORS["timbre"]] for _ in range(each)]


def generated(model, prompts: list[str], seed: int, path: Path) -> dict[str, np.ndarray]:
    """Generate a clip of 8 s per prompt and measure it; made once, stored at `path`.

    Returns
    -------
    dict
        ``prompt`` [clip] and what `features.measure` gives, [clip, …].
    """
    if not path.exists():
        clips = model.generate(prompts, seconds=SECONDS, seed=seed, batch_size=BATCH)
        arrays = measure_all(clips.audio[:, 0].numpy(), f"measure {model.name}")
        partial = path.with_suffix(".tmp.npz")
        np.savez(partial, prompt=np.array(prompts), **arrays)
        os.replace(partial, path)
    with np.load(path) as stored:
        return dict(stored)


@torch.no_grad()
def cross_entropy_table(model, corpus: dict[str, np.ndarray], clips: int, seed: int) -> Table:
    """Cross-entropy of held-out clips, captioned and not, beside the unigram entropy of their tokens."""
    from tqdm import tqdm

    from etude.train_lm import cross_entropy

    tokens, rng = torch.from_numpy(corpus["tokens"][:clips].astype(np.int64)), np.random.default_rng(seed)
    captions = [
        caption(int(q), dict(zip(FACTORS, levels.tolist(), strict=True)), rng)
        for q, levels in zip(corpus["quadrant"][:clips], corpus["levels"][:clips], strict=True)
    ]
    with_text, without = [], []
    for clip, text in tqdm(list(zip(tokens, captions, strict=True)), desc="cross-entropy", leave=False):
        with_text.append(cross_entropy(model.lm, clip[None], [text]).numpy())
        without.append(cross_entropy(model.lm, clip[None], [None]).numpy())
    table = Table(
        f"{model.name}: cross-entropy",
        ("codebook", "n", "with its caption", "without", "unigram entropy"),
        "Nats per token on held-out clips of the model's own kind of music; the unigram entropy is that of"
        " the same clips' tokens.",
    )
    columns = [np.stack(with_text), np.stack(without)]
    for book in range(tokens.shape[1]):
        unigram = entropy(np.bincount(tokens[:, book].ravel().numpy()))
        own = [bootstrap(x[:, book], np.arange(len(x))) for x in columns]
        table.add(str(book + 1), str(len(tokens)), *map(show, own), f"{unigram:.2f}")
        table.goal(f"codebook {book + 1}: below the unigram entropy", own[0].high < unigram, show(own[0]))
    return table


def speed(model, times: int) -> Interval:
    """Seconds of audio generated per second, one clip of 8 s at a time, codec included."""
    model.generate(["calm"], seconds=1, progress=False)  # the first call pays for what the others share
    paces = []
    for seed in range(times):
        began = time.perf_counter()
        model.generate(["calm"], seconds=SECONDS, seed=seed, progress=False)
        paces.append(SECONDS / (time.perf_counter() - began))
    return bootstrap(np.array(paces), np.arange(times))


def speed_table(pace: Interval, times: int) -> Table:
    """The table of `speed`."""
    table = Table(
        "Generation speed",
        ("", "n", "times real time"),
        "One clip of 8 s at a time with guidance, codec included, on the machine that made this table.",
    )
    table.add("batch of 1", str(times), show(pace, ".1f"))
    table.goal("faster than real time", pace.estimate > 1, show(pace, ".1f"))
    return table
