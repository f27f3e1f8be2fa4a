"""Activations of finished clips, in one teacher-forced pass or while they are generated again.

A transformer with a causal mask computes the same thing at a step whether the later steps are there or not.
So the activations of a generation need not be caught while it runs: its finished tokens, interleaved by the
delay pattern, go through the model once, and every step is seen in that single call.  The streaming way
hooks the real generation, step by step.  Both give the same numbers (``tests/interp/test_activations.py``).

A clip that is longer than the model's longest was made in several windows, and is gone through in the same.
Each step is kept as the first window saw it that had no special tokens there: as it was when it was drawn.

Sequence step s carries frame s - 1 - q of codebook q (delays 0, 1, 2, ...).  The first steps and the last
few hold special tokens in some codebook; *clean* steps hold none, and only these are kept by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from tqdm import tqdm

from .errors import InterpError, check_whole, unknown
from .generation import Generation
from .halving import in_batches
from .hooks import Pass, running
from .sampling import delayed, sample_tokens, text_condition, windows
from .sites import Site, expand_sites

if TYPE_CHECKING:
    from .corpora import Corpus
    from .model import Model
    from .store import Store


@dataclass(frozen=True, eq=False)
class Activations(Mapping):
    """Captured tensors by site name.

    A value is [clip, step, width]; with ``rows="both"`` it is [2, clip, step, width], conditional rows first.

    Attributes
    ----------
    tensors : dict of str to torch.Tensor
        In the model's own precision.
    seconds : torch.Tensor
        [step], float64. At a step the model has heard this much of the clip, and predicts what comes next.
    prompts : list of (str or None)
        Text of each clip.
    rows : str
        "cond", "null" or "both".
    model : str
        Name of the model.
    """

    tensors: dict[str, torch.Tensor]
    seconds: torch.Tensor
    prompts: list[str | None]
    rows: str
    model: str

    def __getitem__(self, site: str) -> torch.Tensor:
        if site not in self.tensors:
            raise unknown("captured site", site, self.tensors)
        return self.tensors[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def pooled(self, site: str) -> torch.Tensor:
        """Mean over steps in float32: [clip, width] (or [2, clip, width])."""
        return self[site].float().mean(-2)

    def __repr__(self) -> str:
        first = next(iter(self.tensors))
        return f"Activations({list(self.tensors)}, {first}: {list(self[first].shape)}, rows={self.rows!r})"


@torch.no_grad()
def capture(
    model: Model,
    clips: Generation | Corpus | Sequence[str | Path],
    layers: Sequence[int] | None = None,
    sites: Sequence[str] = ("resid",),
    rows: str = "cond",
    streaming: bool = False,
    store_on_cpu: bool = True,
    steps: str = "clean",
    seconds: float | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    to: str | Path | Store | None = None,
    dtype: str = "float16",
    worker: tuple[int, int] = (0, 1),
) -> Activations | Store:
    """Capture activations of clips at the sites asked for, into memory or into a store on disk.

    Parameters
    ----------
    model : Model
        From ``interp.load``.
    clips : Generation, Corpus or list of paths
        A generation; or a corpus or audio files, which are encoded and heard with the null prompt.
    layers : list of int, optional
        Blocks for the kinds in ``sites``; None means all.
    sites : list of str
        Kinds ("resid", "attn", "cross", "mlp", "head", "cross_head") or full names, see :mod:`interp.sites`.
    rows : str
        "cond": as conditioned by the prompt. "null": as in the unconditional half of classifier-free
        guidance. "both": the two stacked on a first axis of their own.
    streaming : bool
        Generate the clips again with hooks in place, rather than one pass over the finished tokens.
    store_on_cpu : bool
        Move what was captured to the CPU after every batch.
    steps : str
        "clean", or "all": also the first and last few, which hold special tokens.
    seconds : float, optional
        For a corpus or audio files: how much of each clip to take.
    batch_size : int, optional
        Clips in a teacher-forced pass; None takes that of the generation, and 8 for a corpus.
    progress : bool, optional
        Show a progress bar; by default when there is a store to fill.
    to : str, path or Store, optional
        Write into the store at this path, batch by batch. Clips that it holds already are not computed again:
        a capture that was killed goes on where it stopped, and on the same machine ends with the same bytes.
    dtype : str
        Precision in the store, "float16" or "float32".
    worker : (int, int)
        Which of how many workers this is; each fills a share of the store's batches.

    Returns
    -------
    Activations, or the Store if one was given.

    Raises
    ------
    InterpError
        For an unknown site, layer or rows; tokens that are not this model's; a streaming capture of
        clips that cannot be drawn again, or come out differently; activations that are not finite; a store
        that was made of other clips, another model or other settings, or cannot be written.
    """
    if rows not in ("cond", "null", "both"):
        raise unknown("rows", rows, ("cond", "null", "both"))
    if steps not in ("clean", "all"):
        raise unknown("steps", steps, ("clean", "all"))
    chosen = expand_sites(model, sites, layers)
    batch_size = None if batch_size is None else check_whole(batch_size, "batch_size", 1)
    if to is not None:
        if streaming:
            raise InterpError("A store is filled by teacher-forced passes; leave out streaming=True or to=.")
        from .store.filling import fill

        settings = {"rows": rows, "steps": steps, "seconds": seconds}
        return fill(model, clips, to, chosen, settings, batch_size, dtype, worker, progress is not False)
    progress = bool(progress)
    if not isinstance(clips, Generation):
        from .audio import encode

        clips = encode(model, clips, seconds, batch_size=batch_size or 8, keep_audio=False)
    n_steps, keep, times = kept_steps(model, clips, steps, by_windows=True)
    recorder = Recorder(model, chosen, rows, n_steps, keep, store_on_cpu)
    if streaming:
        _replay(model, clips, recorder, progress)
    else:
        _teacher_force(model, clips, recorder, batch_size or clips.batch_size, progress)
    return Activations(recorder.result(), times, list(clips.prompts), rows, model.name)


class Recorder:
    """Hooks that write what they see into buffers made beforehand, one per site and batch."""

    def __init__(
        self, model: Model, sites: list[Site], rows: str, n_steps: int, keep: slice, store_on_cpu: bool
    ) -> None:
        self.model, self.sites, self.n_steps, self.keep = model, sites, n_steps, keep
        self.groups = ("cond", "null") if rows == "both" else (rows,)
        self.stacked, self.store_on_cpu = rows == "both", store_on_cpu
        self.buffers: dict[str, torch.Tensor] = {}  # of the batch under way, [group, clip, step, width]
        self.parts: dict[str, list[tuple[list[int], torch.Tensor]]] = {site.name: [] for site in sites}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for site in self.sites:
                stack.callback(site.attach(self._writer(site)).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _writer(self, site: Site):
        name, columns, where_to = site.name, site.columns, {g: i for i, g in enumerate(self.groups)}

        def write(tensor: torch.Tensor) -> None:
            layout = self.model.current_pass
            buffer = self.buffers.get(name)
            if buffer is None:
                shape = (len(where_to), layout.clips, self.n_steps, site.width)
                buffer = self.buffers[name] = tensor.new_empty(shape)
            begin = layout.first_frame + layout.start
            known = min(max(0, layout.new_from - begin), layout.length)  # seen in the window before
            for group, where in layout.groups():
                if group in where_to:
                    part = tensor[where, known:, columns]
                    buffer[where_to[group], :, begin + known : begin + layout.length] = part

        return write

    def finish_batch(self, layout: Pass) -> None:
        """Set the batch's buffers aside."""
        for site in self.sites:
            name, buffer = site.name, self.buffers.get(site.name)
            if buffer is None:
                raise InterpError(f"{self.model.name} ran without ever reaching {name}.")
            kept = buffer[:, :, self.keep]
            if not torch.isfinite(kept).all():
                raise InterpError(
                    f"Activations at {name} of {self.model.name} are not finite (NaN or infinite)."
                )
            self.parts[name].append((layout.members, kept.cpu() if self.store_on_cpu else kept))
        self.buffers.clear()

    def result(self) -> dict[str, torch.Tensor]:
        """All batches together, clips in their order, by site."""
        whole = {}
        for name, parts in self.parts.items():
            order = torch.tensor([i for clips, _ in parts for i in clips])
            joined = torch.cat([part for _, part in parts], dim=1)
            if not torch.equal(order, torch.arange(len(order))):
                joined = joined[:, order.argsort()]
            whole[name] = joined if self.stacked else joined[0]
            parts.clear()  # a large capture must not be held twice
        return whole


