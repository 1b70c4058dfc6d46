#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The studio page in headless Chromium against the real program, as TAP.

    studio.py PROGRAM OUTPUT-FOLDER [NAME...]

Every case has a server and a page of its own; screenshots are kept in the output folder.
"""

import glob
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import wave

sys.dont_write_bytecode = True  # the source folder stays as it is

from browser import PATIENCE, Browser, Failure, find
from server import Pixels, Server, folder

RED, BLUE = (200, 40, 40), (32, 64, 224)
SOLID = "pattern solid color=#c82828 size=640x360 fps=30 id=on => jpeg q=90 -> live"
VIDEO = """p: pattern solid color=#c82828 size=640x360 fps=30 id=on
p => jpeg q=90 -> show: live
p => video h264 quality=90 -> show"""
BALL = 'pattern ball size=640x360 fps=30 => text "{fps} fps" => jpeg q=85 -> live'
CAMERA = "browser => jpeg q=90 -> live"
CENTER = (0.5, 0.5)
LIVE = "document.querySelector('#state-word').textContent === 'live'"
SHOWN = "document.querySelector('#picture').width > 16"

CASES = []


def case(function):
    CASES.append(function)
    return function


class Skip(Exception):
    """What a case needs is not here."""


def small_model():
    here = os.path.dirname(os.path.abspath(__file__))
    golden = os.environ.get("PH_GOLDEN") or os.path.join(here, "../../../shared/golden")
    folder = os.path.abspath(os.path.join(golden, "diffusion/models/pipe_sd15_tiny"))
    if not os.path.exists(os.path.join(folder, "model_index.json")):
        raise Skip(f"no {folder}")
    return folder


def check(truth, words):
    if not truth:
        raise Failure(words)


class Studio:
    """One server and one page on it."""

    def __init__(self, browser, program, output, graph, extra=(), **view):
        self.program, self.output, self.graph, self.extra = program, output, graph, extra
        self.folder = folder()
        self.server = Server(program, graph, self.folder, extra=extra)
        self.page = browser.page(**{"width": 1440, "height": 900, **view})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.shot(f"failed-{sys._getframe(1).f_code.co_name}")
        self.page.close()
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, path=""):
        self.page.open(self.server.address + path)
        return self.live()

    def live(self, seconds=10):
        self.page.wait(f"{LIVE} && {SHOWN}", seconds)
        return self.page

    def pixels(self):
        return Pixels(*self.page.pixels())

    def until(self, what, words, seconds=10):
        """Waits until what(pixels) is true; gives those pixels."""
        deadline = time.monotonic() + PATIENCE * seconds
        while True:
            pixels = self.pixels()
            if what(pixels):
                return pixels
            if time.monotonic() > deadline:
                raise Failure(f"{words}; the middle of the picture is {pixels.at(*CENTER)}")
            time.sleep(0.05)

    def restart(self):
        """Stops and starts the server; gives the last picture of the old one."""
        port = self.server.port
        self.server.stop()
        self.page.wait("document.body.classList.contains('cut-off')", 10)
        last = self.pixels()
        self.server = Server(self.program, self.graph, self.folder, port, self.extra)
        return last

    def codec(self, name):
        self.page.js(f"""(() => {{
            const select = document.querySelector('#codec');
            select.value = '{name}';
            select.dispatchEvent(new Event('change'));
        }})()""")
        self.page.wait(f"document.querySelector('#caption').textContent.includes(' {name}')")

    def set_color(self, text):
        """Through the knob; waits for its acknowledgement and gives the words beside it."""
        self.page.fill("#knob-pattern-color", text)
        self.page.key("Enter")
        return self.page.wait("""[...document.querySelectorAll('.knob[data-state="ack"]')]
            .find((knob) => knob.querySelector('#knob-pattern-color'))
            ?.querySelector('.knob-state').textContent""")

    def shot(self, name):
        self.page.screenshot(os.path.join(self.output, f"{name}.png"))

    def quiet(self):
        check(not self.page.complaints, "the console said: " + "; ".join(self.page.complaints))


@case
def the_page_loads_and_nothing_complains(make):
    with make(BALL) as studio:
        page = studio.open()
        page.wait("document.querySelectorAll('.graph .node').length === 4")
        page.wait("document.querySelectorAll('.knob').length > 3")
        page.wait("parseFloat(document.querySelector('.meter .figure').textContent) > 2")
        words = page.js("document.querySelector('#graph-text').value")
        check("pattern" in words and "live" in words, f"the box of the graph text has {words!r}")
        time.sleep(1)
        studio.quiet()
        studio.shot("desktop-dark")


@case
def the_picture_is_the_one_that_was_drawn(make):
    with make(SOLID) as studio:
        studio.open()
        studio.codec("jpeg")
        studio.until(lambda p: p.close_to(*CENTER, RED), "the picture is not red")
        first = studio.until(lambda p: p.bar_code() is not None, "no bar code is read").bar_code()
        second = studio.until(lambda p: (p.bar_code() or 0) > first + 10, "the number stands still")
        told = int(studio.page.js("""[...document.querySelectorAll('#caption span')]
            .find((s) => s.textContent.startsWith('frame')).textContent.slice(6)"""))
        check(abs(second.bar_code() - told) < 90, f"drawn {second.bar_code()}, told {told}")
        studio.quiet()


@case
def video_shows_the_same_picture_and_jpeg_takes_over(make):
    with make(VIDEO) as studio:
        page = studio.open()
        page.wait("/h264|vp8/.test(document.querySelector('#caption').textContent)")
        studio.until(lambda p: p.close_to(*CENTER, RED, 32), "the video is not red")
        studio.until(lambda p: p.bar_code() is not None, "no bar code is read from the video")
        studio.codec("jpeg")
        studio.until(lambda p: p.close_to(*CENTER, RED), "the JPEG is not red")
        studio.quiet()


@case
def a_decoder_that_fails_is_replaced_by_jpeg(make):
    with make(VIDEO) as studio:
        studio.page.before("VideoDecoder.prototype.decode = () => { throw new Error('broken'); }")
        page = studio.open()
        page.wait("document.querySelector('#caption').textContent.includes(' jpeg')")
        studio.until(lambda p: p.close_to(*CENTER, RED), "the JPEG is not red")
        check("broken" in page.text("#toasts"), "nobody is told why")
        studio.quiet()


@case
def a_knob_changes_the_picture_and_is_acknowledged(make):
    with make(SOLID) as studio:
        studio.open()
        words = studio.set_color("#2040e0")
        check(words.startswith("frame "), f"beside the knob stands {words!r}")
        studio.until(lambda p: p.close_to(*CENTER, BLUE, 32), "the picture is not blue")
        kept = studio.server.value("pattern", "color")
        check(kept.startswith("#2040e0"), f"the server has {kept}")
        studio.shot("knob")
        studio.quiet()


@case
def a_refused_value_is_told_beside_its_knob(make):
    with make(SOLID) as studio:
        page = studio.open()
        before = studio.server.value("pattern", "fps")
        page.fill("#knob-pattern-fps", "5000")
        page.key("Enter")
        words = page.wait("""document.querySelector(
            '.knob[data-state="error"]:has(#knob-pattern-fps) .knob-error')?.textContent""")
        check("1000" in words, f"the refusal does not say the limit: {words}")
        check(studio.server.value("pattern", "fps") == before, "the value was taken all the same")
        studio.shot("knob-refused")


@case
def a_dragged_slider_ends_on_its_last_value(make):
    with make(BALL) as studio:
        studio.page.before("""(() => {
            const send = WebSocket.prototype.send;
            window.sets = 0;
            WebSocket.prototype.send = function (data) {
                window.sets += String(data).includes('"type":"set"');
                send.call(this, data);
            };
        })()""")
        page = studio.open()
        x, y = page.wait("""(() => {
            const slider = document.querySelector('.knob:has(#knob-pattern-speed) .slider');
            slider?.scrollIntoView();
            const box = slider?.getBoundingClientRect();
            return box && [box.x, box.y + box.height / 2];
        })()""")
        began = time.monotonic()
        mouse = {"button": "left", "clickCount": 1, "y": y}
        page.call("Input.dispatchMouseEvent", type="mousePressed", x=x + 10, **mouse)
        for i in range(60):
            page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 10 + i * 3,
                      y=y, button="left", buttons=1)
        page.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + 187, **mouse)
        page.wait("document.querySelector('.knob[data-state=ack] #knob-pattern-speed') !== null")
        wanted = page.js("Number(document.querySelector('#knob-pattern-speed').value)")
        kept = studio.server.value("pattern", "speed")
        check(wanted > 3 and abs(kept - wanted) < 1e-3, f"the page has {wanted}, the server {kept}")
        sets, most = page.js("sets"), 31 * (time.monotonic() - began) + 2
        check(1 < sets <= most, f"{sets} messages were sent, at most {most:.0f} are meant to")
        studio.quiet()


@case
def a_knob_turned_elsewhere_turns_here(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.wait("document.querySelector('#knob-pattern-color') !== null")
        studio.server.call("PATCH", "/api/v1/rooms/demo/params",
                           {"node": "pattern", "values": {"color": "#2040e0"}})
        page.wait("document.querySelector('#knob-pattern-color').value.startsWith('#2040e0')")
        studio.until(lambda p: p.close_to(*CENTER, BLUE, 32), "the picture is not blue")


@case
def a_knob_is_driven_moves_and_is_let_go(make):
    with make("pattern ball size=128x72 fps=60 => jpeg -> live") as studio:
        page = studio.open()
        button = "document.querySelector('.knob:has(#knob-pattern-speed) .drive-button')"
        field = ".knob:has(#knob-pattern-speed) .drive-text"
        page.wait(f"{button} !== null")
        check(page.js("document.querySelector('.knob:has(#knob-pattern-size) .drive-button')") is None,
              "a size can be driven")
        page.js(f"{button}.click()")
        page.fill(field, "5 + kik")
        page.key("Enter")
        said = page.wait("document.querySelector('#knob-pattern-speed-drive-error').textContent")
        check("kik" in said, f"beside the knob: {said}")
        page.fill(field, "5 + 4 * sine(2)")
        page.key("Enter")
        page.wait(f"{button}.textContent === '← 5 + 4 * sine(2)'")
        first = page.wait("document.querySelector('#knob-pattern-speed').value !== '1'"
                          " && document.querySelector('#knob-pattern-speed').value")
        page.wait(f"document.querySelector('#knob-pattern-speed').value !== '{first}'")
        studio.shot("knob-driven")
        page.js("document.querySelector('.knob:has(#knob-pattern-speed) .drive-hand').click()")
        page.wait(f"{button}.textContent === 'drive'")
        page.wait("document.querySelector('#knob-pattern-speed').value === '1'")
        studio.quiet()


class Osc:
    """Sends numbers to an osc node on a port that was free."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def send(self, address, number):
        name = address.encode() + b"\0"
        packet = name + b"\0" * (-len(name) % 4) + b",f\0\0" + struct.pack(">f", number)
        self.socket.sendto(packet, ("127.0.0.1", self.port))

    def until(self, page, address, numbers, expression):
        """Sends them again and again until the expression is true: packets may come too early."""
        deadline = time.monotonic() + 10 * PATIENCE
        for number in itertools.cycle(numbers):
            self.send(address, number)
            value = page.js(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure(f"still not: {expression}")
            time.sleep(0.05)


def center(page, selector):
    return page.wait(f"""(() => {{
        const box = document.querySelector({json.dumps(selector)})?.getBoundingClientRect();
        return box?.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
    }})()""")


def carry(page, handle, target, touch=False):
    """Drags in steps as a hand does; what is out of sight comes when it is held at the lower end."""
    def send(kind, x, y):
        if touch:
            points = [] if kind == "End" else [{"x": x, "y": y}]
            page.call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=points)
        else:
            name = {"Start": "mousePressed", "Move": "mouseMoved", "End": "mouseReleased"}[kind]
            page.call("Input.dispatchMouseEvent", type=name, x=x, y=y, button="left",
                      buttons=int(kind != "End"), clickCount=1)

    def steps(x, y):
        for i in range(1, 9):
            send("Move", at[0] + (x - at[0]) * i / 8, at[1] + (y - at[1]) * i / 8)
        return x, y
    page.js(f"document.querySelector({json.dumps(handle)}).scrollIntoView({{ block: 'center' }})")
    at = center(page, handle)
    send("Start", *at)
    if touch:
        page.wait("document.querySelector('.carried') !== null")  # the finger has rested
    height = page.js("innerHeight")
    if center(page, target)[1] > height - 100:
        at = steps(at[0], height - 20)
        page.wait(f"document.querySelector({json.dumps(target)}).getBoundingClientRect().bottom < innerHeight - 100")
    at = steps(at[0], height - 90)  # no more scrolling
    at = steps(*center(page, target))
    marked = page.js(f"document.querySelector({json.dumps(target)}).closest('.knob').matches('.target')")
    send("End", *at)
    check(marked, "the knob under the pointer does not show that it would be driven")


