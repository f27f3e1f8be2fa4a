"""The bench measures what it says and prints both ratios."""

from interp import bench


def test_both_ratios_are_printed(checkpoint, capsys):
    assert bench.main(["--model", str(checkpoint), "--clips", "1", "--seconds", "2", "--rounds", "3"]) == 0
    printed = capsys.readouterr().out
    assert "generation with capture of 3 layers / bare generation: " in printed
    assert "streaming / teacher-forced capture: " in printed
    assert bench.main(["--model", str(checkpoint), "--rounds", "0"]) == 2
    assert bench.main(["--model", "nowhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_one_pass_is_much_faster_than_many(checkpoint):
    """A loose bound that holds on a busy machine; the figure itself is printed by ``make bench``."""
    result = bench.measure(str(checkpoint), clips=1, seconds=4, rounds=3)
    assert len(result["capture_over_bare"]) == 3
    assert sorted(result["streaming_over_teacher_forced"])[1] > 5
    assert result["layers"] == [0, 1, 2]  # five places in three layers
