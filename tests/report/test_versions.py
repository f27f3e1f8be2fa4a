"""Published versions, and what differs between two of them."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image
from report_project import CELLS, OUTPUTS, PHASE, make_project, read, set_parameters, write_notebook
from test_report_book import commit, with_browser
from verdict_project import content, hypothesis

import report.checks.every as every
import report.versions.publish as publishing
from report.__main__ import main
from report.browser import PATIENCE_S, check_in_browser, chromium, served
from report.check import check_book
from report.project import ReportError, read_json
from report.run import run_profile
from report.runs import State
from report.versions.diff import compare, features, image_difference
from report.versions.publish import check_archive, publish
from report.versions.record import Phase, Version
from report.versions.show import as_page, as_text, changelog_lines, into_changelog
from report.versions.site import NAME, order, versions_of

ROOT = Path(__file__).resolve().parents[2]


def number(value, interval=None, unit="") -> dict:
    return {"value": value, "interval": interval, "unit": unit, "n": None, "note": ""}


def version(
    name: str, numbers: dict, parts: dict | None = None, verdicts: dict | None = None, **kinds
) -> Version:
    parts = {"parameters": {"seed": 1}, "modules": {}, "lock": {}, "kernel": "CPython 3.11.7"} | (parts or {})
    manifest = {"parts": parts, "packages": {"numpy": "2.0"}, "threads": 1, "devices": []}
    phase = Phase({"numbers": numbers, **kinds}, manifest, Path("."), Path("."))
    return Version(name, "etude", "c", {"0-a": phase}, verdicts or {})


def test_versions_are_ordered_by_their_numbers():
    names = ["v0.10.0", "v0.2.0", "0.2.0rc1", "v0.2.0.post1", "v0.2", "v0.9.0-beta2"]
    assert all(NAME.fullmatch(name) for name in names)
    assert sorted(names, key=order) == [
        "0.2.0rc1",
        "v0.2.0",
        "v0.2",
        "v0.2.0.post1",
        "v0.9.0-beta2",
        "v0.10.0",
    ]
    assert not any(NAME.fullmatch(name) for name in ("latest", "v1", "../v1.0", "v1.0/x", ""))


def test_numbers_are_compared_with_their_intervals():
    old = version("a", {"x": number(1.0, [0.5, 1.5]), "y": number(2.0), "gone": number(1.0), "z": number(3)})
    new = version("b", {"x": number(2.0, [1.6, 2.4]), "y": number(2.5), "z": number(3), "more": number(4.0)})
    found = compare(old, new)
    x, y, gone, more = found.numbers
    assert (x.change, x.overlap) == (1.0, False)
    assert (y.change, y.overlap) == (0.5, None)
    assert (gone.old, gone.new, gone.change) == (1.0, None, None)
    assert (more.old, more.new) == (None, 4.0)
    assert found.same_numbers == 1
    touching = compare(version("a", {"x": number(1, [0, 1])}), version("b", {"x": number(2, [1, 3])}))
    assert touching.numbers[0].overlap is True
    assert as_text(found).splitlines()[2:5] == [
        "Numbers (4)",
        "  0-a: x  1 [0.5, 1.5] → 2 [1.6, 2.4]  +1  apart",
        "  0-a: gone  1 → absent",
    ]


def test_parameters_code_environment_and_verdicts_are_told_apart():
    old = version("a", {}, verdicts={"G1": "supported", "G2": "inconclusive"})
    parts = {"parameters": {"seed": 2}, "modules": {"interp/stats.py": "f" * 64}, "kernel": "CPython 3.11.9"}
    new = version("b", {}, parts, verdicts={"G1": "inconclusive", "G2": "inconclusive", "G3": "supported"})
    new.phases["0-a"].manifest["packages"] = {"numpy": "2.1"}
    found = compare(old, new)
    assert found.verdicts == {"G1": ("supported", "inconclusive"), "G3": ("absent", "supported")}
    assert found.parameters == ["0-a: parameters: seed: 1 → 2"]
    assert found.code == ["0-a: modules: interp/stats.py: nothing → ffffffffff"]
    assert found.environment == ["0-a: kernel: CPython 3.11.7 → CPython 3.11.9", "packages: numpy: 2.0 → 2.1"]
    assert not compare(old, old) and "nothing differs" in as_text(compare(old, old))


def test_tables_are_compared_cell_by_cell():
    old = version("a", {}, tables={"t": {"heads": ["n"], "rows": [["1"], ["2"]]}})
    new = version("b", {}, tables={"t": {"heads": ["n"], "rows": [["1"], ["3"]]}})
    assert compare(old, new).tables[0].what == "1 of 3 cells differ"
    more = version("b", {}, tables={"t": {"heads": ["n"], "rows": [["1"], ["2"], ["3"]]}})
    assert compare(old, more).tables[0].what == "2×1 → 3×1 cells"


def test_pictures_are_compared_by_what_they_show(tmp_path):
    picture = np.full((10, 10, 3), 255, np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).save(tmp_path / "same.png", compress_level=0)
    picture[:5] = 204
    Image.fromarray(picture).save(tmp_path / "b.png")
    Image.fromarray(picture[:5]).save(tmp_path / "half.png")
    difference = lambda name: image_difference(tmp_path / "a.png", tmp_path / name)  # noqa: E731
    assert difference("b.png") == "50.0% of the pixels differ, by 20% on average"
    assert difference("same.png") == "the same picture in another file"
    assert difference("half.png") == "10×10 → 10×5 pixels"
    assert difference("none.png") == "the new picture is missing"


def test_features_of_a_tone(tmp_path):
    wave = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    soundfile.write(tmp_path / "tone.flac", wave, 8000)
    found = features(tmp_path / "tone.flac")
    assert found["seconds"] == 1.0
    assert abs(found["level dB"] - 10 * np.log10(0.5)) < 0.01
    assert abs(found["centroid Hz"] - 440) < 1


def test_a_page_takes_names_as_text_and_the_changelog_takes_the_summary(tmp_path):
    old = version("v0.1.0", {"x": number(1.0, [0.9, 1.1]), "<b>": number(1.0)}, verdicts={"G1": "supported"})
    new = version(
        "v0.2.0", {"x": number(2.0, [1.9, 2.1]), "<b>": number(1.5)}, verdicts={"G1": "contradicted"}
    )
    found = compare(old, new)
    assert "&lt;b&gt;" in as_page(found) and "<b>" not in as_page(found)
    assert changelog_lines(found) == [
        "- G1: supported → contradicted.",
        "- 0-a: x; 1 [0.9, 1.1] → 2 [1.9, 2.1]: the intervals are apart.",
        "- 2 numbers differ; the intervals of 1 number are apart.",
    ]
    path = tmp_path / "CHANGELOG.md"
    path.write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0]\n\n- First.\n")
    into_changelog(path, found)
    once = path.read_text()
    into_changelog(path, found)
    assert path.read_text() == once, "a summary that is there already is replaced"
    assert once.startswith("# Changelog\n\n## [Unreleased]\n\n### Results changed, v0.1.0 → v0.2.0\n\n- G1")
    assert once.endswith("apart.\n\n### Added\n\n- A thing.\n\n## [0.1.0]\n\n- First.\n")
    into_changelog(path, compare(new, new))
    newest, _, before = path.read_text().partition("### Results changed, v0.1.0 → v0.2.0\n")
    assert newest.endswith("v0.2.0 → v0.2.0\n\n- No number, figure, table or sound differs.\n\n")
    assert before == once.partition("v0.1.0 → v0.2.0\n")[2], "one of other versions stays"
    path.write_text("# Changelog\n\n## [Unreleased]\n")
    into_changelog(path, found)
    assert path.read_text().startswith(
        "# Changelog\n\n## [Unreleased]\n\n### Results changed, v0.1.0 → v0.2.0\n\n-"
    )
    path.write_text("nothing")
    with pytest.raises(ReportError, match="has no heading of a version"):
        into_changelog(path, found)


# --- publishing ---


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A project whose book is one page, and whose one run is done."""
    project = make_project(tmp_path / "study")
    (project.root / ".gitignore").write_text("build/\n")
    commit(project, "all")
    profile, _ = read(project)
    folder = project.runs / PHASE / "k1"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"numbers": {"level": number(1.0)}}))
    run = {"key": "k1", "parts": {"parameters": {}}, "packages": {}, "threads": 1, "devices": []}
    (folder / "manifest.json").write_text(json.dumps(run))
    for module in (publishing, every):
        monkeypatch.setattr(module, "states", lambda *_: [State(PHASE, "done", folder, run)])
    monkeypatch.setattr(publishing, "collect", lambda *_: None)
    pages = {
        "index.html": "<html><body><a href='sub/a.html'>a</a></body></html>",
        "sub/a.html": "<body>A</body>",
    }

    def build(project, staged) -> None:
        for name, text in pages.items():
            (project.html / name).parent.mkdir(parents=True, exist_ok=True)
            (project.html / name).write_text(text)

    monkeypatch.setattr(publishing, "build_book", build)
    return project, profile, pages, tmp_path / "site"


