"""Sparse autoencoders: train dictionaries, measure them, exchange them with SAELens."""

from .dictionary import Dictionary
from .learner import Config
from .saelens import load, save
from .training import Trained, in_memory, train

__all__ = ["Config", "Dictionary", "Trained", "in_memory", "load", "save", "train"]
