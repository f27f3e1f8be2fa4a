"""Builds that are killed lose and repeat nothing, and nothing of an unfinished run is in the book."""

import pytest
from kill_builds import torture


@pytest.mark.slow
def test_killed_builds(tmp_path):
    rows = torture(tmp_path / "study", kills=3, seed=2)
    assert [(row["lost"], row["repeated"], row["stray"]) for row in rows] == 3 * [(0, 0, 0)]
