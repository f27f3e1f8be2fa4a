"""What a peer's script says where the peer is not installed."""

import runpy
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("script, peer", [("saelens_opens.py", "sae_lens")])
def test_one_sentence_says_where_to_run_it(monkeypatch, script, peer):
    monkeypatch.setitem(sys.modules, peer, None)
    with pytest.raises(SystemExit, match=f"{peer}.*: run this in an environment with .*{script}"):
        runpy.run_path(str(Path(__file__).parent / script))
