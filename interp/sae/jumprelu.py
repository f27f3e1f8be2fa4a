"""JumpReLU: a threshold for each feature, learnt through a step that has no gradient.

Neither f = pre where pre > threshold, nor the number of such features, changes smoothly with the threshold.
In place of its derivative stands one averaged over a window around it (straight-through; Rajamanoharan et
al. 2024, equations 11 and 12).
"""

from __future__ import annotations

import torch


def _near(pre: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """A rectangle of area 1 around the threshold."""
    return ((pre - threshold).abs() < bandwidth / 2) / bandwidth


class Jump(torch.autograd.Function):
    """pre where pre > threshold, else 0."""

    @staticmethod
    def forward(ctx, pre, threshold, bandwidth):
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx, gradient):
        pre, threshold = ctx.saved_tensors
        to_threshold = -threshold * _near(pre, threshold, ctx.bandwidth) * gradient
        return gradient * (pre > threshold), to_threshold.sum(0), None


class Above(torch.autograd.Function):
    """1 where pre > threshold, else 0; only the threshold gets a gradient."""

    @staticmethod
    def forward(ctx, pre, threshold, bandwidth):
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return (pre > threshold).to(pre.dtype)

    @staticmethod
    def backward(ctx, gradient):
        pre, threshold = ctx.saved_tensors
        return None, (-_near(pre, threshold, ctx.bandwidth) * gradient).sum(0), None
