// SPDX-License-Identifier: MIT
// The studio page: makes the parts and joins them. Everything that happens to a room goes through
// one connection; each part follows the room document and acts through the connection or the API.

import { call, setToken, takeToken } from './api.js';
import { Connection, KIND_PICTURE } from './connection.js';
import { GraphView } from './graph.js';
import { Hands } from './hands.js';
import { installKeys } from './keys.js';
import { Knobs } from './knobs.js';
import { Lifeline } from './lifeline.js';
import { Music } from './music.js';
import { Picture } from './picture.js';
import { GraphText, RoomSwitch } from './room.js';
import { Signals } from './signals.js';
import { SourcePanel } from './source.js';
import { Take } from './take.js';
import { $, attempt, el, ms, rate, recall, remember, say, toast } from './ui.js';
import { Values } from './values.js';
import { CODEC_NAMES, supportedCodecs } from './video.js';
import * as view from './view.js';
import { Webcam } from './webcam.js';

const PICTURE_MISSED_MS = 2000;

const connection = new Connection();
const picture = new Picture($('#picture'));
const values = new Values(connection);
const hands = new Hands(values);
const knobs = new Knobs($('#knobs'), values, hands);
const graph = new GraphView($('#graph'), $('#pace'));
const signals = new Signals($('#strip'), $('#times'));
const webcam = new Webcam(connection);
const source = new SourcePanel($('#source'), connection, webcam);
const rooms = new RoomSwitch($('#room'));
const graphText = new GraphText(connection);
const take = new Take(connection, picture);
const lifeline = new Lifeline();
const music = new Music($('#music-panel'), { connection, knobs, hands, values, open: choose });

let link = { state: 'connecting' };
let room = null;
let descriptors = new Map();
let codecs = ['jpeg'];
let newest = null; // header of the newest picture
let pictureAt = 0;
let trips = []; // round trips to the server, in ms: the last few

// --- the room's life
function enter(name) {
    room = null;
    newest = null;
    webcam.stop();
    picture.reset();
    values.forget();
    lifeline.reset();
    graphText.reset();
    rooms.show(name);
    document.title = `${name} · phosphene`;
    const address = new URL(location.href);
    address.searchParams.set('room', name);
    history.replaceState(null, '', address);
    connection.codecs = preferredCodecs();
    connection.open(name);
}

function preferredCodecs() {
    const chosen = recall('codec', 'auto');
    return chosen === 'auto' || !codecs.includes(chosen) ? codecs : [chosen, 'jpeg'];
}

// A server that restarted may be another version with other nodes: all of it is asked anew.
async function learn() {
    await Promise.all([
        attempt(async () => {
            const list = await call('GET', '/api/v1/nodes');
            descriptors = new Map(list.map((info) => [info.name, info]));
            knobs.descriptors = list;
            music.descriptors = descriptors;
        }),
        attempt(() => source.load()),
        attempt(() => graphText.load()),
        attempt(() => rooms.load()),
    ]);
}

function update(next) {
    room = next;
    if (lifeline.restarted(room)) {
        values.restore(room);
        source.resume();
    }
    values.follow(room);
    hands.update(room);
    knobs.update(room);
    music.update(room);
    graph.select(knobs.selected);
    graph.update(room);
    signals.update(room);
    source.update(room, descriptors);
    graphText.update(room);
    take.update(room);
    $('#space').hidden = !room.nodes.some((node) => ['depth16', 'msgpack'].includes(node.type));
    $('#space').href = `space.html?room=${encodeURIComponent(connection.room)}`;
    showState();
}

// --- what the head line and the veil over the picture say
const STATE_WORDS = {
    connecting: 'connecting', waiting: 'reconnecting', refused: 'refused', open: 'waiting',
};

function showState() {
    const word = link.state === 'open' && room ? room.state : STATE_WORDS[link.state];
    say($('#state-word'), word);
    $('#state').dataset.state = link.state === 'open' ? room?.state ?? 'connecting' : link.state;
    say($('#viewers'), link.state === 'open' && room
        ? `${room.viewers} ${room.viewers === 1 ? 'viewer' : 'viewers'}`
        : '');
    document.body.classList.toggle('cut-off', link.state !== 'open');
    const words = veilWords();
    $('#veil').hidden = !words;
    say($('#veil-words'), words ?? '');
    $('#retry').hidden = link.state !== 'waiting';
    showCaption();
}

function veilWords() {
    if (link.state === 'connecting') return newest ? 'Reconnecting' : 'Connecting';
    if (link.state === 'waiting') {
        const why = link.reason ? ` (${link.reason})` : '';
        return `The connection is lost${why}. Trying again by itself.`;
    }
    if (link.state === 'refused') return link.reason;
    if (room?.state === 'ended') return 'The source has come to its end.';
    const problem = room?.nodes.find((node) => node.problem);
    if (performance.now() - pictureAt < PICTURE_MISSED_MS) return null;
    if (problem) return `${problem.name}: ${problem.problem}`;
    if (!webcam.running && room?.nodes.some((node) => node.type === 'browser' && !node.fps)) {
        return 'Waiting for a camera: choose “Use this camera”';
    }
    return newest ? 'No new picture' : 'Waiting for the first picture';
}

