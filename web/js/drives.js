// SPDX-License-Identifier: MIT
// What drives a knob: a strip below it with the signal, its range, curve and smoothing, the same as
// an expression, and a button that lets go. The room tells expression and value; what is wrong with
// one is said here.

import { BEATS, CURVES, WAVES, begin, read, readWave, short, waveSignal, write } from './mapping.js';
import { el, say } from './ui.js';

export const drivable = ({ type, setup }) => !setup && ['float', 'int', 'bool', 'enum'].includes(type);

// The value of a driven parameter as its control shows it.
export function shown(param, value) {
    if (param.type === 'bool') return value >= 0.5;
    return param.type === 'enum' ? param.names[value] : value;
}

// The signals of the room's nodes: { node, signal, name as an expression has it, min, max, now }.
export function signalsOf(room, descriptors) {
    const all = room.nodes.flatMap((node) => Object.entries(node.signals ?? {}).map(([name, now]) => {
        const info = descriptors.get(node.type)?.signals?.find((s) => s.name === name);
        return { node: node.name, signal: name, now, min: info?.min ?? 0, max: info?.max ?? 1 };
    }));
    const count = new Map();
    for (const { signal } of all) count.set(signal, (count.get(signal) ?? 0) + 1);
    return all.map((s) => ({ ...s, name: count.get(s.signal) > 1 ? `${s.node}.${s.signal}` : s.signal }));
}

const beatsText = (beats) => (beats === 0.5 ? '½ beat' : `${beats} ${beats === 1 ? 'beat' : 'beats'}`);

export class Drive {
    #param;
    #send;
    #learn = null;
    #signals = [];
    #value;
    #text = null; // what the room has; null = by hand
    #map = null;
    #field;
    #list;
    #beats;
    #low;
    #high;
    #curve;
    #attack;
    #release;
    #editor;
    #error;
    #strip;
    #button;
    #learnButton;
    #modulators;

