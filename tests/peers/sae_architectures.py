"""Architectures at equal sparsity, on planted features: ``python tests/peers/sae_architectures.py``.

All learn from one stream at their defaults, each once for every k.  TopK has k features on in every vector;
for the others L0 is an average that comes near k, so that FVU is to be read with the L0 beside it.
"""

from __future__ import annotations

import argparse

import torch

from interp.sae import Config, in_memory, train
from interp.sae.metrics import measure, recovery
from interp.sae.toy import Planted

ARCHITECTURES = ("topk", "batchtopk", "jumprelu", "standard")


def main() -> None:
    """Train, measure on vectors that none has seen, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", nargs="+", type=int, default=[4, 6, 8])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    toy = Planted(64, 128, active=6, correlation=0.2, noise=0.02, seed=options.seed)
    configs = [Config(256, kind, k=k, seed=options.seed) for k in options.k for kind in ARCHITECTURES]
    pool = torch.cat([toy.sample(512, seed)[0] for seed in range(1, 129)])
    trained = train(in_memory(pool, 512), configs, options.steps)
    x, codes = toy.sample(4096, seed=0)
    print(f"{toy.n_features} planted features, {toy.active} on in a vector, {options.steps} steps of 512")
    print(f"{'k':>3} {'':<10} {'L0':>6} {'FVU':>7} {'MCC':>6} {'F1':>6} {'dead':>5}")
    for config, (dictionary, _) in zip(configs, trained, strict=True):
        quality = measure(dictionary, [x])
        found = recovery(dictionary.decoder, dictionary.encode(x), toy.features, codes)
        print(
            f"{config.k:>3} {config.architecture:<10} {quality.l0:>6.2f} {quality.fvu:>7.4f} "
            f"{found.mcc:>6.3f} {found.f1:>6.3f} {quality.dead:>5.0%}"
        )


if __name__ == "__main__":
    main()
