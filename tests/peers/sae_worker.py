"""One contestant of ``make bench-sae``, in a process and an environment of its own.

Reads one JSON command a line, answers one a line.  It imports nothing of this project but, for ``interp``,
the dictionaries themselves.  Every library trains by its own step, from its own initial weights, with Adam;
the rate rises over the first 5 % of the steps and falls to 0 over the last 20 %.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]


def rate(plan: dict, own: float) -> float:
    """The learning rate that the plan gives to all, or the library's own."""
    return own if plan["rate"] is None else plan["rate"]


class Ours:
    def __init__(self, plan: dict, first: torch.Tensor) -> None:
        from interp.sae import sparse  # noqa: F401 - here, so that numba counts as an import, as torch does
        from interp.sae.learner import Config, Learner

        config = Config(plan["d_sae"], k=plan["k"], rate=plan["rate"], seed=plan["seed"], dead_after=10**7)
        self.learner, self.plan = Learner(config, first.mean(0)), plan

    def step(self, number: int, x: torch.Tensor) -> None:
        from interp.sae.training import _schedule

        self.learner.step(x, _schedule(number, self.plan["steps"]))

    def result(self, x: torch.Tensor) -> tuple:
        done = self.learner.finished(1.0)
        features = done.encode(x)
        return done.decoder, features, done.decode(features)


