"""Train dictionaries on a stream of activations: several at once, resumable at any moment.

``batches(start)`` is the stream: a function that gives an iterator over float32 tensors or arrays
[row, d_in], beginning with batch number ``start`` of a sequence that is always the same.  Rows must be mixed
across clips, since neighbours in a clip are so alike that a batch of them is one vector many times.
:func:`in_memory` makes a stream of a tensor; ``lambda start: store.batches(..., start=start)`` of a store.

Vectors are scaled, while they are learnt from, so that their deviations from the mean have a mean squared
norm of d_in: learning rate and sparsity mean the same for every model and layer.  The scale is estimated from
the first batches and folded into the weights at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ..disk import make_folder, save_tensors, saved_tensors
from ..errors import InterpError, check_list, check_whole
from ..loading import resolve_device
from .dictionary import Dictionary
from .learner import Config, Learner

Batches = Callable[[int], Iterator[torch.Tensor | np.ndarray]]

CHECKPOINT = "checkpoint.safetensors"
SCALE_BATCHES = 8
RISE, FALL = 0.05, 0.2  # shares of the steps over which the rate rises and falls


class Trained(NamedTuple):
    """A finished dictionary and how it got there."""

    dictionary: Dictionary
    """For vectors as the stream gives them."""
    history: list[dict[str, float]]
    """Per logged step: ``step``, ``vectors``, ``fvu``, ``l0``, ``dead``, each of that step's batch."""


def train(
    batches: Batches,
    configs: Sequence[Config],
    steps: int,
    folder: str | Path | None = None,
    checkpoint_every: int = 500,
    log_every: int = 50,
    device: str = "cpu",
    progress: bool = True,
) -> list[Trained]:
    """Train every dictionary in ``configs`` on the same batches.

    Parameters
    ----------
    batches : callable
        ``batches(start)``, see this module.
    configs : list of Config
    steps : int
        Batches to learn from. The rate rises over the first 5 % and falls to 0 over the last 20 %, in which
        "standard" refits its decoder.
    folder : path, optional
        Where checkpoints go. If one is there, training goes on from it, and ends with the same weights, bit
        for bit, as if it had never stopped (on the same machine with as many threads). It is refused if it is
        of other settings or activations; those are told by the stream's first batches.
    checkpoint_every, log_every : int
        In steps.
    device : str
    progress : bool
        Show a bar with FVU, L0 and the share of dead features of the latest batch.

    Raises
    ------
    InterpError
        If the stream ends early, or holds something else than finite float32 vectors of one width that
        vary; for an unknown device; if the checkpoint is of another training or damaged, or cannot be
        written.
    """
    configs = check_list(configs, "configs")
    check_whole(steps, "steps", 1)
    check_whole(checkpoint_every, "checkpoint_every", 1)
    check_whole(log_every, "log_every", 1)
    device = resolve_device(device)
    path = None if folder is None else make_folder(folder) / CHECKPOINT
    plan = {"configs": [json.loads(json.dumps(asdict(config))) for config in configs], "steps": steps}
    opening = torch.cat([*islice(_checked(batches, 0), SCALE_BATCHES)])
    plan |= {"log_every": log_every, "activations": _digest({"opening": opening})}
    if path is not None and path.exists():
        learners, scale, done, history = _load(path, plan, configs, device)
    else:
        mean, scale = _scale(opening)
        learners = [Learner(config, mean * scale, device) for config in configs]
        done, history = 0, [[] for _ in configs]
    stream = _checked(batches, done, learners[0].dictionary.d_in)
    bar = tqdm(range(done, steps), "dictionaries", steps, initial=done, disable=not progress, leave=False)
    for step in bar:
        x = next(stream).to(device) * scale
        factor, refit = _schedule(step, steps), step >= (1 - FALL) * steps
        shown = [learner.step(x, factor, refit) for learner in learners]
        if step % log_every == 0 or step == steps - 1:
            for log, learner, seen in zip(history, learners, shown, strict=True):
                log.append({"step": step, "vectors": learner.seen, **seen._asdict()})
            bar.set_postfix_str(" | ".join(f"FVU {s.fvu:.3f} L0 {s.l0:.1f} dead {s.dead:.1%}" for s in shown))
        if path is not None and ((step + 1) % checkpoint_every == 0 or step == steps - 1):
            _save(path, plan, learners, scale, step + 1, history)
    return [Trained(learner.finished(scale), log) for learner, log in zip(learners, history, strict=True)]


