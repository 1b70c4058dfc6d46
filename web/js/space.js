// SPDX-License-Identifier: MIT
// The point cloud of a room: depth maps come over the studio's connection and the browser makes the
// points, or points of several cameras come as such. The knobs are those of the room's nodes.

import { call, roomPath, takeToken } from './api.js';
import { Connection } from './connection.js';
import { Knobs } from './knobs.js';
import { showCodes } from './codes.js';
import { DepthPath } from './space-depth.js';
import { Camera } from './space-camera.js';
import { glb, ply, pointsGiven, pointsOf } from './space-file.js';
import { painter } from './space-paint.js';
import { Tape } from './space-tape.js';
import { $, attempt, el, ms, rate, recall, remember, saveBlob, say, toast } from './ui.js';
import { Values } from './values.js';

const KINDS = [2, 3]; // depth, points
const CODECS = ['depth16', 'cloud']; // what is asked for, the first that the room has
const SHOWN_EVERY_MS = 33;
const RATE_WINDOW_MS = 2000;
const DEPTH_NODES = ['depth', 'steady', 'cloud', 'scene', 'depth16', 'fuse', 'play'];

const canvas = $('#space');
const connection = new Connection();
const values = new Values(connection);
const knobs = new Knobs($('#knobs'), values);
const camera = new Camera(canvas);
const cloud = attemptPainter();
const path = new DepthPath(take, (reason) => toast(reason));
const settings = { size: $('#size'), colour: $('#colour'), smooth: $('#smooth'), stereo: $('#stereo'), drift: $('#drift') };

let fresh = true; // no map yet: the view is not set
let mapAt = 0;
let mapPeriodMs = 50;
let drawnTimes = [];
let mapTimes = [];
let reportedAt = 0;
let unreported = 0;
let lastDraw = 0;
let ground = [0, 0, 0];
let tape = null; // what is played instead of the room
let room = null; // its newest document

function attemptPainter() {
    try {
        return painter(canvas, new URLSearchParams(location.search).get('draw'));
    } catch (error) {
        say($('#word'), error.message);
        return null;
    }
}

// --- maps
function take(map) {
    const now = performance.now();
    if (!cloud) return;
    cloud.take(map);
    if (mapAt) mapPeriodMs += (Math.min(500, now - mapAt) - mapPeriodMs) * 0.2;
    mapAt = now;
    mapTimes.push(now);
    if (fresh && map.points) {
        camera.distance = (map.near + map.far) / 2;
        camera.home();
        fresh = false;
    }
    $('#by-confidence').disabled = !map.confidence;
    if (!map.confidence && settings.colour.value === '3') settings.colour.value = '0';
    settings.smooth.disabled = Boolean(map.places); // who is who in two clouds is not known
    say($('#points'), map.points.toLocaleString('en'));
    $('#word').hidden = true;
    if (!tape) unreported++;
    if (!tape && now - reportedAt >= SHOWN_EVERY_MS) {
        connection.send({ type: 'shown', frame: map.frame, t: now, count: unreported });
        reportedAt = now;
        unreported = 0;
    }
    canvas.dataset.maps = String(Number(canvas.dataset.maps ?? 0) + 1); // for who waits for them
    canvas.dataset.frame = String(map.frame);
}

// --- drawing
function resize() {
    const scale = Math.min(devicePixelRatio, canvas.dataset.painter === 'gl' ? 2 : 1);
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
}

// The panel covers a part of a wide page; the middle of what is left is the middle of the view.
function roomBeside() {
    const left = $('#side').offsetLeft / canvas.clientWidth;
    return canvas.width * (left > 0.5 ? left : 1);
}

// On a narrow page it covers the lower part.
function roomAbove() {
    const side = $('#side');
    const top = side.offsetTop / canvas.clientHeight;
    return Math.round(canvas.height * (side.offsetWidth > 0.9 * canvas.clientWidth ? top : 1));
}

