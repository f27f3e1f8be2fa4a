"""What stands in place of activations: ablations, other clips, shifts, and what lies inside a subspace."""

import numpy as np
import pytest
import torch

import interp
from interp.activations import Activations
from interp.causal.patch import patch
from interp.causal.runs import TeacherForced, prompt_pair
from interp.causal.setters import astray, difference, inside, mean, replace, resample, shift, zero
from interp.causal.subspace import Subspace

PROMPTS = ["happy pop music", "calm sad ballad", "a very slow sad piano ballad"]
OTHERS = ["sad pop music", "energetic happy pop", "a very upbeat happy piano ballad"]


@pytest.fixture(scope="module")
def pair(model):
    """The same tokens under two prompts each."""
    clips = model.generate(PROMPTS, seconds=0.4, batch_size=2, progress=False)
    return prompt_pair(model, clips, OTHERS)


@pytest.fixture(scope="module")
def source(model, pair):
    sites = ["resid", "attn", "cross", "mlp", "head", "cross_head"]
    return interp.capture(model, pair[1], sites=sites, steps="all")


def edited(model, clips, site, setter, rows="cond"):
    """Activations at the site as the setter left them, at clean steps, [clip, step, width]."""
    kept = {}

    def note(heard):
        kept.update(zip(heard.clips, heard.activations[site], strict=True))
        return torch.zeros(len(heard.clips))

    patch(
        TeacherForced(model, clips, read=[site], rows=rows),
        note,
        [{"site": site, "rows": rows}],
        setter,
        progress=False,
    )
    return torch.stack([kept[i] for i in range(len(clips))])


def test_ablations(model, pair, source):
    own = interp.capture(model, pair[0], sites=["mlp", "head"], steps="all")
    clean = slice(max(model.delays) + 1, 21)
    for site in ("mlp.1", "head.1.3"):
        assert not edited(model, pair[0], site, zero).any()
        centre = edited(model, pair[0], site, mean(own))
        torch.testing.assert_close(centre, own[site].mean((0, 1)).expand_as(centre))
        drawn = edited(model, pair[0], site, resample(own, seed=1))
        matches = [[torch.equal(a, b[clean]) for b in own[site]] for a in drawn]
        assert [sum(row) for row in matches] == [1, 1, 1]
        assert not np.diag(matches).any()  # never the clip's own


def test_resampling_draws_from_another_piece(model, pair, source):
    """Clips 0 and 2 are two versions of one piece, so both must get clip 1."""
    clean = slice(max(model.delays) + 1, 21)
    drawn = edited(model, pair[0], "mlp.1", resample(source, pieces=["a", "b", "a"]))
    assert torch.equal(drawn[0], source["mlp.1"][1, clean])
    assert torch.equal(drawn[2], source["mlp.1"][1, clean])


def test_interchange_moves_what_is_inside_and_leaves_what_is_outside(model, pair, source):
    own = interp.capture(model, pair[0], sites=["resid.1"], steps="all")["resid.1"]
    clean = slice(max(model.delays) + 1, 21)
    subspace = Subspace.random(3, model.d_model, "resid.1")
    new = edited(model, pair[0], "resid.1", inside(subspace, replace(source)))
    torch.testing.assert_close(
        subspace.coordinates(new), subspace.coordinates(source["resid.1"][:, clean]), rtol=1e-4, atol=1e-5
    )
    outside = own[:, clean] - subspace.project(own[:, clean])
    torch.testing.assert_close(new - subspace.project(new), outside, rtol=1e-4, atol=1e-5)


def test_the_control_of_replacing_goes_as_far_and_elsewhere(model, pair, source):
    own = interp.capture(model, pair[0], sites=["resid.1"], steps="all")["resid.1"]
    clean = slice(max(model.delays) + 1, 21)
    new, again = (edited(model, pair[0], "resid.1", astray(source, seed)) for seed in (0, 0))
    wanted = source["resid.1"][:, clean] - own[:, clean]
    moved = new - own[:, clean]
    torch.testing.assert_close(moved.norm(dim=-1), wanted.norm(dim=-1), rtol=1e-3, atol=1e-4)
    assert torch.equal(new, again)
    assert torch.cosine_similarity(moved, wanted, dim=-1).abs().mean() < 0.5
    assert not torch.equal(new, edited(model, pair[0], "resid.1", astray(source, seed=1)))


def test_interchange_of_clips_moves_every_step_by_one_vector(model, pair, source):
    target = interp.capture(model, pair[0], sites=["resid.1"], steps="all")
    subspace, clean = Subspace.random(2, model.d_model, "resid.1"), slice(max(model.delays) + 1, 21)
    change = difference(Activations({"resid.1": source["resid.1"]}, source.seconds, [], "cond", ""), target)
    new = edited(model, pair[0], "resid.1", inside(subspace, shift(change)))
    moved = new - target["resid.1"][:, clean]
    torch.testing.assert_close(
        moved, subspace.project(change["resid.1"])[:, None].expand_as(moved), rtol=1e-3, atol=1e-5
    )


def test_each_row_gets_its_own_source(model, pair):
    """With both rows, null ones get null activations: nothing changes in them, whatever the prompt."""
    both = interp.capture(model, pair[1], sites=["resid"], steps="all", rows="both")
    run = TeacherForced(model, pair[0], rows="both")
    last = [{"site": "resid.2", "rows": rows} for rows in ("null", "both", "cond")]
    table = patch(run, lambda heard: heard.cross_entropy.mean(1), last, replace(both), progress=False)
    null, all_rows, cond = table.patched
    np.testing.assert_allclose(null, table.plain[0], rtol=1e-5)
    np.testing.assert_allclose(all_rows, cond, rtol=1e-4)
