"""One step of the language model after another, without paying for the same thing twice.

audiocraft's streaming makes its cache of keys and values anew at every step, one step longer, and projects
the text to keys and values again each time.  :class:`CachedDecoder` runs the same modules with the same
weights, but writes into a cache of the full length and projects the text once.  Its logits are audiocraft's
up to rounding (``tests/interp/test_decoder.py``).

Hooks work as in audiocraft's own forward pass: the leaves of a block (norms, projections, scales) are called
as modules, and a block or language model that carries a hook is called as a module around the computation
here.  What only audiocraft's forward pass can run is left to it, through :class:`StreamingDecoder`, and
:func:`why_not` names the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from .model import Model

DECODERS = ("cached", "audiocraft")

Decoder = Callable[[torch.Tensor], torch.Tensor]
# values [row, text token, d_model] and mask, as the T5Conditioner gives
Text = tuple[torch.Tensor, torch.Tensor]


class CachedDecoder:
    """The language model of one run of steps.

    Parameters
    ----------
    model : Model
        From ``interp.load``; :func:`why_not` must have nothing against it.
    text : tuple of torch.Tensor
        The condition of every row: values [row, text token, d_model] and mask.
    steps : int
        Longest sequence that will be put in.
    """

    def __init__(self, model: Model, text: Text, steps: int) -> None:
        from audiocraft.modules.transformer import create_sin_embedding

        self.lm, self.n_heads, self.position = model.lm, model.n_heads, 0
        lm, codebooks = self.lm, model.n_codebooks
        self.blocks, self.caches = list(lm.transformer.layers), []
        # All codebooks in one table, and all output heads in one matrix.
        self.table = torch.cat([embedding.weight for embedding in lm.emb])
        self.offsets = torch.arange(codebooks, device=model.device)[:, None] * lm.emb[0].num_embeddings
        self.heads = torch.cat([linear.weight for linear in lm.linears])
        biases = [linear.bias for linear in lm.linears]
        self.head_bias = None if biases[0] is None else torch.cat(biases)
        positions = torch.arange(steps, device=model.device).view(1, -1, 1)
        embedding = create_sin_embedding(
            positions, model.d_model, max_period=lm.transformer.max_period, dtype=self.table.dtype
        )
        self.positions = lm.transformer.positional_scale * embedding
        _, source = lm.fuser(self.table.new_empty(len(text[0]), 1, model.d_model), {"description": text})
        self.texts = [self._text_keys_and_values(block.cross_attention, source) for block in self.blocks]
        self.steps = steps

    def __call__(self, sequence: torch.Tensor) -> torch.Tensor:
        """Logits [row, codebook, entry] of what follows ``sequence`` [row, codebook, step].

        The sequence goes on from that of the call before. Only the first call may bring several steps.
        """
        logits = _through(self.lm, self._forward, sequence)
        self.position += sequence.shape[-1]
        return logits[:, :, -1]

    def _forward(self, sequence: torch.Tensor) -> torch.Tensor:
        """What ``LMModel.forward`` gives: [row, codebook, step, entry]."""
        rows, codebooks, steps = sequence.shape
        x = F.embedding(sequence + self.offsets, self.table).sum(1)
        x = x + self.positions[:, self.position : self.position + steps]
        for layer, block in enumerate(self.blocks):
            x = _through(block, lambda x, layer=layer: self._block(layer, x), x)
        logits = F.linear(self.lm.out_norm(x), self.heads, self.head_bias)
        return logits.view(rows, steps, codebooks, -1).transpose(1, 2)

    def _block(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        block = self.blocks[layer]
        attention, cross = block.self_attn, block.cross_attention
        packed = F.linear(block.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = self._split(packed, 3)
        keys, values = self._remember(layer, k, v)
        heads = F.scaled_dot_product_attention(q, keys, values, is_causal=x.shape[1] > 1)
        x = x + block.layer_scale_1(attention.out_proj(_join(heads)))

        width = x.shape[-1]
        bias = None if cross.in_proj_bias is None else cross.in_proj_bias[:width]
        (q,) = self._split(F.linear(block.norm_cross(x), cross.in_proj_weight[:width], bias), 1)
        heads = F.scaled_dot_product_attention(q, *self.texts[layer])
        x = x + block.layer_scale_cross(cross.out_proj(_join(heads)))

        return x + block.layer_scale_2(block.linear2(block.activation(block.linear1(block.norm2(x)))))

    def _remember(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write keys and values of the current steps into the cache; give those of all steps so far."""
        if layer == len(self.caches):  # made at the first call, when the dtype under autocast is known
            rows, heads, _, width = k.shape
            self.caches.append(k.new_empty(2, rows, heads, self.steps, width))
        keys, values = self.caches[layer]
        stop = self.position + k.shape[2]
        keys[:, :, self.position : stop] = k
        values[:, :, self.position : stop] = v
        return keys[:, :, :stop], values[:, :, :stop]

    def _text_keys_and_values(self, cross: torch.nn.Module, source: torch.Tensor) -> tuple[torch.Tensor, ...]:
        width = source.shape[-1]
        bias = None if cross.in_proj_bias is None else cross.in_proj_bias[width:]
        keys_and_values = F.linear(source, cross.in_proj_weight[width:], bias)
        return tuple(part.contiguous() for part in self._split(keys_and_values, 2))

    def _split(self, packed: torch.Tensor, parts: int) -> tuple[torch.Tensor, ...]:
        """[row, step, parts x width] as ``parts`` tensors [row, head, step, width of a head]."""
        rows, steps, width = packed.shape
        split = packed.view(rows, steps, parts, self.n_heads, width // parts // self.n_heads)
        return split.permute(2, 0, 3, 1, 4).unbind()


class StreamingDecoder:
    """audiocraft's own streaming forward pass, with a state of its own; call it as a `CachedDecoder`."""

    def __init__(self, model: Model, text: Text) -> None:
        self.lm, self.condition, self.state = model.lm, {"description": text}, {}

    def __call__(self, sequence: torch.Tensor) -> torch.Tensor:
        """Logits [row, codebook, entry] of what follows ``sequence`` [row, codebook, step]."""
        self.lm.set_streaming_state(self.state)
        logits = self.lm(sequence, conditions=[], condition_tensors=self.condition)
        self.state = self.lm.get_streaming_state()
        return logits[:, :, -1]


@contextmanager
def decoding(model: Model, decoder: str, texts: list[Text], steps: int) -> Iterator[list[Decoder]]:
    """One decoder for each of ``texts``, ready for a sequence of at most ``steps``."""
    if decoder == "cached" and model.backend == "audiocraft":
        yield [CachedDecoder(model, text, steps) for text in texts]
    else:  # other backends are told how long the run is, and keep keys and values in one place as well
        ahead = {} if model.backend == "audiocraft" or decoder != "cached" else {"steps": steps}
        with model.lm.streaming(**ahead):
            yield [StreamingDecoder(model, text) for text in texts]


def why_not(model: Model) -> str | None:
    """The reason why :class:`CachedDecoder` cannot stand in for audiocraft's forward pass, or None."""
    if model.backend != "audiocraft":
        return None  # it has one of its own, see decoding()
    from audiocraft.modules.transformer import StreamingTransformerLayer

    lm = model.lm
    if lm.transformer.positional_embedding != "sin":
        return "its positions are not sinusoidal"
    if lm.out_norm is None:
        return "its blocks are not pre-norm"
    called = {lm, lm.out_norm}
    for layer, block in enumerate(lm.transformer.layers):
        if type(block) is not StreamingTransformerLayer or not block.norm_first:
            return f"block {layer} is not audiocraft's pre-norm one"
        if block.cross_attention is None:
            return f"block {layer} has no cross-attention"
        for attention in (block.self_attn, block.cross_attention):
            if not attention.custom or attention.attention_as_float32 or attention.qk_layer_norm:
                return f"attention in block {layer} is of another kind than MusicGen's"
        if block.self_attn.kv_repeat != 1 or block.self_attn.past_context is not None:
            return f"self-attention in block {layer} repeats keys or forgets"
        skipped = (block.self_attn, block.cross_attention, *_dropouts(block))
        called.add(block)
        called.update(m for m in block.modules() if m not in skipped)
    for name, module in lm.named_modules():
        if module in called:
            if "forward" in vars(module):
                return f"the forward pass of {name or 'the language model'} was replaced"
        elif _has_hooks(module) and not name.startswith(
            "condition_provider"
        ):  # the text encoder runs as ever
            return f"it has a hook on {name}"
    return None


def _dropouts(block: torch.nn.Module) -> list[torch.nn.Module]:
    return [module for module in block.modules() if isinstance(module, torch.nn.Dropout)]


def _has_hooks(module: torch.nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _join(heads: torch.Tensor) -> torch.Tensor:
    """[row, head, step, width] with the heads side by side: [row, step, head x width]."""
    return heads.transpose(1, 2).flatten(2)


def _through(
    module: torch.nn.Module, compute: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """``compute(x)`` with the module's hooks around it, if there are any."""
    if not _has_hooks(module):
        return compute(x)
    module.forward = compute  # the module's own call runs its hooks before and after its forward
    try:
        return module(x)
    finally:
        del module.forward
