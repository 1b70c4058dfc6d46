// SPDX-License-Identifier: MIT
// The signals of one node, or the modulators, as meters that can be carried to a knob: buttons with
// one canvas over all of them. What is drawn lies in arrays that are made when the signals change.

import { WAVES, readWave, wave } from './mapping.js';
import { el } from './ui.js';

const TRACE = 72; // values, at 20 a second
const BAR_PX = 3;
const CALM_EVERY = 5;

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const figure = (value) => (Math.abs(value) < 9.995 ? value.toFixed(2)
    : Math.abs(value) < 999.5 ? value.toFixed(0) : value.toExponential(0));

class Cell {
    trace = new Float32Array(TRACE).fill(NaN);
    value = NaN;
    x = 0;
    y = 0;
    width = 0;
    height = 0;

    // spec: { key, label, title, min, max, read() → number }
    constructor(spec, chosen) {
        Object.assign(this, spec);
        this.button = el('button', {
            type: 'button', class: 'signal', 'data-carry': spec.key, 'data-label': spec.label,
            'aria-label': `${spec.label}: map it`, title: spec.title, onclick: () => chosen(spec.key),
        }, spec.label);
    }
}

export class Tray {
    #cells = [];
    #shape = '';
    #at = 0; // where the next value goes in each trace
    #scroll = el('div', { class: 'tray-scroll' });
    #grid = el('div', { class: 'tray-grid' });
    #hint = el('p', { class: 'hint' });
    #canvas = el('canvas', { class: 'tray-canvas', 'aria-hidden': 'true' });
    #calm = matchMedia('(prefers-reduced-motion: reduce)');
    #pushed = 0;
    #asked = false;
    #inks = null;
    #chosen;
    element = el('div', { class: 'tray' }, this.#scroll, this.#canvas);

    // chosen(key): a signal was clicked, or Enter pressed on it.
    constructor(chosen) {
        this.#chosen = chosen;
        this.#scroll.append(this.#grid, this.#hint);
        this.#scroll.addEventListener('scroll', () => this.#drawSoon());
        new ResizeObserver(() => this.#measure()).observe(this.#scroll);
        const fresh = () => {
            this.#inks = null;
            this.#drawSoon();
        };
        addEventListener('themechange', fresh);
        matchMedia('(prefers-color-scheme: light)').addEventListener('change', fresh);
    }

    show(specs, hint) {
        this.#hint.textContent = hint ?? '';
        this.#hint.hidden = !hint;
        const shape = JSON.stringify(specs.map(({ key, label }) => [key, label]));
        if (shape === this.#shape) return;
        this.#shape = shape;
        const focus = this.#grid.contains(document.activeElement) ? document.activeElement.dataset.carry : null;
        this.#cells = specs.map((spec) => new Cell(spec, this.#chosen));
        this.#grid.replaceChildren(...this.#cells.map(({ button }) => button));
        if (focus) this.#cells.find(({ key }) => key === focus)?.button.focus();
        this.#measure();
    }

    // One more value of each.
    push() {
        if (this.#calm.matches && this.#pushed++ % CALM_EVERY) return;
        for (const cell of this.#cells) {
            cell.value = cell.read() ?? NaN;
            cell.trace[this.#at] = cell.value;
        }
        this.#at = (this.#at + 1) % TRACE;
        this.#drawSoon();
    }

    #measure() {
        for (const cell of this.#cells) {
            const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = cell.button;
            [cell.x, cell.y, cell.width, cell.height] = [offsetLeft, offsetTop, offsetWidth, offsetHeight];
        }
        const scale = devicePixelRatio || 1;
        this.#canvas.width = Math.round(this.#scroll.clientWidth * scale);
        this.#canvas.height = Math.round(this.#scroll.clientHeight * scale);
        this.#draw();
    }

    #drawSoon() {
        if (this.#asked) return;
        this.#asked = true;
        requestAnimationFrame(() => {
            this.#asked = false;
            this.#draw();
        });
    }

    #draw() {
        const scale = devicePixelRatio || 1;
        const context = this.#canvas.getContext('2d');
        const [top, height] = [this.#scroll.scrollTop, this.#scroll.clientHeight];
        this.#inks ??= { line: ink('--accent'), faint: ink('--edge'), text: ink('--dim'), sans: ink('--sans') };
        context.setTransform(scale, 0, 0, scale, 0, 0);
        context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
        context.font = `11px ${this.#inks.sans}`;
        context.textAlign = 'right';
        context.textBaseline = 'top';
        context.lineWidth = 1.3;
        for (const cell of this.#cells) {
            if (cell.y + cell.height > top && cell.y < top + height) this.#drawCell(context, cell, cell.y - top);
        }
    }

    #drawCell(context, cell, y) {
        const { x, width, height, min, max, value, trace } = cell;
        const [left, right, base] = [x + 6, x + width - 6, y + height - 4];
        context.fillStyle = this.#inks.faint;
        context.fillRect(left, base - BAR_PX, right - left, BAR_PX);
        if (!Number.isFinite(value)) return;
        const share = (v) => Math.min(1, Math.max(0, (v - min) / (max - min || 1)));
        context.fillStyle = this.#inks.line;
        const [from, to] = [share(Math.max(min, Math.min(0, max))), share(value)];
        context.fillRect(left + Math.min(from, to) * (right - left), base - BAR_PX,
            Math.abs(to - from) * (right - left), BAR_PX);
        context.fillStyle = this.#inks.text;
        context.fillText(figure(value), right, y + 5);
        const [low, high] = [base - BAR_PX - 3, y + 19];
        context.strokeStyle = this.#inks.line;
        context.globalAlpha = 0.65;
        context.beginPath();
        for (let i = 0; i < TRACE; i++) {
            const v = trace[(this.#at + i) % TRACE];
            if (Number.isFinite(v)) {
                context.lineTo(left + (i / (TRACE - 1)) * (right - left), low - share(v) * (low - high));
            }
        }
        context.stroke();
        context.globalAlpha = 1;
    }
}

// The modulators as cells; beat() is where the music is.
export const waveCells = (beats, beat) => WAVES.map((name) => ({
    key: `~${name}(${beats})`, label: `${name.replace('_decay', '')} ${beats === 0.5 ? '½' : beats}`,
    title: `${name}(${beats}): one wave in ${beats} ${beats === 1 ? 'beat' : 'beats'}`,
    min: name === 'exp_decay' ? 0 : -1, max: 1, read: () => wave(name, beat() / beats),
}));

export const waveOfKey = (key) => (key.startsWith('~') ? readWave(key.slice(1)) : null);
