# SPDX-License-Identifier: MIT
"""Headless Chromium through its DevTools pipe, with nothing beyond Python itself.

The pipe (--remote-debugging-pipe) carries JSON messages that end in a NUL: no port to find, no
WebSocket client to install, and the browser ends when the pipe closes.
"""

import base64
import fcntl
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-extensions --mute-audio --hide-scrollbars --force-color-profile=srgb
    --use-fake-device-for-media-stream --use-fake-ui-for-media-stream
    --remote-debugging-pipe""".split()
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
CALL_S = 90
LEAVING = ("context was destroyed", "Cannot find context", "Inspected target navigated",
           "Not attached to an active page")
PATIENCE = 6  # times what a quiet machine needs: others may be at work, too


def find():
    """The path of a Chromium, or None."""
    names = [os.environ.get("PH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


class Failure(AssertionError):
    """What a test found wrong."""


def high(fd):
    """The same file under a number that does not collide with 3 and 4; closes the old one."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(fd)
    return moved


class Browser:
    def __init__(self, program, flags=()):
        self.profile = tempfile.mkdtemp(prefix="ph-e2e-")
        to_read, to_write = map(high, os.pipe())
        from_read, from_write = map(high, os.pipe())

        def pipes():
            os.dup2(to_read, 3)
            os.dup2(from_write, 4)

        self.process = subprocess.Popen(
            [program, *FLAGS, *flags, f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=pipes, close_fds=False)
        os.close(to_read)
        os.close(from_write)
        self.output = os.fdopen(to_write, "wb", buffering=0)
        self.input = os.fdopen(from_read, "rb", buffering=0)
        self.messages = queue.Queue()
        self.pages = {}
        self.last_id = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.downloads = os.path.join(self.profile, "downloads")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=self.downloads)

    def close(self):
        self.output.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _read(self):
        rest = b""
        while chunk := self.input.read(1 << 20):
            *whole, rest = (rest + chunk).split(b"\0")
            for text in whole:
                self.messages.put(json.loads(text))
        self.messages.put(None)

    def call(self, method, session=None, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.output.write(json.dumps(message).encode() + b"\0")
        return self._until(self.last_id, method)

    def _until(self, wanted, method):
        deadline = time.monotonic() + CALL_S
        while True:
            try:
                message = self.messages.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"the browser did not answer {method} within {CALL_S} s") from None
            if message is None:
                raise Failure(f"the browser ended during {method}")
            if message.get("id") == wanted:
                if "error" in message:
                    raise Failure(f"{method}: {message['error']['message']}")
                return message["result"]
            page = self.pages.get(message.get("sessionId"))
            if page and "method" in message:
                page.event(message["method"], message["params"])

    def page(self, width, height, dark=True, mobile=False, calm=False):
        return Page(self, width, height, dark, mobile, calm)


KEYS = {
    "Enter": {"code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    "Escape": {"code": "Escape", "windowsVirtualKeyCode": 27},
    "Tab": {"code": "Tab", "windowsVirtualKeyCode": 9},
    "ArrowRight": {"code": "ArrowRight", "windowsVirtualKeyCode": 39},
    "ArrowLeft": {"code": "ArrowLeft", "windowsVirtualKeyCode": 37},
}


class Page:
    def __init__(self, browser, width, height, dark, mobile, calm):
        self.browser = browser
        self.complaints = []  # console errors, failed requests and exceptions
        self.loads = 0
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank",
                              browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"}])
        browser.call("Browser.setDownloadBehavior", behavior="allow",
                     downloadPath=browser.downloads, browserContextId=self.context)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
        del self.browser.pages[self.session]

    def event(self, method, params):
        if method == "Runtime.exceptionThrown":
            detail = params["exceptionDetails"]
            self.complaints.append(detail.get("exception", {}).get("description", detail["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(" ".join(str(a.get("value", "")) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {params['message']}")

    def open(self, url):
        loads = self.loads
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise Failure(f"{url}: {answer['errorText']}")
        if "loaderId" not in answer:  # only the fragment differs
            self.call("Page.reload")
        deadline = time.monotonic() + CALL_S
        while self.loads == loads:
            if time.monotonic() > deadline:
                raise Failure(f"{url} did not load within {CALL_S} s")
            self.js("0")

    def before(self, script):
        """Runs in each document before anything of its own does."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def js(self, expression):
        """The value of an expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            detail = answer["exceptionDetails"]
            words = detail.get("exception", {}).get("description", detail["text"])
            raise Failure(f"{expression}: {words}")
        return answer["result"].get("value")

    def wait(self, expression, seconds=10):
        """Waits until the expression is true; gives its value."""
        deadline = time.monotonic() + PATIENCE * seconds
        while True:
            try:
                value = self.js(expression)
            except Failure as failure:
                if not any(words in str(failure) for words in LEAVING):
                    raise
                value = None  # it is on its way to another page
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure(f"still not after {PATIENCE * seconds} s: {expression}")
            time.sleep(0.05)

    def click(self, selector):
        place = self.wait(f"""(() => {{
            const node = document.querySelector({json.dumps(selector)});
            node?.scrollIntoView({{ block: 'center' }});
            const box = node?.getBoundingClientRect();
            return box?.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="left", clickCount=1)

    def key(self, name):
        detail = KEYS.get(name, {"text": name, "code": f"Key{name.upper()}"})
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, **detail)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name,
                  **{k: v for k, v in detail.items() if k != "text"})

    def fill(self, selector, text):
        """Replaces what stands in a field, as typing would."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{field} !== null")
        self.js(f"{field}.focus(), {field}.select()")
        self.call("Input.insertText", text=text)

    def text(self, selector):
        return self.js(f"document.querySelector({json.dumps(selector)})?.textContent")

    def pixels(self, selector="#picture"):
        """(width, height, RGBA bytes) of a canvas."""
        got = self.js(f"""(() => {{
            const canvas = document.querySelector({json.dumps(selector)});
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
            copy.drawImage(canvas, 0, 0);
            const {{ data }} = copy.getImageData(0, 0, canvas.width, canvas.height);
            let text = '';
            for (let i = 0; i < data.length; i += 32768) {{
                text += String.fromCharCode(...data.subarray(i, i + 32768));
            }}
            return [canvas.width, canvas.height, btoa(text)];
        }})()""")
        return got[0], got[1], base64.b64decode(got[2])

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def downloaded(self, since, suffix, seconds=20):
        """The path of a file with that suffix which came after the listing `since`."""
        deadline = time.monotonic() + PATIENCE * seconds
        while time.monotonic() < deadline:
            self.js("0")  # keeps events flowing
            for name in set(self.listing()) - set(since):
                if name.endswith(suffix):
                    return os.path.join(self.browser.downloads, name)
            time.sleep(0.1)
        raise Failure(f"no {suffix} was downloaded, but {self.listing()}")

    def clear_downloads(self):
        """Earlier cases leave files, and one of the same name would not be seen to come."""
        for name in self.listing():
            os.remove(os.path.join(self.browser.downloads, name))
        return []

    def listing(self):
        folder = self.browser.downloads
        return os.listdir(folder) if os.path.isdir(folder) else []
