#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cameras behind Linux' own drivers, in a virtual machine with a kernel of its own, as TAP.

    camera.py BUILD [NAME...]

vivid is the kernel's virtual Video4Linux camera: raw formats, many sizes. The USB webcam is one of our
own (webcam.py) behind the kernel's USB stack and uvcvideo. `make vm` fetches what the machine is made
of; without it every case is skipped, and counted. On the host this starts the machine and passes on
what it says; inside, with --inside, it is the test itself.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True  # the source folder stays as it is

import machine
from guest import Failure, Program, Room, Viewer, check, load_module, prepare, wait_for
from v4l2 import Device
from webcam import Mode, Webcam, without_tables

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VIVID = "/sys/bus/platform/drivers/vivid"
# 75 % colour bars: what vivid shows unless told otherwise
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191), (0, 0, 0)]
RAW = 9  # JPEG at quality 95 and 8 bits of chroma
GRAPH = "camera /dev/video0 size={size} fps={fps} format={format} => jpeg q=95 -> live"
LIMIT_S = 1500
ENDED = (0, 143)  # by SIGTERM; 143: it was too slow a machine to end in half a second
CASES = []


def case(function):
    CASES.append(function)
    return function


class Bench:
    """Where the cases work: the program, a folder, and where pictures are kept."""

    def __init__(self, build):
        self.build, self.work = build, f"{build}/vm/work"
        self.program = f"{build}/cli/phosphene"

    def serve(self, graph, *more):
        return Program([self.program, "serve", "--port", "0", *more, graph], "/run")

    def keep(self, name, picture):
        with open(f"{self.work}/{name}.jpg", "wb") as out:
            out.write(picture.jpeg)

    def say(self, words):
        print(f"# {words}", flush=True)


def sees_bars(bench, room, name, y=0.6, tolerance=RAW):
    """The newest picture, once it shows the bars."""
    def look():
        picture = room.picture()
        bench.keep(name, picture)
        wrong = picture.row(BARS, y, tolerance)
        check(not wrong, wrong)
        return picture
    return wait_for("colour bars", look)


def clean_bars():
    with Device("/dev/video0") as camera:
        camera.set("OSD Text Mode", 2)


def edit(room, **values):
    room.ask(f"/api/v1/rooms/{room.name}", "PATCH", {"graph": GRAPH.format(**values)})


# --- vivid


@case
def make_run_shows_the_camera(bench):
    command = ["make", "-s", "run", f"BUILD={os.path.relpath(bench.build, SOURCE)}", "INPUT=/dev/video0", "PORT=0"]
    with Program(command, SOURCE) as program:
        room = Room(program.url())
        picture = sees_bars(bench, room, "make-run", y=0.4, tolerance=24)  # the demo draws over it
        check((picture.width, picture.height) == (1280, 720), f"it is {picture.width}x{picture.height}")
        with Device("/dev/video0") as camera:
            bench.say(f"the camera gives {camera.format()} at {camera.rate():g}/s")
        node = room.node("camera")
        check(node["problem"] is None, node["problem"])
        check(program.stop() in (*ENDED, -signal.SIGTERM), f"it ended with {program.process.returncode}")
    check("ERROR" not in program.text(), program.text())


@case
def doctor_lists_the_camera(bench):
    shown = subprocess.run([bench.program, "doctor"], capture_output=True, text=True, check=False).stdout
    line = next((row for row in shown.splitlines() if "/dev/video0" in row), "")
    check("vivid" in line and "formats" in line, shown)
    bench.say(line.strip())


@case
def every_raw_format_and_size_shows_the_same_colours(bench):
    clean_bars()
    modes = [("yuyv", "320x180", 30, "YUYV"), ("nv12", "640x360", 15, "NV12"), ("i420", "320x180", 30, "YU12"),
             ("rgb24", "640x360", 10, "RGB3"), ("auto", "320x180", 5, None), ("yuyv", "1280x720", 5, "YUYV"),
             ("nv12", "1920x1080", 2, "NV12")]
    first = dict(zip(("format", "size", "fps"), modes[0]))
    with bench.serve(GRAPH.format(**first)) as program:
        room = Room(program.url())
        for name, size, fps, code in modes:
            edit(room, format=name, size=size, fps=fps)
            width, height = map(int, size.split("x"))

            def is_so():
                with Device("/dev/video0") as camera:
                    now = camera.format()
                check(now[:2] == (width, height) and code in (None, now[2]), f"the driver gives {now}")
                picture = room.picture()
                check((picture.width, picture.height) == now[:2], f"{picture.width}x{picture.height}")
                wrong = picture.row(BARS, 0.6, RAW)
                bench.keep(f"{name}-{size}", picture)
                check(not wrong, f"{name} {size}: {wrong}")
                return now

            now = wait_for(f"{name} {size}", is_so)
            with Device("/dev/video0") as camera:
                bench.say(f"{name} {size} {fps}/s: {now[2]} at {camera.rate():g}/s")
        check(room.node("camera")["problem"] is None, room.node("camera")["problem"])


