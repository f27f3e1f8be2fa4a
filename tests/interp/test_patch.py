"""Interventions in finished and in newly drawn clips: what they do, what they leave alone, and bad input."""

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from interp.causal.patch import grid, patch, recovered, values
from interp.causal.runs import Generated, TeacherForced, prompt_pair, reading
from interp.causal.setters import difference, inside, replace, resample, shift, zero
from interp.causal.subspace import Subspace
from interp.hooks import hook

PROMPTS = ["happy pop music", "calm sad ballad", "a very slow sad piano ballad"]
OTHERS = ["sad pop music", "energetic happy pop", "a very upbeat happy piano ballad"]
ALL = ["resid", "attn", "cross", "mlp", "head", "cross_head"]


@pytest.fixture(scope="module")
def pair(model):
    """The same tokens under two prompts each."""
    clips = model.generate(PROMPTS, seconds=0.4, batch_size=2, progress=False)
    return prompt_pair(model, clips, OTHERS)


@pytest.fixture(scope="module")
def source(model, pair):
    return interp.capture(model, pair[1], sites=ALL, steps="all")


def identity(x, place):
    return x


def loss(heard):
    return heard.cross_entropy.mean(1)


def stacked(table, column="patched"):
    return np.stack(table[column])


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.lm.modules())


def heard_whole(run, edits=None, rows="cond"):
    """Logits of all clips in their order."""
    with torch.no_grad():
        parts = {i: x for clips, h in run(edits or {}, rows) for i, x in zip(clips, h.logits, strict=True)}
    return torch.stack([parts[i] for i in range(run.clips)])


# --- the table ---


def test_the_grid_is_every_combination_of_sites_seconds_and_rows(model):
    table = grid(model, ["resid", "head"], [1], steps=[(0, 0.2), (0.2, None)], rows=["cond", "null"])
    assert len(table) == (1 + model.n_heads) * 2 * 2
    assert list(table) == ["site", "kind", "layer", "head", "start", "stop", "rows"]
    assert table.site.unique().tolist() == ["resid.1", *(f"head.1.{h}" for h in range(model.n_heads))]
    assert table["head"].isna().sum() == 4 and table.layer.unique().tolist() == [1]
    assert grid(model, ["resid"]).layer.tolist() == [-1, 0, 1, 2]


def test_a_table_of_ones_own_is_completed_and_its_columns_are_kept(model, pair):
    sites = [{"site": "mlp.1", "note": "x"}, {"site": "attn.0", "note": "y"}]
    table = patch(TeacherForced(model, pair[0]), loss, sites, identity, progress=False)
    assert table.note.tolist() == ["x", "y"] and table.rows.tolist() == ["cond", "cond"]
    assert stacked(table).shape == stacked(table, "plain").shape == (2, 3)


def test_no_sites_no_change(model, pair):
    run = TeacherForced(model, pair[0])
    table = patch(run, loss, grid(model)[:0], zero, progress=False)
    assert len(table) == 0 and {"plain", "patched"} <= set(table)


# --- teacher-forced passes ---


def test_an_unpatched_pass_is_the_one_that_capture_makes(model, pair):
    acts = interp.capture(model, pair[0], sites=["resid"])
    weights = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0)).numpy()
    readout = type("Readout", (), {"site": "resid.2", "weights": weights, "offset": 0.5})
    run = TeacherForced(model, pair[0], read=["resid.2"])
    plain = stacked(patch(run, reading(readout), [{"site": "mlp.0"}], identity, progress=False), "plain")
    np.testing.assert_allclose(plain[0], acts.pooled("resid.2").numpy() @ weights + 0.5, rtol=1e-5)


def test_cross_entropy_is_that_of_the_tokens_that_came(model, pair):
    ((_, heard),) = TeacherForced(model, pair[0][1])({})
    tokens, q = pair[0].tokens[1], 2
    first = max(model.delays) + 1
    steps = range(first, min(tokens.shape[-1], tokens.shape[-1] + model.delays[q] - 1) + 1)
    expected = [
        -heard.logits[0, q, s - first].log_softmax(-1)[tokens[q, s - model.delays[q]]].item() for s in steps
    ]
    assert heard.cross_entropy[0, q].item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_clip_s_own_activations_change_nothing(model, pair):
    run = TeacherForced(model, pair[0])
    own = interp.capture(model, pair[0], sites=ALL, steps="all")
    table = patch(run, loss, grid(model, ALL), replace(own), progress=False)
    np.testing.assert_allclose(stacked(table), stacked(table, "plain"), rtol=1e-5)
    exact = patch(run, loss, grid(model, ALL), identity, progress=False)
    assert (stacked(exact) == stacked(exact, "plain")).all()


