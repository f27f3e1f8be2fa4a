"""Generate clips, and keep with them all that it takes to generate or look into them again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from .errors import InterpError, check_list, check_positive, check_whole
from .hooks import Pass, running

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
    whole : bool
        False for a selection of clips and for encoded audio files: what is left cannot be drawn again, since
        draws depend on the batch.
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
    whole: bool = True

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
            whole=self.whole and chosen == list(range(len(self))),
        )

    def save(self, path: str | Path) -> Path:
        """Write tokens, audio and settings into one safetensors file, atomically."""
        from safetensors.torch import save_file

        path = Path(path)
        settings = {k: v for k, v in asdict(self).items() if k not in ("tokens", "audio")}
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        tensors = {"tokens": self.tokens.contiguous(), "audio": self.audio.contiguous()}
        save_file(tensors, partial, metadata={"generation": json.dumps(settings)})
        os.replace(partial, path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Generation:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InterpError
            If there is no such file, or it is not a generation of this version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                settings = json.loads((file.metadata() or {})["generation"])
                tensors = {key: file.get_tensor(key) for key in ("tokens", "audio")}
        except (OSError, SafetensorError, KeyError) as error:
            raise InterpError(f"Cannot read a generation from {path}: {error}.") from error
        if set(settings) | set(tensors) != {f.name for f in fields(cls)}:
            raise InterpError(f"{path} was written by another version of this library; generate it again.")
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
    progress: bool = True,
) -> Generation:
    """Generate one clip per prompt.

    The same seed and batch size on the same machine give the same tokens; the global random state is left
    as it was. The text of a batch is padded to its longest prompt, and padding is seen by the model: to
    compare conditions, use prompts of equal length in tokens or ``batch_size=1``.

    Parameters
    ----------
    model : Model
        From ``interp.load``.
    prompts : list of (str or None)
        Texts; None is the null prompt.
    seed : int
        Of the draws. A batch draws all its clips at once, so a clip's tokens depend on the batch size too.
    seconds : float
        Length of every clip, an audio prompt included.
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
    progress : bool
        Show a progress bar.

    Raises
    ------
    InterpError
        For an empty list, a string in place of a list, seconds <= 0, or an audio prompt that is unreadable
        or not shorter than the clip.
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
    prefix = _encode_prompt(model, audio_prompt, len(prompts), frames)
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
        text_steps=[],
        prompt_frames=prefix.shape[-1],
        model=model.name,
    )
    tokens = sample_tokens(model, plan, progress=progress)
    audio = [
        model.codec.decode(part.to(model.device), None).float().cpu() for part in tokens.split(batch_size)
    ]
    steps = [
        text_length(model, batch, two_step_cfg) for batch in _batches(prompts, batch_size) for _ in batch
    ]
    return replace(plan, tokens=tokens, audio=torch.cat(audio), text_steps=steps)


@torch.no_grad()
def sample_tokens(
    model: Model, plan: Generation, progress: bool = False, after_batch: Callable[[Pass], None] | None = None
) -> torch.Tensor:
    """Draw the tokens that ``plan`` describes: [clip, codebook, frame], on the CPU.

    Only the first ``plan.prompt_frames`` frames of ``plan.tokens`` are read. ``after_batch`` is called with
    the finished :class:`~interp.hooks.Pass` of each batch.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    groups = (("cond",), ("null",)) if plan.two_step_cfg else (("cond", "null"),)
    parts: list[torch.Tensor] = []
    with (
        torch.random.fork_rng(devices),
        _settings(model, plan),
        tqdm(
            total=1.0,
            desc=f"generate {len(plan)} clips",
            disable=not progress,
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        ) as bar,
    ):
        torch.manual_seed(plan.seed)
        for first in range(0, len(plan), plan.batch_size):
            batch = plan.prompts[first : first + plan.batch_size]
            prefix = plan.tokens[first : first + len(batch), :, : plan.prompt_frames].to(model.device)
            model.musicgen.set_custom_progress_callback(_advance(bar, first, len(batch), len(plan)))
            attributes, _ = model.musicgen._prepare_tokens_and_attributes(batch, None)
            with running(model, Pass(len(batch), groups, first_clip=first)) as layout:
                tokens = model.musicgen._generate_tokens(
                    attributes, prefix if plan.prompt_frames else None, progress
                )
            parts.append(tokens.cpu())
            if after_batch is not None:
                after_batch(layout)
    return torch.cat(parts)


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


def _advance(bar: tqdm, first: int, size: int, total: int) -> Callable[[int, int], None]:
    """A callback that moves ``bar`` (0 to 1) within the share of one batch."""
    return lambda done, steps: bar.update(max(0.0, (first + size * min(1.0, done / steps)) / total - bar.n))


def _batches(items: list, size: int) -> Iterator[list]:
    return (items[i : i + size] for i in range(0, len(items), size))


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
    return tokens


@contextmanager
def _settings(model: Model, plan: Generation) -> Iterator[None]:
    """Set audiocraft's generation parameters, and put back what was there."""
    names = ("duration", "extend_stride", "generation_params", "_progress_callback")
    before = {name: getattr(model.musicgen, name) for name in names}
    try:
        model.musicgen.set_generation_params(
            use_sampling=plan.temperature > 0,
            temperature=plan.temperature,
            top_k=min(plan.top_k, model.cardinality),  # more than there are means all
            duration=plan.seconds,
            cfg_coef=plan.cfg_coef,
            two_step_cfg=plan.two_step_cfg,
            extend_stride=0.6 * model.max_seconds,  # 18 s of 30 in audiocraft, for any longest clip
        )
        # With two_step_cfg, audiocraft reads the strength from the model and not from these parameters.
        before_coef, model.lm.cfg_coef = model.lm.cfg_coef, plan.cfg_coef
        try:
            yield
        finally:
            model.lm.cfg_coef = before_coef
    finally:
        for name, value in before.items():
            setattr(model.musicgen, name, value)
