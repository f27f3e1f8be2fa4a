"""The interface of the project's first notes, as a few lines on top of :func:`interp.capture`.

Two things differ from what those notes said. All steps of a clip are kept, not the last one alone; and the
first axis of a captured tensor, which they took for the codebooks, is the doubled batch of classifier-free
guidance: ``[guidance row (conditional, null), clip, step, d_model]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .activations import capture
from .errors import InterpError, check_list
from .generation import Generation
from .model import Model


class ActivationExtractor:
    """Generate clips and get the residual stream after some blocks.

    Parameters
    ----------
    model : Model or audiocraft.models.MusicGen
        From ``interp.load``, or audiocraft's own, whose generation parameters are then used.
    layers : list of int
        Blocks to capture.
    store_on_cpu : bool
        Keep captured tensors on the CPU.
    """

    def __init__(self, model, layers: Sequence[int], store_on_cpu: bool = True) -> None:
        self.model = model if isinstance(model, Model) else Model(model, name=model.name)
        self.layers, self.store_on_cpu = check_list(layers, "layers"), store_on_cpu
        self.generation: Generation | None = None

    def generate(self, prompts: list[str | None], seed: int = 0) -> torch.Tensor:
        """Generate one clip per prompt: audio [clip, channel, sample]."""
        set_by_user = self.model.musicgen
        self.generation = self.model.generate(
            prompts,
            seconds=set_by_user.duration,
            seed=seed,
            cfg_coef=set_by_user.generation_params["cfg_coef"],
            temperature=set_by_user.generation_params["temp"],
            top_k=set_by_user.generation_params["top_k"],
            two_step_cfg=set_by_user.generation_params["two_step_cfg"],
        )
        return self.generation.audio

    def get_activations(self) -> dict[str, torch.Tensor]:
        """``{"layer_12": [guidance row, clip, step, d_model], ...}`` of the clips generated last.

        Raises
        ------
        InterpError
            If nothing was generated, or it was cleared.
        """
        if self.generation is None:
            raise InterpError("There are no activations yet: call generate([...]) first.")
        found = capture(self.model, self.generation, self.layers, rows="both", store_on_cpu=self.store_on_cpu)
        return {f"layer_{layer}": found[f"resid.{layer}"] for layer in self.layers}

    def clear_activations(self) -> None:
        """Forget the clips generated last."""
        self.generation = None


def cosine_similarity(first: torch.Tensor, second: torch.Tensor) -> float:
    """Cosine between the mean vectors of two captures, conditional rows only.

    A value near 1 is what any two clips give, since all activations share a large common offset: it says
    nothing without a comparison within and between conditions (``interp.stats.contrast``).
    """
    pooled = [(x[0] if x.dim() == 4 else x).float().reshape(-1, x.shape[-1]).mean(0) for x in (first, second)]
    if pooled[0].shape != pooled[1].shape:
        raise InterpError(
            f"Widths differ: {len(pooled[0])} and {len(pooled[1])}; compare the same layer of one model."
        )
    return torch.nn.functional.cosine_similarity(*pooled, dim=0).item()
