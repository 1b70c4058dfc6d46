# SPDX-License-Identifier: MIT
"""The program under test, served on a port of its own, and what is read back from its pictures."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from browser import Failure

START_S = 90
STOP_S = 20  # the program promises one, on a machine that does nothing else


class Server:
    def __init__(self, program, graph, folder, port=0, extra=()):
        self.lines = []
        self.process = subprocess.Popen(
            [program, "serve", "--json", "--port", str(port), *extra, graph],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=folder, env={**os.environ, "XDG_STATE_HOME": os.path.join(folder, "state")})
        threading.Thread(target=self._read, daemon=True).start()
        told = self._told()
        self.address, self.port = told["url"], told["port"]  # with #token=… if it wants one
        self.url = self.address.split("#")[0]

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def _told(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            for line in self.lines:
                if line.startswith("{"):
                    return json.loads(line)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise Failure("the server printed no address:\n" + "\n".join(self.lines))

    def stop(self):
        """SIGTERM, and its end."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the server did not end on SIGTERM") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def call(self, method, path, body=None, token=None):
        request = urllib.request.Request(self.url.rstrip("/") + path, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if method != "GET":
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body or {}).encode()
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def value(self, node, param, room="demo"):
        for known in self.call("GET", f"/api/v1/rooms/{room}/params")["nodes"]:
            if known["name"] == node:
                return known["values"][param]
        raise Failure(f"no node {node} in room {room}")


def folder():
    return tempfile.mkdtemp(prefix="ph-e2e-server-")


class Pixels:
    def __init__(self, width, height, rgba):
        self.width, self.height, self.rgba = width, height, rgba

    def at(self, x, y):
        """The colour at a place given as shares of width and height."""
        offset = 4 * (int(y * self.height) * self.width + int(x * self.width))
        return tuple(self.rgba[offset:offset + 3])

    def close_to(self, x, y, color, tolerance=24):
        return all(abs(a - b) <= tolerance for a, b in zip(self.at(x, y), color))

    def bar_code(self):
        """The frame's number drawn at the top right, or None: format in src/image/barcode.h."""
        rows = [sum(self._cell(row, column) << (7 - column) for column in range(8))
                for row in range(8)]
        if rows[0] != 0xAA or rows[7] != 0x33 or crc16(rows[1:5]) != rows[5] << 8 | rows[6]:
            return None
        return int.from_bytes(bytes(rows[1:5]), "big")

    def _cell(self, row, column):
        color = self.at((38 + column + 0.5) / 48, (2 + row + 0.5) / 30)
        return int(sum(color) > 3 * 128)


def crc16(data):
    """CRC-16/CCITT-FALSE."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc
