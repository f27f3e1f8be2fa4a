"""What words do to generated music: cue words, and prompts that hold nothing but an emotion word."""

from __future__ import annotations

from functools import partial

import numpy as np

from etude.evaluation.judges import COLUMN, HEARD, Judges, QuadrantJudge, expected_high
from etude.evaluation.tables import Table, percent, share, show
from etude.factors import FACTORS, GRAPHS, QUADRANTS
from etude.words import CUE_WORDS, EMOTIONS, UNPAIRED
from interp.descriptors import CUES as MEASURED
from interp.stats import Interval, cohens_d

Clips = dict[str, np.ndarray]
QUADRANT_OF = {word: quadrant for quadrant, words in EMOTIONS.items() for word in words}
LEAD = {
    "tempo": "onset rate",
    "level": "level",
    "mode": "mode",
}  # the cues that have goals, as they are called
DRAWS = 1000  # of every bootstrap
LARGE = 0.2  # weights of this size or more must come out with their sign


def judges_table(judges: Judges, held_out: Clips, emotional: dict[str, tuple[Clips, QuadrantJudge]]) -> Table:
    """How often the judges are right on held-out renders that went through the codec."""
    table = Table(
        "Judges",
        ("judge", "n", "right", "chance"),
        "Linear classifiers trained on the composer's renders through the codec, and tried on others: what"
        " follows is to be read against these. Key profiles are those of `interp.descriptors`.",
    )
    levels, tonal = held_out["levels"], held_out["tonal"]
    truth = {name: levels[:, COLUMN[name]] for name in FACTORS}
    profile = held_out["cues"][:, list(MEASURED).index("mode")]
    said = {
        ("mode", "50 %"): (judges.major(tonal) > 0.5) == truth["mode"],
        ("mode, by key profiles", "50 %"): (profile > 0) == truth["mode"],
        ("cadence", "50 %"): (judges.authentic(tonal) > 0.5) == truth["cadence"],
        ("instrument", "17 %"): judges.instrument.predict(held_out["timbre"]) == truth["timbre"],
    }
    for kind, (clips, judge) in emotional.items():
        said[f"quadrant, music of {kind}", "25 %"] = judge(judges.acoustic(clips)) == clips["quadrant"]
    for (name, chance), right in said.items():
        table.add(name, str(len(right)), percent(share(right)), chance)
    return table


def cue_word_table(name: str, clips: Clips, judges: Judges, held_out: Clips) -> Table:
    """How often a cue word gets its cue, beside how often the composer's own clips would pass."""
    table = Table(
        f"{name}: cue words",
        ("word", "n", "gets its cue", "composer's clips"),
        "Prompts such as “fast music”. A clip has the cue if its measure lies on the word's side of the "
        "median of held-out factorial renders (mode: of even odds), or if the judge names the instrument. "
        "The last column is the same test on held-out renders that the word describes. Intervals are "
        "Wilson's: every clip is a draw of its own, and a cue has no other words.",
    )
    heard, theirs = judges.heard(clips), judges.heard(held_out)
    firsts = np.array([prompt.split()[0] for prompt in clips["prompt"]])
    tests = {}
    for cue, groups in CUE_WORDS.items():
        middle = 0.0 if cue == "mode" else np.nanmedian(theirs[cue])
        for levels, words in groups.items():
            high = min(levels) > 0
            passes = [(x[cue] > middle) if high else (x[cue] < middle) for x in (heard, theirs)]
            described = np.isin(held_out["levels"][:, COLUMN[cue]], levels)
            tests[" / ".join(words)] = cue, np.isin(firsts, words), passes[0], passes[1][described]
    named, theirs_named = (judges.instrument.predict(x["timbre"]) for x in (clips, held_out))
    for index, timbre in enumerate(FACTORS["timbre"]):
        described = held_out["levels"][:, COLUMN["timbre"]] == index
        tests[timbre] = "instrument", firsts == timbre, named == index, theirs_named[described] == index
    passed = {}
    for words, (cue, asked, right, theirs_right) in tests.items():
        table.add(words, str(asked.sum()), percent(share(right[asked])), percent(share(theirs_right)))
        passed.setdefault(cue, []).append(right[asked])
    for cue, parts in passed.items():
        right = np.concatenate(parts)
        mean = share(right)
        table.add(f"all words for {cue}", str(len(right)), percent(mean), "")
        chance = 1 / len(FACTORS["timbre"]) if cue == "instrument" else 0.5
        if cue in LEAD or cue == "instrument":
            table.goal(f"{cue} words above chance ({chance:.0%})", mean.low > chance, percent(mean))
    return table


def emotion_tables(name: str, clips: Clips, judges: Judges, quadrant_judge: QuadrantJudge) -> list[Table]:
    """What emotion words alone do: effect of each cue, and the quadrants that a judge hears."""
    words = clips["prompt"]
    quadrant = np.array([QUADRANT_OF[word] for word in words])
    heard = judges.heard(clips)
    return [_effects(name, heard, quadrant, words), _quadrants(name, clips, judges, quadrant_judge, quadrant)]


