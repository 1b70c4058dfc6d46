// SPDX-License-Identifier: MIT
// The beat: where it is between two words of the server, a lamp for each beat of the bar, and what
// performers do to it by hand.

import { attempt, el, say } from './ui.js';

const NUDGE_MS = 10;
const FOLLOW = 0.25;
const JUMP_BEATS = 0.3;
const USUAL_BPM = 120;
const LAMP_DECAY = 3;
const BEGINS = 0.35; // confidence without which no beat begins

// Runs on by the tempo; what the server says corrects it.
export class BeatClock {
    #beat = 0;
    #bpm = 0;
    #at = performance.now();

    // The tempo; 0 = none is known.
    get bpm() {
        return this.#bpm;
    }

    hear(beat, bpm) {
        const now = performance.now();
        const off = beat - this.now();
        this.#beat = Math.abs(off) > JUMP_BEATS || !(bpm > 0) ? beat : this.now() + off * FOLLOW;
        this.#bpm = bpm;
        this.#at = now;
    }

    // Without a tempo beats go on at 120 a minute, as in the graph.
    now() {
        const bpm = this.#bpm > 0 ? this.#bpm : USUAL_BPM;
        return this.#beat + ((performance.now() - this.#at) / 60000) * bpm;
    }
}

export class Beat {
    #put;
    #clock;
    #node = null; // the listen node that is played by hand
    #perBar = 4;
    #lit = -1;
    #lamps = el('span', { class: 'lamps', 'aria-hidden': 'true' });
    #bpm = el('b', { class: 'bpm', id: 'bpm' }, '–');
    #bar = el('i');
    #sure = el('span', {
        class: 'sure', role: 'meter', 'aria-label': 'confidence of the beat', 'aria-valuemin': 0, 'aria-valuemax': 1,
    }, this.#bar);
    #hands;
    #scale = 'normal';
    #hold;
    #link;
    element;

    // put(node, values) → a promise
    constructor(clock, put) {
        this.#clock = clock;
        this.#put = put;
        const button = (words, title, run) => el('button', {
            type: 'button', class: 'chip', title, onclick: () => attempt(run),
        }, words);
        const set = (values) => () => this.#put(this.#node, values);
        const tap = button('Tap', 'On each beat: four set the tempo (B)', () => {});
        tap.id = 'tap';
        tap.addEventListener('pointerdown', () => this.tap()); // a click comes when the finger has left
        tap.addEventListener('click', (event) => {
            if (event.detail === 0) this.tap(); // Enter, or a screen reader
        });
        this.#hold = button('Hold', 'The tempo stays as it is', () => this.#put(this.#node, {
            hold: this.#hold.getAttribute('aria-pressed') !== 'true',
        }));
        this.#link = el('a', { class: 'chip', id: 'calibrate', title: 'What the speakers delay the sound by' }, 'Delay …');
        this.#hands = el('div', { class: 'beat-hands' }, tap,
            button('−', `The beat comes ${NUDGE_MS} ms earlier`, set({ nudge: -NUDGE_MS })),
            button('+', `The beat comes ${NUDGE_MS} ms later`, set({ nudge: NUDGE_MS })),
            button('Bar', 'This is the first beat of a bar', set({ resync: true })),
            button('÷2', 'Half as many beats', () => this.#rescale(-1)),
            button('×2', 'Twice as many beats', () => this.#rescale(1)),
            this.#hold);
        this.element = el('div', { class: 'beat', hidden: true },
            el('div', { class: 'beat-head' }, this.#lamps, this.#bpm, el('small', {}, 'bpm'), this.#sure, this.#link),
            this.#hands);
    }

    get playable() {
        return this.#node !== null;
    }

    tap() {
        if (this.#node) attempt(() => this.#put(this.#node, { tap: true }));
    }

    update(room) {
        const sources = room.nodes.filter((n) => n.beat);
        const leads = sources.find((n) => n.beat.bpm > 0) ?? sources[0];
        const ears = room.nodes.find((n) => n.type === 'listen');
        this.#node = ears?.name ?? null;
        this.#perBar = ears?.params.per_bar ?? 4;
        this.element.hidden = !ears && !(leads?.beat.bpm > 0);
        this.#hands.hidden = this.#link.hidden = !ears;
        if (!ears) return;
        this.#scale = ears.params.scale;
        this.#hold.setAttribute('aria-pressed', String(ears.params.hold));
        const [half, double] = ['÷2', '×2'].map((words) => [...this.#hands.children].find((b) => b.textContent === words));
        half.setAttribute('aria-pressed', String(this.#scale === 'half'));
        double.setAttribute('aria-pressed', String(this.#scale === 'double'));
        this.#link.href = `calibrate.html?room=${encodeURIComponent(room.name)}`;
    }

    // { bpm, beat, confidence } of the node that leads
    hear({ bpm, beat, confidence }) {
        this.#clock.hear(beat, bpm);
        say(this.#bpm, bpm > 0 ? bpm.toFixed(1) : '–');
        this.#bar.style.width = `${Math.round(confidence * 100)}%`;
        this.#sure.classList.toggle('doubtful', confidence < BEGINS);
        this.#sure.setAttribute('aria-valuenow', confidence.toFixed(2));
        this.#sure.title = `confidence ${Math.round(confidence * 100)} %`;
    }

    // Once a picture of the screen.
    draw(calm) {
        if (this.element.hidden) return;
        if (this.#lamps.childElementCount !== this.#perBar) {
            this.#lamps.replaceChildren(...Array.from({ length: this.#perBar }, () => el('i')));
        }
        const running = this.#clock.bpm > 0;
        const beat = this.#clock.now();
        const at = running ? ((Math.floor(beat) % this.#perBar) + this.#perBar) % this.#perBar : -1;
        if (at !== this.#lit) {
            this.#lamps.children[this.#lit]?.style.removeProperty('opacity');
            [...this.#lamps.children].forEach((lamp, i) => lamp.classList.toggle('lit', i === at));
            this.#lit = at;
        }
        if (at >= 0 && !calm) {
            this.#lamps.children[at].style.opacity = String(0.3 + 0.7 * Math.exp(-LAMP_DECAY * (beat - Math.floor(beat))));
        }
    }

    #rescale(by) {
        const order = ['half', 'normal', 'double'];
        const next = order[Math.min(2, Math.max(0, order.indexOf(this.#scale) + by))];
        return this.#put(this.#node, { scale: next });
    }
}

export const leader = (nodes) => {
    const all = Object.values(nodes).map((node) => node.beat);
    return all.find((beat) => beat.bpm > 0) ?? all[0] ?? null;
};
