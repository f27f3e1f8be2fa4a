"""Generate clips, and keep with them all that it takes to generate or look into them again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from . import codec
from .decoder import DECODERS, why_not
from .disk import save_tensors, saved_tensors
from .errors import InterpError, check_list, check_positive, check_whole, unknown
from .processes import each, processes
from .sampling import sample_tokens

if TYPE_CHECKING:
    from .model import Model


@dataclass(frozen=True, eq=False)
class Generation:
    """Clips with their tokens, and the settings that made them.

    Attributes
    ----------
    tokens : torch.Tensor
        [clip, codebook, frame], int64, on the CPU; an audio prompt's frames come first.
    audio : torch.Tensor
        [clip, channel, sample], float32, on the CPU, as the codec gives it (level is a cue: not normalised).
    prompts : list of (str or None)
        One text per clip; None is the null prompt.
    text_steps : list of int
        Per clip, the length in text tokens that its prompt was padded to. Cross-attention sees the padding,
        so activations depend on it; keeping it makes them repeatable whatever clips are taken together.
    prompt_frames : int
        Frames of ``tokens`` that were given as an audio prompt.
    streams : list of int
        Per clip, the number of its random stream: its draws depend on ``seed`` and this number alone.
    decoder : str
        What ran the steps, see :func:`generate`.
    drawn : bool
        False for encoded audio files, which were never drawn.
    """

    tokens: torch.Tensor
    audio: torch.Tensor
    prompts: list[str | None]
    seconds: float
    seed: int
    cfg_coef: float
    batch_size: int
    temperature: float
    top_k: int
    two_step_cfg: bool
    sample_rate: int
    frame_rate: float
    text_steps: list[int]
    prompt_frames: int = 0
    model: str = ""
    streams: list[int] = field(default_factory=list)
    decoder: str = "cached"
    drawn: bool = True

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, which: int | slice | list[int]) -> Generation:
        """Select clips; the settings stay."""
        try:
            chosen = np.atleast_1d(np.arange(len(self))[which]).tolist()
        except IndexError as error:
            raise InterpError(f"No clip {which!r} in a generation of {len(self)} clips.") from error
        if not chosen:
            raise InterpError(f"{which!r} selects none of the {len(self)} clips.")
        return replace(
            self,
            tokens=self.tokens[chosen],
            audio=self.audio[chosen],
            prompts=[self.prompts[i] for i in chosen],
            text_steps=[self.text_steps[i] for i in chosen],
            streams=[self.streams[i] for i in chosen if self.streams],
        )

    def until(self, seconds: float) -> Generation:
        """The beginning of every clip, in whole frames."""
        check_positive(seconds, "seconds")
        frames = round(seconds * self.frame_rate)
        if not 0 < frames <= self.tokens.shape[-1]:
            raise InterpError(f"Clips of {self.seconds:g} s have no beginning of {seconds:g} s.")
        seconds = frames / self.frame_rate
        samples = round(seconds * self.sample_rate)
        return replace(
            self,
            tokens=self.tokens[..., :frames],
            audio=self.audio[..., :samples],
            seconds=seconds,
            prompt_frames=min(self.prompt_frames, frames),
        )

    @classmethod
    def joined(cls, parts: Sequence[Generation]) -> Generation:
        """Clips of several generations as one, in order; settings are those of the first.

        Raises
        ------
        InterpError
            If there is none, or they are of different lengths, models, or numbers of clips in a batch.
        """
        parts = check_list(list(parts), "parts")
        alike = ("model", "seconds", "prompt_frames", "batch_size", "cfg_coef")
        for name in alike:
            if len({getattr(part, name) for part in parts}) != 1:
                raise InterpError(f"Generations to be joined must have one {name}.")
        lists = {
            name: sum((getattr(p, name) for p in parts), []) for name in ("prompts", "text_steps", "streams")
        }
        tensors = {name: torch.cat([getattr(p, name) for p in parts]) for name in ("tokens", "audio")}
        return replace(parts[0], **lists, **tensors)

    def save(self, path: str | Path) -> Path:
        """Write tokens, audio and settings into one safetensors file, atomically.

        Raises
        ------
        InterpError
            If it cannot be written, as where the disk is full.
        """
        settings = {k: v for k, v in asdict(self).items() if k not in ("tokens", "audio")}
        tensors = {"tokens": self.tokens.contiguous(), "audio": self.audio.contiguous()}
        return save_tensors(path, tensors, "generation", settings, "a generation")

    @classmethod
    def load(cls, path: str | Path) -> Generation:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InterpError
            If there is no such file, or it is not a generation of this version.
        """
        cure = "delete it and generate it again"
        with saved_tensors(path, "generation", "a generation", "pt", cure) as (tensors, settings):
            if set(settings) | set(tensors) != {f.name for f in fields(cls)}:
                raise InterpError(f"{path} was written by another version of this library; {cure}.")
            return cls(**tensors, **settings)


