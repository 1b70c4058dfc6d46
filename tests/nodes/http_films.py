# SPDX-License-Identifier: MIT
# Serves the files of a folder with byte ranges, as web servers do: http_films.py FOLDER PORT
import http.server
import os
import re
import sys


class Films(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = os.path.join(sys.argv[1], os.path.basename(self.path))
        if not os.path.exists(path):
            self.send_error(404)
            return
        with open(path, "rb") as f:
            data = f.read()
        first, part = 0, re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if part:
            first = int(part.group(1))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        try:
            self.wfile.write(data[first:])
        except OSError:
            self.close_connection = True


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Films).serve_forever()