def test_a_version_is_a_folder_with_a_record_an_archive_and_a_place_in_the_list(stand_in):
    project, profile, pages, site = stand_in
    folder = publish(project, profile, "v0.1.0", site, browser=False)
    assert (
        '<script src="../versions.js" data-version="v0.1.0" data-page="index.html">'
        in (folder / "index.html").read_text()
    )
    assert '<script src="../../versions.js"' in (folder / "sub" / "a.html").read_text()
    assert (site / ".nojekyll").is_file() and "deploy-pages" in (
        site / ".github/workflows/pages.yml"
    ).read_text()
    assert "url=v0.1.0/index.html" in (site / "index.html").read_text()
    first = (site / "archives" / "v0.1.0.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        names = archive.getnames()
        assert {
            "v0.1.0/index.html",
            "v0.1.0/record/record.json",
            f"v0.1.0/record/{PHASE}/results.json",
        } <= set(names)
    publish(project, profile, "v0.2.0", site, browser=False)
    assert versions_of(site) == ["v0.2.0", "v0.1.0"]
    listed = (site / "versions.js").read_text()
    assert listed.index("v0.2.0") < listed.index("v0.1.0") and '"sub/a.html"' in listed
    assert check_archive(site, "v0.1.0") == []
    assert (site / "archives" / "v0.1.0.tar.gz").read_bytes() == first
    (folder / "index.html").write_text("changed")
    (site / "archives" / "v0.1.0.tar.gz").write_bytes(first + b"x")
    assert check_archive(site, "v0.1.0") == [
        "v0.1.0/index.html is not as it was published",
        "archives/v0.1.0.tar.gz does not match its checksum",
    ]


def test_what_is_refused_leaves_the_folder_as_it_was(stand_in, monkeypatch):
    project, profile, pages, site = stand_in
    publish(project, profile, "v0.1.0", site, browser=False)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}

    def refused(sentence: str, name: str = "v0.2.0") -> None:
        with pytest.raises(ReportError, match=sentence):
            publish(project, profile, name, site, browser=False)
        assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before

    refused("'newest' is no version; use numbers such as v0.1.0", "newest")
    refused("v0.1.0 is published already, in .*; a version does not change", "v0.1.0")
    (project.root / "loud.py").write_text("LEVEL = 0.2\n")
    refused(r"holds changes that are in no commit \(loud.py\); commit them or put them aside")
    commit(project, "loud")
    pages["sub/a.html"] = "<body><a href='none.html'>x</a></body>"
    refused("The book has 1 problems, the first: sub/a.html: <a> leads nowhere: none.html")
    pages["sub/a.html"] = "<body></body>"
    monkeypatch.setattr(
        publishing, "check_archive", lambda *_: ["v0.2.0/index.html is not as it was published"]
    )
    refused("The published copy of v0.2.0 has 1 problems")
    monkeypatch.setattr(publishing, "states", lambda *_: [State(PHASE, "stale")])
    refused(f"{PHASE} is stale; run `make report PROFILE=etude` first")
    shutil.rmtree(project.root / ".git")
    refused("This is no git checkout")


