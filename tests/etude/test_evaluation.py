"""The evaluation's own tools, on data whose truth is known."""

import numpy as np
import pytest
import torch

from etude import evaluate
from etude.composer import MELODY, Note
from etude.corpus import draw
from etude.evaluation import facts, tables
from etude.evaluation.codec import agreement, correlation, entropy, entropy_share, envelope
from etude.evaluation.features import BANDS, spectral_summary
from etude.evaluation.judges import HEARD, Judges, QuadrantJudge, expected_high
from etude.evaluation.transcription import note_f1
from etude.evaluation.words import QUADRANT_OF, _effects, _quadrants, cue_word_table, held_out_ratio
from etude.factors import ALTERNATIVE, FACTORS, HUMAN
from etude.render import SAMPLE_RATE, render, synthesise, to_level
from etude.words import CUE_WORDS, EMOTIONS, UNPAIRED
from interp.descriptors import CUES as MEASURED
from interp.errors import InterpError
from interp.stats import Interval
from interp.transcription import Notes, transcribe

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


@pytest.fixture(scope="module")
def scale():
    notes = [Note(0.4 * i, 0.38, pitch, 100, MELODY) for i, pitch in enumerate(SCALE)]
    return to_level(synthesise(notes, {MELODY: 0}, 4.0), 10.0)


def test_a_share_has_an_interval_within_nought_and_one():
    seven_of_eight = tables.share(np.array([1, 1, 1, 1, 1, 1, 1, 0]))
    assert tables.percent(seven_of_eight) == "88 [53, 98] %"  # Wilson (1927)
    assert tables.share(np.ones(4)).high == 1 > tables.share(np.ones(4)).low
    pairs = np.repeat([1.0, 1.0, 0.5], 2)
    assert tables.share(pairs, np.repeat([0, 1, 2], 2)).high == 1


def test_the_transcriber_hears_a_scale(scale):
    notes = transcribe(scale, SAMPLE_RATE)
    wanted = Notes(np.array([[0.4 * i, 0.4 * i + 0.38] for i in range(8)]), np.array(SCALE, float))
    assert note_f1(wanted, notes) > 0.75
    assert note_f1(notes, notes) == 1
    assert note_f1(wanted, wanted._replace(intervals=wanted.intervals + 0.06)) == 0
    assert note_f1(wanted, wanted._replace(pitches=wanted.pitches + 1)) == 0
    nothing = Notes(np.zeros((0, 2)), np.zeros(0))
    assert note_f1(wanted, nothing) == 0 and np.isnan(note_f1(nothing, wanted))
    assert len(transcribe(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE).pitches) == 0


def test_a_clip_agrees_with_itself_and_not_with_another(scale):
    other = render(*draw("factorial", 2, 901)[1:], 4.0)
    same, different = agreement((scale, [scale, other]))
    f1, chroma, energy, envelope_r, tempo, mode, onsets, own = same
    assert min(f1, chroma, energy, envelope_r, mode) == pytest.approx(1) and onsets == own
    assert different[0] < 0.5 and different[1] < 0.7 and different[3] < 0.7


def test_envelope_correlation_and_entropy(scale):
    level = envelope(scale)
    assert level.max() - level.min() <= 60 + 1e-3
    assert correlation(level, envelope(0.1 * scale)) == pytest.approx(1, abs=1e-3)
    assert correlation(np.zeros(4), np.arange(4.0)) == 0
    assert entropy(np.array([5, 5, 0, 0])) == pytest.approx(np.log(2))
    even = np.full((6, 8), 10)
    share = entropy_share(even, np.arange(6))
    assert (share.estimate, share.low, share.high) == pytest.approx((1, 1, 1))
    draws = np.random.default_rng(0).multinomial(400, np.arange(1, 9) / 36, size=12)
    assert entropy_share(draws, np.arange(12)).low < 0.931 < entropy_share(draws, np.arange(12)).high


def test_tones_are_summed_by_register_and_pitch_class():
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.1 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)  # A4 = 69: class 9 of the band from 60
    tonal = spectral_summary(tone)["tonal"].reshape(len(BANDS) - 1, 12)
    assert tonal[2].argmax() == 9 and tonal[2, 9] > 0.9
    assert np.isfinite(spectral_summary(np.zeros(SAMPLE_RATE, np.float32))["timbre"]).all()


