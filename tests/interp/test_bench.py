"""The bench measures what it says and prints its ratios."""

import json

import pytest

import interp
from interp import bench


def test_ratios(checkpoint, capsys, monkeypatch):
    command = ["--model", str(checkpoint), "--clips", "1", "--seconds", "2", "--rounds", "1"]
    assert bench.main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["layers"] == [0, 1, 2]  # five places in three layers
    bare, steered, live, once, audiocraft, least = result["seconds"].values()
    assert result["capture_over_bare"] == [live / bare]
    assert result["steer_over_bare"] == [steered / bare]
    assert result["streaming_over_teacher_forced"] == [live / once]
    assert result["audiocraft_over_generate"] == [audiocraft / bare]
    assert result["audiocraft_over_least"] == [audiocraft / least] and least < bare
    assert len(result["plan_over_generation"]) == len(result["plan_over_capture"]) == 1
    # A loose bound that holds on a busy machine; the figure itself is printed by `make bench`.
    assert live / once > 4
    monkeypatch.setattr(bench, "measure", lambda *_: result | {"capture_over_bare": [1.0, 1.01, 1.5]})
    assert bench.main(command) == 0
    printed = capsys.readouterr().out
    assert "generation with capture of 3 layers / bare generation: 1.010x  (from 1.000 to 1.500)" in printed
    assert f"streaming / teacher-forced capture: {live / once:.3f}x" in printed


def test_bad_input(capsys):
    assert bench.main(["--rounds", "0"]) == 2
    assert bench.main(["--model", "nowhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_other_dimensions(checkpoint, monkeypatch):
    monkeypatch.setitem(bench.DIMENSIONS, "larger", (48, 6, 4))
    model = bench.resized(str(checkpoint), "larger")
    assert (model.d_model, model.n_heads, model.n_layers) == (48, 6, 4)
    assert model.generate(["calm"], seconds=0.2, progress=False).tokens.shape == (1, 4, 10)
    with pytest.raises(interp.InterpError, match="valid: facebook/musicgen-small"):
        bench.resized(str(checkpoint), "huge")