@torch.no_grad()
def generate(
    model: Model,
    prompts: list[str | None],
    seconds: float = 8,
    seed: int = 0,
    cfg_coef: float = 3.0,
    batch_size: int | None = None,
    temperature: float = 1.0,
    top_k: int = 250,
    two_step_cfg: bool = False,
    audio_prompt: list[str | Path] | torch.Tensor | None = None,
    streams: list[int] | None = None,
    decoder: str = "cached",
    progress: bool = True,
) -> Generation:
    """Generate one clip per prompt, batches by as many processes as there may be (:mod:`interp.processes`).

    A clip depends on its own prompt, the seed, the number of its random stream, and the length in tokens of
    the longest text in its batch, for texts are padded to it and the model sees the padding. It does not
    depend on the batch size or on the other clips' draws (up to rounding: a matrix product of another size
    may differ in the last bit, which changes a token only where two were as good as equal). To compare
    conditions, use prompts of equal length in tokens or ``batch_size=1``. The global random state is left as
    it was.

    Parameters
    ----------
    model : Model
        From ``interp.load``.
    prompts : list of (str or None)
        Texts; None is the null prompt.
    seconds : float
        Length of every clip, an audio prompt included.
    seed : int
        Of the draws.
    cfg_coef : float
        Strength of classifier-free guidance; 1 leaves the conditional prediction as it is.
    batch_size : int, optional
        Clips per batch; None takes all at once.
    temperature, top_k
        Of the sampling; temperature 0 takes the most likely token, top_k 0 draws among all.
    two_step_cfg : bool
        Conditional and null rows in two calls instead of one.
    audio_prompt : list of paths, or torch.Tensor, optional
        Audio to continue: one file per prompt, or [clip, channel, sample] at the model's sample rate.
    streams : list of int, optional
        Number of every clip's random stream; None counts 0, 1, 2, … Clips of the same number draw the same
        variates, so that what differs between them is not chance but prompt or edit.
    decoder : str
        "cached" keeps keys and values in tensors of full length: it runs the steps with
        :class:`~interp.decoder.CachedDecoder`, or with transformers' forward pass on such tensors. Where that
        cannot be, it warns with the reason and does as "audiocraft", the backend's own way of going on, which
        makes them anew at every step: slower, the same up to rounding.
    progress : bool
        Show a progress bar.

    Raises
    ------
    InterpError
        For an empty list, a string in place of a list, seconds <= 0, an audio prompt that is unreadable or
        not shorter than the clip, and logits that are not finite.
    """
    prompts = check_prompts(prompts)
    check_positive(seconds, "seconds")
    frames = int(seconds * model.frame_rate)
    shortest = max(model.delays) + 1
    if frames < shortest:
        raise InterpError(
            f"seconds={seconds} is too short: {model.name} needs {shortest / model.frame_rate:g} s."
        )
    batch_size = len(prompts) if batch_size is None else check_whole(batch_size, "batch_size", 1)
    if not temperature >= 0:
        raise InterpError(f"temperature must be 0 or more, not {temperature!r}.")
    streams = list(range(len(prompts))) if streams is None else check_list(streams, "streams")
    if len(streams) != len(prompts):
        raise InterpError(f"{len(streams)} streams for {len(prompts)} prompts; give one per prompt.")
    if decoder not in DECODERS:
        raise unknown("decoder", decoder, DECODERS)
    if decoder == "cached" and (reason := why_not(model)):
        warnings.warn(
            f"{model.name} is run by audiocraft's own forward pass, which is slower: {reason}. "
            "Say decoder='audiocraft' if that is meant.",
            stacklevel=2,
        )
        decoder = "audiocraft"
    prefix = _encode_prompt(model, audio_prompt, len(prompts), frames)
    batches = [prompts[i : i + batch_size] for i in range(0, len(prompts), batch_size)]
    plan = Generation(
        tokens=prefix,
        audio=torch.empty(len(prompts), model.channels, 0),
        prompts=prompts,
        seconds=float(seconds),
        seed=check_whole(seed, "seed", 0),
        cfg_coef=float(cfg_coef),
        batch_size=batch_size,
        temperature=float(temperature),
        top_k=check_whole(top_k, "top_k", 0),
        two_step_cfg=bool(two_step_cfg),
        sample_rate=model.sample_rate,
        frame_rate=model.frame_rate,
        text_steps=[text_length(model, batch, two_step_cfg) for batch in batches for _ in batch],
        prompt_frames=prefix.shape[-1],
        model=model.name,
        streams=[check_whole(number, "A number in streams", 0) for number in streams],
        decoder=decoder,
    )
    if model.hooked or processes() == 1:  # a hook stays in this process
        return replace(plan, **_drawn(model, plan, progress))
    starts = range(0, len(prompts), batch_size)
    drawn = each(
        lambda start: _drawn(model, plan[start : start + batch_size], progress=False),
        starts,
        f"generate {len(prompts)} clip{'s' * (len(prompts) > 1)}" if progress else None,
    )
    return replace(plan, **{name: torch.cat([part[name] for part in drawn]) for name in drawn[0]})


