"""``make bench-sae``: training a TopK dictionary here and in three libraries, side by side.

Same vectors in the same order, same width, k, batch and number of steps for all.  Adam runs at our default
rate everywhere, at another one (``--rate 0.01``), or with ``--rate own`` at each library's default, on one
schedule; sparsify's default optimiser, signum, is a contestant of its own and keeps its own rate.  Initial
weights, clipping and projections are each library's.

Each runs in its own environment (made on demand under ``build/bench-sae``, pinned) and its own process; they
take turns, and ratios are taken within a turn, so that other load on the machine falls on all alike.  The
steps are fixed by size, so that quality does not depend on the machine's speed; at the larger sizes they are
few, for time's sake, and quality there is that of a start.  A size that is done is kept in
``build/bench-sae/results`` and not run again, unless with ``--fresh``.  ``--write`` puts the tables into the
page about sparse autoencoders.

A step of a batch of B vectors, d to F, k of F on, should cost B d F multiplications, and some B k d and d F;
how four other products of B d F are avoided is written in :mod:`interp.sae.sparse`. Where all five are dense
(SAELens, dictionary_learning), a step costs five times as much; sparsify gathers, but scatters its gradients
with ``index_add`` from a tensor of B k d numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from etude.evaluation.tables import write_card
from interp.errors import InterpError
from interp.sae import Config
from interp.sae.metrics import Reconstruction, recovery
from interp.sae.toy import Planted

PAGE = Path(__file__).parents[2] / "book" / "sae.md"
FOLDER = Path("build/bench-sae")
WORKER = Path(__file__).with_name("sae_worker.py")
PINS = {
    "saelens": ["sae-lens==6.54.12"],
    "dictionary_learning": ["dictionary-learning==0.1.0"],
    "sparsify": ["eai-sparsify==1.3.3"],
}
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "SPARSIFY_DISABLE_TRITON": "1"}  # eager, offline
STEPS = {"256x2048": 300, "1024x8192": 50, "1024x32768": 5}
POOL = 2**30  # bytes of vectors to learn from; more steps go through them again
PRODUCT = "product"  # timed in the same turns: the one product that no exact method can avoid
CONTESTANTS = ["interp", "saelens", "saelens-sparse", "dictionary_learning", "sparsify", "sparsify-signum"]


def environment(name: str) -> Path:
    """The interpreter of a contestant, its environment made if it is not there."""
    if name in ("interp", PRODUCT):
        return Path(sys.executable)
    peer = name.split("-")[0]
    folder, ready = FOLDER / peer, FOLDER / peer / ".ready"
    if not ready.exists():
        print(f"Making the environment of {peer} in {folder} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pins = [f"torch=={torch.__version__.partition('+')[0]}", *PINS[peer]]
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", *pins], check=True)
        # A dependency's dependency that is not needed, and does not load beside a CPU build of torch.
        subprocess.run(
            [folder / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "torchvision"], check=True
        )
        ready.write_text("\n".join(pins))
    return folder / "bin" / "python"


def data(d_in: int, d_sae: int) -> tuple[Path, Path, Path, torch.Tensor]:
    """Planted vectors of mean squared norm d_in: a pool, held-out ones, their codes, and the features."""
    toy = Planted(d_in, min(d_sae // 4, 2048), active=24, correlation=0.2, noise=0.02)
    parts = ("pool.f32", "held.npy", "codes.npy")
    paths = [FOLDER / "data" / f"{d_in}x{d_sae}-{part}" for part in parts]
    if not all(path.exists() for path in paths):
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        held, codes = toy.sample(1024, seed=0)
        scale = (d_in / held.var(0).sum()) ** 0.5
        partial = paths[0].with_suffix(".partial")
        with partial.open("wb") as file:  # a dictionary learns a small pool by heart, and ill by it
            for i in range(1, POOL // (4 * d_in * 1024) + 1):
                (scale * toy.sample(1024, seed=i)[0]).numpy().tofile(file)
        os.replace(partial, paths[0])
        for path, array in zip(paths[1:], (scale * held, codes), strict=True):
            np.save(path, array.numpy())
    return *paths, toy.features


class Contestant:
    """A worker process."""

    def __init__(self, name: str, plan: dict, threads: int) -> None:
        self.name, self.seconds = name, []
        variables = {f"{kind}_NUM_THREADS": str(threads) for kind in ("OMP", "MKL", "NUMBA")}
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.log = open(FOLDER / f"{name}.log", "w")
        self.process = subprocess.Popen(
            [environment(name), WORKER, name, json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | variables | QUIET,
        )
        self._answer()

    def ask(self, **command) -> dict:
        print(json.dumps(command), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise InterpError(f"{self.name} stopped; see {self.log.name}.")
        return json.loads(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


def run(d_in: int, d_sae: int, steps: int, options: argparse.Namespace) -> dict:
    """All contestants at one size, in turns."""
    pool, held, codes, planted = data(d_in, d_sae)
    rates = {"ours": Config(d_sae).learning_rate, "own": None}
    rate = rates[options.rate] if options.rate in rates else float(options.rate)
    plan = dict(d_in=d_in, d_sae=d_sae, k=options.k, batch=options.batch, rate=rate, seed=0)
    plan |= dict(threads=options.threads, clock=options.clock, pool=str(pool), held_out=str(held))
    entrants: list[Contestant] = []
    try:
        for name in (PRODUCT, *options.only):
            entrants.append(Contestant(name, plan, options.threads))
        per_turn = -(-steps // options.turns)
        for e in entrants:
            e.ask(do="begin", steps=per_turn * options.turns)
        for turn in range(options.turns):
            for e in entrants[:: 1 if turn % 2 else -1]:  # back and forth, so that drift cancels
                e.seconds.append(e.ask(do="steps", n=per_turn)["seconds"])
        rows = {}
        for e in entrants[1:]:
            path = FOLDER / "data" / f"{e.name}.npz"
            reply = e.ask(do="finish", path=str(path))
            rows[e.name] = judge(path, held, codes, planted, d_sae) | {
                "rates": [per_turn * options.batch / s for s in e.seconds],
                "peak": reply["peak"],
                "peak_over_start": reply["peak"] - reply["start"],
            }
            path.unlink()
        product = [per_turn * options.batch / s for s in entrants[0].seconds]
    finally:
        for e in entrants:
            e.stop()
    return {"steps": per_turn * options.turns, "product": product, "rows": rows}


def judge(path: Path, held: Path, codes: Path, planted: torch.Tensor, d_sae: int) -> dict:
    """The same measures for all, on vectors that none has seen."""
    with np.load(path) as found:
        part = {key: torch.from_numpy(found[key]) for key in found}
    x, codes = torch.from_numpy(np.load(held)), torch.from_numpy(np.load(codes))
    features = torch.zeros(len(x), d_sae)
    features[part["row"], part["column"]] = part["value"]
    quality = Reconstruction()
    quality.update(x, part["x_hat"], features)
    mcc, f1 = recovery(part["decoder"], features, planted, codes)
    return {"fvu": quality.fvu, "l0": quality.l0, "mcc": mcc, "f1": f1}


def table(size: str, result: dict) -> str:
    """What was measured at a size."""
    rows, plan = result["rows"], result["settings"]
    lines = [
        f"{size.replace('x', ' -> ')}: TopK k {plan['k']}, batch {plan['batch']}, {result['steps']} steps, "
        f"rate: {plan['rate']}, {plan['threads']} thread(s), {plan['clock']} clock",
        f"  {'':<20} {'vectors/s':>10} {'(range)':>17} {'peak MiB':>9} {'added':>7} "
        f"{'FVU':>7} {'L0':>6} {'MCC':>6} {'F1':>6}",
    ]
    for name, row in rows.items():
        spread = f"({min(row['rates']):,.0f}-{max(row['rates']):,.0f})"
        lines.append(
            f"  {name:<20} {statistics.median(row['rates']):>10,.0f} {spread:>17} {row['peak']:>9,.0f} "
            f"{row['peak_over_start']:>7,.0f} {row['fvu']:>7.4f} {row['l0']:>6.2f} {row['mcc']:>6.3f} "
            f"{row['f1']:>6.3f}"
        )
    peers = {n: statistics.median(r["rates"]) for n, r in rows.items() if n != "interp"}
    if peers and "interp" in rows:
        fastest = max(peers, key=peers.get)
        pairs = zip(rows["interp"]["rates"], rows[fastest]["rates"], strict=True)
        ratios = [ours / theirs for ours, theirs in pairs]
        lines.append(
            f"  interp / {fastest} (the fastest): {statistics.median(ratios):.2f}x  "
            f"(from {min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} turns)"
        )
        most = statistics.median(
            p / r for p, r in zip(result["product"], rows[fastest]["rates"], strict=True)
        )
        lines.append(
            f"  the encoder's product alone: {statistics.median(result['product']):,.0f} vectors/s, "
            f"{most:.2f}x {fastest}: the most there can be"
        )
    return "\n".join(lines)


def main() -> int:
    """Command line of the bench."""
    parser = argparse.ArgumentParser(prog="make bench-sae", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(STEPS), help="width x features")
    parser.add_argument("--only", nargs="+", default=CONTESTANTS, choices=CONTESTANTS)
    parser.add_argument("--steps", type=int, help="at every size (by default few where they are slow)")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--rate", default="ours", help="Adam's learning rate: ours, own, or a number")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "process"], default="wall")
    parser.add_argument("--fresh", action="store_true", help="run again what is done")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    keys = ("only", "turns", "batch", "k", "rate", "threads", "clock")
    tables = []
    try:
        for size in options.sizes:
            steps = options.steps or STEPS.get(size, 100)
            settings = {key: getattr(options, key) for key in keys} | {"steps": steps}
            path = FOLDER / "results" / f"{size}.json"
            result = json.loads(path.read_text()) if path.exists() and not options.fresh else {}
            if result.get("settings") != settings or "product" not in result:
                d_in, _, d_sae = size.partition("x")
                result = run(int(d_in), int(d_sae), steps, options) | {"settings": settings}
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(result))
                os.replace(partial, path)
            tables.append(table(size, result))
            print(f"\n{tables[-1]}", flush=True)
        if options.write:
            text = "\n\n".join(tables)
            write_card(PAGE, "bench", f"```text\n{text}\n```")
    except (InterpError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
