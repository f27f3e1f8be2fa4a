"""Architectures at equal sparsity, on planted features: ``python tests/peers/sae_architectures.py``.

All learn from one stream at their defaults, each once for every k.  TopK has k features on in every vector;
for the others L0 is an average that comes near k, so that FVU is to be read with the L0 beside it.  With
``--write`` the table goes into the page about sparse autoencoders.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from etude.evaluation.tables import write_card
from interp.sae import Config, in_memory, train
from interp.sae.metrics import measure, recovery
from interp.sae.toy import Planted

PAGE = Path(__file__).parents[2] / "book" / "sae.md"
ARCHITECTURES = ("topk", "batchtopk", "jumprelu", "standard")


def table(ks: list[int], steps: int, seed: int) -> str:
    """Train, and measure on vectors that none has seen."""
    toy = Planted(64, 128, active=6, correlation=0.2, noise=0.02, seed=seed)
    configs = [Config(256, kind, k=k, seed=seed) for k in ks for kind in ARCHITECTURES]
    pool = torch.cat([toy.sample(512, batch)[0] for batch in range(1, 129)])
    trained = train(in_memory(pool, 512), configs, steps)
    x, codes = toy.sample(4096, seed=0)
    lines = [
        f"{toy.n_features} planted features, {toy.active} on in a vector; {steps} steps of 512 vectors",
        f"{'k':>3} {'':<10} {'L0':>6} {'FVU':>7} {'MCC':>6} {'F1':>6} {'dead':>5}",
    ]
    for config, (dictionary, _) in zip(configs, trained, strict=True):
        quality = measure(dictionary, [x])
        found = recovery(dictionary.decoder, dictionary.encode(x), toy.features, codes)
        lines.append(
            f"{config.k:>3} {config.architecture:<10} {quality.l0:>6.2f} {quality.fvu:>7.4f} "
            f"{found.mcc:>6.3f} {found.f1:>6.3f} {quality.dead:>5.0%}"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", nargs="+", type=int, default=[4, 6, 8])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    text = table(options.k, options.steps, options.seed)
    print(text)
    if options.write:
        write_card(PAGE, "architectures", f"```text\n{text}\n```")


if __name__ == "__main__":
    main()
