"""What of a Python file counts for a run."""

import pytest

from report.source import changed_functions, code_digests

CODE = '''
"""Module."""
import os
LIMIT = 3
class Model:
    """Class."""
    width = 4
    def load(self):
        """Method."""
        return 1
def free(x):
    """Function."""
    return x  # as it is
'''


@pytest.fixture
def digests(tmp_path):
    path = tmp_path / "code.py"

    def of(text: str) -> dict[str, str]:
        path.write_text(text)
        code_digests.__globals__["_digests"].cache_clear()  # two texts within a tick of the clock
        return code_digests(path)

    return of


def test_comments_docstrings_and_layout_do_not_count(digests):
    prose = CODE.replace("Function.", "Better words.").replace("# as it is", "").replace("(x)", "( x )")
    assert digests(prose) == digests(CODE)


def test_they_count_where_a_file_reads_them(digests):
    reading = CODE + "print(__doc__)\n"
    assert digests(reading.replace("Method.", "Other."))[""] != digests(reading)[""]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return 1", "return 2", "Model.load"),
        ("width = 4", "width = 5", "Model"),
        ("class Model:", "class Model(dict):", "Model"),
        ("return x", "return -x", "free"),
        ("LIMIT = 3", "LIMIT = 4", "module level"),
        ("def free", "def frei", "free, frei"),
        ("(x)", "(x=1)", "free"),
    ],
)
def test_the_functions_that_changed_are_named(digests, old, new, names):
    before, after = digests(CODE), digests(CODE.replace(old, new))
    assert before[""] != after[""]
    assert changed_functions(before, after) == names


def test_a_file_that_is_gone_or_broken_equals_no_other(digests, tmp_path):
    assert code_digests(tmp_path / "gone.py") == {"": "absent"}
    broken = digests("def (")
    assert list(broken) == [""] and broken != digests("def ((")
    assert changed_functions(digests(CODE), broken) == ""
