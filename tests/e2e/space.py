#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The point cloud's page in headless Chromium with software WebGL, as TAP.

    space.py PROGRAM OUTPUT-FOLDER [NAME...]
"""

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import studio
from browser import SOFTWARE_GL
from server import Pixels
from studio import case, check

studio.CASES.clear()

CLOUD = """scene 160x120 fps=20 orbit=0 spin=0 -> pic: jpeg q=90 -> live: live
scene.depth => solid: steady far=14 -> cloud stride=2 -> msgpack => live
scene.out => cloud.picture
solid => pack: depth16 => live
pic => pack.picture
scene.confidence => pack.confidence"""


def preset(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../presets", name)) as file:
        return file.read()


# as shipped, but small and at rest
CAMERAS = preset("cloud-cameras.graph").replace("240x180 fps=15", "96x72 fps=10 spin=0")
MAPS = "Number(document.querySelector('#space')?.dataset.maps ?? 0)"
BACKGROUND = (6, 7, 6)


POINTS = "Number(document.querySelector('#points').textContent.replaceAll(',', ''))"


def enter(own, query=""):
    page = own.page
    page.open(own.server.url + "space.html" + query)
    page.wait(f"{MAPS} >= 3", 20)
    return page


def pixels(page):
    """A WebGL canvas can be read in the turn that drew it only: after the page's own callback."""
    page.js("""new Promise((done) => requestAnimationFrame(() => {
        const from = document.querySelector('#space');
        const copy = document.querySelector('#copy') ?? document.createElement('canvas');
        copy.id = 'copy';
        copy.width = from.width / 4;
        copy.height = from.height / 4;
        copy.style.display = 'none';
        document.body.append(copy);
        copy.getContext('2d').drawImage(from, 0, 0, copy.width, copy.height);
        done();
    }))""")
    return Pixels(*page.pixels("#copy"))


def painted(shot):
    """How much of the picture is not the background."""
    dark = sum(1 for i in range(0, len(shot.rgba), 4)
               if all(abs(shot.rgba[i + c] - BACKGROUND[c]) < 12 for c in range(3)))
    return 1 - dark / (shot.width * shot.height)


def differ(a, b):
    return sum(1 for i in range(0, len(a.rgba), 4)
               if max(abs(a.rgba[i + c] - b.rgba[i + c]) for c in range(3)) > 40) / (a.width * a.height)


def settle(page, seconds=10):
    """Waits until the view has come to rest: two pictures that are alike."""
    last = pixels(page)
    for _ in range(60):
        page.js("new Promise((done) => setTimeout(done, 200))")
        now = pixels(page)
        if differ(last, now) < 0.002:
            return now
        last = now
    raise studio.Failure("the view does not come to rest")


def choose(page, selector, value):
    page.js(f"""(() => {{
        const field = document.querySelector('{selector}');
        if (field.type === 'checkbox') field.checked = {str(value).lower()};
        else field.value = '{value}';
        field.dispatchEvent(new Event('input'));
    }})()""")


def drag(page, dx, dy):
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=400, y=400, button="left", clickCount=1)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=400 + dx, y=400 + dy, button="left", buttons=1)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=400 + dx, y=400 + dy, button="left")


@case
def the_cloud_is_drawn_in_its_colours_and_can_be_turned(make):
    with make(CLOUD) as own:
        page = enter(own)
        front = settle(page)
        check(painted(front) > 0.15, f"only {painted(front):.2f} of the picture is painted")
        own.shot("space")
        choose(page, "#colour", 1)
        depth = settle(page)
        check(differ(front, depth) > 0.1, "colours by depth look like the picture")
        check(abs(painted(front) - painted(depth)) < 0.1, "other colours are other points")
        drag(page, -150, -60)
        turned = settle(page)
        check(differ(depth, turned) > 0.1, "a drag turned nothing")
        own.shot("space-turned")
        page.js("document.querySelector('#home').click()")
        back = settle(page)
        check(differ(depth, back) < 0.02, "the view does not come back")
        # reading the picture back is this test's doing
        complaints = [line for line in page.complaints if "ReadPixels" not in line]
        check(not complaints, "\n".join(complaints))


@case
def colours_show_how_certain_each_point_is(make):
    with make(CLOUD) as own:
        page = enter(own)
        page.wait("!document.querySelector('#by-confidence').disabled")
        front = settle(page)
        choose(page, "#colour", 3)
        sure = settle(page)
        own.shot("space-confidence")
        check(differ(front, sure) > 0.1, "colours by confidence look like the picture")
        check(abs(painted(front) - painted(sure)) < 0.1, "other colours are other points")