def kept_steps(
    model: Model, clips: Generation, steps: str, by_windows: bool = False
) -> tuple[int, slice, torch.Tensor]:
    """Number of steps, which of them to keep, and the seconds of those.

    Raises :class:`InterpError` for tokens of another codec and for clips that are too short or, unless
    they are gone through ``by_windows``, longer than the model sees at a time.
    """
    _check_fits(model, clips, by_windows)
    n_steps = clips.tokens.shape[-1] + max(model.delays)
    keep = slice(max(model.delays) + 1, clips.tokens.shape[-1] + 1) if steps == "clean" else slice(0, n_steps)
    return n_steps, keep, torch.arange(n_steps, dtype=torch.float64)[keep] / model.frame_rate


def _check_fits(model: Model, clips: Generation, by_windows: bool) -> None:
    frames, longest = clips.tokens.shape[-1], int(model.max_seconds * model.frame_rate)
    if clips.tokens.shape[1] != model.n_codebooks or int(clips.tokens.max()) > model.special_token:
        raise InterpError(
            f"These tokens are not {model.name}'s: its codec has {model.n_codebooks} codebooks of "
            f"{model.cardinality}."
        )
    if frames > longest and not by_windows:
        raise InterpError(
            f"The clips have {frames / model.frame_rate:g} s, and {model.name} sees {model.max_seconds:g} s "
            "at a time; take shorter clips."
        )
    if frames <= max(model.delays):
        raise InterpError(f"The clips have {frames} frames; a clean step needs {max(model.delays) + 1}.")


