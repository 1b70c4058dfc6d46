// SPDX-License-Identifier: MIT
// A recording of depth played in this page alone: messages of phosphene.v1, one after the other, each
// at its own time, or wherever the slider is put.

import { fetchBytes } from './api.js';
import { HEADER_BYTES, readHeader } from './connection.js';

// Each message: { header, bytes, at }, `at` in seconds from the first. What is torn off is left out.
function index(buffer) {
    const messages = [];
    let first = null;
    for (let offset = 0; offset + HEADER_BYTES <= buffer.byteLength;) {
        const header = readHeader(buffer, offset);
        if (!header || offset + HEADER_BYTES + header.bytes > buffer.byteLength) break;
        first ??= header.ptsNs;
        const bytes = new Uint8Array(buffer, offset + HEADER_BYTES, header.bytes);
        messages.push({ header, bytes, at: Number(header.ptsNs - first) / 1e9 });
        offset += HEADER_BYTES + header.bytes;
    }
    return messages;
}

export class Tape {
    #messages;
    #onMessage;
    #shown = -1;
    #began = 0; // performance.now() at position 0
    playing = true;
    position = 0; // seconds

    static async open(file, onMessage) {
        const tape = new Tape();
        tape.#messages = index(await fetchBytes(`/api/v1/recordings/${encodeURIComponent(file)}`));
        if (!tape.#messages.length) throw new Error(`${file} has nothing on it`);
        tape.#onMessage = onMessage;
        tape.go(0);
        return tape;
    }

    get count() {
        return this.#messages.length;
    }

    get seconds() {
        return this.#messages.at(-1).at;
    }

    go(seconds) {
        this.position = Math.max(0, Math.min(this.seconds, seconds));
        this.#began = performance.now() - 1000 * this.position;
        this.#show();
    }

    play(on) {
        this.playing = on;
        this.#began = performance.now() - 1000 * this.position;
    }

    // To be called for each picture that is drawn.
    step() {
        if (!this.playing) return;
        this.position = (performance.now() - this.#began) / 1000;
        if (this.position > this.seconds + 0.05) this.go(0);
        else this.#show();
    }

    #show() {
        let [low, high] = [0, this.#messages.length];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.#messages[middle].at <= this.position + 1e-6) low = middle + 1;
            else high = middle;
        }
        const at = Math.max(0, low - 1);
        if (at === this.#shown) return;
        this.#shown = at;
        this.#onMessage(this.#messages[at]);
    }
}
