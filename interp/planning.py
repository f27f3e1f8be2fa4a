"""What a piece of work will take, before it is begun: memory, disk and time (:func:`interp.plan`).

Weights, keys and values, and activations are counted from the architecture. What the codec and a
teacher-forced pass need beside these depends on how they are built, so they are measured on one and two clips
of a second or two, and carried on along a straight line: both grow with length, and with clips on top of a
constant::

    peak(clips, seconds) = seconds x (a + b clips)

Time is measured likewise: steps at the beginning and at the end of a clip, drawing included, since their cost
grows with the keys and values that each step reads; one pass of a batch over a short clip; and one decoding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from .activations import capture
from .decoder import Text, decoding, why_not
from .errors import InterpError, check_positive, check_whole, unknown
from .generation import text_length, undrawn
from .memory import free_bytes, peak_bytes
from .sampling import delayed, exponential_noise, next_tokens, text_condition
from .sites import expand_sites

if TYPE_CHECKING:
    from .model import Model

GIB = 2**30
MEASURED = 2.0  # seconds of the clips that are measured, where the asked ones are as long
STEPS = 16  # of which the mean is taken: random variates come in blocks of as many
LEAVE = 0.9  # share of the free memory that may be used
PROMPT = "upbeat cheerful pop music with piano"


@dataclass(frozen=True)
class Plan:
    """What generating clips and capturing their activations will take.

    Attributes
    ----------
    model, device : str
    clips : int
    seconds : float
        Of every clip.
    batch : int
        Clips at a time: the most that fit, or as asked.
    fits : bool
        Whether a batch fits into what is free.
    free : int
        Bytes free on the device now, with the model loaded.
    weights : int
        Bytes of the loaded model: language model, text encoder, codec.
    caches : int
        Bytes of keys and values of a batch.
    generation, capture : int
        Bytes at the peak of a batch beyond the weights: drawing tokens and decoding; one pass with hooks.
    activations : int
        Bytes of all captured activations as they are held in memory, on the CPU.
    disk : int
        Bytes of the same in a store.
    offload : str
        "memory" if all activations can be held, "store" if they should be written to one (``to=``).
    generation_seconds, capture_seconds : float
        Wall time.
    measured_seconds : float
        What making this plan took.
    """

    model: str
    device: str
    clips: int
    seconds: float
    batch: int
    fits: bool
    free: int
    weights: int
    caches: int
    generation: int
    capture: int
    activations: int
    disk: int
    offload: str
    generation_seconds: float
    capture_seconds: float
    measured_seconds: float

    @property
    def peak(self) -> int:
        """Bytes at the peak beyond the weights."""
        return max(self.generation, self.capture)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self) | {"peak": self.peak}

    def __str__(self) -> str:
        def gib(size: int) -> str:
            return f"{size / GIB:.2f} GiB" if size >= GIB / 100 else f"{size / 2**20:.1f} MiB"

        verdict = (
            f"{self.batch} clips at a time" if self.fits else "does not fit, not even one clip at a time"
        )
        where = "kept in memory" if self.offload == "memory" else "too large for memory: give capture to="
        return "\n".join(
            [
                f"{self.model} on {self.device}, {self.clips} clips of {self.seconds:g} s: {verdict}",
                f"  memory of the device  {gib(self.weights)} of weights, beside them {gib(self.peak)} at "
                f"the peak (generation {gib(self.generation)}, capture {gib(self.capture)}); "
                f"{gib(self.free)} free",
                f"  activations           {gib(self.activations)}, {where}; {gib(self.disk)} in a store",
                f"  time                  {self.generation_seconds:,.0f} s to generate, "
                f"{self.capture_seconds:,.0f} s to capture",
            ]
        )


@torch.no_grad()
def plan(
    model: Model,
    seconds: float = 8,
    batch: int | None = None,
    sites: Sequence[str] = ("resid",),
    clips: int = 32,
    layers: Sequence[int] | None = None,
    rows: str = "cond",
    dtype: str = "float16",
    budget: int | None = None,
) -> Plan:
    """Say what generating clips and capturing their activations will take, from a measurement of seconds.

    Parameters
    ----------
    seconds : float
        Of every clip.
    batch : int, optional
        Clips at a time; None takes the largest power of two that fits (or all clips).
    sites, layers, rows, dtype
        As in :func:`interp.capture`.
    clips : int
        How many there are in all.
    budget : int, optional
        Bytes of the device that may be used beside the weights; None takes nine tenths of what is free.

    Raises
    ------
    InterpError
        For an unknown site, layer, rows or dtype, and clips that are too short.
    """
    began = time.perf_counter()
    check_positive(seconds, "seconds")
    clips = check_whole(clips, "clips", 1)
    if batch is not None:
        batch = min(check_whole(batch, "batch", 1), clips)
    if rows not in ("cond", "null", "both"):
        raise unknown("rows", rows, ("cond", "null", "both"))
    if dtype not in ("float16", "float32"):
        raise unknown("dtype", dtype, ("float16", "float32"))
    chosen = expand_sites(model, sites, layers)
    frames = int(seconds * model.frame_rate)
    if frames <= max(model.delays):
        raise InterpError(f"seconds={seconds} is too short for {model.name}.")
    window = min(seconds, model.max_seconds)
    kept = frames - max(model.delays)
    values = sum(site.width for site in chosen) * kept * (2 if rows == "both" else 1)
    size = next(model.lm.parameters()).element_size()

    decode, heard = _lines(model, min(window, MEASURED), chosen, rows)
    free = free_bytes(model.device)
    room = LEAVE * free if budget is None else budget

    def steps_of(n: int) -> int:
        return _stepping(model, n, int(window * model.frame_rate))

    def generation(n: int) -> int:
        # A model of tokens draws while nothing is decoded, and decodes when its caches are gone.
        return max(steps_of(n), int(decode(n, seconds)))

    def listening(n: int) -> int:
        return int(heard(n, window)) + (values * n * size if seconds > window else 0)

    sizes = [batch] if batch else [*(2**k for k in range(clips.bit_length())), clips]
    fitting = [n for n in sizes if n <= clips and max(generation(n), listening(n)) <= room]
    chosen_batch = max(fitting, default=min(sizes))
    clock = _clock(model, window, chosen_batch, chosen, rows)
    held = clips * values * size
    import psutil

    return Plan(
        model=model.name,
        device=str(model.device),
        clips=clips,
        seconds=float(seconds),
        batch=chosen_batch,
        fits=bool(fitting),
        free=int(free),
        weights=_weights(model),
        caches=_caches(model, chosen_batch, int(window * model.frame_rate)),
        generation=generation(chosen_batch),
        capture=listening(chosen_batch),
        activations=held,
        disk=clips * values * (2 if dtype == "float16" else 4),
        offload="memory" if held < 0.5 * psutil.virtual_memory().available else "store",
        generation_seconds=math.ceil(clips / chosen_batch) * (clock.begin + frames * clock.step)
        + clips * seconds * clock.decoded,
        capture_seconds=clips * frames * clock.frame,
        measured_seconds=time.perf_counter() - began,
    )


def _weights(model: Model) -> int:
    parts = (model.lm, model.text_encoder.t5, model.codec)
    seen = {tensor.data_ptr(): tensor for part in parts for tensor in (*part.parameters(), *part.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in seen.values())


def _caches(model: Model, clips: int, frames: int) -> int:
    """Keys and values of self-attention, and those of the text, for conditional and null rows."""
    text = text_length(model, [PROMPT])
    steps = frames + max(model.delays)
    size = next(model.lm.parameters()).element_size()
    return 2 * 2 * clips * model.n_layers * model.d_model * (steps + text) * size


def _stepping(model: Model, clips: int, frames: int) -> int:
    """Bytes at the peak of drawing tokens: caches, tables, variates, and the tensors of one step."""
    size, q, v, d = (
        next(model.lm.parameters()).element_size(),
        model.n_codebooks,
        model.cardinality,
        model.d_model,
    )
    rows = 2 * clips
    tables = (2 * q * v * d + q * d + (frames + max(model.delays)) * d) * size
    noise = 16 * clips * q * v * 4 if model.device.type != "cpu" else 0  # on the CPU it is numpy's memory
    step = rows * (d * 8 + 2 * model.d_mlp) * size + 6 * rows * q * v * 4
    return _caches(model, clips, frames) + tables + noise + step


Line = Callable[[int, float], float]


def _line(measure: Callable[[int], int], seconds: float) -> Line:
    """``peak(clips, seconds)`` through the measurements at one and at two clips."""
    one, two = (measure(n) for n in (1, 2))
    b = max(two - one, 0)
    return lambda clips, long: long / seconds * (max(one - b, 0) + b * clips)


def _lines(model: Model, seconds: float, sites: list, rows: str) -> tuple[Line, Line]:
    """Peaks of decoding and of capturing."""
    names = [site.name for site in sites]

    def clips(n: int):
        return _made_up(model, n, seconds)

    def decode(n: int) -> int:
        tokens = clips(n).tokens.to(model.device)
        return peak_bytes(lambda: model.codec.decode(tokens, None), model.device)

    def capturing(n: int) -> int:
        made = clips(n)
        return peak_bytes(lambda: capture(model, made, sites=names, rows=rows), model.device)

    capture(model, clips(1), sites=names, rows=rows)  # the first call pays for what is made once
    return _line(decode, seconds), _line(capturing, seconds)


def _made_up(model: Model, clips: int, seconds: float):
    """Clips of random tokens: what they take does not depend on what they are."""
    random = torch.Generator().manual_seed(0)
    shape = (clips, model.n_codebooks, int(seconds * model.frame_rate))
    tokens = torch.randint(0, model.cardinality, shape, generator=random)
    made = undrawn(model, tokens, [PROMPT] * clips, batch_size=clips)
    return replace(made, cfg_coef=3.0, temperature=1.0, top_k=250)  # as clips are drawn


@dataclass(frozen=True)
class Clocked:
    """Seconds that were measured.

    Attributes
    ----------
    begin, step : float
        For a batch before its first step, and for each step of it.
    frame, decoded : float
        For a captured frame, and for a decoded second, of one clip.
    """

    begin: float
    step: float
    frame: float
    decoded: float


def _clock(model: Model, seconds: float, batch: int, sites: list, rows: str) -> Clocked:
    """Time what a batch is made of, as it is made: steps early and late in a clip, a pass, a decoding."""

    def timed(run: Callable[[], object]) -> float:
        _wait(model.device)
        begin = time.perf_counter()
        run()
        _wait(model.device)
        return time.perf_counter() - begin

    made = _made_up(model, batch, seconds)
    sequence = delayed(made.tokens, model.delays, model.special_token)[..., :-1].to(model.device)
    steps, length = sequence.shape[-1], made.text_steps[0]
    few = min(STEPS, steps // 2)
    noise = exponential_noise(0, list(range(batch)), (model.n_codebooks, model.cardinality), model.device)
    kind = "audiocraft" if why_not(model) else "cached"

    def text() -> Text:
        texts = [text_condition(model, prompts, length) for prompts in (made.prompts, [None] * batch)]
        return tuple(torch.cat(parts) for parts in zip(*texts, strict=True))

    def ready() -> None:
        with decoding(model, kind, [text()], steps):
            pass

    def go(first: int) -> float:
        """Seconds for a step of those from ``first`` on."""

        def draw() -> None:
            for s in range(first, first + few):
                next_tokens(decoders, sequence[..., s : s + 1], made, noise)

        with decoding(model, kind, [text()], steps) as decoders:
            (decode,) = decoders
            if hasattr(decode, "position"):  # its caches have their full length: their content is no matter
                decode(sequence[..., :1].repeat(2, 1, 1))
                decode.position = first
            else:
                decode(sequence[..., :first].repeat(2, 1, 1))
            return timed(draw) / few

    with model.musicgen.autocast:
        ready()  # the first call pays for what is made once
        begin, step = timed(ready), (go(1) + go(steps - few)) / 2
    short = _made_up(model, batch, min(seconds, MEASURED))
    names = [site.name for site in sites]
    once = min(timed(lambda: capture(model, short, sites=names, rows=rows)) for _ in range(2))
    tokens = short.tokens[:2].to(model.device)
    decoded = min(timed(lambda: model.codec.decode(tokens, None)) for _ in range(2))
    frames, heard = short.tokens.shape[-1] * batch, short.seconds * len(tokens)
    return Clocked(begin, step, once / frames, decoded / heard)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
