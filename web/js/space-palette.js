// SPDX-License-Identifier: MIT
// Colours for numbers from 0 to 1: from deep violet over teal to warm white; lightness rises all the
// way. Once for shaders, once for the processor, from the same stops.

const LOW = [[0.16, 0.07, 0.32], [0.10, 0.45, 0.56]];
const HIGH = [[0.37, 0.91, 0.64], [1.0, 0.95, 0.80]];

const vec3 = (stop) => `vec3(${stop.map((v) => v.toFixed(2)).join(', ')})`;

export const PALETTE_GLSL = `
vec3 palette(float t) {
    vec3 low = mix(${LOW.map(vec3).join(', ')}, clamp(t * 2.5, 0.0, 1.0));
    vec3 high = mix(${HIGH.map(vec3).join(', ')}, clamp(t * 2.5 - 1.5, 0.0, 1.0));
    return mix(low, high, smoothstep(0.3, 0.75, t));
}`;

const clamp = (v) => Math.max(0, Math.min(1, v));
const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);

function palette(t) {
    const s = clamp((t - 0.3) / 0.45);
    return mix(mix(...LOW, clamp(t * 2.5)), mix(...HIGH, clamp(t * 2.5 - 1.5)), s * s * (3 - 2 * s));
}

// 256 of them as pixels: red in the lowest byte, opaque.
export const PALETTE = Uint32Array.from({ length: 256 }, (_, i) => {
    const [red, green, blue] = palette(i / 255).map((v) => Math.round(255 * v));
    return (red | (green << 8) | (blue << 16) | 0xff000000) >>> 0;
});
