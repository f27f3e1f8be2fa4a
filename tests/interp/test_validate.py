"""The measurement of the tests: its arithmetic, and that it sees a test that does not keep its level."""

import json

import pytest

from interp import validate
from interp.errors import InterpError


def test_wilsons_interval():
    # Worked out by hand for 5 of 100 with z = 1.96: (.0215, .1118)
    assert validate.wilson(5, 100) == pytest.approx((0.0215, 0.1118), abs=1e-4)
    low, high = validate.wilson(0, 10)
    assert low == pytest.approx(0) and 0.2 < high < 0.35


@pytest.fixture(scope="module")
def found():
    return validate.validate(n=150, clusters=(10,), jobs=1, progress=False)


def test_every_row_holds_its_nominal_rate_and_the_naive_tests_do_not(found):
    by_name = {rate.name: rate for rate in found}
    assert len(by_name) == len(validate.TRIALS)
    for rate in found:
        if rate.kind == validate.COVERAGE:
            usual = "not used" in rate.name  # percentiles, which promise too much
            assert rate.rate > (0.75 if usual else 0.87) and rate.naive < rate.rate
        else:
            assert rate.rate < 0.12  # exceeded once in 1,000 times
    assert by_name["two samples"].naive > 0.2 and by_name["association"].naive > 0.2


def test_the_same_seed_gives_the_same_numbers_in_any_number_of_processes():
    options = {"n": 20, "clusters": (4,), "progress": False}
    assert validate.validate(jobs=1, **options) == validate.validate(jobs=2, **options)


def test_the_command_prints_a_table_or_json(capsys):
    assert validate.main(["--sets", "10", "--jobs", "1"]) == 0
    assert "95 % interval" in capsys.readouterr().out
    assert validate.main(["--sets", "10", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "two samples"
    assert validate.main(["--sets", "3"]) == 2
    assert "10 or more" in capsys.readouterr().err


def test_bad_input():
    with pytest.raises(InterpError, match="must be even"):
        validate.validate(n=10, clusters=(7,), jobs=1)
