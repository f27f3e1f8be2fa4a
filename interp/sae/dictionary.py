"""A sparse dictionary: what it computes, in each of the architectures.

Every vector x is written as few features f of many, and put together again from them::

    pre = (x - decoder_bias) encoder^T + encoder_bias
    f   = activation(pre)                               mostly zeros
    x^  = f decoder + decoder_bias

==============  ==========================================  =============================================
architecture    activation                                  source
==============  ==========================================  =============================================
``standard``    ReLU(pre)                                   Bricken et al. 2023, Cunningham et al. 2023
``topk``        ReLU of the k largest of every vector       Gao et al. 2024
``batchtopk``   ReLU of the B k largest of a batch of B     Bussmann, Leask & Nanda 2024
``jumprelu``    pre where pre > threshold, else 0           Rajamanoharan et al. 2024
==============  ==========================================  =============================================

What BatchTopK gives for a vector depends on its neighbours in the batch.  So it exists in training only; the
trained dictionary is a ``jumprelu`` with one threshold for all features.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear

from ..errors import InterpError, check_whole, unknown

ARCHITECTURES = ("standard", "topk", "jumprelu")


class Dictionary(nn.Module):
    """Encoder and decoder, one row per feature, in float32.

    Parameters
    ----------
    d_in, d_sae : int
        Width of the vectors, number of features.
    architecture : str
        "standard", "topk" or "jumprelu".
    k : int, optional
        For "topk": features of a vector.

    Attributes
    ----------
    encoder, decoder : torch.nn.Parameter
        [d_sae, d_in].
    encoder_bias, decoder_bias : torch.nn.Parameter
        [d_sae], [d_in].
    threshold : torch.nn.Parameter or None
        [d_sae], for "jumprelu".
    about : dict
        Where it comes from, as plain values: model, site, how it was trained.
    """

    def __init__(self, d_in: int, d_sae: int, architecture: str = "topk", k: int | None = None) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise unknown("architecture", architecture, ARCHITECTURES)
        self.d_in, self.d_sae = check_whole(d_in, "d_in", 1), check_whole(d_sae, "d_sae", 1)
        self.architecture, self.k = architecture, None
        if architecture == "topk":
            self.k = check_whole(k, "k", 1)
            if self.k > d_sae:
                raise InterpError(f"k={k} of {d_sae} features: k must be at most d_sae.")
        self.encoder = nn.Parameter(torch.zeros(d_sae, d_in))
        self.encoder_bias = nn.Parameter(torch.zeros(d_sae))
        self.decoder = nn.Parameter(torch.zeros(d_sae, d_in))
        self.decoder_bias = nn.Parameter(torch.zeros(d_in))
        self.threshold = nn.Parameter(torch.zeros(d_sae)) if architecture == "jumprelu" else None
        self.about: dict = {}

    def preactivations(self, x: torch.Tensor) -> torch.Tensor:
        """[..., d_in] to [..., d_sae], before the activation."""
        if x.shape[-1] != self.d_in:
            raise InterpError(f"This dictionary reads vectors of width {self.d_in}, not {x.shape[-1]}.")
        return linear(x - self.decoder_bias, self.encoder, self.encoder_bias)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Features of vectors, [..., d_in] to [..., d_sae]."""
        pre = self.preactivations(x)
        if self.architecture == "topk":
            return keep_top(pre, self.k)
        if self.architecture == "jumprelu":
            return pre.relu() * (pre > self.threshold)
        return pre.relu()

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Vectors from features, [..., d_sae] to [..., d_in]."""
        return features @ self.decoder + self.decoder_bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The reconstruction of ``x``."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def fold_scale(self, scale: float) -> None:
        """Make a dictionary that was trained on ``scale * x`` one for ``x``; features keep their values."""
        self.encoder.mul_(scale)
        self.decoder.div_(scale)
        self.decoder_bias.div_(scale)

    def __repr__(self) -> str:
        k = f", k {self.k}" if self.k else ""
        return f"Dictionary({self.architecture}, {self.d_in} -> {self.d_sae}{k})"


def keep_top(pre: torch.Tensor, k: int) -> torch.Tensor:
    """ReLU of the ``k`` largest along the last axis, zeros elsewhere."""
    value, index = pre.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter(-1, index, value.relu())
