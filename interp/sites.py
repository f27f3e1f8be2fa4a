"""Names for the places inside a MusicGen transformer that can be read or edited.

A block adds three things to the residual stream: self-attention, cross-attention to the text, and an MLP.

============================  ==================================================================  ============
site                          what it is                                                          width
============================  ==================================================================  ============
``resid.pre``                 residual stream before the first block (embeddings and positions)   d_model
``resid.3``                   residual stream after block 3                                       d_model
``attn.3``                    what self-attention of block 3 adds to the residual stream          d_model
``cross.3``                   what cross-attention of block 3 adds                                d_model
``mlp.3``                     what the MLP of block 3 adds                                        d_model
``head.3.1``                  output of self-attention head 1, before ``out_proj`` mixes heads    head_dim
``cross_head.3.1``            output of cross-attention head 1, likewise                          head_dim
============================  ==================================================================  ============
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import InterpError, check_list, unknown

if TYPE_CHECKING:
    import torch

    from .model import Model

KINDS = ("resid", "attn", "cross", "mlp", "head", "cross_head")

# Where in a block of audiocraft's the sites are; another backend's language model has ``places`` of its own.
# What a block adds to the stream passes through a module of its own just before the addition (an identity,
# or a learnt scale in some models), so hooking that module sees exactly the addend. What goes into out_proj
# is the concatenation of the heads.
PLACES = {
    "attn": "layer_scale_1",
    "cross": "layer_scale_cross",
    "mlp": "layer_scale_2",
    "head": "self_attn.out_proj",
    "cross_head": "cross_attention.out_proj",
}


@dataclass(frozen=True)
class Site:
    """One place in a model.

    Attributes
    ----------
    name : str
        As in the table of this module.
    module : torch.nn.Module
        The module to hook.
    reads_input : bool
        True if the site is the module's first input, False if it is its output.
    columns : slice
        Which features of that tensor belong to the site (a head's share, or all).
    width : int
        Number of features.
    """

    name: str
    module: torch.nn.Module
    reads_input: bool
    columns: slice
    width: int

    def attach(self, see: Callable[[torch.Tensor], torch.Tensor | None]):
        """Call ``see`` on the whole tensor at every pass; what it returns, unless None, replaces it."""
        if self.reads_input:

            def on_input(module, args):
                new = see(args[0])
                return None if new is None else (new, *args[1:])

            return self.module.register_forward_pre_hook(on_input)
        return self.module.register_forward_hook(lambda module, args, output: see(output))


def find_site(model: Model, name: str) -> Site:
    """Return the :class:`Site` called ``name``.

    Raises
    ------
    InterpError
        If there is no such kind, layer or head in this model; the message lists the valid ones.
    """
    kind, *numbers = str(name).split(".")
    if kind not in KINDS:
        raise unknown(
            "site", name, [f"{k}.LAYER" for k in KINDS[:4]] + [f"{k}.LAYER.HEAD" for k in KINDS[4:]]
        )
    blocks, everything = model.lm.transformer.layers, slice(None)
    if name == "resid.pre":
        return Site(name, blocks[0], True, everything, model.d_model)
    by_head = kind in ("head", "cross_head")
    if len(numbers) != 1 + by_head:
        form = f"{kind}.LAYER.HEAD" if by_head else f"{kind}.LAYER"
        raise InterpError(f"Site {name!r} must have the form {form}, e.g. {kind}.0{'.0' if by_head else ''}.")
    layer = _number(numbers[0], model.n_layers, "layer", name)
    block = blocks[layer]
    if kind == "resid":
        return Site(name, block, False, everything, model.d_model)
    place = getattr(model.lm, "places", PLACES)[kind]
    module = block.get_submodule(place)
    if not by_head:
        return Site(name, module, False, everything, model.d_model)
    head = _number(numbers[1], model.n_heads, "head", name)
    attention = block.get_submodule(place.rpartition(".")[0])
    if not getattr(attention, "custom", True):  # torch's own attention never calls its out_proj as a module
        raise InterpError(f"Heads of {model.name} cannot be seen: its attention is torch's built-in one.")
    width = model.d_model // model.n_heads
    return Site(name, module, True, slice(head * width, (head + 1) * width), width)


def expand_sites(model: Model, sites: Sequence[str], layers: Sequence[int] | None) -> list[Site]:
    """Turn kinds and layers into sites, in the order of the blocks.

    Parameters
    ----------
    sites : list of str
        Kinds (``"resid"``, ``"head"``: at every layer asked for, every head) or full names (``"attn.3"``).
    layers : list of int, optional
        Layers for the kinds. None means all, and for ``"resid"`` also the stream before the first block.
    """
    names: list[str] = []
    chosen = range(model.n_layers) if layers is None else check_list(layers, "layers")
    for layer in chosen:
        _number(layer, model.n_layers, "layer", layer)
    for site in check_list(sites, "sites"):
        if site not in KINDS:
            names.append(site)
        elif site in ("head", "cross_head"):
            names += [f"{site}.{layer}.{head}" for layer in chosen for head in range(model.n_heads)]
        else:
            names += ["resid.pre"] if site == "resid" and layers is None else []
            names += [f"{site}.{layer}" for layer in chosen]
    return [find_site(model, name) for name in dict.fromkeys(names)]


def _number(text: object, count: int, what: str, name: object) -> int:
    """An index in ``range(count)``; negative ones are refused, since -1 is too easily a slip."""
    number = int(text) if str(text).isdigit() else -1
    if not 0 <= number < count:
        place = "" if text == name else f" (asked for {name!r})"
        raise InterpError(f"No {what} {text!r}{place}; this model has {what}s 0 to {count - 1}.")
    return number


def same_depth(layer: int, model: Model, other: Model) -> int:
    """The layer of another model that lies as deep as a layer of this one, by the share of the blocks.

    The middle block of one is the middle block of the other; between models of equally many blocks it is the
    layer itself.
    """
    return (2 * layer + 1) * other.n_layers // (2 * model.n_layers)