SPEED = ".knob[data-param=speed]"
SPEED_TEXT = f"document.querySelector('{SPEED} .drive-button').textContent"
SPEED_VALUE = "Number(document.querySelector('#knob-pattern-speed').value)"


@case
def a_signal_is_dragged_onto_a_knob_moves_it_and_is_taken_away(make):
    osc = Osc()
    graph = f'osc {osc.port} addresses=/fader\npattern ball size=128x72 fps=30 => jpeg -> live'
    with make(graph, height=800, width=1280) as studio:
        page = studio.open()
        page.js("[...document.querySelectorAll('#knobs .chip')].find((c) => c.textContent === 'pattern').click()")
        handle = "[data-carry='osc.v1']"
        osc.until(page, "/fader", [0.1, 0.9], f"document.querySelector(\"{handle}\")?.textContent === '/fader'")
        carry(page, handle, f"{SPEED} label")
        text = page.wait(f"{SPEED_TEXT}.startsWith('←') && {SPEED_TEXT}")
        check("v1" in text, f"beside the knob: {text}")
        page.wait("/pattern.speed <- .*v1/.test(document.querySelector('#graph-text').value)")
        served = studio.server.call("GET", "/api/v1/rooms/demo")["text"]
        check("pattern.speed <- " in served and "v1" in served, f"the room's text: {served}")
        low, high = page.js(f"[...document.querySelectorAll('{SPEED} .drive-editor .number')]"
                            ".slice(0, 2).map((field) => Number(field.value))")
        check(low < high, f"from {low} to {high}")
        osc.until(page, "/fader", [0.25], f"Math.abs({SPEED_VALUE} - {low + 0.25 * (high - low)}) < 0.05")
        osc.until(page, "/fader", [0.75], f"Math.abs({SPEED_VALUE} - {low + 0.75 * (high - low)}) < 0.05")
        # Its range, curve and smoothing are edited; the value follows.
        page.fill(f"{SPEED} .drive-editor .number", "2")
        page.key("Enter")
        page.wait("/pattern.speed <- .*v1.* \\+ 2/.test(document.querySelector('#graph-text').value)")
        osc.until(page, "/fader", [0], f"{SPEED_VALUE} === 2")
        page.js(f"""(() => {{
            const curve = document.querySelector('{SPEED} .drive-editor select');
            curve.value = 'quad_in';
            curve.dispatchEvent(new Event('change'));
        }})()""")
        page.wait(f"{SPEED_TEXT}.includes('quad_in(v1)')")
        osc.until(page, "/fader", [0.5], f"Math.abs({SPEED_VALUE} - {2 + 0.25 * (high - 2)}) < 0.05")
        studio.shot("knob-mapped")
        page.js(f"document.querySelector('{SPEED} .drive-hand').click()")
        page.wait(f"{SPEED_TEXT} === 'drive'")
        page.wait("!document.querySelector('#graph-text').value.includes('<-')")
        studio.quiet()


