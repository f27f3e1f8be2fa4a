"""One dictionary while it learns: settings, loss, one step.

The loss of a batch is the mean over its vectors of ||x^ - x||^2, and

- ``topk``, ``batchtopk``: the auxiliary loss of Gao et al. 2024 (appendix A.2): ``aux_coefficient`` times the
  squared error of e^ as a reconstruction of e = x - x^, where e^ comes from the ``k_aux`` largest *dead*
  features and has no decoder bias.  Without it, a feature that no vector selects never gets a gradient again;
- ``jumprelu``: ``sparsity`` times the number of active features (Rajamanoharan et al. 2024);
- ``standard``: ``sparsity`` times the sum of f_j ||decoder_j||, which cannot be escaped by shrinking f and
  growing the decoder (Bricken et al. 2023; Conerly et al. 2024).  It makes f too small: at the end
  the decoder is fitted once more without it (Wright & Sharkey 2024).

The weight of a sparsity term starts at a hundredth and grows by at most 5 % a step.  Where none is given, it
grows while more than ``k`` features are active and shrinks while fewer are: with L0 at ``k`` or near it,
architectures can be compared.

There are two ways to make a step.  The sparse one (TopK and BatchTopK on a CPU) computes its gradients by the
kernels of :mod:`interp.sae.sparse`; the dense one, for all else, leaves them to autograd.  They agree
(``tests/interp/test_sae_learner.py``).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import linear, normalize

from ..errors import InterpError, check_finite, check_positive, check_whole, unknown
from .dictionary import Dictionary, keep_top
from .jumprelu import Above, Jump

BETAS, EPSILON = (0.9, 0.999), 1e-8
ENCODER_NORM = 0.25  # of a row, to start from; see Learner
TURNING, TURNS = 8.0, 100  # the decoder's rate, at first, in units of the encoder's; falls over so many steps
GROWTH = 0.05  # of the weight of a sparsity term in a step, at most


@dataclass(frozen=True)
class Config:
    """How a dictionary is to be trained."""

    d_sae: int
    """Number of features."""

    architecture: str = "topk"
    """"topk", "batchtopk", "jumprelu" or "standard"."""

    k: int | None = 32
    """Features of a vector, for "topk"; on average, for the others ("jumprelu" and "standard": about)."""

    sparsity: float | None = None
    """Weight of the sparsity term of "jumprelu" and "standard", instead of one that is steered by ``k``."""

    seed: int = 0
    """Of the initial weights."""

    rate: float | None = None
    """Learning rate of Adam; None takes 1.6e-3 / sqrt(d_sae / 2^14).

    The power of d_sae is that of Gao et al. 2024 (figure 3), the factor 8 times theirs, which is for batches
    of 131,072 vectors and long runs: over 50 to 3,000 steps of 1,024, theirs explains less.
    """

    aux_coefficient: float = 1 / 32
    """Weight of the auxiliary loss ("topk", "batchtopk"); 0 switches it off."""

    k_aux: int | None = None
    """Dead features in the auxiliary loss; None takes d_in / 2."""

    dead_after: int = 500_000
    """Vectors seen since a feature last fired, after which it counts as dead."""

    bandwidth: float = 1.0
    """Of the kernel that gives thresholds a gradient ("jumprelu"), for vectors of mean squared norm d_in."""

    prefixes: tuple[int, ...] = ()
    """Matryoshka (Bussmann et al. 2025): the first so many features alone must reconstruct, too."""

    autocast: bool = False
    """Compute products in bfloat16. Weights, gradients and Adam stay in float32."""

    def __post_init__(self) -> None:
        if self.architecture not in ("topk", "batchtopk", "jumprelu", "standard"):
            raise unknown("architecture", self.architecture, ("topk", "batchtopk", "jumprelu", "standard"))
        check_whole(self.d_sae, "d_sae", 1)
        check_whole(self.dead_after, "dead_after", 1)
        check_positive(self.bandwidth, "bandwidth")
        check_whole(self.seed, "seed", 0)
        if self.rate is not None:
            check_positive(self.rate, "rate")
        if self.k_aux is not None:
            check_whole(self.k_aux, "k_aux", 1)
        if check_finite(self.aux_coefficient, "aux_coefficient") < 0:
            raise InterpError(f"aux_coefficient must be 0 or more, not {self.aux_coefficient!r}.")
        if not self.selects and self.sparsity is not None:
            check_positive(self.sparsity, "sparsity")
        elif check_whole(self.k, "k", 1) > self.d_sae:
            raise InterpError(f"k={self.k} of {self.d_sae} features: k must be at most d_sae.")
        if any(check_whole(size, "A number in prefixes", 1) >= self.d_sae for size in self.prefixes):
            raise InterpError(f"prefixes must lie between 0 and d_sae = {self.d_sae}, not {self.prefixes}.")

    @property
    def selects(self) -> bool:
        """Whether a fixed number of features is selected."""
        return self.architecture in ("topk", "batchtopk")

    @property
    def learning_rate(self) -> float:
        """``rate``, or its default."""
        return 1.6e-3 / math.sqrt(self.d_sae / 2**14) if self.rate is None else self.rate


class Step(NamedTuple):
    """What one batch showed."""

    fvu: float
    """Fraction of the batch's variance left unexplained."""
    l0: float
    """Mean number of active features."""
    dead: float
    """Share of features that are dead."""