def in_memory(activations: torch.Tensor, batch_size: int, seed: int = 0) -> Batches:
    """A stream of the rows of a tensor, drawn across all clips, again and again in a new order.

    Parameters
    ----------
    activations : torch.Tensor
        [..., d_in]: for instance [clip, step, d_in], as captured.
    batch_size : int
        Rows of a batch; rows that are left over at the end of a round are dropped.
    """
    rows = activations.reshape(-1, activations.shape[-1])
    n_batches = len(rows) // check_whole(batch_size, "batch_size", 1)
    if not n_batches:
        raise InterpError(f"A batch of {batch_size} vectors cannot be drawn from {len(rows)}.")

    def batches(start: int) -> Iterator[torch.Tensor]:
        number = start
        while True:
            turn, first = divmod(number, n_batches)
            draw = torch.Generator().manual_seed(seed * 1_000_003 + turn)
            order = torch.randperm(len(rows), generator=draw)
            for i in range(first, n_batches):
                yield rows[order[i * batch_size : (i + 1) * batch_size]].float()
                number += 1

    return batches


def _schedule(step: int, steps: int) -> float:
    """Factor of the learning rate: up over the first 5 % of the steps, down to 0 over the last 20 %."""
    return min(1.0, (step + 1) / max(1, RISE * steps), (steps - step) / max(1, FALL * steps))


def _checked(batches: Batches, start: int, d_in: int | None = None) -> Iterator[torch.Tensor]:
    """The stream from batch ``start``, each batch looked at before anything learns from it."""
    number = start
    for number, x in enumerate(batches(start), start):
        x = torch.from_numpy(x) if isinstance(x, np.ndarray) else x
        if not isinstance(x, torch.Tensor) or x.ndim != 2 or x.dtype != torch.float32 or not len(x):
            got = f"{x.dtype} {list(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
            raise InterpError(f"Batch {number} is {got}; batches must be float32 [row, d_in].")
        if d_in is not None and x.shape[1] != d_in:
            raise InterpError(f"Batch {number} has vectors of width {x.shape[1]}, those before it {d_in}.")
        if not torch.isfinite(x.sum()):
            raise InterpError(f"Batch {number} holds activations that are not finite (NaN or infinite).")
        d_in = x.shape[1]
        yield x
    raise InterpError(
        f"The stream of activations ended after {number + 1 if d_in else start} batches; train for fewer "
        "steps, or let the stream begin again."
    )


def _scale(opening: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Mean of the first batches, and the scale that gives their deviations a mean squared norm of d_in."""
    x = opening.double()
    variance = float((x - x.mean(0)).square().sum(1).mean())
    if not variance > 1e-12 * float(x.square().sum(1).mean()):
        raise InterpError("The activations are constant: there is nothing to explain by features.")
    return x.mean(0).float(), (x.shape[1] / variance) ** 0.5


# --- checkpoints ---


def _save(path: Path, plan: dict, learners: list[Learner], scale: float, done: int, history: list) -> None:
    tensors, numbers = {}, []
    for i, learner in enumerate(learners):
        of, values = learner.state()
        tensors |= {f"{i}.{name}": tensor.contiguous() for name, tensor in of.items()}
        numbers.append(values)
    facts = {"plan": plan, "scale": scale, "done": done, "numbers": numbers, "history": history}
    text = json.dumps(facts)
    whole = {"sha256": _digest(tensors, text), "facts": text}
    save_tensors(path, tensors, "training", whole, "a checkpoint")


def _digest(tensors: dict[str, torch.Tensor], text: str = "") -> str:
    """SHA-256 of tensors with their names and shapes, and of a text."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().cpu().numpy())
    return digest.hexdigest()


def _load(path: Path, plan: dict, configs: list[Config], device: str) -> tuple:
    cure = "delete it to start again"
    with saved_tensors(path, "training", "a checkpoint", "pt", cure) as (tensors, whole):
        if _digest(tensors, whole["facts"]) != whole["sha256"]:
            raise InterpError(f"The checkpoint {path} is damaged (checksum); {cure}.")
        facts = json.loads(whole["facts"])
        changed = ", ".join(key for key in plan if facts["plan"].get(key) != plan[key])
        if changed:
            raise InterpError(
                f"The checkpoint {path} is of another training (other {changed}); use another folder, or "
                "delete it."
            )
        learners = []
        for i, config in enumerate(configs):
            of = {name.partition(".")[2]: t for name, t in tensors.items() if name.startswith(f"{i}.")}
            learners.append(Learner(config, of["weight.decoder_bias"], device))
            learners[-1].restore(of, facts["numbers"][i])
        return learners, facts["scale"], facts["done"], facts["history"]
