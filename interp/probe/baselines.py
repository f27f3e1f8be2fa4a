"""What the same clips look like to something that cannot know: vectors [clip, width] beside activations.

Every baseline is a function of a model and its clips, so that the one dictionary :data:`BASELINES` goes into
:func:`interp.probe.profile` beside the sites of the model::

    sites = {site: acts.pooled(site).numpy() for site in acts} | features(model, clips)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import unknown

if TYPE_CHECKING:
    from ..generation import Generation
    from ..model import Model


def codec_embeddings(model: Model, clips: Generation) -> np.ndarray:
    """Mean over time of the sum of the codebooks' embeddings, what goes into the first block: [clip, width].

    A readout of this knows which codes a clip is made of, not their order.
    """
    from ..activations import capture

    return capture(model, clips, sites=("resid.pre",), rows="null").pooled("resid.pre").numpy()


def acoustic_descriptors(model: Model, clips: Generation) -> np.ndarray:
    """Measured cues (:mod:`interp.descriptors`), each in units of its own spread, [clip, cue].

    A cue that a clip does not have is at the mean of the others; a cue that is the same in all is left out.
    """
    from ..cues import standardised
    from ..descriptors import describe_all

    return standardised(describe_all(clips.audio.numpy(), clips.sample_rate))


def text_embeddings(model: Model, clips: Generation) -> np.ndarray:
    """Mean over the prompt's tokens of what cross-attention reads, [clip, d_model]; zeros for no prompt."""
    import torch

    with torch.no_grad():
        values, mask = model.text_encoder(model.text_encoder.tokenize(list(clips.prompts)))
    mask = mask.to(values)[..., None]
    pooled = (values * mask).sum(1) / mask.sum(1).clamp(min=1)
    return pooled.float().cpu().numpy()


def random_twin(model: Model, clips: Generation, seed: int = 0) -> np.ndarray:
    """Mean activations of a twin with weights drawn from a seed, middle block, no words: [clip, d_model]."""
    from ..activations import capture
    from ..loading import load

    twin = load(model.name, device=str(model.device), twin_seed=seed)
    site = f"resid.{twin.n_layers // 2}"
    return capture(twin, clips, sites=(site,), rows="null").pooled(site).numpy()


BASELINES: dict[str, Callable[[Model, Generation], np.ndarray]] = {
    "codec embeddings": codec_embeddings,
    "acoustic descriptors": acoustic_descriptors,
    "text embeddings": text_embeddings,
    "random twin": random_twin,
}


def features(
    model: Model, clips: Generation, names: Sequence[str] = tuple(BASELINES)
) -> dict[str, np.ndarray]:
    """Vectors [clip, width] of each baseline that is named, for the same clips in the same order.

    Parameters
    ----------
    clips : Generation
        From ``model.generate``, or :func:`interp.encode` for audio files.

    Raises
    ------
    InterpError
        If there is no such baseline.
    """
    for name in names:
        if name not in BASELINES:
            raise unknown("baseline", name, BASELINES)
    return {name: BASELINES[name](model, clips) for name in names}
