// SPDX-License-Identifier: MIT
// The WebSocket half of the wire: one phosphene.v1 connection to one room that comes back by itself.
//
// Events (CustomEvent, detail in brackets):
//   state   { state: 'connecting' | 'open' | 'waiting' | 'refused', reason, … }
//   picture { header, bytes }      room { … }      signals { nodes, drives }      rtt { ms }      hello { version, room, codec }
//   trouble { message }            an error of the server's that answers no request

import { call, tokenProtocols } from './api.js';

export const HEADER_BYTES = 32;
const MAGIC = 0x31534850; // "PHS1" read as a little-endian number
const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 8000;
const PING_MS = 4000;
const SILENCE_MS = 13000; // three pings unanswered: the path is dead, whatever TCP says
const ROOM_HZ = 4;

export const KIND_PICTURE = 1;
export const FLAG_KEY = 1;

// null: there is none at that place.
export function readHeader(buffer, offset = 0) {
    if (buffer.byteLength < offset + HEADER_BYTES) return null;
    const view = new DataView(buffer, offset);
    if (view.getUint32(0, true) !== MAGIC) return null;
    return {
        kind: view.getUint8(4),
        codec: view.getUint8(5),
        flags: view.getUint16(6, true),
        frame: view.getUint32(8, true),
        epoch: view.getUint32(12, true),
        ptsNs: view.getBigInt64(16, true),
        bytes: view.getUint32(24, true),
        width: view.getUint16(28, true),
        height: view.getUint16(30, true),
    };
}

// A request that the connection's end left without an answer; nobody knows whether it took effect.
export class Lost extends Error {}

export class Connection extends EventTarget {
    #socket = null;
    #room = '';
    #waiting = new Map(); // request id → { resolve, reject }
    #nextId = 1;
    #retryMs = FIRST_RETRY_MS;
    #retryTimer = 0;
    #pingTimer = 0;
    #heardAt = 0;
    codecs = ['jpeg']; // what the next hello offers, best first
    parts = []; // optional parts of messages that it asks for

    constructor() {
        super();
        addEventListener('online', () => this.retryNow());
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) this.retryNow();
        });
    }

    get room() {
        return this.#room;
    }

    get isOpen() {
        return this.#socket?.readyState === WebSocket.OPEN;
    }

    // Bytes handed over but not yet on their way: a camera slows down by it.
    get backlog() {
        return this.#socket?.bufferedAmount ?? 0;
    }

    open(room) {
        this.#room = room;
        this.#retryMs = FIRST_RETRY_MS;
        this.#connect();
    }

    retryNow() {
        if (!this.#retryTimer) return;
        this.#retryMs = FIRST_RETRY_MS;
        this.#connect();
    }

    send(message) {
        if (!this.isOpen) return false;
        this.#socket.send(JSON.stringify(message));
        return true;
    }

    // One JPEG of this browser's camera.
    sendPicture(blob) {
        if (this.isOpen) this.#socket.send(blob);
    }

    // Sends a message with an id; resolves with the acknowledgement { frame, epoch }.
    request(message) {
        return new Promise((resolve, reject) => {
            const id = this.#nextId++;
            if (!this.send({ ...message, id })) {
                reject(new Lost('not connected'));
                return;
            }
            this.#waiting.set(id, { resolve, reject });
        });
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    #connect() {
        this.#drop();
        this.#emit('state', { state: 'connecting' });
        const url = new URL(`/ws/stream?room=${encodeURIComponent(this.#room)}`, location.href);
        url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
        const socket = new WebSocket(url, ['phosphene.v1', ...tokenProtocols()]);
        socket.binaryType = 'arraybuffer';
        let opened = false;
        socket.onopen = () => {
            opened = true;
            this.#opened();
        };
        socket.onmessage = (event) => this.#heard(event.data);
        socket.onclose = (event) => this.#closed(opened, event);
        this.#socket = socket;
    }

    #drop() {
        clearTimeout(this.#retryTimer);
        clearInterval(this.#pingTimer);
        this.#retryTimer = 0;
        if (this.#socket) {
            this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
            this.#socket.close();
            this.#socket = null;
        }
        for (const { reject } of this.#waiting.values()) reject(new Lost('connection lost'));
        this.#waiting.clear();
    }

    #opened() {
        this.#heardAt = performance.now();
        this.send({ type: 'hello', codecs: this.codecs, ...(this.parts.length ? { parts: this.parts } : {}) });
        this.send({ type: 'subscribe', room: true, hz: ROOM_HZ });
        this.#pingTimer = setInterval(() => this.#ping(), PING_MS);
        this.#ping();
        this.#emit('state', { state: 'open' });
    }

    #ping() {
        const now = performance.now();
        if (now - this.#heardAt > SILENCE_MS) {
            this.#closed(true, { reason: 'the server went silent' });
            return;
        }
        this.send({ type: 'ping', t: now });
    }

    async #closed(opened, { code, reason }) {
        this.#drop();
        // A browser hides why a WebSocket was refused; the same question over HTTP tells.
        if (!opened) {
            const refusal = await this.#refusal();
            if (this.#socket || this.#retryTimer) return; // somebody opened another meanwhile
            if (refusal) {
                this.#emit('state', { state: 'refused', ...refusal });
                return;
            }
        }
        const wait = this.#retryMs * (0.75 + Math.random() / 2);
        this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 1.7);
        this.#retryTimer = setTimeout(() => this.#connect(), wait);
        const slow = code === 1013 ? 'this page could not keep up' : '';
        this.#emit('state', { state: 'waiting', reason: reason || slow });
    }

    // { status, reason } when trying again cannot help, else null.
    async #refusal() {
        try {
            const { rooms } = await call('GET', '/api/v1/rooms');
            if (rooms.some((room) => room.name === this.#room)) return null;
            return { status: 404, reason: `There is no room "${this.#room}"`, rooms };
        } catch (error) {
            const final = error.status === 401 || error.status === 403;
            return final ? { status: error.status, reason: error.message } : null;
        }
    }

    #heard(data) {
        this.#heardAt = performance.now();
        this.#retryMs = FIRST_RETRY_MS;
        if (data instanceof ArrayBuffer) {
            const header = readHeader(data);
            if (header) this.#emit('picture', { header, bytes: new Uint8Array(data, HEADER_BYTES) });
            return;
        }
        const message = JSON.parse(data);
        if (message.type === 'room') this.#emit('room', message.data);
        else if (message.type === 'signals') this.#emit('signals', message.data);
        else if (message.type === 'hello') this.#emit('hello', message);
        else if (message.type === 'pong') this.#emit('rtt', { ms: performance.now() - message.t });
        else if (message.type === 'ack') this.#settle(message.id, 'resolve', message);
        else if (message.type === 'error') this.#refuse(message);
    }

    #settle(id, how, result) {
        const waiter = this.#waiting.get(id);
        this.#waiting.delete(id);
        waiter?.[how](result);
        return waiter !== undefined;
    }

    // A refusal names what is wrong: one field, or several in `errors`.
    #refuse({ id, field, message, errors = [{ field, message }] }) {
        const error = Object.assign(new Error(message), { errors });
        if (!this.#settle(id, 'reject', error)) this.#emit('trouble', { field, message });
    }
}
