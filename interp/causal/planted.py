"""Small networks whose causal graph is known: what the tools of mediation must find, and must not.

A :class:`Network` has a residual stream as a transformer has.  Every variable is written along a direction of
its own, and a layer reads variables off the stream and adds others to it::

    tempo ──→ energy ──→ arousal        CHAIN: 0.6 of tempo's effect goes through energy
      └───────────────────↗

    tempo ──→ energy ──→ arousal        FORK: brightness goes with tempo, energy and arousal,
      └─────→ brightness                      and does nothing

    tempo ──→ energy                    COMMON: energy and arousal have one cause,
      └───────────────────→ arousal           and energy does nothing

:func:`planted_path` and :func:`spurious_path` are the controls of hypothesis C2: the same tools on subspaces
that were *learned* from data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .controls import Effect, shuffled_subspaces
from .mediation import Readout, Shifts, Versions, mediate
from .subspace import Subspace

Graph = Mapping[tuple[str, str], float]
"""From (source, target) to the weight with which the target's layer reads the source."""

CHAIN: Graph = {("tempo", "energy"): 1.0, ("energy", "arousal"): 0.6, ("tempo", "arousal"): 0.4}
FORK: Graph = {("tempo", "energy"): 1.0, ("tempo", "brightness"): 1.0, ("energy", "arousal"): 1.0}
COMMON: Graph = {("tempo", "energy"): 1.0, ("tempo", "arousal"): 1.0}

VARIABLES = ("tempo", "energy", "brightness", "arousal")
LAYERS = (("energy", "brightness"), ("arousal",))  # what each adds to the stream


@dataclass(frozen=True, eq=False)
class Network:
    """A residual stream of ``resid.pre``, ``resid.0`` (energy, brightness) and ``resid.1`` (arousal).

    Attributes
    ----------
    graph : dict
        See :data:`Graph`.
    bend : callable
        What a layer puts its sums through: ``np.tanh`` makes the network nonlinear.
    width : int
    seed : int
        Of the directions.
    """

    graph: Graph
    bend: Callable[[np.ndarray], np.ndarray] = field(default=lambda x: x)
    width: int = 64
    seed: int = 0

    @cached_property
    def directions(self) -> dict[str, np.ndarray]:
        """Orthonormal [width], one for each variable."""
        drawn = np.random.default_rng(self.seed).standard_normal((self.width, len(VARIABLES)))
        return dict(zip(VARIABLES, np.linalg.qr(drawn)[0].T, strict=True))

    def embed(self, noise: np.ndarray | float = 0.0, **variables: np.ndarray) -> np.ndarray:
        """Inputs [clip, width] in which variables [clip] have these values, beside noise [clip, width]."""
        return noise + sum(np.outer(values, self.directions[name]) for name, values in variables.items())

    def run(self, inputs: np.ndarray, shifts: Shifts, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """As :func:`interp.causal.mediation.mediate` takes it."""
        stream = inputs + shifts.get("resid.pre", 0)
        seen = {"resid.pre": stream}
        for number, written in enumerate(LAYERS):
            added = sum(np.outer(self._value(name, stream), self.directions[name]) for name in written)
            stream = stream + added + shifts.get(f"resid.{number}", 0)
            seen[f"resid.{number}"] = stream
        return {site: seen[site] for site in sites}

    def _value(self, target: str, stream: np.ndarray) -> np.ndarray:
        read = (w * (stream @ self.directions[s]) for (s, t), w in self.graph.items() if t == target)
        return self.bend(sum(read, np.zeros(len(stream))))

    def subspace(self, variable: str, site: str) -> Subspace:
        """The variable's own direction."""
        return Subspace.from_directions(self.directions[variable], site, variable)

    def readout(self, variable: str = "arousal", site: str = "resid.1") -> Readout:
        """The variable itself."""
        return Readout(self.directions[variable], site, variable)


def planted_path(seed: int = 0) -> Effect:
    """Tempo → energy → arousal where it is so (:data:`FORK`), in standard deviations of the readout."""
    return learned(FORK, "energy", seed)


def spurious_path(seed: int = 0) -> Effect:
    """Tempo → brightness → arousal where brightness does nothing (:data:`FORK`), in the same unit."""
    return learned(FORK, "brightness", seed)


def learned(
    graph: Graph,
    mediator: str,
    seed: int = 0,
    factorial: bool = True,
    pieces: int = 24,
    clips: int = 160,
    rank: int = 1,
    statistic: str = "through",
) -> Effect:
    """Effect of tempo on the arousal readout through a mediator, all three read off clips with noise.

    Parameters
    ----------
    factorial : bool
        Whether the clips that the readouts are trained on have tempo, energy and brightness independent of
        each other, as *measured* on the clip: what tempo adds to energy is made up for by the rest of the
        piece. Otherwise the three go together as they do in music, and a correlate passes for a mediator.
    pieces : int
        Pairs: slow (tempo about -1) and fast (about 1).
    clips : int
        For training.
    statistic : str
        An effect of :class:`interp.causal.mediation.Mediation`.
    """
    rng, network = np.random.default_rng(seed), Network(graph, seed=seed)

    def noise(count: int, size: float) -> np.ndarray:
        return size * rng.standard_normal((count, network.width))

    tempo, energy, brightness, own = rng.standard_normal((4, clips))
    if factorial:  # these are energy and brightness as they come out
        energy = energy - graph.get(("tempo", "energy"), 0) * tempo
        brightness = brightness - graph.get(("tempo", "brightness"), 0) * tempo
    else:
        energy, brightness = 0.1 * energy, 0.1 * brightness
    inputs = network.embed(noise(clips, 0.5), tempo=tempo, energy=energy, brightness=brightness, arousal=own)
    seen = network.run(inputs, {}, ("resid.pre", "resid.0", "resid.1"))
    groups = np.arange(clips)

    def found(variable: str, site: str) -> tuple[Subspace, list[Subspace]]:
        labels = seen[site] @ network.directions[variable] + 0.5 * rng.standard_normal(clips)

        def find(dealt: np.ndarray) -> Subspace:
            return Subspace.from_label(seen[site], dealt, groups, site, variable, rank)

        return find(labels), shuffled_subspaces(find, labels, groups, seed=seed)

    cause, shuffled_cause = found("tempo", "resid.pre")
    through, shuffled = found(mediator, "resid.0")
    arousal = seen["resid.1"] @ network.directions["arousal"]
    readout = Readout.fit(seen["resid.1"], arousal, groups, "resid.1", "arousal")

    piece, size = noise(pieces, 0.5), 1 + 0.2 * rng.standard_normal(pieces)
    sides = [piece + network.embed(noise(pieces, 0.1), tempo=sign * size) for sign in (-1, 1)]
    cues = tuple([{"tempo": value}] * pieces for value in ("slow", "fast"))
    effects = mediate(
        network.run,
        Versions(*sides, np.arange(pieces), cues),
        through,
        readout,
        cause=cause,
        shuffled=shuffled,
        shuffled_cause=shuffled_cause,
        seed=seed,
    )
    return getattr(effects, statistic)
