"""Both ways of capturing give the same, and say so when they cannot."""

import numpy as np
import pytest
import soundfile
import torch

import interp
from interp.causal.runs import TeacherForced

PROMPTS = ["upbeat cheerful pop music", "sad", None]
NOISE = torch.randn(3, 1, 1000, generator=torch.Generator().manual_seed(0)) * 0.1
EVERY_SITE = ("resid", "attn", "cross", "mlp", "head", "cross_head")

SETTINGS = {
    "guidance": {},
    "no guidance": {"cfg_coef": 1.0},
    "two steps": {"two_step_cfg": True},
    "batches": {"batch_size": 2},
    "continuation": {"audio_prompt": NOISE},
    "continuation, two steps, batches": {"audio_prompt": NOISE, "two_step_cfg": True, "batch_size": 2},
}


@pytest.mark.parametrize("rows", ["cond", "null", "both"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_streaming_equals_teacher_forced(model, setting, rows):
    generation = model.generate(PROMPTS, seconds=0.6, seed=1, progress=False, **SETTINGS[setting])
    once = interp.capture(model, generation, sites=EVERY_SITE, rows=rows, steps="all")
    live = interp.capture(model, generation, sites=EVERY_SITE, rows=rows, steps="all", streaming=True)
    assert list(once) == list(live)
    assert len(once) == 1 + model.n_layers * (4 + 2 * model.n_heads)
    for site in once:
        scale = live[site].norm()
        # What cross-attention adds to a null row is exactly nothing: its keys and values are zeros.
        assert (once[site] - live[site]).norm() <= 1e-4 * scale, site
        assert scale > 0 or "cross" in site


def test_shape_and_clean_steps(model):
    generation = model.generate(PROMPTS, seconds=0.6, progress=False)
    acts = interp.capture(model, generation, [0, 2])
    assert list(acts) == ["resid.0", "resid.2"]
    frames = generation.tokens.shape[-1]
    assert acts["resid.2"].shape == (3, frames - 3, model.d_model)
    assert torch.equal(acts.seconds, torch.arange(4, frames + 1, dtype=torch.float64) / 50)
    # Clean steps hold no special token in any codebook, and all others hold one.
    sequence = interp.activations.interleave(model, generation.tokens)
    special = (sequence == model.special_token).any(dim=1).any(dim=0)
    assert special.nonzero().flatten().tolist() == [0, 1, 2, 3, frames + 1, frames + 2]
    everything = interp.capture(model, generation, [2], steps="all")["resid.2"]
    assert torch.equal(everything[:, 4 : frames + 1], acts["resid.2"])


def test_rows_are_told_apart(model):
    generation = model.generate(PROMPTS, seconds=0.3, progress=False)
    both = interp.capture(model, generation, [1], rows="both")["resid.1"]
    cond = interp.capture(model, generation, [1])["resid.1"]
    null = interp.capture(model, generation, [1], rows="null")["resid.1"]
    torch.testing.assert_close(both[0], cond)
    torch.testing.assert_close(both[1], null)
    assert not torch.allclose(cond[0], null[0], rtol=1e-3)
    torch.testing.assert_close(cond[2], null[2])  # its prompt is None


def test_an_activation_depends_on_padding_and_captures_keep_it(model):
    """The same tokens and prompt, padded or not: other activations. A selection keeps those of its batch."""
    together = model.generate(["upbeat cheerful pop music", "sad"], seconds=0.3, progress=False)
    whole = interp.capture(model, together, [2])["resid.2"]
    torch.testing.assert_close(interp.capture(model, together[1], [2])["resid.2"][0], whole[1])
    torch.testing.assert_close(interp.capture(model, together, [2], batch_size=1)["resid.2"], whole)
    from dataclasses import replace

    alone = replace(together[1], text_steps=[2])
    assert (interp.capture(model, alone, [2])["resid.2"][0] - whole[1]).norm() > 1e-3 * whole[1].norm()


def test_mixed_text_lengths_come_back_in_order(model):
    prompts = ["sad", "upbeat cheerful pop music", "calm"]
    generation = model.generate(prompts, seconds=0.3, batch_size=1, progress=False)
    assert len(set(generation.text_steps)) == 2
    together = interp.capture(model, generation, [2], batch_size=8)["resid.2"]
    for i in range(3):
        torch.testing.assert_close(together[i], interp.capture(model, generation[i], [2])["resid.2"][0])


def test_audio_files(model, tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{i}.wav" for i in range(2)]
    for file, seconds in zip(files, (1.0, 1.5), strict=True):
        soundfile.write(file, rng.normal(0, 0.1, int(3200 * seconds)), 3200)
    with pytest.raises(interp.InterpError, match=r"seconds=1\.00"):
        interp.capture(model, files)
    acts = interp.capture(model, files, [1], seconds=1.0)
    assert acts["resid.1"].shape == (2, 47, model.d_model)
    assert acts.prompts == [None, None]
    null = interp.capture(model, files, [1], seconds=1.0, rows="null")
    torch.testing.assert_close(acts["resid.1"], null["resid.1"])
    with pytest.raises(interp.InterpError, match="cannot be generated again"):
        interp.capture(model, files, [1], seconds=1.0, streaming=True)


@pytest.mark.parametrize("bad", ["missing.wav", "noise.wav", "nan.wav", "empty.wav"])
def test_unreadable_audio_is_one_sentence(model, tmp_path, bad):
    (tmp_path / "noise.wav").write_bytes(b"this is not audio")
    soundfile.write(tmp_path / "nan.wav", np.full(3200, np.nan, dtype=np.float32), 3200, subtype="FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 3200)
    with pytest.raises(interp.InterpError, match=bad) as caught:
        interp.capture(model, [tmp_path / bad])
    assert "\n" not in str(caught.value)


def test_bad_requests(model):
    generation = model.generate(PROMPTS, seconds=0.3, progress=False)
    for options, said in [
        ({"layers": [3]}, "layers 0 to 2"),
        ({"layers": []}, "layers is an empty list"),
        ({"layers": "all"}, "must be a list"),
        ({"sites": "resid"}, "must be a list"),
        ({"sites": ["stream"]}, "resid.LAYER"),
        ({"batch_size": -1}, "batch_size"),
        ({"rows": "first"}, "cond, null, both"),
        ({"steps": "last"}, "clean, all"),
    ]:
        with pytest.raises(interp.InterpError, match=said):
            interp.capture(model, generation, **options)
    with pytest.raises(interp.InterpError, match="audio files must be a list"):
        interp.capture(model, "song.wav")
    with pytest.raises(KeyError, match=r"resid\.0"):
        interp.capture(model, generation, [0])["resid.1"]


def test_both_ways_see_the_same_edit(model):
    """An edit made in every pass reaches the layers above alike, and only the rows it was made for."""
    edit = {"resid.0": lambda x, layout, group: x.flip(-1)}
    plain = model.generate(PROMPTS, seconds=0.4, progress=False)
    with interp.hook(model, edit, rows="cond"):
        generation = model.generate(PROMPTS, seconds=0.4, progress=False)
        once = interp.capture(model, generation, rows="both")
        live = interp.capture(model, generation, rows="both", streaming=True)
    without = interp.capture(model, generation, rows="both")
    assert not torch.equal(generation.tokens, plain.tokens)
    for site in once:
        assert (once[site] - live[site]).norm() <= 1e-4 * live[site].norm(), site
    torch.testing.assert_close(once["resid.0"][0], without["resid.0"][0].flip(-1))
    torch.testing.assert_close(once["resid.2"][1], without["resid.2"][1])
    assert (once["resid.2"][0] - without["resid.2"][0]).norm() > 0.1 * without["resid.2"][0].norm()


def test_streaming_notices_another_model(model, make_musicgen):
    other = interp.Model(make_musicgen(seed=5), "other")
    generation = other.generate(["calm"], seconds=0.3, progress=False)
    with pytest.raises(interp.InterpError, match="other tokens"):
        interp.capture(model, generation, streaming=True)


def test_activations_that_are_not_finite_are_refused(model):
    generation = model.generate(["calm"], seconds=0.3, progress=False)
    spoil = interp.hook(model, {"resid.1": lambda x, layout, group: x * float("nan")})
    with pytest.raises(interp.InterpError, match="not finite"), spoil:
        interp.capture(model, generation, [2])


def test_clips_beyond_one_window_are_captured_as_they_were_drawn(make_musicgen):
    short = interp.Model(make_musicgen(), "short")
    short.musicgen.max_duration = 1.0
    seen = []
    with interp.hook(short, {"resid.0": lambda x, layout, group: seen.append((layout.window, layout.start))}):
        generation = short.generate(["calm"], seconds=1.4, progress=False)
    assert generation.tokens.shape[-1] == 70
    # The second window starts again at step 0, with the 20 frames that it shares with the first at once.
    assert seen[:53] == [(0, step) for step in range(53)]
    assert seen[53:55] == [(1, 0), (1, 21)]
    for rows, steps in (("both", "clean"), ("cond", "all")):
        once, live = (interp.capture(short, generation, rows=rows, steps=steps, streaming=s) for s in (0, 1))
        for site in once:
            assert (once[site] - live[site]).norm() <= 1e-4 * live[site].norm(), (site, steps)
    assert once["resid.0"].shape == (1, 73, 32) and len(live.seconds) == 73  # 70 frames, and 3 of delay

    # What is written down is what the hooks of the generation saw when each step was first run cleanly.
    heard = {}

    def note(x, layout, group):
        for i in range(x.shape[1]):
            step = layout.first_frame + layout.start + i
            if (step <= 50) == (layout.window == 0):
                heard[step] = x[:, i]

    with interp.hook(short, {"resid.2": note}):
        short.generate(["calm"], seconds=1.4, progress=False)
    expected = torch.stack([heard[step] for step in range(4, 71)], dim=1)
    torch.testing.assert_close(interp.capture(short, generation)["resid.2"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(interp.InterpError, match="1 s at a time"):
        TeacherForced(short, generation)


def test_long_audio_is_heard_by_windows(make_musicgen):
    """An audio prompt, then two more windows; and encoded audio, which was never drawn."""
    short = interp.Model(make_musicgen(), "short")
    short.musicgen.max_duration = 1.0
    prompt = 0.1 * torch.randn(2, 1, 1000, generator=torch.Generator().manual_seed(0))
    generation = short.generate(["calm", "sad"], seconds=2.4, audio_prompt=prompt, progress=False)
    once, live = (interp.capture(short, generation, [1], streaming=streaming) for streaming in (False, True))
    assert once["resid.1"].shape == (2, 120 - 3, 32)
    assert (once["resid.1"] - live["resid.1"]).norm() <= 1e-4 * live["resid.1"].norm()
