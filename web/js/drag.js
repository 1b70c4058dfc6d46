// SPDX-License-Identifier: MIT
// Dragging a signal to a knob with mouse, pen or finger. A finger first rests on it, or moves it
// sideways: up and down it scrolls the page. Nodes under the pointer open after a moment, so that any
// knob of any node can be reached, and what scrolls does so near its ends.

import { el } from './ui.js';

const START_PX = 5;
const HOLD_MS = 220;
const OPEN_MS = 450;
const EDGE_PX = 56;
const SCROLL_PX = 12; // a frame

// What lies there, seen from a pointer that carries something.
const under = ({ x, y }) => document.elementFromPoint(x, y);

function scrollerAt(node) {
    for (let at = node; at && at !== document.body; at = at.parentElement) {
        const { overflowY } = getComputedStyle(at);
        if (at.scrollHeight > at.clientHeight + 1 && /auto|scroll/.test(overflowY)) return at;
    }
    return document.scrollingElement;
}

export class Drag {
    #hooks;
    #start = null; // { id, x, y, element, carried }
    #at = null;
    #ghost = null;
    #target = null;
    #opening = null; // { name, timer }
    #holding = 0;
    #frame = 0;

    // hooks: open(node name), drop(carried, knob element). On the root, elements with [data-carry] are
    // what can be carried; label(carried) says what is written on it.
    constructor(root, hooks) {
        this.#hooks = hooks;
        root.addEventListener('pointerdown', (event) => this.#down(event));
        root.addEventListener('contextmenu', (event) => {
            if (this.#start) event.preventDefault(); // a finger that rests
        });
        root.addEventListener('touchmove', (event) => {
            if (this.#ghost) event.preventDefault();
        }, { passive: false });
        root.addEventListener('pointermove', (event) => this.#move(event));
        root.addEventListener('pointerup', (event) => this.#up(event));
        root.addEventListener('pointercancel', () => this.#end());
        root.addEventListener('click', (event) => { // the click that ends a drag is none
            if (this.#start?.dropped) event.stopPropagation();
            this.#start = null;
        }, { capture: true });
        addEventListener('keydown', (event) => {
            if (event.key !== 'Escape' || !this.#ghost) return;
            event.stopImmediatePropagation();
            this.#end();
        }, { capture: true });
    }

    #down(event) {
        const element = event.target.closest('[data-carry]');
        if (!element || event.button !== 0) return;
        this.#end();
        this.#start = { id: event.pointerId, x: event.clientX, y: event.clientY, element };
        this.#at = { x: event.clientX, y: event.clientY };
        element.setPointerCapture(event.pointerId); // a quick hand has left it with its first move
        if (event.pointerType !== 'mouse') this.#holding = setTimeout(() => this.#begin(), HOLD_MS);
    }

    #move(event) {
        if (event.pointerId !== this.#start?.id) return;
        this.#at = { x: event.clientX, y: event.clientY };
        if (!this.#ghost) {
            const [dx, dy] = [event.clientX - this.#start.x, event.clientY - this.#start.y].map(Math.abs);
            const enough = event.pointerType === 'mouse' ? dx + dy > START_PX : dx > 2 * START_PX && dx > dy;
            if (enough) this.#begin();
            else if (dx + dy > 2 * START_PX) clearTimeout(this.#holding);
        }
        if (this.#ghost) this.#follow();
    }

    #begin() {
        clearTimeout(this.#holding);
        const { element } = this.#start;
        this.#ghost = el('div', { class: 'carried', 'aria-hidden': 'true' }, element.dataset.label);
        document.body.append(this.#ghost);
        document.body.classList.add('carrying');
        this.#follow();
        this.#frame = requestAnimationFrame(() => this.#scroll());
    }

    #follow() {
        const { x, y } = this.#at;
        this.#ghost.style.translate = `${x + 12}px ${y + 10}px`;
        const node = under(this.#at);
        const knob = node?.closest('.knob.drivable') ?? null;
        if (knob !== this.#target) {
            this.#target?.classList.remove('target');
            knob?.classList.add('target');
            this.#target = knob;
        }
        this.#ghost.classList.toggle('nowhere', !knob);
        this.#openSoon(node?.closest('[data-node]')?.dataset.node ?? null);
    }

    #openSoon(name) {
        if (name === (this.#opening?.name ?? null)) return;
        clearTimeout(this.#opening?.timer);
        this.#opening = name === null
            ? null
            : { name, timer: setTimeout(() => this.#hooks.open(name), OPEN_MS) };
    }

    #scroll() {
        if (!this.#ghost) return;
        const { y } = this.#at;
        const scroller = scrollerAt(under(this.#at));
        const page = scroller === document.scrollingElement;
        const box = page ? { top: this.#covered(), bottom: innerHeight } : scroller.getBoundingClientRect();
        if (y > box.bottom - EDGE_PX) scroller.scrollTop += SCROLL_PX;
        else if (y < box.top + EDGE_PX) scroller.scrollTop -= SCROLL_PX;
        this.#follow();
        this.#frame = requestAnimationFrame(() => this.#scroll());
    }

    // On a narrow page the picture stays above what scrolls.
    #covered() {
        const stage = document.querySelector('#stage');
        return stage && getComputedStyle(stage).position === 'sticky' ? stage.getBoundingClientRect().bottom : 0;
    }

    #up(event) {
        if (event.pointerId !== this.#start?.id) return;
        const carried = this.#ghost ? this.#start.element.dataset.carry : null;
        const knob = this.#target;
        const was = this.#start;
        this.#end();
        if (carried === null) return;
        this.#start = { ...was, id: null, dropped: true };
        setTimeout(() => {
            this.#start = this.#start?.dropped ? null : this.#start;
        });
        if (knob) this.#hooks.drop(carried, knob);
    }

    #end() {
        clearTimeout(this.#holding);
        cancelAnimationFrame(this.#frame);
        this.#openSoon(null);
        this.#target?.classList.remove('target');
        this.#target = null;
        this.#ghost?.remove();
        this.#ghost = null;
        document.body.classList.remove('carrying');
        this.#start = null;
    }
}
