"""A headless Chromium, driven through chromedriver's own protocol with the standard library alone."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DRIVER = shutil.which("chromedriver")
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
              "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip
_SECONDS = 20


class Browser:
    """One window.

    Args:
        address: of the session.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def open(self, page: Path, *, width: int, height: int, dark: bool, phone: bool = False) -> None:
        """Shows a file, as a screen of some size and colour scheme would."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.devtools("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.devtools("Emulation.setEmulatedMedia", {"features": scheme})
        self._post("url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """Returns what a script returns."""
        return self._post("execute/sync", {"script": script, "args": []})

    def errors(self) -> list[str]:
        """Returns what the console said since the last call."""
        return [entry["message"] for entry in self._post("se/log", {"type": "browser"})]

    def picture(self, top: int = 0, height: int | None = None) -> bytes:
        """Returns a PNG of the page, or of a part of it."""
        width, whole = self.run("const e = document.scrollingElement; return [e.clientWidth, e.scrollHeight]")
        clip = {"x": 0, "y": top, "width": width, "height": height or whole - top, "scale": 1}
        shot = self.devtools("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        return base64.b64decode(shot["data"])

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """Returns what a command of the developer tools answers."""
        return self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        return _post(f"{self._address}/{path}", content)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A window that is closed afterwards, with a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        driver = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}/session"
        options = {"args": [*_ARGUMENTS, f"--user-data-dir={folder}/user"]}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        try:
            _wait(port)
            session = f"{address}/{_post(address, {'capabilities': wanted})['sessionId']}"
            try:
                yield Browser(session)
            finally:
                urllib.request.urlopen(urllib.request.Request(session, method="DELETE"), timeout=_SECONDS).close()
        finally:
            driver.terminate()
            driver.wait(_SECONDS)


def _wait(port: int) -> None:
    """Waits until somebody listens."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _post(address: str, content: dict[str, Any]) -> Any:
    """Returns the value of an answer."""
    request = urllib.request.Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["value"]