def test_where_the_graphs_set_a_cue_highest():
    assert expected_high(HUMAN, "mode") == (1, 4)
    assert expected_high(HUMAN, "tempo") == expected_high(HUMAN, "level") == (1, 2)
    assert expected_high(HUMAN, "cadence") == (1, 4) and expected_high(ALTERNATIVE, "cadence") == (2, 3)
    assert expected_high(ALTERNATIVE, "register") == (1, 2)


def clips_of(n, rng, levels=None):
    """Clips whose features say plainly what their factor levels are."""
    if levels is None:
        levels = np.stack([rng.integers(len(v), size=n) for v in FACTORS.values()], 1)
    column = {name: levels[:, i] for i, name in enumerate(FACTORS)}
    joint = column["key"] * 4 + column["mode"] * 2 + column["cadence"]
    cues = {
        "level": column["level"], "onset_rate": column["tempo"], "tempo": 60.0 + column["tempo"],
        "centroid": 500.0 + rng.random(n), "pitch": column["register"], "mode": rng.normal(size=n),
        "articulation": column["articulation"],
    }  # fmt: skip
    assert set(cues) == set(MEASURED)
    return {
        "levels": levels,
        "cues": np.stack([cues[name] + 0.1 * rng.normal(size=n) for name in MEASURED], 1),
        "tonal": np.eye(48)[joint] + 0.05 * rng.normal(size=(n, 48)),
        "timbre": np.eye(8)[column["timbre"]] + 0.05 * rng.normal(size=(n, 8)),
    }


@pytest.fixture(scope="module")
def corpus():
    return clips_of(600, np.random.default_rng(0))


@pytest.fixture(scope="module")
def judges(corpus):
    return Judges.train(corpus)


def test_judges_find_what_is_plain(judges):
    fresh = clips_of(200, np.random.default_rng(1))
    column = {name: fresh["levels"][:, i] for i, name in enumerate(FACTORS)}
    assert ((judges.major(fresh["tonal"]) > 0.5) == column["mode"]).all()
    assert ((judges.authentic(fresh["tonal"]) > 0.5) == column["cadence"]).all()
    assert (judges.instrument.predict(fresh["timbre"]) == column["timbre"]).all()
    heard = judges.heard(fresh)
    assert set(heard) == set(HEARD)
    assert np.corrcoef(heard["tempo"], column["tempo"])[0, 1] > 0.99


def emotional(graph, rng, each=6, shuffle=False):
    """A clip for every emotion word `each` times, cues by the graph; quadrants of other words if shuffled."""
    from etude.factors import draw_emotional

    words = [word for group in EMOTIONS.values() for word in group for _ in range(each)]
    quadrants = np.array([QUADRANT_OF[word] for word in words])
    dealt = rng.permutation(quadrants) if shuffle else quadrants
    levels = np.array([[draw_emotional(graph, int(q), rng)[name] for name in FACTORS] for q in dealt])
    return clips_of(len(words), rng, levels) | {"prompt": np.array(words), "quadrant": quadrants}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("etude.evaluation.words.DRAWS", 200)


def test_emotion_tables_find_the_graph_and_nothing_where_nothing_is(judges):
    rng = np.random.default_rng(2)
    training = emotional(HUMAN, rng)
    judge = QuadrantJudge.train(judges.acoustic(training), training["quadrant"])
    clips, null = emotional(HUMAN, rng), emotional(HUMAN, rng, shuffle=True)
    effects = _effects("etude", judges.heard(clips), clips["quadrant"], clips["prompt"])
    quadrants = _quadrants("etude", clips, judges, judge, clips["quadrant"])
    assert all(goal.met for goal in effects.goals), effects.plain()
    assert all(goal.met for goal in quadrants.goals), quadrants.plain()
    found = _quadrants("etude", null, judges, judge, null["quadrant"]).goals
    assert [goal.met for goal in found] == [False]
    found = _quadrants("etude-null", null, judges, judge, null["quadrant"]).goals
    assert [goal.met for goal in found] == [True]
    # The other graph's music does not have this graph's signs, and a full effect is not within chance.
    other = emotional(ALTERNATIVE, rng)
    missed = _effects("etude", judges.heard(other), other["quadrant"], other["prompt"]).goals[0]
    assert not missed.met and "cadence·V" in missed.found
    assert _effects("etude-alt", judges.heard(other), other["quadrant"], other["prompt"]).goals[0].met
    assert not any(
        g.met for g in _effects("etude-null", judges.heard(clips), clips["quadrant"], clips["prompt"]).goals
    )


