"""Training: resumes bit for bit, finds what was planted, says what is wrong with its input."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from interp.errors import InterpError
from interp.sae import Config, in_memory, train
from interp.sae.learner import Learner
from interp.sae.metrics import measure, recovery, stability
from interp.sae.toy import Planted

TOY = Planted(d_in=32, n_features=64, active=3, correlation=0.2, noise=0.01)

RESUMED = """
import sys
from interp.sae import Config, train
from interp.sae.toy import Planted
configs = [Config(128, k=4, dead_after=2000), Config(64, "batchtopk", k=4, seed=1),
           Config(96, "jumprelu", sparsity=0.5), Config(80, "standard", sparsity=0.5)]
toy = Planted(d_in=32, n_features=64, active=3, correlation=0.2, noise=0.01)
done = train(toy.batches(128), configs, 300, sys.argv[1], checkpoint_every=7, log_every=10, progress=False)
print("finished")
"""


def weights(folder) -> bytes:
    return (folder / "checkpoint.safetensors").read_bytes()


def test_interrupted_training_ends_with_the_same_weights(tmp_path):
    """The stream fails in the middle, twice, between checkpoints; nothing shows in the end."""
    configs = [
        Config(128, k=4, dead_after=500),
        Config(64, "batchtopk", k=4),
        Config(96, "jumprelu", sparsity=1.0),
        Config(96, "standard", k=4),  # the weight of its sparsity term is steered
    ]

    def failing(after):
        def stream(start):
            for number, x in enumerate(TOY.batches(64)(start), start):
                if number == after:
                    raise KeyboardInterrupt
                yield x

        return stream

    def run(stream, name):
        return train(stream, configs, 60, tmp_path / name, checkpoint_every=7, log_every=10, progress=False)

    whole = run(TOY.batches(64), "whole")
    for after in (25, 40):
        with pytest.raises(KeyboardInterrupt):
            run(failing(after), "stopped")
    stopped = run(TOY.batches(64), "stopped")
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")
    for a, b in zip(whole, stopped, strict=True):
        assert torch.equal(a.dictionary.encoder, b.dictionary.encoder) and a.history == b.history


@pytest.mark.slow
def test_killed_training_ends_with_the_same_weights(tmp_path):
    """kill -9 in the middle, twice; four dictionaries of different kinds from one stream."""
    command = [sys.executable, "-c", RESUMED]
    whole = tmp_path / "whole"
    subprocess.run([*command, whole], check=True, capture_output=True)
    killed = tmp_path / "killed"
    for wanted in (1, 2):
        process = subprocess.Popen([*command, killed], stdout=subprocess.PIPE)
        seen, deadline = set(), time.monotonic() + 60
        while len(seen) < 1 + wanted and process.poll() is None and time.monotonic() < deadline:
            if (killed / "checkpoint.safetensors").exists():
                seen.add((killed / "checkpoint.safetensors").stat().st_mtime_ns)
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL and b"finished" not in process.stdout.read()
        process.stdout.close()
    last = subprocess.run([*command, killed], check=True, capture_output=True, text=True)
    assert "finished" in last.stdout
    assert weights(whole) == weights(killed)
    assert [p.name for p in killed.iterdir() if not p.name.startswith(".")] == ["checkpoint.safetensors"]


@pytest.mark.parametrize(
    "config",
    [
        Config(96, k=3, rate=3e-3),
        Config(96, "batchtopk", k=3, rate=3e-3),
        Config(96, "jumprelu", sparsity=3.0, rate=3e-3),
        Config(96, "standard", sparsity=3.0, rate=3e-3),
        Config(96, k=3, rate=3e-3, prefixes=(24, 48)),
        Config(96, k=3, rate=3e-3, autocast=True),
    ],
    ids=lambda c: (
        c.architecture + ("-matryoshka" if c.prefixes else "") + ("-autocast" if c.autocast else "")
    ),
)
def test_planted_features_are_found(config):
    trained = train(TOY.batches(256), [config], 600, progress=False)[0]
    x, codes = TOY.sample(4000, seed=99)
    found = trained.dictionary
    quality = measure(found, x.split(1000))
    assert all(p.dtype == torch.float32 for p in found.parameters())
    got = recovery(found.decoder, found.encode(x), TOY.features, codes)
    print(config.architecture, quality.fvu, quality.l0, quality.dead, got)
    if config.prefixes:  # its first features must serve alone, so they are not those that were planted
        assert quality.fvu < 0.35
        return
    # At this length; a dictionary that still is as it was drawn has an MCC of about 0.4.
    floor = {"topk": 0.95, "batchtopk": 0.88, "jumprelu": 0.85, "standard": 0.8}[config.architecture]
    assert got.mcc > floor and got.f1 > 0.45
    assert quality.fvu < 0.4
    assert 2 < quality.l0 < 11


def test_every_architecture_comes_to_k_features_and_explains_about_as_much():
    """No weight of the sparsity term is given: it is steered, and kept in checkpoints."""
    kinds = ("topk", "batchtopk", "jumprelu", "standard")
    configs = [Config(96, kind, k=4) for kind in kinds]
    x = TOY.sample(4000, seed=99)[0]
    found = [measure(t.dictionary, [x]) for t in train(TOY.batches(256), configs, 400, progress=False)]
    for kind, quality in zip(kinds, found, strict=True):
        assert quality.l0 == pytest.approx(4, rel=0.15), kind
        assert quality.fvu < {"standard": 1.5}.get(kind, 1.1) * found[0].fvu, kind


def test_l1_refits_its_decoder_and_nothing_else():
    """Features are as they were; they explain more, since the L1 term had made them too small."""
    one = Learner(Config(96, "standard", sparsity=3.0, rate=3e-3), torch.zeros(32))
    x = [TOY.sample(256, seed)[0] for seed in range(20)]
    for i in range(300):
        one.step(x[i % 20])
    before, shrunk = one.finished(1.0), measure(one.finished(1.0), x).fvu
    for i in range(60):
        one.step(x[i % 20], refit=True)
    assert torch.equal(before.encode(x[0]), one.finished(1.0).encode(x[0]))
    assert measure(one.finished(1.0), x).fvu < 0.8 * shrunk


def test_defaults_serve_short_budgets():
    """50 steps. With encoder rows of norm 1 and Gao et al.'s rate: FVU 0.94 at first, then 0.42, MCC 0.37."""
    toy = Planted(d_in=64, n_features=128, active=8, noise=0.01)
    x, codes = toy.sample(2000, seed=99)
    config = Config(256, k=16)
    assert measure(Learner(config, x.mean(0)).dictionary, [x]).fvu < 0.7  # the first sums do not overshoot
    found = train(toy.batches(512), [config], 50, progress=False)[0].dictionary
    assert measure(found, [x]).fvu < 0.25
    assert recovery(found.decoder, found.encode(x), toy.features, codes).mcc > 0.65