@case
def without_confidence_nobody_can_ask_for_its_colours(make):
    with make(CLOUD.replace("\nscene.confidence => pack.confidence", "")) as own:
        page = enter(own)
        check(page.js("document.querySelector('#by-confidence').disabled"), "it is offered")
        check(painted(settle(page)) > 0.15, "and the cloud is not there")


def numbers(path):
    """(xyz, rgb) of a PLY or GLB file, read as their specifications say."""
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".ply"):
        head, body = data.split(b"end_header\n", 1)
        check(head.startswith(b"ply\nformat binary_little_endian 1.0\n"), head[:60])
        count = int(head.split(b"element vertex ")[1].split(b"\n")[0])
        check(len(body) == 15 * count, "a PLY of another length")
        rows = list(struct.iter_unpack("<3f3B", body))
        return [row[:3] for row in rows], [row[3:] for row in rows]
    magic, version, size, length, kind = struct.unpack_from("<4sIII4s", data)
    check((magic, version, size, kind) == (b"glTF", 2, len(data), b"JSON"), "no GLB")
    check(length % 4 == 0 and size % 4 == 0, "a chunk is not on 4 bytes")
    doc = json.loads(data[20:20 + length])
    body_size, body_kind = struct.unpack_from("<I4s", data, 20 + length)
    body = data[28 + length:]
    check(body_kind == b"BIN\0" and body_size == len(body) == doc["buffers"][0]["byteLength"], "BIN")
    xyz, rgb = doc["accessors"]
    views = doc["bufferViews"]
    check(all(view["byteOffset"] % 4 == 0 for view in views), "a view is not on 4 bytes")
    check(views[1]["byteStride"] % 4 == 0 and xyz["count"] == rgb["count"], "colours")
    points = [struct.unpack_from("<3f", body, 12 * i) for i in range(xyz["count"])]
    for k in range(3):
        check(min(p[k] for p in points) == struct.unpack("f", struct.pack("f", xyz["min"][k]))[0], "min")
        check(max(p[k] for p in points) == struct.unpack("f", struct.pack("f", xyz["max"][k]))[0], "max")
    at = views[1]["byteOffset"]
    def srgb(v):
        v /= 65535
        return round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055))
    return points, [tuple(map(srgb, struct.unpack_from("<3H", body, at + 8 * i))) for i in range(rgb["count"])]


@case
def the_points_are_kept_as_files_that_other_programs_open(make):
    with make(CLOUD.replace("fps=20", "fps=2")) as own:
        page = enter(own)
        kept = {}
        for kind in ("ply", "glb"):
            before = page.clear_downloads()
            page.js(f"document.querySelector('[data-keep={kind}]').click()")
            kept[kind] = numbers(page.downloaded(before, "." + kind))
        points, colours = kept["ply"]
        shown = page.js("Number(document.querySelector('#points').textContent.replaceAll(',', ''))")
        check(shown == len(points) == len(kept["glb"][0]), f"{shown} points, {len(points)} in the file")
        check(points == kept["glb"][0], "PLY and GLB hold other points")
        check(all(z < 0 for _, _, z in points), "z is backward")
        check(colours == kept["glb"][1] and len(set(colours)) > 100, "the colours are not the picture's")


@case
def a_recording_is_played_and_wound_in_the_page(make):
    with make(CLOUD.replace("orbit=0", "orbit=6")) as own:
        page = enter(own)
        page.js("document.querySelector('#record').click()")
        page.wait("document.querySelector('#record').textContent === 'Stop'", 20)
        at = page.js(MAPS)
        page.wait(f"{MAPS} >= {at} + 25", 20)
        page.js("document.querySelector('#record').click()")
        page.wait("document.querySelector('#record').textContent === 'Record'", 20)
        page.wait("document.querySelectorAll('#tapes option').length === 2", 20)
        page.js("""(() => {
            const list = document.querySelector('#tapes');
            list.selectedIndex = 1;
            list.dispatchEvent(new Event('change'));
        })()""")
        page.wait("!document.querySelector('#scrub').hidden", 20)
        last = page.wait("Number(document.querySelector('#position').max)", 20)
        check(last > 0.5, f"only {last} s were recorded")

        frames = page.js("""fetch(`/api/v1/recordings/${document.querySelector('#tapes').value}`)
            .then((answer) => answer.arrayBuffer()).then((bytes) => {
                const [view, all] = [new DataView(bytes), []];
                for (let at = 0; at < bytes.byteLength; at += 32 + view.getUint32(at + 24, true)) {
                    all.push(view.getUint32(at + 8, true));
                }
                return all;
            })""")

        def wind(seconds, frame):
            choose(page, "#position", seconds)
            page.wait(f"Number(document.querySelector('#space').dataset.frame) === {frame}", 20)
            return settle(page)
        first, end, again = wind(0, frames[0]), wind(last, frames[-1]), wind(0, frames[0])
        check(differ(first, end) > 0.05, "another moment looks the same")
        check(differ(first, again) < 0.01, "the same moment looks another way")
        page.js("document.querySelector('#pause').click()")
        at = page.js("Number(document.querySelector('#position').value)")
        page.wait(f"Number(document.querySelector('#position').value) > {at} + 0.3", 20)
        page.js("""(() => {
            const list = document.querySelector('#tapes');
            list.selectedIndex = 0;
            list.dispatchEvent(new Event('change'));
        })()""")
        at = page.js(MAPS)
        page.wait(f"{MAPS} >= {at} + 5 && document.querySelector('#scrub').hidden", 20)


