#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures a second that the studio page really shows in headless Chromium, at 1920x1080.

    bench/browser.py PROGRAM [SECONDS]

Two streams: one that offers 60 a second, and one that offers 120, to see what the browser can take.
"""

import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/e2e"))

from browser import Browser, find
from server import Server, folder

COUNT = """
globalThis.presented = 0;
const prototype = ImageBitmapRenderingContext.prototype, transfer = prototype.transferFromImageBitmap;
prototype.transferFromImageBitmap = function (bitmap) {
    globalThis.presented++;
    return transfer.call(this, bitmap);
};
"""


def measure(browser, program, fps, seconds):
    here = folder()
    server = Server(program, f"pattern ball size=1920x1080 fps={fps} => jpeg q=80 -> live", here)
    page = browser.page(width=1920, height=1200)
    try:
        page.before(COUNT)
        page.open(server.address)
        page.wait("presented > 30", 20)
        first, began = page.js("presented"), time.monotonic()
        time.sleep(seconds)
        return (page.js("presented") - first) / (time.monotonic() - began)
    finally:
        page.close()
        server.kill()
        shutil.rmtree(here, ignore_errors=True)


def main():
    program = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    browser = Browser(find())
    try:
        for fps in (60, 120):
            shown = measure(browser, program, fps, seconds)
            print(f"{fps} offered: {shown:.1f} pictures a second shown", flush=True)
    finally:
        browser.close()


main()
