"""A real browser for pages that convcli writes: headless Chromium, driven over pipes by the DevTools protocol.

    def test_a_page(browser, page_file):
        tab = browser.open(page_file)
        tab.move("[data-layer='1'][data-y='0'][data-x='2']")
        assert "3" == tab.evaluate("document.getElementById('sum').textContent")
        tab.press("ArrowRight")
        assert [] == tab.problems     # what the console says of errors, and what the page's policy forbade

The fixture `browser` (conftest.py) starts one for each process of tests, and skips where there is no Chromium.
"""

from __future__ import annotations

import base64
import io
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe", "--mute-audio"),
)
PATIENCE = 60  # seconds for one answer: two cores that others use, too
KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "PageUp": 33,
    "PageDown": 34,
}


def found() -> str | None:
    """The program of a Chromium, if there is one."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One Chromium for all tests of this process."""
    program = found()
    if program is None:
        pytest.skip("no Chromium: install the package chromium")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


class Browser:
    """A running Chromium."""

    def __init__(self, program: str, profile: Path) -> None:
        import fcntl

        reading, self.out = os.pipe()
        self.into, writing = os.pipe()
        theirs_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reading, writing))
        # Chromium reads file 3 and writes file 4; a shell puts them there.
        arranged = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", arranged, "bash", program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (reading, writing, theirs_in, theirs_out):
            os.close(end)
        self.rest, self.sent = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """What the browser answers to one command."""
        self.sent += 1
        command = {"id": self.sent, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.sent:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    def message(self) -> dict[str, Any]:
        """The next message of the browser."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.into], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self.into, 1 << 20)
            assert data, "the browser has ended"
            self.rest += data
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def open(self, path: Path, width: int = 1000, height: int = 800, *, dark: bool = False) -> Tab:
        """A file in a tab of its own, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        tab.darken(dark)
        tab.call("Page.navigate", url=path.resolve().as_uri())
        tab.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        return tab

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.out)
        os.close(self.into)


class Tab:
    """A page in the browser."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the tab answers to one command."""
        return self.browser.call(method, self.session, **params)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < until, f"never true: {condition}"
            time.sleep(0.02)

    def within(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> tuple[float, float]:
        """A place of the first element that a selector of CSS finds, scrolled into view: by default its middle."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{found}.scrollIntoView({{block: 'center', inline: 'center'}})")
        box = f"(b => [b.x + b.width * {at[0]}, b.y + b.height * {at[1]}])({found}.getBoundingClientRect())"
        x, y = self.evaluate(box)
        return x, y

    def move(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """The pointer over an element."""
        x, y = self.within(selector, at)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.evaluate("new Promise(shown => requestAnimationFrame(() => shown(true)))")

    def click(self, selector: str) -> None:
        """A click on an element."""
        x, y = self.within(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, selector: str, by: tuple[float, float]) -> None:
        """The pointer pressed on an element, moved by so many pixels, and released."""
        x, y = self.within(selector)
        to = {"x": x + by[0], "y": y + by[1], "button": "left", "buttons": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **to)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **to, clickCount=1)

    def press(self, key: str) -> None:
        """A key: one of `KEYS`, or a letter or blank."""
        code = KEYS.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def darken(self, dark: bool) -> None:
        """What the page is told that the reader prefers."""
        preferred = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[preferred])

    def screenshot(self) -> Image.Image:
        """What is seen, in RGB."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return Image.open(io.BytesIO(data)).convert("RGB")

    def colour(self, selector: str) -> tuple[int, int, int]:
        """The colour seen in the middle of an element."""
        x, y = self.within(selector)
        return self.screenshot().getpixel((int(x), int(y)))

    @property
    def problems(self) -> list[str]:
        """Errors and warnings that the console shows, and violations of the page's policy."""
        self.evaluate("0")  # what was said before is read before the answer
        ours = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [text for event in ours if (text := problem(event))]

    @property
    def requests(self) -> list[str]:
        """What the page has loaded beside itself."""
        return self.evaluate("performance.getEntriesByType('resource').map(each => each.name)")

    def close(self) -> None:
        """Close the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)


def problem(event: dict[str, Any]) -> str:
    """What an event complains of, or nothing."""
    method, params = event["method"], event["params"]
    if method == "Runtime.exceptionThrown":
        details = params["exceptionDetails"]
        return details.get("exception", {}).get("description", details["text"])
    if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
        return params["entry"]["text"]
    if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
        return str([each.get("value") for each in params["args"]])
    return ""