@case
def a_signal_is_mapped_with_the_keyboard_and_by_touch(make):
    with make("pattern ball size=128x72 fps=30 => jpeg -> live") as studio:
        page = studio.open()
        page.wait(f"document.querySelector('{SPEED}') !== null")
        page.js("document.querySelector('#music-panel').open = true")
        page.wait("document.querySelector('.signal') !== null")
        page.js("document.querySelector('[data-carry=\"~triangle(4)\"]').focus()")
        page.key("Enter")
        page.wait("document.querySelector('#map-dialog').open")
        page.js("document.querySelector('#map-param').value = 'speed'")
        page.click("#map-it")
        page.wait(f"{SPEED_TEXT}.includes('triangle(4)')")
        page.wait("document.querySelector('#graph-text').value.includes('pattern.speed <- ')")
        # a finger: it rests, moves, lets go
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        target = ".knob[data-param=cell] label"
        carry(page, "[data-carry='~sine(4)']", target, touch=True)
        page.wait("document.querySelector('.knob[data-param=cell] .drive-button').textContent.includes('sine(4)')")
        studio.quiet()


@case
def meters_move_while_their_panel_is_open_and_only_then(make):
    osc = Osc()
    with make(f"osc {osc.port}\npattern ball size=128x72 fps=30 => jpeg -> live") as studio:
        studio.page.before("""(() => {
            const add = WebSocket.prototype.send;
            window.asked = [];
            WebSocket.prototype.send = function (data) {
                if (String(data).includes('"subscribe"')) window.asked.push(JSON.parse(data));
                add.call(this, data);
            };
        })()""")
        page = studio.open()
        osc.until(page, "/phosphene/2", [0.1, 0.9], "document.querySelector(\"[data-carry='osc.v2']\") !== null")
        check(page.js("asked.some((m) => m.signals === 20)"), "no signals were asked for")
        first = page.pixels(".tray-canvas")
        deadline = time.monotonic() + 10 * PATIENCE
        for number in itertools.cycle([0.2, 0.8, 0.5]):
            osc.send("/phosphene/2", number)
            if page.pixels(".tray-canvas") != first:
                break
            check(time.monotonic() < deadline, "the meters stand still")
        studio.shot("meters")
        page.js("document.querySelector('#music-panel').open = false")
        page.wait("asked.at(-1).signals === 0")
        page.js("document.querySelector('#music-panel').open = true")
        page.wait("asked.at(-1).signals === 20")
        studio.quiet()


