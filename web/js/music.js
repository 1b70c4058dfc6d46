// SPDX-License-Identifier: MIT
// The music panel: the beat, and every signal as a meter that is carried to a knob, or mapped by a
// list. The server sends what moves only while the panel is open and seen.

import { Beat, BeatClock, leader } from './beat.js';
import { Drag } from './drag.js';
import { BEATS, waveSignal } from './mapping.js';
import { Tray, waveCells, waveOfKey } from './tray.js';
import { $, attempt, el, recall, say } from './ui.js';

const SIGNALS_HZ = 20;
const MODULATORS = '~';

export class Music {
    #panel;
    #connection;
    #knobs;
    #hands;
    #open;
    #clock = new BeatClock();
    #beat;
    #tray = new Tray((key) => this.#ask(key));
    #chips = el('div', { class: 'chips', role: 'group', 'aria-label': 'Signals of' });
    #beats = el('select', { id: 'wave-beats', 'aria-label': 'Beats of a wave' },
        ...BEATS.map((n) => el('option', { value: n }, n === 0.5 ? '½ beat' : `${n} ${n === 1 ? 'beat' : 'beats'}`)));
    #dialog = new MapDialog();
    #descriptors = new Map();
    #room = null;
    #newest = { nodes: {}, drives: {} };
    #group = null;
    #asked = 0; // the rate that the server was asked for
    #calm = matchMedia('(prefers-reduced-motion: reduce)');

    // open(node name): shows the knobs of a node.
    constructor(panel, { connection, knobs, hands, values, open }) {
        this.#panel = panel;
        this.#connection = connection;
        this.#knobs = knobs;
        this.#hands = hands;
        this.#open = open;
        this.#beat = new Beat(this.#clock, (node, change) => values.put(node, change));
        this.#beats.value = '4';
        this.#beats.addEventListener('change', () => this.#fill());
        $('div', panel).append(this.#beat.element, this.#chips, this.#tray.element,
            el('p', { class: 'hint' }, 'Drag a signal onto a knob, or press it to choose one.'));
        new Drag(this.#tray.element, {
            open: (name) => open(name),
            drop: (key, knob) => this.#map(key, this.#knobs.selected, knob.dataset.param),
        });
        panel.addEventListener('toggle', () => this.#subscribe());
        document.addEventListener('visibilitychange', () => this.#subscribe());
        connection.addEventListener('state', () => {
            this.#asked = 0; // another connection has no subscription
            this.#subscribe();
        });
        connection.addEventListener('signals', ({ detail }) => this.#hear(detail));
        const draw = () => {
            if (this.#shown()) this.#beat.draw(this.#calm.matches);
            requestAnimationFrame(draw);
        };
        requestAnimationFrame(draw);
    }

    set descriptors(map) {
        this.#descriptors = map;
    }

    tap() {
        this.#beat.tap();
    }

    update(room) {
        const other = room.name !== this.#room?.name;
        this.#room = room;
        const sources = room.nodes.filter((node) => node.signals);
        if (other) {
            this.#newest = { nodes: {}, drives: {} };
            // who has music sees it, unless the panel was folded by hand
            if (sources.length && recall(`panel.${this.#panel.id}`, null) === null) this.#panel.open = true;
        }
        this.#beat.update(room);
        const names = [...sources.map((node) => node.name), MODULATORS];
        if (other || !names.includes(this.#group)) this.#group = names[0];
        this.#fillChips(names);
        this.#fill();
    }

    #shown() {
        return this.#panel.open && !document.hidden && !document.body.classList.contains('bare');
    }

    #subscribe() {
        const wanted = this.#shown() ? SIGNALS_HZ : 0;
        if (wanted === this.#asked || !this.#connection.isOpen) return;
        if (this.#connection.send({ type: 'subscribe', signals: wanted })) this.#asked = wanted;
    }

    #hear(newest) {
        this.#newest = newest;
        const beat = leader(newest.nodes);
        if (beat) this.#beat.hear(beat);
        this.#knobs.move(newest.drives);
        this.#tray.push();
    }

    #fillChips(names) {
        if (names.join() === [...this.#chips.children].map((c) => c.dataset.group).join()) {
            for (const chip of this.#chips.children) {
                if (chip.dataset.group) chip.setAttribute('aria-pressed', String(chip.dataset.group === this.#group));
            }
            return;
        }
        this.#chips.replaceChildren(...names.map((name) => el('button', {
            type: 'button', class: 'chip', 'data-group': name, 'aria-pressed': String(name === this.#group),
            onclick: () => {
                this.#group = name;
                this.#fillChips(names);
                this.#fill();
            },
        }, name === MODULATORS ? 'modulators' : name)));
    }

    // The cells of the group that was chosen.
    #fill() {
        const waves = this.#group === MODULATORS;
        if (this.#beats.isConnected !== waves) {
            if (waves) this.#chips.after(this.#beats);
            else this.#beats.remove();
        }
        if (waves) {
            this.#tray.show(waveCells(Number(this.#beats.value), () => this.#clock.now()), null);
            return;
        }
        const node = this.#room.nodes.find(({ name }) => name === this.#group);
        const cells = [...this.#cellsOf(node), ...this.#foundOf(node)];
        this.#tray.show(cells, cells.length ? null : this.#nothingOf(node));
    }

    #nothingOf(node) {
        if (node.type === 'osc') return `Nothing has come to UDP port ${node.params.port} yet.`;
        return node.type === 'midi' ? 'Move a control of the MIDI device.' : 'No signals.';
    }

    // Places of MIDI and OSC that nothing has come to are left out: there are many.
    #cellsOf(node) {
        const list = this.#descriptors.get(node.type)?.signals ?? [];
        const names = new Map((node.found ?? []).filter((f) => f.signal).map((f) => [f.signal, f.name]));
        const idle = /^[cv]\d+$/;
        return list.map((info, i) => ({ info, i }))
            .filter(({ info }) => !node.found || !idle.test(info.name) || names.has(info.name))
            .map(({ info, i }) => ({
                key: `${node.name}.${info.name}`, label: names.get(info.name) ?? info.name,
                title: names.has(info.name) ? `${info.name}: ${info.help}` : info.help,
                min: info.min, max: info.max, read: () => this.#newest.nodes[node.name]?.values[i],
            }));
    }

    #foundOf(node) {
        return (node.found ?? []).filter((f) => !f.signal).map((f) => ({
            key: `?${node.name}?${f.name}`, label: f.name,
            title: 'Not used yet: it becomes a signal when it is mapped', min: 0, max: 1,
            read: () => this.#room.nodes.find(({ name }) => name === node.name)?.found
                ?.find(({ name }) => name === f.name)?.value,
        }));
    }

    // What a key stands for, as a signal that an expression can name.
    async #signalOf(key) {
        const found = waveOfKey(key);
        if (found) return waveSignal(found.name, found.beats);
        if (key.startsWith('?')) {
            const [, node, name] = key.split('?');
            return this.#hands.claim(node, name);
        }
        const known = this.#knobs.signals().find((s) => `${s.node}.${s.signal}` === key);
        if (!known) throw new Error(`${key} is not there any more`);
        const hand = this.#room.nodes.find(({ name }) => name === known.node)?.found;
        return { ...known, whole: Boolean(hand) };
    }

    async #map(key, node, param) {
        await attempt(async () => {
            const signal = await this.#signalOf(key);
            if (this.#knobs.selected !== node) this.#open(node);
            await this.#knobs.map(param, signal);
        });
    }

    async #ask(key) {
        const label = key.replace(/^~|^\?[^?]*\?/, '');
        const chosen = await this.#dialog.ask(label, this.#knobs.drivables, this.#knobs.selected);
        if (chosen) await this.#map(key, chosen.node, chosen.param);
    }
}

