"""A plan is held against what then happens, at several sizes."""

import pytest
import real_layout
import torch

import interp
from interp import planning
from interp.backends.convert import to_transformers
from interp.memory import peak_bytes
from interp.sampling import sample_tokens
from interp.sites import expand_sites

RANGE = (0.8, 1.3)  # predicted over measured


def test_the_count_of_peak_bytes():
    """Held at one time, not handed out in all; and what an operation holds by itself."""
    cpu = torch.device("cpu")

    def twice():
        for _ in range(3):
            torch.zeros(1000, 1000) + torch.zeros(1000, 1000)

    assert peak_bytes(twice, cpu) == pytest.approx(3 * 4e6, rel=1e-3)  # two terms and their sum
    assert peak_bytes(lambda: None, cpu) == 0


def ratios(model, clips, seconds, **how):
    """Predicted over measured: drawing, decoding and capturing."""
    plan = interp.plan(model, seconds, batch=clips, clips=clips, **how)
    made = model.generate([planning.PROMPT] * clips, seconds=seconds, progress=False)
    drawn = peak_bytes(lambda: sample_tokens(model, made), model.device)
    capture = peak_bytes(lambda: interp.capture(model, made, **how), model.device)
    whole = peak_bytes(
        lambda: model.generate([planning.PROMPT] * clips, seconds=seconds, progress=False), model.device
    )
    stepping = planning._stepping(model, clips, made.tokens.shape[-1])
    return (
        {
            "steps": stepping / drawn,
            "generation": plan.generation / whole,
            "capture": plan.capture / capture,
        },
        plan,
        made,
    )


@pytest.mark.parametrize(
    ("architecture", "clips", "seconds", "how"),
    [
        ({}, 4, 0.6, {}),
        pytest.param(
            {"num_layers": 8, "dim": 64},
            3,
            1.2,
            {"rows": "both", "sites": ["resid", "head"]},
            marks=pytest.mark.slow,
        ),
        pytest.param({"card": 512, "dim": 64}, 8, 1.0, {"layers": [1]}, marks=pytest.mark.slow),
    ],
    ids=["small", "deep", "wide"],
)
def test_predicted_memory_is_what_is_measured(make_musicgen, architecture, clips, seconds, how):
    model = interp.Model(make_musicgen(**architecture), "planned")
    found, _, _ = ratios(model, clips, seconds, **how)
    assert all(RANGE[0] <= ratio <= RANGE[1] for ratio in found.values()), found


def test_predicted_memory_of_the_other_backend(make_musicgen, tmp_path):
    first = interp.Model(make_musicgen(), "tiny")
    model = interp.load(to_transformers(first, tmp_path, real_layout.encodec()))
    found, _, _ = ratios(model, 4, 0.6)
    assert all(RANGE[0] <= ratio <= RANGE[1] for ratio in found.values()), found


def test_activations_and_disk_are_counted(model, tmp_path):
    plan = interp.plan(model, 1, sites=["resid"], clips=6, rows="both")
    made = model.generate([planning.PROMPT] * 6, seconds=1, progress=False)
    acts = interp.capture(model, made, rows="both")
    assert plan.activations == sum(x.numel() * x.element_size() for x in acts.values())
    assert plan.offload == "memory" and plan.disk == plan.activations / 2
    store = interp.capture(model, made, rows="both", to=tmp_path / "store", progress=False)
    on_disk = sum(path.stat().st_size for path in store.path.rglob("c/*") if path.is_file())
    written = on_disk or sum(path.stat().st_size for path in store.path.rglob("*") if path.is_file())
    assert 0.8 <= plan.disk / written <= 1.3, written


def test_the_batch_is_what_fits(model):
    free = interp.plan(model, 1, clips=20)
    assert free.fits and free.batch == 20
    need = {n: interp.plan(model, 1, batch=n, clips=20).peak for n in (4, 8, 16)}
    assert need[4] < need[8] < need[16]
    narrow = interp.plan(model, 1, clips=20, budget=int(1.1 * need[8]))
    assert narrow.batch == 8 and narrow.fits and narrow.peak <= 1.1 * need[8]
    nothing = interp.plan(model, 1, clips=20, budget=1000)
    assert nothing.batch == 1 and not nothing.fits and "does not fit" in str(nothing)


def test_time_is_counted_from_what_was_clocked(model, monkeypatch):
    """0.5 s to begin a batch, 0.01 s a step, 1 ms a captured frame of a clip, 0.1 s a decoded second."""
    monkeypatch.setattr(planning, "_clock", lambda *args: planning.Clocked(0.5, 0.01, 0.001, 0.1))
    plan = interp.plan(model, 2, batch=3, clips=7)  # three batches of 100 frames
    assert plan.generation_seconds == pytest.approx(3 * (0.5 + 100 * 0.01) + 7 * 2 * 0.1)
    assert plan.capture_seconds == pytest.approx(7 * 100 * 0.001)
    longer = interp.plan(model, 4, batch=3, clips=7)
    assert longer.caches > 1.8 * plan.caches and longer.weights == plan.weights
    assert "MiB" in str(plan) and "3 clips at a time" in str(plan)


@torch.no_grad()
def test_what_is_clocked_is_time(model):
    clock = planning._clock(model, 1.0, 2, expand_sites(model, ["resid"], None), "cond")
    assert 0 < clock.frame < clock.step < 1 and 0 < clock.decoded < 10 and 0 < clock.begin < 10


def test_bad_plans(model):
    for how, said in [
        ({"seconds": 0}, "seconds"),
        ({"seconds": 0.01}, "too short"),
        ({"clips": 0}, "clips"),
        ({"batch": -1}, "batch"),
        ({"rows": "first"}, "valid: cond, null, both"),
        ({"dtype": "int8"}, "valid: float16, float32"),
        ({"layers": [9]}, "No layer 9"),
    ]:
        with pytest.raises(interp.InterpError, match=said):
            interp.plan(model, **how)


def test_the_doctor_counts_caches_alike(model):
    """Both count keys and values of two rows; the plan adds those of the text."""
    from interp.doctor import needs

    text = 2 * 2 * model.n_layers * model.d_model * planning.text_length(model, [planning.PROMPT]) * 4
    for seconds in (1, 8):
        counted = needs(model.n_layers, model.d_model, seconds, bytes_each=4)["per_clip"]
        assert planning._caches(model, 1, 50 * seconds) == counted + text


@pytest.mark.slow
@pytest.mark.parametrize(("clips", "seconds"), [(1, 2), (4, 4), (8, 8)])
def test_etude_as_planned(clips, seconds):
    found, plan, _ = ratios(interp.load("etude"), clips, seconds, rows="both")
    print(found, plan)
    assert all(RANGE[0] <= ratio <= RANGE[1] for ratio in found.values()), found
