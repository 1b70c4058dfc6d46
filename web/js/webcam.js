// SPDX-License-Identifier: MIT
// This browser's camera as JPEG pictures: one is being encoded at a time, and none is made while
// the way to the server is full, so what arrives is new.

const QUALITY = 0.8;
const MOST_BACKLOG_BYTES = 256 * 1024;
const RATE_WINDOW_MS = 2000;

export async function cameras() {
    const devices = await navigator.mediaDevices?.enumerateDevices() ?? [];
    return devices.filter((device) => device.kind === 'videoinput');
}

const REASONS = {
    NotAllowedError: 'The browser was told not to give this page the camera',
    NotFoundError: 'There is no camera on this machine',
    NotReadableError: 'The camera is in use by another program',
    OverconstrainedError: 'The camera cannot give this size',
};

export class Webcam extends EventTarget {
    #connection;
    #stream = null;
    #canvas = null; // made with the first stream
    #busy = false;
    #dueAt = 0;
    #sent = [];

    // Event: change: started, or stopped by whoever.
    constructor(connection) {
        super();
        this.#connection = connection;
    }

    get running() {
        return this.#stream !== null;
    }

    // Pictures handed to the server per second, over the last two.
    get fps() {
        const now = performance.now();
        this.#sent = this.#sent.filter((t) => now - t < RATE_WINDOW_MS);
        return (this.#sent.length * 1000) / RATE_WINDOW_MS;
    }

    get size() {
        return { width: this.#canvas?.width ?? 0, height: this.#canvas?.height ?? 0 };
    }

    async start({ deviceId, width, height, fps, facing }) {
        this.stop();
        if (!navigator.mediaDevices) {
            throw new Error('A browser gives a page its camera only over https or on this machine: '
                + 'start the server with --tls-cert and --tls-key');
        }
        const video = {
            width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps },
            ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
            ...(facing ? { facingMode: facing } : {}),
        };
        try {
            this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
        } catch (error) {
            throw new Error(REASONS[error.name] ?? `The camera did not start: ${error.message}`);
        }
        this.#canvas = new OffscreenCanvas(width, height);
        const [track] = this.#stream.getVideoTracks();
        track.addEventListener('ended', () => this.stop());
        if (globalThis.MediaStreamTrackProcessor) this.#readTrack(track, fps);
        else this.#watchElement(this.#stream, fps);
        this.dispatchEvent(new Event('change'));
    }

    stop() {
        if (!this.#stream) return;
        for (const track of this.#stream.getTracks()) track.stop();
        this.#stream = null;
        this.#sent = [];
        this.dispatchEvent(new Event('change'));
    }

    // Where the browser hands out a track's frames: goes on while the page is in the background.
    async #readTrack(track, fps) {
        const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader();
        for (;;) {
            const { done, value: frame } = await reader.read();
            if (done) return;
            this.#take(frame, frame.displayWidth, frame.displayHeight, fps);
            frame.close();
        }
    }

    // Elsewhere through a video element that nobody sees.
    async #watchElement(stream, fps) {
        const video = document.createElement('video');
        video.srcObject = stream;
        video.muted = true;
        video.playsInline = true;
        await video.play();
        const next = () => {
            if (this.#stream !== stream) return;
            this.#take(video, video.videoWidth, video.videoHeight, fps);
            video.requestVideoFrameCallback(next);
        };
        video.requestVideoFrameCallback(next);
    }

    #take(source, width, height, fps) {
        const now = performance.now();
        const early = now < this.#dueAt - 4; // cameras jitter by some milliseconds
        if (early || this.#busy || !this.#connection.isOpen
            || this.#connection.backlog > MOST_BACKLOG_BYTES) return;
        this.#dueAt = Math.max(now, this.#dueAt + 1000 / fps);
        if (this.#canvas.width !== width || this.#canvas.height !== height) {
            this.#canvas.width = width;
            this.#canvas.height = height;
        }
        this.#canvas.getContext('2d').drawImage(source, 0, 0, width, height);
        this.#send();
    }

    async #send() {
        this.#busy = true;
        try {
            const blob = await this.#canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
            if (this.#stream) {
                this.#connection.sendPicture(blob);
                this.#sent.push(performance.now());
            }
        } finally {
            this.#busy = false;
        }
    }
}
