"""How faithful the codec is: clips against themselves after it, and after analysis and resynthesis alone."""

from __future__ import annotations

import time
from math import log

import numpy as np
import torch

from etude.corpus import draw
from etude.evaluation.features import in_parallel
from etude.evaluation.tables import Table, percent, share, show
from etude.evaluation.transcription import note_f1
from etude.render import SAMPLE_RATE, render, synthesise, to_level
from etude.tunes import PROGRAMS, TUNES
from interp.stats import Interval, bootstrap
from interp.transcription import transcribe

SECONDS = 8.0
TEMPO_TOLERANCE = 0.04
AGREEMENTS = ("note F1", "chroma r", "chroma r, by energy", "envelope r", "tempo agrees", "mode agrees")
MEASURES = (*AGREEMENTS, "onsets", "original onsets")
ENVELOPE_RANGE = 60.0  # dB under a clip's loudest frame; what is softer counts as that


def render_held_out(job: tuple[int, int]) -> np.ndarray:
    """A factorial render: job is (index, seed)."""
    _, factors, piece = draw("factorial", *job)
    return render(factors, piece, SECONDS)


def render_tune(job: tuple[int, str]) -> np.ndarray:
    """A tune on an instrument: job is (index into `TUNES`, name in `PROGRAMS`)."""
    tune, program = TUNES[job[0]], PROGRAMS[job[1]]
    return to_level(synthesise(tune.notes(SECONDS), {0: program, 1: program, 2: program}, SECONDS), 0.0)


def agreement(job: tuple[np.ndarray, list[np.ndarray]]) -> list[list[float]]:
    """`MEASURES` of each version of a clip against the original; NaN where the original has no such thing."""
    from interp.descriptors import describe

    original, versions = job
    notes, cues = transcribe(original, SAMPLE_RATE), describe(original, SAMPLE_RATE)
    rows = []
    for version in versions:
        own = describe(version, SAMPLE_RATE)
        tempo = abs(own["tempo"] / cues["tempo"] - 1) <= TEMPO_TOLERANCE
        rows.append([
            note_f1(notes, transcribe(version, SAMPLE_RATE)),
            correlation(chroma(original), chroma(version)),
            correlation(chroma(original, None), chroma(version, None)),
            correlation(envelope(original), envelope(version)),
            float(tempo) if np.isfinite(cues["tempo"]) else float("nan"),
            float((own["mode"] > 0) == (cues["mode"] > 0)),
            own["onset_rate"],
            cues["onset_rate"],
        ])  # fmt: skip
    return rows


def chroma(audio: np.ndarray, norm: float | None = np.inf) -> np.ndarray:
    """Energy per pitch class [12, frame], every frame's largest 1 unless `norm` is None."""
    import librosa

    return librosa.feature.chroma_stft(y=audio, sr=SAMPLE_RATE, n_fft=4096, tuning=0, norm=norm)


def envelope(audio: np.ndarray) -> np.ndarray:
    """Level per frame of 64 ms every 20 ms, in dB, [frame]."""
    import librosa

    rms = librosa.feature.rms(y=audio, frame_length=1024, hop_length=320)[0]
    return 20 * np.log10(np.maximum(rms, rms.max() * 10 ** (-ENVELOPE_RANGE / 20)) + 1e-9)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r over all entries; 0 if one of them does not vary."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


