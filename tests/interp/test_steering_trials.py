"""Many vectors in one generation: each clip is as it would be alone; effects are exact on small numbers."""

import numpy as np
import pytest
import torch
from scipy.stats import t

import interp
from interp.errors import InterpError
from interp.steering import EachClip, Push, Vector, random, trials
from interp.steering.concepts import describe_change, dictionaries, feature_set, unnamed, unnamed_features
from interp.steering.effects import beyond, dose_slope, reach, share, within

SHORT = dict(seconds=0.4, progress=False)


@pytest.fixture(scope="module")
def vectors(model):
    first = Vector(np.random.default_rng(0).standard_normal(model.d_model), site="resid.1", model=model.hash)
    return [first, random(first, 1), random(first, 2)]


@pytest.mark.parametrize("operator", ["norm_preserving", "add", "ablate"])
def test_each_clip_gets_its_own_vector(model, vectors, operator):
    strengths = [1.0, -2.0, 3.0]
    with interp.steer(model, EachClip.of(vectors), strength=strengths, operator=operator):
        together = model.generate(["happy"] * 3, streams=[4] * 3, batch_size=2, **SHORT)
    for i, (vector, strength) in enumerate(zip(vectors, strengths, strict=True)):
        with interp.steer(model, vector, strength=strength, operator=operator):
            alone = model.generate(["happy"], streams=[4], **SHORT)
        assert torch.equal(alone.tokens[0], together.tokens[i])


def test_vectors_must_be_as_many_as_clips_and_of_one_place(model, vectors):
    with (
        interp.steer(model, EachClip.of(vectors)),
        pytest.raises(InterpError, match="3 vectors for a run of 2"),
    ):
        model.generate(["happy"] * 2, **SHORT)
    with pytest.raises(InterpError, match="do not share a space"):
        EachClip.of([vectors[0], vectors[1].at("resid.2")])
    with pytest.raises(InterpError, match="zero"):
        with interp.steer(model, EachClip.of([vectors[0], vectors[0] * 0])):
            pass


def test_trials_are_what_each_push_does_alone(model, vectors):
    """At two sites at once, and with prompts of two lengths: no clip depends on what it stands beside."""
    other = vectors[1].at("resid.2")
    pushes = [Push("none"), Push("a", vectors[0], 3.0), Push("a", vectors[0], -3.0), Push("b", other, 3.0)]
    prompts = ["happy", "very slow sad piano ballad"]
    made = trials(model, pushes, prompts, [0, 5], **SHORT)
    assert len(made.table) == len(made.clips) == len(pushes) * 2 * 2
    for i, row in made.table.iterrows():
        vector = {"none": None, "a": vectors[0], "b": other}[row["push"]]
        with interp.steer(model, vector or vectors[0], strength=row["strength"] if vector else 0.0):
            alone = model.generate([row["prompt"]], streams=[row["stream"]], **SHORT)
        assert made.clips.prompts[i] == row["prompt"]
        assert torch.equal(alone.tokens[0], made.clips.tokens[i]), row.to_dict()


def test_kept_batches_are_read_and_not_made_again(model, vectors, tmp_path, monkeypatch):
    """A run that was killed makes only what was not finished; another strength is another batch."""
    pushes = [Push("none"), Push("a", vectors[0], 3.0)]
    options = dict(SHORT, batch_size=2, keep=tmp_path)
    made = trials(model, pushes, ["happy"], [0, 1], **options)
    first, second = sorted(tmp_path.glob("*"), key=lambda file: file.stat().st_mtime_ns)
    second.unlink()
    generated, real = [], type(model).generate

    def counted(self, prompts, **options):
        generated.append(prompts)
        return real(self, prompts, **options)

    monkeypatch.setattr(type(model), "generate", counted)
    again = trials(model, pushes, ["happy"], [0, 1], **options)
    assert generated == [["happy"] * 2], "one batch of the two"
    assert torch.equal(again.clips.tokens, made.clips.tokens)
    assert torch.equal(again.clips.audio, made.clips.audio)
    trials(model, [Push("none"), Push("a", vectors[0], 2.0)], ["happy"], [0, 1], **options)
    assert len(generated) == 2 and len(list(tmp_path.glob("*"))) == 3


