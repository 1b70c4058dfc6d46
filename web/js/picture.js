// SPDX-License-Identifier: MIT
// The live picture: bytes → bitmap → canvas. One picture is being decoded, at most one waits, and
// what comes while one waits replaces it: the screen shows the newest, never a queue.

import { VideoPath, CODEC_NAMES } from './video.js';

const SHOWN_EVERY_MS = 33; // the server allows 120 messages a second and knobs need their share
const RATE_WINDOW_MS = 2000;
const MIME = { jpeg: 'image/jpeg', png: 'image/png' };

export class Picture extends EventTarget {
    #canvas;
    #context;
    #busy = false;
    #pending = null; // { source: Blob | VideoFrame, frame, epoch }
    #epoch = 0;
    #since = 0; // first frame of this epoch: a decoder may still give out older ones
    #video;
    #shownTimes = [];
    #reportedAt = 0;
    #unreported = 0;

    // Events: shown { frame, t, count } (count: since the last one),
    // unplayable { reason }
    constructor(canvas) {
        super();
        this.#canvas = canvas;
        // A bitmaprenderer takes the decoded bitmap as it is, without a copy; a canvas keeps its
        // first context for life, so video frames go the same way.
        this.#context = canvas.getContext('bitmaprenderer');
        this.#video = new VideoPath({
            onFrame: (frame, number) => this.#offer({ source: frame, frame: number }),
            onFailure: (reason) => this.#emit('unplayable', { reason }),
        });
    }

    push(header, bytes) {
        // What a hard cut left behind must not appear after it.
        if (header.epoch !== this.#epoch) {
            this.#discard();
            this.#epoch = header.epoch;
            this.#since = header.frame;
        }
        const codec = CODEC_NAMES[header.codec];
        if (codec === 'h264' || codec === 'vp8') {
            this.#video.decode(codec, header, bytes);
        } else if (!document.hidden) {
            this.#offer({ source: new Blob([bytes], { type: MIME[codec] }), frame: header.frame });
        }
    }

    // A new connection may bring another room, another codec, another count of frames.
    reset() {
        this.#discard();
        this.#video.close();
        this.#since = 0;
        this.#shownTimes = [];
    }

    // Pictures put on the screen per second, over the last two.
    get fps() {
        const now = performance.now();
        this.#shownTimes = this.#shownTimes.filter((t) => now - t < RATE_WINDOW_MS);
        return (this.#shownTimes.length * 1000) / RATE_WINDOW_MS;
    }

    snapshot(type) {
        return new Promise((resolve, reject) => {
            this.#canvas.toBlob((blob) => {
                if (blob) resolve(blob);
                else reject(new Error('There is no picture to keep yet'));
            }, type, 0.95);
        });
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    #discard() {
        this.#pending?.source.close?.();
        this.#pending = null;
    }

    #offer(picture) {
        if (document.hidden || picture.frame < this.#since) {
            picture.source.close?.();
            return;
        }
        if (this.#busy) {
            this.#discard();
            this.#pending = picture;
            return;
        }
        this.#show({ ...picture, epoch: this.#epoch });
    }

    async #show({ source, frame, epoch }) {
        this.#busy = true;
        try {
            const bitmap = await createImageBitmap(source);
            if (epoch === this.#epoch) this.#present(bitmap, frame);
            else bitmap.close();
        } catch {
            // one damaged picture: the next one is already on its way
        }
        source.close?.();
        this.#busy = false;
        const next = this.#pending;
        this.#pending = null;
        if (next) this.#show({ ...next, epoch: this.#epoch });
    }

    #present(bitmap, frame) {
        const { width, height } = bitmap;
        if (this.#canvas.width !== width || this.#canvas.height !== height) {
            this.#canvas.width = width;
            this.#canvas.height = height;
        }
        this.#context.transferFromImageBitmap(bitmap);
        const now = performance.now();
        this.#shownTimes.push(now);
        this.#unreported++;
        if (now - this.#reportedAt >= SHOWN_EVERY_MS) {
            this.#emit('shown', { frame, t: now, count: this.#unreported });
            this.#reportedAt = now;
            this.#unreported = 0;
        }
    }
}
