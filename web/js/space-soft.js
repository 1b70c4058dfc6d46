// SPDX-License-Identifier: MIT
// Draws points on the processor, for browsers whose WebGL runs on it too (each point of theirs costs
// 0.4 µs, here it is a tenth) or that have none. The same points, sizes and colours as space-gl.js:
// squares, the nearest in front. Nothing is created per frame.

import { PALETTE } from './space-palette.js';

const LEAST_W = 1e-4; // nearer than that is behind the viewer
const MOST_PX = 64;
const clamp = (v) => (v < 0 ? 0 : v > 1 ? 1 : v);

export class SoftCloud {
    #context;
    #image = null;
    #pixels = new Uint32Array(0);
    #nearest = new Float32Array(0); // 1 / w of what each pixel shows; 0 = nothing
    #ground = 0xff000000;
    #map = null;
    #values = [new Uint16Array(0), new Uint16Array(0)]; // of this map, of the one before
    #unpacking = [0, 0, 0, 0];
    #small = null; // a canvas of the map's size, from which the picture's pixels are read
    #seen = new Uint32Array(0); // the picture's colour of each point
    #sure = new Uint8Array(0);
    #places = new Float32Array(0); // of points that come as such
    #colours = new Uint32Array(0); // of each point as it is drawn
    #coloured = -1; // by what

