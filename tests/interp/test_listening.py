"""The listening test: blind, whole in one file, and read back with the agreement of raters."""

import csv
import json
import re

import numpy as np
import pytest

from interp import listening
from interp.errors import InterpError
from interp.listening import Pair, Rated, answers, kit
from interp.listening.reliability import alpha, icc

RATE = 8000


def tone(pitch, seconds=0.3):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)


@pytest.fixture(scope="module")
def test():
    pairs = [
        Pair("secret happy", "valence", tone(200), tone(400)),
        Pair("secret loud", "arousal", tone(300), tone(500)),
    ]
    return kit(pairs, [Rated("secret plain", tone(250))], RATE, title="A <test> & more", checks=1, seed=3)


def test_the_page_is_whole_and_blind(test):
    assert test.page.count("data:audio/flac;base64,") == 2 * 2 + 1 + 2
    assert "secret" not in test.page and '"low"' not in test.page and '"kind"' not in test.page
    assert "A &lt;test&gt; &amp; more" in test.page
    assert '$("who").value.trim() || listener' in test.page, "a name of blanks is none"
    assert not re.search(r"https?://", test.page), "nothing is fetched"
    trials = json.loads(test.key)["trials"]
    assert sorted(trial["kind"] for trial in trials) == ["check", "pair", "pair", "rating"]
    names = [trial.get(key) for trial in trials for key in ("low", "high", "clip") if key in trial]
    assert len(set(names)) == len(names), "the same clip in two questions is not told by its number"


def test_a_script_in_a_title_stays_text():
    made = kit([], [Rated("a", tone(200))], RATE, title="</script><b>", checks=0)
    assert "</script><b>" not in made.page


def test_order_of_the_pair_says_nothing():
    """Over many questions, the clip that should be higher is first in about half."""
    pairs = [Pair(str(i), "valence", tone(200, 0.05), tone(400, 0.05)) for i in range(60)]
    made = kit(pairs, [], RATE, title="t", checks=0)
    shown = json.loads(re.search(r"const test = (\{.*\});\n", made.page).group(1))["questions"]
    high = {trial["trial"]: trial["high"] for trial in made.trials}
    first = sum(question["clips"][0] == high[question["trial"]] for question in shown)
    assert 15 < first < 45


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(pairs=[], rated=[]), "at least one pair"),
        (dict(pairs=[Pair("a", "dominance", tone(200), tone(300))]), "Unknown axis 'dominance'"),
        (dict(rated=[Rated("a", tone(200)), Rated("a", tone(300))]), "'a' is there twice"),
        (dict(rated=[Rated("a", np.full(100, np.nan))]), "not finite"),
        (dict(rated=[Rated("a", tone(200))], rate=0), "sample_rate must be a whole number, 1 or more, not 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(changed, said):
    asked = {"pairs": [], "rated": []} | changed
    with pytest.raises(InterpError, match=said):
        kit(asked["pairs"], asked["rated"], asked.get("rate", RATE), title="t")


# --- answers ---


def answer(made, folder, listener, high=True, checks=True, rating=5, **changed):
    """A file as the page saves it, of a listener who always chooses the higher clip, or always the lower."""
    rows = []
    for position, trial in enumerate(made.trials, start=1):
        base = {"test": json.loads(made.key)["test"], "listener": listener, "trial": trial["trial"]}
        base |= {"position": position, "first": "", "second": "", "seconds": 9, "plays": 2}
        if trial["kind"] == "rating":
            rows += [base | {"scale": scale, "answer": rating} for scale in listening.SCALES]
        else:
            right = checks if trial["kind"] == "check" else high
            rows.append(base | {"scale": "pair", "answer": trial["high" if right else "low"]})
    rows = [row | changed for row in rows]
    path = folder / f"{listener}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, answers.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def key(test, tmp_path):
    path = tmp_path / "key.json"
    path.write_text(test.key)
    return path


def test_answers_are_read_back(test, key, tmp_path):
    files = [
        answer(test, tmp_path, "ann", rating=6),
        answer(test, tmp_path, "bob", high=False, rating=2),
        answer(test, tmp_path, "cat", rating=6),
        answer(test, tmp_path, "deaf", checks=False),
    ]
    found = answers.read(files, key)
    assert found.left_out == {"deaf": 1}
    assert found.preference("valence").estimate == pytest.approx(2 / 3)
    assert sorted(found.ratings["rating"]) == [2, 2, 6, 6, 6, 6]
    assert set(found.pairs["label"]) == {"secret happy", "secret loud"}
    assert answers.read(files, key, missed=1).left_out == {}
    assert found.summary().loc["valence", "listeners"] == 3


def test_files_that_are_none_are_refused(test, key, tmp_path):
    other = answer(test, tmp_path, "eve", test="another")
    with pytest.raises(InterpError, match="answers another test"):
        answers.read([other], key)
    with pytest.raises(InterpError, match="which the test does not ask"):
        answers.read([answer(test, tmp_path, "eve", trial="q99")], key)
    with pytest.raises(InterpError, match="is no clip of"):
        answers.read([answer(test, tmp_path, "eve", answer="0")], key)
    with pytest.raises(InterpError, match="is no rating from 1 to 7"):
        answers.read([answer(test, tmp_path, "eve", rating=8)], key)
    good = answer(test, tmp_path, "ann")
    with pytest.raises(InterpError, match="one file for each listener"):
        answers.read([good, good], key)
    with pytest.raises(InterpError, match="missed more than 0 of the checks"):
        answers.read([answer(test, tmp_path, "deaf", checks=False)], key)
    nothing = tmp_path / "nothing.csv"
    with pytest.raises(InterpError, match="Cannot read answers"):
        answers.read([nothing], key)
    nothing.write_text("a,b\n1,2\n")
    with pytest.raises(InterpError, match="is no file of answers"):
        answers.read([nothing], key)
    with pytest.raises(InterpError, match="no key of a listening test"):
        answers.read([good], good)


def rewritten(path, change):
    """The file with its rows changed."""
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *change(rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1:], "0 times, not once"),
        (lambda rows: rows * 2, "2 times, not once"),
        (lambda rows: [*rows, rows[0]], "2 times, not once"),
        (lambda rows: [], "is of nobody"),
        (lambda rows: [row.replace(",ann,", ",,") for row in rows], "is of nobody"),
        (lambda rows: [row.replace(",ann,", ", ,") for row in rows], "is of nobody"),
        (lambda rows: [row.replace(",valence,", ",joy,") for row in rows], "on 'joy', which the test"),
    ],
)
def test_every_question_is_answered_once(test, key, tmp_path, change, said):
    with pytest.raises(InterpError, match=said):
        answers.read([rewritten(answer(test, tmp_path, "ann"), change)], key)