def test_shifts_are_paired_by_prompt_and_stream(model, vectors):
    pushes = [
        Push("a", vectors[0], 1.0),
        Push("a", vectors[0], -1.0),
        Push("b", vectors[1], 1.0, streams=[0]),
    ]
    made = trials(model, pushes, ["happy", "sad"], [0, 1], **SHORT)
    table = made.table
    values = table["strength"] * 10 + (table["prompt"] == "sad") * 3 + table["stream"]
    found = made.shift(values.to_numpy(), ("a", 1.0), ("a", -1.0))
    assert len(found) == 4 and (found["shift"] == 20).all(), "what prompt and stream add is not in it"
    with pytest.raises(InterpError, match="has a partner"):
        made.shift(values.to_numpy(), ("a", 1.0), ("b", 1.0))
    with pytest.raises(InterpError, match="No clip was made with c at strength 1"):
        made.shift(values.to_numpy(), ("c", 1.0), ("a", 1.0))


@pytest.mark.parametrize(
    ("push", "said"),
    [
        (dict(strength=float("nan")), "finite"),
        (dict(model="0" * 64), "made with other weights"),
        (dict(site="resid.9"), "resid.9"),
        (dict(width=7), "width 7"),
    ],
)
def test_trials_refuse_what_does_not_fit(model, push, said):
    values = np.ones(push.get("width", model.d_model))
    vector = Vector(values, site=push.get("site", "resid.1"), model=push.get("model", model.hash))
    with pytest.raises(InterpError, match=said):
        trials(model, [Push("a", vector, push.get("strength", 1.0))], ["happy"], [0], **SHORT)


def test_trials_refuse_a_schedule_beyond_the_clip(model, vectors):
    with interp.steer(model, vectors[0], schedule={0: 1.0, 3.0: 0.0}):
        with pytest.raises(InterpError, match="speaks of second 3, and the clips have 0.4 s"):
            trials(model, [Push("none")], ["happy"], [0], **SHORT)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(prompts="happy"), r"prompts must be a list, not str: write \['happy'\]"),
        (dict(prompts=[]), "prompts is an empty list"),
        (dict(streams=[]), "streams is an empty list"),
        (dict(streams=2), r"streams must be a list, not int: write \[2\]"),
        (dict(batch_size=0), "batch_size must be a whole number, 1 or more"),
        (dict(pushes=[Vector(np.ones(4))]), "not Vector"),
        (dict(keep=__file__), "Cannot make the folder"),
    ],
)
def test_trials_refuse_what_is_no_list_of_pushes_prompts_and_streams(model, asked, said):
    asked = dict(pushes=[Push("none")], prompts=["happy"], streams=[0]) | asked
    with pytest.raises(InterpError, match=said):
        trials(model, **asked, **SHORT)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (dict(strength=None), "The strength of the push 'a' must be a finite number, not None"),
        (dict(vector=np.ones(4)), "needs a Vector, not ndarray"),
        (dict(prompts="happy"), "prompts must be a list"),
        (dict(streams=[]), "streams is an empty list"),
    ],
)
def test_a_push_says_what_it_cannot_be(fields, said):
    with pytest.raises(InterpError, match=said):
        Push("a", **fields)


def test_a_kept_batch_that_is_damaged_says_what_to_do(model, tmp_path):
    trials(model, [Push("none")], ["happy"], [0], keep=tmp_path, **SHORT)
    (file,) = tmp_path.glob("*")
    file.write_bytes(b"half")
    with pytest.raises(InterpError, match=f"{file.name}: .*; delete it and generate it again"):
        trials(model, [Push("none")], ["happy"], [0], keep=tmp_path, **SHORT)


# --- effects ---


def test_beyond_is_the_mean_less_the_percentile():
    shifts, prompts = np.array([3.0, 5.0, 4.0, 4.0]), ["a", "a", "b", "b"]
    random = np.repeat([-2.0, 2.0] * 10, 2).reshape(20, 2)
    found = beyond(shifts, prompts, random)
    assert found.estimate == pytest.approx(4 - 2), "of the size, whichever the sign"
    assert (found.clips, found.clusters) == (4, 2)
    assert found.interval == pytest.approx((2, 2)), "prompts agree, and the percentile is certain"
    uncertain = beyond(shifts, prompts, np.repeat(np.linspace(-2, 2, 50), 2).reshape(50, 2))
    assert uncertain.interval[1] - uncertain.interval[0] > 0.05
    with pytest.raises(InterpError, match="ten or more"):
        beyond(shifts, prompts, np.ones((9, 2)))


def test_reach_takes_out_what_the_clips_of_one_vector_differ_by():
    # Means of -2 and 2, each from two clips 2 apart: the means' variance is 4 x 20/19, of which the clips'
    # own is 2 / 2 = 1; what is left of 2 is 2 sqrt(1 - 19/80).
    apart = np.array([[m - 1, m + 1] for m in [-2.0, 2.0] * 10])
    assert reach(apart) == pytest.approx(2 * np.sqrt(1 - 19 / 80))
    # Vectors whose means differ by less than their clips make them differ: nothing reaches anywhere.
    assert reach(np.array([[m - 9, m + 9] for m in [-2.0, 2.0] * 10])) == pytest.approx(0)
    # Whatever the number of clips, about 1.96 standard deviations of the vectors.
    rng = np.random.default_rng(0)
    for clips in (2, 8):
        draws = [rng.standard_normal((200, 1)) + rng.standard_normal((200, clips)) for _ in range(50)]
        assert np.mean([reach(x) for x in draws]) == pytest.approx(1.96, abs=0.08)


