"""What is written into a store is read from it, whatever happens to writer, disk and files in between."""

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import write_store
import zarr
from write_store import SITES, STEPS, create, values
from zarr.storage import LocalStore

import interp
from interp import InterpError, Store
from interp.store.writer import Writer

PROMPTS = ["upbeat cheerful pop music", "sad", None, "calm", "happy piano"]


@pytest.fixture
def filled(tmp_path):
    """A store of seven clips, all complete."""
    write_store.fill(tmp_path / "store", 7)
    return Store(tmp_path / "store")


def content(folder: Path) -> dict[str, str]:
    """Hash of every file in a folder, by its path."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


# --- round trips ---


def test_what_is_written_is_read(filled):
    expected = values(range(7))
    for site, width in SITES.items():
        for position, row in enumerate(("cond", "null")):
            half = expected[site][position].astype(np.float16)
            read = filled.read(site, row=row)
            assert read.dtype == np.float16 and read.shape == (7, STEPS, width)
            np.testing.assert_array_equal(read, half)
            np.testing.assert_array_equal(filled.read(site, [5, 2], row, slice(1, 3)), half[[5, 2], 1:3])
            mean = half.astype(np.float64).mean(1)
            np.testing.assert_allclose(filled.pooled(site, row=row), mean, rtol=1e-5, atol=1e-7)
    assert len(filled) == 7 and filled.complete == list(range(7)) and filled.clips[3] == "clip 3"
    np.testing.assert_array_equal(filled.seconds, np.arange(STEPS) / 50)
    filled.verify()


def test_any_reader_of_zarr_opens_it(filled):
    group = zarr.open_group(filled.path, mode="r")
    assert group["resid.0"].shape == (7, 2, STEPS, 6)
    assert group["resid.0"].metadata.dimension_names == ("clip", "row", "step", "width")
    np.testing.assert_array_equal(group["resid.0"][3, 1], filled.read("resid.0", [3], "null")[0])
    assert group.attrs["made_from"]["model"] == {"name": "toy"}


def test_float32_keeps_every_bit(tmp_path):
    store = create(tmp_path / "store", 2, dtype="float32")
    store.write([0, 1], values([0, 1]))
    np.testing.assert_array_equal(store.read("resid.0"), values([0, 1])["resid.0"][0])


def test_one_row_has_no_axis_of_its_own(tmp_path):
    store = create(tmp_path / "store", 2, rows="null")
    store.write([0, 1], {site: x[0] for site, x in values([0, 1], rows=1).items()})
    expected = values([0, 1], rows=1)["attn.1"][0].astype(np.float16)
    np.testing.assert_array_equal(store.read("attn.1"), expected)
    with pytest.raises(InterpError, match="valid: null"):
        store.read("attn.1", row="cond")


# --- a writer that is killed ---


def kill_and_resume(tmp_path: Path, clips: int, kills: int) -> None:
    """Kill a writer again and again at random moments, let it end, and compare with one left in peace."""
    draw = random.Random(0)
    killed = tmp_path / "killed"
    command = [sys.executable, write_store.__file__, str(killed), str(clips)]
    for wanted in sorted(draw.sample(range(1, clips - 12), kills)):
        # It waits a few batches on, so that it is at work however late a busy machine lets us kill it.
        writer = subprocess.Popen([*command, str(wanted + 9)], stdout=subprocess.DEVNULL)
        while writer.poll() is None and len(list(killed.glob("complete/*.json"))) < wanted:
            time.sleep(0.0005)
        time.sleep(draw.uniform(0, 0.003))  # a clip takes about as long: chunks, records, between them
        writer.kill()
        writer.wait()
        assert wanted <= len(Store(killed).complete) < clips  # it was at work
        Store(killed).verify()  # and what it called complete is whole
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    write_store.fill(tmp_path / "whole", clips)
    assert content(killed) == content(tmp_path / "whole")
    assert sorted(os.listdir(tmp_path)) == ["killed", "whole"]


def test_killed_writers_lose_nothing(tmp_path):
    kill_and_resume(tmp_path, clips=60, kills=2)


@pytest.mark.slow
def test_killed_at_twenty_moments(tmp_path):
    kill_and_resume(tmp_path, clips=400, kills=20)


def test_two_workers_fill_one_store(tmp_path):
    one, other = create(tmp_path / "store", 6), create(tmp_path / "store", 6)
    for clip in range(3):
        one.write([clip], values([clip]))
        other.write([5 - clip], values([5 - clip]))
    write_store.fill(tmp_path / "whole", 6)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_leftovers_go_only_when_all_is_there(tmp_path):
    store = create(tmp_path / "store", 2)
    store.write([0], values([0]))
    stray = tmp_path / "store" / "resid.0" / "c.1.0.0.abc.partial"  # another worker may be writing it
    stray.write_bytes(b"half")
    (tmp_path / f"store.{'0f' * 16}.partial").mkdir()  # killed before it was a store
    (tmp_path / f"store.b.{'0f' * 16}.partial").mkdir()  # of the store beside this one
    store.finish()
    assert stray.exists()
    store.write([1], values([1]))
    store.finish()
    assert not stray.exists()
    assert sorted(os.listdir(tmp_path)) == ["store", f"store.b.{'0f' * 16}.partial"]


# --- damage ---


@pytest.mark.parametrize("damage", ["cut short", "emptied", "a bit changed", "deleted"])
def test_a_damaged_chunk_is_named(filled, damage):
    chunk = filled.path / "attn.1" / "c.4.1.0.0"
    data = bytearray(chunk.read_bytes())
    data[7] ^= 1
    if damage == "deleted":
        chunk.unlink()
    else:
        chunk.write_bytes({"cut short": data[:-3], "emptied": b"", "a bit changed": bytes(data)}[damage])
    for look in (filled.verify, lambda: filled.read("attn.1", row="null")):
        with pytest.raises(InterpError, match=r"attn\.1/c\.4\.1\.0\.0; delete complete/4\.json") as caught:
            look()
        assert "\n" not in str(caught.value)
    assert filled.read("attn.1", row="cond").shape == (7, STEPS, 4)  # the rest is as it was
    # The way out that the message names:
    (filled.path / "complete" / "4.json").unlink()
    write_store.fill(filled.path, 7)
    filled.verify()


def test_a_chunk_exchanged_for_another_is_found_by_its_record(filled):
    chunks = [filled.path / "attn.1" / f"c.{clip}.0.0.0" for clip in (1, 2)]
    chunks[0].write_bytes(chunks[1].read_bytes())
    with pytest.raises(InterpError, match=r"1 damaged .* attn\.1/c\.1\.0\.0\.0"):
        filled.verify()


def test_a_damaged_record_is_named(filled):
    (filled.path / "complete" / "2.json").write_text("{")
    with pytest.raises(InterpError, match=r"complete/2\.json"):
        filled.verify()


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    store, put = create(tmp_path / "store", 4), LocalStore.set
    written = []

    async def until_full(self, key, value, *rest):
        written.append(key)
        if len(written) > 6:  # four chunks a clip: the second clip is half written
            raise OSError(errno.ENOSPC, "No space left on device")
        await put(self, key, value, *rest)

    monkeypatch.setattr(LocalStore, "set", until_full)
    with pytest.raises(InterpError, match="No space left on device. Every complete clip is kept") as caught:
        store.write([0, 1, 2, 3], values(range(4)))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert store.complete == [0]
    store.verify()
    write_store.fill(tmp_path / "store", 4)
    write_store.fill(tmp_path / "whole", 4)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


# --- what is refused ---


@pytest.mark.parametrize(
    "bad, said", [(np.nan, "not finite"), (np.inf, "not finite"), (-7e4, "use dtype='f")]
)
def test_values_that_half_precision_cannot_hold_are_refused(tmp_path, bad, said):
    store = create(tmp_path / "store", 1)
    x = values([0])
    x["attn.1"][1, 0, 2, 3] = bad
    with pytest.raises(InterpError, match=rf"attn\.1 .*{said}"):
        store.write([0], x)
    assert store.complete == []
    assert not list((tmp_path / "store").rglob("c.*"))


def test_the_largest_half_is_kept(tmp_path):
    store = create(tmp_path / "store", 1)
    x = values([0])
    x["attn.1"][0, 0, 0, 0] = 65504
    store.write([0], x)
    assert store.read("attn.1")[0, 0, 0] == 65504


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"made_from": {"model": {"name": "other"}}}, "model.name is toy there and other here; corpus"),
        ({"sites": {"resid.0": 6}}, "sites is "),
        ({"sites": {"resid.0": 6, "attn.1": 8}}, r"widths is \[6, 4\] there and \[6, 8\] here"),
        ({"rows": "cond"}, "rows is both there and cond here"),
        ({"dtype": "float32"}, "dtype is float16 there and float32 here"),
        ({"seconds": [0.0]}, "seconds is "),
        ({"clips": ["clip 0"]}, "clips is "),
    ],
)
def test_a_store_goes_on_only_with_what_it_was_made_of(tmp_path, changes, said):
    create(tmp_path / "store", 2)
    assert len(create(tmp_path / "store", 2)) == 2
    with pytest.raises(InterpError, match=said):
        create(tmp_path / "store", 2, **changes)


def test_bad_requests(tmp_path, filled):
    empty = create(tmp_path / "empty", 3)
    for ask, said in [
        (lambda: Store(tmp_path / "nowhere"), "no store of activations in"),
        (lambda: Store(tmp_path), "no store of activations in"),
        (lambda: create(tmp_path, 1), "is taken by something that is no store"),
        (lambda: create(tmp_path / "new", 1, dtype="bfloat16"), "valid: float16, float32"),
        (lambda: create(tmp_path / "new", 0), "clips is an empty list"),
        (lambda: empty.read("resid.0"), "3 of 3 clips are not in .*run the same capture again"),
        (lambda: next(empty.batches("resid.0", 4)), "3 of 3 clips are not in"),
        (lambda: empty.write([0], {"resid.0": values([0])["resid.0"]}), "Nothing was given for attn.1"),
        (lambda: empty.write([0], values([0, 1])), "all clips must be equally long"),
        (lambda: filled.read("resid.1"), "valid: resid.0, attn.1"),
        (lambda: filled.read("resid.0", [7]), "clips 0 to 6"),
        (lambda: filled.read("resid.0", [1, 1]), "twice"),
        (lambda: filled.read("resid.0", []), "empty list"),
        (lambda: filled.read("resid.0", row="both"), "valid: cond, null"),
        (lambda: filled.batches("resid.0", 0), "batch_size"),
        (lambda: filled.batches("resid.0", 4, start=-1), "start"),
        (lambda: filled.batches("resid.0", 4, epochs=0), "epochs"),
        (
            lambda: filled.batches("resid.0", 4, buffer_mb=1e-4),
            "does not hold one clip and a batch; give 1 or",
        ),
    ]:
        with pytest.raises(InterpError, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("sites", []),
        ("sites", ["gone"]),
        ("clips", None),
        ("clips", ["one"]),
        ("seconds", "x"),
        ("rows", "?"),
    ],
)
def test_a_damaged_description_is_named(filled, attribute, value):
    file = filled.path / "zarr.json"
    described = json.loads(file.read_text())
    described["attributes"][attribute] = value
    file.write_text(json.dumps(described))
    with pytest.raises(InterpError, match="store is damaged, its zarr.json .* run the same capture again"):
        Store(filled.path)


def test_a_description_that_is_none_is_told_from_no_store(filled):
    for content, said in (
        ("{", "is damaged"),
        ('{"zarr_format": 3, "node_type": "group"}', "something else"),
    ):
        (filled.path / "zarr.json").write_text(content)
        with pytest.raises(InterpError, match=said):
            Store(filled.path)


def test_files_beside_the_records(filled):
    """macOS leaves its own beside copies; another name is told."""
    (filled.path / "complete" / "._1.json").touch()
    assert Store(filled.path).complete == list(range(7))
    (filled.path / "complete" / "foo.json").touch()
    with pytest.raises(InterpError, match="complete/foo.json is not the record of a clip; move it"):
        len(Store(filled.path).complete)


def test_a_folder_in_place_of_a_chunk_is_damage(filled):
    chunk = filled.path / "attn.1" / "c.2.0.0.0"
    chunk.unlink()
    chunk.mkdir()
    for read in (lambda: filled.read("attn.1"), filled.verify):
        with pytest.raises(InterpError, match=r"attn.1/c.2.0.0.0; delete complete/2.json"):
            read()


# --- shuffled reading ---


@pytest.fixture
def numbered(tmp_path):
    """Twelve clips whose vectors say where they are: (clip, step)."""
    ids, steps = [str(i) for i in range(12)], 50
    store = Writer.create(tmp_path / "store", {"x": 2}, ids, np.arange(steps), dtype="float32")
    for clip in range(12):
        where = np.stack([np.full(steps, clip), np.arange(steps)], axis=-1)
        store.write([clip], {"x": where[None].astype(np.float32)})
    return store


def pool_of(clips: int, batch_size: int) -> float:
    """A buffer in MiB for this many clips of `numbered`, by the terms of `interp.store.shuffle._clips_in`."""
    return (clips * 50 * (8 + 8) + 4 * 50 * 8 + batch_size * 2 * 12) / 2**20


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
@pytest.mark.parametrize("pool", [1, 5, 12])
def test_every_vector_comes_once_an_epoch(numbered, batch_size, pool):
    buffer_mb = pool_of(pool, batch_size)
    batches = list(numbered.batches("x", batch_size, seed=3, buffer_mb=buffer_mb, epochs=2))
    assert all(batch.dtype == np.float32 for batch in batches)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    seen = np.concatenate(batches)
    assert len(seen) == 2 * 12 * 50
    for epoch in (seen[:600], seen[600:]):
        assert len({(clip, step) for clip, step in epoch.tolist()}) == 600
    assert not np.array_equal(seen[:600], seen[600:])


def test_batches_mix_clips_and_steps(numbered):
    batches = list(numbered.batches("x", 60, buffer_mb=1, epochs=1))
    assert min(len(set(batch[:, 0])) for batch in batches) >= 10  # of 12 clips
    everything = np.concatenate(batches)
    neighbours = (np.abs(np.diff(everything[:, 1])) == 1) & (np.diff(everything[:, 0]) == 0)
    assert neighbours.mean() < 0.02


@pytest.mark.parametrize("pool", [1, 5, 12])
def test_a_stream_starts_anywhere(numbered, pool):
    """The state of a reader is one number, and an epoch's end is nothing special."""
    options = dict(batch_size=32, seed=1, buffer_mb=pool_of(pool, 32), epochs=3)
    batches = list(numbered.batches("x", **options))
    for start in (0, 1, 18, 19, 40, len(batches) - 1):
        again = list(numbered.batches("x", **options, start=start))
        assert len(again) == len(batches) - start
        assert all(np.array_equal(a, b) for a, b in zip(again, batches[start:], strict=True))
    assert not list(numbered.batches("x", **options, start=len(batches)))
    other = next(numbered.batches("x", **(options | {"seed": 2})))
    assert not np.array_equal(other, batches[0])