@case
def a_control_that_moves_is_learnt_by_a_knob(make):
    osc = Osc()
    with make(f"osc {osc.port} addresses=/known\npattern ball size=128x72 fps=30 => jpeg -> live") as studio:
        page = studio.open()
        page.js("[...document.querySelectorAll('#knobs .chip')].find((c) => c.textContent === 'pattern').click()")
        page.js(f"document.querySelector('{SPEED} .drive-button').click()")
        page.wait(f"!document.querySelector('{SPEED} .drive-learn').hidden")
        page.click(f"{SPEED} .drive-learn")
        # an address that nobody listened to becomes one that is
        osc.until(page, "/other/knob", [0.3, 0.6], f"{SPEED_TEXT}.includes('v2')")
        check(studio.server.value("osc", "addresses") == "/known /other/knob", "the address is not listened to")
        osc.until(page, "/other/knob", [1], f"{SPEED_VALUE} > 5")
        osc.until(page, "/other/knob", [0], f"{SPEED_VALUE} < 1")
        studio.quiet()


@case
def a_beat_is_tapped_and_shown(make):
    sound = os.path.join(tempfile.mkdtemp(prefix="ph-e2e-sound-"), "quiet.wav")
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8000 * 20)
    with make(f"song: file {sound} loop=on\nsong.sound -> ears: listen\n"
              "pattern ball size=128x72 fps=30 => jpeg -> live") as studio:
        page = studio.open()
        page.wait("document.querySelector('#tap')?.getBoundingClientRect().width > 0")
        check(page.text("#bpm") == "–", "silence has a tempo")
        page.js("""(async () => {
            for (let i = 0; i < 6; i++) {
                document.querySelector('#tap').dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
                await new Promise((done) => setTimeout(done, 500));
            }
        })()""")
        bpm = float(page.wait("Number(document.querySelector('#bpm').textContent)"))
        check(30 < bpm < 400, f"tapped {bpm}")
        page.wait("document.querySelector('.lamps .lit') !== null")
        page.js("[...document.querySelectorAll('.beat-hands .chip')].find((c) => c.textContent === '×2').click()")
        page.wait("document.querySelector('.beat-hands .chip[aria-pressed=true]')?.textContent === '×2'")
        check(studio.server.value("ears", "scale") == "double", "the beat is not doubled")
        studio.shot("beat")
        studio.quiet()
    shutil.rmtree(os.path.dirname(sound))


