"""What generating and looking cost: ``python -m interp.bench`` prints seven ratios, measured side by side.

1. Generating with capture of five layers, over generating alone (drawing tokens; decoding is left out, since
   it is the same in both and would flatter the ratio).
2. Generating with one block steered on the conditional rows, over generating alone.
3. Capturing the same clips while generating them again, over one teacher-forced pass.
4. audiocraft's own loop over this library's, drawing tokens of as many clips in one batch. At another size:
   ``--like facebook/musicgen-small`` gives the model those dimensions, with random weights.
5. audiocraft's own loop over what every step has to work out, the products with weights and attention to the
   steps before, and nothing else: about what the fourth could be at most.
6. and 7. What :func:`interp.plan` foretells of generating and of capturing, over what they then take, by the
   wall clock that a plan speaks of.

Other load makes timings drift.  So the variants take turns, each ratio is taken within a round (the median
over rounds and the range are printed), and on a CPU the clock is the processor time of this process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

from .errors import InterpError, unknown

DIMENSIONS = {  # width, heads, blocks
    "facebook/musicgen-small": (1024, 16, 24),
    "facebook/musicgen-medium": (1536, 24, 48),
}


def resized(name: str, like: str | None):
    """The model ``name``; with ``like``, with a language model of those dimensions and random weights.

    Text encoder and codec stay, and with the codec the number of entries in a codebook.
    """
    import torch

    from .loading import load

    model = load(name)
    if like is None:
        return model
    if like not in DIMENSIONS:
        raise unknown("dimensions", like, DIMENSIONS)
    from audiocraft.models import builders
    from audiocraft.modules.conditioners import ConditioningProvider

    width, heads, blocks = DIMENSIONS[like]
    config = model.lm.cfg.copy()
    config.device, config.dtype, config.conditioners = str(model.device), "float32", {}
    shape = {"dim": width, "num_heads": heads, "num_layers": blocks}
    for key, value in shape.items():
        config.transformer_lm[key] = value
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        text = model.text_encoder
        text.output_proj = torch.nn.Linear(model.d_text, width, device=model.device)
        lm = builders.get_lm_model(config).eval()
        lm.condition_provider = ConditioningProvider({"description": text}, device=model.device)
    model.musicgen.lm = lm
    return model


def audiocraft_loop(model, generation) -> None:
    """Draw the tokens of ``generation`` as audiocraft does."""
    import torch

    musicgen, before = model.musicgen, dict(vars(model.musicgen))
    try:
        musicgen.set_generation_params(
            duration=generation.seconds,
            top_k=min(generation.top_k, model.cardinality),
            cfg_coef=generation.cfg_coef,
            extend_stride=0.6 * model.max_seconds,
        )
        with torch.no_grad(), torch.random.fork_rng():
            attributes, _ = musicgen._prepare_tokens_and_attributes(generation.prompts, None)
            musicgen._generate_tokens(attributes, None)
    finally:
        vars(musicgen).update(before)


def least_work(model, generation) -> None:
    """What no decoder can leave out of the steps of ``generation``: products with weights, and attention."""
    import torch
    from torch.nn.functional import linear, scaled_dot_product_attention

    width, heads, lm = model.d_model, model.n_heads, model.lm
    rows = 2 * len(generation)  # with the prompt and without it
    steps = generation.tokens.shape[-1] + generation.tokens.shape[1] - 1  # codebooks are a step apart
    past = torch.zeros(model.n_layers, 2, rows, heads, steps, width // heads, device=model.device)
    query = past[0, 0, :, :, :1]
    weights = [head.weight for head in lm.linears]
    for block in lm.transformer.layers:
        attention, cross = block.self_attn, block.cross_attention
        weights += [attention.in_proj_weight, attention.out_proj.weight, block.linear1.weight]
        weights += [block.linear2.weight, cross.out_proj.weight]
        weights.append(cross.in_proj_weight[:width])  # the text's keys and values are worked out once
    inputs = {n: torch.zeros(rows, n, device=model.device) for n in {w.shape[1] for w in weights}}
    with torch.no_grad():
        for step in range(1, steps + 1):
            for weight in weights:
                linear(inputs[weight.shape[1]], weight)
            for keys, values in past[..., :step, :]:
                scaled_dot_product_attention(query, keys, values)


def foretold(model, clips: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """What a plan says over what it then takes, once a round; by what is done."""
    from .activations import capture
    from .planning import PROMPT, plan

    ratios: dict[str, list[float]] = {"generation": [], "capture": []}
    for _ in range(rounds):
        said = plan(model, seconds, batch=clips, clips=clips)
        begin = time.perf_counter()
        made = model.generate([PROMPT] * clips, seconds=seconds, progress=False)
        drawn = time.perf_counter()
        capture(model, made)
        ratios["generation"].append(said.generation_seconds / (drawn - begin))
        ratios["capture"].append(said.capture_seconds / (time.perf_counter() - drawn))
    return ratios


def measure(name: str, clips: int, seconds: float, rounds: int, like: str | None = None) -> dict:
    """Time the six variants ``rounds`` times in turn.

    Returns
    -------
    dict
        ``seconds`` (medians, by variant) and the seven ratios, each a list with one value per round.
    """
    import numpy as np
    import torch

    from .activations import capture
    from .sampling import sample_tokens
    from .steering import steer

    model = resized(name, like)
    prompts = (["upbeat cheerful pop music", "melancholic sad piano ballad"] * clips)[:clips]
    generation = model.generate(prompts, seconds=seconds, progress=False)
    spread = sorted({round(i * (model.n_layers - 1) / 4) for i in range(5)})

    clock = time.process_time if model.device.type == "cpu" else time.perf_counter

    def timed(run: Callable[[], object]) -> float:
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        start = clock()
        run()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    def generate_and_steer() -> None:
        with steer(model, np.ones(model.d_model), layer=spread[len(spread) // 2], strength=0.5):
            sample_tokens(model, generation)

    variants: dict[str, Callable[[], object]] = {
        "generate": lambda: sample_tokens(model, generation),
        "generate and steer": generate_and_steer,
        "generate and capture": lambda: capture(model, generation, spread, streaming=True),
        "teacher-forced": lambda: capture(model, generation, spread),
        "audiocraft's loop": lambda: audiocraft_loop(model, generation),
        "least work": lambda: least_work(model, generation),
    }
    for run in variants.values():
        run()  # the first call of each pays for memory and caches
    times: dict[str, list[float]] = {key: [] for key in variants}
    for turn in range(rounds):
        for key in list(variants)[:: 1 if turn % 2 else -1]:  # back and forth, so that drift cancels
            times[key].append(timed(variants[key]))
    bare, steered, live, once, audiocraft, least = times.values()
    said = foretold(model, clips, seconds, rounds)
    return {
        "model": name if like is None else f"{name}, with the dimensions of {like}",
        "device": str(model.device),
        "layers": spread,
        "clips": clips,
        "clip_seconds": seconds,
        "rounds": rounds,
        "seconds": {key: statistics.median(values) for key, values in times.items()},
        "capture_over_bare": [b / a for a, b in zip(bare, live, strict=True)],
        "steer_over_bare": [b / a for a, b in zip(bare, steered, strict=True)],
        "streaming_over_teacher_forced": [b / a for a, b in zip(once, live, strict=True)],
        "audiocraft_over_generate": [b / a for a, b in zip(bare, audiocraft, strict=True)],
        "audiocraft_over_least": [b / a for a, b in zip(least, audiocraft, strict=True)],
        "plan_over_generation": said["generation"],
        "plan_over_capture": said["capture"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line of the bench."""
    parser = argparse.ArgumentParser(prog="python -m interp.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="etude")
    parser.add_argument("--like", metavar="NAME", help="its dimensions, with random weights")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if min(options.clips, options.rounds) < 1:
            raise InterpError("--clips and --rounds must be at least 1.")
        result = measure(options.model, options.clips, options.seconds, options.rounds, options.like)
    except InterpError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    print(
        f"{result['model']} on {result['device']}, {options.clips} clips of {options.seconds:g} s, "
        f"{options.rounds} rounds"
    )
    for key, value in result["seconds"].items():
        print(f"  {key:<22} {value:8.3f} s (median)")
    for key, text in (
        ("capture_over_bare", f"generation with capture of {len(result['layers'])} layers / bare generation"),
        ("steer_over_bare", "generation with one block steered / bare generation"),
        ("streaming_over_teacher_forced", "streaming / teacher-forced capture"),
        ("audiocraft_over_generate", "audiocraft's loop / this library's"),
        ("audiocraft_over_least", "audiocraft's loop / products with weights and attention alone"),
        ("plan_over_generation", "generation as planned / as taken"),
        ("plan_over_capture", "capture as planned / as taken"),
    ):
        ratios = result[key]
        print(f"{text}: {statistics.median(ratios):.3f}x  (from {min(ratios):.3f} to {max(ratios):.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