def test_clips_kept_for_testing_never_come(numbered):
    chosen = [0, 3, 4, 9]
    seen = np.concatenate(list(numbered.batches("x", 16, clips=chosen, epochs=1)))
    assert set(seen[:, 0]) == set(chosen) and len(seen) == 4 * 50
    backwards = np.concatenate(list(numbered.batches("x", 16, clips=chosen[::-1], epochs=1)))
    np.testing.assert_array_equal(seen, backwards)  # a choice is a set


def test_memory_is_bounded_whatever_the_size(tmp_path):
    """The peak of all allocations while reading stays under the buffer, for a store six times as large."""
    clips, steps, width = 30, 400, 256
    store = Writer.create(tmp_path / "store", {"x": width}, [str(i) for i in range(clips)], np.arange(steps))
    x = np.random.default_rng(0).normal(size=(1, steps, width)).astype(np.float32)
    for clip in range(clips):
        store.write([clip], {"x": x})
    assert clips * steps * width * 2 > 5.8 * 2**20
    next(store.batches("x", 64, buffer_mb=2))  # what zarr keeps from its first reading is not the reader's
    for buffer_mb in (1.5, 3):
        tracemalloc.start()
        count = sum(len(batch) for batch in store.batches("x", 64, buffer_mb=buffer_mb, epochs=1))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == clips * steps
        assert 0.5 * buffer_mb < peak / 2**20 < buffer_mb


