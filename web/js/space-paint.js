// SPDX-License-Identifier: MIT
// Who draws: WebGL where a graphics processor stands behind it, else the processor itself, which is
// quicker at it than a WebGL that runs on it. Which one it is, is measured, not read from a name.

import { GlCloud } from './space-gl.js';
import { SoftCloud } from './space-soft.js';

const SIDE = 256; // of the map that is drawn to measure: 65 536 points
const SLOW_MS = 8;

// Milliseconds that WebGL takes to draw it, the best of three; Infinity: there is none.
function glMs() {
    try {
        const cloud = new GlCloud(new OffscreenCanvas(SIDE, SIDE));
        const lens = [SIDE, SIDE, SIDE / 2, SIDE / 2];
        cloud.take({ width: SIDE, height: SIDE, values: new Uint16Array(SIDE * SIDE).fill(1), lens, scale: 1, bias: 0, near: 1, far: 2 });
        let best = Infinity;
        for (let i = 0; i < 4; i++) {
            const began = performance.now();
            cloud.clear(0, 0, 0);
            cloud.draw([2, 0, 0, 0, 0, 2, 0, 0, 0, 0, -1, -1, 0, 0, 0, 0], [0, 0, SIDE, SIDE], { unit: SIDE, size: 1, colouring: 1, blend: 1 });
            cloud.finish();
            if (i) best = Math.min(best, performance.now() - began); // the first one compiles
        }
        cloud.close();
        return best;
    } catch {
        return Infinity;
    }
}

// how: 'gl' or 'cpu' insist on one.
export function painter(canvas, how) {
    const soft = how === 'cpu' || (how !== 'gl' && glMs() > SLOW_MS);
    canvas.dataset.painter = soft ? 'cpu' : 'gl'; // for who wants to know
    return soft ? new SoftCloud(canvas) : new GlCloud(canvas);
}