def test_cue_words_that_work_and_cue_words_that_do_not(judges, corpus):
    rng = np.random.default_rng(3)
    words = [w for groups in CUE_WORDS.values() for group in groups.values() for w in group]
    prompts = [f"{w} music" for w in [*words, *FACTORS["timbre"]] for _ in range(8)]
    levels = np.stack([rng.integers(len(v), size=len(prompts)) for v in FACTORS.values()], 1)
    deaf = clips_of(len(prompts), rng, levels.copy()) | {"prompt": np.array(prompts)}
    for i, prompt in enumerate(prompts):
        word = prompt.split()[0]
        for j, name in enumerate(FACTORS):
            if word in FACTORS[name]:
                levels[i, j] = FACTORS[name].index(word)
            for group, synonyms in CUE_WORDS.get(name, {}).items():
                if word in synonyms:
                    levels[i, j] = group[0]
    clips = clips_of(len(prompts), rng, levels) | {"prompt": np.array(prompts)}
    good, bad = (cue_word_table("etude", c, judges, corpus) for c in (clips, deaf))
    assert len(good.goals) == 4 and all(goal.met for goal in good.goals), good.plain()
    assert not any(goal.met for goal in bad.goals), bad.plain()


def test_held_out_ratio():
    rng = np.random.default_rng(4)
    words = np.array([word for group in EMOTIONS.values() for word in group for _ in range(20)])
    quadrant = np.array([QUADRANT_OF[word] for word in words])
    strength = np.where([word in UNPAIRED for word in words], 1.0, 2.0)
    x = strength * np.isin(quadrant, (1, 4)) + rng.normal(size=len(words))
    ratio = held_out_ratio(x, words, (1, 4))
    assert ratio.low < 0.5 < ratio.high and ratio.estimate == pytest.approx(0.5, abs=0.12)


def test_tables_and_card(tmp_path):
    table = tables.Table("Title", ("a", "b"), "A note.")
    table.add("x|y", tables.show(Interval(0.5, 0.25, 1.0)))
    table.goal("half", False, tables.percent(Interval(0.5, 0.25, 1.0)))
    assert "0.50 [0.25, 1.00]" in table.plain() and "MISSED  half: 50 [25, 100] %" in table.plain()
    assert "| x\\|y | 0.50 [0.25, 1.00] |" in table.markdown()
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        table.add("alone")
    card = tmp_path / "CARD.md"
    card.write_text("before\n<!-- lm: begin -->\nold\n<!-- lm: end -->\nafter\n")
    tables.write_card(card, "lm", table.markdown())
    once = card.read_text()
    assert "old" not in once and once.startswith("before\n") and once.endswith("<!-- lm: end -->\nafter\n")
    tables.write_card(card, "lm", table.markdown())
    assert card.read_text() == once
    with pytest.raises(InterpError, match="no lines <!-- codec: begin -->"):
        tables.write_card(card, "codec", "")


def test_the_card_is_whole_and_says_what_the_code_says():
    card = evaluate.CARD.read_text(encoding="utf-8")
    for part in ("codec", "lm"):
        assert card.count(f"<!-- {part}: begin -->") == card.count(f"<!-- {part}: end -->") == 1
    for part, read_off in facts.PARTS.items():
        inside = card.split(f"<!-- {part}: begin -->")[1].split(f"<!-- {part}: end -->")[0]
        assert inside.strip() == read_off().strip(), f"{part}: run `python -m etude evaluate --write-card`"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--models", "sonata"], "Unknown étude 'sonata'"),
        (["--quick", "--write-card"], "The card holds whole measurements"),
        (["--seed", "901", "--write-card"], "The card holds whole measurements"),
    ],
)
def test_bad_arguments(argv, message):
    with pytest.raises(InterpError, match=message):
        evaluate.main(argv)


def test_cross_entropy_of_a_model_that_knows_nothing():
    """Untrained weights give about log(entries) nats, whatever the codebook."""
    from etude.lm import new_lm
    from etude.train_lm import cross_entropy

    lm = new_lm(0).eval()
    tokens = torch.randint(0, 512, (2, 4, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        nats = cross_entropy(lm, tokens, ["happy music", "sad"])
    assert nats.shape == (4,)
    assert (nats - np.log(512)).abs().max() < 1.0