# --- its end and return


def complaint(room):
    return room.node("camera")["problem"]


@case
def a_camera_that_the_driver_takes_away_is_named_and_comes_back(bench):
    with bench.serve(GRAPH.format(format="yuyv", size="320x180", fps=30)) as program:
        room = Room(program.url())
        viewer = Viewer(program.url())
        sees_bars(bench, room, "before")
        with open(f"{VIVID}/unbind", "w", encoding="ascii") as unbind:
            unbind.write("vivid.0")
        words = wait_for("the problem", lambda: complaint(room))
        bench.say(words)
        check("/dev/video0" in words, words)
        words = wait_for("a problem that lists cameras", lambda: "there is no /dev/video0" in complaint(room) and complaint(room))
        bench.say(words)
        check(room.document()["state"] == "live", "the room is not live")
        with open(f"{VIVID}/bind", "w", encoding="ascii") as bind:
            bind.write("vivid.0")
        clean_bars()
        wait_for("no problem", lambda: complaint(room) is None)
        sees_bars(bench, room, "after")
        viewer.sees_more()
        check(not viewer.ended, "the viewer's stream ended")
        # the driver's own fault injection: the node stays in /dev, every call says that it is gone
        with Device("/dev/video0") as camera:
            camera.set("Disconnect", 1)
            words = wait_for("the problem", lambda: complaint(room))
            bench.say(words)
            check("/dev/video0" in words, words)
        wait_for("no problem", lambda: complaint(room) is None)
        viewer.sees_more()
        check(program.stop() in ENDED, f"it ended with {program.process.returncode}")


@case
def a_recording_ended_by_sigterm_plays_with_the_cameras_times(bench):
    path = "/run/camera.mp4"
    graph = f"camera /dev/video0 size=320x180 fps=15 format=yuyv => record {path}"
    begin = time.monotonic()
    with bench.serve(graph) as program:
        room = Room(program.url())
        wait_for("a recording", lambda: room.node("record")["runs"] >= 60)
        asked = time.monotonic()
        check(program.stop() in ENDED, f"it ended with {program.process.returncode}:\n{program.text()}")
        bench.say(f"SIGTERM to its end: {time.monotonic() - asked:.2f} s on an emulated processor")
    wall = time.monotonic() - begin
    told = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                           "packet=pts_time:stream=codec_name,width,height", "-of", "json", path],
                          capture_output=True, text=True, check=True)
    check(not told.stderr, told.stderr)
    read = json.loads(told.stdout)
    times = [float(packet["pts_time"]) for packet in read["packets"]]
    check(read["streams"][0]["width"] == 320 and times[0] < 0.001, told.stdout[:500])
    check(all(a < b for a, b in zip(times, times[1:])), f"times go back: {times}")
    # the camera's own clock, however many pictures a slow machine left out
    check(len(times) >= 30 and (len(times) - 2) / 15 < times[-1] < wall, f"{len(times)} pictures in {times[-1]:.2f} s of {wall:.2f}")
    steps = sorted(b - a for a, b in zip(times, times[1:]))
    bench.say(f"{len(times)} pictures in {times[-1]:.2f} s, median step {steps[len(steps) // 2] * 1e3:.1f} ms of 66.7")
    decoded = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, text=True, check=True)
    check(not decoded.stderr, decoded.stderr)


# --- a USB webcam

SMPTE = [(192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0), (192, 0, 192), (192, 0, 0), (0, 0, 192)]
PIXELS = {"MJPG": "yuvj422p", "YUY2": "yuyv422", "NV12": "nv12"}


def mode(code, width, height, fps):
    """FFmpeg's colour bars as the webcam sends them."""
    form = ["-c:v", "mjpeg", "-q:v", "3", "-huffman", "default"] if code == "MJPG" else ["-c:v", "rawvideo"]
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"smptebars=size={width}x{height}", "-frames:v", "1",
         "-pix_fmt", PIXELS[code], *form, "-f", "image2pipe" if code == "MJPG" else "rawvideo", "-"],
        capture_output=True, check=True).stdout
    return Mode(code, width, height, fps, [without_tables(made) if code == "MJPG" else made])


def plug_in(*formats):
    webcam = Webcam(formats)
    wait_for("/dev/video1", lambda: os.path.exists("/dev/video1"))
    return webcam