# --- capture ---


def test_a_capture_on_disk_is_the_one_in_memory(model, tmp_path):
    """Bit by bit, rows and mixed text lengths included."""
    generation = model.generate(PROMPTS, seconds=0.3, batch_size=1, progress=False)
    how = dict(layers=[0, 2], sites=["resid", "head"], rows="both", batch_size=2)
    acts = interp.capture(model, generation, **how)
    store = interp.capture(model, generation, **how, to=tmp_path / "store", dtype="float32", progress=False)
    assert store.sites == list(acts)
    np.testing.assert_array_equal(store.seconds, acts.seconds.numpy())
    for site in acts:
        np.testing.assert_array_equal(store.read(site, row="cond"), acts[site][0].numpy())
        np.testing.assert_array_equal(store.read(site, row="null"), acts[site][1].numpy())
    pooled = store.pooled("resid.2", row="null")
    np.testing.assert_allclose(pooled, acts.pooled("resid.2")[1].numpy(), rtol=1e-4, atol=1e-6)


def test_a_capture_goes_on_where_it_stopped(model, tmp_path, monkeypatch):
    """Stopped inside a batch; the batches of the second run are those of an undisturbed one."""
    generation = model.generate(PROMPTS, seconds=0.3, batch_size=5, progress=False)
    how = dict(layers=[2], batch_size=2, progress=False)
    interp.capture(model, generation, **how, to=tmp_path / "whole")
    write = Writer.write

    def stop_in_the_second_batch(self, clips, tensors):
        write(
            self,
            clips[: None if clips[0] == 0 else 1],
            {k: x[: None if clips[0] == 0 else 1] for k, x in tensors.items()},
        )
        if clips[0] != 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "write", stop_in_the_second_batch)
    with pytest.raises(KeyboardInterrupt):
        interp.capture(model, generation, **how, to=tmp_path / "store")
    monkeypatch.undo()
    assert Store(tmp_path / "store").complete == [0, 1, 2]
    store = interp.capture(model, generation, **how, to=tmp_path / "store")
    assert content(store.path) == content(tmp_path / "whole")
    monkeypatch.setattr(Writer, "write", None)  # nothing is left to write
    interp.capture(model, generation, **how, to=store)


