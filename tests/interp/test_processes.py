"""Several processes: the same numbers, in order; what cannot travel is refused."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import interp
from interp import compare, halving
from interp.errors import InterpError
from interp.processes import OTHERS, VARIABLE, each, processes
from interp.steering import Push, Vector, trials

TWO = pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU there is one process")


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")


@TWO
def test_results_come_in_order_and_from_other_processes(two):
    found = each(lambda item: (item * 10, os.getpid()), range(5))
    assert [value for value, _ in found] == [0, 10, 20, 30, 40]
    assert os.getpid() not in {process for _, process in found}


def test_without_being_told_all_is_done_here(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert processes() == 1
    assert each(lambda item: os.getpid(), range(2)) == [os.getpid()] * 2


@pytest.mark.parametrize("said", ["0", "-1", "two", ""])
def test_a_number_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(InterpError, match="whole number"):
        processes()


@TWO
def test_an_error_comes_back_as_it_was(two):
    def refuse_two(item):  # one alone: of two that fail at once, either may be heard of first
        if item == 2:
            raise InterpError(f"no {item}")

    with pytest.raises(InterpError, match="^no 2$"):
        each(refuse_two, [1, 2, 3])


@TWO
@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_a_killed_process_is_named(two):
    with pytest.raises(InterpError, match="was killed.*INTERP_PROCESSES=1"):
        each(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(2))


@TWO
def test_who_is_killed_leaves_no_process_behind():
    code = (
        "import os, time\nfrom interp.processes import each\n"
        "each(lambda _: (os.write(1, b'%d\\n' % os.getpid()), time.sleep(600)), range(2))"  # a line at once
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {VARIABLE: "2"}
    )
    others = [int(killed.stdout.readline()) for _ in range(2)]
    assert all(psutil.pid_exists(pid) for pid in others)
    killed.kill()
    killed.wait()
    end = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in others) and time.monotonic() < end:
        time.sleep(0.2)
    assert not any(psutil.pid_exists(pid) for pid in others)


@TWO
def test_modules_that_others_load_are_loaded_here_and_their_memory_is_counted(two, monkeypatch):
    """A run's key hangs on the modules of its process, and the room that a phase needs on its memory."""

    def load(_):
        import interp.download  # noqa: F401

    monkeypatch.delitem(sys.modules, "interp.download", raising=False)
    before = len(OTHERS)
    each(load, range(2))
    assert "interp.download" in sys.modules
    assert len(OTHERS) == before + 1 and OTHERS[-1] > 10 * 2**20


@TWO
def test_halved_batches_are_told_of(two):
    before = len(halving.EVENTS)
    each(lambda item: halving.EVENTS.append({"clips": item}), [3, 4])
    told = halving.EVENTS[before:]
    del halving.EVENTS[before:]
    assert told == [{"clips": 3}, {"clips": 4}]


@TWO
def test_a_process_does_not_start_others(two):
    assert each(lambda _: processes(), range(2)) == [1, 1]


def threads() -> tuple[int, set[int]]:
    """Those of torch, and those of numpy's BLAS."""
    return torch.get_num_threads(), {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


@TWO
@pytest.mark.parametrize(("of_torch", "of_blas"), [(1, 1), (2, 1), (1, 2)])
def test_a_process_takes_as_many_threads_as_this_one(two, of_torch, of_blas):
    """More threads add up in another order, torch's and numpy's, and the two may differ."""
    here = torch.get_num_threads()
    torch.set_num_threads(of_torch)
    try:
        with threadpool_limits(of_blas, user_api="blas"):
            assert each(lambda _: threads(), range(2)) == [threads()] * 2 == [(of_torch, {of_blas})] * 2
    finally:
        torch.set_num_threads(here)


@TWO
def test_a_models_clips_are_the_same_in_two_processes(monkeypatch):
    model = interp.load("etude", device="cpu")
    vector = Vector(
        torch.randn(model.d_model, generator=torch.Generator().manual_seed(0)).numpy(), site="resid.1"
    )
    pushes = [Push("none"), Push("a", vector, 0.3)]

    def made():
        return trials(model, pushes, ["sad music"], [0, 1], seconds=0.4, batch_size=2, progress=False)

    alone = made()
    monkeypatch.setenv(VARIABLE, "2")
    together = made()
    again = model.generate(["sad music"] * 3, seconds=0.4, streams=[0, 1, 0], batch_size=2, progress=False)
    assert torch.equal(again.tokens[:2], together.clips.tokens[:2])
    heard = compare.pooled_by_layer(model, again, progress=False)
    monkeypatch.delenv(VARIABLE)
    for layer, x in compare.pooled_by_layer(model, again, progress=False).items():
        np.testing.assert_array_equal(x, heard[layer])
    assert torch.equal(together.clips.tokens, alone.clips.tokens)
    assert torch.equal(together.clips.audio, alone.clips.audio)
    assert together.table.equals(alone.table)


def test_a_model_with_a_hook_does_not_travel():
    import pickle

    model = interp.load("etude", device="cpu")
    with (
        interp.hook(model, {"resid.1": lambda x, layout, group: None}),
        pytest.raises(InterpError, match="has a hook on"),
    ):
        pickle.dumps(model)
    found = pickle.loads(pickle.dumps(model))
    assert found.hash == model.hash
    assert found is pickle.loads(pickle.dumps(model)), "loaded once in a process"


def test_other_weights_of_the_same_name_are_refused():
    import pickle

    model = interp.load("etude", device="cpu")
    with torch.no_grad():
        model.lm.out_norm.weight.mul_(2)
    with pytest.raises(InterpError, match="other weights"):
        pickle.loads(pickle.dumps(model))
