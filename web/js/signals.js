// SPDX-License-Identifier: MIT
// The instruments: three rates and the latency as figures with a minute of history, and a table of
// every node's times. Fed by the room document, four times a second.

import { Chart, Series } from './charts.js';
import { strained } from './graph.js';
import { el, ms, rate, say } from './ui.js';

const MINUTE = 240; // samples
const TABLE_HISTORY = 120;
const CALM_EVERY = 4; // with prefers-reduced-motion: one drawing a second

const METERS = [
    { key: 'input', label: 'Input', unit: 'fps', color: '--line-a', read: (r) => r.rates?.input },
    { key: 'pipeline', label: 'Pipeline', unit: 'fps', color: '--line-b', read: (r) => r.rates?.pipeline },
    { key: 'output', label: 'Output', unit: 'fps', color: '--line-c', read: (r) => r.rates?.output },
    {
        key: 'latency', label: 'Latency', unit: 'ms', color: '--line-a', words: ms,
        read: (r) => r.latencyMs?.p50, above: (r) => r.latencyMs?.p95,
    },
];

class Meter {
    #spec;
    #series = new Series(MINUTE);
    #above = new Series(MINUTE);
    #figure = el('span', { class: 'figure' }, '–');
    #chart;
    element;

    constructor(spec) {
        this.#spec = spec;
        const canvas = el('canvas', { role: 'img', 'aria-label': `${spec.label}, the last minute` });
        this.element = el('div', { class: 'meter' },
            el('span', { class: 'meter-label' }, spec.label),
            el('span', { class: 'meter-value' }, this.#figure, el('small', {}, spec.unit)),
            canvas);
        const lines = [{ series: this.#series, color: spec.color, area: true }];
        if (spec.above) lines.push({ series: this.#above, color: '--faint' });
        this.#chart = new Chart(canvas, lines);
    }

    push(room, draw) {
        const value = this.#spec.read(room);
        this.#series.push(value ?? NaN);
        if (this.#spec.above) this.#above.push(this.#spec.above(room) ?? NaN);
        say(this.#figure, (this.#spec.words ?? rate)(value));
        if (draw) this.#chart.draw();
    }
}

class Row {
    #p50 = new Series(TABLE_HISTORY);
    #p95 = new Series(TABLE_HISTORY);
    #cells = ['p50', 'p95', 'p99', 'fps', 'drops'].map((name) => el('td', { class: name }));
    #chart;
    element;

    constructor(name) {
        const canvas = el('canvas', { role: 'img', 'aria-label': `${name}, recent times` });
        this.#chart = new Chart(canvas, [
            { series: this.#p50, color: '--line-a', area: true },
            { series: this.#p95, color: '--faint' },
        ]);
        this.element = el('tr', {}, el('th', { scope: 'row' }, name),
            el('td', { class: 'history' }, canvas), ...this.#cells);
    }

    push(node, slowest, draw) {
        const { p50, p95, p99 } = node.busyMs ?? {};
        this.#p50.push(p50 ?? NaN);
        this.#p95.push(p95 ?? NaN);
        [ms(p50), ms(p95), ms(p99), rate(node.fps), String(node.dropped ?? 0)]
            .forEach((text, i) => say(this.#cells[i], text));
        this.element.classList.toggle('slowest', slowest);
        if (draw) this.#chart.draw();
    }
}

export class Signals {
    #meters = METERS.map((spec) => new Meter(spec));
    #rows = new Map();
    #body = el('tbody');
    #calm = matchMedia('(prefers-reduced-motion: reduce)');
    #count = 0;

    constructor(strip, table) {
        strip.append(...this.#meters.map((meter) => meter.element));
        const heads = ['Node', 'Last 30 s', 'p50', 'p95', 'p99', 'fps', 'dropped'];
        table.append(
            el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
            this.#body);
    }

    update(room) {
        const draw = !document.hidden && (!this.#calm.matches || this.#count++ % CALM_EVERY === 0);
        for (const meter of this.#meters) meter.push(room, draw);
        const names = room.nodes.map((node) => node.name);
        if (names.join() !== [...this.#rows.keys()].join()) {
            this.#rows = new Map(names.map((name) => [name, this.#rows.get(name) ?? new Row(name)]));
            this.#body.replaceChildren(...[...this.#rows.values()].map((row) => row.element));
        }
        const slow = strained(room);
        for (const node of room.nodes) this.#rows.get(node.name).push(node, node.name === slow, draw);
    }
}
