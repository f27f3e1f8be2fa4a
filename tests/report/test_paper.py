"""The paper: every number comes from a run, and what it names must be there."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile

import numpy as np
import pytest
import yaml
from PIL import Image
from report_project import PHASE, make_project, read
from test_report_book import with_browser
from verdict_project import FOUND, claim, content, hypothesis

import report.paper.build as building
import report.paper.source as source
from report.paper.build import build_paper
from report.paper.latex import _columns, escape, numbers_tex
from report.paper.render import Renderer, printed
from report.paper.source import KINDS, Paper, largest
from report.project import ReportError
from report.runs import State

TEXT = f"""---
title: Noise & <order>
phases: [{PHASE}]
abstract: |
  The level is {{glue:text}}`phases/{PHASE}.ipynb::level:.2f`.
---

## What was done

A *level* of {{glue:text}}`phases/{PHASE}.ipynb::level:.1%`
({{glue:text}}`phases/{PHASE}.ipynb::level.low:+.2f`,
n = {{glue:text}}`phases/{PHASE}.ipynb::level.n:.0f`) {{cite}}`known2020`,
see {{numref}}`fig-{PHASE}-wave` and $x_1$.

- one
- two

```{{figure-of}} {PHASE} wave
```

```{{table-of}} {PHASE} counts
```

```{{verdicts-of}} geometry
```

```{{include}} parts/end.md
```
"""
BIB = "@article{known2020, author = {Noether, Emmy}, title = {Invariants}, journal = {J}, year = {2020}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a text and a finished run."""
    project = make_project(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text(BIB)
    people = "authors:\n- name: A & B\n- {given-names: Emmy, family-names: N}\n"
    (tmp_path / "CITATION.cff").write_text(people)
    (tmp_path / "phases" / "hypotheses.yaml").write_text(yaml.safe_dump(content(hypothesis(phase=PHASE))))
    (tmp_path / "paper" / "parts").mkdir(parents=True)
    (tmp_path / "paper" / "parts" / "end.md").write_text("## The answer\n\n```{answer}\n```\n")
    write(project, TEXT)
    folder = project.runs / PHASE / "k1"
    (folder / "figures").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "figures" / "wave.png")
    number = {"value": -0.123, "interval": [-0.2, 0.05], "n": 3, "unit": ""}
    caption = "Noise, **not** music; see {numref}`fig-0-noise-other`."
    results = {
        "numbers": {"level": number},
        "figures": {"wave": {"file": "figures/wave.png", "caption": caption, "alt": "A 5 % line"}},
        "tables": {"counts": {"caption": "Of *all*.", "heads": ["", "n_1"], "rows": [["<b>", "3 & 4"]]}},
        "claims": {"G1": claim(FOUND)},
    }
    (folder / "results.json").write_text(json.dumps(results))
    run = {"key": "k1", "parts": {"parameters": {}}}
    monkeypatch.setattr(source, "states", lambda *_: [State(PHASE, "done", folder, run)])
    return project


def write(project, text: str) -> None:
    (project.root / "paper" / f"{KINDS[1]}.md").write_text(text)


def sources(project):
    paper = Paper.read(project, read(project)[0], 1)
    folder = project.build / "p"
    (folder / "figures").mkdir(parents=True)
    building._write_latex(paper, folder)
    building._write_page(paper, folder)
    return folder


def test_numbers_are_macros_and_their_values_are_in_one_file(project):
    folder = sources(project)
    main, numbers = (folder / "main.tex").read_text(), (folder / "numbers.tex").read_text()
    used = re.findall(r"\\num\{([^}]*)\}", main)
    defined = dict(re.findall(r"\\csname num:([^\\]*)\\endcsname\{(.*)\}", numbers))
    assert set(used) == set(defined) and len(used) == 4
    assert sorted(defined.values()) == sorted(["$-$0.12", "$-$12.3\\%", "$-$0.20", "3"])
    assert "0.123" not in main, "a number that the text quotes stands in numbers.tex alone"


def test_both_dialects_hold_the_same_paper(project):
    folder = sources(project)
    main, page = (folder / "main.tex").read_text(), (folder / "print.html").read_text()
    for words in (r"\title{Noise \& <order>}", r"A \& B \and Emmy N", r"\emph{level}"):
        assert words in main
    assert r")~\cite{known2020}," in main and r"see Figure~\ref{fig-0-noise-wave} and $x_1$" in main
    assert r"\includegraphics" in main and "figures/0-noise-wave.png" in main
    assert r"\textbf{not} music; see a figure of the report." in main
    assert r"3 \& 4 \\" in main and r"n\_1 \\" in main
    assert (folder / "figures" / "0-noise-wave.png").is_file()
    assert (
        "Noether" in (folder / "main.bbl").read_text()
        and "known2020" in (folder / "references.bib").read_text()
    )
    assert "<h1>Noise &amp; &lt;order&gt;</h1>" in page and "&lt;b&gt;" in page and "<b>" not in page
    assert "−0.12" in page and "[1]" in page and "Figure 1. Noise, <strong>not</strong> music" in page
    assert 'alt="A 5 % line"' in page and "Table 2. Geometry: verdicts." in page
    for text in (main, page):
        assert "supported" in text and "0.40 [0.30, 0.50]" in text
        assert "It does." in text or "Not answered." in text


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "::level:.2f",
            "::levle:.2f",
            "quotes levle, which the run of 0-noise did not leave; there are: level",
        ),
        ("::level:.2f", "::level:.2x", "prints level as '.2x', which is no format"),
        (
            f"phases/{PHASE}.ipynb::level:.2f",
            "phases/9-x.ipynb::y",
            "speaks of 9-x, which is not done; done are 0-noise",
        ),
        ("known2020", "unknown2020", "cites unknown2020, which references.bib does not have"),
        (f"fig-{PHASE}-wave`", "fig-x`", "refers to fig-x; it shows: fig-0-noise-wave, tab-0-noise-counts"),
        (f"{PHASE} counts", f"{PHASE} count", "shows table count of 0-noise; there are: counts"),
        (
            "verdicts-of} geometry",
            "verdicts-of} control",
            "pillar 'control'; there are: geometry",
        ),
        ("parts/end.md", "parts/none.md", "includes paper/parts/none.md, which is not there"),
        ("- one", "<br>", "holds a block of Markdown that it does not take: html_block"),
        ("title: Noise", "titel: Noise", "must begin with a block of title, phases and abstract"),
        (
            f"phases: [{PHASE}]",
            "phases: [0-noise, 3-steering]",
            "needs 3-steering, which is not in the profile",
        ),
    ],
)
def test_what_is_refused(project, old, new, sentence):
    assert old in TEXT
    write(project, TEXT.replace(old, new))
    with pytest.raises(ReportError, match=sentence):
        sources(project)


