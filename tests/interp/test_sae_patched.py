"""A dictionary put into the model's way: perfect, useless, and counted over the right tokens."""

import pytest
import torch

import interp
from interp.errors import InterpError
from interp.sae import Dictionary
from interp.sae.patched import patched_loss

SITE = "resid.1"


@pytest.fixture(scope="module")
def clips(model):
    return model.generate(["sad", "upbeat cheerful pop music", None], seconds=0.5, seed=1, progress=False)


def pair(width: int, gain: float) -> Dictionary:
    """Positive and negative part of every coordinate: with gain 1, the identity."""
    made = Dictionary(width, 2 * width, "standard")
    with torch.no_grad():
        made.encoder.copy_(torch.cat([torch.eye(width), -torch.eye(width)]))
        made.decoder.copy_(gain * made.encoder)
    return made


def test_perfect_and_useless_reconstructions(model, clips):
    perfect = patched_loss(model, clips, SITE, pair(model.d_model, 1.0))
    torch.testing.assert_close(perfect.patched, perfect.clean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(perfect.recovered, torch.ones(4), rtol=1e-2, atol=1e-2)
    useless = patched_loss(model, clips, SITE, pair(model.d_model, 0.0))
    assert torch.equal(useless.patched, useless.ablated)
    assert torch.equal(useless.recovered, torch.zeros(4))
    assert perfect.clean.shape == (3, 4)
    assert not torch.allclose(perfect.clean, perfect.ablated)


def test_mean_ablation_is_another_floor(model, clips):
    zero = patched_loss(model, clips, SITE, pair(model.d_model, 1.0))
    mean = patched_loss(model, clips, SITE, pair(model.d_model, 1.0), ablation="mean")
    assert torch.equal(zero.clean, mean.clean) and not torch.allclose(zero.ablated, mean.ablated)


def test_the_clean_loss_is_audiocrafts(model, clips):
    """Against ``compute_predictions``, on the tokens that are predicted at clean steps."""
    got = patched_loss(model, clips, SITE, pair(model.d_model, 1.0)).clean
    first, last = max(model.delays) + 1, clips.tokens.shape[-1]
    for i in range(len(clips)):
        text = interp.activations.text_condition(model, [clips.prompts[i]], clips.text_steps[i])
        with torch.no_grad():
            out = model.lm.compute_predictions(
                clips.tokens[i : i + 1], [], {"description": text}, keep_only_valid_steps=False
            )
        for q in range(4):
            frames = torch.arange(last)
            counted = (frames + q >= first) & (frames + q <= last) & out.mask[0, q]
            true = torch.nn.functional.cross_entropy(
                out.logits[0, q, counted].float(), clips.tokens[i, q, counted]
            )
            assert float(got[i, q]) == pytest.approx(float(true), rel=1e-5)


def test_what_does_not_fit_is_refused(model, clips):
    with pytest.raises(InterpError, match="width 5"):
        patched_loss(model, clips, SITE, pair(5, 1.0))
    with pytest.raises(InterpError, match="Unknown ablation"):
        patched_loss(model, clips, SITE, pair(model.d_model, 1.0), ablation="median")
    with pytest.raises(InterpError, match="resid.LAYER"):
        patched_loss(model, clips, "resid", pair(model.d_model, 1.0))
