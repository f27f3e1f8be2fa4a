"""One training step of a TopK dictionary at the price of one dense product.

With B vectors of width d, F features and k of them active in a vector, plain autograd pays five dense
products of B d F multiplications: encoder, decoder, and in the backward pass the gradients of the decoder, of
the activations and of the encoder.  Four of the five multiply by a matrix that is zero but for k of F entries
in a row.  Here only the first is dense:

===========================================  ================  ==========================================
step                                         multiplications   how
===========================================  ================  ==========================================
pre-activations                              B d F             BLAS, in slices of rows, one to a thread
the k largest of a row                       0, B F compares   :func:`top_k`
reconstruction, gradient of the activations  2 B k d           :func:`decode`, row by row
gradients of decoder and encoder; Adam       2 B k d + O(d F)  :func:`update`, feature by feature
===========================================  ================  ==========================================

Scatter-adds are avoided: the (row, feature) pairs are sorted by feature (a counting sort), so that the
gradient of a feature's row is a sum over its own pairs.  It is formed in a buffer of d numbers that stays in
the processor's first cache, given to Adam there, and never written to memory.  No two threads write to the
same place, and the order of every sum is fixed: results do not depend on the number of threads.

The kernels are compiled by numba on first use, which takes seconds, and kept on disk beside this file.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numba
import numpy as np
import torch

# error_model="numpy": Python's check for a division by zero would keep loops from being vectorised.
_compiled = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)

SLICE_ROWS = 512  # that a thread works on at a time: enough for BLAS, little memory
RANGES = 32  # of features. Neither depends on the number of threads, hence no sum does


@functools.cache
def _workers(number: int) -> ThreadPoolExecutor:
    """Threads that are kept: a new one has to set up its memory before its first product."""
    return ThreadPoolExecutor(number, "crew")


os.register_at_fork(after_in_child=_workers.cache_clear)  # a fork has none of its parent's threads


class Crew:
    """As many threads as torch has; ``with Crew() as share`` they share out the rows or features of a step.

    Meanwhile torch has one, so that no more threads run than it had before: those that it works with itself
    go on turning for milliseconds after every operation, in case of another, and would keep the kernels' from
    the cores: with two threads on two cores, a step of 256 -> 2,048 took longer than with one.
    """

    def __enter__(self) -> Crew:
        self.threads = torch.get_num_threads()
        self._pool = _workers(self.threads) if self.threads > 1 else None
        torch.set_num_threads(1)
        return self

    def __exit__(self, *_) -> None:
        torch.set_num_threads(self.threads)

    def __call__(self, kernel: Callable, n: int, size: int, *arguments) -> None:
        """Run ``kernel(first, last, *arguments)`` over ranges of ``size`` that make up ``n``.

        The kernels release Python's lock. More ranges than threads serve best, since some hold more work.
        """
        ranges = [(first, min(first + size, n)) for first in range(0, n, size)]
        if not self._pool:
            for ends in ranges:
                kernel(*ends, *arguments)
            return
        for done in [self._pool.submit(kernel, *ends, *arguments) for ends in ranges]:
            done.result()

    @contextmanager
    def lent_to_torch(self) -> Iterator[None]:
        """For an operation of torch's own in between: it has all its threads."""
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(1)


# --- which features are active ---


