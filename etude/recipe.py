"""`make etude`: every step from nothing to the released weights, resumable at each of them."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import torch

from etude import WEIGHTS, air
from etude.checkpoint import load_codec, save_codec, write_sums
from etude.codec import ENTRIES, to_relative
from etude.corpus import build
from etude.variety import build_songs

WORK = Path("build/etude")
TRAINING_SEED = 2  # corpora of other seeds share no clip with these
SIZES = {"factorial": 5200, "etude": 4600, "etude-alt": 3000}  # clips of 8 s
MORE_SEED, MORE = 3, {"etude": 6000, "etude-alt": 4000}  # clips that the language models alone learn from
CODEC_SEED, SONGS, COMPOSED = 7, 300, 100  # clips that the codec learns from
MUSIC_STEPS, WORDS_STEPS, MODEL_STEPS = 2000, 600, 1000
WORDS_PARTS = ("whole", 64, 64, 64)
MODEL_PARTS = ("whole", 32, 64, 32)
BASE_SHARE = 1200  # factorial clips that stay in the second stage, so that cue words are not forgotten


def tokens(kind: str, work: Path = WORK, size: int | None = None, seed: int = TRAINING_SEED) -> Path:
    """Encode a corpus with the released codec, once; returns the path of its tokens."""
    source = build(kind, size or SIZES[kind], seed, work)
    codec = load_codec()
    digest = hashlib.sha256()
    for tensor in codec.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    target = work / f"tokens-{source.stem}-{digest.hexdigest()[:8]}.npz"
    if target.exists():
        return target
    data = np.load(source)
    features, codes = data["features"], []
    with torch.no_grad():
        for i in range(0, len(features), 32):
            codes.append(codec.encode_features(torch.from_numpy(features[i : i + 32]).float()))
    stacked = torch.cat(codes).to(torch.int16).numpy()
    partial = target.with_suffix(".tmp.npz")
    np.savez(partial, tokens=stacked, quadrant=data["quadrant"], levels=data["levels"])
    partial.replace(target)
    return target


def train_codec(work: Path = WORK) -> None:
    """Learn the entries of the codec's fourth codebook from songs and factorial music of their own."""
    corpora = [build_songs(SONGS, CODEC_SEED, work), build("factorial", COMPOSED, CODEC_SEED, work)]
    features = torch.from_numpy(np.concatenate([np.load(path)["features"] for path in corpora])).float()
    _, noise, loudness = to_relative(features)
    save_codec({"air": air.learn(noise, loudness, ENTRIES)})


def train_text() -> None:
    """Train the text encoder, unless it is there: every language model hangs on its embeddings."""
    from etude.text import train

    if not (WEIGHTS / "text" / "model.safetensors").exists():
        train(WEIGHTS / "text")


def train_base(work: Path = WORK, device: str = "cpu") -> Path:
    """The first stage, on factorial music and cue words: first the music, then the words."""
    from etude.train_lm import Clips, train

    music, words, clips = work / "music.pt", work / "base.pt", Clips([tokens("factorial", work)])
    train(clips, music, MUSIC_STEPS, seed=0, device=device)
    later = dict(start_from=music, peak=1e-3, others=1, parts=WORDS_PARTS)
    train(clips, words, WORDS_STEPS, seed=1, device=device, **later)
    return words


def train_model(name: str, work: Path = WORK, device: str = "cpu") -> None:
    """The second stage of one étude, and its released weights."""
    from etude.lm import save_lm
    from etude.train_lm import Clips, train

    kind = "etude-alt" if name == "etude-alt" else "etude"
    clips = Clips(
        [tokens(kind, work), tokens(kind, work, MORE[kind], MORE_SEED), tokens("factorial", work)],
        limits=[None, None, BASE_SHARE],
        scramble=7 if name == "etude-null" else None,
    )
    checkpoint = work / f"{name}.pt"
    later = dict(start_from=work / "base.pt", peak=2e-3, others=1, parts=MODEL_PARTS)
    train(clips, checkpoint, MODEL_STEPS, seed=2, device=device, **later)
    save_lm(torch.load(checkpoint, map_location="cpu", weights_only=True)["lm"], WEIGHTS / name)


def train_all(device: str = "cpu") -> None:
    """Train everything and write `SHA256SUMS`; says what each stage cost."""
    from etude import MODELS

    stages = {
        "codec": train_codec,
        "text encoder": train_text,
        "base": lambda: train_base(device=device),
    }
    stages |= {name: lambda name=name: train_model(name, device=device) for name in MODELS}
    for stage, run in stages.items():
        began = time.time()
        run()
        print(f"{stage}: {(time.time() - began) / 60:.1f} minutes", flush=True)
    write_sums()
