// SPDX-License-Identifier: MIT
// The cloud message (kind 3 of docs/protocol.md) taken apart: a MessagePack map of points that the
// server made, of several cameras in one world, say. Nothing is copied.

const SAMPLES = 512;

const words = new TextDecoder();

// The values that such a map has: texts, bytes, whole numbers.
class Reader {
    #bytes;
    #view;
    #at = 0;

    constructor(bytes) {
        this.#bytes = bytes;
        this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    #whole(size) {
        const at = this.#at;
        this.#at += size;
        return size === 1 ? this.#view.getUint8(at) : size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
    }

    #span(size) {
        this.#at += size;
        if (this.#at > this.#bytes.length) throw new Error('a cloud that was cut off');
        return this.#bytes.subarray(this.#at - size, this.#at);
    }

    value() {
        const kind = this.#whole(1);
        if (kind < 0x80) return kind;
        if (kind >= 0xa0 && kind < 0xc0) return words.decode(this.#span(kind & 31));
        if (kind >= 0xc4 && kind <= 0xc6) return this.#span(this.#whole(1 << (kind - 0xc4)));
        if (kind >= 0xcc && kind <= 0xce) return this.#whole(1 << (kind - 0xcc));
        if (kind === 0xd9) return words.decode(this.#span(this.#whole(1)));
        throw new Error('a cloud with values of another kind');
    }

    map() {
        const kind = this.#whole(1);
        if ((kind & 0xf0) !== 0x80) throw new Error('a cloud that is no map');
        return Object.fromEntries(Array.from({ length: kind & 15 }, () => [this.value(), this.value()]));
    }
}

// How far points are, and how far apart neighbours are: of a few hundred, evenly chosen. Points come
// in the order of pixels, so that the next one is a neighbour, but for ends of rows: the median.
function measure(places, count) {
    const view = new DataView(places.buffer, places.byteOffset, places.byteLength);
    const [depths, gaps] = [[], []];
    for (let k = 0; k < SAMPLES && count > 1; k++) {
        const i = Math.floor((k * (count - 1)) / SAMPLES);
        const at = (axis, point) => view.getFloat32(4 * (3 * point + axis), true);
        const gap = Math.hypot(...[0, 1, 2].map((axis) => at(axis, i + 1) - at(axis, i)));
        if (!Number.isFinite(gap)) continue; // one of the two is not finite
        depths.push(at(2, i));
        gaps.push(gap);
    }
    for (const list of [depths, gaps]) list.sort((a, b) => a - b);
    const n = gaps.length;
    const near = Math.max(1e-3, depths[n >> 5] ?? 1);
    return { near, far: Math.max(1.01 * near, depths[n - (n >> 5)] ?? 10), spacing: gaps[n >> 1] ?? 0.01 };
}

// { points, places: bytes of 3 f32 each (x right, y up, z forward), tints: 3 bytes each, near, far, spacing }
export function readCloud(header, bytes) {
    const { num_points: points, points: places, colors: tints, num_views: views = 1 } = new Reader(bytes).map();
    if (!(places?.length === 12 * points && tints?.length === 3 * points)) throw new Error('a cloud of another length');
    return { frame: header.frame, points, places, tints, views, ...measure(places, points) };
}
