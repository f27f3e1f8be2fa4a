"""Instruments to look inside music generation models.

Names are imported on first use, so that ``import interp`` stays instant: torch and audiocraft take seconds.
"""

from __future__ import annotations

from importlib import import_module

_WHERE = {
    "ActivationExtractor": "legacy",
    "Activations": "activations",
    "Clip": "corpora",
    "Corpus": "corpora",
    "Generation": "generation",
    "InterpError": "errors",
    "Model": "model",
    "Store": "store",
    "capture": "activations",
    "corpus": "corpora",
    "cosine_similarity": "legacy",
    "encode": "audio",
    "hook": "hooks",
    "load": "loading",
    "plan": "planning",
    "plugins": "loading",
    "prepare": "loading",
    "steer": "steering",
}
__all__ = [*_WHERE]


def __getattr__(name: str):
    if name not in _WHERE:
        raise AttributeError(f"module 'interp' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
