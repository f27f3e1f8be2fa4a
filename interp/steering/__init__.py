"""Push a model's activations along a direction while it runs, or take a concept out of them.

A :class:`Vector` is made from a contrast of clips (``vectors.py``) or from features of a dictionary, with
controls of the same size beside it (``controls.py``); :func:`steer` adds it (``apply.py``), :func:`trials`
adds many in one batched generation (``trials.py``), an :class:`Eraser` removes a concept (``erase.py``), and
:func:`select` chooses layer and strength on prompts kept for that (``choice.py``).
"""

from .apply import OPERATORS, Clamp, Monitor, steer
from .choice import Choice, select
from .controls import orthogonal, random, shuffled
from .erase import Eraser, leace, projection
from .trials import Push, Trials, trials
from .vectors import METHODS, EachClip, Vector, contrast, of_features

__all__ = [
    "METHODS",
    "OPERATORS",
    "Choice",
    "Clamp",
    "EachClip",
    "Eraser",
    "Monitor",
    "Push",
    "Trials",
    "Vector",
    "contrast",
    "leace",
    "of_features",
    "orthogonal",
    "projection",
    "random",
    "select",
    "shuffled",
    "steer",
    "trials",
]
