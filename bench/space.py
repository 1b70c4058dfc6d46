#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures a second that /space.html draws of 256 000 points in headless Chromium without a GPU.

    bench/space.py PROGRAM [SECONDS] [auto|cpu|gl]...

auto: as the page chooses; gl insists on Chromium's software WebGL, cpu on the page's own drawing. A
tape of the scene is played, so that making depth costs nothing. Also counted: buffers, textures and
pictures that are made after the first maps, which have to be none.
"""

import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/e2e"))

from browser import SOFTWARE_GL, Browser, find
from server import Server, folder

SCENE = """scene 640x400 fps=15 height=8 distance=5 fov=50 spin=0 -> pic: jpeg q=85 -> rest: null
scene.depth -> solid: steady far=30 edge=0 -> pack: depth16 -> tape {tape}
pic -> pack.picture"""

COUNT = """
globalThis.drawn = globalThis.made = 0;
const gl = WebGL2RenderingContext.prototype;
for (const name of ['createBuffer', 'createTexture', 'texImage2D', 'bufferData', 'createVertexArray']) {
    const real = gl[name];
    gl[name] = function (...args) { globalThis.made++; return real.apply(this, args); };
}
globalThis.ImageData = class extends ImageData {
    constructor(...args) { super(...args); globalThis.made++; }
};
for (const [where, name] of [[gl, 'clear'], [CanvasRenderingContext2D.prototype, 'putImageData']]) {
    const real = where[name];
    where[name] = function (...args) { globalThis.drawn++; return real.apply(this, args); };
}
"""
MAPS = "Number(document.querySelector('#space')?.dataset.maps ?? 0)"


def measure(browser, url, seconds):
    page = browser.page(width=1280, height=800)
    page.before(COUNT)
    page.open(url)
    page.wait(f"{MAPS} >= 8", 20)
    drawn, made, maps, began = page.js("drawn"), page.js("made"), page.js(MAPS), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    who = page.js("document.querySelector('#space').dataset.painter")
    print(f"{who}: {page.text('#points')} points: {(page.js('drawn') - drawn) / took:.1f} pictures a second, "
          f"{(page.js(MAPS) - maps) / took:.1f} maps a second, {page.js('made') - made} buffers made", flush=True)
    page.close()


def main():
    program = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    here = folder()
    tape = os.path.join(here, "points.phs")
    subprocess.run([program, "run", "-q", SCENE.format(tape=tape), "--offline", "-n", "30"], check=True)
    server = Server(program, f"play {tape} -> live", here)
    browser = Browser(find(), SOFTWARE_GL)
    try:
        for how in sys.argv[3:] or ["auto"]:
            measure(browser, f"{server.url}space.html?draw={how}", seconds)
    finally:
        browser.close()
        server.kill()
        shutil.rmtree(here, ignore_errors=True)


main()
