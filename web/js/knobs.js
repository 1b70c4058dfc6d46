// SPDX-License-Identifier: MIT
// The knobs of one node at a time: made from its descriptor, following the room's values, and
// saying beside each knob whether a change is on its way, landed (and on which frame) or refused.

import { Drive, drivable, shown, signalsOf } from './drives.js';
import { control, defaultOf } from './knob-kinds.js';
import { $, el, icon, say } from './ui.js';

const ACK_SHOWN_MS = 4000;
const MOVED_DIGITS = 4; // of a value that does not stand still
const STILL_WAITING_MS = 1500; // longer than any live room's frame

class Knob {
    #param;
    #control;
    #state;
    #error;
    #timer = 0;
    #default;
    #reset;
    #moving = false; // while held, and while a refusal is not corrected, the room does not overwrite
    #refused = false;
    #drive = null;
    element;

    constructor(node, param, values) {
        this.#param = param;
        const id = `knob-${node}-${param.name}`;
        const commit = (value, done) => {
            this.#moving = !done;
            this.#markDefault(value);
            // A change that rebuilds the node waits until the hand lets go.
            if (done || !param.setup) values.set(node, param.name, value);
        };
        this.#control = control(param, commit, id);
        this.#default = defaultOf(param);
        this.#state = el('output', { class: 'knob-state' });
        this.#error = el('p', { class: 'knob-error', role: 'alert', id: `${id}-error` });
        this.#reset = el('button', {
            class: 'icon-button reset', type: 'button', hidden: true,
            'aria-label': `${param.name} back to its default`, title: 'back to the default',
            onclick: () => {
                this.#control.show(this.#default);
                commit(this.#default, true);
            },
        }, icon('reset'));
        if (drivable(param)) this.#drive = new Drive(param, id, (text) => values.drive(node, param.name, text));
        this.element = el('div', {
            class: `knob ${param.type}${this.#drive ? ' drivable' : ''}`, 'data-param': param.name,
        },
            el('div', { class: 'knob-head' },
                el('label', { for: id }, param.name),
                param.setup && !param.path
                    ? el('span', { class: 'badge', title: 'A change rebuilds the node' }, 'rebuilds the node')
                    : null,
                param.path ? el('span', { class: 'badge' }, 'set on the server') : null,
                this.#drive?.button, this.#state, this.#reset),
            el('div', { class: 'knob-body' }, ...this.#control.parts),
            this.#drive?.strip,
            param.help ? el('p', { class: 'knob-help' }, param.help) : null,
            this.#error);
    }

    get name() {
        return this.#param.name;
    }

    // What drives it, of the room document; the control then shows where it stands.
    showDrive(drive, value, signals, learn) {
        if (!this.#drive) return;
        this.#drive.show(drive, value, signals, learn);
        this.element.classList.toggle('driven', this.#drive.driven);
        this.#showRange();
        if (drive && drive.value !== null) this.move(drive.value);
    }

    // Where its drive has moved it; a knob in the hand stays there.
    move(value) {
        if (this.#drive?.driven && !this.#moving && !this.#typing())
            this.#control.show(shown(this.#param, Number(value.toPrecision(MOVED_DIGITS))));
    }

    map(signal) {
        return this.#drive?.map(signal);
    }

    #showRange() {
        const { where } = this.#control;
        const range = where && this.#drive.range;
        if (!range) return;
        const ends = [where(range.low), where(range.high)].sort((a, b) => a - b);
        this.element.style.setProperty('--from', `${ends[0] * 100}%`);
        this.element.style.setProperty('--to', `${ends[1] * 100}%`);
    }

    show(value) {
        if (this.#moving || this.#refused || this.#typing()) return;
        this.#control.show(value);
        this.#markDefault(value);
    }

    status({ state, frame, message }) {
        clearTimeout(this.#timer);
        this.element.dataset.state = state;
        this.#refused = state === 'error';
        say(this.#error, state === 'error' ? message : '');
        if (state === 'pending') {
            say(this.#state, '');
            this.#timer = setTimeout(() => say(this.#state, 'waits for a frame'), STILL_WAITING_MS);
        } else if (state === 'ack') {
            say(this.#state, `frame ${frame}`);
            this.#timer = setTimeout(() => {
                this.element.dataset.state = '';
                say(this.#state, '');
            }, ACK_SHOWN_MS);
        } else {
            say(this.#state, 'refused');
        }
    }

    #typing() {
        const field = document.activeElement;
        return this.element.contains(field) && !field.closest('.drive') && ['text', 'number', 'textarea'].includes(field.type);
    }

    #markDefault(value) {
        if (this.#param.path) return;
        this.#reset.hidden = value === this.#default;
    }
}

export class Knobs extends EventTarget {
    #root;
    #values;
    #descriptors = new Map();
    #room = null;
    #shape = ''; // what the knobs on screen were made for
    #selected = null;
    #knobs = new Map();
    #hands;

    // hands: what MIDI and OSC can teach, or null. Event: select { name }: the user chose a node here.
    constructor(root, values, hands = null) {
        super();
        this.#hands = hands;
        this.#root = root;
        this.#values = values;
        values.addEventListener('status', ({ detail }) => {
            if (detail.node === this.#selected) this.#knobs.get(detail.param)?.status(detail);
        });
    }

    set descriptors(list) {
        this.#descriptors = new Map(list.map((info) => [info.name, info]));
        this.#shape = '';
    }

    get selected() {
        return this.#selected;
    }

    select(name) {
        this.#selected = name;
        this.#shape = '';
        if (this.#room) this.update(this.#room);
    }

    // Moves the choice along the flow: by = 1 or -1.
    step(by) {
        const names = this.#room?.nodes.map((node) => node.name) ?? [];
        const at = names.indexOf(this.#selected) + by;
        if (names[at]) this.#choose(names[at]);
    }

    // What can be driven: [{ node, params: [name, …] }].
    get drivables() {
        return (this.#room?.nodes ?? []).map((node) => ({
            node: node.name,
            params: (this.#descriptors.get(node.type)?.params ?? []).filter(drivable).map(({ name }) => name),
        })).filter(({ params }) => params.length);
    }

    // Lets a signal { name, min, max } drive a knob of the chosen node.
    map(param, signal) {
        return this.#knobs.get(param)?.map(signal);
    }

    // What drives have moved meanwhile: { node: { param: value } }.
    move(drives) {
        for (const [param, value] of Object.entries(drives[this.#selected] ?? {}))
            this.#knobs.get(param)?.move(value);
    }

    signals() {
        return this.#room ? signalsOf(this.#room, this.#descriptors) : [];
    }

    update(room) {
        this.#room = room;
        const names = room.nodes.map((node) => node.name);
        if (!names.includes(this.#selected)) this.#selected = this.#first(room);
        const node = room.nodes.find((n) => n.name === this.#selected);
        const shape = JSON.stringify([room.name, names, this.#selected, node?.type]);
        if (shape !== this.#shape) this.#build(room, node);
        this.#shape = shape;
        if (!node) return;
        const signals = this.signals();
        const learn = this.#hands?.any ? this.#hands : null;
        for (const knob of this.#knobs.values()) {
            const drive = node.drives?.find((d) => d.param === knob.name);
            knob.showDrive(drive, node.params[knob.name], signals, learn);
            if (drive && drive.value !== null) continue;
            if (!this.#values.settled(node.name, knob.name, room.frame)) continue;
            if (knob.name in node.params) knob.show(node.params[knob.name]);
        }
        const problem = $('.node-problem', this.#root);
        say(problem, node.problem ?? '');
    }

    #first(room) {
        const withKnobs = room.nodes.find((n) => this.#descriptors.get(n.type)?.params.length);
        return (withKnobs ?? room.nodes[0])?.name ?? null;
    }

    #choose(name) {
        this.dispatchEvent(new CustomEvent('select', { detail: { name } }));
    }

    #build(room, node) {
        const info = node && this.#descriptors.get(node.type);
        const tabs = room.nodes.map(({ name }) => el('button', {
            type: 'button', class: 'chip', 'data-node': name, 'aria-pressed': String(name === this.#selected),
            onclick: () => this.#choose(name),
        }, name));
        this.#knobs = new Map((info?.params ?? []).map((param) =>
            [param.name, new Knob(node.name, param, this.#values)]));
        // A rebuilt row of tabs must not take the keyboard's place away.
        const hadFocus = $('.chips', this.#root)?.contains(document.activeElement);
        this.#root.replaceChildren(
            el('div', { class: 'chips', role: 'group', 'aria-label': 'Node' }, ...tabs),
            el('p', { class: 'node-help' },
                el('b', {}, node?.type ?? ''), ` ${info?.help ?? ''}`),
            el('p', { class: 'node-problem', role: 'status' }),
            ...[...this.#knobs.values()].map((knob) => knob.element),
            info && this.#knobs.size === 0 ? el('p', { class: 'hint' }, 'This node has no knobs.') : '');
        if (hadFocus) $('[aria-pressed="true"]', this.#root)?.focus();
    }
}
