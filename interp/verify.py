"""First contact with true weights: ``make verify-real PROFILE=small``, or ``python -m interp verify small``.

Everything that the tests show on tiny models is tried on the real one: hooks, streaming against
teacher-forced capture, both decoders, both backends, the plan against what is measured.  Then two things that
need real weights: words that are known to work (tempo, instrument) must move what is measured of the sound,
and a published number must come out again.  It ends in a small bundle, JSON and pictures without any audio,
that can go with an issue.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .doctor import SIZES, Finding, look_inside
from .errors import InterpError

if TYPE_CHECKING:
    from .model import Model

ROOT = Path(__file__).resolve().parents[1]
ANCHOR = 0.969  # R² of tempo, MusicGen small: Wei et al. (2024), arXiv 2410.00872
NEAR = 0.05  # how near ours should come; the stimuli are not theirs
# Words whose sound is known: what goes up, what goes down, the cue that tells, and contexts for both.
WORDS = {
    "tempo": (
        "fast",
        "slow",
        "onset_rate",
        [f"{{}} {kind} music" for kind in "piano guitar rock pop electronic jazz folk strings".split()],
    ),
    "instrument": (
        "flute",
        "double bass",
        "centroid",
        [f"{{}}, {kind}" for kind in "solo calm lively slow fast live improvised lyrical".split()],
    ),
}


class Verification:
    """The checks of one model, one after the other; a check that dies is a finding.

    Parameters
    ----------
    model : Model
    other : callable
        Loads the same model through the other backend, or raises :class:`InterpError` with the reason.
    quick : bool
        Tiny budgets, to see that everything runs.
    """

    def __init__(self, model: Model, other: Callable[[], Model], quick: bool = False) -> None:
        self.model, self.other, self.quick = model, other, quick
        self.numbers: dict[str, Any] = {}
        self.pictures: dict[str, Any] = {}
        self.metas = (model.n_layers, model.d_model) in SIZES.values() and model.name.startswith("facebook/")

    def run(self) -> Iterator[Finding]:
        """Make every check."""
        checks = {
            "hooks": lambda: look_inside(self.model),
            "decoders": self.decoders,
            "backends": self.backends,
            "plan": self.plan,
            "words": self.words,
            "anchor": self.anchor,
        }
        for name, check in checks.items():
            begin = time.perf_counter()
            try:
                yield from check()
            except Exception as error:
                line = (str(error).strip().splitlines() or [""])[0]
                yield Finding(name, "problem", f"{type(error).__name__}: {line}")
            self.numbers.setdefault("wall_s", {})[name] = round(time.perf_counter() - begin, 2)

    def decoders(self) -> Iterator[Finding]:
        """The most likely tokens, with this library's caches and by the backend's own forward pass."""
        if self.model.backend != "audiocraft":
            return
        how = {"seconds": 1 if self.quick else 4, "temperature": 0, "progress": False}
        fast, slow = (
            self.model.generate(["calm piano music"], decoder=d, **how) for d in ("cached", "audiocraft")
        )
        alike = (fast.tokens == slow.tokens).float().mean().item()
        self.numbers["decoders_alike"] = alike
        limit = 1.0 if self._single else 0.98  # in half precision, near ties fall either way
        yield Finding("decoders", "ok" if alike >= limit else "problem", f"{alike:.1%} of tokens alike")

    def backends(self) -> Iterator[Finding]:
        """Activations of the same tokens in both backends."""
        from .activations import capture

        try:
            second = self.other()
        except InterpError as error:
            yield Finding("backends", "note", f"not compared: {error}")
            return
        prompts = ["calm piano music"] * 2  # one text: the backends treat padding differently
        made = self.model.generate(prompts, seconds=1 if self.quick else 4, progress=False)
        a, b = (capture(model, made, rows="cond") for model in (self.model, second))
        worst = max(((a[s] - b[s].to(a[s])).float().norm() / a[s].float().norm()).item() for s in a)
        self.numbers["backends_differ"] = worst
        limit = 1e-4 if self._single else 3e-2
        detail = f"{self.model.backend} and {second.backend} differ by {worst:.0e} (limit {limit:.0e})"
        yield Finding("backends", "ok" if worst <= limit else "problem", detail)

    def plan(self) -> Iterator[Finding]:
        """Memory as planned, against memory as measured."""
        from .activations import capture
        from .memory import peak_bytes
        from .planning import PROMPT as TEXT
        from .planning import plan

        clips, seconds = (2, 1.0) if self.quick else (4, 8.0)
        planned = plan(self.model, seconds, batch=clips, clips=clips)
        begin, box = time.perf_counter(), {}
        generation = peak_bytes(
            lambda: box.update(made=self.model.generate([TEXT] * clips, seconds=seconds, progress=False)),
            self.model.device,
        )
        took = time.perf_counter() - begin
        heard = peak_bytes(lambda: capture(self.model, box["made"]), self.model.device)
        ratios = {"generation": planned.generation / generation, "capture": planned.capture / heard}
        self.numbers["plan"] = planned.facts | {"over_measured": ratios, "generation_took_s": took}
        good = all(0.8 <= ratio <= 1.3 for ratio in ratios.values())
        detail = ", ".join(f"{what} {ratio:.2f} of what was measured" for what, ratio in ratios.items())
        yield Finding("plan", "ok" if good else "problem", f"predicted memory: {detail} (0.8 to 1.3)")

    def words(self) -> Iterator[Finding]:
        """Words that are known to work must move their cue, context by context."""
        from .descriptors import CUES, describe_all
        from .plots import cues_by_condition
        from .stats import mean as interval

        seconds, repeats, most = (1.2, 1, 3) if self.quick else (6.0, 2, 8)
        for kind, (up, down, cue, contexts) in WORDS.items():
            contexts = contexts[:most]
            prompts = [text.format(word) for word in (up, down) for text in contexts for _ in range(repeats)]
            made = self.model.generate(prompts, seconds=seconds, seed=1, batch_size=8)
            found = describe_all(made.audio.numpy(), self.model.sample_rate)[cue]
            means = found.reshape(2, len(contexts), repeats).mean(-1)  # [word, context]
            whole = np.isfinite(means).all(0)
            if whole.sum() < 2:
                yield self._needs_weights(f"{kind} words", False, f"{cue} could not be measured")
                continue
            means, names = means[:, whole], np.array(contexts)[whole]
            by_word = {word: {cue: interval(x, names)} for word, x in zip((up, down), means, strict=True)}
            more = interval(means[0] - means[1], names)
            self.numbers[f"words_{kind}"] = asdict(more)
            detail = (
                f"{up} has {more.estimate:+.3g} {CUES[cue]} of {cue} against {down} "
                f"[{more.low:+.3g}, {more.high:+.3g}], {len(names)} contexts"
            )
            self.pictures[f"{kind}-words"] = cues_by_condition(
                {self.model.name: by_word}, {cue: CUES[cue]}, f"{cue} in two conditions: {detail}."
            )
            yield self._needs_weights(f"{kind} words", more.low > 0, detail)

    def anchor(self) -> Iterator[Finding]:
        """Tempo, read off the residual stream of heard click tracks."""
        from .audio import encode
        from .compare import pooled_by_layer
        from .plots.readouts import readouts_by_layer
        from .probe import Probe
        from .stimuli import tempo_clicks

        tempi = range(60, 200, 14) if self.quick else range(50, 211)
        seconds = 1.0 if self.quick else 4.0
        clicks = tempo_clicks(tempi, seconds, sample_rate=self.model.sample_rate)
        made = encode(self.model, clicks, batch_size=16)
        layers = sorted({round(i * (self.model.n_layers - 1) / 11) for i in range(12)})
        vectors = pooled_by_layer(self.model, made, layers=layers, rows="null")
        labels = clicks.column("tempo")
        scores = {
            layer: Probe(x, clicks.groups, folds=5, n=1).ridge(labels).score for layer, x in vectors.items()
        }
        best = max((layer for layer in scores if layer != "in"), key=lambda layer: scores[layer].estimate)
        found = scores[best]
        self.numbers["anchor"] = {layer: asdict(score) for layer, score in scores.items()}
        detail = (
            f"R² of tempo {found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}] at layer {best} of "
            f"{self.model.n_layers}, {len(clicks)} click tracks (before the first block "
            f"{scores['in'].estimate:.3f}); "
            f"published for small: {ANCHOR}"
        )
        alt = f"Held-out R² of tempo by layer. {detail}."
        self.pictures["anchor"] = readouts_by_layer(
            {"tempo": {self.model.name: list(scores.values())}},
            list(scores),
            {"tempo": {"published": ANCHOR}},
            alt,
        )
        yield self._needs_weights("anchor", abs(found.estimate - ANCHOR) <= NEAR, detail)

    @property
    def _single(self) -> bool:
        import torch

        return next(self.model.lm.parameters()).dtype == torch.float32

    def _needs_weights(self, check: str, holds: bool, detail: str) -> Finding:
        if self.metas:
            return Finding(check, "ok" if holds else "problem", detail)
        return Finding(check, "note", f"{detail} (not expected to hold: these are not Meta's weights)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="small, medium, large, a registered name, an id or a folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument("--backend", help="audiocraft or transformers (default: as interp.load)")
    parser.add_argument("--to", type=Path, help="folder of the bundle (default: build/verify/NAME)")
    parser.add_argument("--quick", action="store_true", help="tiny budgets, to see that everything runs")


def main(options: argparse.Namespace) -> int:
    """Print what the checks find, and leave the bundle; 1 if there is a problem."""
    name = f"facebook/musicgen-{options.model}" if options.model in SIZES else options.model
    bundle, findings = verify(name, options.device, options.backend, options.to, options.quick, say=print)
    problems = sum(finding.status == "problem" for finding in findings)
    print(f"{'NOT AS IT SHOULD BE' if problems else 'AS IT SHOULD BE'}: {bundle} can go with an issue.")
    return int(problems > 0)


def verify(
    name: str,
    device: str = "auto",
    backend: str | None = None,
    to: Path | None = None,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Path, list[Finding]]:
    """Check a model against all that this library says of it.

    Returns
    -------
    (Path, list of Finding)
        A zip file with ``verify.json`` and pictures, and what was found.

    Raises
    ------
    InterpError
        If the model cannot be loaded.
    """
    import torch

    from .loading import load

    begin, heard = time.perf_counter(), []
    model = load(name, device=device, backend=backend)
    other = "transformers" if model.backend == "audiocraft" else "audiocraft"

    def second() -> Model:
        if Path(name).is_dir() or "/" not in name:
            raise InterpError("a folder or a plug-in is one backend's")
        return load(name, device=device, backend=other)

    checks = Verification(model, second, quick)
    findings: list[Finding] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for finding in checks.run():
            findings.append(finding)
            say(f"{finding.status:<8} {finding.check:<18} {finding.detail}")
    heard += [str(w.message) for w in warned if issubclass(w.category, UserWarning)]
    folder = to or ROOT / "build" / "verify" / Path(name).name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = {
        "model": model.describe(),
        "hash": model.hash,
        "machine": {"platform": platform.platform(), "torch": torch.__version__, "device": _device(model)},
        "quick": quick,
        "expected_of_weights": checks.metas,
        "findings": [asdict(finding) for finding in findings],
        "numbers": checks.numbers,
        "warnings": sorted(set(heard)),
        "wall_s": round(time.perf_counter() - begin, 1),
    }
    (folder / "verify.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    for what, figure in checks.pictures.items():
        figure.savefig(folder / f"{what}.png", dpi=120)
    return Path(shutil.make_archive(str(folder), "zip", folder)), findings


def _device(model: Model) -> str:
    if model.device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(model.device)
    return str(model.device)
