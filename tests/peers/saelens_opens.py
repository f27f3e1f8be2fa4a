"""Does SAELens open our dictionaries, and compute the same?  Run it where both are installed::

python -m venv build/saelens && build/saelens/bin/pip install torch numba scipy sae-lens
build/saelens/bin/python tests/peers/saelens_opens.py
"""

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

try:
    from sae_lens import SAE
except ModuleNotFoundError as error:
    sys.exit(
        f"{error}: run this in an environment with SAELens, which the head of {__file__} says how to make."
    )

from interp.sae import Config, save, train
from interp.sae.toy import Planted

TOY = Planted(d_in=32, n_features=64, active=3, correlation=0.2)
CONFIGS = [
    Config(128, k=4),
    Config(128, "batchtopk", k=4),
    Config(128, "jumprelu", sparsity=1.0),
    Config(128, "standard", sparsity=1.0),
]


def main() -> int:
    print(f"sae-lens {version('sae-lens')}, torch {torch.__version__}")
    worst = 0.0
    x, _ = TOY.sample(1000, seed=5)
    trained = train(TOY.batches(256), CONFIGS, 50, progress=False)
    for config, (mine, _) in zip(CONFIGS, trained, strict=True):
        mine.about = {"model_name": "etude", "hook_name": "resid.3"}
        with tempfile.TemporaryDirectory() as folder:
            theirs = SAE.load_from_disk(str(save(mine, Path(folder) / "it")))
        with torch.no_grad():
            features = theirs.encode(x)
            encode = float((features - mine.encode(x)).abs().max())
            decode = float((theirs.decode(features) - mine(x)).abs().max())
        kept = theirs.cfg.metadata.model_name == "etude" and theirs.cfg.metadata.hook_name == "resid.3"
        print(
            f"{config.architecture:>9} as {theirs.cfg.architecture():<8} "
            f"largest difference: encode {encode:.1e}, decode {decode:.1e}; metadata kept: {kept}"
        )
        worst = max(worst, encode, decode) if kept else 1.0
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
