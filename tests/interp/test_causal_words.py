"""What a word is worth, and which sites carry it."""

import numpy as np
import pytest

from interp.causal.attribution import attribute
from interp.causal.patch import grid
from interp.causal.words import WordSwap
from interp.errors import InterpError

PAIRS = [("happy music", "sad music"), ("calm pop music", "angry pop music"), ("sad song", "happy song")]


@pytest.fixture(scope="module")
def swap(model):
    return WordSwap(model, PAIRS, sites=["resid", "cross"], seconds=0.4)


def test_the_worth_of_a_word_is_how_much_less_likely_its_clips_are_under_the_other(swap):
    assert swap.nats["right"].shape == swap.nats["wrong"].shape == (3,)
    assert swap.worth.estimate == pytest.approx((swap.nats["wrong"] - swap.nats["right"]).mean())
    assert not np.allclose(swap.nats["wrong"], swap.nats["right"])


@pytest.mark.parametrize("way", ["put back", "taken out"])
def test_after_the_last_block_the_stream_carries_all_of_it(model, swap, way):
    carried = swap.share(grid(model, ["resid"]), way).set_index("layer").share
    assert carried[model.n_layers - 1] == pytest.approx(1, abs=1e-3)
    assert carried[-1] == pytest.approx(0, abs=1e-6)  # before the first block no word has come in


def test_a_random_direction_is_not_the_right_one(model, swap):
    last = grid(model, ["resid"], [model.n_layers - 1])
    astray = swap.share(last[last.layer >= 0], "random direction")
    assert abs(astray.share.iloc[0] - 1) > 0.05


def test_the_gradient_twin_gives_the_same_table(model, swap):
    table = swap.share(grid(model, ["cross"]), method=attribute)
    assert list(table.site) == list(grid(model, ["cross"]).site)
    assert np.isfinite(table.share).all()


def test_bad_input_is_named(model, swap):
    with pytest.raises(InterpError, match="differ in 2 words"):
        WordSwap(model, [("happy pop music", "sad rock music")], seconds=0.4)
    with pytest.raises(InterpError, match="pairs"):
        WordSwap(model, [], seconds=0.4)
    with pytest.raises(InterpError, match="sideways.*put back"):
        swap.share(grid(model, ["cross"]), "sideways")