def unplug(webcam):
    webcam.unplug()
    wait_for("the camera's end", lambda: not os.path.exists("/dev/video1"))


def sees_smpte(bench, room, name):
    def look():
        picture = room.picture()
        bench.keep(name, picture)
        if picture.at(0.28, 0.9)[1] < 230:
            raise RuntimeError(f"half a picture was shown: {picture.at(0.28, 0.9)} instead of white")
        wrong = picture.row(SMPTE, 0.3, 14)
        check(not wrong, wrong)
        return picture
    return wait_for("FFmpeg's colour bars", look)


@case
def a_usb_webcam_is_asked_for_motion_jpeg_when_pictures_are_large(bench):
    webcam = plug_in([mode("YUY2", 320, 180, 10)], [mode("MJPG", 1280, 720, 10), mode("MJPG", 320, 180, 10)])
    graph = "camera /dev/video1 size={} fps=10 => jpeg q=95 -> live"
    try:
        with bench.serve(graph.format("1280x720")) as program:
            room = Room(program.url())
            picture = sees_smpte(bench, room, "usb-mjpeg")
            check((picture.width, picture.height) == (1280, 720), f"{picture.width}x{picture.height}")
            with Device("/dev/video1") as camera:
                bench.say(f"large: {camera.format()}")
                check(camera.format() == (1280, 720, "MJPG"), camera.format())
            check(complaint(room) is None, complaint(room))
            room.ask(f"/api/v1/rooms/{room.name}", "PATCH", {"graph": graph.format("320x180")})
            wait_for("raw pictures", lambda: room.picture().width == 320)
            sees_smpte(bench, room, "usb-yuyv")
            with Device("/dev/video1") as camera:
                check(camera.format() == (320, 180, "YUYV"), camera.format())
    finally:
        unplug(webcam)


@case
def d2_44_a_usb_webcam_is_pulled_out_and_plugged_in_again(bench):
    formats = [mode("NV12", 320, 180, 10)]  # and nothing else: "auto" takes what there is
    webcam = plug_in(formats)
    with bench.serve("camera /dev/video1 size=320x180 fps=10 => jpeg q=95 -> live") as program:
        room = Room(program.url())
        viewer = Viewer(program.url())
        sees_smpte(bench, room, "usb-before")
        with Device("/dev/video1") as camera:
            check(camera.format() == (320, 180, "NV12"), camera.format())
        bench.say(f"camera to the viewer's mailbox: {room.document()['latencyMs']} ms on an emulated processor")
        unplug(webcam)
        words = wait_for("the problem", lambda: "there is no /dev/video1" in (complaint(room) or "") and complaint(room))
        bench.say(words)
        check(not viewer.ended, "the viewer's stream ended")
        webcam = plug_in(formats)
        wait_for("no problem", lambda: complaint(room) is None)
        sees_smpte(bench, room, "usb-after")
        viewer.sees_more()
        check(not viewer.ended, "the viewer's stream ended")
        check(program.stop() in ENDED, f"it ended with {program.process.returncode}")
    unplug(webcam)


def main():
    inside = sys.argv[1] == "--inside"
    args = sys.argv[2:] if inside else sys.argv[1:]
    build, names = os.path.abspath(args[0]), args[1:]
    chosen = [c for c in CASES if not names or c.__name__ in names]
    return test(Bench(build), chosen) if inside else host(build, chosen)


def host(build, chosen):
    kernel, work = f"{build}/vm/kernel", f"{build}/vm/work"
    print(f"1..{len(chosen)}", flush=True)
    why = machine.missing(kernel)
    if why:
        for number, one in enumerate(chosen, 1):
            print(f"ok {number} - {one.__name__} # SKIP {why}")
        return 0
    os.makedirs(work, exist_ok=True)
    command = [sys.executable, os.path.abspath(__file__), "--inside", build, *[c.__name__ for c in chosen]]
    return machine.run(kernel, work, SOURCE, command, LIMIT_S)


def test(bench, chosen):
    prepare(bench.work)
    load_module(f"{bench.build}/vm/kernel/modules/vivid.ko", "n_devs=1 node_types=0x1 num_inputs=1 input_types=0")
    wait_for("/dev/video0", lambda: os.path.exists("/dev/video0"))
    for number, one in enumerate(chosen, 1):
        begin = time.monotonic()
        try:
            one(bench)
            print(f"ok {number} - {one.__name__}", flush=True)
        except Exception as error:  # whatever it was, the next case runs
            words = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("\n".join("# " + line for line in words.splitlines()), flush=True)
            print(f"not ok {number} - {one.__name__}", flush=True)
        bench.say(f"{time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