class Learner:
    """A dictionary, its optimiser state, and when each feature last fired.

    Parameters
    ----------
    config : Config
    mean : torch.Tensor
        [d_in], of the scaled vectors: the decoder bias to start from.
    device : torch.device or str
    sparse : bool, optional
        Use the kernels; None uses them where they apply (TopK and BatchTopK without prefixes, on a CPU).

    Notes
    -----
    Decoder rows start as random unit vectors, encoder rows parallel to them (Gao et al. 2024), but shorter.
    The features that are on in a vector are at first those that overlap with it by chance, hence with each
    other: with encoder rows of norm 1 they sum to more than the vector (the best factor lies between 0.3 and
    0.8, and is less the more are on), which takes many steps to unlearn.  With a norm below the best factor
    the encoder also turns faster, since the length of Adam's steps does not depend on it.  Only "jumprelu"
    starts at norm 1, for which its threshold is made.

    Decoder rows of norm 1 turn slowly for the same reason: they learn at 8 times the rate at first, over 100
    steps less and less.  That helps short runs; ``make bench-sae`` prints what is left unexplained.
    """

    def __init__(self, config: Config, mean: torch.Tensor, device="cpu", sparse: bool | None = None) -> None:
        applies = config.selects and not config.prefixes and torch.device(device).type == "cpu"
        self.config, self.sparse, self.steps = config, applies if sparse is None else sparse, 0
        self.refit = False
        jump = config.architecture == "jumprelu"
        architecture = {"batchtopk": "standard"}.get(config.architecture, config.architecture)
        self.dictionary = Dictionary(len(mean), config.d_sae, architecture, config.k)
        draw = torch.Generator().manual_seed(config.seed)
        with torch.no_grad():
            rows = normalize(torch.randn(config.d_sae, len(mean), generator=draw))
            self.dictionary.encoder.copy_(rows if jump else rows * ENCODER_NORM)
            self.dictionary.decoder.copy_(rows)
            self.dictionary.decoder_bias.copy_(mean)
            if jump:  # learnt as its logarithm, so that it stays positive
                self.dictionary.threshold.fill_(math.log(config.bandwidth))
        self.dictionary.to(device)
        self.parameters = dict(self.dictionary.named_parameters())
        self.means = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.squares = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.fired = torch.zeros(config.d_sae, dtype=torch.int64, device=device)  # vectors seen at that time
        self.seen = 0
        self._buffers: dict[int, torch.Tensor] = {}
        self.batch_threshold = 0.0  # of BatchTopK: running mean of the least value that was selected
        # Of the sparsity term. A feature that is one of k equal ones explains d_in / k of the squared norm.
        self.weight = (len(mean) / config.k if config.sparsity is None else config.sparsity) / 100

    # --- steps ---

    @torch.no_grad()
    def step(self, x: torch.Tensor, rate_factor: float = 1.0, refit: bool = False) -> Step:
        """Learn from a batch of scaled vectors, [row, d_in].

        With ``refit``, a "standard" dictionary learns its decoder only, and without the sparsity term.
        """
        self.refit = refit and self.config.architecture == "standard"
        if not self.sparse:
            return self._step(x, rate_factor, self._dense_step)
        from .sparse import Crew

        with Crew() as share:
            return self._step(x, rate_factor, partial(self._sparse_step, share))

    def _step(self, x: torch.Tensor, rate_factor: float, change: Callable) -> Step:
        self.steps += 1
        self.seen += len(x)
        variance = float((x - x.mean(0)).square().sum())
        if not variance > 0:
            raise InterpError(f"All {len(x)} vectors of a batch are the same: mix rows across clips.")
        squared_error, fires = change(x, self.config.learning_rate * rate_factor)
        if not math.isfinite(squared_error):
            raise InterpError(
                f"Training diverged at step {self.steps} (rate {self.config.learning_rate:g}, seed "
                f"{self.config.seed}): take a lower rate."
            )
        self.fired[fires] = self.seen
        if not self.config.selects:
            self._reweigh(len(fires) / len(x), rate_factor)
        return Step(squared_error / variance, len(fires) / len(x), float(self.dead.float().mean()))

    @property
    def dead(self) -> torch.Tensor:
        """[d_sae], which features have not fired for ``dead_after`` vectors."""
        return self.seen - self.fired > self.config.dead_after

    def _sparse_step(self, share, x: torch.Tensor, rate: float) -> tuple[float, torch.Tensor]:
        from . import sparse

        p = {name: value.detach().numpy() for name, value in self.parameters.items()}
        factor, n_features, by_rows = np.float32(2 / len(x)), self.config.d_sae, sparse.SLICE_ROWS
        centred, target = torch.empty(x.shape), x.contiguous().numpy()
        start, feature, value = self._select(share, x, centred)
        slope, error = np.empty_like(value), torch.empty(x.shape)
        sums, squares = torch.empty(-(-len(x) // by_rows), x.shape[1]), np.empty(-(-len(x) // by_rows))

        def reconstruct(first: int, last: int) -> None:
            sparse.decode(
                first, last, start, feature, value, p["decoder"], p["decoder_bias"], target, factor,
                error.numpy(), slope,
            )  # fmt: skip
            torch.sum(error[first:last], 0, out=sums[first // by_rows])
            squares[first // by_rows] = error[first:last].square().sum()

        share(reconstruct, len(x), by_rows)
        to_bias = np.bincount(feature, slope, n_features).astype(np.float32)
        to_centre, with_dead = factor * sums.sum(0).numpy(), to_bias

        where, extra = np.full(n_features, -1, np.int32), np.zeros((2, 0, x.shape[1]), np.float32)
        dead = self.dead.nonzero().flatten()
        if self.config.aux_coefficient and len(dead):
            with share.lent_to_torch():
                gradients = self._auxiliary_gradients(x, error, dead)
            extra, where[dead.numpy()] = gradients[:2], np.arange(len(dead))
            with_dead = to_bias.copy()
            with_dead[dead.numpy()] += gradients[2]
            to_centre += gradients[3]

        by_features = -(-n_features // sparse.RANGES)
        through_encoder = np.zeros((sparse.RANGES, x.shape[1]), np.float32)
        share(
            sparse.update, n_features, by_features,
            sparse.by_feature(start, feature, n_features), value, slope, error.numpy(), centred.numpy(),
            factor, (where, *extra), p["encoder"], p["decoder"],
            tuple(m[name].numpy() for name in ("encoder", "decoder") for m in (self.means, self.squares)),
            sparse.adam_constants(self.steps, rate, BETAS, EPSILON), np.float32(self.turning), True,
            to_bias, through_encoder, by_features,
        )  # fmt: skip
        # The decoder bias is added at the end, and subtracted from what the encoder reads.
        to_centre -= through_encoder.sum(0)
        self._adam("encoder_bias", torch.from_numpy(with_dead), rate)
        self._adam("decoder_bias", torch.from_numpy(to_centre), rate)
        return float(squares.sum()), torch.from_numpy(feature[value > 0]).long()

    def _select(self, share, x: torch.Tensor, centred: torch.Tensor) -> tuple[np.ndarray, ...]:
        """The (row, feature) pairs that are kept: ``start`` [row + 1], ``feature``, ``value`` [pair].

        Writes the encoder's input, [row, d], to ``centred``.
        """
        from . import sparse

        n_rows, n_features, k = len(x), self.config.d_sae, self.config.k
        kind = torch.bfloat16 if self.config.autocast else torch.float32
        encoder, bias = self.dictionary.encoder.detach().to(kind).T, self.dictionary.encoder_bias.detach()
        centre = self.dictionary.decoder_bias.detach()
        whole = self.config.architecture == "batchtopk"  # it compares the numbers of all rows
        all_of_them = torch.empty(n_rows, n_features) if whole else None
        feature, value = np.zeros((n_rows, k), np.int32), np.zeros((n_rows, k), np.float32)

        def select(first: int, last: int) -> None:
            into = all_of_them[first:last] if whole else self._buffer()[: last - first]
            torch.sub(x[first:last], centre, out=centred[first:last])
            if self.config.autocast:
                into.copy_(centred[first:last].to(kind) @ encoder).add_(bias)
            else:
                torch.addmm(bias, centred[first:last], encoder, out=into)
            if not whole:
                sparse.top_k(into.numpy(), k, feature[first:last], value[first:last])

        share(select, n_rows, sparse.SLICE_ROWS)
        if not whole:
            start = np.arange(0, n_rows * k + 1, k)
            return start, feature.ravel(), np.maximum(value, 0).ravel()
        chosen, value = np.zeros((1, n_rows * k), np.int64), value.reshape(1, -1)
        sparse.top_k(all_of_them.numpy().reshape(1, -1), n_rows * k, chosen, value)
        order = chosen[0].argsort()
        row, feature = np.divmod(chosen[0, order], n_features)
        start = np.searchsorted(row, np.arange(n_rows + 1))
        value = np.maximum(value[0, order], 0)
        self._track_threshold(value)
        return start, feature.astype(np.int32), value

    def _buffer(self) -> torch.Tensor:
        """Of this thread, for the pre-activations of a slice; kept, since fresh memory costs time."""
        from . import sparse

        found = self._buffers.get(threading.get_ident())
        if found is None:
            found = self._buffers[threading.get_ident()] = torch.empty(sparse.SLICE_ROWS, self.config.d_sae)
        return found

    def _dense_step(self, x: torch.Tensor, rate: float) -> tuple[float, torch.Tensor]:
        config, d = self.config, self.dictionary
        with torch.enable_grad():
            with self._precision(x):
                pre = d.preactivations(x).float()
                features = self._activate(pre)
                error = d.decode(features).float() - x
                loss = error.square().sum(-1).mean()
                for size in config.prefixes:
                    part = features[:, :size] @ d.decoder[:size] + d.decoder_bias
                    loss = loss + (part.float() - x).square().sum(-1).mean()
            if config.architecture == "standard" and not self.refit:
                loss = loss + self.weight * (features * d.decoder.norm(dim=1)).sum(-1).mean()
            if config.architecture == "jumprelu":
                active = Above.apply(pre, d.threshold.exp(), config.bandwidth)
                loss = loss + self.weight * active.sum(-1).mean()
            learnt = ["decoder"] if self.refit else list(self.parameters)
            gradients = torch.autograd.grad(loss, [self.parameters[name] for name in learnt])
        gradients = dict(zip(learnt, gradients, strict=True))
        dead = self.dead.nonzero().flatten()
        if config.selects and config.aux_coefficient and len(dead):
            extra = self._auxiliary_gradients(x, error.detach(), dead)
            for name, rows in zip(("encoder", "decoder", "encoder_bias"), extra, strict=False):
                gradients[name][dead] += torch.as_tensor(rows, device=x.device)
            gradients["decoder_bias"] += torch.as_tensor(extra[3], device=x.device)
        if self.unit_norm:
            parallel = (gradients["decoder"] * d.decoder).sum(1, keepdim=True)
            gradients["decoder"] -= parallel * d.decoder
        for name, gradient in gradients.items():
            self._adam(name, gradient, rate * (self.turning if name == "decoder" else 1.0))
        if self.unit_norm:
            d.decoder.copy_(normalize(d.decoder))
        return float(error.square().sum()), features.nonzero()[:, 1]

    @property
    def turning(self) -> float:
        """Rate of the decoder at this step, in units of the encoder's."""
        return 1 + (TURNING - 1) * max(0.0, 1 - self.steps / TURNS) if self.config.selects else 1.0

    # --- parts of the loss ---

    @property
    def unit_norm(self) -> bool:
        """Whether decoder rows are kept at norm 1; the L1 term of "standard" needs no such constraint."""
        return self.config.architecture != "standard"

    def _activate(self, pre: torch.Tensor) -> torch.Tensor:
        if self.config.architecture == "topk":
            return keep_top(pre, self.config.k)
        if self.config.architecture == "batchtopk":
            kept = keep_top(pre.flatten(), self.config.k * len(pre)).view_as(pre)
            self._track_threshold(kept.detach()[kept > 0].cpu().numpy())
            return kept
        if self.config.architecture == "jumprelu":
            return Jump.apply(pre, self.dictionary.threshold.exp(), self.config.bandwidth)
        return pre.relu()

    def _reweigh(self, l0: float, rate_factor: float) -> None:
        """Bring the weight of the sparsity term nearer to what is wanted."""
        if self.config.sparsity is None:  # at the pace at which features can follow
            excess = math.log(max(l0, 1e-9) / self.config.k)
            self.weight *= math.exp(GROWTH * rate_factor * min(1.0, max(-1.0, excess)))
        else:
            self.weight = min(self.config.sparsity, self.weight * math.exp(GROWTH))

    def _track_threshold(self, selected: np.ndarray) -> None:
        """Running mean over some 100 batches of the least positive value that was selected."""
        least = float(selected[selected > 0].min(initial=np.inf))
        if least < np.inf:
            self.batch_threshold += (least - self.batch_threshold) * max(1 / self.steps, 0.01)

    def _auxiliary_gradients(self, x: torch.Tensor, error: torch.Tensor, dead: torch.Tensor) -> list:
        """Gradients of the auxiliary loss, for ``dead``: encoder, decoder, encoder bias; and decoder bias."""
        names = ("encoder", "decoder", "encoder_bias")
        rows = [self.parameters[name].detach()[dead].requires_grad_() for name in names]
        centre = self.dictionary.decoder_bias.detach().clone().requires_grad_()
        encoder, decoder, bias = rows
        k_aux = self.config.k_aux or max(1, x.shape[1] // 2)
        with torch.enable_grad(), self._precision(x):
            features = keep_top(linear(x - centre, encoder, bias).float(), min(k_aux, len(dead)))
            missing = (features @ decoder).float() + error  # e^ - e, and no decoder bias: e has it taken off
            loss = self.config.aux_coefficient * missing.square().sum(-1).mean()
            gradients = torch.autograd.grad(loss, [*rows, centre])
        return [g.numpy() if self.sparse else g for g in gradients]

    def _precision(self, x: torch.Tensor):
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.config.autocast)

    # --- optimiser, state ---

    def _adam(self, name: str, gradient: torch.Tensor, rate: float) -> None:
        mean, square = self.means[name], self.squares[name]
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        root = square.div(1 - BETAS[1] ** self.steps).sqrt_().add_(EPSILON)
        self.parameters[name].addcdiv_(mean, root, value=-rate / (1 - BETAS[0] ** self.steps))

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """All that the next step depends on: tensors, numbers."""
        tensors = {"fired": self.fired}
        for kind, of in (("weight", self.parameters), ("mean", self.means), ("square", self.squares)):
            tensors |= {f"{kind}.{name}": tensor.detach() for name, tensor in of.items()}
        numbers = ("steps", "seen", "batch_threshold", "weight")
        return tensors, {name: getattr(self, name) for name in numbers}

    @torch.no_grad()
    def restore(self, tensors: dict[str, torch.Tensor], numbers: dict[str, float]) -> None:
        """Take over what :meth:`state` gave."""
        mine, _ = self.state()
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])
        for name, number in numbers.items():
            setattr(self, name, number)

    @torch.no_grad()
    def finished(self, scale: float) -> Dictionary:
        """The dictionary for vectors as they came, before they were multiplied by ``scale``."""
        mine, jump = self.dictionary, self.config.architecture in ("batchtopk", "jumprelu")
        done = Dictionary(mine.d_in, mine.d_sae, "jumprelu" if jump else mine.architecture, mine.k)
        for name in ("encoder", "decoder", "encoder_bias", "decoder_bias"):
            getattr(done, name).copy_(self.parameters[name])
        if self.config.architecture == "batchtopk":
            done.threshold.fill_(self.batch_threshold)
        elif jump:
            done.threshold.copy_(mine.threshold.exp())
        done.fold_scale(scale)
        return done.requires_grad_(False)
