"""A profile: which phases a report has, and their parameters (``phases/profiles/*.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .project import Project, ReportError, mapping
from .yamlfile import read_yaml


@dataclass(frozen=True)
class Profile:
    name: str
    phases: dict[str, dict[str, Any]]  # phase → parameters, in the order in which they run
    corpus: str = ""  # the folder whose music they hear, where one was given (report.corpus)

    @property
    def asked(self) -> str:
        """How make is asked for it: ``PROFILE=etude``."""
        return f"PROFILE={self.name}" + (f" CORPUS={self.corpus}" if self.corpus else "")

    @classmethod
    def read(cls, project: Project, name: str) -> Profile:
        """Read a profile and refuse what it should not hold.

        Raises
        ------
        ReportError
            If there is no such profile, or it has a key or a phase that does not exist.
        """
        folder = project.phases / "profiles"
        path = folder / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
            raise ReportError(f"There is no profile {name!r}; there are: {known}.")
        where = project.relative(path)
        content = read_yaml(path, where)
        if set(content) != {"phases"}:
            raise ReportError(f"{where} must hold one key, 'phases'.")
        phases = {}
        for phase, settings in mapping(content["phases"] or {}, f"{where}: phases").items():
            settings = settings or {}
            if not isinstance(settings, dict) or set(settings) - {"parameters"}:
                raise ReportError(f"{where}: phase {phase} may hold 'parameters' and nothing else.")
            if not (project.phases / f"{phase}.ipynb").is_file():
                raise ReportError(f"{where} names phase {phase}, but there is no phases/{phase}.ipynb.")
            parameters = settings.get("parameters") or {}
            phases[str(phase)] = mapping(parameters, f"{where}: the parameters of {phase}")
        return cls(name, phases)