def test_batchtopk_is_saved_as_jumprelu_with_one_threshold():
    trained = train(TOY.batches(256), [Config(96, "batchtopk", k=3, rate=3e-3)], 400, progress=False)[0]
    found = trained.dictionary
    assert found.architecture == "jumprelu"
    assert found.threshold.unique().numel() == 1 and found.threshold[0] > 0
    x, _ = TOY.sample(4000, seed=99)
    assert measure(found, [x]).l0 == pytest.approx(3, rel=0.15)


def test_scale_is_folded_into_the_weights():
    """Vectors a thousand times as large give the same features, and a reconstruction as much larger."""
    x = TOY.sample(4096, seed=7)[0] + 1.0
    one, other = (
        train(in_memory(factor * x, 256), [Config(96, k=3)], 40, progress=False)[0].dictionary
        for factor in (1.0, 1024.0)  # a power of 2: nothing is rounded differently
    )
    torch.testing.assert_close(one.encode(x), other.encode(1024 * x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(1024 * one(x), other(1024 * x), rtol=1e-4, atol=1e-3)


def test_fold_scale_follows_the_formula():
    learner = Learner(Config(8, k=2), torch.arange(4.0))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    scaled = learner.dictionary
    folded = learner.finished(2.5)
    torch.testing.assert_close(folded.encode(x), scaled.encode(2.5 * x))
    torch.testing.assert_close(folded(x), scaled(2.5 * x) / 2.5)


def test_dead_features_are_counted_in_vectors():
    """The same 1,000 vectors in large or in small batches: the same features are dead."""
    for batch in (10, 100, 500):
        learner = Learner(Config(64, k=1, dead_after=900), torch.zeros(4))
        x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        x[:] = x[:1] + 0.001 * x  # nearly one vector: few features ever fire
        for part in x.split(batch):
            learner.step(part, rate_factor=0.0)
        assert learner.seen == 1000
        assert learner.dead.sum() > 50, batch
        assert not (learner.seen - learner.fired > 1000).any()


def test_several_dictionaries_learn_as_they_would_alone():
    configs = [Config(96, k=3), Config(128, k=4, seed=1)]
    together = train(TOY.batches(128), configs, 20, progress=False)
    for config, trained in zip(configs, together, strict=True):
        alone = train(TOY.batches(128), [config], 20, progress=False)[0]
        assert torch.equal(alone.dictionary.decoder, trained.dictionary.decoder)
        assert alone.history == trained.history
    assert trained.history[-1]["vectors"] == 20 * 128


def test_decoder_rows_have_norm_one_while_learning():
    learner = Learner(Config(96, k=3), torch.zeros(32))
    for i in range(5):
        learner.step(TOY.sample(128, i)[0])
    torch.testing.assert_close(learner.dictionary.decoder.norm(dim=1), torch.ones(96))


def test_two_seeds_find_the_same_planted_features():
    configs = [Config(96, k=3, rate=3e-3, seed=seed) for seed in (0, 1)]
    a, b = (t.dictionary.decoder for t in train(TOY.batches(256), configs, 600, progress=False))
    draws = [Learner(config, torch.zeros(32)).dictionary.decoder.detach() for config in configs]
    assert stability(a, b) > 0.75 > 0.5 > stability(*draws)
    assert stability(draws[0], TOY.features) < 0.5  # and they did not start from them


def test_in_memory_draws_every_row_once_a_round_across_clips():
    x = torch.arange(60.0).reshape(3, 20, 1)  # three clips of 20 steps
    batches = in_memory(x, 12, seed=3)
    stream = batches(0)
    rounds = [torch.cat([next(stream) for _ in range(5)]).flatten() for _ in range(2)]
    for drawn in rounds:
        assert sorted(drawn.tolist()) == list(range(60))
        assert len({int(v) // 20 for v in drawn[:12]}) == 3  # one batch, all clips
    assert not torch.equal(*rounds)
    again = batches(7)  # begins in the middle of the second round
    assert torch.equal(next(again).flatten(), rounds[1][24:36])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((256, 4), float("nan")), "Batch 0 holds activations that are not finite"),
        (torch.ones(256, 4), "activations are constant"),
        (torch.randn(256, 4).double(), "Batch 0 is torch.float64"),
    ],
)
def test_bad_activations_are_named(x, message):
    def stream(start):
        while True:
            yield x

    with pytest.raises(InterpError, match=message):
        train(stream, [Config(8, k=2)], 10, progress=False)


def test_a_stream_that_ends_early_is_named_and_loses_nothing(tmp_path):
    def short(start):
        yield from [TOY.sample(64, i)[0] for i in range(start, 20)]

    with pytest.raises(InterpError, match="ended after 20 batches"):
        train(short, [Config(64, k=3)], 50, tmp_path, checkpoint_every=10, progress=False)
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    config = Config(64, k=3)
    train(TOY.batches(64), [config], 10, tmp_path, progress=False)
    with pytest.raises(InterpError, match="another training \\(other configs\\)"):
        train(TOY.batches(64), [replace(config, k=4)], 10, tmp_path, progress=False)
    whole = weights(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InterpError, match="Cannot read a checkpoint .*; delete it to start again"):
        train(TOY.batches(64), [config], 10, tmp_path, progress=False)


def test_a_checkpoint_of_other_activations_is_refused(tmp_path):
    """Finished or not; so is one of another width."""
    config, (x, other) = Config(64, k=3), (TOY.sample(1024, seed)[0] for seed in (0, 1))
    first = train(in_memory(x, 64), [config], 10, tmp_path, progress=False)[0]
    again = train(in_memory(x, 64), [config], 10, tmp_path, progress=False)[0]
    assert torch.equal(first.dictionary.decoder, again.dictionary.decoder)
    for stream in (in_memory(other, 64), in_memory(x, 32), in_memory(x[:, :16], 64)):
        with pytest.raises(InterpError, match="another training \\(other activations\\)"):
            train(stream, [config], 10, tmp_path, progress=False)


def test_a_damaged_checkpoint_is_named(tmp_path):
    def again():
        with pytest.raises(InterpError, match="(?i)checkpoint .* damaged.*; delete it to start again"):
            train(TOY.batches(64), [Config(64, k=3)], 10, tmp_path, progress=False)

    train(TOY.batches(64), [Config(64, k=3)], 10, tmp_path, progress=False)
    whole = bytearray(weights(tmp_path))
    whole[-5] ^= 1
    (tmp_path / "checkpoint.safetensors").write_bytes(whole)
    again()
    save_file({"a": torch.ones(1)}, tmp_path / "checkpoint.safetensors", {"training": "{}"})
    again()


def test_a_place_without_room_for_checkpoints_is_named_at_once(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", "/proc/no/such"):
        with pytest.raises(InterpError, match=f"Cannot make the folder {folder}"):
            train(TOY.batches(64), [Config(64, k=3)], 10, folder, progress=False)


@pytest.mark.parametrize("device", ["tpu", "cuda:x"])
def test_an_unknown_device_is_named(device):
    with pytest.raises(InterpError, match=f"Unknown device '{device}'"):
        train(TOY.batches(64), [Config(64, k=3)], 10, device=device, progress=False)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_divergence_and_a_batch_of_one_vector_are_named():
    learner = Learner(Config(64, k=3), torch.zeros(32))
    with pytest.raises(InterpError, match="are the same"):
        learner.step(torch.ones(8, 32))
    with torch.no_grad():
        learner.dictionary.decoder.fill_(float("inf"))
    with pytest.raises(InterpError, match="diverged at step"):
        learner.step(TOY.sample(64, 0)[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"architecture": "relu"},
        {"k": 0},
        {"k": 65},
        {"architecture": "jumprelu", "sparsity": 0},
        {"prefixes": (64,)},
        {"prefixes": (8.5,)},
        {"rate": -1},
        {"rate": 0},
        {"seed": -1},
        {"k_aux": 0},
        {"k_aux": -3},
        {"aux_coefficient": -1},
        {"aux_coefficient": float("nan")},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(InterpError):
        Config(64, **settings)
