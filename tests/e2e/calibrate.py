#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page that measures the speakers' delay, in headless Chromium with a made microphone, as TAP.

    calibrate.py PROGRAM OUTPUT-FOLDER [NAME...]

What is asserted is what the page makes of times that are known, not when this machine does things.
"""

import json
import math
import os
import struct
import sys
import tempfile
import wave

sys.dont_write_bytecode = True

import studio
from studio import case, check

studio.CASES.clear()

RATE = 48000
EARS = """song: file {0} loop=on
song.sound -> ears: listen
pattern ball size=128x72 fps=30 => jpeg -> live"""
FOLDER = tempfile.TemporaryDirectory(prefix="ph-e2e-sound-")
CLICKS = os.path.join(FOLDER.name, "clicks.wav")


def write_clicks(path):
    """A click at each half of a second, four seconds long."""
    samples = [0.0] * (4 * RATE)
    for second in range(4):
        for i in range(RATE // 200):
            samples[second * RATE + RATE // 2 + i] = 0.6 * math.exp(-i / 60) * math.cos(i * 0.4)
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *(int(s * 32767) for s in samples)))


def enter(own):
    own.page.open(own.server.url + "calibrate.html")
    own.page.wait("document.querySelector('#node').options.length === 1")
    return own.page


def figure(page):
    return float(page.text("#figure")) / 1000


@case
def clicks_in_noise_are_dated_to_a_tenth_of_a_millisecond(make):
    with make(EARS.format(CLICKS)) as own:
        worst, missed, false = enter(own).js("""(async () => {
            const { ClickEar } = await import('./js/calibrate-math.js');
            let state = 7;
            const random = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 2147483648 - 1;
            let [worst, missed, wrong] = [0, 0, 0];
            for (const [noise, level] of [[0, 0.02], [0.01, 0.3], [0.03, 0.9]]) {
                const ear = new ClickEar(48000);
                const samples = Float32Array.from({ length: 48000 * 8 }, (_, i) => noise * random()
                    + 0.2 * Math.sin(i * 0.0065)); // hum of 50 Hz
                const truth = [1.0371, 2.5, 3.25004, 4.6, 6.1, 7.777];
                for (const at of truth) for (const [late, gain] of [[0, 1], [0.021, 0.5], [0.06, 0.3]])
                    for (let i = 0; i < 240; i++) samples[Math.round((at + late) * 48000) + i]
                        += gain * level * Math.exp(-i / 60) * Math.cos(i * 0.4);
                const heard = [];
                for (let i = 0; i < samples.length; i += 1000)
                    heard.push(...ear.take(samples.slice(i, i + 1000), 100 + i / 48000));
                const off = truth.map((at) => Math.min(...heard.map((h) => Math.abs(h - 100 - at))));
                missed += off.filter((d) => d > 0.01).length;
                wrong += heard.length - truth.length;
                worst = Math.max(worst, ...off.filter((d) => d <= 0.01));
            }
            return [worst, missed, wrong];
        })()""")
        check(missed == 0 and false == 0, f"{missed} clicks were missed, {false} were none")
        check(worst < 1e-4, f"one is {worst * 1000:.3f} ms off")


@case
def strays_do_not_count_and_taps_are_compared(make):
    with make(EARS.format(CLICKS)) as own:
        both, few, tapped = enter(own).js("""(async () => {
            const { agree, byTaps, delays } = await import('./js/calibrate-math.js');
            const played = Array.from({ length: 12 }, (_, i) => 5 + i);
            const heard = played.map((t, i) => t + 0.1834 + (i % 3 - 1) * 0.001);
            heard.splice(4, 1, 9.05, 9.9); // somebody coughs
            const early = played.map((t, i) => t - 0.031 + (i % 2) * 0.004);
            const late = played.map((t, i) => 100 + t + 0.2 - 0.031 + (i % 2) * 0.004);
            return [agree(delays(played, heard)), agree([0.1, 0.2]),
                byTaps(played, early, played.map((t) => t + 100), late)];
        })()""")
        check(abs(both["offset"] - 0.1834) < 0.0003 and both["count"] == 11, f"{both}")
        check(both["spread"] < 0.0015, f"spread {both['spread']}")
        check(few is None, "two are enough")
        check(abs(tapped["offset"] - 0.2) < 1e-6, f"taps: {tapped}")


@case
def a_known_delay_is_measured_and_applied(make):
    delay = 0.1834
    with make(EARS.format(CLICKS)) as own:
        # What the microphone hears is what the page plays, that much later, and quieter.
        own.page.before(f"""(() => {{
            let line;
            const connect = AudioNode.prototype.connect;
            AudioNode.prototype.connect = function (to, ...more) {{
                if (to instanceof AudioDestinationNode && this instanceof AudioBufferSourceNode) connect.call(this, line);
                return connect.call(this, to, ...more);
            }};
            AudioContext.prototype.createMediaStreamSource = function () {{
                line = new DelayNode(this, {{ delayTime: {delay}, maxDelayTime: 1 }});
                const quiet = new GainNode(this, {{ gain: 0.1 }});
                connect.call(line, quiet);
                return quiet;
            }};
            MediaStreamTrack.prototype.getSettings = () => ({{ latency: 0.01 }});
        }})()""")
        page = enter(own)
        page.click("#measure")
        page.wait("!document.querySelector('#result').hidden", 20)
        check(abs(figure(page) - (delay - 0.01)) < 0.002, f"measured {figure(page)}, it was {delay} less 0.01")
        check("12 of 12" in page.text("#spread"), page.text("#spread"))
        own.shot("calibrate")
        page.click("#apply")
        page.wait("document.querySelector('#target').textContent.includes('later now')")
        offset = own.server.value("ears", "offset")
        check(abs(offset - (delay - 0.01) * 1000) < 2, f"the node has {offset}")
        own.quiet()


@case
def a_microphone_is_heard(make):
    with make(EARS.format(CLICKS)) as own:
        page = enter(own)
        page.click("#measure")
        page.wait("document.querySelector('#result').dataset.heard", 20)
        told = page.js("({ ...document.querySelector('#result').dataset })")
        played, heard, late = (json.loads(told[key]) for key in ("played", "heard", "own"))
        check(len(heard) >= 8, f"of twelve seconds with a click each {len(heard)} were heard")
        if page.js("document.querySelector('#result').hidden"):
            return  # a machine that is so busy that the sound has holes: nothing is claimed, as it should be
        offs = sorted((h - min((p for p in played if p <= h + 0.1), key=lambda p: h - p)) for h in heard
                      if h >= played[0] - 0.1 and h < played[-1] + 0.9)
        want = offs[len(offs) // 2] - late
        check(abs(figure(page) - want) < 0.003, f"it says {figure(page)}, the times say {want}")
        own.quiet()


@case
def hands_that_tap_measure_it_too(make):
    # A hand that presses 40 ms early with what it sees, and with what it hears 150 ms after it left.
    hand = """(() => {
        const press = (at) => setTimeout(() => {
            const key = new KeyboardEvent('keydown', { key: ' ' });
            Object.defineProperty(key, 'timeStamp', { value: at });
            dispatchEvent(key);
        });
        const whens = [];
        const lit = DOMTokenList.prototype.toggle;
        DOMTokenList.prototype.toggle = function (name, on) {
            if (name === 'lit' && on && !this.contains('lit')) press(window.frameAt - 40);
            return lit.call(this, name, on);
        };
        const frame = requestAnimationFrame;
        window.requestAnimationFrame = (run) => frame((now) => { window.frameAt = now; run(now); });
        const start = AudioBufferSourceNode.prototype.start;
        AudioBufferSourceNode.prototype.start = function (when) {
            whens.push(when);
            if (whens.length === 12) { // by the last one it is best known how the clocks are apart
                this.addEventListener('ended', () => {
                    for (const at of whens) press(window.apart + at * 1000 - 40 + 150);
                });
            }
            return start.call(this, when);
        };
        window.apart = Infinity;
        const Real = AudioContext;
        window.AudioContext = class extends Real {
            get currentTime() {
                const time = super.currentTime;
                window.apart = Math.min(window.apart, performance.now() - time * 1000);
                return time;
            }
        };
    })()"""
    with make(EARS.format(CLICKS)) as own:
        own.page.before(hand)
        page = enter(own)
        page.click("#tap")
        page.wait("!document.querySelector('#result').hidden", 40)
        check(abs(figure(page) - 0.15) < 0.012, f"taps say {figure(page)}")
        own.shot("calibrate-taps")
        own.quiet()


@case
def it_fits_a_phone(make):
    with make(EARS.format(CLICKS), width=390, height=844, mobile=True) as own:
        page = enter(own)
        own.shot("calibrate-phone")
        wide = page.js("document.documentElement.scrollWidth")
        check(wide <= 390, f"the page is {wide} px wide")


if __name__ == "__main__":
    write_clicks(CLICKS)
    sys.exit(studio.main([f"--use-file-for-fake-audio-capture={CLICKS}"]))