def _drawn(model: Model, plan: Generation, progress: bool) -> dict[str, torch.Tensor]:
    tokens = sample_tokens(model, plan, progress=progress)
    return {"tokens": tokens, "audio": codec.decode_in_batches(model, tokens, plan.batch_size)}


def undrawn(
    model: Model,
    tokens: torch.Tensor,
    prompts: list[str | None],
    audio: torch.Tensor | None = None,
    batch_size: int = 8,
) -> Generation:
    """Tokens [clip, codebook, frame] that were not drawn, as a generation; seed and guidance mean nothing."""
    return Generation(
        tokens=tokens,
        audio=torch.empty(len(tokens), model.channels, 0) if audio is None else audio,
        prompts=prompts,
        seconds=tokens.shape[-1] / model.frame_rate,
        seed=0,
        cfg_coef=1.0,
        batch_size=batch_size,
        temperature=0.0,
        top_k=0,
        two_step_cfg=False,
        sample_rate=model.sample_rate,
        frame_rate=model.frame_rate,
        text_steps=[text_length(model, [prompt]) for prompt in prompts],
        prompt_frames=tokens.shape[-1],
        model=model.name,
        drawn=False,
    )


def check_prompts(prompts: list[str | None]) -> list[str | None]:
    """Return the prompts if they are a non-empty list of strings and Nones, else raise."""
    prompts = check_list(prompts, "prompts")
    for prompt in prompts:
        if prompt is not None and not isinstance(prompt, str):
            raise InterpError(f"A prompt must be a string or None, not {prompt!r}.")
    return prompts


def text_length(model: Model, prompts: list[str | None], two_step_cfg: bool = False) -> int:
    """Length in text tokens that a batch of prompts is padded to."""
    nulls = [] if two_step_cfg else [None]  # in one batch, the null rows take part in the padding
    return model.text_encoder.tokenize([*prompts, *nulls])["input_ids"].shape[1]


def _encode_prompt(model: Model, audio_prompt, clips: int, frames: int) -> torch.Tensor:
    """Tokens [clip, codebook, frame] of the audio to continue; no frames if there is none."""
    if audio_prompt is None:
        return torch.zeros(clips, model.n_codebooks, 0, dtype=torch.long)
    from .audio import encode_waveforms, read_waveforms

    if not isinstance(audio_prompt, torch.Tensor):
        audio_prompt = read_waveforms(audio_prompt, model.sample_rate, model.channels)
    if audio_prompt.dim() != 3 or audio_prompt.shape[0] != clips:
        raise InterpError(
            f"audio_prompt has shape {tuple(audio_prompt.shape)}; it must be [clip, channel, sample] "
            f"with {clips} clips, one per prompt."
        )
    tokens = encode_waveforms(model, audio_prompt)
    if tokens.shape[-1] >= frames:
        raise InterpError(
            f"The audio prompt has {tokens.shape[-1]} frames and the clip {frames}: give more seconds."
        )
    if tokens.shape[-1] >= (longest := int(model.max_seconds * model.frame_rate)):
        raise InterpError(
            f"The audio prompt has {tokens.shape[-1]} frames, and {model.name} sees {longest} at a time: "
            "give a shorter one."
        )
    return tokens