def _replay(model: Model, clips: Generation, recorder: Recorder, progress: bool) -> None:
    """Generate again with hooks, and make sure that the same tokens come out."""
    if not clips.drawn:
        raise InterpError("Encoded audio cannot be generated again; use streaming=False.")
    with recorder:
        tokens = sample_tokens(
            model, clips, progress, after_batch=recorder.finish_batch, after_failure=recorder.buffers.clear
        )
    if not torch.equal(tokens, clips.tokens):
        raise InterpError(
            f"Generating again with seed {clips.seed} gave other tokens: this is another model, device or "
            "package version than the one that made these clips."
        )


def batches_of(text_steps: list[int], batch_size: int) -> list[list[int]]:
    """Indices of the clips that share a pass: those whose text was padded alike can."""
    by_length: dict[int, list[int]] = {}
    for clip, length in enumerate(text_steps):
        by_length.setdefault(length, []).append(clip)
    return [
        members[i : i + batch_size]
        for members in by_length.values()
        for i in range(0, len(members), batch_size)
    ]


def _teacher_force(
    model: Model, clips: Generation, recorder: Recorder, batch_size: int, progress: bool
) -> None:
    """One pass per batch over the finished tokens."""

    def listen(members: list[int]) -> None:
        length = clips.text_steps[members[0]]
        tokens = clips.tokens[members].to(model.device)
        prompts = {"cond": [clips.prompts[i] for i in members], "null": [None] * len(members)}
        frames = clips.tokens.shape[-1]
        layout = Pass(len(members), (recorder.groups,), members, run_clips=len(clips), frames=frames)
        with running(model, layout), model.musicgen.autocast:
            # Null rows may be padded to any length: all positions of a null text are zeros alike, and
            # attention over equal keys gives the same whatever their number.
            texts = [text_condition(model, prompts[group], length) for group in recorder.groups]
            condition = {"description": tuple(torch.cat(parts) for parts in zip(*texts, strict=True))}
            for first, stop, known in windows(model, frames):
                layout.first_frame, layout.new_from = first, known and known + 1
                sequence = interleave(model, tokens[..., first:stop])
                model.lm(sequence.repeat(len(texts), 1, 1), conditions=[], condition_tensors=condition)
        recorder.finish_batch(layout)

    batches = batches_of(clips.text_steps, batch_size)
    with recorder:
        for members in tqdm(batches, desc="capture", disable=not progress, leave=False):
            for _ in in_batches(listen, members, "capture", model.name, clean=recorder.buffers.clear):
                pass


def interleave(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """What goes into the calls of a generation, [clip, codebook, step], from [clip, codebook, frame]."""
    # The last step is drawn but never put in again.
    return delayed(tokens, model.delays, model.special_token)[..., :-1]
