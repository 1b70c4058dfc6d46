// SPDX-License-Identifier: MIT
// One control per parameter type. A maker takes the descriptor and `changed(value, done)` (done is
// false while a slider is still held) and returns { parts, show(value) }: the elements, and how to
// make them show a value that came from the server. Values are those of the wire: numbers, booleans
// and the strings of the graph text.

import { el, say } from './ui.js';

const WIDEST_SLIDER = 1e5; // beyond this a slider cannot be aimed
const LONGEST_LINE = 4096; // longer texts get several
const WIDE = 500; // from here on the small values get most of the slider
const SLIDER_STEPS = 1000;
const SEGMENTS = 4; // more names than this, or longer ones, become a list
const SEGMENT_LETTERS = 28;

const ranged = (param) => param.max > param.min;

const numberText = (value) => String(Number(Number(value).toPrecision(7)));

// The power of ten at or below a positive number.
const magnitude = (value) => 10 ** Math.floor(Math.log10(value));

// How far one arrow key goes: a hundredth or less of a narrow range, a tenth of a wide one's value.
function stepAt(param, value) {
    const span = param.max - param.min;
    const fine = span >= WIDE
        ? magnitude(Math.max(Math.abs(value), span / 1e4)) / 10
        : magnitude(span / 100);
    return param.type === 'int' ? Math.max(1, Math.round(fine)) : fine;
}

// The slider itself runs from 0 to 1: where(value) and its inverse at(place) map a range onto it,
// with the cube root for a wide one ("0.1 … 1000 fps" has its 60 near the middle).
function scale(param) {
    const span = param.max - param.min;
    const power = span >= WIDE ? 3 : 1;
    const grain = param.type === 'int' ? 1 : magnitude(span / SLIDER_STEPS);
    return {
        where: (value) => Math.max(0, Math.min(1, (value - param.min) / span)) ** (1 / power),
        at(place) {
            const value = param.min + span * place ** power;
            return Number((Math.round(value / grain) * grain).toPrecision(7));
        },
    };
}

// { element, show(value) }
function slider(param, moved) {
    const { where, at } = scale(param);
    let value = param.min;
    const show = (next) => {
        value = Number(next);
        element.value = where(value);
        element.style.setProperty('--fill', `${(where(value) * 100).toFixed(2)}%`);
        element.setAttribute('aria-valuetext', `${numberText(value)} ${param.unit ?? ''}`);
    };
    const drag = (done) => {
        const next = at(Number(element.value));
        show(next);
        moved(next, done);
    };
    const key = (event) => {
        const sign = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (!sign) return;
        event.preventDefault();
        const next = Math.min(param.max, Math.max(param.min, value + sign * stepAt(param, value)));
        show(numberText(next));
        moved(value, true);
    };
    const element = el('input', {
        type: 'range', class: 'slider', 'aria-label': param.name, min: 0, max: 1,
        step: 1 / SLIDER_STEPS, oninput: () => drag(false), onchange: () => drag(true), onkeydown: key,
    });
    return { element, show, where };
}

function number(param, changed, id) {
    const bounds = ranged(param) ? { min: param.min, max: param.max } : {};
    const wide = !ranged(param) || param.max - param.min > WIDEST_SLIDER;
    const field = el('input', {
        type: 'number', id, class: 'number', step: param.type === 'int' ? 1 : 'any', ...bounds,
        inputmode: param.type === 'int' && !(param.min < 0) ? 'numeric' : 'decimal',
        onchange: () => {
            if (field.value === '') return;
            hand?.show(field.value);
            changed(Number(field.value), true);
        },
    });
    const hand = wide ? null : slider(param, (value, done) => {
        field.value = numberText(value);
        changed(value, done);
    });
    return {
        parts: [hand?.element, field, param.unit ? el('span', { class: 'unit' }, param.unit) : null]
            .filter(Boolean),
        show(value) {
            field.value = numberText(value);
            hand?.show(value);
        },
        where: hand?.where,
    };
}

function toggle(param, changed, id) {
    const box = el('input', {
        type: 'checkbox', role: 'switch', class: 'switch', id,
        onchange: () => changed(box.checked, true),
    });
    return {
        parts: [box],
        show(value) {
            box.checked = value === true || value === 'on' || value === 'true';
        },
    };
}

function choice(param, changed, id) {
    const short = param.names.length <= SEGMENTS
        && param.names.join('').length <= SEGMENT_LETTERS;
    return short ? segments(param, changed, id) : list(param, changed, id);
}

function list(param, changed, id) {
    const select = el('select', { id, onchange: () => changed(select.value, true) },
        ...param.names.map((name) => el('option', { value: name }, name)));
    return {
        parts: [select],
        show(value) {
            select.value = value;
        },
    };
}

