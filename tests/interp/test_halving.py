"""When memory is not enough the batch is halved, and what comes out is what would have come."""

import numpy as np
import pytest
import torch

import interp
from interp import halving
from interp.codec import decode_in_batches, mean_latents
from interp.halving import in_batches, is_out_of_memory

PROMPTS = ["calm", "sad", "happy", "slow", "calm"]  # of equal length in tokens


@pytest.fixture(autouse=True)
def events(monkeypatch):
    monkeypatch.setattr(halving, "EVENTS", [])
    return halving.EVENTS


def narrow(model, monkeypatch, most):
    """Let the language model take no more than ``most`` rows, as a full GPU would."""

    def check(x):
        if x.shape[0] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = model.lm.register_forward_pre_hook(lambda module, args: check(args[0]))
    monkeypatch.setattr(halving, "_let_go", lambda: None)
    return handle


def test_batches_are_halved_and_kept_small():
    asked = []

    def run(part):
        asked.append(list(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("full")
        return sum(part)

    with pytest.warns(
        UserWarning, match="not enough to add 7 clips at a time with m: it goes on with 3"
    ) as said:
        assert list(in_batches(run, range(7), "add", "m")) == list(range(7))  # one by one in the end
    assert asked[:3] == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2], [0]]
    assert len(said) == 2 and [event["then"] for event in halving.EVENTS] == [3, 1]


def test_other_errors_pass_and_one_clip_must_fit():
    def broken(part):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(in_batches(broken, [0, 1], "add", "m"))

    def full(part):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:73] DefaultCPUAllocator: can't allocate memory")

    with (
        pytest.warns(UserWarning, match="goes on with 1"),
        pytest.raises(interp.InterpError, match="not enough to add one clip with m.*interp.plan"),
    ):
        list(in_batches(full, [0, 1], "add", "m"))
    assert is_out_of_memory(MemoryError()) and not is_out_of_memory(ValueError("no"))


def test_a_generation_and_its_capture_are_the_same(model, monkeypatch):
    made = model.generate(PROMPTS, seconds=0.5, progress=False)
    acts = {s: interp.capture(model, made, rows="both", streaming=s) for s in (False, True)}
    handle = narrow(model, monkeypatch, most=4)
    try:
        with pytest.warns(UserWarning, match="not enough to generate 5 clips"):
            again = model.generate(PROMPTS, seconds=0.5, progress=False)
        assert torch.equal(again.tokens, made.tokens) and again.text_steps == made.text_steps
        for streaming, expected in acts.items():
            with pytest.warns(UserWarning, match="not enough to (capture|generate) 5 clips"):
                found = interp.capture(model, made, rows="both", streaming=streaming)
            for site in expected:
                torch.testing.assert_close(found[site], expected[site], rtol=1e-4, atol=1e-5)
    finally:
        handle.remove()
    assert {event["what"] for event in halving.EVENTS} == {"generate", "capture"}
    assert model.current_pass is None


def test_the_codec_too(model, monkeypatch):
    tokens = model.generate(PROMPTS, seconds=0.3, progress=False).tokens
    expected = decode_in_batches(model, tokens, 5)
    decode = type(model.codec).decode

    def small(self, tokens, scale=None):
        if len(tokens) > 1:
            raise torch.OutOfMemoryError("full")
        return decode(self, tokens, scale)

    monkeypatch.setattr(type(model.codec), "decode", small)
    with pytest.warns(UserWarning, match="decode"):
        found = decode_in_batches(model, tokens, 5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_run_writes_it_down(monkeypatch, tmp_path):
    import json

    from interp import results

    monkeypatch.setenv(results.RUN_DIR, str(tmp_path))
    halving.EVENTS.append({"what": "generate", "model": "small", "clips": 8, "then": 4})
    results.finish(0.0)
    assert json.loads((tmp_path / "sources.json").read_text())["halved_batches"] == halving.EVENTS


def test_latents_are_means_over_time_whatever_the_batch(model):
    tokens = torch.arange(5 * 4 * 6).reshape(5, 4, 6) % model.cardinality
    found = mean_latents(model, tokens, 2)
    assert found.shape[0] == 5
    for i, clip in enumerate(tokens):
        alone = model.codec.decode_latent(clip[None])[0].mean(-1)
        np.testing.assert_allclose(found[i], alone.numpy(), atol=1e-5)
