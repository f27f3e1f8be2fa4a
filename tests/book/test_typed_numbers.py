"""No result is typed: numbers in the text come from runs, by ``glue``.

A result, for this test, is a number that reads like one: with a sign of a statistic (``p =``, ``r =``, %, ±,
an interval in brackets) or with decimals.  Code, inline code and the tables of ``etude evaluate`` are not.
What others have published, versions and thresholds are listed below, with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in [
        ROOT / "README.md",
        ROOT / "etude" / "CARD.md",
        *sorted((ROOT / "book").glob("*.md")),
        *sorted((ROOT / "phases").glob("*.ipynb")),
    ]
}

NUMBER = r"[-+−]?(?:\d+(?:\.\d+)?|\.\d+)"
RESULT = re.compile(
    rf"\b[prdRFtn]²?\s*[=<>≤≥]\s*{NUMBER}"  # p = .03
    r"|\d\s?%|±"
    rf"|\[\s*{NUMBER}\s*(?:,|to)\s*{NUMBER}\s*\]"  # [0.1, 0.2]
    r"|(?<![\w.-])[-+−]?\d*\.\d+(?!\.?\d)"  # 0.71; not a version such as 1.2.3 or Apache-2.0
)
FENCE = re.compile(r"^( *)(`{3,})([^\n]*)\n(.*?)^\1\2", re.DOTALL | re.MULTILINE)
NOT_TEXT = (
    r"<!-- (\w+): begin -->.*?<!-- \1: end -->",  # written by a command
    r"`[^`\n]*`",  # inline code, and what stands in a role
    r"\]\([^)]*\)",  # addresses
    r"\$[^$]+\$",
    r"\bdoi:\S+",
    r"95 %\s+(?:intervals?|each)",  # a level of confidence
)

MAY_BE_TYPED = {
    "README.md": ["Python 3.11", "CC-BY-NC 4.0"],
    "book/quickstart.md": ["Python 3.11", "CC-BY-NC 4.0", "Python must be 3.11"],
    "book/hooks.md": ["guidance 3.0"],  # audiocraft's default
    "book/etude.md": [  # recomputed from the ratings cited above the table
        "| happy | .898 | +.70 | +.35 | +.31 | −.02 | +.16 |",
        "| sad | .880 | −.74 | −.47 | −.08 | −.07 | −.19 |",
        "| peaceful | .645 | +.21 | −.42 | +.25 | −.38 | −.10 |",
        "| scary | .842 | −.29 | +.09 | −.39 | +.28 | −.03 |",
        "| valence | .891 | +.67 | +.11 | +.36 | −.21 | +.10 |",
        "| arousal | .798 | +.39 | +.56 | −.11 | +.30 | +.17 |",
    ],
    "book/migration.md": [
        '"if the cosine is under 0.9,',  # quotes the notes
        "p cannot be under .1",  # counted: two of twenty
    ],
    "book/roadmap.md": [
        '"p < 0.05"',  # a threshold, in an exercise
        "| valence, arousal | ±1 |",  # a scale of a data set
        "about .67 with rated valence and .81 with arousal",  # cited there
    ],
    "book/corpora.md": [  # the scale of ratings
        "in [-1, 1], or None where nobody rated it",
        "has to be brought to [-1, 1] first",
    ],
    "book/real-models.md": [
        "CC BY-NC 4.0",
        "| small | 1.5 GB | 1.5 GB | 24 x 1,024 |",  # sizes of others' files
        "| medium | 4.3 GB | 4.4 GB | 48 x 1,536 |",
        "| large | 7.2 GB | 7.2 GB | 48 x 2,048 |",
        "R² .969",  # published, cited there
        "seldom 3.11",
    ],
    "book/your-data.md": [
        "from 1–9 to [-1, 1]",  # scales of data sets
        "from 0–1 to [-1, 1]",
        "5 % are so, nothing is prepared",  # a threshold
    ],
    "book/sae.md": ["With k = 32 and F = 8,192"],  # an example
    "phases/0-foundation.ipynb": [
        '"If < 0.9, emotions are represented differently!"',  # quotes the notes
    ],
    "phases/1-emotion-geometry.ipynb": ["a false discovery rate of 5 %"],  # levels that are aimed at
    "phases/3-steering.ipynb": [
        "about .67 for valence and .81 for arousal",  # cited there
        "beyond the bound that 5 % of",  # a level
    ],
    "phases/1-validation.ipynb": ["A test at 5 %", "may stay below 5 %"],
}


def text_of(path: Path) -> str:
    """The prose of a page, without what is no prose."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return without_code(text)


def without_code(text: str) -> str:
    # What stands in a directive is text, what stands in another fence is code.
    text = FENCE.sub(lambda fence: fence[4] if re.match(r"\{(?!code)", fence[3]) else "", text)
    for pattern in NOT_TEXT:
        text = re.sub(pattern, "", text, flags=re.DOTALL | re.MULTILINE)
    return text


@pytest.mark.parametrize("page", PAGES)
def test_no_result_is_typed(page):
    text = text_of(PAGES[page])
    for fragment in MAY_BE_TYPED.get(page, []):
        assert fragment in text, f"{fragment!r} is no longer on the page: take it off the list"
        text = text.replace(fragment, "")
    typed = [line.strip() for line in text.splitlines() if RESULT.search(line)]
    assert typed == [], "glue these numbers, or list them with the reason why they may be typed"


@pytest.mark.parametrize(
    "result",
    ["p = .03", "R² = 0.9", "p<0.001", "it is 71 % of", "3 ± 1", "[0.1, 0.2]", "[−1, 4]", "about .71."],
)
def test_what_reads_like_a_result(result):
    assert RESULT.search(result)


@pytest.mark.parametrize(
    "text",
    [
        "layer 3 of 6",
        "{glue:text}`a.b:.3f` of",
        "`x = 0.5`",
        "[1](a.html)",
        "8 s",
        "```{a} b\nc\n```\n\n```python\nx = 0.5\n```",
    ],
)
def test_what_does_not(text):
    assert not RESULT.search(without_code(text))
