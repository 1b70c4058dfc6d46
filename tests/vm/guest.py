# SPDX-License-Identifier: MIT
"""Inside the virtual machine: its last preparations, and how the tests look at the room."""

import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import tty
import urllib.error
import urllib.request

PATIENCE_S = 240  # an emulated processor is slow; nothing takes this long that works


class Failure(Exception):
    pass


def check(truth, words):
    if not truth:
        raise Failure(words)


def wait_for(what, ask, patience_s=PATIENCE_S):
    """What ask() answers once it is true. Whatever it raises is not yet."""
    deadline, last = time.monotonic() + patience_s, None
    while time.monotonic() < deadline:
        try:
            last = ask()
        except (OSError, Failure, ValueError) as error:
            last, answer = error, None
        else:
            answer = last
        if answer:
            return answer
        time.sleep(0.1)
    raise Failure(f"waited in vain for {what}; last: {last!r}")


# --- the machine


def libc(name, *args):
    if ctypes.CDLL(None, use_errno=True)[name](*args) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def load_module(path, options=""):
    with open(path, "rb") as module:
        libc("syscall", 313, module.fileno(), options.encode(), 0)


def prepare(work):
    """Loopback, the shared folder, and our standard output to the host."""
    line = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    tty.setraw(line)
    os.dup2(line, 1)
    os.dup2(line, 2)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    libc("mount", b"work", work.encode(), b"9p", 0, b"trans=virtio,version=9p2000.L,msize=262144")


# --- the program


class Program:
    """A command that serves a room; its lines are kept."""

    def __init__(self, command, folder):
        self.lines = []
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True, env={**os.environ, "XDG_STATE_HOME": "/run/state"})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def text(self):
        return "\n".join(self.lines)

    def stop(self):
        """SIGTERM to all of it; how it ended."""
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def url(self):
        def told():
            check(self.process.poll() is None, f"it ended with {self.process.poll()}:\n{self.text()}")
            return re.search(r"http://[\w.:]+/", self.text())
        return wait_for("the room's address", told)[0]


class Room:
    def __init__(self, url, name="demo"):
        self.url, self.name = url.rstrip("/"), name

    def ask(self, path, method="GET", body=None):
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def document(self):
        return json.loads(self.ask(f"/api/v1/rooms/{self.name}"))

    def node(self, kind):
        return next(node for node in self.document()["nodes"] if node["type"] == kind)

    def jpeg(self):
        return self.ask("/frame.jpg")

    def picture(self):
        return Picture(self.jpeg())


class Picture:
    """A JPEG's pixels."""

    def __init__(self, jpeg):
        self.jpeg = jpeg
        told = subprocess.run(["ffmpeg", "-v", "error", "-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb24",
                               "-vf", "showinfo", "-loglevel", "info", "-"], input=jpeg, capture_output=True, check=True)
        size = re.search(rb" s:(\d+)x(\d+) ", told.stderr)
        self.width, self.height = int(size[1]), int(size[2])
        self.pixels = told.stdout

    def at(self, x, y):
        """The colour at a place given as shares of width and height."""
        offset = 3 * (int(y * self.height) * self.width + int(x * self.width))
        return tuple(self.pixels[offset:offset + 3])

    def row(self, colors, y, tolerance):
        """What is wrong with the bars of these colours at height y, or None."""
        got = [self.at((i + 0.5) / len(colors), y) for i in range(len(colors))]
        for i, (have, want) in enumerate(zip(got, colors)):
            if max(abs(a - b) for a, b in zip(have, want)) > tolerance:
                return f"bar {i} at {y} is {have}, not {want} (all: {got})"
        return None


class Viewer:
    """Watches the room's MJPEG stream and reads all of it."""

    def __init__(self, url):
        self.answer = urllib.request.urlopen(url.rstrip("/") + "/stream.mjpg", timeout=PATIENCE_S)
        self.bytes, self.ended = 0, False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while data := self.answer.read1(65536):
                self.bytes += len(data)
        except (OSError, ValueError):
            pass
        self.ended = True

    def sees_more(self):
        begin = self.bytes
        wait_for("pictures", lambda: self.bytes > begin)
