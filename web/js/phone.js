// SPDX-License-Identifier: MIT
// A phone as a camera of a room: JPEG pictures dated by this machine's clock, and pings from which
// the server learns how far that clock is from its own.

import { call, roomPath, takeToken, tokenProtocols } from './api.js';
import { HEADER_BYTES } from './connection.js';
import { $, attempt, el, rate, say, toast } from './ui.js';
import { Webcam } from './webcam.js';

const PING_MS = 1000;
const RETRY_MS = 1500;
const FPS = 30;
let room = new URLSearchParams(location.search).get('room') ?? '';

const clock = () => performance.timeOrigin + performance.now();

class Line {
    #socket = null;
    #last = {}; // the exchange before: sent, heard, server_ns
    rtt = Infinity;

    get isOpen() {
        return this.#socket?.readyState === WebSocket.OPEN;
    }

    get backlog() {
        return this.#socket?.bufferedAmount ?? 0;
    }

    open() {
        const url = new URL(`/ws?room=${encodeURIComponent(room)}`, location.href);
        url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
        const socket = new WebSocket(url, tokenProtocols());
        socket.onopen = () => {
            say($('#word'), 'Connected');
            this.register();
            this.#ping();
        };
        socket.onmessage = ({ data }) => typeof data === 'string' && this.#heard(JSON.parse(data));
        socket.onclose = () => {
            say($('#word'), 'Reconnecting');
            setTimeout(() => this.open(), RETRY_MS);
        };
        this.#socket = socket;
    }

    register() {
        const node = $('#node').value;
        if (this.isOpen) this.#say({ type: 'register_role', role: 'camera', timestamp: clock(), ...(node ? { node } : {}) });
    }

    #say(message) {
        this.#socket.send(JSON.stringify(message));
    }

    #ping() {
        if (this.isOpen) this.#say({ type: 'ping', t: clock(), ...this.#last });
    }

    #heard(message) {
        if (message.type === 'error' || message.type === 'problem') {
            if (message.message) toast(message.message);
        }
        if (message.type !== 'pong') return;
        const heard = clock();
        this.#last = { sent: message.t, heard, server_ns: message.server_ns };
        this.rtt = Math.min(this.rtt, heard - message.t);
        setTimeout(() => this.#ping(), PING_MS);
    }

    // Dated with when it was taken, so that what the network delays stays in time.
    async sendPicture(blob) {
        const taken = clock();
        const bytes = await blob.arrayBuffer();
        const message = new Uint8Array(HEADER_BYTES + bytes.byteLength);
        const view = new DataView(message.buffer);
        message.set([0x50, 0x48, 0x53, 0x31, 1, 1, 1, 0]); // PHS1, a picture, JPEG, key
        view.setBigInt64(16, BigInt(Math.round(taken * 1e6)), true);
        view.setUint32(24, bytes.byteLength, true);
        message.set(new Uint8Array(bytes), HEADER_BYTES);
        if (this.isOpen) this.#socket.send(message);
    }
}

const line = new Line();
const webcam = new Webcam(line);

async function start() {
    if (webcam.running) {
        webcam.stop();
        return;
    }
    const [width, height] = $('#size').value.split('x').map(Number);
    await webcam.start({ width, height, fps: FPS, facing: $('#back').checked ? 'environment' : 'user' });
    await navigator.wakeLock?.request('screen').catch(() => null); // a dark phone sends nothing
}

webcam.addEventListener('change', () => {
    $('#start').setAttribute('aria-pressed', String(webcam.running));
    say($('#start'), webcam.running ? 'Stop' : 'Start');
});
$('#start').addEventListener('click', () => attempt(start));
$('#node').addEventListener('change', () => line.register());
setInterval(() => {
    say($('#fps'), webcam.running ? rate(webcam.fps) : '–');
    say($('#rtt'), Number.isFinite(line.rtt) ? (line.rtt / 2).toFixed(1) : '–');
}, 500);
async function listPlaces() {
    const { nodes } = await call('GET', roomPath(room));
    const places = nodes.filter(({ type }) => type === 'browser').map(({ name }) => name);
    $('#node').append(...places.map((name) => el('option', { value: name }, name)));
}

async function begin() {
    room ||= (await call('GET', '/api/v1/rooms')).rooms[0]?.name ?? '';
    if (!room) throw new Error('This server has no room yet');
    line.open();
    await listPlaces();
}

takeToken();
attempt(begin);