@pytest.mark.parametrize(
    ("kind", "name", "end"),
    [(1, "technical-report", "first"), (2, "workshop-paper", "first, or make a smaller paper with PHASE=1")],
)
def test_a_smaller_paper_is_named_where_there_is_one(project, kind, name, end):
    text = TEXT.replace(f"phases: [{PHASE}]", "phases: [3-steering]")
    (project.root / "paper" / f"{name}.md").write_text(text)
    with pytest.raises(ReportError, match=rf"run `make report PROFILE=etude` {end}[.]$"):
        Paper.read(project, read(project)[0], kind)


def test_the_largest_paper_that_a_profile_has(project):
    profile, _ = read(project)
    assert largest(project, profile) == 1
    shutil.copy(project.root / "paper" / "technical-report.md", project.root / "paper" / "full-paper.md")
    assert largest(project, profile) == 3
    with pytest.raises(ReportError, match="no paper/workshop-paper.md, the text of the workshop paper"):
        Paper.read(project, profile, 2)


def test_text_is_ascii_for_latex():
    assert escape("50 % of a_b & {c}") == r"50 \% of a\_b \& \{c\}"
    assert escape("étude").isascii() and escape("R² → ≥ α “q”").isascii()
    assert r"\num" in numbers_tex({}) and "csname" in numbers_tex({"a:b": "1"})


def test_no_column_is_narrower_than_its_longest_word():
    wide = [["cue", "gain over it"] * 4, ["articulation", "$-$0.17 [$-$0.59, 0.25]"] * 4]
    size, shares = _columns(wide)
    assert size == r"\footnotesize" and sum(shares) == pytest.approx(0.98 - 0.03 * 8)
    letters = 106 * shares[0] / sum(shares)
    assert letters >= len("articulation") + 1
    assert _columns([["a", "b"], ["1", "2"]])[0] == r"\small"


def test_numbers_below_zero_have_a_sign_and_words_their_hyphen():
    assert printed("-0.12 [-0.44, -.2], 5-10, etude-alt-2") == "−0.12 [−0.44, −.2], 5-10, etude-alt-2"
    assert printed("< 0.001") == "<\N{NO-BREAK SPACE}0.001"


def pages_of_pdf(path) -> str:
    return subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX (pdflatex) is not installed")
def test_the_tarball_compiles_by_itself(project, tmp_path_factory, capsys):
    pdf = build_paper(project, read(project)[0], 1)
    assert "is made by LaTeX" in capsys.readouterr().err
    assert pdf.read_bytes()[:5] == b"%PDF-"
    alone = tmp_path_factory.mktemp("alone")
    with tarfile.open(fileobj=io.BytesIO((pdf.parent / "technical-report.tar.gz").read_bytes())) as archive:
        archive.extractall(alone, filter="data")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=alone, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout, "every reference and citation leads somewhere"
    if shutil.which("pdftotext"):
        text = pages_of_pdf(alone / "main.pdf")
        assert "−12.3%" in text and "Noether" in text and "supported" in text and "??" not in text


@pytest.mark.slow
@with_browser
def test_without_latex_a_browser_prints_it(project, monkeypatch, capsys):
    which = shutil.which
    monkeypatch.setattr(building.shutil, "which", lambda name: None if name == "pdflatex" else which(name))
    pdf = build_paper(project, read(project)[0], 1)
    assert "headless Chromium from a print page, since LaTeX" in capsys.readouterr().err
    assert pdf.read_bytes()[:5] == b"%PDF-"
    if which("pdftotext"):
        text = pages_of_pdf(pdf)
        assert "−12.3%" in text and "Noether" in text and "file:" not in text


def test_with_neither_the_sources_are_kept_and_named(project, monkeypatch):
    monkeypatch.setattr(building.shutil, "which", lambda name: None)
    monkeypatch.setattr("report.browser.shutil.which", lambda name: None)
    with pytest.raises(ReportError, match="No PDF was made: .* no browser .* The sources are in"):
        build_paper(project, read(project)[0], 1)
    assert (project.build / "paper" / ".technical-report.partial" / "main.tex").is_file()


def test_a_block_that_nobody_knows_is_refused(project):
    paper = Paper.read(project, read(project)[0], 1)
    with pytest.raises(ReportError, match=r"has a block \{note\}; it takes figure-of, table-of"):
        Renderer(paper, building.Latex()).document("```{note} x\n```")
