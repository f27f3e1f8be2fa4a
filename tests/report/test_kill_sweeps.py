"""A few kills of :mod:`kill_sweeps`; by hand with more, and with ``--dask``."""

import pytest
from kill_sweeps import torture


@pytest.mark.slow
def test_killed_sweeps_lose_and_repeat_nothing(tmp_path):
    rows = torture(tmp_path / "study", kills=3, seed=1, dask=False)
    assert [row["lost"] + row["repeated"] for row in rows] == [0, 0, 0]