def test_a_random_vector_is_seldom_beyond_the_others():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        shifts = rng.standard_normal(8) * 0.5 + rng.standard_normal()
        random = rng.standard_normal((50, 1)) + rng.standard_normal((50, 4)) * 0.5
        hits += beyond(shifts, range(8), random, draws=100).p < 0.05
    assert hits / 300 < 0.05


def test_shares_and_equivalence():
    outside, prompts = np.array([1, 0, 0, 0] * 5), np.repeat(range(5), 4)
    found = share(outside, prompts, 0.05)
    assert found.estimate == pytest.approx(0.2) and found.error == pytest.approx(0, abs=1e-12)
    assert within(found, (-0.1, 0.1), 20, 5).p == pytest.approx(1)
    assert within(share(outside * 0, prompts, 0.05), (-0.1, 0.1), 20, 5).p == pytest.approx(0)


def test_a_slope_is_within_prompts():
    doses, prompts = np.tile([-1.0, 0.0, 1.0], 3), np.repeat(["a", "b", "c"], 3)
    level = {"a": 0, "b": 100, "c": -50}
    found = dose_slope(2.5 * doses + [level[p] for p in prompts], doses, prompts)
    assert found.estimate == pytest.approx(2.5) and found.high - found.low == pytest.approx(0, abs=1e-9)
    noisy = dose_slope(np.array([0, 0, 1, 0, 0, 2, 0, 0, 3.0]), doses, prompts)
    assert noisy.estimate == pytest.approx(1.0)  # (0.5 + 1 + 1.5) / 3
    assert noisy.high == pytest.approx(1 + t.ppf(0.975, 2) * 0.5 / np.sqrt(3))


# --- concepts ---


def test_unnamed_directions_hold_nothing_that_is_labelled(model):
    rng = np.random.default_rng(0)
    label, hidden = rng.standard_normal((2, 200))
    named, strange = np.eye(model.d_model)[:2]
    x = (
        9 * np.outer(label, named)
        + 5 * np.outer(hidden, strange)
        + 0.1 * rng.standard_normal((200, model.d_model))
    )
    found = unnamed(x, label[:, None], 2, "resid.1", model)
    (first, stability), (_, of_noise) = found
    assert abs(first.unit @ strange) > 0.99 and abs(first.unit @ named) < 0.05
    assert stability > 0.99 > of_noise
    with pytest.raises(InterpError, match="cannot be halved"):
        unnamed(x[:6], label[:6, None], 3, "resid.1", model)


def test_features_without_a_name_are_stable_and_not_what_is_labelled(model):
    """Two planted features, each on in some clips: what the label says, and what is left to find."""
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    on = rng.random((60, 2)) < 0.5  # [clip, feature]
    axes = torch.eye(model.d_model)[:2]
    x = 0.05 * torch.randn(60, 30, model.d_model, generator=torch_rng)
    fires = torch.rand(60, 30, 2, generator=torch_rng) < 0.3
    x += 4 * (fires * torch.from_numpy(on)[:, None]).float() @ axes
    pair = dictionaries(x, d_sae=4, k=1, steps=200, batch_size=256)
    ((strange, stability),) = unnamed_features(pair, x, on[:, :1], 1, "resid.1", model)
    assert abs(strange.unit[1]) > 0.9 > 0.2 > abs(strange.unit[0])
    assert stability > 0.9
    with pytest.raises(InterpError, match="of 4 features fire .* 5 are wanted"):
        unnamed_features(pair, x, on[:, :1], 5, "resid.1", model)

    # What goes with the label makes the set, and what goes against it is taken with the other sign.
    named = feature_set(pair[0], x, on[:, 0], 1, "resid.1", model)
    assert named.unit[0] > 0.9
    assert feature_set(pair[0], x, ~on[:, 0], 1, "resid.1", model).cosine(named) == pytest.approx(-1)
    with pytest.raises(InterpError, match="features vary with the clips"):
        feature_set(pair[0], x, np.ones(60), 1, "resid.1", model)


def test_changes_in_words():
    assert describe_change({"level": -2.0, "pitch": 0.7, "mode": 0.1}) == "softer (-2.0), higher (+0.7)"
    assert describe_change({"level": 0.1}) == "nothing that is measured here"