class SAELens:
    sparse = False

    def __init__(self, plan: dict, first: torch.Tensor) -> None:
        from sae_lens.config import SAETrainerConfig
        from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.training.sae_trainer import SAETrainer

        torch.manual_seed(plan["seed"])
        self.sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=plan["d_in"],
                d_sae=plan["d_sae"],
                k=plan["k"],
                use_sparse_activations=self.sparse,
                # Its default, but sparse activations cannot be differentiated through it (torch 2.13).
                rescale_acts_by_decoder_norm=not self.sparse,
            )
        )
        self.sae.b_dec.data = first.mean(0)
        config = SAETrainerConfig(
            total_training_samples=plan["steps"] * plan["batch"],
            train_batch_size_samples=plan["batch"],
            lr=rate(plan, 3e-4),
            lr_end=rate(plan, 3e-4) / 10,  # needed, and not read by its constant schedule
            lr_warm_up_steps=max(1, plan["steps"] // 20),
            lr_decay_steps=max(1, plan["steps"] // 5),
        )
        self.trainer = SAETrainer(config, self.sae, data_provider=iter(()))

    def step(self, number: int, x: torch.Tensor) -> None:
        self.trainer.step(x)
        self.trainer.n_training_steps += 1

    def result(self, x: torch.Tensor) -> tuple:
        features = self.sae.encode(x)
        features = features.to_dense() if features.is_sparse else features
        return self.sae.W_dec, features, self.sae.decode(features)


class SAELensSparse(SAELens):
    sparse = True


class DictionaryLearning:
    def __init__(self, plan: dict, first: torch.Tensor) -> None:
        from dictionary_learning.trainers.top_k import TopKTrainer

        self.trainer = TopKTrainer(
            steps=plan["steps"],
            activation_dim=plan["d_in"],
            dict_size=plan["d_sae"],
            k=plan["k"],
            layer=0,
            lm_name="toy",
            lr=plan["rate"],  # None: its own, 2e-4 / sqrt(dict_size / 2^14)
            warmup_steps=max(1, plan["steps"] // 20),
            decay_start=plan["steps"] - max(1, plan["steps"] // 5),
            seed=plan["seed"],
            device="cpu",
        )

    def step(self, number: int, x: torch.Tensor) -> None:
        self.trainer.update(number, x)

    def result(self, x: torch.Tensor) -> tuple:
        features = self.trainer.ae.encode(x)
        return self.trainer.ae.decoder.weight.T, features, self.trainer.ae.decode(features)


class Sparsify:
    """Its trainer wants a language model; this is what that does with a batch, with its Adam."""

    def __init__(self, plan: dict, first: torch.Tensor) -> None:
        from sparsify import SparseCoder, SparseCoderConfig

        torch.manual_seed(plan["seed"])
        self.sae = SparseCoder(plan["d_in"], SparseCoderConfig(num_latents=plan["d_sae"], k=plan["k"]))
        self.sae.b_dec.data = first.mean(0)
        self.optimiser(plan)

    def optimiser(self, plan: dict) -> None:
        self.optimizer = torch.optim.Adam(
            self.sae.parameters(), lr=rate(plan, 2e-4 / (plan["d_sae"] / 2**14) ** 0.5)
        )
        rises, falls = 0.05 * plan["steps"], 0.2 * plan["steps"]
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda n: min(1, (n + 1) / max(1, rises), (plan["steps"] - n) / max(1, falls))
        )

    def step(self, number: int, x: torch.Tensor) -> None:
        self.sae.set_decoder_norm_to_unit_norm()
        self.sae(x).fvu.backward()
        self.sae.remove_gradient_parallel_to_decoder_directions()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.schedule is not None:
            self.schedule.step()

    def result(self, x: torch.Tensor) -> tuple:
        values, indices, _ = self.sae.encode(x)
        features = torch.zeros(len(x), self.sae.num_latents).scatter_(1, indices, values)
        return self.sae.W_dec, features, self.sae.decode(values, indices)


class SparsifySignum(Sparsify):
    """With its default optimiser, always at that one's own rate (free of a schedule, like its trainer's)."""

    def optimiser(self, plan: dict) -> None:
        from schedulefree import ScheduleFreeWrapper
        from sparsify.sign_sgd import SignSGD

        signum = SignSGD(self.sae.parameters(), lr=5e-3 / (plan["d_sae"] / 2**14) ** 0.5)
        self.optimizer, self.schedule = ScheduleFreeWrapper(signum, momentum=0.95), None
        self.optimizer.train()

    def result(self, x: torch.Tensor) -> tuple:
        self.optimizer.eval()
        self.sae.set_decoder_norm_to_unit_norm()
        return super().result(x)


class Product:
    """No contestant: the encoder's product alone, which a dense encoder cannot do without."""

    def __init__(self, plan: dict, first: torch.Tensor) -> None:
        self.encoder = torch.randn(plan["d_in"], plan["d_sae"])
        self.out = torch.empty(plan["batch"], plan["d_sae"])

    def step(self, number: int, x: torch.Tensor) -> None:
        torch.mm(x, self.encoder, out=self.out)


CONTESTANTS = {
    "product": Product,
    "interp": Ours,
    "saelens": SAELens,
    "saelens-sparse": SAELensSparse,
    "dictionary_learning": DictionaryLearning,
    "sparsify": Sparsify,
    "sparsify-signum": SparsifySignum,
}


def memory() -> float:
    """Peak of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where what getrusage gives includes the parent's size when it was forked
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def serve(name: str, plan: dict, answer) -> None:
    torch.set_num_threads(plan["threads"])
    if name == "interp":
        sys.path.insert(0, str(ROOT))
    clock = time.process_time if plan["clock"] == "process" else time.perf_counter
    numbers = plan["batch"] * plan["d_in"]
    n_batches = os.path.getsize(plan["pool"]) // (4 * numbers)

    def batch(i: int) -> torch.Tensor:
        found = np.fromfile(plan["pool"], np.float32, numbers, offset=4 * numbers * (i % n_batches))
        return torch.from_numpy(found.reshape(plan["batch"], plan["d_in"]))

    def timed(contestant, first: int, n: int) -> float:
        start = clock()
        for i in range(first, first + n):
            contestant.step(i, batch(i))
        return clock() - start

    trial = CONTESTANTS[name](plan | {"steps": 100}, batch(0))  # imports, compilation
    imported = memory()
    timed(trial, 0, 1)
    answer({})
    del trial
    contestant, done = None, 0
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "begin":
            contestant = CONTESTANTS[name](plan | {"steps": command["steps"]}, batch(0))
            answer({})
        elif command["do"] == "steps":
            seconds = timed(contestant, done, command["n"])
            done += command["n"]
            answer({"seconds": seconds})
        else:
            peak = memory()
            with torch.no_grad():
                decoder, features, x_hat = contestant.result(torch.from_numpy(np.load(plan["held_out"])))
            row, column = features.nonzero(as_tuple=True)
            np.savez(
                command["path"],
                decoder=decoder.detach().numpy(),
                x_hat=x_hat.detach().numpy(),
                row=row.numpy(),
                column=column.numpy(),
                value=features[row, column].detach().numpy(),
            )
            answer({"peak": peak, "start": imported, "finite": math.isfinite(float(x_hat.sum()))})
            return


def main() -> None:
    # Libraries print; answers go to the real standard output, everything else to standard error.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    serve(sys.argv[1], json.loads(sys.argv[2]), lambda reply: print(json.dumps(reply), file=channel))


if __name__ == "__main__":
    main()
