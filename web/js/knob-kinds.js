// SPDX-License-Identifier: MIT
// One control per parameter type. A maker takes the descriptor and `changed(value, done)` (done is
// false while a slider is still held) and returns { parts, show(value) }: the elements, and how to
// make them show a value that came from the server. Values are those of the wire: numbers, booleans
// and the strings of the graph text.

import { el, say } from './ui.js';

const WIDEST_SLIDER = 1e5; // beyond this a slider cannot be aimed
const SLIDER_STEPS = 200;
const SEGMENTS = 4; // more names than this, or longer ones, become a list
const SEGMENT_LETTERS = 28;

const ranged = (param) => param.max > param.min;

// Decimal step that gives a slider about SLIDER_STEPS positions.
function stepOf(param) {
    if (param.type === 'int') return 1;
    const exact = (param.max - param.min) / SLIDER_STEPS;
    return 10 ** Math.floor(Math.log10(exact));
}

const numberText = (value) => String(Number(Number(value).toPrecision(7)));

function number(param, changed, id) {
    const bounds = ranged(param) ? { min: param.min, max: param.max } : {};
    const field = el('input', {
        type: 'number', id, class: 'number', step: param.type === 'int' ? 1 : 'any', ...bounds,
        inputmode: param.type === 'int' && !(param.min < 0) ? 'numeric' : 'decimal',
        onchange: () => {
            if (field.value === '') return;
            drag(Number(field.value));
            changed(Number(field.value), true);
        },
    });
    const parts = [field];
    if (param.unit) parts.push(el('span', { class: 'unit' }, param.unit));
    let slider = null;
    const drag = (value) => {
        if (!slider) return;
        slider.value = value;
        const share = (slider.value - param.min) / (param.max - param.min);
        slider.style.setProperty('--fill', `${(share * 100).toFixed(2)}%`);
    };
    if (ranged(param) && param.max - param.min <= WIDEST_SLIDER) {
        const moved = (done) => {
            drag(slider.value);
            field.value = numberText(slider.value);
            changed(Number(slider.value), done);
        };
        slider = el('input', {
            type: 'range', class: 'slider', 'aria-label': param.name, ...bounds,
            step: stepOf(param), oninput: () => moved(false), onchange: () => moved(true),
        });
        parts.unshift(slider);
    }
    return {
        parts,
        show(value) {
            field.value = numberText(value);
            drag(value);
        },
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

// The browser's picker knows no alpha, so that half of the text stays as it was.
function color(param, changed, id) {
    let alpha = '';
    const swatch = el('input', {
        type: 'color', class: 'swatch', 'aria-label': `${param.name}, picker`,
        oninput: () => {
            field.value = swatch.value + alpha;
            changed(field.value, false);
        },
        onchange: () => changed(field.value, true),
    });
    const field = text({ ...param, max: 24 }, changed, id);
    const input = field.parts[0];
    const show = (value) => {
        const long = value.replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
        field.show(value);
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

function size(param, changed, id) {
    const [width, height] = ['width', 'height'].map((side, i) => el('input', {
        type: 'number', class: 'number', step: 1, min: param.min, max: param.max || undefined,
        id: i === 0 ? id : undefined, 'aria-label': `${param.name}, ${side}`,
        onchange: () => changed(`${width.value}x${height.value}`, true),
    }));
    return {
        parts: [width, el('span', { class: 'by', 'aria-hidden': 'true' }, '×'), height,
            el('span', { class: 'unit' }, 'px')],
        show(value) {
            [width.value, height.value] = value.split('x');
        },
    };
}

function fixed(param, _changed, id) {
    const shown = el('output', { class: 'fixed', id });
    return { parts: [shown], show: (value) => say(shown, String(value) || 'none') };
}

const MAKERS = { float: number, int: number, bool: toggle, enum: choice, color, size, string: text };

export function control(param, changed, id) {
    // A path names a file of the server's machine: never accepted from a page.
    return (param.path ? fixed : MAKERS[param.type])(param, changed, id);
}
