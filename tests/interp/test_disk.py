"""What is saved appears whole or not at all; what cannot be written or read is said in a sentence."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from interp import sae
from interp.causal.subspace import Subspace
from interp.disk import before
from interp.errors import InterpError
from interp.generation import Generation
from interp.pooled import Pooled
from interp.sae import Dictionary
from interp.steering import Vector

KINDS = {
    Vector: lambda: Vector(np.ones(4), site="resid.1"),
    Subspace: lambda: Subspace(torch.eye(4)[:2], "resid.1", "tempo"),
    Pooled: lambda: Pooled({"m": {"0": np.zeros((2, 3, 4), np.float32)}}, {"prompt": ["a", "b", "c"]}),
    Generation: lambda: Generation(
        torch.zeros(1, 4, 3, dtype=torch.long), torch.zeros(1, 1, 9), ["a"], 1.0, 0, 3.0, 1, 1.0, 250, False,
        32000, 50.0, [3],
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def saved(request, tmp_path):
    """A file, and what was saved in it."""
    made = KINDS[request.param]()
    return made.save(tmp_path / "one.safetensors"), made


def test_nothing_is_left_beside_it(saved):
    path, made = saved
    assert os.listdir(path.parent) == ["one.safetensors"]
    assert type(made).load(path)


def test_a_full_disk_is_named_and_leaves_what_was_there(saved, monkeypatch):
    path, made = saved
    was = path.read_bytes()

    def full(tensors, partial, metadata=None):
        partial.write_bytes(b"some")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(InterpError, match=r"Cannot write .* to .*one\.safetensors: I/O error: No space left"):
        made.save(path)
    assert path.read_bytes() == was and os.listdir(path.parent) == ["one.safetensors"]


def test_a_place_that_cannot_be_is_named(saved):
    path, made = saved
    with pytest.raises(InterpError, match="there is no folder .*nowhere; make it first"):
        made.save(path.parent / "nowhere" / "one.safetensors")
    (path.parent / "folder").mkdir()
    with pytest.raises(InterpError, match="Cannot write .*folder: Is a directory"):
        made.save(path.parent / "folder")
    assert (path.parent / "folder").is_dir()


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", "3"])
def test_a_file_of_something_else_is_named(saved, text):
    path, made = saved
    kind = type(made).__name__.lower()
    save_file({"a": np.ones(1)}, path, None if text is None else {kind: text})
    with pytest.raises(InterpError, match=r"one\.safetensors(: it is damaged, or holds| was written by)"):
        type(made).load(path)


# --- dictionaries, which are folders ---


def dictionary(value):
    made = Dictionary(2, 3, k=1)
    torch.nn.init.constant_(made.decoder, value)
    return made


def held(folder):
    return float(sae.load(folder).decoder[0, 0])


def test_a_dictionary_takes_the_place_of_another(tmp_path):
    for value in (1, 2):
        sae.save(dictionary(value), tmp_path / "new" / "one")
    assert held(tmp_path / "new" / "one") == 2 and os.listdir(tmp_path / "new") == ["one"]


def test_who_is_stopped_or_killed_as_a_dictionary_is_replaced_loses_none(tmp_path, monkeypatch):
    folder = sae.save(dictionary(1), tmp_path / "one")

    def stopped(*_):
        assert not folder.exists() and held(folder) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", stopped)
        sae.save(dictionary(2), folder)
    assert held(folder) == 1 and os.listdir(tmp_path) == ["one"]
    os.rename(folder, before(folder))  # what a kill leaves
    assert held(folder) == 1
    sae.save(dictionary(3), folder)
    assert held(folder) == 3 and os.listdir(tmp_path) == ["one"]


def test_a_full_disk_leaves_the_dictionary(tmp_path, monkeypatch):
    folder = sae.save(dictionary(1), tmp_path / "one")

    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("interp.sae.saelens.save_file", full)
    with pytest.raises(InterpError, match="Cannot write a dictionary to .*one: No space left"):
        sae.save(dictionary(2), folder)
    assert held(folder) == 1 and os.listdir(tmp_path) == ["one"]


@pytest.mark.parametrize("text", ["[]", "{", "null", "{}"])
def test_a_damaged_configuration_is_named(tmp_path, text):
    folder = sae.save(dictionary(1), tmp_path / "one")
    (folder / "cfg.json").write_text(text)
    with pytest.raises(InterpError, match=r"from .*one: its cfg\.json is damaged"):
        sae.load(folder)


def test_metadata_may_be_null(tmp_path):
    folder = sae.save(dictionary(1), tmp_path / "one")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | {"metadata": None}))
    assert sae.load(folder).about == {}
