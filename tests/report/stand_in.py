"""``report.execute`` without Jupyter: runs a notebook's cells in this very process, in a tenth of the time.

For tests of what surrounds a run: order, artefacts, keys, crashes.  Real kernels are in the slow tests.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from report.execute import end_with_parent
from report.project import read_json, write_json


def main() -> None:
    end_with_parent()
    job = read_json(Path(sys.argv[1]))
    os.chdir(job["cwd"])
    notebook, at = read_json(Path(job["input"])), read_json(Path(job["progress"]))
    names: dict = {}
    outcome = {"ok": True}
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        at |= {"cell": number, "line": cell["source"][0].strip()}
        write_json(Path(job["progress"]), at)
        shown = io.StringIO()
        try:
            with redirect_stdout(shown):
                exec("".join(cell["source"]), names)
        except Exception as error:
            outcome = {"ok": False, "reason": f"{type(error).__name__}: {error}"} | at
            break
        text = {"output_type": "stream", "name": "stdout", "text": shown.getvalue()}
        cell["outputs"] = [text] if text["text"] else []
        if "parameters" in cell["metadata"].get("tags", []):
            names |= job["parameters"]
    write_json(Path(job["output"]), notebook)
    write_json(Path(job["outcome"]), outcome)


if __name__ == "__main__":
    main()