function segments(param, changed, id) {
    const radios = param.names.map((name) => el('input', {
        type: 'radio', name: id, value: name, onchange: () => changed(name, true),
    }));
    const group = el('div', { class: 'segments', role: 'radiogroup', id, 'aria-label': param.name },
        ...radios.map((radio) => el('label', {}, radio, el('span', {}, radio.value))));
    return {
        parts: [group],
        show(value) {
            for (const radio of radios) radio.checked = radio.value === value;
        },
    };
}

// The browser's picker knows no alpha, so that part of the text stays as it was; but what was
// wholly transparent ("the node's own colour") is to be seen once a colour is picked.
function color(param, changed, id) {
    let alpha = '';
    const swatch = el('input', {
        type: 'color', class: 'swatch', 'aria-label': `${param.name}, picker`,
        oninput: () => {
            input.value = swatch.value + (alpha === '00' ? '' : alpha);
            swatch.classList.remove('unset');
            changed(input.value, false);
        },
        onchange: () => changed(input.value, true),
    });
    const field = text({ ...param, max: 24 }, changed, id);
    const input = field.parts[0];
    const show = (value) => {
        const long = value.replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
        field.show(value);
        swatch.classList.toggle('unset', value === 'transparent' || long.slice(7) === '00');
        if (!/^#[0-9a-f]{6}/i.test(long)) return; // a colour's name: the picker keeps its own
        swatch.value = long.slice(0, 7);
        alpha = long.slice(7);
    };
    input.addEventListener('change', () => show(input.value));
    return { parts: [swatch, input], show };
}

function text(param, changed, id) {
    const field = el('input', {
        type: 'text', id, class: 'text', spellcheck: 'false', autocomplete: 'off',
        maxlength: param.type === 'string' && param.max > 0 ? param.max : undefined,
        onchange: () => changed(field.value, true),
    });
    return {
        parts: [field],
        show(value) {
            field.value = value;
        },
    };
}

// A prompt is longer than a line. Enter sends it, as in a line; Shift+Enter begins a new one.
function prose(param, changed, id) {
    let sent = '';
    const commit = () => {
        if (field.value === sent) return;
        sent = field.value;
        changed(sent, true);
    };
    const field = el('textarea', {
        id, class: 'text prose', rows: 3, spellcheck: 'false', maxlength: param.max,
        title: 'Enter sends it, Shift+Enter begins a new line',
        onchange: commit,
        onkeydown: (event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            commit();
        },
    });
    return {
        parts: [field],
        show(value) {
            sent = value;
            field.value = value;
        },
    };
}

// The two sides are one value: it is sent when the hand leaves both, or with Enter.
function size(param, changed, id) {
    let shown = '';
    const [width, height] = ['width', 'height'].map((side, i) => el('input', {
        type: 'number', class: 'number', step: 1, min: param.min, max: param.max || undefined,
        id: i === 0 ? id : undefined, 'aria-label': `${param.name}, ${side}`,
    }));
    const commit = () => {
        const value = `${width.value}x${height.value}`;
        if (value === shown) return;
        shown = value;
        changed(value, true);
    };
    const pair = el('span', {
        class: 'size-pair',
        onfocusout: (event) => {
            if (!pair.contains(event.relatedTarget)) commit();
        },
        onkeydown: (event) => {
            if (event.key === 'Enter') commit();
        },
    }, width, el('span', { class: 'by', 'aria-hidden': 'true' }, '×'), height);
    return {
        parts: [pair, el('span', { class: 'unit' }, param.unit || 'px')],
        show(value) {
            shown = value;
            [width.value, height.value] = value.split('x');
        },
    };
}

function fixed(param, _changed, id) {
    const shown = el('output', { class: 'fixed', id });
    return { parts: [shown], show: (value) => say(shown, String(value) || 'none') };
}

const MAKERS = { float: number, int: number, bool: toggle, enum: choice, color, size, string: text };

// What a knob goes back to, as the wire writes it; an empty text stands for the type's own zero.
export function defaultOf({ type, default: text, names }) {
    if (type === 'float' || type === 'int') return Number(text || 0);
    if (type === 'bool') return text === 'on' || text === true;
    if (type === 'enum') return text || names[0];
    if (type === 'size') return text || '0x0';
    return text ?? '';
}

export function control(param, changed, id) {
    // A path names a file of the server's machine: never accepted from a page.
    const long = param.type === 'string' && param.max > LONGEST_LINE;
    return (param.path ? fixed : long ? prose : MAKERS[param.type])(param, changed, id);
}
