// SPDX-License-Identifier: MIT
// Encoded video through WebCodecs: which codecs this browser has, and a decoder that starts at a
// key frame and says when it cannot go on.

import { FLAG_KEY } from './connection.js';

export const CODEC_NAMES = { 1: 'jpeg', 2: 'h264', 3: 'vp8', 4: 'png' };

// Asked about in general; the stream's own profile is read from its key frames.
const PROBES = { h264: 'avc1.42E01F', vp8: 'vp8' };
const NAL_SPS = 7;
const MAX_QUEUE = 30; // a decoder this far behind will not catch up

// In the order the server should prefer; JPEG always works.
export async function supportedCodecs() {
    const found = [];
    for (const [name, codec] of Object.entries(PROBES)) {
        const answer = await globalThis.VideoDecoder?.isConfigSupported({ codec }).catch(() => null);
        if (answer?.supported) found.push(name);
    }
    return [...found, 'jpeg'];
}

// "avc1.PPCCLL" of an Annex B access unit: profile, constraints and level are the three bytes
// after the header of its sequence parameter set (ITU-T H.264 7.3.2.1.1, RFC 6381 3.3).
function h264CodecString(unit) {
    for (let i = 0; i + 6 < unit.length; i++) {
        const starts = unit[i] === 0 && unit[i + 1] === 0 && unit[i + 2] === 1;
        if (!starts || (unit[i + 3] & 31) !== NAL_SPS) continue;
        const hex = [...unit.subarray(i + 4, i + 7)].map((b) => b.toString(16).padStart(2, '0'));
        return `avc1.${hex.join('')}`;
    }
    return null;
}

export class VideoPath {
    #decoder = null;
    #config = '';
    #onFrame;
    #onFailure;

    // onFrame(videoFrame, frameNumber) takes the frame and closes it; onFailure(reason) comes once.
    constructor({ onFrame, onFailure }) {
        this.#onFrame = onFrame;
        this.#onFailure = onFailure;
    }

    decode(name, header, bytes) {
        const key = (header.flags & FLAG_KEY) !== 0;
        try {
            if (key) this.#configure(name, bytes);
            if (!this.#decoder) return; // joined between key frames
            if (this.#decoder.decodeQueueSize > MAX_QUEUE) throw new Error('decoding is too slow');
            // The timestamp carries the frame's number through the decoder.
            this.#decoder.decode(new EncodedVideoChunk({
                type: key ? 'key' : 'delta',
                timestamp: header.frame,
                data: bytes,
            }));
        } catch (error) {
            this.#fail(error.message);
        }
    }

    close() {
        if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
        this.#decoder = null;
        this.#config = '';
    }

    #configure(name, bytes) {
        const codec = name === 'h264' ? h264CodecString(bytes) : name;
        if (!codec) throw new Error('a key frame without its parameter set');
        if (codec === this.#config) return;
        this.close();
        this.#config = codec;
        this.#decoder = new VideoDecoder({
            output: (frame) => this.#onFrame(frame, frame.timestamp),
            error: (error) => this.#fail(error.message),
        });
        this.#decoder.configure({ codec, optimizeForLatency: true });
    }

    #fail(reason) {
        this.close();
        this.#onFailure(reason);
    }
}