    constructor(canvas) {
        this.#context = canvas.getContext('2d', { alpha: false });
        if (!this.#context) throw new Error('This browser draws nothing');
    }

    get map() {
        return this.#map;
    }

    take(map) {
        if (map.places) this.#takePoints(map);
        else this.#takeDepth(map);
        this.#coloured = -1;
    }

    #grow(count) {
        if (this.#colours.length >= count) return;
        this.#colours = new Uint32Array(count);
        this.#seen = new Uint32Array(count).fill(0xffcdd2c8);
    }

    #takePoints({ points, places, tints, near, far, spacing }) {
        this.#grow(points);
        if (this.#places.length < 3 * points) this.#places = new Float32Array(3 * Math.ceil(1.25 * points));
        new Uint8Array(this.#places.buffer).set(places);
        for (let i = 0, at = 0; i < points; i++, at += 3) {
            this.#seen[i] = tints[at] | (tints[at + 1] << 8) | (tints[at + 2] << 16) | 0xff000000;
        }
        this.#map = { points, near, far, spacing };
    }

    #takeDepth({ width, height, values, picture, lens, near, far, scale, bias, confidence }) {
        const count = width * height;
        const same = this.#map?.width === width && this.#map?.height === height;
        this.#grow(count);
        if (!same) this.#values = [new Uint16Array(count), new Uint16Array(count)];
        this.#values.reverse();
        this.#values[0].set(values.subarray(0, count));
        this.#unpacking = [scale, bias, this.#unpacking[0], this.#unpacking[1]];
        if (picture) this.#see(picture, width, height);
        if (confidence && this.#sure.length < count) this.#sure = new Uint8Array(count);
        if (confidence) this.#sure.set(confidence.values.subarray(0, count));
        this.#map = { width, height, lens, near, far };
    }

    #see(picture, width, height) {
        if (this.#small?.canvas.width !== width || this.#small?.canvas.height !== height) {
            this.#small = new OffscreenCanvas(width, height).getContext('2d', { alpha: false, willReadFrequently: true });
        }
        this.#small.drawImage(picture, 0, 0, width, height);
        this.#seen.set(new Uint32Array(this.#small.getImageData(0, 0, width, height).data.buffer));
    }

    // The colour of each point; they change with the map only.
    #paint(colouring) {
        if (this.#coloured === colouring) return;
        this.#coloured = colouring;
        const { width, height, points, lens, near, far } = this.#map;
        const [out, top, span] = [this.#colours, Math.max(far, 1e-6), Math.max(1 / near - 1 / far, 1e-6)];
        const depth = (z) => PALETTE[(255 * Math.sqrt(clamp((1 / z - 1 / far) / span))) | 0];
        const tall = (y) => PALETTE[(255 * clamp(0.5 + (1.5 * y) / top)) | 0];
        if (!width && colouring === 1) for (let i = 0; i < points; i++) out[i] = depth(this.#places[3 * i + 2]);
        else if (!width && colouring === 2) for (let i = 0; i < points; i++) out[i] = tall(this.#places[3 * i + 1]);
        else if (width && colouring === 3) for (let i = 0; i < width * height; i++) out[i] = PALETTE[this.#sure[i]];
        else if (width && colouring) {
            for (let y = 0, i = 0; y < height; y++) {
                const up = -(y + 0.5 - lens[3]) / lens[1];
                for (let x = 0; x < width; x++, i++) {
                    const z = this.#values[0][i] * this.#unpacking[0] + this.#unpacking[1];
                    out[i] = colouring === 1 ? depth(z) : tall(up * z);
                }
            }
        } else out.set(this.#seen);
    }

    clear(red, green, blue) {
        const { width, height } = this.#context.canvas;
        if (this.#image?.width !== width || this.#image?.height !== height) {
            this.#image = new ImageData(Math.max(1, width), Math.max(1, height));
            this.#pixels = new Uint32Array(this.#image.data.buffer);
            this.#nearest = new Float32Array(this.#pixels.length);
        }
        const [r, g, b] = [red, green, blue].map((v) => Math.round(255 * v));
        this.#ground = (r | (g << 8) | (b << 16) | 0xff000000) >>> 0;
        this.#pixels.fill(this.#ground);
        this.#nearest.fill(0);
    }

    // As that of space-gl.js; box counts from the lower left corner.
    draw(camera, box, { unit, size, colouring, blend }) {
        if (!this.#map) return;
        this.#paint(colouring);
        const top = this.#image.height - box[1] - box[3];
        const place = { left: box[0], top, right: box[0] + box[2], bottom: top + box[3], row: this.#image.width };
        if (this.#map.width) this.#drawDepth(camera, place, size * unit, blend);
        else this.#drawPoints(camera, place, size * unit);
    }

    show() {
        this.#context.putImageData(this.#image, 0, 0);
    }

    // What the camera makes of a pixel's ray is linear along a row, so only its ends are computed.
    #drawDepth(m, place, spot, blend) {
        const { width, height, lens: [fx, fy, cx, cy] } = this.#map;
        const [scale, bias, oldScale, oldBias] = this.#unpacking;
        const [now, before] = this.#values;
        const colours = this.#colours;
        const [dx, dy, dw] = [m[0] / fx, m[1] / fx, m[3] / fx];
        const wide = (1.4 * spot) / fx;
        const canvas = { ...place, pixels: this.#pixels, nearest: this.#nearest };
        for (let y = 0, i = 0; y < height; y++) {
            const [left, up] = [(0.5 - cx) / fx, -(y + 0.5 - cy) / fy];
            let x0 = left * m[0] + up * m[4] - m[8];
            let y0 = left * m[1] + up * m[5] - m[9];
            let w0 = left * m[3] + up * m[7] - m[11];
            for (let x = 0; x < width; x++, i++, x0 += dx, y0 += dy, w0 += dw) {
                const value = now[i];
                if (value === 0) continue;
                let z = value * scale + bias;
                const old = before[i];
                const step = old === 0 ? 0 : z - (old * oldScale + oldBias);
                if (step < 0.1 * z && -step < 0.1 * z) z -= step * (1 - blend); // what jumps was not the same
                const w = w0 * z + m[15];
                if (w < LEAST_W) continue;
                const inverse = 1 / w;
                dot(canvas, (x0 * z + m[12]) * inverse, (y0 * z + m[13]) * inverse, wide * z * inverse, inverse, colours[i]);
            }
        }
    }

    #drawPoints(m, place, spot) {
        const { points, spacing } = this.#map;
        const places = this.#places;
        const colours = this.#colours;
        const wide = 1.4 * spot * spacing;
        const canvas = { ...place, pixels: this.#pixels, nearest: this.#nearest };
        for (let i = 0, at = 0; i < points; i++, at += 3) {
            const [x, y, z] = [places[at], places[at + 1], -places[at + 2]];
            const w = m[3] * x + m[7] * y + m[11] * z + m[15];
            if (!(w >= LEAST_W)) continue;
            const inverse = 1 / w;
            const right = (m[0] * x + m[4] * y + m[8] * z + m[12]) * inverse;
            const up = (m[1] * x + m[5] * y + m[9] * z + m[13]) * inverse;
            dot(canvas, right, up, wide * inverse, inverse, colours[i]);
        }
    }
}

// A square of `size` pixels round a place in clip space: the pixels whose middle it covers.
function dot({ pixels, nearest, left, top, right, bottom, row }, x, y, size, inverse, colour) {
    const half = size < 1 ? 0.5 : size > MOST_PX ? MOST_PX / 2 : size / 2;
    const u = left + (x + 1) * 0.5 * (right - left) - 0.5;
    const v = top + (1 - y) * 0.5 * (bottom - top) - 0.5;
    const x0 = Math.max(left, Math.ceil(u - half));
    const x1 = Math.min(right, Math.ceil(u + half));
    const y0 = Math.max(top, Math.ceil(v - half));
    const y1 = Math.min(bottom, Math.ceil(v + half));
    for (let line = y0; line < y1; line++) {
        const end = line * row + x1;
        for (let at = line * row + x0; at < end; at++) {
            if (nearest[at] >= inverse) continue;
            nearest[at] = inverse;
            pixels[at] = colour;
        }
    }
}