function draw(now) {
    const seconds = Math.min(0.1, (now - lastDraw) / 1000);
    lastDraw = now;
    resize();
    camera.drift = settings.drift.checked;
    camera.step(seconds, now / 1000);
    const blend = settings.smooth.checked ? Math.min(1, (now - mapAt) / mapPeriodMs) : 1;
    const eyes = settings.stereo.checked ? [-1, 1] : [0];
    const width = Math.floor(roomBeside() / eyes.length);
    const height = roomAbove();
    const aspect = eyes.length > 1 ? undefined : width / height;
    cloud.clear(...ground);
    for (const [i, eye] of eyes.entries()) {
        cloud.draw(camera.matrix(width / height, eye), [i * width, canvas.height - height, width, height], {
            unit: camera.unit(height, aspect), size: Number(settings.size.value),
            colouring: Number(settings.colour.value), blend,
        });
    }
    cloud.show();
    drawnTimes.push(now);
}

function loop(now) {
    if (tape) follow();
    draw(now);
    requestAnimationFrame(loop);
}

// --- numbers
function perSecond(times) {
    const now = performance.now();
    while (times.length && now - times[0] > RATE_WINDOW_MS) times.shift();
    return (times.length * 1000) / RATE_WINDOW_MS;
}

function tell() {
    say($('#fps'), rate(perSecond(drawnTimes)));
    say($('#rate'), rate(perSecond(mapTimes)));
}

function update(newest) {
    room = newest;
    values.follow(room);
    const recording = room.recording?.recording ?? false;
    if (recording !== ($('#record').getAttribute('aria-pressed') === 'true')) listTapes();
    $('#record').setAttribute('aria-pressed', String(recording));
    say($('#record'), recording ? 'Stop' : 'Record');
    knobs.update({ ...room, nodes: room.nodes.filter((node) => DEPTH_NODES.includes(node.type)) });
    const own = room.clients?.filter((client) => CODECS.includes(client.codec) && client.latencyMs) ?? [];
    say($('#latency'), own.length ? ms(own.at(-1).latencyMs.p50) : '–');
}

// --- connection
connection.codecs = CODECS;
connection.parts = ['confidence'];
connection.addEventListener('picture', ({ detail: { header, bytes } }) => {
    if (KINDS.includes(header.kind) && !tape) path.push(header, bytes);
});
connection.addEventListener('room', ({ detail }) => update(detail));
connection.addEventListener('hello', ({ detail }) => {
    if (CODECS.includes(detail.codec)) return;
    $('#word').hidden = false;
    say($('#word'), 'This room makes no depth for viewers: its graph needs a depth map into depth16 and then live, as in the preset cloud, or points into msgpack and then live.');
});
connection.addEventListener('state', ({ detail }) => {
    if (detail.state === 'open') return;
    $('#word').hidden = false;
    say($('#word'), detail.state === 'refused' ? detail.reason : detail.state === 'waiting' ? 'Reconnecting' : 'Connecting');
});
connection.addEventListener('trouble', ({ detail }) => toast(detail.message));

// --- what is kept, and what was
function saveCloud(points, kind) {
    saveBlob(kind === 'ply' ? ply(points) : glb(points), `cloud.${kind}`);
}

async function keep(kind) {
    const map = await path.again();
    if (!map) throw new Error('There are no points yet');
    let pixels = null;
    if (map.places) return saveCloud(pointsGiven(map), kind);
    if (map.picture) {
        const context = new OffscreenCanvas(map.width, map.height).getContext('2d');
        context.drawImage(map.picture, 0, 0, map.width, map.height);
        pixels = context.getImageData(0, 0, map.width, map.height).data;
        map.picture.close();
    }
    return saveCloud(pointsOf(map, pixels), kind);
}

