// SPDX-License-Identifier: MIT
// What the loudspeakers delay the sound by: this page clicks, its microphone hears the clicks, and
// the time between is the offset of a listen node. Without a microphone, hands are compared that tap
// with flashes and with clicks.

import { call, roomPath, takeToken } from './api.js';
import { ClickEar, agree, byTaps, delays } from './calibrate-math.js';
import { $, attempt, el, say, toast } from './ui.js';

const CLICKS = 12;
const PERIOD_S = 1;
const LEAD_S = 1; // of quiet before the first one
const CLICK_S = 0.005;
const CLICK_HZ = 3000;
const FLASH_S = 0.09;
const TAPS = 12; // of which the first find the measure
const TAPS_SKIPPED = 2;
const DOUBTFUL_S = 0.015;
const BEST_OF = 0.5; // share of the clicks that have to agree

const words = $('#words');
const result = $('#result');
let room = '';
let running = null; // ends what runs
let measured = null; // in ms

// --- sound and light
function clickOf(context) {
    const buffer = context.createBuffer(1, Math.round(CLICK_S * context.sampleRate), context.sampleRate);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) {
        const t = i / context.sampleRate;
        samples[i] = 0.9 * Math.exp(-t / (CLICK_S / 4)) * Math.cos(2 * Math.PI * CLICK_HZ * t);
    }
    return buffer;
}

function playClicks(context, count) {
    const click = clickOf(context);
    const first = context.currentTime + LEAD_S;
    return Array.from({ length: count }, (_, i) => {
        const source = new AudioBufferSourceNode(context, { buffer: click });
        source.connect(context.destination);
        // whole samples: a click between two would be another one
        const at = Math.round((first + i * PERIOD_S) * context.sampleRate) / context.sampleRate;
        source.start(at);
        return at;
    });
}

function everyFrame(run) {
    let frame = requestAnimationFrame(function next(now) {
        frame = requestAnimationFrame(next);
        run(now);
    });
    return () => cancelAnimationFrame(frame);
}

const flash = (on) => $('#flash').classList.toggle('lit', on);
const seconds = (time) => new Promise((done, fail) => {
    const timer = setTimeout(done, time * 1000);
    running.stop.push(() => {
        clearTimeout(timer);
        fail(new Stopped());
    });
});

class Stopped extends Error {}

// One measurement at a time; what it began is ended, however it ends.
async function run(work) {
    stop();
    const own = { stop: [] };
    running = own;
    result.hidden = true;
    $('#stop').hidden = false;
    try {
        await work();
    } catch (error) {
        if (running === own) say(words, error.message);
    }
    if (running !== own) return; // it was stopped
    stop();
}

function stop() {
    const ends = running?.stop ?? [];
    running = null;
    for (const end of ends) end();
    flash(false);
    $('#pad').hidden = true;
    $('#stop').hidden = true;
}

// --- with the microphone
async function microphone() {
    if (!navigator.mediaDevices) {
        throw new Error('A browser gives its microphone only to pages of this machine or over HTTPS. Tap along instead.');
    }
    try {
        return await navigator.mediaDevices.getUserMedia({
            audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
        });
    } catch (error) {
        throw new Error(`The microphone is not to be had (${error.message}). Tap along instead.`);
    }
}

// Its samples arrive at hear(samples, time on the context's clock).
async function listen(context, stream, hear) {
    await context.audioWorklet.addModule('js/calibrate-ear.js');
    const ear = new AudioWorkletNode(context, 'ear');
    ear.port.onmessage = ({ data }) => hear(data.samples, data.time);
    // a node is run when it leads to the end; it says nothing there
    context.createMediaStreamSource(stream).connect(ear).connect(context.destination);
}

async function measure() {
    say(words, 'Waiting for the microphone');
    const own = running;
    const stream = await microphone();
    const release = () => stream.getTracks().forEach((track) => track.stop());
    if (running !== own) release(); // nobody waits for it any more
    if (running !== own) throw new Stopped();
    own.stop.push(release);
    const context = new AudioContext({ latencyHint: 'interactive' });
    running.stop.push(() => context.close());
    await context.resume();
    const heard = [];
    const ear = new ClickEar(context.sampleRate);
    await listen(context, stream, (samples, time) => heard.push(...ear.take(samples, time)));
    const played = playClicks(context, CLICKS);
    running.stop.push(everyFrame(() => {
        const now = context.currentTime;
        const count = played.filter((time) => time <= now).length;
        flash(count > 0 && now - played[count - 1] < FLASH_S);
        say(words, `Click ${count} of ${CLICKS}, heard ${delays(played, heard).length}`);
    }));
    while (context.currentTime < played.at(-1) + PERIOD_S) await seconds(0.1);
    const late = stream.getAudioTracks()[0].getSettings().latency;
    showMeasured(played, heard, Number.isFinite(late) ? late : 0);
}