@torch.no_grad()
def versions(codec, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Clips [clip, sample] → unquantised and coded [clip, sample], tokens, seconds per second of audio."""
    from tqdm import tqdm

    plain, coded, tokens, pace = [], [], [], []
    for clip in tqdm(clips, desc="through the codec", leave=False):
        audio = torch.from_numpy(clip)[None]
        plain.append(codec.spectral.synthesise(codec.spectral.analyse(audio))[0].numpy())
        began = time.perf_counter()
        codes, _ = codec.encode(audio[:, None])
        coded.append(codec.decode(codes)[0, 0].numpy())
        pace.append((time.perf_counter() - began) * SAMPLE_RATE / len(clip))
        tokens.append(codes[0].numpy())
    length = clips.shape[1]
    return np.stack(plain)[:, :length], np.stack(coded)[:, :length], np.stack(tokens), np.array(pace)


def tables(codec, renders: int, programs: list[str], seed: int) -> list[Table]:
    """The codec's tables, on `renders` held-out renders and all tunes on the named programs."""
    jobs = [(index, program) for index in range(len(TUNES)) for program in programs]
    groups = {
        "renders": (np.stack([render_held_out((i, seed)) for i in range(renders)]), np.arange(renders)),
        "tunes": (np.stack([render_tune(job) for job in jobs]), np.array([index for index, _ in jobs])),
    }
    return [
        table
        for name, (clips, clusters) in groups.items()
        for table in _group_tables(codec, name, clips, clusters)
    ]


def _group_tables(codec, name: str, clips: np.ndarray, clusters: np.ndarray) -> list[Table]:
    plain, coded, tokens, pace = versions(codec, clips)
    pairs = [(clip, [a, b]) for clip, a, b in zip(clips, plain, coded, strict=True)]
    values = np.array(in_parallel(agreement, pairs, f"compare {name}"))  # [clip, version, measure]
    about = {
        "renders": "Factorial renders that no part of training or tuning used.",
        "tunes": f"{len(TUNES)} tunes of `etude/tunes.py` on General MIDI instruments "
        f"({len(clips) // len(TUNES)} each); intervals are clustered by tune.",
    }[name]
    table = Table(
        f"Codec: {name}",
        ("against the original", "n", "unquantised resynthesis", "through the codec"),
        f"{about} Notes are those that basic-pitch hears, right within 50 ms; chroma is librosa's (energy "
        "per pitch class, FFT of 4096, tuning 0, every frame's largest 1; “by energy” without that), "
        "correlated over classes and frames; the envelope is RMS in dB (64 ms, at most 60 dB under the "
        "peak); onsets are the ratio of totals; tempo agrees within 4 %; mode is by key profiles. Mean and "
        "95 % interval.",
    )
    column = {measure: values[:, :, i] for i, measure in enumerate(MEASURES)}
    found = {}
    for measure in AGREEMENTS:
        keep = np.isfinite(column[measure]).all(1)
        averaged = share if measure.endswith("agrees") else bootstrap
        both = [averaged(column[measure][keep, k], clusters[keep]) for k in (0, 1)]
        table.add(measure, str(keep.sum()), *map(show, both))
        found[measure] = both
        if measure.endswith("agrees"):
            loss = bootstrap(column[measure][keep, 0] - column[measure][keep, 1], clusters[keep])
            table.goal(f"{measure}: at most 5 points under the unquantised", loss.estimate <= 0.05,
                       f"{show(loss, '.1f', 100)} points under")  # fmt: skip
    onsets = [
        bootstrap(
            np.stack([column["onsets"][:, k], column["original onsets"][:, k]], 1), clusters, _ratio_of_sums
        )
        for k in (0, 1)
    ]
    table.add("onsets, ratio", str(len(clips)), *map(show, onsets))
    table.goal("chroma r ≥ .95", found["chroma r"][1].estimate >= 0.95, show(found["chroma r"][1]))
    table.goal("envelope r ≥ .85", found["envelope r"][1].estimate >= 0.85, show(found["envelope r"][1]))
    table.goal("onset rate within 10 %", abs(onsets[1].estimate - 1) <= 0.10, show(onsets[1]))
    return [table, usage(name, tokens, clusters, codec.cardinality, pace)]


def usage(name: str, tokens: np.ndarray, clusters: np.ndarray, entries: int, pace: np.ndarray) -> Table:
    """Entropy of each codebook of tokens [clip, codebook, frame]; speed from seconds per second of audio."""
    table = Table(
        f"Codec: codebooks and speed, {name}",
        ("", "n", "found"),
        "Entropy of the tokens of all clips together, as a share of its maximum (intervals by jackknife); "
        "speed of encoding and decoding one clip at a time, as multiples of real time.",
    )
    for book in range(tokens.shape[1]):
        counts = np.stack([np.bincount(clip, minlength=entries) for clip in tokens[:, book]])
        share = entropy_share(counts, clusters)
        table.add(f"codebook {book + 1}, entropy", str(len(tokens)), percent(share))
        table.goal(f"codebook {book + 1}: entropy ≥ 80 %", share.estimate >= 0.8, percent(share))
    speed = bootstrap(pace, clusters, lambda x: 1 / np.median(x))
    table.add("times real time", str(len(pace)), show(speed, ".0f"))
    return table


def entropy_share(counts: np.ndarray, clusters: np.ndarray) -> Interval:
    """Entropy of the sum of counts [clip, entry] over its maximum, with a 95 % interval.

    The interval is from leaving out one cluster at a time, since a bootstrap, which repeats clips, makes
    entropies smaller. Source: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*, ch. 11.
    """
    total, largest, names = counts.sum(0), log(counts.shape[1]), np.unique(clusters)
    without = np.array([entropy(total - counts[clusters == name].sum(0)) / largest for name in names])
    error = np.sqrt((len(names) - 1) * without.var())
    share = entropy(total) / largest
    return Interval(share, share - 1.96 * error, share + 1.96 * error)


def entropy(counts: np.ndarray) -> float:
    """Entropy in nats of a distribution given by counts."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def _ratio_of_sums(x: np.ndarray) -> float:
    return float(x[:, 0].sum() / x[:, 1].sum())
