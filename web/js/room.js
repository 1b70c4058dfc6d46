// SPDX-License-Identifier: MIT
// The room: switching, making and removing rooms, presets, and the graph as text.

import { call, roomPath } from './api.js';
import { $, el, say, toast } from './ui.js';

export class RoomSwitch extends EventTarget {
    #select;
    #current = '';

    // Event: choose { room }
    constructor(select) {
        super();
        this.#select = select;
        select.addEventListener('change', () => this.#choose(select.value));
        $('#rooms-button').addEventListener('click', () => this.#ask());
        $('#remove-room').addEventListener('click', () => this.#remove());
        $('#room-form').addEventListener('submit', (event) => this.#create(event));
    }

    async load() {
        const { rooms } = await call('GET', '/api/v1/rooms');
        this.#select.replaceChildren(...rooms.map(({ name }) => el('option', { value: name }, name)));
        this.#select.value = this.#current;
        return rooms;
    }

    show(room) {
        this.#current = room;
        this.#select.value = room;
    }

    #choose(room) {
        this.dispatchEvent(new CustomEvent('choose', { detail: { room } }));
    }

    #ask() {
        say($('#room-error'), '');
        say($('#remove-room'), `Remove “${this.#current}”`);
        $('#room-dialog').showModal();
    }

    // method="dialog" closes by itself; a refused name keeps the dialog open, with the reason.
    async #create(event) {
        if (event.submitter?.value !== 'create') return;
        event.preventDefault();
        const name = $('#room-name').value.trim();
        try {
            await call('POST', '/api/v1/rooms', { name, preset: $('#room-preset').value });
            await this.load();
            $('#room-dialog').close();
            this.#choose(name);
        } catch (error) {
            say($('#room-error'), error.message);
        }
    }

    async #remove() {
        if (!confirm(`Remove the room "${this.#current}" for everybody in it?`)) return;
        try {
            await call('DELETE', roomPath(this.#current));
            const rooms = await this.load();
            $('#room-dialog').close();
            if (rooms.length) this.#choose(rooms[0].name);
        } catch (error) {
            say($('#room-error'), error.message);
        }
    }
}

export class GraphText extends EventTarget {
    #connection;
    #text = $('#graph-text');
    #error = $('#graph-error');
    #presets = [];
    #onServer = '';

    // Event: applied: the room runs another graph now, made here.
    constructor(connection) {
        super();
        this.#connection = connection;
        $('#graph-apply').addEventListener('click', () => this.apply());
        $('#graph-revert').addEventListener('click', () => this.#revert());
        $('#preset-load').addEventListener('click', () => this.#loadPreset());
        this.#text.addEventListener('input', () => this.#showDirty());
        this.#text.addEventListener('keydown', (event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.apply();
        });
    }

    async load() {
        const { presets } = await call('GET', '/api/v1/presets');
        this.#presets = presets;
        for (const id of ['#preset', '#room-preset']) {
            $(id).replaceChildren(...presets.map(({ name, title }) =>
                el('option', { value: name }, title || name)));
        }
    }

    // Follows the room for as long as nothing of the user's own stands in the box.
    update({ text }) {
        if (text === this.#onServer) return;
        const untouched = this.#text.value === this.#onServer;
        this.#onServer = text;
        if (untouched) this.#text.value = text;
        this.#showDirty();
    }

    // Another room: what was written for the last one does not belong here.
    reset() {
        this.#onServer = this.#text.value;
        this.#showError(null);
    }

    focus() {
        this.#text.focus();
    }

    async apply() {
        await this.#patch({ graph: this.#text.value });
    }

    async #loadPreset() {
        const preset = $('#preset').value;
        this.#text.value = this.#presets.find((p) => p.name === preset).text;
        await this.#patch({ preset });
    }

    async #patch(edit) {
        try {
            const room = await call('PATCH', roomPath(this.#connection.room), edit);
            this.#onServer = room.text;
            this.#text.value = room.text;
            this.#showError(null);
            this.dispatchEvent(new Event('applied'));
        } catch (error) {
            this.#showError(error);
            if (!error.line && !error.column) toast(error.message);
        }
        this.#showDirty();
    }

    #revert() {
        this.#text.value = this.#onServer;
        this.#showError(null);
        this.#showDirty();
    }

    #showDirty() {
        const dirty = this.#text.value !== this.#onServer;
        $('#graph-apply').disabled = !dirty;
        $('#graph-revert').disabled = !dirty;
    }

    // The message, the line it is about, and a caret under the column.
    #showError(error) {
        this.#text.toggleAttribute('aria-invalid', Boolean(error));
        this.#error.hidden = !error;
        if (!error) {
            this.#error.replaceChildren();
            return;
        }
        this.#error.replaceChildren(el('p', {}, error.message));
        if (!error.column) return;
        const lines = this.#text.value.split('\n');
        const at = (error.line ?? 1) - 1;
        const line = lines[at] ?? '';
        this.#error.append(el('pre', {}, `${line}\n${' '.repeat(error.column - 1)}^`),
            el('p', { class: 'where' }, `line ${at + 1}, column ${error.column}`));
        const start = lines.slice(0, at).join('\n').length + (at > 0 ? 1 : 0) + error.column - 1;
        const word = /^[\w.-]*/.exec(this.#text.value.slice(start))[0].length;
        this.#text.focus();
        this.#text.setSelectionRange(start, start + Math.max(1, word));
    }
}