function showMeasured(played, heard, own) {
    const found = agree(delays(played, heard));
    Object.assign(result.dataset, { played: JSON.stringify(played), heard: JSON.stringify(heard), own });
    if (!found || found.count < CLICKS * BEST_OF) {
        say(words, `Only ${found?.count ?? 0} of ${CLICKS} clicks were heard at the same distance. `
            + 'Turn the sound up, bring the microphone to where people stand, or tap along.');
        return;
    }
    const mic = own > 0 ? `; the microphone’s own ${Math.round(own * 1000)} ms are taken off` : '';
    show({ ...found, offset: found.offset - own }, `${found.count} of ${CLICKS} clicks${mic}`);
}

// --- with taps
function taps() {
    const times = [];
    const take = (event) => {
        if (event.type === 'keydown' && (event.repeat || ['Tab', 'Escape', 'Shift'].includes(event.key))) return;
        if (event.type === 'pointerdown' && event.target !== $('#pad')) return;
        event.preventDefault();
        times.push(event.timeStamp / 1000);
    };
    for (const kind of ['keydown', 'pointerdown']) {
        addEventListener(kind, take);
        running.stop.push(() => removeEventListener(kind, take));
    }
    return times;
}

// The times at which pictures with a flash were shown, on the page's clock.
async function flashes(count) {
    const first = performance.now() / 1000 + LEAD_S;
    const shown = [];
    const end = everyFrame((now) => {
        const at = now / 1000 - first;
        const lit = at >= 0 && at % PERIOD_S < FLASH_S && at < count * PERIOD_S;
        if (lit && shown.length <= Math.floor(at / PERIOD_S)) shown.push(now / 1000);
        flash(lit);
    });
    running.stop.push(end);
    await seconds(LEAD_S + count * PERIOD_S);
    end();
    return shown;
}

// The times at which clicks left this page, on the page's clock: the audio clock goes on in steps, so
// the least that the two are apart is what they are.
async function clicks(count) {
    const context = new AudioContext({ latencyHint: 'interactive' });
    running.stop.push(() => context.close());
    await context.resume();
    let apart = Infinity;
    const end = everyFrame(() => {
        apart = Math.min(apart, performance.now() / 1000 - context.currentTime);
    });
    running.stop.push(end);
    const played = playClicks(context, count);
    while (context.currentTime < played.at(-1) + PERIOD_S) await seconds(0.1);
    end();
    return played.map((time) => time + apart);
}

async function tapAlong() {
    $('#pad').hidden = false;
    $('#pad').focus();
    say(words, 'First: press a key, or the field below, with each flash');
    const first = taps();
    const seen = await flashes(TAPS);
    say(words, 'Now with each click');
    const second = taps();
    const from = first.length;
    const heard = await clicks(TAPS);
    const lists = [seen, first.slice(0, from), heard, second]
        .map((list, i) => (i % 2 ? list : list.slice(TAPS_SKIPPED)));
    result.dataset.taps = JSON.stringify(lists);
    const found = byTaps(...lists);
    if (!found) say(words, 'Too few taps came with flashes or clicks: press once with each.');
    else show(found, `${found.count} taps of each kind`);
}

// --- the result
function show({ offset, spread }, from) {
    measured = Math.round(offset * 10000) / 10;
    say($('#figure'), measured.toFixed(1));
    say($('#spread'), `± ${(spread * 1000).toFixed(1)} ms, from ${from}`);
    $('#offset').value = String(measured);
    result.hidden = false;
    say(words, spread > DOUBTFUL_S ? 'It is not very sure: they lie far apart. Do it once more.' : 'Done');
}

async function learn() {
    const { rooms } = await call('GET', '/api/v1/rooms');
    const wanted = new URL(location.href).searchParams.get('room');
    room = (rooms.find(({ name }) => name === wanted) ?? rooms[0])?.name ?? '';
    $('#studio').href = `./?room=${encodeURIComponent(room)}`;
    const { nodes } = await call('GET', roomPath(room, '/params'));
    const ears = nodes.filter((node) => node.type === 'listen');
    $('#node').replaceChildren(...ears.map((node) => el('option', { value: node.name },
        `${node.name} (now ${node.values.offset} ms)`)));
    $('#apply').disabled = ears.length === 0;
    say($('#target'), ears.length ? '' : `The room “${room}” has no listen node to give it to.`);
}

async function apply() {
    const node = $('#node').value;
    const offset = Number($('#offset').value);
    await call('PATCH', roomPath(room, '/params'), { node, values: { offset } });
    await learn();
    $('#node').value = node;
    say($('#target'), `The beats of ${node} are ${Math.abs(offset)} ms ${offset < 0 ? 'earlier' : 'later'} now.`);
}

$('#measure').addEventListener('click', () => run(measure));
$('#tap').addEventListener('click', () => run(tapAlong));
$('#stop').addEventListener('click', () => {
    stop();
    say(words, 'Stopped');
});
$('#apply').addEventListener('click', () => attempt(apply));
takeToken();
learn().catch((error) => toast(error.message));
