// SPDX-License-Identifier: MIT
// The addresses of a room for phones, each with its QR code.

import { call } from './api.js';
import { el } from './ui.js';

const QUIET = 4; // light modules around, so that readers find it
const SCALE = 6;

function draw(rows) {
    const side = rows.length + 2 * QUIET;
    const canvas = el('canvas', { class: 'qr', width: side * SCALE, height: side * SCALE });
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = '#000';
    for (const [y, row] of rows.entries()) {
        for (const [x, module] of [...row].entries()) {
            if (module === '1') context.fillRect((x + QUIET) * SCALE, (y + QUIET) * SCALE, SCALE, SCALE);
        }
    }
    return canvas;
}

// Fills `box`; gives back what keeps phones away, or null.
export async function showCodes(box, room) {
    const { addresses, problem } = await call('GET', `/api/v1/phone?room=${encodeURIComponent(room)}`);
    box.replaceChildren(...addresses.map(({ url, qr }) => el('figure', {},
        ...(qr ? [draw(qr)] : []), el('figcaption', {}, el('a', { href: url }, url.split('#')[0])))));
    return problem;
}
