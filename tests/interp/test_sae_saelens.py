"""Dictionaries on disk: exact keys, nothing lost, what is not understood is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from interp.errors import InterpError
from interp.sae import Dictionary, load, save

ROOT = Path(__file__).parents[2]


def random(architecture: str, k: int | None = None) -> Dictionary:
    made = Dictionary(6, 10, architecture, k)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.randn(p.shape, generator=draw))
        if made.threshold is not None:
            made.threshold.abs_()
    made.about = {"model_name": "etude", "hook_name": "resid.3", "steps": 10}
    return made


KINDS = [("topk", 3), ("jumprelu", None), ("standard", None)]
X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("architecture", "k"), KINDS)
def test_round_trip(tmp_path, architecture, k):
    made = random(architecture, k)
    read = load(save(made, tmp_path / "it"))
    assert torch.equal(read.encode(X), made.encode(X)) and torch.equal(read(X), made(X))
    assert read.about == made.about and read.k == k
    save(made, tmp_path / "it")  # replaces
    assert [p.name for p in tmp_path.iterdir()] == ["it"]


def test_keys_and_settings_are_saelens(tmp_path):
    folder = save(random("jumprelu"), tmp_path / "jump")
    shapes = {name: list(w.shape) for name, w in load_file(folder / "sae_weights.safetensors").items()}
    assert shapes == {"W_enc": [6, 10], "b_enc": [10], "W_dec": [10, 6], "b_dec": [6], "threshold": [10]}
    topk = json.loads((save(random("topk", 3), tmp_path / "topk") / "cfg.json").read_text())
    assert topk["k"] == 3 and topk["rescale_acts_by_decoder_norm"] is False
    assert topk["metadata"] == {"sae_lens_version": "6.0.0"} | random("topk", 3).about
    assert topk["apply_b_dec_to_input"] is True
    assert topk["normalize_activations"] == topk["reshape_activations"] == "none"


def test_settings_of_others_are_computed_or_refused(tmp_path):
    """Written by hand as another trainer might: no subtraction of b_dec, selection by decoder norm."""
    folder = save(random("topk", 3), tmp_path / "it")
    w, config = load_file(folder / "sae_weights.safetensors"), json.loads((folder / "cfg.json").read_text())
    config |= {"apply_b_dec_to_input": False, "rescale_acts_by_decoder_norm": True}
    (folder / "cfg.json").write_text(json.dumps(config))
    norm = w["W_dec"].norm(dim=1)
    value, index = ((X @ w["W_enc"] + w["b_enc"]) * norm).topk(3)
    features = torch.zeros(40, 10).scatter(1, index, value.relu())
    read = load(folder)
    torch.testing.assert_close(read.encode(X), features)
    torch.testing.assert_close(read(X), features / norm @ w["W_dec"] + w["b_dec"])
    (folder / "cfg.json").write_text(json.dumps(config | {"normalize_activations": "layer_norm"}))
    with pytest.raises(InterpError, match="normalize_activations='layer_norm'"):
        load(folder)
    (folder / "cfg.json").write_text(json.dumps(config | {"architecture": "gated"}))
    with pytest.raises(InterpError, match="architecture='gated'"):
        load(folder)


def test_damage_is_named(tmp_path):
    with pytest.raises(InterpError, match="Cannot read a dictionary"):
        load(tmp_path)
    folder = save(random("standard"), tmp_path / "it")
    weights = load_file(folder / "sae_weights.safetensors")
    save_file({k: w for k, w in weights.items() if k != "b_dec"}, folder / "sae_weights.safetensors")
    with pytest.raises(InterpError, match="b_dec is missing"):
        load(folder)
    with pytest.raises(InterpError, match="is not a dictionary"):
        save(random("standard"), tmp_path)


def test_saelens_opens_them():
    """The same encode and decode there, to 1e-5."""
    pytest.importorskip("sae_lens", reason="sae-lens is not installed; run tests/peers/saelens_opens.py")
    done = subprocess.run([sys.executable, ROOT / "tests/peers/saelens_opens.py"], capture_output=True)
    assert done.returncode == 0, done.stderr
