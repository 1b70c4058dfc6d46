// SPDX-License-Identifier: MIT
// What drives a knob: a strip below it with the expression, a list of signals to begin one from, and
// a button that lets go. The room tells expression and value; what is wrong with one is said here.

import { el, say } from './ui.js';

const MODULATORS = ['sine', 'triangle', 'saw', 'square', 'exp_decay'];
const BEATS = 4;

export const drivable = ({ type, setup }) => !setup && ['float', 'int', 'bool', 'enum'].includes(type);

// The value of a driven parameter as its control shows it.
export function shown(param, value) {
    if (param.type === 'bool') return value >= 0.5;
    return param.type === 'enum' ? param.names[value] : value;
}

const short = (number) => String(Number(Number(number).toPrecision(4)));

// A signal over the knob's range: from where it stands now to its end.
function begin(param, value, signal) {
    const from = signal.min === 0 && signal.max === 1 ? '' : `, ${short(signal.min)}, ${short(signal.max)}`;
    if (param.type === 'bool') return `step(0.5, ${signal.name})`;
    if (param.type === 'enum') return `range(${signal.name}, 0, ${param.names.length - 1}${from})`;
    if (!(param.max > param.min)) return `value + ${signal.name}`;
    const low = Number.isFinite(value) && value < param.max ? value : param.min;
    return `range(${signal.name}, ${short(low)}, ${short(param.max)}${from})`;
}

// All signals of the room: { name as an expression has it, min, max, now }, and modulators.
export function signalsOf(room, descriptors) {
    const all = room.nodes.flatMap((node) => Object.entries(node.signals ?? {}).map(([name, now]) => {
        const info = descriptors.get(node.type)?.signals?.find((s) => s.name === name);
        return { node: node.name, signal: name, now, min: info?.min ?? 0, max: info?.max ?? 1 };
    }));
    const count = new Map();
    for (const { signal } of all) count.set(signal, (count.get(signal) ?? 0) + 1);
    const named = all.map((s) => ({ ...s, name: count.get(s.signal) > 1 ? `${s.node}.${s.signal}` : s.signal }));
    return [...named, ...MODULATORS.map((wave) => ({
        name: `${wave}(${BEATS})`, min: wave === 'exp_decay' ? 0 : -1, max: 1,
    }))];
}

export class Drive {
    #param;
    #send;
    #signals = [];
    #value;
    #field;
    #list;
    #error;
    #strip;
    #button;
    #driven = false;

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
            onchange: () => this.#choose(this.#list.value),
        });
        this.#error = el('p', { class: 'drive-error', role: 'alert', id: `${id}-drive-error` });
        this.#button = el('button', {
            type: 'button', class: 'chip drive-button', 'aria-expanded': 'false',
            title: 'let a signal drive this', onclick: () => this.#toggle(),
        }, 'drive');
        this.#strip = el('div', { class: 'drive', hidden: true }, this.#list, this.#field,
            el('button', {
                type: 'button', class: 'chip', 'aria-label': `${param.name} by hand`,
                onclick: () => this.#commit(null),
            }, 'by hand'), this.#error);
    }

    get button() {
        return this.#button;
    }

    get strip() {
        return this.#strip;
    }

    get driven() {
        return this.#driven;
    }

    // drive: { text, value } of the room document, or undefined.
    show(drive, value, signals) {
        const before = this.#driven;
        this.#driven = Boolean(drive);
        this.#value = value;
        this.#button.classList.toggle('driven', this.#driven);
        say(this.#button, drive ? `← ${drive.text}` : 'drive');
        if (this.#driven !== before) this.#open(this.#driven);
        if (document.activeElement !== this.#field && drive) this.#field.value = drive.text;
        this.#fill(signals);
    }

    #fill(signals) {
        const same = signals.length === this.#signals.length
            && signals.every((s, i) => s.name === this.#signals[i].name);
        this.#signals = signals;
        if (same) return;
        this.#list.replaceChildren(el('option', { value: '' }, 'signal …'),
            ...signals.map(({ name }) => el('option', { value: name }, name)));
    }

    #toggle() {
        this.#open(this.#strip.hidden);
        if (!this.#strip.hidden) this.#field.focus();
    }

    #open(open) {
        this.#strip.hidden = !open;
        this.#button.setAttribute('aria-expanded', String(open));
    }

    #choose(name) {
        const signal = this.#signals.find((s) => s.name === name);
        this.#list.value = '';
        if (!signal) return;
        this.#field.value = begin(this.#param, this.#value, signal);
        this.#commit(this.#field.value);
    }

    async #commit(text) {
        try {
            await this.#send(text);
            say(this.#error, '');
            if (text === null) this.#field.value = '';
        } catch (error) {
            say(this.#error, error.message);
        }
    }
}
