"""Judges that others trained: networks with weights of their own, where these are present on this machine.

Nothing is fetched.  ``Vibe`` needs the package vibenet, whose licence (GPL-3.0-or-later) is not the
project's: it is never installed with it.  ``Clap`` and ``Embedded`` take a folder in transformers' format,
such as a copy of ``laion/larger_clap_music`` (Apache-2.0) or ``m-a-p/MERT-v1-95M`` (CC-BY-NC-4.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InterpError, unknown
from .sounds import Sounds

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from ..corpora import Corpus

POLES = {
    "valence": ("happy, joyful, pleasant music", "sad, dark, unpleasant music"),
    "arousal": ("energetic, exciting, loud music", "calm, quiet, sleepy music"),
}
"""Axis → descriptions of its high and its low end, for models that compare sound with text."""
HUBERT_LIKE = ("hubert", "wav2vec2", "mert_model")
BATCH = 8


@dataclass(frozen=True, eq=False)
class Vibe:
    """vibenet: valence and energy by an EfficientNet distilled on the Free Music Archive.

    Its valence goes with energy more than with mode, so it is the first to be held against :func:`validate`.
    """

    network: Any
    name: str = "vibenet"
    vote: str = "vibenet"

    @classmethod
    def load(cls) -> Vibe:
        """The installed network.

        Raises
        ------
        InterpError
            If vibenet is not installed.
        """
        try:
            import vibenet
        except ImportError as error:
            raise InterpError(
                f"The judge vibenet is not installed ({error}). It is optional, and under GPL-3.0-or-later: "
                "`pip install --no-deps vibenet` and `pip install pydub audioread`, if that suits you."
            ) from error
        return cls(vibenet.load_model())

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Valence and energy between 0 and 1, [clip, 2]."""
        said = self.network.predict(list(sounds.resampled), 16_000)
        return np.array([[of.valence, of.energy] for of in said])


@dataclass(frozen=True, eq=False)
class Clap:
    """CLAP: is the sound nearer to a description of the high or of the low end of an axis?"""

    network: Any
    processor: Any
    poles: np.ndarray
    name: str = "CLAP"
    vote: str = "CLAP"

    @classmethod
    def load(cls, folder: str | Path) -> Clap:
        """From a folder of transformers; see :func:`_checked` for what is refused."""
        import torch

        folder, _ = _checked(folder, ("clap",))
        from transformers import ClapModel, ClapProcessor

        network = ClapModel.from_pretrained(folder, local_files_only=True).eval()
        processor = ClapProcessor.from_pretrained(folder, local_files_only=True)
        words = [text for pair in POLES.values() for text in pair]
        with torch.no_grad():
            inputs = processor.tokenizer(words, padding=True, return_tensors="pt")
            found = _unit(network.get_text_features(**inputs)).reshape(len(POLES), 2, -1)
        return cls(network, processor, found[:, 0] - found[:, 1])

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Similarity to the high end minus that to the low end, [clip, 2]."""
        import torch

        extract = self.processor.feature_extractor
        waves, parts = _at_rate(sounds, extract.sampling_rate), []
        for start in range(0, len(waves), BATCH):
            # With "rand_trunc" a long clip would lose a random part: give the extractor none that is.
            given = extract(
                list(waves[start : start + BATCH]), sampling_rate=extract.sampling_rate, return_tensors="pt"
            )
            with torch.no_grad():
                parts.append(_unit(self.network.get_audio_features(**given)))
        return np.concatenate(parts) @ self.poles.T


@dataclass(frozen=True, eq=False)
class Embedded:
    """MERT, or another network of HuBERT's kind: readouts of its mean states, trained on labelled music."""

    network: Any
    readouts: tuple[Pipeline, Pipeline]
    sample_rate: int
    name: str = "MERT"
    vote: str = "MERT"

    @classmethod
    def train(cls, folder: str | Path, sounds: Sounds, corpus: Corpus, seed: int = 0) -> Embedded:
        """Load a network and learn valence and arousal from a corpus and the sound of its clips."""
        folder, config = _checked(folder, HUBERT_LIKE)
        from transformers import HubertModel

        from ..probe.transfer import fit

        # MERT has HuBERT's layers and names; its own code, which one would have to run, adds nothing here.
        network = HubertModel.from_pretrained(folder, local_files_only=True).eval()
        rate = int(config.get("sample_rate", 16_000))
        x = _states(network, sounds, rate)
        readouts = [fit(x, corpus.column(axis), corpus.groups, seed=seed) for axis in POLES]
        return cls(network, tuple(readouts), rate)

    def __call__(self, sounds: Sounds) -> np.ndarray:
        """Valence and arousal on the corpus' scale, [clip, 2]."""
        x = _states(self.network, sounds, self.sample_rate)
        return np.column_stack([readout.predict(x) for readout in self.readouts])


def networks(
    wanted: Mapping[str, str | None], sounds: Sounds, corpus: Corpus, seed: int = 0
) -> list[Vibe | Clap | Embedded]:
    """Judges by name: "vibenet", which is a package, "clap" and "mert", each with its folder.

    Parameters
    ----------
    sounds, corpus
        Labelled music, from which the readouts of "mert" learn.
    """
    loaders = {
        "vibenet": lambda folder: Vibe.load(),
        "clap": Clap.load,
        "mert": lambda folder: Embedded.train(folder, sounds, corpus, seed),
    }
    for name in wanted:
        if name not in loaders:
            raise unknown("network", name, loaders)
    return [loaders[name](folder) for name, folder in wanted.items()]


def _checked(folder: str | Path, kinds: Sequence[str]) -> tuple[Path, dict]:
    """The folder and its configuration.

    Raises
    ------
    InterpError
        If there is no such folder, its weights are not safetensors, or it is of another kind.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InterpError(
            f"{folder} has no model in transformers' format ({error}); save one there, nothing is fetched."
        ) from error
    if config.get("model_type") not in kinds:
        raise InterpError(f"{folder} holds a {config.get('model_type')!r} model; want {' or '.join(kinds)}.")
    if not list(folder.glob("*.safetensors")):
        raise InterpError(
            f"{folder} has no *.safetensors; other weights are not loaded, as they may hold code."
        )
    return folder, config


def _at_rate(sounds: Sounds, rate: int) -> np.ndarray:
    import librosa

    if rate == sounds.sample_rate:
        return sounds.waveforms
    return librosa.resample(sounds.waveforms, orig_sr=sounds.sample_rate, target_sr=rate)


def _states(network: Any, sounds: Sounds, rate: int) -> np.ndarray:
    """Last hidden states, averaged over time: [clip, width]."""
    import torch

    waves, parts = torch.from_numpy(_at_rate(sounds, rate)), []
    with torch.no_grad():
        for batch in waves.split(BATCH):
            parts.append(network(batch).last_hidden_state.mean(1).numpy())
    return np.concatenate(parts).astype(float)


def _unit(output: Any) -> np.ndarray:
    """Features of length 1, [row, width]; newer versions of transformers wrap them."""
    x = getattr(output, "pooler_output", output)
    return (x / x.norm(dim=-1, keepdim=True)).numpy()
