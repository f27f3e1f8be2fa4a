"""Draw the tokens of clips.

The loop over steps is that of audiocraft's ``LMModel.generate`` (guidance, top-k, delays, windows beyond the
longest clip) with one difference: every clip draws from a random stream of its own.  A draw is made as
``torch.multinomial`` makes it, the token with the largest p / e where the e are independent exponential
variates.  So a change of p that is too small to hear seldom changes a token: a clip in a batch of another
size, or under an edit of nearly no strength, keeps its draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from .decoder import Decoder, Text, decoding
from .errors import InterpError
from .halving import in_batches
from .hooks import Pass, running

if TYPE_CHECKING:
    from .generation import Generation
    from .model import Model

UNKNOWN = -1  # a token that is still to be drawn


@torch.no_grad()
def sample_tokens(
    model: Model,
    plan: Generation,
    progress: bool = False,
    after_batch: Callable[[Pass], None] | None = None,
    after_failure: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Draw the tokens that ``plan`` describes: [clip, codebook, frame], on the CPU.

    Only the first ``plan.prompt_frames`` frames of ``plan.tokens`` are read. ``after_batch`` is called with
    the finished :class:`~interp.hooks.Pass` of each batch, and ``after_failure`` where the memory was not
    enough for one, which is then halved (:mod:`interp.halving`).
    """
    if model.lm.training:
        raise InterpError(f"{model.name} is in training mode; call model.lm.eval() first.")
    calls = (("cond",), ("null",)) if plan.two_step_cfg else (("cond", "null"),)
    frames, parts = int(plan.seconds * model.frame_rate), []
    with (
        model.musicgen.autocast,
        tqdm(
            total=1.0,
            desc=f"generate {len(plan)} clips",
            disable=not progress,
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        ) as bar,
    ):

        def draw(clips: list[int]) -> torch.Tensor:
            layout = Pass(len(clips), calls, members=clips, run_clips=len(plan), frames=frames)
            with running(model, layout):
                drawn = _sample_batch(model, plan, clips, layout, _advance(bar, clips, len(plan))).cpu()
            if after_batch is not None:
                after_batch(layout)
            return drawn

        for clips in _batches(plan):
            parts += in_batches(draw, clips, "generate", model.name, clean=after_failure)
    return torch.cat(parts)


def _batches(plan: Generation) -> Iterator[list[int]]:
    """Consecutive clips, no more than a batch and of one text length, by index."""
    for first in range(0, len(plan), plan.batch_size):
        members = range(first, min(first + plan.batch_size, len(plan)))
        for _, clips in groupby(members, key=plan.text_steps.__getitem__):
            yield list(clips)


def _sample_batch(
    model: Model, plan: Generation, clips: list[int], layout: Pass, tick: Callable[[float], None]
) -> torch.Tensor:
    """Tokens [clip, codebook, frame] of a batch, in as many windows as it takes."""
    length, prompts = plan.text_steps[clips[0]], {"cond": [plan.prompts[i] for i in clips]}
    prompts["null"] = [None] * len(clips)
    texts = []  # one condition for each call of a step
    for groups in layout.calls:
        conditions = [text_condition(model, prompts[group], length) for group in groups]
        texts.append(tuple(torch.cat(parts) for parts in zip(*conditions, strict=True)))

    frames, known = int(plan.seconds * model.frame_rate), plan.prompt_frames
    tokens = torch.full((len(clips), model.n_codebooks, frames), UNKNOWN, device=model.device)
    tokens[..., :known] = plan.tokens[clips, :, :known].to(model.device)
    streams = [plan.streams[i] for i in clips]
    noise = exponential_noise(plan.seed, streams, (model.n_codebooks, model.cardinality), model.device)
    for first, stop, before in windows(model, frames):
        known = max(known, before)
        layout.first_frame, layout.new_from = first, before and before + 1
        for done in _fill(model, plan, tokens[..., first:stop], known - first, texts, layout, noise):
            tick(min(1.0, (first + done) / frames))
    return tokens


def windows(model: Model, frames: int) -> list[tuple[int, int, int]]:
    """The windows in which a clip is made: (first frame, frame after the last, frames that the others made).

    A clip that is longer than the model's longest is made piece by piece; each window begins 0.6 of the
    longest after the one before, 18 s of 30 in audiocraft, and so hears 0.4 of it again.
    """
    longest, stride = (int(part * model.max_seconds * model.frame_rate) for part in (1, 0.6))
    found = [(0, min(longest, frames), 0)]
    while found[-1][1] < frames:
        first, stop, _ = found[-1]
        found.append((first + stride, min(first + stride + longest, frames), stop))
    return found


