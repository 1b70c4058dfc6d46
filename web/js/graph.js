// SPDX-License-Identifier: MIT
// The graph as a drawing that lives: boxes with their time and a short history, lanes as bands with
// their load, queues with their filling, drops that flash, the bottleneck in amber.

import { Series } from './charts.js';
import { BOX, layout } from './graph-layout.js';
import { ms, say, svg } from './ui.js';

const HISTORY = 48;
const MOST_PIPS = 5;
const BUSY = 0.8; // share of its time from which a lane is at its limit
const FLASH_MS = 900;
const SMALLEST = 0.8; // scale at which 11 px letters are still read
const LETTERS = 15;
const SPARK = { x: 10, y: BOX.height - 8, width: BOX.width - 20, height: 14 };

const shorten = (name) => (name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name);
const droppedBy = (link) => Object.values(link.dropped ?? {}).reduce((sum, n) => sum + n, 0);

// What is pushed into a source from outside comes from no box.
const drawn = (links) => links.filter((link) => link.from !== '.outside');

// The server's bottleneck is the source when no lane is busy: then nothing is held back, the source
// sets the pace. The name of a node that does hold the others back, or null.
export function strained({ bottleneck, nodes, lanes, links }) {
    const node = nodes.find((n) => n.name === bottleneck);
    const fed = drawn(links).some((link) => link.to.startsWith(`${bottleneck}.`));
    return node && (fed || lanes[node.lane].busy > BUSY) ? bottleneck : null;
}

export class GraphView extends EventTarget {
    #root;
    #note;
    #shape = '';
    #boxes = new Map();
    #bands = [];
    #links = [];
    #history = new Map();
    #selected = null;

    // note: where the pace is explained. Event: select { name }: a box was chosen.
    constructor(root, note) {
        super();
        this.#root = root;
        this.#note = note;
    }

