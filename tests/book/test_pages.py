"""The pages of the book keep their promises: code that runs, citations and links that lead somewhere."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import build_musicgen

import interp
from report.collect import ELSEWHERE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text()
ON_ETUDE = ["interventions.md"]  # the tiny model's codec hears nothing, so nothing can be read off corpora
KEYS = re.findall(r"^@\w+\{([^,\s]+),", BIBLIOGRAPHY, re.MULTILINE)


def python_blocks(page: Path) -> list[str]:
    """Code of the page's ``python`` fences, in order."""
    fences = re.findall(r"^ *```python\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in fences]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_code_on_pages_runs(page, t5_folder, tmp_path, monkeypatch):
    """All of a page's code, top to bottom, as a reader would type it, on a tiny model or on étude."""

    def load(name, device="auto", twin_seed=None):
        return interp.Model(build_musicgen(t5_folder, seed=twin_seed or 0, num_layers=6), name, twin_seed)

    if page.name not in ON_ETUDE:
        monkeypatch.setattr(interp, "load", load)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERP_RUN_DIR", str(tmp_path))
    (tmp_path / "build").mkdir()  # as it is after `make report`
    noise = 0.1 * np.random.default_rng(0).normal(size=9 * 16000)
    for name in ("a.wav", "b.wav"):  # the audio files that pages speak of
        soundfile.write(name, noise, 16000)
    names: dict[str, object] = {}
    for number, block in enumerate(python_blocks(page)):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    assert isinstance(names["model"], interp.Model)


def test_every_citation_has_an_entry_and_every_entry_is_cited():
    cited = {
        key.strip()
        for page in PAGES
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text())
        for key in keys.split(",")
    }
    assert cited - set(KEYS) == set()
    assert set(KEYS) - cited == set()
    assert len(KEYS) == len(set(KEYS)) >= 40


def test_bibliography_entries_are_whole():
    for entry in re.split(r"^@", BIBLIOGRAPHY, flags=re.MULTILINE)[1:]:
        assert {"author", "title"} <= set(re.findall(r"^  (\w+) = ", entry, re.MULTILINE)), entry
    identifiers = re.findall(r"^  (?:eprint|doi) = \{([^}]+)\}", BIBLIOGRAPHY, re.MULTILINE)
    assert len(identifiers) == len(set(identifiers))
    assert [i for i in identifiers if not re.fullmatch(r"\d{4}\.\d{4,5}|10\.\d{4,}/\S+", i)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_exist(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []
    documents = re.findall(r"\{doc\}`([^`]+)`", page.read_text())  # pages of the book, phases among them
    names = [re.sub(r".*<(.+)>", r"\1", document) for document in documents]
    sources = [(ROOT / "book" / f"{name}.md", ROOT / f"{name}.ipynb") for name in names]
    missing = [md.name for md, notebook in sources if not (md.exists() or notebook.exists())]
    assert set(missing) <= set(ELSEWHERE.values())