def test_the_whole_stream_after_the_last_block_restores_the_source(model, pair, source):
    base, other = (heard_whole(TeacherForced(model, clips)) for clips in pair)
    restored = []

    def note(heard):
        restored.append((heard.clips, heard.logits))
        return torch.zeros(len(heard.clips))

    last = [{"site": f"resid.{model.n_layers - 1}"}]
    patch(TeacherForced(model, pair[0]), note, last, replace(source), progress=False)
    for clips, logits in restored[len(restored) // 2 :]:  # the plain run comes first
        torch.testing.assert_close(logits, other[clips], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(logits, base[clips], atol=1e-3)


def test_noising_undoes_what_denoising_does(model, pair, source):
    """Source and target change places: all of the stream into one pass gives the other, both ways."""
    back = interp.capture(model, pair[0], sites=["resid"], steps="all")
    last = [{"site": "resid.2"}]
    there = patch(TeacherForced(model, pair[0]), loss, last, replace(source), progress=False)
    again = patch(TeacherForced(model, pair[1]), loss, last, replace(back), progress=False)
    np.testing.assert_allclose(stacked(there), stacked(again, "plain"), rtol=1e-5)
    np.testing.assert_allclose(stacked(again), stacked(there, "plain"), rtol=1e-5)
    assert np.abs(stacked(there) - stacked(there, "plain")).min() > 1e-5


def test_the_share_recovered_is_0_for_no_change_and_1_where_the_source_comes_out(model, pair, source):
    """After the last block the source's stream is the source run, both ways."""
    last = [{"site": "resid.2"}]
    runs = [TeacherForced(model, clips) for clips in pair]
    plain = [values(run, loss) for run in runs]
    own = interp.capture(model, pair[0], sites=["resid.2"], steps="all")
    denoised = recovered(patch(runs[0], loss, last, replace(source), progress=False), plain[1], range(3))
    noised = recovered(patch(runs[1], loss, last, replace(own), progress=False), plain[0], range(3))
    nothing = recovered(patch(runs[0], loss, last, identity, progress=False), plain[1], range(3))
    np.testing.assert_allclose([denoised.share[0], denoised.low[0], noised.share[0]], 1, atol=1e-3)
    assert nothing.share[0] == nothing.high[0] == 0


def test_a_share_is_a_ratio_of_sums_over_clusters():
    """Ways of 1, 1 and 2, of which 1, 0 and 1 are gone: half, whatever each clip's own ratio is."""
    row = {"site": "x", "plain": np.zeros(3), "patched": np.array([1.0, 0.0, 1.0])}
    table = recovered(pd.DataFrame([row]), np.array([1.0, 1.0, 2.0]), ["a", "b", "c"])
    assert table.share[0] == 0.5 and table.low[0] < 0.5 < table.high[0]
    with pytest.raises(interp.InterpError, match="3 clips, 2 values of the source run and 3 clusters"):
        recovered(pd.DataFrame([row]), np.ones(2), "abc")
    with pytest.raises(interp.InterpError, match="the same in both runs"):
        recovered(pd.DataFrame([row]), np.zeros(3), "abc")


def test_the_prompt_acts_through_cross_attention_alone(model, pair, source):
    """Before it, at block 0, both prompts have the same activations, so patching them is no change."""
    sites = [{"site": "resid.pre"}, {"site": "attn.0"}, {"site": "cross.0"}]
    table = patch(TeacherForced(model, pair[0]), loss, sites, replace(source), progress=False)
    change = np.abs(stacked(table) - stacked(table, "plain")).max(1)
    assert change[0] < 1e-6 and change[1] < 1e-6 and change[2] > 1e-5


def test_later_seconds_leave_earlier_steps_alone(model, pair):
    steps = {}

    def note(heard):
        steps.setdefault(tuple(heard.clips), []).append(heard.logits)
        return torch.zeros(len(heard.clips))

    run = TeacherForced(model, pair[0])
    patch(run, note, [{"site": "mlp.0", "start": 0.2, "stop": 0.3}], zero, progress=False)
    for plain, patched in steps.values():
        earlier = run.seconds < 0.2
        assert torch.equal(plain[:, :, earlier], patched[:, :, earlier])
        assert not torch.allclose(plain[:, :, ~earlier][:, :, 0], patched[:, :, ~earlier][:, :, 0], atol=1e-4)
        # Blocks above read the patched steps, so what follows them differs too.
        assert not torch.equal(plain[:, :, run.seconds >= 0.3], patched[:, :, run.seconds >= 0.3])


def test_a_setter_sees_the_steps_and_clips_of_its_place(model, pair):
    places = []

    def look(x, place):
        places.append((place, tuple(x.shape)))
        return x

    sites = [{"site": "head.1.2", "start": 0.1, "stop": 0.3, "rows": "null"}]
    patch(TeacherForced(model, pair[0], rows="both", batch_size=1), loss, sites, look, progress=False)
    assert sorted(p.clips for p, _ in places) == [[0], [1], [2]]
    for place, shape in places:
        assert (place.site, place.group, place.first, place.stop) == ("head.1.2", "null", 5, 15)
        assert (place.run_clips, place.run_steps) == (3, 20 + max(model.delays))
        assert shape == (1, 10, model.d_model // model.n_heads)


def test_rows_are_guided_as_in_generation(model, pair):
    """Guided logits are null + g (cond - null): a change of the one row comes through by g, or by 1 - g."""
    g = pair[0].cfg_coef
    cond, null, both = (heard_whole(TeacherForced(model, pair[0], rows=r)) for r in ("cond", "null", "both"))
    torch.testing.assert_close(both, null + g * (cond - null), rtol=1e-4, atol=1e-5)
    run = TeacherForced(model, pair[0], rows="both")
    silent = {"mlp.1": lambda x, layout, group: torch.zeros_like(x)}
    by_rows = {rows: heard_whole(run, silent, rows) - both for rows in ("cond", "null", "both")}
    torch.testing.assert_close(by_rows["cond"] + by_rows["null"], by_rows["both"], rtol=1e-3, atol=1e-4)
    alone = heard_whole(TeacherForced(model, pair[0]), silent) - cond
    torch.testing.assert_close(by_rows["cond"], g * alone, rtol=1e-3, atol=1e-4)


def test_batches_do_not_matter(model, pair, source):
    tables = [
        patch(TeacherForced(model, pair[0], batch_size=n), loss, grid(model), replace(source), progress=False)
        for n in (1, 3)
    ]
    np.testing.assert_allclose(stacked(tables[0]), stacked(tables[1]), rtol=1e-5)


# --- generation ---


@pytest.mark.parametrize("rows", ["cond", "null", "both"])
def test_generation_with_an_identity_gives_the_same_tokens(model, rows):
    plain = model.generate(PROMPTS, seconds=0.4, progress=False)
    seen = []

    def note(generation):
        seen.append(generation.tokens)
        return generation.audio.square().mean((1, 2))

    table = patch(
        Generated(model, PROMPTS, 0.4), note, grid(model, ALL, [1], rows=[rows]), identity, progress=False
    )
    assert all(torch.equal(tokens, plain.tokens) for tokens in seen)
    assert (stacked(table) == stacked(table, "plain")).all()


def test_both_decoders_give_the_same_clips_under_a_setter(model):
    tokens = {}
    for decoder in ("cached", "audiocraft"):

        def note(generation, decoder=decoder):
            tokens.setdefault(decoder, []).append(generation.tokens)
            return [0.0] * len(generation)

        run = Generated(model, PROMPTS, 0.4, decoder=decoder)
        sites = grid(model, ["resid", "mlp", "head"], [1], steps=[(0.1, 0.3)], rows=["both"])
        patch(run, note, sites, lambda x, place: -3 * x, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(*tokens.values(), strict=True))
    assert any(not torch.equal(tokens["cached"][0], t) for t in tokens["cached"][1:])


def test_generation_is_the_same_until_the_first_patched_second(model):
    seen = []

    def note(generation):
        seen.append(generation.tokens)
        return [0.0] * len(generation)

    sites = [{"site": "mlp.0", "start": 0.2, "rows": "both"}]
    patch(Generated(model, PROMPTS, 0.4), note, sites, lambda x, place: -30 * x, progress=False)
    plain, patched = seen
    assert torch.equal(plain[:, 0, :10], patched[:, 0, :10])  # a step decides its own frame in codebook 0
    assert not torch.equal(plain[:, 0, 10:], patched[:, 0, 10:])


def test_the_same_setter_works_in_both_kinds_of_run(model, pair, source):
    """Clips drawn greedily under a patch, heard once more under it, are the most likely ones again."""
    setter = shift(difference(source, interp.capture(model, pair[0], sites=ALL, steps="all")))
    drawn = []

    def note(generation):
        drawn.append(generation)
        return [0.0] * len(generation)

    run = Generated(model, PROMPTS, 0.4, temperature=0, cfg_coef=1.0, batch_size=1)
    sites = [{"site": "resid.0", "start": 0.1, "stop": 0.3}]
    patch(run, note, sites, setter, progress=False)
    agreement = []

    def greedy(heard):
        known = heard.tokens != -100
        agreement.append((heard.logits.argmax(-1) == heard.tokens)[known])
        return torch.zeros(len(heard.clips))

    patch(TeacherForced(model, drawn[1]), greedy, sites, setter, progress=False)
    patched = agreement[len(agreement) // 2 :]
    assert torch.cat(patched).float().mean() > 0.99


# --- bad input ---


def refusal(model, pair, setter=identity, metric=loss, sites=({"site": "mlp.1"},), **options):
    before = hooks_of(model)
    with pytest.raises(interp.InterpError) as error:
        patch(TeacherForced(model, pair[0], **options), metric, list(sites), setter, progress=False)
    assert hooks_of(model) == before and model.current_pass is None
    return str(error.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"site": "mlp.9"}, "No layer '9'"),
        ({"site": "nose.1"}, "Unknown site 'nose.1'"),
        ({"site": "mlp.1", "rows": "some"}, "Unknown rows 'some'"),
        ({"site": "mlp.1", "rows": "null"}, "The run has cond rows alone"),
        ({"site": "mlp.1", "rows": "both"}, "The run has cond rows alone"),
        ({"site": "mlp.1", "start": 3.0}, "No steps from 3 s to the end"),
        ({"site": "mlp.1", "start": -0.1}, "No steps from -0.1"),
        ({"site": "mlp.1", "start": 0.2, "stop": 0.2}, "No steps from 0.2 s to 0.2 s"),
        ({"site": "mlp.1", "stop": 9.0}, "the clips have 23 steps"),
        ({"site": "mlp.1", "stop": np.inf}, "No steps from 0 s to inf s"),
        ({"where": "mlp.1"}, "no column 'site'"),
    ],
)
def test_what_the_run_does_not_have_is_refused_before_it_runs(model, pair, row, message):
    ran = []
    assert message in refusal(model, pair, metric=ran.append, sites=[row])
    assert not ran


def test_setters_that_do_not_fit_are_refused(model, pair, source):
    assert "must keep the shape" in refusal(model, pair, lambda x, place: x[:, :1])
    assert "gave NoneType" in refusal(model, pair, lambda x, place: None)
    assert "not finite" in refusal(model, pair, lambda x, place: x * np.nan)
    fewer = interp.capture(model, pair[1][[0, 1]], sites=["mlp"], steps="all")
    assert "Unpaired inputs: the source at mlp.1 is [2, 23, 32] and the run [3, 23, 32]" in refusal(
        model, pair, replace(fewer)
    )
    clean = interp.capture(model, pair[1], sites=["mlp"])
    assert 'steps="all"' in refusal(model, pair, replace(clean))
    assert "one vector for each clip" in refusal(model, pair, shift({"mlp.1": np.zeros((2, 32))}))
    assert "Unknown site of the change" in refusal(model, pair, shift({"mlp.0": np.zeros((3, 32))}))
    both = interp.capture(model, pair[1], sites=["mlp"], steps="all", rows="null")
    assert 'capture it with rows="both" or rows="cond"' in refusal(model, pair, replace(both))
    elsewhere = inside(Subspace.random(1, 32, "mlp.0"), zero)
    assert "Unknown site of a subspace 'mlp.1'" in refusal(model, pair, elsewhere)
    with pytest.raises(interp.InterpError, match="All clips are of one piece"):
        resample(source, pieces=["a"] * 3)
    with pytest.raises(interp.InterpError, match="2 pieces for 3 clips"):
        resample(source, pieces=["a", "b"])
    with pytest.raises(interp.InterpError, match="Unpaired inputs"):
        difference(fewer, source)
    with pytest.raises(interp.InterpError, match="2 prompts for 3 clips"):
        prompt_pair(model, pair[0], ["calm", "sad"])


def test_metrics_that_do_not_fit_are_refused(model, pair):
    assert "one number for each" in refusal(model, pair, metric=lambda heard: heard.cross_entropy)
    assert "one number for each" in refusal(model, pair, metric=lambda heard: 1.0)
    assert "site among those read 'mlp.0'" in refusal(model, pair, metric=lambda h: h.pooled("mlp.0"))


def test_an_exception_leaves_no_hook_behind(model, pair):
    def fail(*given):
        raise ZeroDivisionError

    before = hooks_of(model)
    for run in (TeacherForced(model, pair[0], read=["resid.1"]), Generated(model, PROMPTS, 0.2)):
        for metric, setter in ((fail, identity), (lambda outcome: fail(), zero), (loss, fail)):
            error = AttributeError if metric is loss and isinstance(run, Generated) else ZeroDivisionError
            with pytest.raises(error) as kept:  # kept: its traceback holds on to every frame
                patch(run, metric, [{"site": "mlp.1"}], setter, progress=False)
            assert hooks_of(model) == before and model.current_pass is None, kept
    with hook(model, {}):  # and the model still runs
        assert len(model.generate(["calm"], seconds=0.2, progress=False)) == 1


def test_a_table_is_not_changed_in_place(model, pair):
    sites = pd.DataFrame([{"site": "mlp.1"}])
    patch(TeacherForced(model, pair[0]), loss, sites, zero, progress=False)
    assert list(sites) == ["site"]
