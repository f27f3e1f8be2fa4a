"""What of a Python file counts for a run, and which of its functions changed.

Comments, layout and docstrings do not count: no number can hang on them, and a run of hours is not repeated
for a better sentence.  A docstring *can* be read at run time, so in a file that speaks of such reading
everything counts.  What remains is a notebook that shows another module's docstring: it shows the old one
until it runs again.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from .project import digest

REST = "module level"  # what stands outside functions and classes
_READS_TEXT = re.compile(r"__doc__|getdoc|getsource|getcomments")


def code_digests(path: Path) -> dict[str, str]:
    """Hashes of a file's code: of the whole under ``""``, of functions and methods under their names.

    A file that is not there, or is no valid Python, has only the whole.
    """
    if not path.is_file():
        return {"": "absent"}
    status = path.stat()
    return _digests(path, status.st_mtime_ns, status.st_size)


@cache  # a build asks for each file once a run that is kept
def _digests(path: Path, mtime_ns: int, size: int) -> dict[str, str]:
    text = path.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {"": digest(text)}
    if _READS_TEXT.search(text.decode(errors="replace")):
        return {"": digest(text)} | _functions(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
    return {"": digest(ast.dump(tree))} | _functions(tree)


def changed_functions(old: dict[str, str], new: dict[str, str]) -> str:
    """The names whose code differs, in words; empty when that cannot be told."""
    names = sorted(name for name in {*old, *new} - {""} if old.get(name) != new.get(name))
    if len(old) == 1 or len(new) == 1 or not names:
        return ""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _functions(tree: ast.Module) -> dict[str, str]:
    found: dict[str, list[str]] = {}  # a name may be defined twice, under conditions

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                head = [ast.dump(part) for part in (*node.bases, *node.keywords, *node.decorator_list)]
                found.setdefault(f"{prefix}{node.name}", []).extend(head)
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(f"{prefix}{node.name}", []).append(ast.dump(node))
            else:
                found.setdefault(prefix[:-1] or REST, []).append(ast.dump(node))

    visit(tree.body, "")
    return {name: digest(parts)[:16] for name, parts in sorted(found.items())}