def test_unknown_versions_name_the_known(stand_in, monkeypatch, capsys):
    project, profile, _, site = stand_in
    publish(project, profile, "v0.1.0", site, browser=False)
    monkeypatch.setattr("report.__main__.here", lambda: project)
    assert main(["diff", "v0.9.0", "--site", str(site)]) == 1
    assert "There is no published version 'v0.9.0'; there are: v0.1.0." in capsys.readouterr().err
    assert main(["diff", "v0.1.0", "--site", str(site)]) == 1
    assert "The working tree has no finished runs of today's code (0-noise is " in capsys.readouterr().err


MORE = (
    "results.number('same', 1.0)",
    "results.table('drawn', pd.DataFrame({'seed': [seed]}, ['x']), caption='Of the seed.')",
    "found = results.Measure(0.4, (0.3, 0.5), 0.001, 24, 12)\n"
    "nothing = results.Measure(0.0, (-0.05, 0.05), 0.4, 24, 12)\n"
    "measures = {'etude': found, 'etude-null': nothing, 'other': found if seed == 1 else nothing}\n"
    "results.claim('G1', measures, target='other')",
)
USE_SWITCHER = """(async () => {
  const menu = document.querySelector(".version-menu");
  const names = [...menu.options].map(option => option.textContent);
  menu.selectedIndex = 1 - menu.selectedIndex;
  menu.dispatchEvent(new Event("change"));
  return names;
})()"""