def _effects(name: str, heard: dict[str, np.ndarray], quadrant: np.ndarray, words: np.ndarray) -> Table:
    graph = GRAPHS[name]
    table = Table(
        f"{name}: emotion words alone",
        ("cue", "n", "weight V", "d, valence", "weight A", "d, arousal", "d, as the graph predicts"),
        "Every emotion word as the whole prompt. Cohen's d of each measured cue between words of high and "
        "low valence, of high and low arousal, and between the two quadrants for which the generating "
        "graph sets the cue highest and the two others; weights are the graph's. Intervals are clustered "
        "by word. Mode and cadence are the judge's log odds.",
    )
    signs, predicted = [], {}
    for cue in HEARD:
        effect = partial(_effect, heard[cue], quadrant, words)
        valence, arousal = effect((1, 4)), effect((1, 2))
        predicted[cue] = effect(expected_high(graph, cue))
        n = int(np.isfinite(heard[cue]).sum())
        weights = graph.v[cue], graph.a[cue]
        table.add(cue, str(n), f"{weights[0]:+.2f}", show(valence), f"{weights[1]:+.2f}", show(arousal),
                  show(predicted[cue]))  # fmt: skip
        for label, weight, d in (("V", weights[0], valence), ("A", weights[1], arousal)):
            if abs(weight) >= LARGE:
                signs.append((f"{cue}·{label}", weight * d.estimate > 0))
    if name == "etude-null":
        for cue, called in LEAD.items():
            d = predicted[cue]
            table.goal(f"{called}: no effect (interval holds 0)", d.low <= 0 <= d.high, show(d))
        return table
    wrong = [weight for weight, right in signs if not right]
    found = f"{len(signs) - len(wrong)} of {len(signs)}" + (f" (not {', '.join(wrong)})" if wrong else "")
    table.goal(f"signs of the graph's weights of {LARGE} or more", not wrong, found)
    if name == "etude":
        for cue in ("tempo", "level"):
            table.goal(f"{LEAD[cue]}: d ≥ 0.8", predicted[cue].estimate >= 0.8, show(predicted[cue]))
        table.goal("mode: interval above 0", predicted["mode"].low > 0, show(predicted["mode"]))
        for cue, called in LEAD.items():
            ratio = held_out_ratio(heard[cue], words, expected_high(graph, cue))
            met = ratio.estimate >= 0.5 and predicted[cue].low > 0  # half of nothing is nothing
            table.goal(
                f"{called}: held-out synonyms at least half as strong", met, f"ratio of d {show(ratio)}"
            )
    return table


def _effect(x: np.ndarray, quadrant: np.ndarray, words: np.ndarray, high: tuple[int, ...]) -> Interval:
    """Cohen's d between clips of the `high` quadrants and the others, clustered by word."""
    keep, up = np.isfinite(x), np.isin(quadrant, high)
    first, second = keep & up, keep & ~up
    return cohens_d(x[first], x[second], words[first], words[second], n=DRAWS)


def held_out_ratio(x: np.ndarray, words: np.ndarray, high: tuple[int, ...]) -> Interval:
    """d among `UNPAIRED` words over d among the others; 95 % interval by drawing words anew in each group."""
    keep = np.isfinite(x)
    values = {word: x[keep & (words == word)] for word in dict.fromkeys(words[keep])}
    side = {word: (word in UNPAIRED, QUADRANT_OF[word] in high) for word in values}
    groups = {g: [word for word in values if side[word] == g] for g in sorted(set(side.values()))}

    def ratio(chosen: dict) -> float:
        pooled = {g: np.concatenate([values[word] for word in own]) for g, own in chosen.items()}
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw without any effect has no ratio
            return np.divide(*(_d(pooled[apart, True], pooled[apart, False]) for apart in (True, False)))

    rng = np.random.default_rng(0)
    draws = [ratio({g: rng.choice(own, len(own)) for g, own in groups.items()}) for _ in range(DRAWS)]
    return Interval(float(ratio(groups)), *(float(q) for q in np.nanquantile(draws, [0.025, 0.975])))


def _d(a: np.ndarray, b: np.ndarray) -> float:
    spread = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
    return float((a.mean() - b.mean()) / np.sqrt(spread))


def _quadrants(name: str, clips: Clips, judges: Judges, judge: QuadrantJudge, quadrant: np.ndarray) -> Table:
    words, said = clips["prompt"], judge(judges.acoustic(clips))
    table = Table(
        f"{name}: quadrants heard",
        ("quadrant of the word", "n", *(f"heard as Q{q}" for q in QUADRANTS), "right"),
        "What the quadrant judge of the model's own graph hears in the same clips, in shares; intervals "
        "are clustered by word. Q1 is happy, Q2 angry, Q3 sad, Q4 calm.",
    )
    for q in QUADRANTS:
        own = quadrant == q
        shares = [f"{(said[own] == other).mean():.2f}" for other in QUADRANTS]
        table.add(f"Q{q}", str(own.sum()), *shares, percent(share(said[own] == q, words[own])))
    right = said == quadrant
    everything = share(right, words)
    table.add("all", str(len(right)), *[""] * 4, percent(everything))
    held_out = np.array([word in UNPAIRED for word in words])
    for label, group in (("held-out synonyms", held_out), ("other words", ~held_out)):
        table.add(label, str(group.sum()), *[""] * 4, percent(share(right[group], words[group])))
    if name == "etude":
        table.goal("quadrant accuracy ≥ 65 % (chance 25 %)", everything.estimate >= 0.65, percent(everything))
    if name == "etude-null":
        within = everything.low <= 0.25 <= everything.high
        table.goal("quadrant accuracy within chance (25 %)", within, percent(everything))
    return table
