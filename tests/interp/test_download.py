"""Downloads, from a stand-in for the hub on this machine."""

import hashlib
import json
import shutil
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from interp import download
from interp.errors import InterpError

SMALL = "facebook/musicgen-small"
WEIGHTS = hashlib.shake_256(b"weights").digest(300_000)
REPOS = {
    SMALL: {
        "state_dict.bin": WEIGHTS,
        "compression_state_dict.bin": b"codec",
        "README.md": b"#",
        "config.json": b"{}",
    },
    download.CODEC: {"config.json": b"{}", "model.safetensors": b"s" * 99, "pytorch_model.bin": b"twice"},
    download.TEXT: {
        "config.json": b"{}",
        "spiece.model": b"m",
        "pytorch_model.bin": b"p" * 70,
        "tf_model.h5": b"x",
    },
}
COMMIT = "c" * 40


def etag(name, data):
    large = name.endswith((".bin", ".safetensors", ".model"))
    return (
        hashlib.sha256(data).hexdigest()
        if large
        else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    )


class Hub(BaseHTTPRequestHandler):
    """Lists and serves :data:`REPOS`; may hang up in the middle, or send other content."""

    cut: list[int] = []  # after how many bytes the next answers of large files end
    spoilt = False
    asked: list[tuple[str, str | None]] = []

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if self.path.startswith("/api/models/"):
            repo = self.path.removeprefix("/api/models/").split("?")[0].split("/revision")[0]
            if repo not in REPOS:
                return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
            files = [{"rfilename": n, "size": len(d), "blobId": "b"} for n, d in REPOS[repo].items()]
            about = {
                "id": repo,
                "modelId": repo,
                "sha": COMMIT,
                "siblings": files,
                "tags": [],
                "private": False,
            }
            return self.send(200, json.dumps(about).encode(), {"Content-Type": "application/json"}, body)
        repo, _, name = self.path.removeprefix("/").partition("/resolve/")
        data = REPOS[repo][name.split("/", 1)[1]]
        marks = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(name, data)}"', "Accept-Ranges": "bytes"}
        if body:
            self.asked.append((name.split("/", 1)[1], self.headers.get("Range")))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-").split("-")[0])
        if self.spoilt and body:
            data = bytes(len(data))
        if start:
            marks["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send(206 if start else 200, data[start:], marks, body)

    def send(self, status, data, headers, body):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            stop = self.cut.pop(0) if len(data) > 1000 and self.cut else len(data)
            self.wfile.write(data[:stop])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    """The address of a hub."""
    monkeypatch.setattr(Hub, "cut", [])
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setattr(Hub, "spoilt", False)
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_model_comes_with_what_it_needs_and_no_more(hub, tmp_path, capsys):
    from huggingface_hub import hf_hub_download

    paths = download.download("small", cache=tmp_path, endpoint=hub)
    names = sorted(f"{path.parts[-4].removeprefix('models--')}/{path.name}" for path in paths)
    assert names == [
        "facebook--encodec_32khz/config.json",
        "facebook--encodec_32khz/model.safetensors",
        "facebook--musicgen-small/compression_state_dict.bin",
        "facebook--musicgen-small/state_dict.bin",
        "t5-base/config.json",
        "t5-base/pytorch_model.bin",  # where there are no safetensors
        "t5-base/spiece.model",
    ]
    said = capsys.readouterr().out
    assert "CC BY-NC 4.0" in said and "7 files to fetch" in said and str(tmp_path) in said
    there = hf_hub_download(
        SMALL, "state_dict.bin", cache_dir=tmp_path, local_files_only=True
    )  # offline from now on
    assert open(there, "rb").read() == WEIGHTS
    Hub.asked.clear()
    download.download(SMALL, cache=tmp_path, endpoint=hub)
    assert "0 files to fetch" in capsys.readouterr().out and not Hub.asked


def test_a_broken_connection_goes_on_where_it_stopped(hub, tmp_path):
    Hub.cut[:] = [100_000, 50_000]
    download.download("small", cache=tmp_path, endpoint=hub)
    ranges = [asked for name, asked in Hub.asked if name == "state_dict.bin"]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_command_that_was_stopped_goes_on(hub, tmp_path):
    """After as many failures as are put up with; the next command needs only the rest."""
    Hub.cut[:] = [1000] * download.ATTEMPTS
    with pytest.raises(
        InterpError, match="state_dict.bin of .* did not come whole in 5 attempts.*run the command again"
    ):
        download.download("small", cache=tmp_path, endpoint=hub)
    (begun,) = tmp_path.rglob("*.begun")
    assert begun.stat().st_size == 5000 and begun.read_bytes() == WEIGHTS[:5000]
    Hub.asked.clear()
    download.download("small", cache=tmp_path, endpoint=hub)
    assert ("state_dict.bin", "bytes=5000-") in Hub.asked and not list(tmp_path.rglob("*.begun"))


def test_spoilt_content_is_not_kept(hub, tmp_path):
    Hub.spoilt = True
    with pytest.raises(InterpError, match="came damaged .checksum. and was deleted"):
        download.download("small", cache=tmp_path, endpoint=hub)
    assert not list(tmp_path.rglob("*.begun")) and not list(tmp_path.rglob("snapshots"))


def test_again_replaces_a_file_that_went_bad(hub, tmp_path):
    path = download.download("small", cache=tmp_path, endpoint=hub)[0]
    path.resolve().write_bytes(bytes(len(WEIGHTS)))
    download.download("small", cache=tmp_path, endpoint=hub, again=True)
    assert path.read_bytes() == WEIGHTS


def test_the_disk_is_asked_beforehand(hub, tmp_path, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, download.MARGIN + 200_000))
    with pytest.raises(InterpError, match="GiB are free in .*make room, or set HF_HOME"):
        download.download("small", cache=tmp_path / "not" / "there", endpoint=hub)
    assert not Hub.asked


def test_what_cannot_be_fetched(hub, tmp_path):
    for name, said in [
        ("tiny", "valid: small, medium, large"),
        ("nobody/nothing", "did not tell the files of nobody/nothing"),
    ]:
        with pytest.raises(InterpError, match=said) as caught:
            download.download(name, cache=tmp_path, endpoint=hub)
        assert "\n" not in str(caught.value)
    with pytest.raises(InterpError, match="has no weights of this kind"):
        download.download(SMALL, backend="transformers", cache=tmp_path, endpoint=hub)
    with pytest.raises(InterpError, match="check the name and the network"):
        download.download("small", cache=tmp_path, endpoint="http://127.0.0.1:9")
