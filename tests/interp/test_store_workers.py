"""A store that Dask workers fill, with a real cluster on this machine's loopback."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

import interp
from interp.errors import InterpError
from interp.store import Store

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[cluster]'")

from interp.store.workers import capture_on  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Dask's own, of ports
HOW = dict(layers=[1, 4], sites=["resid", "attn"], batch_size=2, seconds=1.0)


@pytest.fixture(scope="module")
def client():
    """Of two workers, each a process of its own."""
    options = dict(threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")
    with (
        distributed.LocalCluster(2, **options, processes=True, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def pieces():
    return interp.corpus("factorial", n=9, seed=5, seconds=1.0)


def content(store: Store) -> dict[str, bytes]:
    return {
        path.relative_to(store.path).as_posix(): path.read_bytes()
        for path in sorted(store.path.rglob("*"))
        if path.is_file()
    }


def test_two_workers_write_what_one_writes(client, pieces, tmp_path):
    torch.set_num_threads(1)  # as the workers have it
    one = interp.capture(interp.load("etude"), pieces, to=tmp_path / "one", progress=False, **HOW)
    two = capture_on(client, "etude", pieces, tmp_path / "two", progress=False, **HOW)
    assert one.complete == list(range(9)) and two.sites == ["resid.1", "resid.4", "attn.1", "attn.4"]
    assert content(two) == content(one)
    two.verify()


def test_a_worker_is_killed_and_another_call_goes_on(client, pieces, tmp_path):
    to = tmp_path / "store"
    workers = list(client.run(os.getpid).values())

    def kill():  # as soon as there is something to lose
        while not list(to.glob("complete/*.json")):
            time.sleep(0.01)
        os.kill(workers[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    store = capture_on(client, "etude", pieces, to, progress=False, **HOW)
    assert store.complete == list(range(9))
    whole = content(store)
    for clip in (2, 7):
        (to / f"complete/{clip}.json").unlink()  # as if it had been stopped before these
    kept = (to / "complete/0.json").stat().st_mtime_ns
    assert content(capture_on(client, "etude", pieces, to, progress=False, **HOW)) == whole
    assert (to / "complete/0.json").stat().st_mtime_ns == kept


def test_what_cannot_work_is_one_sentence(client, model, pieces, tmp_path):
    for given, options, said in [
        (model, {}, "give its name or folder"),
        ("etude", {"layers": [99]}, "layer"),
        ("nobody/nothing", {}, "nobody/nothing"),
    ]:
        with pytest.raises(InterpError, match=said) as caught:
            capture_on(client, given, pieces, tmp_path / "store", progress=False, **(HOW | options))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()
