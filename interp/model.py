"""A MusicGen with its architecture read off it."""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import torch

from .errors import InterpError

if TYPE_CHECKING:
    from audiocraft.models import MusicGen

    from .generation import Generation
    from .hooks import Pass


class Model:
    """A text-to-music model, ready to generate and to be looked into.

    Parameters
    ----------
    musicgen : audiocraft.models.MusicGen
        The model as audiocraft gives it.
    name : str
        How it is called in results.
    twin_seed : int, optional
        The seed that its weights were drawn from, if it is a random twin.

    Raises
    ------
    InterpError
        If the model is not conditioned by one text encoder through cross-attention alone, or its codebooks
        are not interleaved by fixed delays: hooks would see something else than documented.
    """

    def __init__(self, musicgen: MusicGen, name: str, twin_seed: int | None = None) -> None:
        self.musicgen, self.name, self.twin_seed = musicgen, name, twin_seed
        self.current_pass: Pass | None = None  # set while a run of this library is under way, see hooks.py
        conditioners = self.lm.condition_provider.conditioners
        others = [k for method, ks in self.lm.fuser.fuse2cond.items() if method != "cross" for k in ks]
        if list(conditioners) != ["description"] or others or not hasattr(conditioners["description"], "t5"):
            raise InterpError(
                f"{name} is not a text-to-music model: it is conditioned on {', '.join(conditioners)}; "
                "use one that takes a text description alone, such as facebook/musicgen-small."
            )
        pattern = self.lm.pattern_provider
        if not hasattr(pattern, "delays") or pattern.flatten_first or pattern.empty_initial:
            raise InterpError(f"{name} interleaves its codebooks in another way than by fixed delays.")

    def __reduce__(self):
        """To another process a model travels by its name: it is loaded again there, and must be the same.

        Raises
        ------
        InterpError
            If it carries hooks or steering, which would stay behind.
        """
        if hooked := self.hooked:
            raise InterpError(
                f"{self.name} has a hook on {hooked}, which cannot go to another process with it."
            )
        return _again, (self.name, str(self.device), self.twin_seed, self.backend, self.hash)

    # --- parts ---

    @property
    def lm(self):
        """The language model, ``audiocraft.models.LMModel``."""
        return self.musicgen.lm

    @property
    def codec(self):
        """The ``CompressionModel`` between waveforms and tokens."""
        return self.musicgen.compression_model

    @property
    def text_encoder(self):
        """The ``T5Conditioner``."""
        return self.lm.condition_provider.conditioners["description"]

    @property
    def backend(self) -> str:
        """What runs it: "audiocraft" or "transformers", see :mod:`interp.backends`."""
        return "transformers" if hasattr(self.lm, "places") else "audiocraft"

    # --- facts ---

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return self.musicgen.device

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.lm.transformer.layers)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.lm.dim

    @property
    def n_heads(self) -> int:
        """Attention heads in a block."""
        return self.lm.transformer.layers[0].self_attn.num_heads

    @property
    def d_mlp(self) -> int:
        """Hidden width of the MLP."""
        block = self.lm.transformer.layers[0]
        return (block.linear1 if hasattr(block, "linear1") else block.fc1).out_features

    @property
    def n_codebooks(self) -> int:
        """Tokens per frame."""
        return self.lm.num_codebooks

    @property
    def cardinality(self) -> int:
        """Entries in a codebook."""
        return self.lm.card

    @property
    def special_token(self) -> int:
        """The token where the delay pattern has no code."""
        return self.lm.special_token_id

    @property
    def delays(self) -> list[int]:
        """Delay of every codebook, in steps."""
        return list(self.lm.pattern_provider.delays)

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return float(self.musicgen.frame_rate)

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return int(self.musicgen.sample_rate)

    @property
    def channels(self) -> int:
        """Audio channels."""
        return int(self.musicgen.audio_channels)

    @property
    def max_seconds(self) -> float:
        """Longest clip that is generated in one window, in seconds."""
        return float(self.musicgen.max_duration)

    @property
    def d_text(self) -> int:
        """Width of the text encoder, before it is projected to ``d_model``."""
        return self.text_encoder.dim

    @property
    def n_parameters(self) -> int:
        """Parameters of the language model, text encoder and codec not counted."""
        return sum(p.numel() for p in self.lm.parameters())

    def describe(self) -> dict[str, Any]:
        """All facts as a dict of plain values, for tables, manifests and the architecture diagram."""
        names = (
            "name twin_seed n_layers d_model n_heads d_mlp n_codebooks cardinality special_token delays "
            "frame_rate sample_rate channels max_seconds d_text n_parameters"
        )
        facts = {key: getattr(self, key) for key in names.split()}
        return facts | {
            "device": str(self.device),
            "dtype": str(next(self.lm.parameters()).dtype).removeprefix("torch."),
            "n_parameters_text_encoder": sum(p.numel() for p in self.text_encoder.t5.parameters()),
            "n_parameters_codec": sum(p.numel() for p in self.codec.parameters()),
            "positions": self.lm.transformer.positional_embedding,
            "pre_norm": bool(getattr(self.lm.transformer.layers[0], "norm_first", True)),
            "backend": self.backend,
        }

    @property
    def hooked(self) -> str | None:
        """The first module of the language model that carries a hook; None where none does."""
        modules = self.lm.named_modules()
        return next((name or "lm" for name, m in modules if m._forward_hooks or m._forward_pre_hooks), None)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all weights (language model, text encoder, codec), with their names and shapes."""
        return _sha256(self.lm, self.text_encoder.t5, self.codec)

    @cached_property
    def codec_hash(self) -> str:
        """The same of the codec alone: models that share it hear the same tokens."""
        return _sha256(self.codec)

    def generate(self, prompts: list[str | None], seconds: float = 8, seed: int = 0, **options) -> Generation:
        """Generate one clip per prompt; see :func:`interp.generation.generate` for all options."""
        from .generation import generate

        return generate(self, prompts, seconds=seconds, seed=seed, **options)

    def __repr__(self) -> str:
        size = f"{self.n_layers} layers, d_model {self.d_model}, {self.n_parameters:,} parameters"
        return f"Model({self.name}: {size})"


@cache
def _again(name: str, device: str, twin_seed: int | None, backend: str, weights: str) -> Model:
    """The model of a name in this process, once."""
    from .loading import load

    found = load(name, device, twin_seed, backend)
    if found.hash != weights:
        raise InterpError(f"{name} has other weights than it had when it was loaded first; load it again.")
    return found


def _sha256(*parts: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for key, value in sorted(part.state_dict().items()):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
