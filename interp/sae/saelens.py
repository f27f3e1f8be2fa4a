"""Dictionaries on disk in the format of SAELens 6: a folder of ``cfg.json`` and ``sae_weights.safetensors``.

SAELens opens them with ``SAE.load_from_disk(folder)`` (``tests/peers/saelens_opens.py`` tries it), and
dictionaries that were trained there open here.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..disk import before, make_folder, replacing
from ..errors import InterpError
from .dictionary import ARCHITECTURES, Dictionary

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"


def save(dictionary: Dictionary, folder: str | Path) -> Path:
    """Write a dictionary; ``folder`` appears whole or not at all, and replaces one that was there.

    Whatever ``dictionary.about`` holds goes into the metadata; SAELens knows ``model_name`` and
    ``hook_name`` among it.

    Raises
    ------
    InterpError
        If the folder holds something else, or cannot be written, as where the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).exists():
        raise InterpError(f"{folder} exists and is not a dictionary; choose another folder.")
    weights = {
        "W_enc": dictionary.encoder.T,
        "b_enc": dictionary.encoder_bias,
        "W_dec": dictionary.decoder,
        "b_dec": dictionary.decoder_bias,
    }
    config = {
        "architecture": dictionary.architecture,
        "d_in": dictionary.d_in,
        "d_sae": dictionary.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        # Without a version of 6 or later, SAELens takes a path for old files that drops the metadata.
        "metadata": {"sae_lens_version": "6.0.0", **dictionary.about},
    }
    if dictionary.architecture == "topk":
        config |= {"k": dictionary.k, "rescale_acts_by_decoder_norm": False}
    if dictionary.architecture == "jumprelu":
        weights["threshold"] = dictionary.threshold
    make_folder(folder.parent)
    with replacing(folder, "a dictionary") as partial:
        partial.mkdir()
        tensors = {name: w.detach().float().cpu().contiguous() for name, w in weights.items()}
        save_file(tensors, partial / WEIGHTS)
        (partial / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
    return folder


def load(folder: str | Path) -> Dictionary:
    """Read a dictionary; where a killed :func:`save` left none at ``folder``, the one that it was to replace.

    Raises
    ------
    InterpError
        If the folder is no dictionary of this format, or of an architecture or with settings that this
        library does not compute.
    """
    folder = Path(folder)
    if not folder.exists() and before(folder).exists():
        folder = before(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
        architecture, d_in, d_sae = config["architecture"], config["d_in"], config["d_sae"]
        about = dict(config.get("metadata") or {})
    except (OSError, SafetensorError) as error:
        raise InterpError(f"Cannot read a dictionary from {folder}: {error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InterpError(
            f"Cannot read a dictionary from {folder}: its {CONFIG} is damaged, or of something else."
        ) from error
    expected = {
        "architecture": ARCHITECTURES,
        "normalize_activations": ("none", None),
        "reshape_activations": ("none", None),
        "apply_b_dec_to_input": (True, False),
    }
    for key, valid in expected.items():
        if config.get(key) not in valid:
            raise InterpError(
                f"The dictionary in {folder} has {key}={config.get(key)!r}; this library computes "
                f"{', '.join(str(v) for v in valid if v is not None)} only."
            )
    dictionary = Dictionary(d_in, d_sae, architecture, config.get("k"))
    shapes = {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if architecture == "jumprelu":
        shapes["threshold"] = (d_sae,)
    for name, shape in shapes.items():
        found = tuple(weights[name].shape) if name in weights else "missing"
        if found != shape:
            raise InterpError(f"The dictionary in {folder} is damaged: {name} is {found}, not {shape}.")
    encoder, bias = weights["W_enc"].float().T, weights["b_enc"].float()
    decoder, centre = weights["W_dec"].float(), weights["b_dec"].float()
    if not config.get("apply_b_dec_to_input"):
        bias = bias + encoder @ centre  # the encoder here always subtracts the decoder's bias first
    if config.get("rescale_acts_by_decoder_norm"):  # f ||decoder|| and decoder / ||decoder||: the same sum
        norm = decoder.norm(dim=1)
        encoder, bias, decoder = encoder * norm[:, None], bias * norm, decoder / norm[:, None]
    with torch.no_grad():
        dictionary.encoder.copy_(encoder)
        dictionary.encoder_bias.copy_(bias)
        dictionary.decoder.copy_(decoder)
        dictionary.decoder_bias.copy_(centre)
        if architecture == "jumprelu":
            dictionary.threshold.copy_(weights["threshold"])
    dictionary.about = {k: v for k, v in about.items() if k != "sae_lens_version"}
    return dictionary.requires_grad_(False)