def _fill(
    model: Model,
    plan: Generation,
    tokens: torch.Tensor,
    known: int,
    texts: list[Text],
    layout: Pass,
    noise: Iterator[torch.Tensor],
) -> Iterator[int]:
    """Draw the unknown frames of one window in place, [clip, codebook, frame]; gives the steps done.

    ``known`` is the number of frames that are there. The first call carries all that is known.
    """
    sequence = delayed(tokens, model.delays, model.special_token)
    unknown, n_steps = sequence == UNKNOWN, sequence.shape[-1]
    start, finite = 0, torch.tensor(True, device=tokens.device)
    with decoding(model, plan.decoder, texts, n_steps - 1) as decoders:
        for step in range(1 + known + min(model.delays), n_steps):
            layout.next_start = start
            drawn, sound = next_tokens(decoders, sequence[..., start:step], plan, noise)
            finite &= sound
            sequence[..., step] = torch.where(unknown[..., step], drawn, sequence[..., step])
            start = step
            yield step
    if not finite:
        raise InterpError(
            f"The logits of {model.name} are not finite (NaN or infinite): no token can be drawn."
        )
    frames = tokens.shape[-1]
    for codebook, delay in enumerate(model.delays):
        tokens[:, codebook] = sequence[:, codebook, 1 + delay : 1 + delay + frames]


def next_tokens(
    decoders: list[Decoder], sequence: torch.Tensor, plan: Generation, noise: Iterator[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is drawn after ``sequence`` [clip, codebook, step], [clip, codebook], and: were logits finite?"""
    rows = sequence.repeat(2 // len(decoders), 1, 1)
    cond, null = torch.cat([decode(rows) for decode in decoders]).float().chunk(2)
    logits = null + (cond - null) * plan.cfg_coef
    return _draw(logits, plan.temperature, plan.top_k, noise), logits.isfinite().all()


def delayed(tokens: torch.Tensor, delays: list[int], special_token: int) -> torch.Tensor:
    """[clip, codebook, frame] as the model sees it: [clip, codebook, step], codebook q late by its delay."""
    clips, codebooks, frames = tokens.shape
    sequence = tokens.new_full((clips, codebooks, 1 + frames + max(delays)), special_token)
    for codebook, delay in enumerate(delays):
        sequence[:, codebook, 1 + delay : 1 + delay + frames] = tokens[:, codebook]
    return sequence


def text_condition(model: Model, prompts: list[str | None], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Text as cross-attention sees it, padded to ``length`` tokens: values [clip, length, d_model], mask."""
    values, mask = model.text_encoder(model.text_encoder.tokenize(prompts))
    missing = length - values.shape[1]
    if missing < 0:
        raise InterpError(
            f"A prompt has {values.shape[1]} text tokens, more than the {length} that were recorded."
        )
    return torch.nn.functional.pad(values, (0, 0, 0, missing)), torch.nn.functional.pad(mask, (0, missing))


def _draw(
    logits: torch.Tensor, temperature: float, top_k: int, noise: Iterator[torch.Tensor]
) -> torch.Tensor:
    """Tokens [clip, codebook] from guided logits [clip, codebook, entry]."""
    if temperature == 0:
        return logits.argmax(-1)
    p = torch.softmax(logits / temperature, -1)
    scores = p / next(noise)
    if 0 < top_k < p.shape[-1]:
        least = p.topk(top_k, sorted=False).values.amin(-1, keepdim=True)
        scores.masked_fill_(p < least, 0)
    return scores.argmax(-1)


def exponential_noise(
    seed: int, streams: list[int], shape: tuple[int, int], device: torch.device
) -> Iterator[torch.Tensor]:
    """Exponential variates [clip, *shape] for one step after the other, without end.

    Those of a clip are a function of ``seed``, its number in ``streams`` and the step, on every device.
    """
    draws = [np.random.default_rng([seed, number]) for number in streams]
    while True:  # several steps at once: a call costs more than the variates of a small model
        block = np.stack([draw.standard_exponential((16, *shape), np.float32) for draw in draws], axis=1)
        block += np.finfo(np.float32).tiny  # a variate of exactly 0 would make 0 / 0 of a token never drawn
        yield from torch.from_numpy(block).to(device)


def _advance(bar: tqdm, clips: list[int], total: int) -> Callable[[float], None]:
    """A callback that moves ``bar`` (0 to 1) within the share of one batch, of which a part is done."""
    return lambda part: bar.update(max(0.0, (clips[0] + len(clips) * part) / total - bar.n))
