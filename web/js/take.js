// SPDX-License-Identifier: MIT
// What is taken away from a room: recordings, snapshots, traces; and the two cuts.

import { call, download, downloadLink, roomPath } from './api.js';
import { $, attempt, bytes, el, elapsed, icon, recall, remember, saveBlob, say, toast } from './ui.js';

const SOFT_CUT_CHUNKS = 2;
const EARLIER = 8; // films of before that are offered
const TYPES = { PNG: 'image/png', JPEG: 'image/jpeg' };

const stamp = () => new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-');

export class Take {
    #connection;
    #picture;
    #recording = null; // { file, since } while it runs
    #offered = new Set(); // files that have their link
    #askedEarlier = false;
    #button = $('#record');

    constructor(connection, picture) {
        this.#connection = connection;
        this.#picture = picture;
        this.#button.addEventListener('click', () => this.record());
        $('#snapshot').addEventListener('click', () => this.snapshot());
        $('#snapshot-type').addEventListener('click', () => this.#nextType());
        $('#hard-cut').addEventListener('click', () => this.cut('hard'));
        $('#soft-cut').addEventListener('click', () => this.cut('soft'));
        $('#trace').addEventListener('click', () => this.#file('trace'));
        $('#journal').addEventListener('click', () => this.#file('journal'));
        say($('#snapshot-type'), recall('snapshot', 'PNG'));
        setInterval(() => this.#showElapsed(), 500);
    }

    // Another viewer may start or stop a recording: the file is offered to all who saw it run.
    update({ recording }) {
        const { file } = this.#recording ?? {};
        this.#show(recording);
        this.#offerEarlier();
        if (!file || recording.recording || recording.file !== file || this.#offered.has(file)) return;
        this.#offered.add(file);
        this.#offer(recording);
    }

    async record() {
        await attempt(async () => {
            const action = this.#recording ? 'stop' : 'start';
            const state = await call('POST', roomPath(this.#connection.room, '/record'), { action });
            this.update({ recording: state });
        });
    }

    async snapshot() {
        await attempt(async () => {
            const name = $('#snapshot-type').textContent;
            const extension = name === 'PNG' ? 'png' : 'jpg';
            const blob = await this.#picture.snapshot(TYPES[name]);
            saveBlob(blob, `${this.#connection.room}-${stamp()}.${extension}`);
            toast(`Snapshot saved, ${bytes(blob.size)}`, 'note');
        });
    }

    async cut(kind) {
        const button = $(`#${kind}-cut`);
        button.dataset.state = 'pending';
        const message = kind === 'soft' ? { kind, chunks: SOFT_CUT_CHUNKS } : { kind };
        await attempt(async () => {
            const { frame } = await this.#connection.request({ type: 'cut', ...message });
            toast(`${kind === 'hard' ? 'Hard' : 'Soft'} cut on frame ${frame}`, 'note');
        });
        button.dataset.state = '';
    }

    #nextType() {
        const next = $('#snapshot-type').textContent === 'PNG' ? 'JPEG' : 'PNG';
        say($('#snapshot-type'), next);
        remember('snapshot', next);
    }

    async #file(what) {
        const { room } = this.#connection;
        await attempt(() => download(roomPath(room, `/${what}`), `${room}-${stamp()}.${what}.json`));
    }

    #show(state) {
        const since = performance.now() - (state.seconds ?? 0) * 1000;
        const same = this.#recording?.file === state.file; // else it is another room's
        this.#recording = state.recording
            ? { file: state.file, since: same ? this.#recording.since : since }
            : null;
        this.#button.setAttribute('aria-pressed', String(state.recording));
        document.body.classList.toggle('recording', state.recording);
        this.#showElapsed();
    }

    #showElapsed() {
        const seconds = this.#recording ? (performance.now() - this.#recording.since) / 1000 : 0;
        say($('.label', this.#button), this.#recording ? elapsed(seconds) : 'Record');
    }

    // What was recorded before this page was opened.
    async #offerEarlier() {
        if (this.#askedEarlier) return;
        this.#askedEarlier = true;
        const { recordings } = await call('GET', '/api/v1/recordings').catch(() => ({ recordings: [] }));
        for (const film of recordings.slice(0, EARLIER).reverse()) {
            if (this.#offered.has(film.file) || this.#recording?.file === film.file) continue;
            this.#offered.add(film.file);
            this.#offer(film);
        }
    }

    #offer({ file, bytes: count, seconds, time }) {
        const about = time ? new Date(time * 1000).toLocaleString() : elapsed(seconds);
        const path = `/api/v1/recordings/${encodeURIComponent(file)}`;
        $('#recordings').prepend(el('li', {},
            downloadLink(path, file, icon('download'), file),
            el('span', { class: 'dim' }, `${about}, ${bytes(count)}`)));
        $('#takes').hidden = false;
    }
}
