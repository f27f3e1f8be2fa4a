"""In which order the phases of a profile run: each after those whose artefacts it reads."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from .hypotheses import check_claims
from .key import data_files
from .notebook import Notebook
from .profile import Profile
from .project import Project, ReportError


def plan(project: Project, profile: Profile) -> list[Notebook]:
    """Read the notebooks of a profile and put them in order.

    Raises
    ------
    ReportError
        If anything can be refused before something runs: a notebook, a parameter, declared data that is not
        there, an artefact that nobody leaves, phases that read from each other in a circle, hypotheses or
        declared claims.
    """
    notebooks = {phase: Notebook.read(project, phase) for phase in profile.phases}
    for notebook in notebooks.values():
        notebook.check_declared()
        notebook.parameters(profile.phases[notebook.phase])
        data_files(project, notebook)
        for phase, names in notebook.reads.items():
            what = f"{notebook.phase} reads {', '.join(names)} of {phase}"
            if not (project.phases / f"{phase}.ipynb").is_file():
                raise ReportError(f"{what}, but there is no phases/{phase}.ipynb.")
            if phase not in notebooks:
                where = f"phases/profiles/{profile.name}.yaml"
                raise ReportError(f"{what}, but {where} does not run {phase}; add it there.")
            for name in set(names) - set(notebooks[phase].leaves):
                leaves = ", ".join(notebooks[phase].leaves) or "nothing"
                raise ReportError(
                    f"{notebook.phase} reads {name} of {phase}, which does not leave it; it leaves: {leaves}."
                )
    claims = {phase: notebook.outputs.get("claims", []) for phase, notebook in notebooks.items()}
    check_claims(project, claims)
    order = TopologicalSorter({phase: notebook.reads for phase, notebook in notebooks.items()})
    try:
        return [notebooks[phase] for phase in order.static_order()]
    except CycleError as error:
        circle = " ← ".join(error.args[1])
        raise ReportError(f"Phases read each other's artefacts in a circle: {circle}.") from None