def test_workers_share_the_batches(model, tmp_path):
    generation = model.generate(PROMPTS, seconds=0.3, batch_size=5, progress=False)
    how = dict(layers=[2], batch_size=2, progress=False)
    interp.capture(model, generation, **how, to=tmp_path / "whole")
    store = interp.capture(model, generation, **how, to=tmp_path / "store", worker=(1, 2))
    assert store.complete == [2, 3]
    interp.capture(model, generation, **how, to=tmp_path / "store", worker=(0, 2))
    assert content(store.path) == content(tmp_path / "whole")


def test_another_capture_is_refused(model, make_musicgen, tmp_path):
    generation = model.generate(["sad", "calm"], seconds=0.3, progress=False)
    to, other = tmp_path / "store", interp.Model(make_musicgen(seed=5), "tiny")
    interp.capture(model, generation, [2], to=to, progress=False)
    for args, options, said in [
        ((other, generation, [2]), {}, "model.hash is"),
        ((model, generation[[1, 0]], [2]), {}, "corpus.hash is"),
        ((model, generation, [1]), {}, "sites is"),
        ((model, generation, [2]), {"batch_size": 1}, "capture.batch_size is 2 there and 1 here"),
        ((model, generation, [2]), {"steps": "all"}, "capture.steps is clean there and all here"),
        ((model, generation, [2]), {"streaming": True}, "leave out streaming=True"),
        ((model, generation, [2]), {"worker": (2, 2)}, "not .number, of how many."),
    ]:
        with pytest.raises(InterpError, match=said):
            interp.capture(*args, **options, to=to, progress=False)
    with (
        interp.hook(model, {"resid.0": lambda x, layout, group: x * 2}),
        pytest.raises(InterpError, match="hooks on it"),
    ):
        interp.capture(model, generation, [2], to=to, progress=False)