@case
def a_code_leads_a_phone_to_the_room(make):
    reader = shutil.which("zbarimg")
    with make(CLOUD) as own:
        page = enter(own)
        page.js("document.querySelector('#phones').open = true")
        page.wait("document.querySelector('#codes canvas.qr') !== null", 20)
        page.wait("document.querySelector('#phone-word').textContent.includes('--bind')", 20)
        link = page.js("document.querySelector('#codes a').href")
        check(link.endswith("/phone.html?room=demo"), link)
        if not reader:
            return  # tests/core/qr.c reads codes with a reader of its own
        data = page.js("document.querySelector('#codes canvas').toDataURL()")
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(base64.b64decode(data.split(",")[1]))
            file.flush()
            read = subprocess.run([reader, "-q", "--raw", file.name], capture_output=True, text=True)
        check(read.stdout.strip() == link, f"{reader} reads {read.stdout!r}, not {link}")


@case
def a_phone_sends_pictures_that_its_clock_dates(make):
    with make("left: browser -> rest: null\nright: browser => jpeg -> live: live") as own:
        page = own.page
        page.open(own.server.url + "phone.html?room=demo")
        page.wait("document.querySelector('#word').textContent === 'Connected'", 20)
        page.wait("document.querySelectorAll('#node option').length === 3", 20)
        page.js("""(() => {
            const list = document.querySelector('#node');
            list.value = 'right';
            list.dispatchEvent(new Event('change'));
            document.querySelector('#start').click();
        })()""")
        page.wait("Number(document.querySelector('#fps').textContent) > 0", 30)
        page.wait("Number(document.querySelector('#rtt').textContent) >= 0", 30)
        status = "fetch('/frame.jpg?room=demo').then((answer) => answer.status)"
        check(page.js(status) == 200, "no picture of the phone came out of the room")
        check(not page.complaints, "\n".join(page.complaints))


@case
def the_page_of_cameras_says_what_it_needs_and_shows_a_board(make):
    graph = ("fuse: fuse -> points: null\nscene 64x48 fps=10 orbit=0 -> eye1: live\n"
             "scene.depth -> steady -> cloud -> fuse.in1")
    with make(graph) as own:
        page = own.page
        page.open(own.server.url + "cameras.html?room=demo")
        page.wait("document.querySelector('#codes canvas') !== null", 20)
        page.js("document.querySelector('#find').click()")
        page.wait("document.querySelector('#found tr')?.textContent.includes('eye1not found')", 30)
        page.js("document.querySelector('#show').click()")
        width, height, rgba = page.pixels("#board")
        dark = sum(1 for i in range(0, len(rgba), 400) if rgba[i] < 40) * 100 / (width * height)
        check(0.2 < dark < 0.5, f"{dark:.2f} of the board is dark")
        own.shot("cameras")
        check(not page.complaints, "\n".join(page.complaints))


@case
def both_eyes_see_the_cloud(make):
    with make(CLOUD) as own:
        page = enter(own)
        choose(page, "#stereo", True)
        shot = settle(page)
        beside = page.js("document.querySelector('#side').offsetLeft / innerWidth")
        half = int(shot.width * beside / 2)

        def part(x0):
            return b"".join(shot.rgba[4 * (y * shot.width + x0):4 * (y * shot.width + x0 + half)]
                            for y in range(shot.height))
        left, right = (Pixels(half, shot.height, part(x)) for x in (0, half))
        check(painted(left) > 0.1 and painted(right) > 0.1, "an eye sees nothing")
        check(0.001 < differ(left, right) < 0.4, f"the eyes differ by {differ(left, right):.3f}")


@case
def nothing_is_made_anew_for_a_frame(make):
    for graph in (CLOUD, CAMERAS):
        nothing_is_made_anew(make, graph)


def at_rest(page):
    """Waits until eight maps in a row have brought no more points than any before: buffers grow until then."""
    most, since = page.js(POINTS), page.js(MAPS)
    for _ in range(120):
        seen = page.js(MAPS)
        page.wait(f"{MAPS} > {seen}", 20)
        points, seen = page.js(POINTS), page.js(MAPS)
        if points > most:
            most, since = points, seen
        if most > 0 and seen >= since + 8:
            return
    raise studio.Failure("the points grow without end")