function showCaption() {
    const parts = [];
    if (newest) {
        parts.push(`${rate(picture.fps)} fps here`,
            `${newest.width}×${newest.height} ${CODEC_NAMES[newest.codec]}`,
            `frame ${newest.frame}`, `epoch ${newest.epoch}`);
    }
    const limiter = room?.limiter;
    if (limiter && limiter !== 'none') parts.push(`flash limiter: ${limiter}`);
    if (trips.length) parts.push(`${ms(Math.min(...trips))} ms away`);
    $('#caption').replaceChildren(...parts.map((part) => el('span', {}, part)));
}

// --- the token, when the server wants one
function askToken() {
    $('#token-dialog').showModal();
}

$('#token-form').addEventListener('submit', () => {
    setToken($('#token').value);
    start();
});

// --- the parts, joined
connection.addEventListener('state', ({ detail }) => {
    link = detail;
    if (link.state === 'connecting') picture.reset();
    if (link.state === 'waiting') lifeline.lost();
    if (link.state === 'open') learn();
    if (link.state === 'refused') refused(link);
    showState();
});

function refused({ status, rooms: others }) {
    if (status === 401) askToken();
    else if (status === 404 && others.length) enter(others[0].name);
}

connection.addEventListener('picture', ({ detail: { header, bytes } }) => {
    if (header.kind !== KIND_PICTURE) return;
    const first = performance.now() - pictureAt > PICTURE_MISSED_MS;
    newest = header;
    pictureAt = performance.now();
    picture.push(header, bytes);
    if (first) showState();
});
connection.addEventListener('room', ({ detail }) => update(detail));
connection.addEventListener('rtt', ({ detail }) => {
    trips = [detail.ms, ...trips].slice(0, 3); // the least of them: the way itself, without waits
});
connection.addEventListener('hello', ({ detail }) => {
    say($('#version'), `phosphene ${detail.version}`);
});
connection.addEventListener('trouble', ({ detail }) => {
    toast(detail.field ? `${detail.field}: ${detail.message}` : detail.message);
});

picture.addEventListener('shown', ({ detail }) => connection.send({ type: 'shown', ...detail }));
picture.addEventListener('unplayable', ({ detail }) => {
    codecs = connection.codecs = ['jpeg'];
    toast(`Video did not play here (${detail.reason}); the pictures come as JPEG now`, 'note');
    connection.send({ type: 'codec', codec: 'jpeg' });
});

function choose(name) {
    view.openPanel('#knobs-panel');
    knobs.select(name);
    graph.select(name);
}

for (const part of [knobs, graph]) {
    part.addEventListener('select', ({ detail }) => choose(detail.name));
}
graphText.addEventListener('applied', () => values.forget());
rooms.addEventListener('choose', ({ detail }) => enter(detail.room));
$('#retry').addEventListener('click', () => connection.retryNow());
$('#codec').addEventListener('change', () => {
    remember('codec', $('#codec').value);
    connection.codecs = preferredCodecs();
    connection.send({ type: 'codec', codec: connection.codecs[0] });
});

view.installView();
installKeys([
    { key: 'f', words: 'Stage: only the picture, full screen', run: view.toggleStage },
    { key: 'Escape', words: 'Leave the stage', run: view.leaveStage },
    { key: 'p', words: 'Panels away, and back', run: view.togglePanels },
    { key: 'r', words: 'Start and stop recording', run: () => take.record() },
    { key: 's', words: 'Save a snapshot', run: () => take.snapshot() },
    { key: 'x', words: 'Hard cut: forget everything before', run: () => take.cut('hard') },
    { key: 'c', words: 'Soft cut: fade into the new', run: () => take.cut('soft') },
    { key: 'b', words: 'Tap the beat', run: () => music.tap() },
    { key: 'w', words: 'This browser’s camera on and off', run: () => source.toggleCamera() },
    { key: '[', words: 'Knobs of the node before', run: () => knobs.step(-1) },
    { key: ']', words: 'Knobs of the node after', run: () => knobs.step(1) },
    {
        key: 'g', words: 'Write in the graph text', run: () => {
            view.openPanel('#text-panel');
            graphText.focus();
        },
    },
    { key: 't', words: 'Theme: auto, dark, light', run: view.nextTheme },
]);
setInterval(showState, 1000); // what is measured by its absence

async function start() {
    codecs = await supportedCodecs();
    $('#codec').replaceChildren(...['auto', ...codecs].map((name) =>
        el('option', { value: name }, name)));
    $('#codec').value = codecs.includes(recall('codec', 'auto')) ? recall('codec', 'auto') : 'auto';
    try {
        const list = await rooms.load();
        const wanted = new URL(location.href).searchParams.get('room');
        const known = list.find(({ name }) => name === wanted) ?? list[0];
        enter(known?.name ?? wanted ?? 'demo');
    } catch (error) {
        if (error.status === 401) askToken();
        else enter(new URL(location.href).searchParams.get('room') ?? 'demo');
    }
}

takeToken();
start();
