"""Is this machine fit for the study?  ``python -m interp doctor`` looks, and then tries it for real."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InterpError

if TYPE_CHECKING:
    from .model import Model

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30

# Depth and width of Meta's checkpoints; the rest is counted by needs().
SIZES = {"small": (24, 1024), "medium": (48, 1536), "large": (48, 2048)}


@dataclass(frozen=True)
class Finding:
    """What one check found; ``fix`` is the command or step that cures it."""

    check: str
    status: str  # "ok", "note" (good to know) or "problem" (the study will not run as it should)
    detail: str
    fix: str = ""


def needs(layers: int, d_model: int, seconds: float = 30, bytes_each: int = 2) -> dict[str, int]:
    """Memory that a MusicGen needs, in bytes, counted from its architecture.

    Parameters
    ----------
    layers, d_model : int
        Blocks, and width of the residual stream.
    seconds : float
        Length of one generated clip.
    bytes_each : int
        2 for float16 (CUDA), 4 for float32 (CPU). Text encoder and codec are float32 in both.

    Returns
    -------
    dict
        ``parameters`` of the language model; in bytes, its ``checkpoint`` (float16), the ``weights`` of
        everything once loaded, and ``per_clip``: keys and values of self-attention for one clip with
        guidance (two rows).
    """
    codebooks, cardinality, d_text = 4, 2048, 768
    block = 16 * d_model**2 + 6 * d_model  # two attentions of 4 d^2, an MLP of 8 d^2, three norms
    ends = codebooks * d_model * (2 * cardinality + 1) + d_text * d_model + 3 * d_model
    t5_base = 32_128 * d_text + 12 * (4 * d_text**2 + 2 * d_text * 3072 + 2 * d_text) + d_text + 32 * 12
    encodec = 59_000_000  # the 32 kHz codec: its 236 MB checkpoint holds float32
    steps = int(seconds * 50) + codebooks - 1
    return {
        "parameters": layers * block + ends,
        "checkpoint": 2 * (layers * block + ends),
        "weights": bytes_each * (layers * block + ends) + 4 * (t5_base + encodec),
        "per_clip": 2 * 2 * steps * layers * d_model * bytes_each,
    }


def examine(model: str = "etude") -> Iterator[Finding]:
    """Make every check in turn; a later one is made whatever an earlier one found."""
    yield _python()
    yield from _guarded("packages", _packages)
    yield from _guarded("torch", _device)
    yield from _guarded("memory", _memory)
    yield _disk()
    yield from _guarded("checkpoints", _checkpoints)
    yield from _guarded(f"model {model}", lambda: _real_check(model))


def _guarded(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Whatever a check dies of is a finding: a doctor who faints at the illness helps nobody."""
    try:
        yield from look()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        if not isinstance(error, InterpError):
            yield Finding(check, "problem", f"{type(error).__name__}: {reason}", "make setup")
        elif check.startswith("model etude"):
            yield Finding(check, "problem", reason, "git restore etude/weights  (or train anew: make etude)")
        else:
            yield Finding(check, "problem", reason, "try the embedded one: python -m interp doctor")


