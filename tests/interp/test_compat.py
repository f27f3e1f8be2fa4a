"""audiocraft can be imported beside whatever torch is installed, and the stand-in is honest."""

import importlib.util
import sys

import pytest
import torch

from interp import compat


@pytest.fixture(autouse=True)
def _prepared():
    compat.prepare()


def test_the_stand_in_does_what_audiocraft_uses(monkeypatch):
    for name in ("xformers", "xformers.ops"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    compat._register_stand_in()
    monkeypatch.setitem(sys.modules, "xformers", sys.modules["xformers"])
    monkeypatch.setitem(sys.modules, "xformers.ops", sys.modules["xformers.ops"])
    from xformers import ops

    assert compat.xformers_is_stand_in()
    assert [x.tolist() for x in ops.unbind(torch.eye(2), dim=0)] == [[1, 0], [0, 1]]
    assert ops.LowerTriangularMask() is not None
    with pytest.raises(RuntimeError, match="set_efficient_attention_backend"):
        ops.memory_efficient_attention(None, None, None)
    assert importlib.util.find_spec("xformers") is not None  # other libraries may probe for it


def test_torchaudio_transforms_work():
    import torchaudio

    mel = torchaudio.transforms.MelSpectrogram(16_000, n_fft=1024, n_mels=40)(torch.randn(1, 16_000))
    assert mel.shape[:2] == (1, 40)


def test_a_missing_library_is_seen_and_a_missing_extension_is_fine(tmp_path):
    (tmp_path / "_torchaudio.abi3.so").write_bytes(b"not a library")
    (tmp_path / "_torchaudio.pyd").write_bytes(b"not a library")
    assert not compat._torchaudio_extension_works(tmp_path)


def test_prepare_twice_is_once():
    before = {
        name: id(module)
        for name, module in sys.modules.items()
        if name.startswith(("xformers", "torchaudio"))
    }
    compat.prepare()
    assert before == {
        name: id(module)
        for name, module in sys.modules.items()
        if name.startswith(("xformers", "torchaudio"))
    }
