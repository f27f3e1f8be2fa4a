"""Checkpoints as Meta's lie in the hub's local cache, file by file and link by link, with tiny dimensions."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

CODEC, TEXT = "facebook/encodec_32khz", "t5-base"


def encodec(bins: int = 64):
    """transformers' EnCodec, a SEANet with an LSTM: 50 frames a second at 3.2 kHz, four codebooks."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    bits = bins.bit_length() - 1
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        config = EncodecConfig(
            target_bandwidths=[4 * 50 * bits / 1000],
            sampling_rate=3200,
            audio_channels=1,
            normalize=False,
            chunk_length_s=None,
            hidden_size=8,
            codebook_dim=8,
            num_filters=2,
            upsampling_ratios=[8, 8],
            num_residual_layers=1,
            codebook_size=bins,
            norm_type="weight_norm",
            use_causal_conv=False,
        )
        model = EncodecModel(config).eval()
        noise = torch.randn(1, 1, 64 * 2 * bins) * torch.rand(2 * bins).repeat_interleave(64)
        with (
            torch.no_grad()
        ):  # codebooks of what the encoder gives, or every sound would have the same tokens
            left = model.encoder(noise)[0].T
            for layer in model.quantizer.layers:
                layer.codebook.embed.copy_(left[torch.randperm(len(left))[:bins]])
                left = left - layer.codebook.embed[torch.cdist(left, layer.codebook.embed).argmin(1)]
    return model


def into_cache(cache: Path, repo: str, files: dict[str, Path | bytes]) -> Path:
    """Put files into the hub's cache: blobs by hash, a commit with links to them, and the commit's name."""
    root = cache / ("models--" + repo.replace("/", "--"))
    commit = hashlib.sha1(repo.encode()).hexdigest()
    snapshot = root / "snapshots" / commit
    for folder in (root / "blobs", root / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        (root / "blobs" / digest).write_bytes(data)
        (snapshot / name).symlink_to(os.path.relpath(root / "blobs" / digest, snapshot))
    return snapshot


def folder_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by name."""
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def write_cache(cache: Path, build, write_t5, work: Path, repo="facebook/musicgen-small", **changes) -> None:
    """A whole musicgen: its two files, the codec and the text encoder that these ask for by their ids.

    ``build`` is the conftest's ``build_musicgen``, given a T5 folder and the architecture; ``changes`` may
    replace the architecture, or entries of the language model's package by ``package=``.
    """
    import torch
    from omegaconf import OmegaConf

    package_changes = changes.pop("package", {})
    t5 = write_t5(work / "t5", d_model=768, layers=1)  # as wide as T5-base, or audiocraft refuses it
    lm = build(t5, **changes).lm
    config = lm.cfg.copy()
    config.conditioners.description.t5.name = TEXT
    config.dataset.segment_duration = 30
    package = {
        "best_state": lm.state_dict(),
        "xp.cfg": OmegaConf.to_yaml(config),
        "version": "1.3.0",
        "exported": True,
    }
    codec_package = {"pretrained": CODEC, "exported": True, "version": "1.3.0"}
    for name, content in (("lm", package | package_changes), ("codec", codec_package)):
        torch.save(content, work / f"{name}.bin")
    into_cache(
        cache, repo, {"state_dict.bin": work / "lm.bin", "compression_state_dict.bin": work / "codec.bin"}
    )
    codec = encodec(config.transformer_lm.card)
    codec.save_pretrained(work / "codec")
    into_cache(cache, CODEC, folder_files(work / "codec"))
    into_cache(cache, TEXT, folder_files(t5))


def use_cache(monkeypatch, cache: Path) -> None:
    """Make this process look into ``cache``, and never at the network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    import transformers.utils.hub as hub

    for name in ("TRANSFORMERS_CACHE", "HF_HUB_CACHE"):
        if hasattr(hub, name):
            monkeypatch.setattr(hub, name, str(cache))


def damage(cache: Path, repo: str, name: str, content: bytes | None) -> None:
    """Replace a file's content in the cache, or take it away."""
    (link,) = (cache / ("models--" + repo.replace("/", "--")) / "snapshots").glob(f"*/{name}")
    blob = link.resolve()
    link.unlink()
    if content is None:
        blob.unlink()
    else:
        link.write_bytes(content)


def copy(cache: Path, to: Path) -> Path:
    """A copy of a cache, to be damaged."""
    return Path(shutil.copytree(cache, to, symlinks=True))


def pretend_json(folder: Path, name: str, **changes) -> None:
    """Change entries of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