def _python() -> Finding:
    version = platform.python_version()
    detail = f"{version} at {sys.executable}, {platform.system()} {platform.machine()}"
    if sys.version_info[:2] == (3, 11):
        return Finding("python", "ok", detail)
    return Finding("python", "problem", f"{detail}; the project is for 3.11", "make setup PYTHON=python3.11")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    locks = [
        path for path in (ROOT / "requirements.lock", ROOT / "requirements-nodeps.lock") if path.is_file()
    ]
    if not locks:
        yield Finding("packages", "note", "no lock file beside this package: versions are not compared")
        return
    lines = [
        line.split(" #")[0].split(" --hash")[0].strip(" \\")
        for p in locks
        for line in p.read_text().splitlines()
    ]
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    wanted = [want for want in wanted if want.marker is None or want.marker.evaluate()]
    wrong = []
    for want in wanted:
        try:
            have = importlib.metadata.version(want.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{want.name} missing")
            continue
        version = have.split("+")[0]  # +cpu and +cu130 are builds of one version
        if not want.specifier.contains(version, prereleases=True):
            wrong.append(f"{want.name} {have}, locked {want.specifier}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        yield Finding("packages", "problem", "; ".join(wrong[:5]) + more, "make setup")
    else:
        yield Finding("packages", "ok", f"all {len(wanted)} as locked")


def _device() -> Iterator[Finding]:
    import torch

    from . import compat

    compat.prepare()
    detail = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            yield Finding(
                "torch", "ok", f"{detail}; cuda:{index} {card.name}, {card.total_memory / GIB:.0f} GiB"
            )
    elif torch.backends.mps.is_available():
        yield Finding(
            "torch", "note", f"{detail}; runs on the CPU; Apple's MPS only when asked, device='mps'"
        )
    else:
        yield Finding("torch", "ok", f"{detail}; no GPU, runs on the CPU")
    if compat.xformers_is_stand_in():
        yield Finding(
            "xformers", "ok", "not installed or not loadable; a stand-in is used, torch does the attention"
        )


def _memory() -> Iterator[Finding]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    detail = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    enough = memory.available > 2 * GIB
    fix = "" if enough else "close other programs: étude and its notebook want 2 GiB"
    yield Finding("memory", "ok" if enough else "problem", detail, fix)
    on_cuda = torch.cuda.is_available()
    room = (
        max(torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count()))
        if on_cuda
        else memory.available
    )
    for size, (layers, width) in SIZES.items():
        need = needs(layers, width, bytes_each=2 if on_cuda else 4)
        clips = int((room - need["weights"]) // need["per_clip"])
        detail = (
            f"{need['parameters'] / 1e9:.2f} B parameters; {need['weights'] / GIB:.1f} GiB of weights and "
            f"{need['per_clip'] / GIB:.2f} GiB a 30 s clip on {'cuda' if on_cuda else 'cpu'} (estimated): "
        )
        if not on_cuda and need["weights"] + need["checkpoint"] > room:
            clips = 0  # model and checkpoint are both in memory while it is read
        verdict = f"fits, {clips} clips at a time" if clips > 0 else f"does not fit in {room / GIB:.1f} GiB"
        yield Finding(f"musicgen-{size}", "ok" if clips > 0 else "note", detail + verdict)


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free
    if free > 5 * GIB:
        return Finding("disk", "ok", f"{free / GIB:.0f} GiB free")
    return Finding(
        "disk", "problem", f"{free / GIB:.1f} GiB free; the study wants 5", "free some space, or: make clean"
    )


def _checkpoints() -> Iterator[Finding]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    from .loading import plugins

    yield Finding(
        "registered",
        "ok" if plugins() else "problem",
        ", ".join(plugins()) or "no model is registered",
        "" if plugins() else "pip install --no-deps -e .",
    )
    try:
        cached = [repo for repo in scan_cache_dir().repos if repo.repo_id.startswith("facebook/musicgen")]
    except CacheNotFound:
        cached = []
    listed = ", ".join(f"{repo.repo_id} ({repo.size_on_disk / GIB:.1f} GiB)" for repo in cached)
    yield Finding(
        "cached", "ok", listed or "none of Meta's checkpoints; interp.load downloads one on first use"
    )


def _real_check(name: str) -> Iterator[Finding]:
    """Load the model, run it with a hook on every layer, and compare what they see with the documentation."""
    import time

    from .loading import load

    start = time.perf_counter()
    model = load(name)
    facts = (
        f"{model.n_layers} layers, d_model {model.d_model}, {model.n_codebooks} x {model.cardinality} tokens"
    )
    yield Finding(f"load {name}", "ok", f"{facts}, on {model.device}, {time.perf_counter() - start:.1f} s")
    yield from look_inside(model)


def look_inside(model: Model) -> Iterator[Finding]:
    """Run a model with a hook on every layer: calls and shapes as documented, both ways of capture alike."""
    import torch

    from .activations import capture
    from .hooks import hook

    shapes: dict[str, list[tuple[int, ...]]] = {f"resid.{i}": [] for i in range(model.n_layers)}

    def note(site: str):
        return lambda x, layout, group: shapes[site].append(tuple(x.shape))

    with hook(model, {site: note(site) for site in shapes}, rows="all"):
        clip = model.generate(["calm piano music"], seconds=1, progress=False)
    calls = clip.tokens.shape[-1] + max(model.delays)
    expected = [(2, 1, model.d_model)] * calls
    wrong = [site for site, seen in shapes.items() if seen != expected]
    detail = f"{calls} calls of {list(expected[0])} at each of {model.n_layers} layers, as documented"
    if wrong:
        detail = (
            f"{', '.join(wrong)} saw {len(shapes[wrong[0]])} calls of {set(shapes[wrong[0]])}, not {detail}"
        )
    yield Finding("hooks", "problem" if wrong else "ok", detail, "make setup" if wrong else "")
    if wrong:
        return
    once, live = (capture(model, clip, rows="both", streaming=streaming) for streaming in (False, True))
    error = max(((once[s] - live[s]).float().norm() / live[s].float().norm()).item() for s in once)
    limit = 1e-4 if once["resid.0"].dtype == torch.float32 else 1e-2
    detail = f"teacher-forced and streaming capture differ by {error:.0e} (limit {limit:.0e})"
    yield Finding(
        "capture", "ok" if error <= limit else "problem", detail, "" if error <= limit else "make setup"
    )


def verdict(findings: list[Finding]) -> str:
    """One line for all."""
    problems = [finding.check for finding in findings if finding.status == "problem"]
    if problems:
        return f"NOT READY: {len(problems)} problem{'s' * (len(problems) > 1)} ({', '.join(problems)})."
    return "READY: the study can run on this machine."


def main(model: str = "etude", as_json: bool = False) -> int:
    """Print what the checks find; 0 if there is no problem, else 1."""
    findings: list[Finding] = []
    mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    for finding in examine(model):
        findings.append(finding)
        if not as_json:
            print(f"{mark[finding.status]}  {finding.check:<16} {finding.detail}", flush=True)
            if finding.fix:
                print(f"         {'':<16} -> {finding.fix}", flush=True)
    line, failed = verdict(findings), any(finding.status == "problem" for finding in findings)
    if as_json:
        report: dict[str, Any] = {
            "ready": not failed,
            "verdict": line,
            "findings": [asdict(f) for f in findings],
        }
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        print(line)
    return int(failed)