// Where a drag is no way: which knob a signal shall drive, from two lists.
class MapDialog {
    #title = el('h2', { id: 'map-title' });
    #node = el('select', { id: 'map-node', onchange: () => this.#fillParams() });
    #param = el('select', { id: 'map-param' });
    #targets = [];
    #element = el('dialog', { id: 'map-dialog', 'aria-labelledby': 'map-title' },
        el('form', { method: 'dialog' }, this.#title,
            el('label', { class: 'field' }, 'Node', this.#node),
            el('label', { class: 'field' }, 'Knob', this.#param),
            el('p', { class: 'dialog-foot' },
                el('button', { class: 'button', value: 'cancel' }, 'Cancel'),
                el('button', { class: 'button primary', value: 'map', id: 'map-it' }, 'Map'))));

    constructor() {
        document.body.append(this.#element);
    }

    // { node, param }, or null
    ask(label, targets, selected) {
        this.#targets = targets;
        say(this.#title, `${label} drives`);
        this.#node.replaceChildren(...targets.map(({ node }) => el('option', { value: node }, node)));
        if (targets.some(({ node }) => node === selected)) this.#node.value = selected;
        this.#fillParams();
        this.#element.returnValue = '';
        this.#element.showModal();
        return new Promise((resolve) => {
            this.#element.addEventListener('close', () => {
                const done = this.#element.returnValue === 'map' && this.#param.value;
                resolve(done ? { node: this.#node.value, param: this.#param.value } : null);
            }, { once: true });
        });
    }

    #fillParams() {
        const { params } = this.#targets.find(({ node }) => node === this.#node.value) ?? { params: [] };
        this.#param.replaceChildren(...params.map((name) => el('option', { value: name }, name)));
    }
}
