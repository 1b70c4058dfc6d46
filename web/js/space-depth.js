// SPDX-License-Identifier: MIT
// The depth message (kind 2 of docs/protocol.md) taken apart: lens, picture, 16-bit depth; points that
// the server made (kind 3) go the same way. One message is being unpacked, at most one waits, and what
// comes while one waits replaces it.

import { readCloud } from './space-points.js';

const KIND_CLOUD = 3;
const HEAD_BYTES = 40;
const TAIL_BYTES = 16;
const FLAG_EXTRA = 4; // the payload ends with confidence
const PACKED_ZLIB = 1;

async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Rows of differences, low bytes before high bytes. Returns how many values are not 0.
function sum(bytes, width, height, out) {
    const count = width * height;
    let there = 0;
    for (let y = 0, at = 0; y < height; y++) {
        let value = 0;
        for (let x = 0; x < width; x++, at++) {
            value = (value + (bytes[at] | (bytes[at + count] << 8))) & 0xffff;
            out[at] = value;
            if (value) there++;
        }
    }
    return there;
}

// The optional part at the end: 8 bits a pixel, c = value * scale + bias.
async function unpackConfidence(header, bytes, out) {
    const { width, height } = header;
    const tail = new DataView(bytes.buffer, bytes.byteOffset + bytes.byteLength - TAIL_BYTES, TAIL_BYTES);
    const size = tail.getUint32(8, true);
    const begin = bytes.byteLength - TAIL_BYTES - size;
    const packed = bytes.subarray(begin, begin + size);
    const flat = tail.getUint32(12, true) === PACKED_ZLIB ? await inflate(packed) : packed;
    if (flat.length !== width * height) throw new Error('a map of confidence of another length');
    const values = out.length >= width * height ? out : new Uint8Array(width * height);
    for (let y = 0, at = 0; y < height; y++) {
        let value = 0;
        for (let x = 0; x < width; x++, at++) values[at] = value = (value + flat[at]) & 0xff;
    }
    return { begin, values, scale: tail.getFloat32(0, true), bias: tail.getFloat32(4, true) };
}

// Either kind of message. A map's values go into `out` and `sure`, which are used again and again and only grow.
async function unpack(header, bytes, out, sure) {
    if (header.kind === KIND_CLOUD) return readCloud(header, bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const f32 = (i) => view.getFloat32(4 * i, true);
    const { width, height } = header;
    const jpegBytes = view.getUint32(32, true);
    const confidence = header.flags & FLAG_EXTRA ? await unpackConfidence(header, bytes, sure) : null;
    const packed = bytes.subarray(HEAD_BYTES + jpegBytes, confidence?.begin);
    const flat = view.getUint32(36, true) === PACKED_ZLIB ? await inflate(packed) : packed;
    if (flat.length !== width * height * 2) throw new Error('a depth map of another length');
    const values = out.length >= width * height ? out : new Uint16Array(width * height);
    const points = sum(flat, width, height, values);
    const jpeg = bytes.subarray(HEAD_BYTES, HEAD_BYTES + jpegBytes);
    const picture = jpegBytes ? await createImageBitmap(new Blob([jpeg], { type: 'image/jpeg' })) : null;
    return {
        frame: header.frame, width, height, values, points, picture, confidence,
        lens: [f32(0), f32(1), f32(2), f32(3)], scale: f32(4), bias: f32(5), near: f32(6), far: f32(7),
    };
}

export class DepthPath {
    #busy = false;
    #pending = null;
    #values = new Uint16Array(0);
    #sure = new Uint8Array(0);
    #last = null; // the newest message that was taken
    #onMap;
    #onFailure;

    constructor(onMap, onFailure) {
        this.#onMap = onMap;
        this.#onFailure = onFailure;
    }

    push(header, bytes) {
        if (document.hidden) return;
        if (this.#busy) this.#pending = { header, bytes };
        else this.#work(header, bytes);
    }

    // The newest map once more, in memory of its own, for who wants to keep it; null = none came.
    async again() {
        return this.#last && unpack(this.#last.header, this.#last.bytes, new Uint16Array(0), new Uint8Array(0));
    }

    async #work(header, bytes) {
        this.#busy = true;
        this.#last = { header, bytes };
        try {
            const map = await unpack(header, bytes, this.#values, this.#sure);
            this.#values = map.values ?? this.#values;
            this.#sure = map.confidence?.values ?? this.#sure;
            this.#onMap(map);
            map.picture?.close();
        } catch (error) {
            this.#onFailure(error.message);
        }
        this.#busy = false;
        const next = this.#pending;
        this.#pending = null;
        if (next) this.#work(next.header, next.bytes);
    }
}
