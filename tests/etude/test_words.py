"""The vocabulary, the captions and the text encoder's tokenizer."""

import numpy as np
import pytest

from etude.corpus import draw
from etude.factors import FACTORS
from etude.text import build_tokenizer
from etude.words import CUE_WORDS, EMOTIONS, UNPAIRED, caption, cue_words, vocabulary

# The prompts of the project's original notes.
NOTES = ["upbeat cheerful pop music", "melancholic sad piano ballad", "upbeat", "calm", "energetic"]
CUES = {word for groups in CUE_WORDS.values() for words in groups.values() for word in words}


@pytest.fixture(scope="module")
def captions():
    """(quadrant, levels, caption) of 5,000 clips, emotional and factorial."""
    rng = np.random.default_rng(0)
    clips = [draw(kind, i, 901)[:2] for i in range(2500) for kind in ("etude", "factorial")]
    return [(quadrant, levels, caption(quadrant, levels, rng)) for quadrant, levels in clips]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_at_least_twelve_synonyms_per_quadrant_and_some_held_out():
    for words in EMOTIONS.values():
        assert len(set(words)) >= 12
        assert 0 < len(UNPAIRED & set(words)) < len(words)
    everything = [word for words in EMOTIONS.values() for word in words]
    assert len(everything) == len(set(everything))
    assert not set(everything) & (CUES | set(FACTORS["timbre"]) | set(FACTORS["genre"]))


def test_held_out_words_never_stand_beside_a_cue_word(captions):
    seen = set()
    for _, _, text in captions:
        words = set(text.split())
        if words & UNPAIRED:
            assert not words & CUES, text
            seen |= words & UNPAIRED
    assert seen == UNPAIRED, "every one of them occurs"


def test_captions_tell_the_truth_and_hold_known_words(captions):
    known, seen = set(vocabulary()), set()
    for quadrant, levels, text in captions:
        words = text.split()
        seen |= set(words)
        assert set(words) <= known, text
        emotions = {q for q, group in EMOTIONS.items() if set(words) & set(group)}
        assert emotions <= {quadrant}
        for cue in CUE_WORDS:
            said = {word for group in CUE_WORDS[cue].values() for word in group} & set(words)
            assert said <= set(cue_words(levels, cue)), text
        for name in ("timbre", "genre"):
            assert set(words) & set(FACTORS[name]) <= {FACTORS[name][levels[name]]}
    assert CUES <= seen


def test_a_share_of_the_captions_holds_an_emotion_alone(captions):
    emotional = [text.split() for quadrant, _, text in captions if quadrant]
    told = CUES | set(FACTORS["timbre"]) | set(FACTORS["genre"])
    emotions = {word for group in EMOTIONS.values() for word in group}
    alone = [words for words in emotional if set(words) & emotions and not set(words) & told]
    assert 0.25 < len(alone) / len(emotional) < 0.7


def test_prompts_of_the_notes_are_in_the_vocabulary():
    assert set(" ".join(NOTES).split()) <= set(vocabulary())


def test_every_caption_tokenises_into_whole_words(captions, tokenizer):
    unknown = tokenizer.convert_tokens_to_ids("<unk>")
    for _, _, text in captions[:1000]:
        ids = tokenizer(text)["input_ids"]
        assert unknown not in ids
        assert len(ids) == len(text.split()) + 1, text  # one token a word, and the end


def test_unknown_words_are_spelled(tokenizer):
    ids = tokenizer("zydeco, 1999!")["input_ids"]
    assert tokenizer.convert_tokens_to_ids("<unk>") not in ids
    assert len(ids) > 5
