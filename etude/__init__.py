"""Étude: small MusicGens that the project trained itself, on music whose emotion is known."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
MODELS = ("etude", "etude-alt", "etude-null")


def load(name: str = "etude", device: str = "cpu"):
    """Load an embedded model as an ordinary audiocraft `MusicGen` (the entry point for `interp.load`).

    See `etude.checkpoint.load_musicgen`.
    """
    from etude.checkpoint import load_musicgen

    return load_musicgen(name, device)
