"""Every hook at musicgen-small's true size, so that nothing is tied to the size of a small model."""

import pytest

import interp


@pytest.mark.slow
def test_every_site_at_the_size_of_musicgen_small(make_musicgen):
    musicgen = make_musicgen(
        dim=1024,
        num_heads=16,
        num_layers=24,
        card=2048,
        weight_init=None,
        depthwise_init=None,
        zero_bias_init=False,
    )
    model = interp.Model(musicgen, "small-sized")
    assert model.n_parameters == pytest.approx(420e6, rel=0.02)
    generation = model.generate(["happy", "sad"], seconds=0.12, progress=False)
    sites = ("resid", "attn", "cross", "mlp", "head", "cross_head")
    once, live = (
        interp.capture(model, generation, sites=sites, rows="both", streaming=streaming)
        for streaming in (False, True)
    )
    assert len(once) == 1 + 24 * (4 + 2 * 16)
    for site in once:
        width = 1024 // 16 if "head" in site else 1024
        assert once[site].shape == (2, 2, 3, width)
        assert (once[site] - live[site]).norm() <= 1e-4 * live[site].norm(), site
