// SPDX-License-Identifier: MIT
// Building blocks of the page: elements, icons, toasts, remembered choices, words for numbers.

export const $ = (selector, root = document) => root.querySelector(selector);

const SVG = 'http://www.w3.org/2000/svg';

// el('button', { class: 'quiet', 'aria-label': 'close', onclick: f }, 'text', child, …)
// Keys that start with "on" are listeners, booleans set or leave out an attribute.
export function el(tag, props = {}, ...children) {
    return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
    for (const [key, value] of Object.entries(props)) {
        if (value === undefined || value === null || value === false) continue;
        if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
        else node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
}

export function icon(name) {
    return svg('svg', { class: 'icon', 'aria-hidden': 'true' }, svg('use', { href: `#i-${name}` }));
}

// Writes text only when it differs: a live page must not invalidate layout for nothing.
export function say(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

// --- remembered choices (this browser only; storage may be refused)
export function recall(key, fallback) {
    try {
        return localStorage.getItem(`phosphene.${key}`) ?? fallback;
    } catch {
        return fallback;
    }
}

export function remember(key, value) {
    try {
        if (value === null) localStorage.removeItem(`phosphene.${key}`);
        else localStorage.setItem(`phosphene.${key}`, value);
    } catch {
        // nothing is lost but the memory of a choice
    }
}

// --- words for numbers
export function ms(value) {
    if (!Number.isFinite(value)) return '–';
    return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

export function rate(value) {
    return Number.isFinite(value) ? value.toFixed(value < 999.5 ? 1 : 0) : '–';
}

export function elapsed(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, '0');
    const minutes = Math.floor(whole / 60);
    return minutes < 60
        ? `${minutes}:${two(whole % 60)}`
        : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

export function bytes(count) {
    if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
    return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

// --- toasts: errors interrupt a screen reader, notes wait for a pause
const TOAST_MS = { error: 9000, note: 5000 };

export function toast(message, kind = 'error') {
    const box = $('#toasts');
    const known = [...box.children].find((t) => t.dataset.message === message);
    if (known) {
        known.dataset.again = String(Number(known.dataset.again ?? 1) + 1);
        say($('.again', known), `×${known.dataset.again}`);
        return;
    }
    const close = () => item.remove();
    const item = el('div', { class: `toast ${kind}`, role: kind === 'error' ? 'alert' : null },
        el('p', {}, message),
        el('span', { class: 'again' }),
        el('button', { class: 'icon-button', 'aria-label': 'Dismiss', onclick: close }, icon('close')));
    item.dataset.message = message;
    box.append(item);
    let timer = setTimeout(close, TOAST_MS[kind]);
    item.addEventListener('pointerenter', () => clearTimeout(timer));
    item.addEventListener('pointerleave', () => {
        timer = setTimeout(close, TOAST_MS[kind]);
    });
}

// Runs a piece of user-started work; what goes wrong is told, not lost in the console.
export async function attempt(work) {
    try {
        return await work();
    } catch (error) {
        toast(error.message);
        return null;
    }
}

// Offers bytes as a file to keep.
export function saveBlob(blob, name) {
    const url = URL.createObjectURL(blob);
    el('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
}