@case
def a_source_and_a_preset_are_chosen(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.click("#source input[value=scene]")
        page.wait("document.querySelector('.graph [data-node]').dataset.node === 'scene'")
        studio.until(lambda p: not p.close_to(*CENTER, RED, 60), "the scene does not show")
        studio.shot("scene")
        page.js("document.querySelector('#text-panel').open = true")
        page.js("document.querySelector('#preset').value = 'bars'")
        page.click("#preset-load")
        page.wait("document.querySelector('#graph-text').value.includes('bars')")
        # SMPTE bars: a seventh of the width each, the first is white-grey, the last blue.
        studio.until(lambda p: p.close_to(0.07, 0.5, (191, 191, 191), 30)
                     and p.close_to(0.93, 0.5, (0, 0, 191), 40), "these are no colour bars")
        studio.shot("bars")
        studio.quiet()


@case
def a_camera_goes_in_and_comes_out(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.click(".camera .button")
        page.wait("document.querySelector('.camera .hint').textContent.startsWith('sends')")
        # Chromium's fake camera is green, with a disc that grows and starts again.
        first = studio.until(lambda p: p.width == 640 and p.height == 480 and green(p.at(0.1, 0.5)),
                             "no green picture comes back", 15)
        studio.until(lambda p: p.rgba != first.rgba, "the camera's picture stands still")
        check("browser" in studio.server.call("GET", "/api/v1/rooms/demo")["text"],
              "the room's graph has no browser node")
        studio.shot("camera")
        page.wait("document.querySelector('#pace').textContent === 'browser sets the pace'")
        page.click(".camera .button")
        page.wait("document.querySelector('.camera .hint').textContent === ''")
        page.wait("document.querySelector('#veil-words').textContent.includes('Use this camera')")
        studio.quiet()


def green(color):
    red, value, blue = color
    return value > 90 and red < 60 and blue < 60


@case
def a_mistake_in_the_graph_text_is_shown_at_its_column(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.js("document.querySelector('#text-panel').open = true")
        page.fill("#graph-text", "pattern => ovrlay => jpeg -> live")
        page.click("#graph-apply")
        words = page.wait("document.querySelector('#graph-error').textContent")
        check("overlay" in words and "column 12" in words, f"it says: {words}")
        marked = page.js("""(() => {
            const box = document.querySelector('#graph-text');
            return box.value.slice(box.selectionStart, box.selectionEnd);
        })()""")
        check(marked == "ovrlay", f"marked is {marked!r}")
        page.js("document.querySelector('#text-panel').scrollIntoView()")
        studio.shot("graph-error")
        page.fill("#graph-text", SOLID.replace("=> jpeg", "-> blur radius=2 => jpeg"))
        page.click("#graph-apply")
        page.wait("document.querySelectorAll('.graph .node').length === 4")
        page.wait(f"{LIVE}")
        studio.until(lambda p: p.close_to(*CENTER, RED, 32), "the edited graph shows nothing")


@case
def the_page_recovers_from_a_restart_with_its_values(make):
    with make(SOLID) as studio:
        page = studio.open()
        studio.set_color("#2040e0")
        studio.until(lambda p: p.close_to(*CENTER, BLUE, 32), "the picture is not blue")
        studio.quiet()
        last = studio.restart()
        studio.live(20)
        studio.until(lambda p: p.rgba != last.rgba and p.close_to(*CENTER, BLUE, 32),
                     "the colour was not set again", 15)
        deadline = time.monotonic() + 10 * PATIENCE
        while not studio.server.value("pattern", "color").startswith("#2040e0"):
            # what was blue may have been the old server's very last picture
            check(time.monotonic() < deadline, "the server does not have the value")
            time.sleep(0.05)
        page.wait("document.querySelector('#knob-pattern-color').value.startsWith('#2040e0')")
        studio.shot("after-restart")


@case
def a_camera_goes_on_after_a_restart(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.click(".camera .button")
        studio.until(lambda p: p.height == 480 and green(p.at(0.1, 0.5)), "no camera", 15)
        last = studio.restart()
        studio.live(20)
        studio.until(lambda p: p.rgba != last.rgba and p.height == 480 and green(p.at(0.1, 0.5)),
                     "the camera is gone", 15)
        page.wait("document.querySelector('.camera .hint').textContent.startsWith('sends')")


@case
def a_lost_connection_is_told_and_retried(make):
    with make(SOLID) as studio:
        page = studio.open()
        studio.server.stop()  # fails when it does not end soon
        page.wait("document.querySelector('#state-word').textContent === 'reconnecting'")
        page.wait("!document.querySelector('#veil').hidden")
        studio.shot("connection-lost")


@case
def a_recording_is_downloaded_and_plays(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.click("#record")
        page.wait("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
        page.wait("/^0:0[2-9]/.test(document.querySelector('#record .label').textContent)")
        page.click("#record")
        page.wait("document.querySelector('#takes .download') !== null")
        before = page.listing()
        page.click("#takes .download")
        path = page.downloaded(before, ".mp4")
        kept = os.path.join(studio.output, "recording.mp4")
        shutil.copy(path, kept)
        check_plays(kept)
        # The browser itself plays it too, from the server.
        page.js(f"""(() => {{
            window.film = document.createElement('video');
            window.film.src = '/api/v1/recordings/{os.path.basename(path)}';
            window.film.muted = true;
            return window.film.play();
        }})()""")
        duration = page.wait("film.ended && film.videoWidth === 640 && film.duration", 20)
        check(1 < duration < 60, f"it is {duration} s long")


def check_plays(path):
    """Decodes it with a program that is not ours: frames, times and content."""
    if not shutil.which("ffmpeg"):
        return
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24",
                          "-vf", "scale=64:36", "-"], capture_output=True, check=False)
    check(raw.returncode == 0 and not raw.stderr, f"ffmpeg: {raw.stderr.decode()[:400]}")
    frames = len(raw.stdout) // (64 * 36 * 3)
    check(5 < frames < 400, f"{frames} frames in about 2 s at 30 fps")
    middle = raw.stdout[(18 * 64 + 32) * 3:][:3]
    check(all(abs(a - b) < 32 for a, b in zip(middle, RED)), f"its middle is {tuple(middle)}")


@case
def a_snapshot_is_the_picture(make):
    with make(SOLID) as studio:
        page = studio.open()
        studio.codec("jpeg")
        before = page.listing()
        page.js("document.activeElement.blur()")
        page.key("s")
        path = page.downloaded(before, ".png")
        with open(path, "rb") as file:
            head = file.read(24)
        check(head[:8] == b"\x89PNG\r\n\x1a\n", "it is no PNG")
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        check(size == (640, 360), f"its size is {size}")
        shutil.copy(path, os.path.join(studio.output, "snapshot.png"))


@case
def a_hard_cut_raises_the_epoch(make):
    with make(BALL) as studio:
        page = studio.open()
        page.click("#hard-cut")
        page.wait("document.querySelector('#toasts').textContent.includes('Hard cut on frame')")
        page.wait("document.querySelector('#caption').textContent.includes('epoch 1')")
        page.click("#soft-cut")
        page.wait("document.querySelector('#toasts').textContent.includes('Soft cut on frame')")
        studio.quiet()


@case
def a_room_is_made_entered_and_removed(make):
    with make(SOLID) as studio:
        page = studio.open()
        page.click("#rooms-button")
        page.fill("#room-name", "second")
        page.click("#room-form [value=create]")
        page.wait("document.querySelector('#room').value === 'second'")
        studio.live()
        check("room=second" in page.js("location.search"), "the address does not name the room")
        page.open(studio.server.address + "?room=demo")
        studio.live()
        studio.until(lambda p: p.close_to(*CENTER, RED, 32), "this is not the demo room")
        studio.server.call("DELETE", "/api/v1/rooms/second")
        studio.quiet()


@case
def a_value_that_waits_for_a_frame_stays_in_its_room(make):
    waiting = 'browser => text "a" size=20 => jpeg -> live'  # no camera sends: no frame
    with make(waiting) as studio:
        other = 'pattern solid size=64x48 fps=30 => text "b" size=20 => jpeg -> live'
        studio.server.call("POST", "/api/v1/rooms", {"name": "other", "graph": other})
        page = studio.page
        page.open(studio.server.address)
        page.wait("document.querySelector('#knobs .chip') !== null")
        page.js("[...document.querySelectorAll('#knobs .chip')]"
                ".find((chip) => chip.textContent === 'text').click()")
        page.fill("#knob-text-text", "meant for the first")
        page.key("Enter")
        page.wait("document.querySelector('.knob[data-state=pending]')?.textContent"
                  ".includes('waits for a frame')")
        page.wait("[...document.querySelectorAll('#room option')].length === 2")
        page.js("(() => { const room = document.querySelector('#room');"
                "room.value = 'other'; room.dispatchEvent(new Event('change')); })()")
        studio.live()
        page.fill("#knob-text-size", "33")  # what is sent later has landed: so has what was before
        page.key("Enter")
        page.wait("document.querySelector('.knob[data-state=ack] #knob-text-size') !== null")
        text = studio.server.value("text", "text", "other")
        check(text == "b", f"the other room writes {text!r}")
        studio.quiet()


@case
def each_room_s_recording_has_its_own_time(make):
    with make(SOLID) as studio:
        studio.server.call("POST", "/api/v1/rooms", {"name": "other", "graph": SOLID})
        studio.server.call("POST", "/api/v1/rooms/demo/record", {"action": "start"})
        page = studio.open()
        seconds = "Number(document.querySelector('#record .label').textContent.slice(2))"
        page.wait(f"{seconds} > 8", 20)
        studio.server.call("POST", "/api/v1/rooms/other/record", {"action": "start"})
        page.js("(() => { const room = document.querySelector('#room');"
                "room.value = 'other'; room.dispatchEvent(new Event('change')); })()")
        page.wait(f"{LIVE} && {seconds} < 8")
        studio.quiet()


@case
def what_others_write_is_shown_as_text_and_never_as_markup(make):
    evil = "<img src=x onerror=window.bad=1><script>window.bad=2</script>"
    graph = f'pattern solid size=64x48 fps=30 => text "{evil}" => jpeg -> live'
    with make(graph) as studio:
        page = studio.open()
        page.js("[...document.querySelectorAll('#knobs .chip')]"
                ".find((chip) => chip.textContent === 'text').click()")
        page.wait("document.querySelector('#knob-text-text').value.includes('onerror')")
        page.js("document.querySelector('#text-panel').open = true")
        page.fill("#graph-text", f'pattern "{evil}" -> live')
        page.click("#graph-apply")
        page.wait("document.querySelector('#graph-error').textContent.includes('onerror')")
        marks = page.js("document.querySelectorAll('img, #graph-error img, main script').length")
        check(marks == 0 and not page.js("window.bad"), "markup of a stranger is in the page")
        page.complaints = [c for c in page.complaints if "400 (Bad Request)" not in c]
        studio.quiet()


@case
def a_trace_is_downloaded(make):
    with make(BALL) as studio:
        page = studio.open()
        page.js("document.querySelector('#times-panel').open = true")
        before = page.listing()
        page.click("#trace")
        with open(page.downloaded(before, ".json"), encoding="utf-8") as file:
            trace = json.load(file)
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        check(any(event.get("name") == "text" for event in events), "no event of the node text")
        studio.shot("node-times")
        studio.quiet()


@case
def the_stage_shows_only_the_picture(make):
    with make(BALL) as studio:
        page = studio.open()
        page.js("document.activeElement.blur()")
        page.key("f")
        page.wait("""(() => {
            const box = document.querySelector('#stage').getBoundingClientRect();
            const at = (x, y) => document.elementFromPoint(x * innerWidth, y * innerHeight);
            return box.width === innerWidth && box.height === innerHeight
                && [[0.01, 0.01], [0.99, 0.99], [0.99, 0.01], [0.5, 0.95]]
                    .every(([x, y]) => document.querySelector('#stage').contains(at(x, y)));
        })()""")
        studio.shot("stage")
        page.key("f")
        page.wait("!document.body.classList.contains('staged')")
        studio.quiet()


@case
def the_keyboard_reaches_everything_and_shows_where_it_is(make):
    with make(BALL) as studio:
        page = studio.open()
        page.wait("document.querySelectorAll('.knob').length > 3")
        seen = set()
        for _ in range(60):
            page.key("Tab")
            spot = page.js("""(() => {
                const node = document.activeElement;
                const drawn = node.matches('.node') ? node.querySelector('.node-box')
                    : node.matches('.segments input') ? node.nextElementSibling : node;
                const style = getComputedStyle(drawn);
                const ring = style.outlineStyle !== 'none' || parseFloat(style.strokeWidth) >= 3;
                return [node.id || node.dataset.node || node.className, ring];
            })()""")
            check(spot[1] or spot[0] in ("", "side"), f"{spot[0]} has the focus but does not show it")
            seen.add(spot[0])
        wanted = {"room", "help", "record", "snapshot", "hard-cut", "pattern", "text",
                  "knob-pattern-fps"}
        check(wanted <= seen, f"Tab does not reach {wanted - seen}")
        page.js("document.activeElement.blur()")
        page.key("?")
        page.wait("document.querySelector('#sheet').open")
        studio.shot("shortcuts")
        page.key("Escape")
        page.wait("!document.querySelector('#sheet').open")
        studio.quiet()


@case
def it_fits_a_phone_in_the_light(make):
    with make(BALL, width=375, height=812, dark=False, mobile=True) as studio:
        page = studio.open()
        page.wait("document.querySelectorAll('.knob').length > 3")
        time.sleep(1)
        studio.shot("phone-light")
        wide = page.js("document.documentElement.scrollWidth")
        check(wide <= 375, f"the page is {wide} px wide")
        page.js("document.querySelector('#knobs').scrollIntoView()")
        top = page.wait("document.querySelector('#stage').getBoundingClientRect().top <= 0")
        check(top, "the picture scrolls away from its knobs")
        background = page.js("getComputedStyle(document.documentElement).backgroundColor")
        levels = [int(part) for part in background.strip("rgb()").split(",")]
        check(min(levels) > 200, f"the light theme is {background}")
        studio.shot("phone-light-knobs")
        studio.quiet()


@case
def nothing_moves_for_those_who_asked_for_that(make):
    with make(BALL, calm=True) as studio:
        page = studio.open()
        page.click("#record")
        page.wait("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
        moving = page.js("document.getAnimations().length")
        page.click("#record")
        check(moving == 0, f"{moving} animations run")


@case
def a_chosen_theme_stays_after_a_reload(make):
    with make(BALL) as studio:
        page = studio.open()
        page.click("#theme")
        page.click("#theme")
        check(page.js("document.documentElement.dataset.theme") == "light", "it is not light")
        studio.open()
        check(page.js("document.documentElement.dataset.theme") == "light", "it was forgotten")
        time.sleep(1)
        studio.shot("desktop-light")


@case
def a_token_from_the_address_works_and_leaves_no_trace(make):
    token = "a-token-that-is-long-enough-4711"
    with make(SOLID, extra=["--token", token]) as studio:
        page = studio.open()
        check("token" not in page.js("location.href"), "the token stays in the address bar")
        studio.until(lambda p: p.close_to(*CENTER, RED, 32), "no picture with the token")
        studio.set_color("#2040e0")
        studio.quiet()


@case
def without_its_token_the_page_asks_for_it(make):
    token = "a-token-that-is-long-enough-4711"
    with make(SOLID, extra=["--token", token]) as studio:
        page = studio.page
        page.open(studio.server.url)
        page.wait("document.querySelector('#token-dialog').open")
        studio.shot("token")
        for wrong in ("“quoted”", "not-the-token-of-this-server"):  # asked again, and no error
            page.fill("#token", wrong)
            page.key("Enter")
            page.wait("!document.querySelector('#token-dialog').open")
            page.wait("document.querySelector('#token-dialog').open")
        page.fill("#token", f"{studio.server.url}#token={token}")  # the address that was printed
        page.key("Enter")
        studio.live()


@case
def a_prompt_that_is_typed_paints_another_picture(make):
    graph = ("pattern bars size=128x128 fps=8 id=off => paint: diffusion \"a cat\" "
             f"precision=f32 device=cpu:threads=1 model={small_model()} => jpeg q=90 -> live")
    with make(graph) as studio:
        page = studio.page
        page.open(studio.server.address)
        studio.live(60)
        page.click(".graph [data-node=paint]")
        page.wait("document.querySelector('#knob-paint-prompt').value === 'a cat'")
        before = studio.pixels()
        check(before.width == 128 and before.height == 128, "the painting has another size")
        page.fill("#knob-paint-prompt", "a lighthouse in a storm | an oil painting:0.4")
        page.key("Enter")
        words = page.wait("""[...document.querySelectorAll('.knob[data-state="ack"]')]
            .map(knob => knob.querySelector('.knob-state').textContent)[0]""", 30)
        check(words.startswith("frame "), f"beside the knob: {words}")
        studio.until(lambda p: p.rgba != before.rgba, "the picture stays as it was", 30)
        check(studio.server.value("paint", "prompt").startswith("a lighthouse"),
              "the server has another prompt")
        node = studio.server.call("GET", "/api/v1/rooms/demo")["nodes"][1]
        check(node["model"]["name"] == "pipe_sd15_tiny" and node["model"]["deviceMs"]["mean"] > 0,
              f"the room says of its model: {node.get('model')}")
        # What cannot be is told, and the picture goes on.
        studio.server.call("PATCH", "/api/v1/rooms/demo/params",
                           {"node": "paint", "values": {"size": "65x64"}})
        page.wait("document.body.textContent.includes('multiple of 8')", 30)
        studio.shot("painting")
        studio.quiet()


def open_paint(page):
    """The knobs of the node that paints; a graph that is drawn anew may lose a click."""
    for _ in range(20):
        page.click(".graph [data-node=paint]")
        time.sleep(0.5)
        if page.js("document.querySelector('#knob-paint-prompt') !== null"):
            return
    page.wait("document.querySelector('#knob-paint-prompt')")


def type_prompt(studio, text):
    studio.page.fill("#knob-paint-prompt", text)
    studio.page.key("Enter")
    studio.page.wait("""[...document.querySelectorAll('.knob[data-state="ack"]')]
        .some(knob => knob.contains(document.querySelector('#knob-paint-prompt')))""", 60)


def middle(pixels):
    """The part of the picture that has no text in it."""
    size = len(pixels.rgba)
    return pixels.rgba[size * 3 // 8:size * 5 // 8]


@case
def the_room_that_walks_through_prompts_stays_at_the_one_that_is_typed(make):
    with make("spark", ["--model", small_model(), "-p", "paint.radius=0", "-p",
                        "paint.device=cpu:threads=1", "-p", "paint.fps=8"]) as studio:
        page = studio.page
        page.open(studio.server.address)
        studio.live(60)
        open_paint(page)
        page.wait("document.querySelector('#knob-paint-prompt').value.includes('aurora')")
        first = middle(studio.pixels())
        studio.until(lambda p: middle(p) != first, "it does not walk", 30)
        seen = []
        for prompt in ("crimson flames", "ice crystals, sharp"):
            type_prompt(studio, prompt)
            before = [None]

            def rests(pixels):
                time.sleep(0.4)  # some pictures later
                now, was = middle(pixels), before[0]
                before[0] = now
                return now == was

            seen.append(middle(studio.until(rests, "it walks on", 60)))
        check(seen[0] != seen[1], "another prompt is the same picture")
        check(studio.server.value("paint", "prompt", "spark") == "ice crystals, sharp",
              "the server has another prompt")
        studio.shot("walk")
        studio.quiet()


@case
def the_bundled_model_paints_in_the_colours_that_are_asked_for(make):
    share = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../share"))
    if not os.path.exists(os.path.join(share, "models/spark/model_index.json")):
        raise Skip("the bundled model is not there")
    others, os.environ["PH_SHARE"] = os.environ.get("PH_SHARE", ""), share
    try:
        studio = make("spark")
    finally:
        os.environ["PH_SHARE"] = others

    def mean(pixels, channel):
        values = middle(pixels)[channel::4]
        return sum(values) / len(values)

    with studio:
        page = studio.page
        page.open(studio.server.address)
        studio.live(60)
        open_paint(page)
        type_prompt(studio, "crimson flames")
        studio.until(lambda p: mean(p, 0) > 1.5 * mean(p, 2), "crimson is not red", 60)
        type_prompt(studio, "ocean waves")
        studio.until(lambda p: mean(p, 2) > 1.2 * mean(p, 0), "the ocean is not blue", 60)
        studio.shot("spark")
        studio.quiet()


def main(flags=()):
    program, output, *names = sys.argv[1:]
    chromium = find()
    if not chromium:
        print("1..0 # SKIP no browser: apt-get install chromium")
        return 0
    chosen = [c for c in CASES if not names or c.__name__ in names]
    print(f"1..{len(chosen)}", flush=True)
    os.makedirs(output, exist_ok=True)
    for stale in glob.glob(os.path.join(output, "failed-*.png")):
        os.remove(stale)
    browser = Browser(chromium, flags)
    failed = 0
    for number, run in enumerate(chosen, 1):
        made = []

        def make(graph, extra=(), **view):
            made.append(Studio(browser, os.path.abspath(program), output, graph, extra, **view))
            return made[-1]

        try:
            run(make)
            print(f"ok {number} - {run.__name__}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {run.__name__} # SKIP {reason}", flush=True)
        except Exception as error:  # whatever it was, the next case runs
            failed += 1
            tell(error, made)
            print(f"not ok {number} - {run.__name__}", flush=True)
    browser.close()
    return 1 if failed else 0


def tell(error, made):
    words = str(error) if isinstance(error, Failure) else traceback.format_exc()
    for studio in made:
        words += "\nconsole: " + "\n".join(studio.page.complaints)
        words += "\nserver: " + "\n".join(studio.server.lines[-20:])
    print("\n".join("# " + line for line in words.splitlines()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
