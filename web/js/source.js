// SPDX-License-Identifier: MIT
// The source panel: what the server may open, and this browser's own camera.

import { call, roomPath } from './api.js';
import { attempt, el, icon, rate, recall, remember, say } from './ui.js';
import { cameras } from './webcam.js';

const SIZES = ['640x480', '1280x720', '1920x1080'];
const CAMERA_FPS = 30;
const NODE_OF_KIND = { url: 'file' }; // else a kind is its node's type
const KIND_WORDS = { file: 'file', camera: 'camera', screen: 'screen', url: 'stream' };
// What every server has, under a node's name.
const BUILT_IN = { pattern: 'Test pattern', scene: 'Scene', browser: 'Camera of a browser' };

export class SourcePanel {
    #connection;
    #webcam;
    #list = el('div', { class: 'choices', role: 'radiogroup', 'aria-label': 'Source' });
    #device = el('select', { id: 'camera-device' });
    #size = el('select', { id: 'camera-size' }, ...SIZES.map((s) => el('option', {}, s)));
    #button = el('button', { type: 'button', class: 'button', onclick: () => this.#toggleCamera() });
    #report = el('p', { class: 'hint', role: 'status' });
    #sources = [];
    #chosen = null;

    constructor(root, connection, webcam) {
        this.#connection = connection;
        this.#webcam = webcam;
        this.#size.value = recall('camera-size', SIZES[0]);
        const camera = el('fieldset', { class: 'camera' },
            el('legend', {}, 'This browser’s camera'),
            el('div', { class: 'row' },
                el('label', { for: 'camera-device', class: 'visually-hidden' }, 'Camera'), this.#device,
                el('label', { for: 'camera-size', class: 'visually-hidden' }, 'Size'), this.#size),
            el('div', { class: 'row' }, this.#button, this.#report));
        root.append(this.#list, camera);
        for (const select of [this.#device, this.#size]) {
            select.addEventListener('change', () => this.#restartCamera());
        }
        webcam.addEventListener('change', () => this.#showCamera());
        navigator.mediaDevices?.addEventListener('devicechange', () => this.#listCameras());
        this.#listCameras();
        this.#showCamera();
        setInterval(() => this.#showRate(), 1000);
    }

    async load() {
        const { sources } = await call('GET', '/api/v1/sources');
        this.#sources = sources;
        this.#list.replaceChildren(...sources.map((source) => el('label', { class: 'choice' },
            el('input', {
                type: 'radio', name: 'source', value: source.name,
                onchange: () => this.#choose(source),
            }),
            icon(source.kind),
            el('span', {}, source.label === source.kind ? BUILT_IN[source.kind] : source.label),
            el('small', {}, KIND_WORDS[source.kind] ?? ''))));
        this.#mark();
    }

    // The room tells which kind of source it runs; a name is known only for a choice made here.
    update(room, descriptors) {
        const node = room.nodes.find((n) => descriptors.get(n.type)?.group === 'source');
        if (!node || this.#webcam.running) return;
        const fits = (s) => (NODE_OF_KIND[s.kind] ?? s.kind) === node.type;
        if (this.#sources.some((s) => s.name === this.#chosen && fits(s))) return;
        this.#chosen = this.#sources.find(fits)?.name ?? null;
        this.#mark();
    }

    // After a restart of the server: the camera of this page goes back to work.
    async resume() {
        if (this.#webcam.running) await attempt(() => this.#useBrowser());
    }

    toggleCamera() {
        return this.#toggleCamera();
    }

    #mark() {
        for (const input of this.#list.querySelectorAll('input')) {
            input.checked = input.value === this.#chosen;
        }
    }

    async #post(source) {
        await call('POST', roomPath(this.#connection.room, '/source'), { source });
        this.#chosen = source;
        this.#mark();
    }

    async #choose(source) {
        if (source.kind === 'browser') {
            await this.#startCamera();
            return;
        }
        this.#webcam.stop();
        await attempt(() => this.#post(source.name));
        this.#mark();
    }

    async #useBrowser() {
        const source = this.#sources.find((s) => s.kind === 'browser');
        if (!source) throw new Error('This server takes no pictures from browsers');
        await this.#post(source.name);
    }

    async #toggleCamera() {
        if (this.#webcam.running) this.#webcam.stop();
        else await this.#startCamera();
    }

    async #startCamera() {
        const [width, height] = this.#size.value.split('x').map(Number);
        await attempt(async () => {
            await this.#webcam.start({
                deviceId: this.#device.value, width, height, fps: CAMERA_FPS,
            });
            await this.#useBrowser();
        });
        await this.#listCameras(); // names are told only once the camera is allowed
        this.#mark();
    }

    async #restartCamera() {
        remember('camera-size', this.#size.value);
        if (this.#webcam.running) await this.#startCamera();
    }

    async #listCameras() {
        const found = await cameras();
        const chosen = this.#device.value;
        this.#device.replaceChildren(...found.map((device, i) =>
            el('option', { value: device.deviceId }, device.label || `Camera ${i + 1}`)));
        if (found.length === 0) this.#device.append(el('option', { value: '' }, 'Any camera'));
        if (found.some((device) => device.deviceId === chosen)) this.#device.value = chosen;
    }

    #showCamera() {
        this.#button.replaceChildren(icon(this.#webcam.running ? 'stop' : 'camera'),
            this.#webcam.running ? 'Stop the camera' : 'Use this camera');
        this.#button.classList.toggle('active', this.#webcam.running);
        this.#showRate();
    }

    #showRate() {
        const { width, height } = this.#webcam.size;
        say(this.#report, this.#webcam.running
            ? `sends ${width}×${height} at ${rate(this.#webcam.fps)} fps`
            : '');
    }
}
