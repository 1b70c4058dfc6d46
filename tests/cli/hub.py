#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A hub for tests: hub.py ROOT LOG [OPTION...]. ROOT/OWNER/NAME/... are models. Prints its port.
Answers GET /api/models/OWNER/NAME/tree/REVISION, /OWNER/NAME/resolve/REVISION/PATH (weights by way
of a redirect with X-Linked-Etag), and /plain/OWNER/NAME/PATH as a web server without any of that.
Every request goes to LOG as "METHOD PATH [RANGE]".
  cut=N       the first answer for each file ends after N bytes
  slow=N      N bytes a second
  no-range    ranges are not understood
  no-sums     the list and the redirects give no checksum
  wrong       they give a wrong one
  evil        the list has paths that lead out of the folder
"""
import hashlib
import http.server
import json
import os
import re
import sys
import time

root, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
options = dict((o.split("=") + ["1"])[:2] for o in sys.argv[3:])
cut, slow = int(options.get("cut", 0)), int(options.get("slow", 0))
was_cut = set()


def checksum(path):
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    return digest[::-1] if "wrong" in options else digest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        log.write(f"{self.command} {self.path} {self.headers.get('Range', '')}\n")
        path = self.path.split("?")[0]
        if m := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/main", path):
            self.send_tree(os.path.join(root, m[1]))
        elif m := re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", path):
            self.send_resolved(m[1], m[2])
        elif m := re.fullmatch(r"/(?:plain|blob)/(.+)", path):
            self.send_file(os.path.join(root, m[1]))
        else:
            self.send_none()

    def send_none(self):
        self.send_bytes(404, b"there is no such thing")

    def send_bytes(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send_tree(self, folder):
        if not os.path.isdir(folder):
            return self.send_none()
        entries = []
        for at, _, names in os.walk(folder, followlinks=True):
            for name in names:
                path = os.path.join(at, name)
                entry = {"type": "file", "path": os.path.relpath(path, folder), "oid": "0" * 40,
                         "size": os.path.getsize(path)}
                if name.endswith(".safetensors") and "no-sums" not in options:
                    entry["lfs"] = {"oid": checksum(path), "size": entry["size"]}
                entries.append(entry)
        if "evil" in options:
            entries += [{"type": "file", "path": p, "size": 3}
                        for p in ("../evil.json", "/tmp/evil.json", "unet/../../evil.json")]
        self.send_bytes(200, json.dumps(entries).encode())

    def send_resolved(self, model, path):
        file = os.path.join(root, model, path)
        if not path.endswith(".safetensors") or not os.path.isfile(file):
            return self.send_file(file)
        self.send_response(302)
        self.send_header("Location", f"/blob/{model}/{path}")
        if "no-sums" not in options:
            self.send_header("X-Linked-Etag", f'"{checksum(file)}"')
        self.send_header("X-Linked-Size", str(os.path.getsize(file)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, file):
        if not os.path.isfile(file):
            return self.send_none()
        with open(file, "rb") as f:
            body = f.read()
        begin, size = 0, len(body)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and "no-range" not in options:
            begin = int(wanted[1])
            if begin >= size:
                return self.send_bytes(416, b"")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(size - begin))
        self.end_headers()
        if self.command == "GET":
            self.send_body(file, body[begin:])

    def send_body(self, file, body):
        if cut and len(body) > cut and file not in was_cut:
            was_cut.add(file)
            self.wfile.write(body[:cut])
            self.close_connection = True
            return
        step = max(1, slow // 20) if slow else len(body)
        for at in range(0, len(body), step or 1):
            self.wfile.write(body[at:at + step])
            self.wfile.flush()
            if slow:
                time.sleep(0.05)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