    // send(expression or null) → a promise; it fails with what is wrong.
    constructor(param, id, send) {
        this.#param = param;
        this.#send = send;
        this.#field = el('input', {
            type: 'text', class: 'text drive-text', spellcheck: 'false', autocomplete: 'off',
            'aria-label': `${param.name} is driven by`, placeholder: 'kick * 0.3 + 0.4',
            onchange: () => this.#commit(this.#field.value.trim() || null),
        });
        this.#list = el('select', {
            class: 'drive-list', 'aria-label': `signal for ${param.name}`,
            onchange: () => this.#choose(),
        });
        this.#beats = el('select', {
            class: 'drive-beats', 'aria-label': `beats of a wave for ${param.name}`,
            onchange: () => this.#choose(),
        }, ...BEATS.map((n) => el('option', { value: n }, beatsText(n))));
        this.#beats.value = '4';
        this.#makeEditor(param);
        this.#error = el('p', { class: 'drive-error', role: 'alert', id: `${id}-drive-error` });
        this.#button = el('button', {
            type: 'button', class: 'chip drive-button', 'aria-expanded': 'false',
            title: 'let a signal drive this', onclick: () => this.#toggle(),
        }, 'drive');
        this.#learnButton = el('button', {
            type: 'button', class: 'chip drive-learn', hidden: true, 'aria-pressed': 'false',
            title: 'the next MIDI or OSC control that moves drives this', onclick: () => this.#startLearning(),
        }, 'learn');
        this.#strip = el('div', { class: 'drive', hidden: true },
            el('div', { class: 'drive-row' }, this.#list, this.#beats, this.#learnButton, el('button', {
                type: 'button', class: 'chip drive-hand', 'aria-label': `${param.name} by hand`,
                onclick: () => this.#commit(null),
            }, 'by hand')),
            this.#editor, this.#field, this.#error);
    }

    get button() {
        return this.#button;
    }

    get strip() {
        return this.#strip;
    }

    get driven() {
        return this.#text !== null;
    }

    // { low, high } of what drives it, where that is known.
    get range() {
        return this.#map && this.#param.type !== 'bool' ? this.#map : null;
    }

    // drive: { text, value } of the room document, or undefined. learn: see hands.js, or null.
    show(drive, value, signals, learn) {
        const before = this.driven;
        this.#value = value;
        this.#learn = learn;
        this.#learnButton.hidden = !learn;
        this.#fill(signals);
        this.#button.classList.toggle('driven', Boolean(drive));
        say(this.#button, drive ? `← ${drive.text}` : 'drive');
        const next = drive?.text ?? null;
        if (next !== this.#text) this.#take(next);
        if (this.driven !== before) this.#open(this.driven);
        if (document.activeElement !== this.#field && drive) this.#field.value = drive.text;
    }

    // A signal was dropped on the knob, or chosen for it.
    map(signal) {
        this.#open(true);
        return this.#commit(write(begin(this.#param, this.#value, signal), this.#param));
    }

    #makeEditor(param) {
        const number = (label, more = {}) => el('input', {
            type: 'number', class: 'number', step: 'any', 'aria-label': `${label} of what drives ${param.name}`,
            onchange: () => this.#edit(), ...more,
        });
        const part = (words, ...fields) => el('label', { class: 'drive-part' }, el('span', {}, words), ...fields);
        this.#low = number(param.type === 'bool' ? 'threshold' : 'least');
        this.#high = number('most');
        this.#attack = number('rise in ms', { min: 0, step: 1 });
        this.#release = number('fall in ms', { min: 0, step: 1 });
        this.#curve = el('select', {
            'aria-label': `curve of what drives ${param.name}`, onchange: () => this.#edit(),
        }, ...CURVES.map((name) => el('option', { value: name }, name.replaceAll('_', ' '))));
        this.#editor = el('div', { class: 'drive-editor', hidden: true },
            part(param.type === 'bool' ? 'on from' : 'from', this.#low),
            param.type === 'bool' ? null : part('to', this.#high),
            part('curve', this.#curve), part('rise ms', this.#attack), part('fall ms', this.#release));
    }

    // The room has another expression now: the editor follows, and not while it is typed in.
    #take(text) {
        this.#text = text;
        this.#map = text === null ? null : read(text, this.#param, this.#signals);
        const map = this.#map;
        this.#editor.hidden = !map;
        this.#mark();
        if (!map || this.#editor.contains(document.activeElement)) return;
        [[this.#low, map.low], [this.#high, map.high], [this.#attack, map.attack],
            [this.#release, map.release]].forEach(([field, value]) => {
            field.value = short(value);
        });
        this.#curve.value = map.curve;
    }

    // The lists say which signal it is.
    #mark() {
        const found = readWave(this.#map?.source);
        this.#list.value = found ? found.name : this.#map?.source ?? '';
        this.#beats.hidden = !found;
        if (found && BEATS.includes(found.beats)) this.#beats.value = String(found.beats);
    }

    #fill(signals) {
        const same = this.#modulators && signals.length === this.#signals.length
            && signals.every((s, i) => s.name === this.#signals[i].name);
        this.#signals = signals;
        if (same) return;
        this.#modulators = el('optgroup', { label: 'modulators' },
            ...WAVES.map((name) => el('option', { value: name }, name.replace('_', ' '))));
        this.#list.replaceChildren(el('option', { value: '' }, 'signal …'),
            ...signals.map(({ name }) => el('option', { value: name }, name)), this.#modulators);
        if (this.#text !== null) this.#take(this.#text);
    }

    #toggle() {
        this.#open(this.#strip.hidden);
        if (!this.#strip.hidden) this.#list.focus();
    }

    #open(open) {
        this.#strip.hidden = !open;
        this.#button.setAttribute('aria-expanded', String(open));
    }

    // Another signal in the same range, or the first one.
    #choose() {
        const name = this.#list.value;
        const signal = WAVES.includes(name)
            ? waveSignal(name, Number(this.#beats.value))
            : this.#signals.find((s) => s.name === name);
        if (!signal) return;
        const map = this.#map
            ? { ...this.#map, source: signal.name, from: signal.min, to: signal.max }
            : begin(this.#param, this.#value, signal);
        this.#commit(write(map, this.#param));
    }

    #edit() {
        const map = { ...this.#map, curve: this.#curve.value };
        for (const [key, field] of [['low', this.#low], ['high', this.#high],
            ['attack', this.#attack], ['release', this.#release]]) {
            if (field.value !== '' && Number.isFinite(Number(field.value))) map[key] = Number(field.value);
        }
        this.#commit(write(map, this.#param));
    }

    async #startLearning() {
        const waits = this.#learnButton.getAttribute('aria-pressed') === 'true';
        this.#learnButton.setAttribute('aria-pressed', String(!waits));
        say(this.#learnButton, waits ? 'learn' : 'move a control …');
        if (waits) {
            this.#learn?.cancel();
            return;
        }
        try {
            const signal = await this.#learn.next(this.#place());
            if (signal) await this.map(signal);
        } catch (error) {
            say(this.#error, error.message);
        }
        this.#learnButton.setAttribute('aria-pressed', 'false');
        say(this.#learnButton, 'learn');
    }

    // Where between its ends the knob stands once a new mapping is begun: there a fader picks it up.
    #place() {
        const { low, high } = begin(this.#param, this.#value, { whole: true });
        const at = this.#param.type === 'enum' ? this.#param.names.indexOf(this.#value) : Number(this.#value);
        return Math.min(1, Math.max(0, (at - low) / (high - low) || 0));
    }

    async #commit(text) {
        try {
            await this.#send(text);
            say(this.#error, '');
            if (text === null) this.#field.value = '';
        } catch (error) {
            say(this.#error, error.message);
            if (text !== null) this.#field.value = text; // what is wrong stays to be mended
        }
    }
}
