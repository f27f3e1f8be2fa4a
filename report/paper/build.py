"""Write a paper's sources and tarball, and make its PDF.

::

    build/paper/<name>/main.tex, numbers.tex, main.bbl, references.bib, figures/
    build/paper/<name>/print.html      the same for a browser
    build/paper/<name>.tar.gz          the LaTeX sources as arXiv takes them
    build/paper/<name>.pdf
"""

from __future__ import annotations

import gzip
import html
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from ..browser import FLAGS, find_browser
from ..profile import Profile
from ..progress import say
from ..project import Project, ReportError, write_atomic
from .cited import Works
from .html import STYLE, Html
from .latex import PREAMBLE, Latex, escape, numbers_tex
from .render import Renderer
from .source import Paper

PATIENCE_S = 300


def build_paper(project: Project, profile: Profile, kind: int) -> Path:
    """Make the paper; returns the PDF.

    Raises
    ------
    ReportError
        If the text names something that is not there, or neither LaTeX nor Chromium makes a PDF of it.
    """
    paper = Paper.read(project, profile, kind)
    final = project.build / "paper" / paper.name
    folder = final.with_name(f".{paper.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    _write_latex(paper, folder)
    _write_page(paper, folder)
    _pack(folder, final.with_name(f"{paper.name}.tar.gz"))
    how = _by_latex(folder) if shutil.which("pdflatex") else _by_browser(folder)
    os.replace(folder / "main.pdf", final.with_suffix(".pdf"))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(folder, final)
    say(f"The {paper.name.replace('-', ' ')} is made by {how}; its sources are in {project.relative(final)}.")
    return final.with_suffix(".pdf")


def _write_latex(paper: Paper, folder: Path) -> None:
    renderer = Renderer(paper, _Copying(Latex(), folder / "figures"))
    abstract, body = renderer.document(paper.abstract), renderer.document(paper.text)
    works = Works(paper.project.root / "book" / "references.bib", paper.cited)
    authors = r" \and ".join(map(escape, paper.authors))
    text = (
        f"{PREAMBLE}\\title{{{escape(paper.title)}}}\n\\author{{{authors}}}\n\\date{{}}\n\\begin{{document}}\n"
        f"\\maketitle\n\\begin{{abstract}}\n{abstract}\n\\end{{abstract}}\n\n{body}\n\n"
        f"\\input{{main.bbl}}\n\\end{{document}}\n"
    )
    write_atomic(folder / "main.tex", text)
    write_atomic(folder / "numbers.tex", numbers_tex(paper.quoted))
    write_atomic(folder / "main.bbl", works.bbl())
    write_atomic(folder / "references.bib", works.bib())


def _write_page(paper: Paper, folder: Path) -> None:
    works = Works(paper.project.root / "book" / "references.bib", paper.cited)
    renderer = Renderer(paper, Html(works.numbers))
    abstract, body = renderer.document(paper.abstract), renderer.document(paper.text)
    mathjax = paper.project.root / "book" / "_static" / "mathjax" / "tex-chtml.mjs"
    script = (
        f'<script src="{mathjax.as_uri()}"></script>'
        if r"\(" in body + abstract and mathjax.is_file()
        else ""
    )
    title = html.escape(paper.title)
    authors = html.escape(", ".join(paper.authors))
    page = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE}</style>{script}</head><body><main>",
        f'<h1>{title}</h1><p class="authors">{authors}</p>',
        f'<div class="abstract"><strong>Abstract.</strong> {abstract}</div>{body}',
        f"<h2>References</h2>{works.html()}</main></body></html>",
    ]
    write_atomic(folder / "print.html", "\n".join(page) + "\n")


class _Copying:
    """A dialect that also copies the figures that it writes."""

    def __init__(self, dialect: Latex, folder: Path) -> None:
        self._dialect, self._folder = dialect, folder

    def __getattr__(self, name: str):
        return getattr(self._dialect, name)

    def figure(self, label: str, number: int, caption: str, file: Path, name: str, alt: str) -> str:
        shutil.copy(file, self._folder / name)
        return self._dialect.figure(label, number, caption, file, name, alt)


def _pack(folder: Path, path: Path) -> None:
    """The LaTeX sources, the same bytes for the same sources."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=packed, mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        for source in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".html"):
            info = tarfile.TarInfo(source.relative_to(folder).as_posix())
            info.size, info.mode = source.stat().st_size, 0o644
            archive.addfile(info, io.BytesIO(source.read_bytes()))
    path.write_bytes(packed.getvalue())


def _by_latex(folder: Path) -> str:
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "main.tex"]
    for _ in range(2):  # the second time for references to figures
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S
        )
        if done.returncode:
            lines = done.stdout.splitlines()
            at = next((i for i, line in enumerate(lines) if line.startswith("!")), 0)
            said = " ".join(lines[at : at + 3])
            raise ReportError(f"LaTeX stops at: {said}; the sources are in {folder}.")
    for left in ("main.aux", "main.log", "main.out"):
        (folder / left).unlink(missing_ok=True)
    return "LaTeX (pdflatex)"


def _by_browser(folder: Path) -> str:
    try:
        browser = find_browser()
    except ReportError as error:
        raise ReportError(
            f"No PDF was made: there is no LaTeX (pdflatex), and no browser to print with ({error}) "
            f"The sources are in {folder}."
        ) from None
    flags = [flag for flag in FLAGS if "remote" not in flag]
    command = [browser, *flags, "--no-pdf-header-footer", "--virtual-time-budget=20000"]
    command += [f"--print-to-pdf={folder / 'main.pdf'}", (folder / "print.html").resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode or not (folder / "main.pdf").is_file():
        raise ReportError(f"Chromium did not print the paper: {done.stderr.strip()[-300:]}")
    return "headless Chromium from a print page, since LaTeX (pdflatex) is not installed"
