"""The doctor's checks, on a healthy model and on ailing ones."""

import json

import pytest

from interp import doctor
from interp.__main__ import main
from interp.activations import capture
from interp.errors import InterpError


def test_a_healthy_model_passes_the_real_check(checkpoint):
    found = {f.check: f for f in doctor._real_check(str(checkpoint))}
    assert {f.status for f in found.values()} == {"ok"}
    assert "53 calls of [2, 1, 32] at each of 3 layers" in found["hooks"].detail


def test_json_lists_every_check_and_the_exit_status_follows(checkpoint, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_packages", lambda: iter([doctor.Finding("packages", "ok", "")]))
    monkeypatch.setattr(doctor, "_memory", lambda: iter([doctor.Finding("memory", "ok", "")]))
    monkeypatch.setattr(doctor, "_checkpoints", lambda: iter([]))
    monkeypatch.setattr(doctor, "_disk", lambda: doctor.Finding("disk", "ok", ""))
    assert main(["doctor", "--json", "--model", str(checkpoint)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ready"] and report["verdict"].startswith("READY")
    assert {"python", "packages", "torch", "hooks", "capture"} <= {f["check"] for f in report["findings"]}
    assert main(["doctor", "--model", "nowhere"]) == 1
    printed = capsys.readouterr().out
    assert "PROBLEM  model nowhere" in printed and printed.splitlines()[-1].startswith("NOT READY: 1 problem")


def test_a_package_off_the_lock_is_named_with_its_cure(tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text(
        "# comment\npytest==0.0.1\nno-such-package==1.0\nwinonly==1 ; sys_platform == 'win32'\npackaging>=1\n"
    )
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (finding,) = doctor._packages()
    assert finding.status == "problem" and finding.fix == "make setup"
    assert "no-such-package missing" in finding.detail and "locked ==0.0.1" in finding.detail
    assert "winonly" not in finding.detail and "packaging" not in finding.detail


def test_a_layer_that_is_not_called_as_documented_is_a_problem(checkpoint, monkeypatch):
    from interp import generation, loading

    load = loading.load
    monkeypatch.setattr(generation, "why_not", lambda model: "its own pass is under test")

    def skipping(name, **options):
        model = load(name, **options)
        run = model.lm.transformer._apply_layer
        blocks = model.lm.transformer.layers
        model.lm.transformer._apply_layer = lambda layer, x, *a, **k: (
            x if layer is blocks[1] else run(layer, x, *a, **k)
        )
        return model

    monkeypatch.setattr(loading, "load", skipping)
    with pytest.warns(UserWarning, match="its own pass is under test"):
        findings = {f.check: f for f in doctor._real_check(str(checkpoint))}
    assert findings["hooks"].status == "problem"
    assert "resid.1 saw 0 calls" in findings["hooks"].detail
    assert "capture" not in findings
    options = dict(seconds=0.2, progress=False, decoder="audiocraft")
    made = loading.load(str(checkpoint)).generate(["calm"], **options)
    with pytest.raises(InterpError, match=r"without ever reaching resid\.1"):
        capture(loading.load(str(checkpoint)), made, [0, 1])


def test_a_check_that_dies_is_a_finding():
    def dies():
        raise OSError("libfoo.so: cannot open\nmore")
        yield

    (finding,) = doctor._guarded("torch", dies)
    assert finding == doctor.Finding("torch", "problem", "OSError: libfoo.so: cannot open", "make setup")


@pytest.mark.parametrize(
    ("size", "billions"),
    [("small", 0.42), ("medium", 1.84), ("large", 3.26)],
)
def test_needs_are_counted_from_the_architecture(size, billions):
    layers, width = doctor.SIZES[size]
    need = doctor.needs(layers, width)
    assert need["parameters"] / 1e9 == pytest.approx(billions, abs=0.01)
    # keys and values, two rows of guidance, 1,503 steps, two bytes each
    assert need["per_clip"] == 2 * 2 * 1503 * layers * width * 2
    assert doctor.needs(layers, width, bytes_each=4)["per_clip"] == 2 * need["per_clip"]


def test_needs_count_what_audiocraft_builds(model, make_musicgen):
    """The count agrees with a real model of another size, embeddings and text projection included."""
    musicgen = make_musicgen(dim=64, num_heads=4, num_layers=2, card=2048)
    built = sum(
        p.numel() for name, p in musicgen.lm.named_parameters() if not name.startswith("condition_provider")
    )
    text = 768 * 64 + 64  # T5-base's projection, weight and bias
    assert doctor.needs(2, 64)["parameters"] == built + text