def test_checks_left_out_are_no_checks_passed(test, key, tmp_path):
    (check,) = [trial["trial"] for trial in test.trials if trial["kind"] == "check"]
    file = rewritten(
        answer(test, tmp_path, "ann", checks=False), lambda rows: [r for r in rows if f",{check}," not in r]
    )
    with pytest.raises(InterpError, match=f"answers '{check}' on 'pair' 0 times"):
        answers.read([file], key, missed=5)


def test_an_empty_file_and_half_a_key_are_named(test, key, tmp_path):
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(InterpError, match="empty.csv is no file of answers"):
        answers.read([empty], key)
    good, whole = answer(test, tmp_path, "ann"), json.loads(test.key)
    for broken in (
        {"trials": whole["trials"]},
        {"test": whole["test"]},
        whole | {"trials": [{name: x for name, x in t.items() if name != "label"} for t in whole["trials"]]},
        [],
    ):
        key.write_text(json.dumps(broken))
        with pytest.raises(InterpError, match="is no key of a listening test"):
            answers.read([good], key)


# --- reliability ---


def test_icc_of_shrout_and_fleiss():
    """The example of their paper: six subjects, four judges."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = icc(ratings)
    assert (round(found.single, 2), round(found.mean, 2)) == (0.29, 0.62)


def test_alpha_of_krippendorff():
    """The example of his paper: four observers, twelve units, values missing."""
    n = np.nan
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ]
    ).T
    assert alpha(table, nominal=True) == pytest.approx(0.743, abs=5e-4)
    assert alpha(table) == pytest.approx(0.849, abs=5e-4)


def test_raters_who_never_differ_have_no_reliability():
    for measure in (icc, alpha):
        with pytest.raises(InterpError, match="All ratings are the same"):
            measure(np.ones((4, 3)))
    with pytest.raises(InterpError, match="complete ratings"):
        icc([[1, np.nan], [2, 3]])
    with pytest.raises(InterpError, match="two ratings or more"):
        alpha([[1, np.nan]])