def nothing_is_made_anew(make, graph):
    with make(graph) as own:
        own.page.before("""for (const name of ['createBuffer', 'createTexture', 'texImage2D', 'bufferData', 'createVertexArray']) {
            const real = WebGL2RenderingContext.prototype[name];
            WebGL2RenderingContext.prototype[name] = function (...args) {
                window.made = (window.made ?? 0) + 1;
                return real.apply(this, args);
            };
        }""")
        page = enter(own, "?draw=gl")
        at_rest(page)
        first = page.js("window.made")
        at = page.js(MAPS)
        page.wait(f"{MAPS} >= {at} + 15", 20)
        check(first > 3 and page.js("window.made") == first, "textures or buffers are made per frame")


@case
def the_processor_draws_what_webgl_draws(make):
    for graph in (CLOUD, CAMERAS):
        with make(graph) as own:
            shots = {}
            for who in ("gl", "cpu"):
                page = enter(own, f"?draw={who}")
                check(page.js("document.querySelector('#space').dataset.painter") == who, f"not {who}")
                choose(page, "#colour", 0)
                picture = settle(page)
                choose(page, "#colour", 1)
                shots[who] = (picture, settle(page))
            for a, b in zip(shots["gl"], shots["cpu"]):
                check(painted(a) > 0.1, f"only {painted(a):.2f} of the picture is painted")
                check(differ(a, b) < 0.03, f"{differ(a, b):.3f} of the pixels differ")


@case
def a_browser_without_webgl_draws_too(make):
    with make(CLOUD) as own:
        own.page.before("""for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
            const real = kind.prototype.getContext;
            kind.prototype.getContext = function (name, ...more) {
                return name === 'webgl2' ? null : real.call(this, name, ...more);
            };
        }""")
        check(painted(settle(enter(own))) > 0.15, "nothing is drawn")
        check(not own.page.complaints, "\n".join(own.page.complaints))


@case
def three_cameras_are_one_cloud_in_the_page(make):
    with make(CAMERAS) as own:
        page = enter(own)
        all_three = settle(page)
        own.shot("space-cameras")
        check(painted(all_three) > 0.1, f"only {painted(all_three):.2f} of the picture is painted")
        check(len(set(zip(all_three.rgba[::4], all_three.rgba[1::4]))) > 100, "the colours are not the pictures'")
        check(page.js("document.querySelector('#smooth').disabled"), "two clouds have no pixels in common")
        count = page.js(POINTS)
        before = page.clear_downloads()
        page.js("document.querySelector('[data-keep=ply]').click()")
        kept = numbers(page.downloaded(before, ".ply"))[0]
        check(abs(len(kept) - count) < 0.05 * count, f"{len(kept)} points in the file, {count} in the page")
        away = {f"pose{i}": "500 0 0 0 0 0" for i in (2, 3)}
        own.server.call("PATCH", "/api/v1/rooms/demo/params", {"node": "fuse", "values": away})
        at = page.js(MAPS)
        page.wait(f"{MAPS} >= {at} + 3", 20)
        only_first = settle(page)
        check(painted(only_first) < 0.98 * painted(all_three) and differ(all_three, only_first) > 0.01,
              "the other cameras' points were not there")
        own.server.call("PATCH", "/api/v1/rooms/demo/params", {"node": "fuse", "values": {"most": 1000}})
        page.wait(f"{POINTS} === 1000", 20)


@case
def a_knob_takes_points_away(make):
    with make(CLOUD) as own:
        page = enter(own)
        page.wait("Number(document.querySelector('#points').textContent.replaceAll(',', '')) > 1000")
        before = page.js("Number(document.querySelector('#points').textContent.replaceAll(',', ''))")
        own.server.call("PATCH", "/api/v1/rooms/demo/params", {"node": "solid", "values": {"far": 5}})
        page.wait("Number(document.querySelector('#points').textContent.replaceAll(',', '')) "
                  f"< {before} * 0.9", 20)


@case
def a_room_without_depth_says_what_it_needs(make):
    with make("pattern ball size=320x240 fps=20 => jpeg -> live") as own:
        own.page.open(own.server.url + "space.html")
        own.page.wait("document.querySelector('#word').textContent.includes('depth16')", 20)


@case
def the_studio_leads_there_where_there_is_depth(make):
    with make(CLOUD) as own:
        page = own.open()
        page.wait("!document.querySelector('#space').hidden")
        page.js("document.querySelector('#space').click()")
        page.wait(f"location.pathname === '/space.html' && {MAPS} >= 1", 20)


if __name__ == "__main__":
    sys.exit(studio.main(SOFTWARE_GL))
