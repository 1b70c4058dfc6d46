// SPDX-License-Identifier: MIT
// The HTTP half of the wire: the token, JSON calls, downloads.

import { attempt, el, saveBlob } from './ui.js';

const KEY = 'phosphene.token';
let secret = '';

// The address carries the token in its fragment, which never leaves the browser. It is taken out
// of the address bar at once, so that a shared screen or a copied link does not give it away.
export function takeToken() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const given = fragment.get('token');
    try {
        secret = sessionStorage.getItem(KEY) ?? '';
    } catch {
        // storage may be refused
    }
    if (given) setToken(given);
    if (given) history.replaceState(null, '', location.pathname + location.search);
}

// What a person pastes: the token, or the whole address with it. What cannot be one is none, so that
// it is asked for again: neither a header nor a subprotocol would carry it.
export function setToken(pasted) {
    const value = pasted.trim().split('#token=').pop();
    secret = /^[\w.~-]+$/.test(value) ? value : '';
    try {
        sessionStorage.setItem(KEY, secret);
    } catch {
        // kept for as long as the page lives
    }
}

// What a WebSocket offers beside phosphene.v1.
export function tokenProtocols() {
    return secret ? [`token.${secret}`] : [];
}

// Message, and where known: status, field, line, column (the last two count from 1).
class ApiError extends Error {
    constructor(status, detail) {
        const where = detail.field ? `${detail.field}: ` : '';
        super(where + (detail.message ?? `the server answered ${status}`));
        this.status = status;
        this.line = detail.line;
        this.column = detail.column;
    }
}

async function request(method, path, body) {
    const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
    // A DELETE carries no body, but every state change has to say it is JSON.
    if (method !== 'GET') headers['Content-Type'] = 'application/json';
    let answer;
    try {
        answer = await fetch(path, {
            method,
            headers,
            body: body === undefined ? undefined : JSON.stringify(body),
            cache: 'no-store',
        });
    } catch {
        throw new ApiError(0, { message: 'The server cannot be reached' });
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, said.error ?? {});
}

export async function call(method, path, body) {
    const answer = await request(method, path, body);
    return answer.status === 204 ? null : answer.json();
}

export const roomPath = (room, tail = '') => `/api/v1/rooms/${encodeURIComponent(room)}${tail}`;

// Fetches and then offers to keep, so that a refusal is an error here and not a file of it.
export async function download(path, name) {
    saveBlob(await (await request('GET', path)).blob(), name);
}

export async function fetchBytes(path) {
    return (await request('GET', path)).arrayBuffer();
}

// A link to a file that may be large. Without a token the browser's own download manager streams
// it to disk; a token has to travel in a header, so then it passes through memory.
export function downloadLink(path, name, ...content) {
    return el('a', {
        class: 'button download', href: path, download: name,
        onclick: (event) => {
            if (!secret) return;
            event.preventDefault();
            attempt(() => download(path, name));
        },
    }, ...content);
}
