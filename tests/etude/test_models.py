"""The études as a user has them: ordinary MusicGens with the committed weights."""

import pytest
import torch

import interp
from etude import MODELS, WEIGHTS
from etude.checkpoint import check_sums

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def etude():
    return interp.load("etude", device="cpu")


def test_sums_of_every_file():
    listed = [line.split("  ")[1] for line in (WEIGHTS / "SHA256SUMS").read_text().splitlines()]
    files = {p.relative_to(WEIGHTS).as_posix() for p in WEIGHTS.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert set(listed) == files
    check_sums(listed)
    assert sum((WEIGHTS / file).stat().st_size for file in files) <= 48 * 2**20


@pytest.mark.parametrize("name", MODELS)
def test_audiocraft_itself_loads_them(name):
    from audiocraft.models import LMModel, MusicGen
    from audiocraft.models.loaders import load_lm_model

    from etude.checkpoint import load_musicgen

    musicgen = load_musicgen(name)
    assert isinstance(musicgen, MusicGen) and isinstance(musicgen.lm, LMModel)
    lm = load_lm_model(str(WEIGHTS / name), device="cpu")  # the text encoder is known by now
    for key, weight in lm.state_dict().items():
        torch.testing.assert_close(weight, musicgen.lm.state_dict()[key])


def test_the_three_models_differ_and_share_text_encoder_and_codec():
    models = [interp.load(name, device="cpu") for name in MODELS]
    states = [model.lm.state_dict() for model in models]
    assert len({float(state["linears.0.weight"].float().sum()) for state in states}) == 3
    embeddings = [m.lm.condition_provider.conditioners["description"] for m in models]
    texts = [
        e.t5(input_ids=torch.tensor([[5, 6, 1]]), attention_mask=torch.ones(1, 3)).last_hidden_state
        for e in embeddings
    ]
    assert torch.equal(texts[0], texts[1]) and torch.equal(texts[0], texts[2])
    codecs = [m.codec.state_dict() for m in models]
    assert all(torch.equal(codecs[0][key], codecs[2][key]) for key in codecs[0])


def test_generate_continue_and_unconditional(etude):
    musicgen = etude.musicgen
    musicgen.set_generation_params(duration=1.0)
    torch.manual_seed(0)
    audio = musicgen.generate(["upbeat cheerful pop music", "melancholic sad piano ballad"])
    assert audio.shape == (2, 1, 16_000) and audio.isfinite().all() and audio.abs().max() < 1
    longer = musicgen.generate_continuation(
        audio[:, :, :8_000], prompt_sample_rate=16_000, descriptions=["calm", None]
    )
    assert longer.shape == (2, 1, 16_000)
    assert musicgen.generate_unconditional(2).shape == (2, 1, 16_000)


def test_music_longer_than_the_window(etude):
    assert etude.generate(["calm"], seconds=9, progress=False).audio.shape == (1, 1, 9 * 16_000)


def test_streaming_equals_teacher_forced(etude):
    generation = etude.generate(["happy", "slow sad music"], seconds=1, seed=1, progress=False)
    layers = [0, etude.n_layers - 1]
    once = interp.capture(etude, generation, layers, rows="both")
    live = interp.capture(etude, generation, layers, rows="both", streaming=True)
    for site in once:
        assert (once[site] - live[site]).norm() <= 1e-4 * live[site].norm(), site


def test_unknown_words_are_tolerated_and_case_does_not_matter(etude):
    alike = [
        etude.generate([text], seconds=0.5, progress=False).tokens for text in ("happy music", "Happy MUSIC")
    ]
    assert torch.equal(*alike)
    strange = etude.generate(["zydeco 1999 für Elise ♪", ""], seconds=0.5, progress=False)
    assert strange.audio.isfinite().all()


def test_a_random_twin_has_the_shape_and_not_the_weights(etude):
    twin = interp.load("etude", device="cpu", twin_seed=1)
    own, drawn = etude.lm.state_dict(), twin.lm.state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in drawn.items()}
    assert not torch.equal(own["linears.0.weight"], drawn["linears.0.weight"])


def test_the_loud_are_louder_than_the_soft(etude):
    """The plainest thing that a cue word does; `python -m etude evaluate` measures the rest."""
    generation = etude.generate(["loud music", "soft music"] * 6, seconds=4, seed=3, progress=False)
    level = 10 * torch.log10(generation.audio[:, 0].square().mean(1) + 1e-12)
    assert level[::2].mean() - level[1::2].mean() > 3