async function record() {
    const action = room?.recording?.recording ? 'stop' : 'start';
    await call('POST', roomPath(connection.room, '/record'), { action, ...(action === 'start' ? { what: 'depth' } : {}) });
    await listTapes();
}

async function listTapes() {
    const { recordings } = await call('GET', '/api/v1/recordings');
    const files = recordings.map(({ file }) => file).filter((file) => file.endsWith('.phs'));
    const chosen = $('#tapes').value;
    $('#tapes').replaceChildren(el('option', { value: '' }, 'live'), ...files.map((file) => el('option', { value: file }, file)));
    if (files.includes(chosen)) $('#tapes').value = chosen;
}

function follow() {
    tape.step();
    $('#position').value = String(tape.position);
    say($('#clock'), `${tape.position.toFixed(1)} s`);
}

async function choose(file) {
    tape = file ? await Tape.open(file, ({ header, bytes }) => path.push(header, bytes)) : null;
    $('#scrub').hidden = !tape;
    $('#position').max = String(tape?.seconds ?? 0);
    pause(false);
}

function pause(on) {
    tape?.play(!on);
    $('#pause').setAttribute('aria-pressed', String(on));
    say($('#pause'), on ? 'Play' : 'Pause');
}

for (const button of document.querySelectorAll('[data-keep]')) {
    button.addEventListener('click', () => attempt(() => keep(button.dataset.keep)));
}
$('#record').addEventListener('click', () => attempt(record));
$('#tapes').addEventListener('change', () => attempt(() => choose($('#tapes').value)));
$('#phones').addEventListener('toggle', () => attempt(async () => {
    if ($('#phones').open) say($('#phone-word'), await showCodes($('#codes'), connection.room) ?? 'Scan it with the phone.');
}));
$('#pause').addEventListener('click', () => pause($('#pause').getAttribute('aria-pressed') !== 'true'));
$('#position').addEventListener('input', () => {
    pause(true);
    tape?.go(Number($('#position').value));
    say($('#clock'), `${(tape?.position ?? 0).toFixed(1)} s`);
});

// --- controls
function snapshot() {
    draw(performance.now()); // a WebGL canvas can be read in the turn that drew it only
    canvas.toBlob((blob) => blob && saveBlob(blob, 'cloud.png'));
}

for (const [name, input] of Object.entries(settings)) {
    const kept = recall(`space.${name}`, null);
    if (kept !== null && input.type === 'checkbox') input.checked = kept === 'true';
    else if (kept !== null) input.value = kept;
    input.addEventListener('input', () => remember(`space.${name}`, String(input.type === 'checkbox' ? input.checked : input.value)));
}
if (matchMedia('(max-width: 700px)').matches) $('#side details').open = false; // the view comes first
$('#home').addEventListener('click', () => camera.home());
$('#snapshot').addEventListener('click', snapshot);
canvas.addEventListener('keydown', (event) => {
    if (event.key === '0') camera.home();
    if (event.key === 'p') snapshot();
});

function groundColour() {
    const probe = getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).map(Number);
    ground = probe.slice(0, 3).map((v) => v / 255);
}

async function begin() {
    takeToken();
    groundColour();
    const query = new URLSearchParams(location.search);
    let name = query.get('room');
    await attempt(async () => {
        knobs.descriptors = await call('GET', '/api/v1/nodes');
        name ??= (await call('GET', '/api/v1/rooms')).rooms[0]?.name;
        await listTapes();
    });
    if (!name) {
        say($('#word'), 'This server has no room yet');
        return;
    }
    $('#studio').href = `./?room=${encodeURIComponent(name)}`;
    $('#calibrate').href = `cameras.html?room=${encodeURIComponent(name)}`;
    document.title = `${name} · space`;
    connection.open(name);
    if (cloud) requestAnimationFrame(loop);
    setInterval(tell, 500);
    if (query.get('tape')) {
        $('#tapes').value = query.get('tape');
        await attempt(() => choose(query.get('tape')));
    }
}

begin();