def top_k(pre: np.ndarray, k: int, feature: np.ndarray, value: np.ndarray) -> None:
    """The ``k`` largest of every row of ``pre`` [row, column]: their columns and values, [row, k], unordered.

    Exact. A row is folded into groups, and the k-th largest of the groups' maxima bounds the k-th largest
    number from below, since k groups hold a number at least as large.  One pass with vector instructions
    finds the maxima; then only the groups above the bound, about k of them, are looked into.
    """
    groups = -(-pre.shape[1] // max(1, min(32, pre.shape[1] // (8 * k))))
    _top_k(pre, k, groups, feature, value)


@_compiled
def _kth_largest(values, n, k):
    """The k-th largest of the first n; reorders them (Hoare's selection)."""
    low, high, wanted = 0, n - 1, k - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return values[wanted]


@_compiled
def _top_k(pre, k, groups, feature, value):
    n_columns = pre.shape[1]
    columns = np.empty(n_columns, np.int64)
    values, scratch = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
    for b in range(pre.shape[0]):
        row = pre[b]
        maxima = row[:groups].copy()  # of group i: columns i, i + groups, i + 2 groups, ...
        for first in range(groups, n_columns, groups):
            for i in range(min(groups, n_columns - first)):
                x = row[first + i]
                maxima[i] = x if x > maxima[i] else maxima[i]
        scratch[:groups] = maxima
        bound = _kth_largest(scratch, groups, k) if groups > k else np.float32(-np.inf)
        n = 0
        for i in range(groups):
            if maxima[i] >= bound:
                for column in range(i, n_columns, groups):
                    if row[column] >= bound:
                        columns[n], values[n] = column, row[column]
                        n += 1
        scratch[:n] = values[:n]
        least = _kth_largest(scratch, n, k)
        ties = k  # how many of the numbers equal to the least are still wanted
        for i in range(n):
            ties -= values[i] > least
        taken = 0
        for i in range(n):
            if values[i] > least or (values[i] == least and ties > 0):
                ties -= values[i] == least
                feature[b, taken], value[b, taken] = columns[i], values[i]
                taken += 1


# --- reconstruction ---


@_compiled
def _add_row(into, factor, row):
    for i in range(into.shape[0]):
        into[i] += factor * row[i]


@_compiled
def _dot(a, b):
    total = np.float32(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@_compiled
def decode(first_row, last_row, start, feature, value, decoder, bias, target, factor, error, slope):
    """Reconstruct every row and differentiate its squared error, while its decoder rows are in the cache.

    Parameters
    ----------
    start, feature, value : pairs of row b are ``start[b]`` to ``start[b + 1] - 1``.
    decoder [feature, d], bias [d], target [row, d]
    factor : of the squared error in the loss, times 2.
    error : [row, d], written: reconstruction minus target.
    slope : [pair], written: the loss differentiated by the pre-activation; 0 where ReLU gave 0.
    """
    for b in range(first_row, last_row):
        e = error[b]
        for i in range(e.shape[0]):
            e[i] = bias[i] - target[b, i]
        p, end = start[b], start[b + 1]
        while p + 4 <= end:  # four rows at a time: the sum is loaded and stored a quarter as often
            v0, v1, v2, v3 = value[p], value[p + 1], value[p + 2], value[p + 3]
            w0, w1 = decoder[feature[p]], decoder[feature[p + 1]]
            w2, w3 = decoder[feature[p + 2]], decoder[feature[p + 3]]
            for i in range(e.shape[0]):
                e[i] += v0 * w0[i] + v1 * w1[i] + v2 * w2[i] + v3 * w3[i]
            p += 4
        for q in range(p, end):
            _add_row(e, value[q], decoder[feature[q]])
        for q in range(start[b], end):
            slope[q] = factor * _dot(e, decoder[feature[q]]) if value[q] > 0 else np.float32(0)


# --- gradients and optimiser ---


@_compiled
def by_feature(start, feature, n_features):
    """Sort the pairs by feature, rows in order within each: ``first`` [feature + 1], ``pair`` and ``row``."""
    first = np.zeros(n_features + 1, np.int64)
    for j in feature:
        first[j + 1] += 1
    for j in range(n_features):
        first[j + 1] += first[j]
    cursor, pair, row = first[:-1].copy(), np.empty(len(feature), np.int32), np.empty(len(feature), np.int32)
    for b in range(len(start) - 1):
        for p in range(start[b], start[b + 1]):
            place = cursor[feature[p]]
            pair[place], row[place] = p, b
            cursor[feature[p]] = place + 1
    return first, pair, row


@_compiled
def _adam(weight, gradient, mean, square, beta1, beta2, rate, root, epsilon):
    one = np.float32(1)
    for i in range(weight.shape[0]):
        g = gradient[i]
        m = beta1 * mean[i] + (one - beta1) * g
        s = beta2 * square[i] + (one - beta2) * g * g
        mean[i], square[i] = m, s
        weight[i] -= rate * m / (np.sqrt(s) * root + epsilon)


@_compiled
def update(
    first_feature, last_feature, pairs, value, slope, error, centred, factor, extra, encoder, decoder,
    moments, adam, turning, unit_norm, to_bias, through_encoder, size,
):  # fmt: skip
    """Gradients of encoder and decoder rows, straight into Adam.

    Parameters
    ----------
    pairs : ``first``, ``pair``, ``row`` from :func:`by_feature`.
    value, slope, error, factor : from :func:`decode`.
    centred : [row, d], the encoder's input.
    extra : ``where`` [feature], -1 or a row of two more gradients, ``encoder`` and ``decoder`` [row, d].
    encoder, decoder : [feature, d], changed in place.
    moments : means and squares of the encoder's and of the decoder's gradients, changed in place.
    adam : beta1, beta2, rate, root, epsilon, see :func:`adam_constants`.
    turning : the decoder's rate, in units of the encoder's.
    unit_norm : keep decoder rows at norm 1, and their gradients at right angles to them.
    to_bias : [feature], gradient of the encoder bias.
    through_encoder : [range of ``size`` features, d], written: the sum of to_bias times the encoder's rows.
    """
    first, pair, row = pairs
    where, extra_encoder, extra_decoder = extra
    encoder_mean, encoder_square, decoder_mean, decoder_square = moments
    beta1, beta2, rate, root, epsilon = adam
    for j in range(first_feature, last_feature):
        d = encoder.shape[1]
        _add_row(through_encoder[first_feature // size], to_bias[j], encoder[j])
        to_encoder, to_decoder = np.zeros(d, np.float32), np.zeros(d, np.float32)
        p, end = first[j], first[j + 1]
        while p + 2 <= end:
            a, b = pair[p], pair[p + 1]
            sa, sb, va, vb = slope[a], slope[b], factor * value[a], factor * value[b]
            xa, xb, ea, eb = centred[row[p]], centred[row[p + 1]], error[row[p]], error[row[p + 1]]
            for i in range(d):
                to_encoder[i] += sa * xa[i] + sb * xb[i]
                to_decoder[i] += va * ea[i] + vb * eb[i]
            p += 2
        if p < end:
            _add_row(to_encoder, slope[pair[p]], centred[row[p]])
            _add_row(to_decoder, factor * value[pair[p]], error[row[p]])
        if where[j] >= 0:
            _add_row(to_encoder, np.float32(1), extra_encoder[where[j]])
            _add_row(to_decoder, np.float32(1), extra_decoder[where[j]])
        if unit_norm:
            _add_row(to_decoder, -_dot(to_decoder, decoder[j]), decoder[j])
        _adam(
            encoder[j], to_encoder, encoder_mean[j], encoder_square[j], beta1, beta2, rate, root, epsilon
        )  # fmt: skip
        _adam(
            decoder[j], to_decoder, decoder_mean[j], decoder_square[j], beta1, beta2, rate * turning, root,
            epsilon
        )  # fmt: skip
        if unit_norm:
            scale = np.float32(1) / np.sqrt(_dot(decoder[j], decoder[j]))
            for i in range(d):
                decoder[j, i] *= scale


def adam_constants(step: int, rate: float, betas: tuple[float, float], epsilon: float) -> tuple:
    """What Adam (Kingma & Ba 2015) needs at ``step`` (from 1), with its bias corrections folded in."""
    beta1, beta2 = betas
    corrected = rate / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    return tuple(np.float32(x) for x in (beta1, beta2, *corrected, epsilon))
