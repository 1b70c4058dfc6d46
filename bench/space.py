#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures a second that /space.html draws of 256 000 points in headless Chromium's software GL.

    bench/space.py PROGRAM [SECONDS]

A tape of the scene is played, so that making depth costs the browser nothing. Also counted: buffers
and textures that are made after the first maps, which have to be none.
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
const clear = gl.clear;
gl.clear = function (mask) { globalThis.drawn++; return clear.call(this, mask); };
"""


def main():
    program = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    here = folder()
    tape = os.path.join(here, "points.phs")
    subprocess.run([program, "run", "-q", SCENE.format(tape=tape), "--offline", "-n", "30"], check=True)
    server = Server(program, f"play {tape} -> live", here)
    browser = Browser(find(), SOFTWARE_GL)
    try:
        page = browser.page(width=1280, height=800)
        page.before(COUNT)
        page.open(server.url + "space.html")
        page.wait("Number(document.querySelector('#space')?.dataset.maps ?? 0) >= 8", 20)
        drawn, made, began = page.js("drawn"), page.js("made"), time.monotonic()
        maps = page.js("Number(document.querySelector('#space').dataset.maps)")
        time.sleep(seconds)
        took = time.monotonic() - began
        points = page.text("#points")
        print(f"{points} points: {(page.js('drawn') - drawn) / took:.1f} pictures a second, "
              f"{(page.js('Number(document.querySelector(`#space`).dataset.maps)') - maps) / took:.1f} maps a "
              f"second, {page.js('made') - made} buffers and textures made")
    finally:
        browser.close()
        server.kill()
        shutil.rmtree(here, ignore_errors=True)


main()
