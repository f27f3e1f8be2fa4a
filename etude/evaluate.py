"""`python -m etude evaluate`: the tables of the model card, on music that training and tuning never used."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

from etude import MODELS, WEIGHTS
from etude.evaluation import facts
from etude.evaluation.tables import Table, write_card
from interp.errors import InterpError, unknown

CARD = Path(__file__).parent / "CARD.md"
WORK = Path("build/etude")
REPORTED, DEVELOPMENT = 1001, 901  # seeds: of what the card reports, and for trying things out


@dataclass(frozen=True)
class Budget:
    """How much is measured: numbers of clips, and repetitions of each prompt or timing."""

    renders: int
    programs: tuple[str, ...]
    judges: int
    emotional: int
    held_out: int
    entropy: int
    emotion: int
    cue: int
    timings: int


FULL = Budget(60, ("piano", "vibraphone", "clarinet"), 600, 400, 200, 120, 3, 4, 5)
QUICK = Budget(12, ("piano",), 160, 120, 60, 16, 1, 2, 2)


def main(argv: list[str] | None = None) -> int:
    """Measure, print the tables, and with ``--write-card`` put them into the card."""
    parser = argparse.ArgumentParser("python -m etude evaluate", description=__doc__)
    parser.add_argument("--part", choices=("codec", "lm", "all"), default="all")
    parser.add_argument(
        "--models", nargs="+", default=list(MODELS), metavar="NAME", help="default: all three"
    )
    parser.add_argument("--quick", action="store_true", help="few clips: a look, not a measurement")
    parser.add_argument("--write-card", action="store_true", help="put the tables into etude/CARD.md")
    parser.add_argument("--seed", type=int, default=REPORTED,
                        help=f"default {REPORTED}; use {DEVELOPMENT} while something is tuned")  # fmt: skip
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the weights")
    options = parser.parse_args(argv)
    for name in options.models:
        if name not in MODELS:
            raise unknown("étude", name, MODELS)
    whole = set(options.models) == set(MODELS) and options.seed == REPORTED and not options.quick
    if options.write_card and not whole:
        raise InterpError("The card holds whole measurements: leave out --quick, --models and --seed.")
    budget = QUICK if options.quick else FULL
    WORK.mkdir(parents=True, exist_ok=True)
    parts = {"codec": codec_tables, "lm": lm_tables}
    goals = []
    for part, measure in parts.items():
        if options.part not in (part, "all"):
            continue
        tables = measure(options, budget)
        if options.write_card:
            write_card(CARD, part, "\n".join(table.markdown() for table in tables))
        goals += [goal for table in tables for goal in table.goals]
    if options.write_card:
        for part, read_off in facts.PARTS.items():
            write_card(CARD, part, read_off())
    print(f"{sum(goal.met for goal in goals)} of {len(goals)} goals met")
    return 0


def codec_tables(options: argparse.Namespace, budget: Budget) -> list[Table]:
    """Part A, printed."""
    from etude.checkpoint import load_codec
    from etude.evaluation.codec import tables

    codec = load_codec(options.weights)
    return _printed(tables(codec, budget.renders, list(budget.programs), options.seed))


def lm_tables(options: argparse.Namespace, budget: Budget) -> list[Table]:
    """Part B, printed model by model."""
    from etude.checkpoint import load_codec, load_musicgen
    from etude.evaluation import language, words
    from etude.evaluation.corpora import measured, store
    from etude.evaluation.judges import Judges, QuadrantJudge
    from interp.model import Model

    codec, folder, seed = load_codec(options.weights), store(WORK, options.weights), options.seed
    judges = Judges.train(measured("factorial", budget.judges, seed + 1, folder, codec))
    held_out = measured("factorial", budget.held_out, seed, folder, codec)
    emotional = {}
    for kind in ("etude", "etude-alt"):
        training = measured(kind, budget.emotional, seed + 1, folder, codec)
        judge = QuadrantJudge.train(judges.acoustic(training), training["quadrant"])
        emotional[kind] = measured(kind, budget.held_out, seed, folder, codec), judge
    out = _printed([words.judges_table(judges, held_out, emotional)])
    for name in options.models:
        model = Model(load_musicgen(name, weights=options.weights), name)
        own, judge = emotional["etude-alt" if name == "etude-alt" else "etude"]
        stem = f"{name}-{_digest(options.weights / name / 'state_dict.bin')}-{seed}"
        asked = language.cue_prompts(budget.cue)
        cue_clips = language.generated(model, asked, seed, folder / f"{stem}-cue-{budget.cue}.npz")
        alone = language.emotion_prompts(budget.emotion)
        clips = language.generated(model, alone, seed + 1, folder / f"{stem}-emotion-{budget.emotion}.npz")
        entropy = language.cross_entropy_table(model, own, budget.entropy, seed)
        out += _printed([
            entropy,
            words.cue_word_table(name, cue_clips, judges, held_out),
            *words.emotion_tables(name, clips, judges, judge),
        ])  # fmt: skip
    pace = language.speed(model, budget.timings)
    out += _printed([language.speed_table(pace, budget.timings)])
    return out


def _printed(tables: list[Table]) -> list[Table]:
    for table in tables:
        print(table.plain(), flush=True)
    return tables


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
