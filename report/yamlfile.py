"""Read YAML; what is wrong with it is said in one sentence that names where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .project import ReportError, mapping, read_text

MERGE = "tag:yaml.org,2002:merge"  # of the key ``<<``


def read_yaml(path: Path, where: str = "") -> dict[str, Any]:
    """A file that holds fields with values; ``where`` is how people call it, by default its path.

    Raises
    ------
    ReportError
        If it cannot be read, is not valid YAML, or holds anything but fields with values.
    """
    where = where or str(path)
    return mapping(parse_yaml(read_text(path, where), where), where)


def parse_yaml(text: str, where: str) -> Any:
    """YAML as Python values.  A key that stands twice is refused: YAML would quietly take the second."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:  # the second for a date that no calendar has
        raise ReportError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from error


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # ten times as fast, where libyaml is there
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != MERGE]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)
