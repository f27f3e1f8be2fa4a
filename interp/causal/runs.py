"""Runs for :func:`interp.causal.patch.patch`: finished clips heard once more, or clips generated anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from ..activations import batches_of, interleave, kept_steps
from ..errors import InterpError, check_positive, check_whole, unknown
from ..generation import Generation, check_prompts, text_length
from ..hooks import Edit, Pass, hook, running
from ..sampling import delayed, text_condition
from ..sites import find_site

if TYPE_CHECKING:
    from ..model import Model

NONE = -100  # no token here; what torch's cross_entropy leaves out


@dataclass(frozen=True, eq=False)
class Heard:
    """What a metric sees of some clips in a teacher-forced pass, at clean steps.

    Attributes
    ----------
    clips : list of int
        Indices in the whole run.
    logits : torch.Tensor
        [clip, codebook, step, entry] float32; of conditional and null rows together they are the guided ones.
    tokens : torch.Tensor
        [clip, codebook, step]: what came, :data:`NONE` where nothing did.
    seconds : torch.Tensor
        [step], as in :class:`interp.Activations`.
    activations : dict
        From each site of ``read`` to [clip, step, width]: with an intervention there, as it left them.
    """

    clips: list[int]
    logits: torch.Tensor
    tokens: torch.Tensor
    seconds: torch.Tensor
    activations: Mapping[str, torch.Tensor]

    @property
    def cross_entropy(self) -> torch.Tensor:
        """Mean over steps in nats per token: [clip, codebook]."""
        loss = cross_entropy(self.logits.movedim(-1, 1), self.tokens, reduction="none", ignore_index=NONE)
        return loss.sum(-1) / (self.tokens != NONE).sum(-1)

    def pooled(self, site: str) -> torch.Tensor:
        """Mean over steps in float32: [clip, width]."""
        if site not in self.activations:
            raise unknown("site among those read", site, self.activations)
        return self.activations[site].float().mean(1)


class TeacherForced:
    """Finished tokens in one pass, as :func:`interp.capture` makes it; gradients flow through it.

    Parameters
    ----------
    clips : Generation
        Heard with their own prompts, see :func:`prompt_pair`.
    read : list of str
        Sites whose activations the metric needs. With both rows, those of the conditional ones.
    rows : str
        Rows in the pass: "cond", "null", or "both", which are guided by the clips' own ``cfg_coef``.
    batch_size : int, optional
        Clips in a pass; None takes that of the generation.

    Raises
    ------
    InterpError
        For an unknown site or rows, and clips that the model cannot hear in one window.
    """

    def __init__(
        self,
        model: Model,
        clips: Generation,
        read: Sequence[str] = (),
        rows: str = "cond",
        batch_size: int | None = None,
    ) -> None:
        if rows not in ("cond", "null", "both"):
            raise unknown("rows", rows, ("cond", "null", "both"))
        self.model, self.generation, self.read = model, clips, [find_site(model, s).name for s in read]
        self.groups = ("cond", "null") if rows == "both" else (rows,)
        self.steps, self.keep, self.seconds = kept_steps(model, clips, "clean")
        self.clips, self.frame_rate = len(clips), model.frame_rate
        self.batch_size = clips.batch_size if batch_size is None else check_whole(batch_size, "batch_size", 1)

    def check(self, site: str) -> None:
        """Raise :class:`InterpError` if there is no such site."""
        find_site(self.model, site)

    def __call__(self, edits: Mapping[str, Edit], rows: str = "cond") -> Iterator[tuple[list[int], Heard]]:
        """Batch by batch, the indices of its clips and what was heard of them."""
        for clips in batches_of(self.generation.text_steps, self.batch_size):
            seen: dict[str, torch.Tensor] = {}

            def reader(site: str, seen=seen) -> Edit:
                def read(x: torch.Tensor, layout: Pass, group: str) -> None:
                    seen[site] = x[:, self.keep]

                return read

            # Hooks of a site see it in the order of their making: what is read has been edited.
            with (
                hook(self.model, edits, rows),
                hook(self.model, {s: reader(s) for s in self.read}, self.groups[0]),
            ):
                logits = self._logits(clips)
            yield clips, self._heard(clips, logits, seen)

    def _logits(self, clips: list[int]) -> torch.Tensor:
        """[row, codebook, step, entry]"""
        model, all_clips = self.model, self.generation
        prompts = {"cond": [all_clips.prompts[i] for i in clips], "null": [None] * len(clips)}
        length, frames = all_clips.text_steps[clips[0]], all_clips.tokens.shape[-1]
        layout = Pass(len(clips), (self.groups,), clips, run_clips=self.clips, frames=frames)
        sequence = interleave(model, all_clips.tokens[clips].to(model.device))
        with running(model, layout), model.musicgen.autocast:
            texts = [text_condition(model, prompts[group], length) for group in self.groups]
            condition = {"description": tuple(torch.cat(parts) for parts in zip(*texts, strict=True))}
            return model.lm(sequence.repeat(len(texts), 1, 1), conditions=[], condition_tensors=condition)

    def _heard(self, clips: list[int], logits: torch.Tensor, seen: Mapping[str, torch.Tensor]) -> Heard:
        model = self.model
        parts = logits[:, :, self.keep].float().chunk(len(self.groups))
        if len(parts) > 1:
            cond, null = parts
            parts = (null + (cond - null) * self.generation.cfg_coef,)
        tokens = self.generation.tokens[clips].to(model.device)
        # A step predicts the token that goes in at the next one.
        following = delayed(tokens, model.delays, model.special_token)[..., 1:][..., self.keep]
        following = following.masked_fill(following == model.special_token, NONE)
        return Heard(clips, parts[0], following, self.seconds, dict(seen))


class Generated:
    """Clips generated anew under each intervention; the metric sees the :class:`interp.Generation`.

    The draws of a clip stay the same (see :func:`interp.generation.generate`), so what changes is due to the
    intervention. Step-aligned sources are of no use once other tokens were drawn; take those of the clip.

    Parameters
    ----------
    prompts : list of (str or None)
    seconds : float
    options : of :func:`interp.generation.generate`.
    """

    groups = ("cond", "null")

    def __init__(self, model: Model, prompts: list[str | None], seconds: float = 8, **options: Any) -> None:
        check_positive(seconds, "seconds")
        self.model, self.prompts = model, check_prompts(prompts)
        self.options = {"progress": False, **options, "seconds": seconds}
        self.clips, self.frame_rate = len(prompts), model.frame_rate
        self.steps = int(seconds * model.frame_rate) + max(model.delays)

    def check(self, site: str) -> None:
        """Raise :class:`InterpError` if there is no such site."""
        find_site(self.model, site)

    def __call__(self, edits: Mapping[str, Edit], rows: str = "cond") -> Iterator[tuple[range, Generation]]:
        """All clips at once."""
        with hook(self.model, edits, rows):
            generation = self.model.generate(self.prompts, **self.options)
        yield range(self.clips), generation


def prompt_pair(
    model: Model, clips: Generation, prompts: Sequence[str | None]
) -> tuple[Generation, Generation]:
    """The same tokens under their own prompts and under others, with all else equal.

    Cross-attention sees the padding of a text, so both texts of a pair are padded to the longer one.
    """
    prompts = check_prompts(list(prompts))
    if len(prompts) != len(clips):
        raise InterpError(
            f"Unpaired inputs: {len(prompts)} prompts for {len(clips)} clips; give one for each."
        )
    lengths = [text_length(model, list(pair)) for pair in zip(clips.prompts, prompts, strict=True)]
    return replace(clips, text_steps=lengths), replace(clips, text_steps=lengths, prompts=prompts)


def reading(readout: Any) -> Callable[[Heard], torch.Tensor]:
    """The metric that a linear readout gives at its site, [clip].

    Parameters
    ----------
    readout : with ``site``, ``weights`` [width] and ``offset``
        Such as :class:`interp.causal.mediation.Readout`. The run must ``read`` the site.
    """

    def metric(heard: Heard) -> torch.Tensor:
        x = heard.pooled(readout.site)
        return x @ torch.as_tensor(readout.weights).to(x) + readout.offset

    return metric
