// SPDX-License-Identifier: MIT
// A mapping is a drive of the usual kind: one signal, its curve and smoothing, and the range of a
// knob that it goes through. Here it becomes an expression of the graph text and is found again in
// one; what is written by hand in other ways is left to the hand.

export const CURVES = ['linear', 'quad_in', 'quad_out', 'quad_in_out', 'cubic_in', 'cubic_out',
    'cubic_in_out', 'sine_in_out', 'smoothstep', 'smootherstep', 'expo_out'];
export const WAVES = ['sine', 'triangle', 'saw', 'square', 'exp_decay'];
export const BEATS = [0.5, 1, 2, 4, 8, 16];

const NUMBER = String.raw`-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
const WAVE = new RegExp(String.raw`^(${WAVES.join('|')})\((${NUMBER})\)$`);
const CURVE = new RegExp(String.raw`^(${CURVES.join('|')})\((.+)\)$`);
const STEP = new RegExp(String.raw`^step\((${NUMBER}), (.+)\)$`);
const SMOOTH = new RegExp(String.raw`^smooth\((.+), (${NUMBER}), (${NUMBER})\)$`);
const RANGE = new RegExp(String.raw`^range\((.+), (${NUMBER}), (${NUMBER})\)$`);
const RANGE_OF = new RegExp(String.raw`^range\((.+), (${NUMBER}), (${NUMBER}), (${NUMBER}), (${NUMBER})\)$`);
const LINE = new RegExp(String.raw`^(.+) \* (${NUMBER})(?: ([+-]) (${NUMBER}))?$`);

export const short = (number) => String(Number(Number(number).toPrecision(5)));

const unit = (map) => map.from === 0 && map.to === 1;

// The waves of the modulators, by their place in the wave (src/core/wave.h).
export function wave(name, phase) {
    const at = phase - Math.floor(phase);
    if (name === 'sine') return Math.sin(2 * Math.PI * at);
    if (name === 'triangle') return at < 0.25 ? 4 * at : at < 0.75 ? 2 - 4 * at : 4 * at - 4;
    if (name === 'saw') return 2 * at - 1;
    if (name === 'square') return at < 0.5 ? 1 : -1;
    return Math.exp(-at / 0.15);
}

export const waveSignal = (name, beats) => ({
    name: `${name}(${short(beats)})`, min: name === 'exp_decay' ? 0 : -1, max: 1,
});

// A new mapping of { name, min, max, whole } to a knob that stands at value: from there to its end, or
// through the whole range, as with a fader.
export function begin(param, value, signal) {
    const map = {
        source: signal.name, from: signal.min, to: signal.max, curve: 'linear', attack: 0, release: 0,
    };
    if (param.type === 'bool') return { ...map, low: 0.5, high: 1 };
    if (param.type === 'enum') return { ...map, low: 0, high: param.names.length - 1 };
    const known = Number.isFinite(value) ? value : 0;
    if (!(param.max > param.min)) return { ...map, low: known, high: known + 1 };
    const middle = !signal.whole && known > param.min && known < param.max;
    return { ...map, low: middle ? known : param.min, high: param.max };
}

// "kick * 0.6 + 0.4", "range(quad_in(smooth(level, 5, 150)), 2, 9)", …
export function write(map, param) {
    const held = map.attack > 0 || map.release > 0
        ? `smooth(${map.source}, ${short(map.attack)}, ${short(map.release)})`
        : map.source;
    const bounds = `${short(map.from)}, ${short(map.to)}`;
    const whole = unit(map) ? held : `range(${held}, 0, 1, ${bounds})`;
    const curved = map.curve === 'linear' ? whole : `${map.curve}(${whole})`;
    if (param.type === 'bool') return `step(${short(map.low)}, ${curved})`;
    if (!unit(map) && map.curve === 'linear') {
        return `range(${held}, ${short(map.low)}, ${short(map.high)}, ${bounds})`;
    }
    const span = short(map.high - map.low);
    const base = Number(short(map.low));
    if (base === 0) return `${curved} * ${span}`;
    return `${curved} * ${span} ${base < 0 ? '-' : '+'} ${short(Math.abs(base))}`;
}

// The mapping that a text is, with the usual range of its signal; null: it is written otherwise.
export function read(text, param, signals) {
    const map = { curve: 'linear', attack: 0, release: 0, low: 0, high: 1, from: 0, to: 1 };
    const inner = readInner(readOuter(text.trim(), param, map), map);
    if (WAVE.test(inner)) return { ...map, source: inner };
    const known = signals.find((s) => s.name === inner || `${s.node}.${s.signal}` === inner);
    return known ? { ...map, source: known.name } : null; // "value" and "beat" are no signals
}

function readOuter(text, param, map) {
    let found;
    if (param.type === 'bool') {
        if (!(found = STEP.exec(text))) return '';
        [map.low, map.high] = [Number(found[1]), 1];
        return found[2];
    }
    if ((found = RANGE_OF.exec(text))) {
        [map.low, map.high, map.from, map.to] = found.slice(2).map(Number);
        return found[1];
    }
    if ((found = RANGE.exec(text))) {
        [map.low, map.high] = found.slice(2).map(Number);
        return found[1];
    }
    if ((found = LINE.exec(text))) {
        map.low = Number(found[4] ?? 0) * (found[3] === '-' ? -1 : 1);
        map.high = Number(short(map.low + Number(found[2])));
        return found[1];
    }
    return text;
}

function readInner(text, map) {
    let inner = text;
    let found = CURVE.exec(inner);
    if (found) [, map.curve, inner] = found;
    found = RANGE_OF.exec(inner);
    if (found && Number(found[2]) === 0 && Number(found[3]) === 1 && unit(map)) {
        [map.from, map.to] = [Number(found[4]), Number(found[5])];
        inner = found[1];
    }
    found = SMOOTH.exec(inner);
    if (!found) return inner;
    [map.attack, map.release] = [Number(found[2]), Number(found[3])];
    return found[1];
}

// { name, beats } of "sine(4)", else null.
export function readWave(source) {
    const found = WAVE.exec(source ?? '');
    return found && { name: found[1], beats: Number(found[2]) };
}