    select(name) {
        this.#selected = name;
        for (const [key, box] of this.#boxes) box.g.setAttribute('aria-pressed', String(key === name));
    }

    update(whole) {
        const room = { ...whole, links: drawn(whole.links) };
        const shape = JSON.stringify([room.name,
            room.nodes.map((n) => [n.name, n.type, n.lane]),
            room.links.map((l) => [l.from, l.to, l.queue, l.policy, l.depth])]);
        if (shape !== this.#shape) this.#build(room);
        this.#shape = shape;
        const slow = strained(room);
        for (const node of room.nodes) this.#updateNode(node, node.name === slow);
        say(this.#note, slow ? `${slow} is the bottleneck` : `${room.bottleneck} sets the pace`);
        this.#note.classList.toggle('slow', slow !== null);
        room.lanes.forEach((lane, i) => this.#updateLane(lane, this.#bands[i]));
        room.links.forEach((link, i) => this.#updateLink(link, this.#links[i]));
    }

    #build(room) {
        const hadFocus = document.activeElement?.dataset?.node;
        const plan = layout(room);
        const drawing = svg('svg', {
            class: 'graph', role: 'group', 'aria-label': 'The graph',
            viewBox: `0 0 ${plan.width} ${plan.height}`, width: '100%',
        });
        // Shrinks to fit for as long as it stays readable, then scrolls.
        drawing.style.maxWidth = `${plan.width}px`;
        drawing.style.minWidth = `${plan.width * SMALLEST}px`;
        this.#bands = plan.bands.map((band) => this.#drawBand(drawing, band, room.lanes[band.lane]));
        this.#links = room.links.map((link, i) => this.#drawLink(drawing, link, plan.curves[i]));
        this.#boxes = new Map(room.nodes.map((node) =>
            [node.name, this.#drawNode(drawing, node, plan.boxes.get(node.name))]));
        const kept = room.nodes.map((n) => [n.name, this.#history.get(n.name) ?? new Series(HISTORY)]);
        this.#history = new Map(kept);
        this.#root.replaceChildren(drawing);
        this.select(this.#selected);
        this.#boxes.get(hadFocus)?.g.focus();
    }

    #drawBand(parent, { x, y, width, height }, lane) {
        const load = svg('text', { class: 'lane-load', x: x + width - 10, y: y + 16 });
        parent.append(svg('g', { class: 'lane' },
            svg('rect', { x, y, width, height, rx: 8 }),
            svg('text', { class: 'lane-name', x: x + 10, y: y + 16 }, shorten(lane.name)),
            load));
        return load;
    }

    #drawNode(parent, node, { x, y }) {
        const parts = {
            time: svg('text', { class: 'node-time', x: BOX.width - 10, y: 20 }),
            spark: svg('polyline', { class: 'node-spark' }),
            title: svg('title'),
        };
        const choose = () =>
            this.dispatchEvent(new CustomEvent('select', { detail: { name: node.name } }));
        parts.g = svg('g', {
            class: 'node', transform: `translate(${x} ${y})`, tabindex: 0, role: 'button',
            onclick: choose, onkeydown: (event) => this.#key(event, node.name, choose),
        },
        parts.title,
        svg('rect', { class: 'node-box', width: BOX.width, height: BOX.height, rx: 6 }),
        svg('text', { class: 'node-name', x: 10, y: 20 }, shorten(node.name)),
        node.type === node.name ? null
            : svg('text', { class: 'node-type', x: 10, y: 34 }, shorten(node.type)),
        parts.spark,
        parts.time);
        parts.g.dataset.node = node.name;
        parent.append(parts.g);
        return parts;
    }

    #key(event, name, choose) {
        const names = [...this.#boxes.keys()];
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (event.key === 'Enter' || event.key === ' ') choose();
        else if (by) this.#boxes.get(names[names.indexOf(name) + by])?.g.focus();
        else return;
        event.preventDefault();
    }

    #drawLink(parent, link, { d, x, y }) {
        const title = svg('title');
        const g = svg('g', { class: link.queue ? 'link queue' : 'link' }, title,
            svg('path', { class: 'wire', d }));
        const parts = { g, title, pips: [], drops: null, timer: 0 };
        if (link.queue) {
            const count = Math.min(link.depth, MOST_PIPS);
            parts.drops = svg('text', { class: 'drops', x, y: y + 20 });
            for (let i = 0; i < count; i++) {
                parts.pips.push(svg('rect', {
                    class: 'pip', width: 5, height: 9, rx: 1,
                    x: x - (count * 7 - 2) / 2 + i * 7, y: y - 4.5,
                }));
            }
            g.append(svg('text', { class: 'policy', x, y: y - 11 }, link.policy),
                ...parts.pips, parts.drops);
        }
        parent.append(g);
        return parts;
    }

    #updateNode(node, slowest) {
        const { g, time, spark, title } = this.#boxes.get(node.name);
        const p50 = node.busyMs?.p50;
        const history = this.#history.get(node.name);
        history.push(p50 ?? NaN);
        g.classList.toggle('slowest', slowest);
        g.classList.toggle('troubled', Boolean(node.problem));
        say(time, Number.isFinite(p50) ? `${ms(p50)} ms` : '');
        spark.setAttribute('points', points(history));
        const words = [node.name, `${ms(p50)} ms`];
        if (slowest) words.push('the bottleneck');
        if (node.dropped) words.push(`${node.dropped} dropped`);
        if (node.errors) words.push(`${node.errors} errors`);
        if (node.problem) words.push(node.problem);
        say(title, words.join(', '));
        g.setAttribute('aria-label', words.join(', '));
    }

    #updateLane(lane, load) {
        if (load) say(load, `${Math.round((lane.busy ?? 0) * 100)} %`);
    }

    #updateLink(link, parts) {
        if (!link.queue) return;
        parts.pips.forEach((pip, i) => pip.classList.toggle('full', i < link.queued));
        const dropped = droppedBy(link);
        say(parts.drops, dropped ? `−${dropped}` : '');
        say(parts.title, `${link.from} → ${link.to}: ${link.policy} ${link.depth}, `
            + `${link.queued} waiting, ${link.passed} passed, ${dropped} dropped`);
        if (dropped > (parts.dropped ?? dropped)) {
            parts.g.classList.add('dropping');
            clearTimeout(parts.timer);
            parts.timer = setTimeout(() => parts.g.classList.remove('dropping'), FLASH_MS);
        }
        parts.dropped = dropped;
    }
}

// The history as a line in the lower part of a box, from nothing to its own highest value.
function points(history) {
    const values = history.values();
    const top = Math.max(1e-6, ...values.filter(Number.isFinite)) * 1.1;
    const step = SPARK.width / (HISTORY - 1);
    const first = HISTORY - values.length;
    return values
        .map((v, i) => [SPARK.x + (first + i) * step, SPARK.y - (v / top) * SPARK.height])
        .filter(([, y]) => Number.isFinite(y))
        .map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`)
        .join(' ');
}
