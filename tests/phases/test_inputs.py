"""Parameters that cannot work are refused before anything is loaded, in one sentence that names them."""

from __future__ import annotations

import pytest

from interp.errors import InterpError
from report.notebook import Notebook
from report.project import here


def check(phase, **changed):
    """Run the cell that follows the parameters, with some of them changed."""
    notebook = Notebook.read(here(), phase)
    cell = next(cell for cell in notebook.node.cells if cell.id.endswith("-checks"))
    exec(cell.source, notebook.defaults() | changed)


def emotions(**changed):
    return Notebook.read(here(), "1-emotion-geometry").defaults()["emotions"] | changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"emotions": emotions(sad="sad")}, "emotions: sad has 1, and 4 are needed"),
        ({"emotions": emotions(bored="bored dull tired idle")}, "Unknown emotion in emotions 'bored'"),
        ({"cue_prompts": {}}, "cue_prompts: happy has 0, and 2 are needed"),
        ({"neither": []}, "neither is an empty list"),
        ({"n_emotional": 4}, "n_emotional must be a whole number, 40 or more, not 4"),
        ({"repeats": 0}, "repeats must be a whole number, 1 or more, not 0"),
        ({"permutations": 0}, "permutations must be a whole number, 1 or more"),
        ({"seconds": -1.0}, "seconds must be a number above 0, not -1.0"),
        ({"made_seconds": 0}, "made_seconds must be a number above 0"),
        ({"corpus": 3}, "corpus must be text, not 3"),
        ({"neither": "music"}, "neither must be a list, not str"),
        ({"emotions": emotions(sad=3)}, "emotions: sad must be words or a list of them, not 3"),
    ],
)
def test_phase_1_names_a_parameter_that_cannot_work(changed, said):
    with pytest.raises(InterpError, match=said):
        check("1-emotion-geometry", **changed)


def test_phase_1_takes_its_own_defaults():
    check("1-emotion-geometry")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"strengths": [0.1, float("nan")]}, "An entry of strengths must be a finite number, not nan"),
        ({"strengths": ["much"]}, "An entry of strengths must be a finite number, not 'much'"),
        ({"strengths": [0, 0.0]}, "strengths holds no number but 0"),
        ({"strengths": 0.5}, "strengths"),
        ({"method": "mode"}, "Unknown method 'mode'"),
        ({"n_random": 9}, "n_random must be a whole number, 10 or more, not 9"),
        ({"streams": 0}, "streams must be a whole number, 1 or more"),
        ({"seconds": 0}, "seconds must be a number above 0"),
        ({"overdose": -1}, "overdose must be a number above 0"),
        ({"instruments": []}, "instruments"),
        ({"instruments": [""]}, "An entry of instruments must be text, not ''"),
        ({"controls": "etude-alt"}, "controls must be a list, not str"),
        ({"model": None}, "model must be text, not None"),
        ({"method": ["mean"]}, "method must be text"),
        ({"test_forms": [None]}, "An entry of test_forms must be text, not None"),
        ({"batch_size": "3"}, "batch_size must be a whole number, 1 or more, not '3'"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"test_stream": float("nan")}, "test_stream must be a whole number"),
        ({"least_validity": None}, "least_validity must be a finite number, not None"),
        ({"networks": 3}, "networks must be a dictionary"),
        ({"keep": 3.5}, "keep must be text, not 3.5"),
    ],
)
def test_phase_3_names_a_parameter_that_cannot_work(changed, said):
    with pytest.raises(InterpError, match=said):
        check("3-steering", **changed)


@pytest.mark.parametrize(
    ("phase", "changed", "said"),
    [
        ("0-foundation", {"pair": ["happy", "nope"]}, "Unknown emotion in pair 'nope'; valid: happy, angry"),
        ("0-foundation", {"pair": ["happy"]}, "pair must hold at least 2"),
        ("0-foundation", {"emotions": {"happy": "abc"}}, "happy must be a list, not str"),
        ("0-foundation", {"layers": "x"}, "layers must be a list, not str"),
        ("0-foundation", {"permutations": "x"}, "permutations must be a whole number"),
        ("0-foundation", {"gallery": {"x": 3}}, "gallery: x must have 'listen for' and 'prompts', not 3"),
        ("1-validation", {"clusters": []}, "clusters is an empty list"),
        ("1-validation", {"jobs": 0}, "jobs must be a whole number other than 0"),
        ("2-causal-pathways", {"tonics": [0, "C"]}, "An entry of tonics must be a whole number"),
        ("2-causal-pathways", {"path_seconds": 0}, "path_seconds must be a number above 0"),
    ],
)
def test_other_phases_name_a_parameter_that_cannot_work(phase, changed, said):
    with pytest.raises(InterpError, match=said):
        check(phase, **changed)


@pytest.mark.parametrize("phase", ["0-foundation", "1-validation", "2-causal-pathways"])
def test_other_phases_take_their_own_defaults(phase):
    check(phase)


def test_phase_3_takes_its_own_defaults_and_a_zero_beside_a_strength():
    check("3-steering")
    check("3-steering", layer=3, strengths=[0, 0.5])