@pytest.mark.slow
@with_browser
def test_two_real_versions_differ_in_what_was_changed_and_the_switcher_leads_across(
    tmp_path, monkeypatch, capsys
):
    """Publish, change one parameter, publish again; everything that differs is named."""
    project = make_project(tmp_path / "study")
    root, site = project.root, tmp_path / "site"
    (root / "book").mkdir()
    (root / ".gitignore").write_text("build/\n__pycache__/\n")
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "index.md").write_text(f"# Book\n\n[the phase](phases/{PHASE}.ipynb)\n")
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n- file: phases/{PHASE}\n")
    profile, notebook = read(project)
    outputs = {"numbers": ["level", "same"], "tables": ["counts", "drawn"], "claims": ["G1"]}
    write_notebook(root, [*CELLS, *MORE], notebook.declared | {"outputs": OUTPUTS | outputs})
    (root / "phases" / "hypotheses.yaml").write_text(yaml.safe_dump(content(hypothesis(cite=[]))))
    monkeypatch.setenv("INTERP_HYPOTHESES", str(root / "phases" / "hypotheses.yaml"))
    monkeypatch.setattr("report.__main__.here", lambda: project)
    for name, seed in (("v0.1.0", 1), ("v0.2.0", 2)):
        set_parameters(root, {"seed": seed})
        commit(project, f"seed {seed}")
        profile, _ = read(project)
        run_profile(project, profile)
        assert main(["publish", name, "--site", str(site)]) == 0
    assert check_book(site)[1] == []
    capsys.readouterr()
    page = tmp_path / "diff.html"
    assert main(["diff", "v0.1.0", "v0.2.0", "--site", str(site), "--json", "--page", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    (level,) = found["numbers"]
    old, new = (
        read_json(site / v / "record" / PHASE / "results.json")["numbers"] for v in ("v0.1.0", "v0.2.0")
    )
    assert level["change"] == new["level"]["value"] - old["level"]["value"] != 0
    assert level["intervals_overlap"] is True
    assert found["same_numbers"] == 1
    assert found["parameters"] == [f"{PHASE}: parameters: seed: 1 → 2"]
    assert found["verdicts"] == {"G1": ["supported", "contradicted"]}
    assert found["environment"] == [] and found["code"] == []
    (table,) = found["tables"]
    assert (table["name"], table["what"]) == ("drawn", "1 of 4 cells differ")
    (figure,) = found["figures"]
    assert figure["name"] == "wave" and "of the pixels differ" in figure["what"]
    (sound,) = found["audio"]
    assert sound["name"] == "noise" and "centroid Hz" in sound["what"]
    assert "0-noise: level" in page.read_text() and "supported → contradicted" in page.read_text()
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    assert main(["diff", "v0.1.0", "v0.2.0", "--site", str(site), "--changelog"]) == 0
    assert "Written: CHANGELOG.md" in capsys.readouterr().err
    heading = "### Results changed, v0.1.0 → v0.2.0"
    assert f"{heading}\n\n- G1: supported → contradicted." in (root / "CHANGELOG.md").read_text()
    assert main(["diff", "v0.2.0", "--site", str(site)]) == 0
    assert "nothing differs (2 numbers are the same)" in capsys.readouterr().out
    # Opened as a file and over HTTP, with no network: the switcher leads to the same page of the other one.
    with served(site) as address, chromium() as browser:
        for base in (site.resolve().as_uri() + "/", address):
            browser.visit(f"{base}v0.2.0/phases/{PHASE}.html", base)
            answer = browser.call(
                "Runtime.evaluate", expression=USE_SWITCHER, awaitPromise=True, returnByValue=True
            )
            assert answer["result"]["value"] == ["v0.2.0 (newest)", "v0.1.0"]
            end = time.monotonic() + PATIENCE_S
            while True:  # asked of the browser, since a page that is being left answers nothing
                here = browser.call("Target.getTargetInfo")["targetInfo"]["url"]
                if "v0.1.0" in here or time.monotonic() > end:
                    break
            assert here == f"{base}v0.1.0/phases/{PHASE}.html"
    counts, problems = check_in_browser(site)
    assert problems == [] and counts["sounds played"] >= 4
