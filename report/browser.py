"""Open every page of the built book in a real browser that has no network, and play sounds on each.

Chromium is driven through its DevTools protocol.  Pages are opened as files and over HTTP on this machine,
since readers do either and browsers treat the two differently.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from .check import pages_of
from .project import ReportError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ELSEWHERE = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it opens nothing but our own pages, and in containers the sandbox does not start
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    # No network: no name is known, and every address but this machine's leads to a port where nothing is.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=127.0.0.1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
PATIENCE_S = 30

# Lets late scripts settle, then plays for a moment the page's first sound, a point of every sound map, and a
# clip that the slider of every listening panel moves to; says how far each came, or why not.
PLAY = """(async () => {
  await window.MathJax?.startup?.promise;
  await new Promise(done => setTimeout(done, 200));
  async function far(player, start) {
    try {
      await start();
      const end = performance.now() + 5000;
      while (player.currentTime < 0.1 && !player.ended && !player.error && performance.now() < end)
        await new Promise(done => setTimeout(done, 20));
      player.pause();
      return player.error?.message || player.currentTime || "it started and stood still";
    } catch (error) { return String(error); }
  }
  const played = {}, first = document.querySelector("audio[src]");
  if (first) played["its first sound"] = await far(first, () => first.play());
  for (const map of document.querySelectorAll(".soundmap")) {
    const point = map.querySelector(".point"), live = point?.getClientRects().length;
    played[`the map ${map.id}`] = live
      ? await far(map.querySelector("audio"), () => point.dispatchEvent(new MouseEvent("click", {
          bubbles: true, cancelable: true })))
      : "its picture shows instead";
  }
  for (const figure of document.querySelectorAll(".dosepanel")) {
    const slider = figure.querySelector("input.dose"), audio = figure.querySelector("audio");
    const before = audio?.getAttribute("src");
    if (slider) {
      slider.value = slider.value === slider.max ? slider.min : slider.max;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
    played[`the panel ${figure.id}`] = slider?.getClientRects().length && audio.getAttribute("src") !== before
      ? await far(audio, () => audio.play())
      : "its slider does not change the clip";
  }
  return played;
})()"""


def find_browser() -> str:
    """The path of a Chromium or Chrome.

    Raises
    ------
    ReportError
        If there is none.
    """
    for name in (*NAMES, *ELSEWHERE):
        path = shutil.which(name)
        if path:
            return path
    raise ReportError("No Chromium or Chrome is installed; on Debian: apt-get install chromium.")


def check_in_browser(html: Path, below: str = "") -> tuple[dict[str, int], list[str]]:
    """Open every page below a folder, twice.

    Parameters
    ----------
    html : the folder that is served.
    below : a folder in it whose pages are opened; empty for all of it.

    Returns
    -------
    counts : pages opened, sounds played, requests that left the book and were blocked.
    problems : one line each: such a request, an error on a page's console, a sound that does not play.
    """
    counts = dict.fromkeys(("pages opened", "sounds played", "requests blocked"), 0)
    problems: list[str] = []
    pages = [page.relative_to(html).as_posix() for page in pages_of(html / below)]
    with served(html) as address, chromium() as browser:
        for base in (html.resolve().as_uri() + "/", address):
            for page in pages:
                visit = browser.visit(base + page, base)
                counts["pages opened"] += 1
                counts["requests blocked"] += len(visit.strangers)
                mute = {what: far for what, far in visit.played.items() if isinstance(far, str)}
                counts["sounds played"] += len(visit.played) - len(mute)
                found = [f"asks for {url}" for url in visit.strangers]
                found += [f"console: {line}" for line in visit.errors]
                found += [f"{what} does not play: {why}" for what, why in mute.items()]
                scheme = base.partition(":")[0]
                problems += [f"{page} ({scheme}): {line}" for line in found]
    return counts, problems


class Visit:
    """What one page did while it was open."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.loaded = False
        self.strangers: list[str] = []
        self.errors: list[str] = []
        self.waiting: set[str] = set()  # requests under way
        self.played: dict[str, float | str] = {}  # seconds, or why not

    def note(self, event: str, data: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self.loaded = True
        elif event == "Network.requestWillBeSent":
            url = data["request"]["url"]
            self.waiting.add(data["requestId"])
            if not url.startswith((self.home, "data:", "blob:")):
                self.strangers.append(url)
        elif event in ("Network.loadingFinished", "Network.loadingFailed"):
            self.waiting.discard(data["requestId"])
        elif event == "Runtime.exceptionThrown":
            details = data["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and data["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(part.get("value", "?")) for part in data["args"]))
        elif event == "Log.entryAdded" and data["entry"]["level"] == "error":
            self.errors.append(f"{data['entry']['text']} {data['entry'].get('url', '')}".strip())


class Browser:
    """One tab of a running Chromium."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.socket = socket
        self.last = 0  # number of the last command
        self.now = Visit("")
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def visit(self, url: str, home: str) -> Visit:
        """Open a page, wait until it is quiet, play its first sound and its maps."""
        self.now = visit = Visit(home)
        self.call("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE_S
        try:
            while not visit.loaded or visit.waiting:
                if time.monotonic() > end:
                    raise websocket.WebSocketTimeoutException
                self._read()
        except websocket.WebSocketTimeoutException:  # also when the browser has said nothing for so long
            visit.errors.append(f"the page was not loaded after {PATIENCE_S} s")
            return visit
        answer = self.call("Runtime.evaluate", expression=PLAY, awaitPromise=True, returnByValue=True)
        visit.played = answer["result"]["value"]
        return visit

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; what the page does meanwhile is noted."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = self._read()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise ReportError(f"The browser refused {method}: {answer['error']['message']}.")
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        message = json.loads(self.socket.recv())
        if "method" in message:
            self.now.note(message["method"], message["params"])
        return message


@contextmanager
def chromium() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory(prefix="report-browser-", ignore_cleanup_errors=True) as folder:
        command = [find_browser(), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = Path(folder) / "DevToolsActivePort"
            end = time.monotonic() + PATIENCE_S
            while not port.is_file() or len(port.read_text().split()) < 2:
                if process.poll() is not None or time.monotonic() > end:
                    raise ReportError(f"{command[0]} does not start; try it by hand.")
                time.sleep(0.05)
            number, path = port.read_text().split()
            socket = websocket.create_connection(f"ws://127.0.0.1:{number}{path}", timeout=PATIENCE_S)
            yield Browser(socket)
            socket.close()
        finally:
            process.terminate()
            process.wait()


@contextmanager
def served(html: Path, port: int = 0) -> Iterator[str]:
    """The folder over HTTP, on a port of this machine, by default a free one; the address ends in a slash."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", port), functools.partial(Quiet, directory=html)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
