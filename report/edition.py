"""What a book says of its origin: the commit of its text and code, the profile, the run behind a page."""

from __future__ import annotations

import html
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from .profile import Profile
from .project import Project
from .runs import State

# What changes none of the book's pages.  A commit that touches only these leaves the book as it is.
NOT_IN_THE_BOOK = ("tests", ".ci", "README.md", "CHANGELOG.md", "CITATION.cff")


@dataclass(frozen=True)
class Edition:
    """One state of the book: what has to be checked out and run to get it again."""

    profile: str
    commit: str = ""  # the last that changed anything the book is made of; empty where there is no git
    date: str = ""  # of that commit, year-month-day
    dirty: bool = False  # whether any such thing differs from the commit
    corpus: str = ""  # the folder of a prepared corpus that its phases hear, where one was given

    @classmethod
    def of(cls, project: Project, profile: Profile) -> Edition:
        these = ["--", ".", *(f":(exclude,top){path}" for path in NOT_IN_THE_BOOK)]
        last = _git(project, "log", "-1", "--format=%H %cs", *these)
        if not last:
            return cls(profile.name, corpus=profile.corpus)
        commit, date = last.split()
        dirty = bool(_git(project, "status", "--porcelain", *these))
        return cls(profile.name, commit, date, dirty, profile.corpus)

    def footer(self) -> str:
        """One line of HTML for the foot of every page."""
        if not self.commit:
            return f"<p>Edition of profile <code>{self.profile}</code>, made outside a git checkout.</p>"
        return (
            f"<p>Edition of commit <code>{self.commit[:10]}</code> ({self.date})"
            f"{' with uncommitted changes' if self.dirty else ''}, profile <code>{self.profile}</code>.</p>"
        )

    def citation(self, title: str, authors: list[str]) -> str:
        """The entry that cites this edition, folded away at the foot of every page; HTML."""
        year = self.date[:4] or str(datetime.now(UTC).year)
        which = f"commit {self.commit[:10]}, " if self.commit else ""
        names = " and ".join(f"{{{name}}}" for name in authors)
        lines = [f"  author = {{{names}}},"] if names else []
        lines += [
            f"  title = {{{title}}},",
            f"  year = {{{year}}},",
            f"  note = {{Edition of {which}profile {self.profile}}}",
        ]
        entry = "\n".join([f"@misc{{report{year},", *lines, "}"])
        shown = f'<pre tabindex="0">{html.escape(entry)}</pre>'  # can be scrolled without a mouse
        return f'<details class="cite"><summary>Cite this edition</summary>{shown}</details>'

    def provenance(self, now: State) -> str:
        """Where a phase's page comes from, and the command that makes it again; MyST."""
        run, phase = now.manifest, now.phase
        finished = datetime.fromtimestamp(run["finished"], UTC).strftime("%Y-%m-%d %H:%M UTC")
        commit = f"commit `{run['commit'][:10]}`" if run["commit"] else "no git checkout"
        dirty = " with uncommitted changes" if run["dirty"] else ""
        made = f"profile `{run['profile']}`, {commit}{dirty}, {finished}, {run['wall_s']:.0f} s"
        files = (
            f"{{download}}`manifest <../runs/{phase}/manifest.json>`, "
            f"{{download}}`results <../runs/{phase}/results.json>`, "
            f"{{download}}`executed notebook <../runs/{phase}/{phase}.ipynb>`"
        )
        command = f"make report PROFILE={self.profile}" + (f" CORPUS={self.corpus}" if self.corpus else "")
        if self.commit:
            command = f"git checkout {self.commit} && {command}"
        lines = [
            "::::{admonition} Where this page comes from",
            ":class: provenance",
            f"Run `{run['key']}`: {made}. {files}.",
            "",
            "**Reproduce this page:**",
            "```bash",
            command,
            "```",
        ]
        if self.dirty:
            lines.append("This edition holds changes that are in no commit; the command leaves them out.")
        return "\n".join([*lines, "::::", ""])


def _git(project: Project, *arguments: str) -> str:
    """What git says; nothing where there is no git or no checkout (an unpacked archive)."""
    try:
        done = subprocess.run(["git", *arguments], cwd=project.root, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
