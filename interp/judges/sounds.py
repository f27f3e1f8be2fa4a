"""Clips as judges hear them: measured once, however many judges there are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ..descriptors import ANALYSIS, BATCH, Key, describe_all
from ..errors import InterpError
from ..generation import Generation
from ..processes import each

MFCC = 20


class Sounds:
    """Waveforms and what is measured of them, on demand.

    Parameters
    ----------
    waveforms : array or tensor
        [clip, sample] or [clip, channel, sample]; channels are averaged.
    sample_rate : int
        In Hz.
    """

    def __init__(self, waveforms: np.ndarray, sample_rate: int) -> None:
        x = np.asarray(waveforms, np.float32)
        x = x.mean(1) if x.ndim == 3 else x
        if x.ndim != 2 or not len(x):
            raise InterpError(f"Sounds are [clip, sample] or [clip, channel, sample], not {list(x.shape)}.")
        self.waveforms, self.sample_rate = x, int(sample_rate)

    @classmethod
    def of(cls, clips: Generation) -> Sounds:
        """Of generated or encoded clips."""
        return cls(clips.audio.numpy(), clips.sample_rate)

    def __len__(self) -> int:
        return len(self.waveforms)

    def __getitem__(self, which: slice | np.ndarray) -> Sounds:
        """Select clips; what is measured of them already stays."""
        part = Sounds(self.waveforms[which], self.sample_rate)
        for name in ("cues", "classes", "timbre"):
            if name in vars(self):
                found = vars(self)[name]
                chosen = {cue: x[which] for cue, x in found.items()} if name == "cues" else found[which]
                vars(part)[name] = chosen
        return part

    def measured(self) -> Sounds:
        """Measure cues, classes and timbre of all clips now, by as many processes as there may be."""
        parts = each(_measure, [self[s : s + BATCH] for s in range(0, len(self), BATCH)])
        cues, classes, timbre = zip(*parts, strict=True)
        vars(self)["cues"] = {cue: np.concatenate([part[cue] for part in cues]) for cue in cues[0]}
        vars(self)["classes"], vars(self)["timbre"] = np.concatenate(classes), np.concatenate(timbre)
        return self

    @cached_property
    def cues(self) -> Mapping[str, np.ndarray]:
        """Every cue of :mod:`interp.descriptors`, [clip]; NaN where a sound does not have it."""
        return describe_all(self.waveforms, self.sample_rate)

    @cached_property
    def resampled(self) -> np.ndarray:
        """[clip, sample] at the one rate of analysis, so that models compare."""
        import librosa

        if self.sample_rate == ANALYSIS:
            return self.waveforms
        return librosa.resample(self.waveforms, orig_sr=self.sample_rate, target_sr=ANALYSIS)

    @cached_property
    def classes(self) -> np.ndarray:
        """Energy of each pitch class as a share of all, [clip, 12], from C; zeros in silence."""
        import librosa

        rows = []
        for y in self.resampled:
            power = np.abs(librosa.stft(y, n_fft=4096, hop_length=1024)) ** 2
            rows.append(librosa.feature.chroma_stft(S=power, sr=ANALYSIS, n_fft=4096, tuning=0.0).mean(1))
        found = np.array(rows)
        return found / np.maximum(found.sum(1, keepdims=True), 1e-9)

    @cached_property
    def keys(self) -> list[Key]:
        """The best key of each clip."""
        return [Key.of(row) for row in self.classes]

    @cached_property
    def degrees(self) -> np.ndarray:
        """:attr:`classes` from the tonic of each clip's best key: what a transposition does not change."""
        return np.stack([np.roll(row, -key.tonic) for row, key in zip(self.classes, self.keys, strict=True)])

    @cached_property
    def timbre(self) -> np.ndarray:
        """Mean and spread over time of the mel cepstrum without its level, [clip, 38]."""
        import librosa

        rows = []
        for y in self.resampled:
            found = librosa.feature.mfcc(y=y, sr=ANALYSIS, n_mfcc=MFCC, n_fft=1024, hop_length=256)[1:]
            rows.append(np.concatenate([found.mean(1), found.std(1)]))
        return np.array(rows)


def _measure(sounds: Sounds) -> tuple[Mapping[str, np.ndarray], np.ndarray, np.ndarray]:
    return sounds.cues, sounds.classes, sounds.timbre
