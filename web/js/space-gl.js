// SPDX-License-Identifier: MIT
// Draws points by WebGL 2. Of a depth map one vertex a pixel without any vertex buffer, made in the
// shader from two depth textures (this map and the one before) and a picture; points that come as such
// are attributes. Nothing is created per frame.

import { PALETTE_GLSL } from './space-palette.js';

const DEPTH_VERTEX = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D now, before;
uniform sampler2D picture, sure;
uniform mat4 camera;
uniform vec4 lens;
uniform vec4 unpacking; // scale and bias of now, of before
uniform vec2 range;
uniform vec2 spot; // size of a point, pixels of a unit at distance 1
uniform float blend;
uniform int width, colouring;
uniform ivec2 size;
out vec3 colour;
${PALETTE_GLSL}

void main() {
    ivec2 at = ivec2(gl_VertexID % width, gl_VertexID / width);
    uint value = texelFetch(now, at, 0).r;
    gl_PointSize = 1.0;
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // outside: nothing there
    if (value == 0u) return;
    float z = float(value) * unpacking.x + unpacking.y;
    uint old = texelFetch(before, at, 0).r;
    float was = float(old) * unpacking.z + unpacking.w;
    if (old != 0u && abs(was - z) < 0.1 * z) z = mix(was, z, blend); // what jumps was not the same
    vec2 seen = (vec2(at) + 0.5 - lens.zw) / lens.xy;
    vec3 world = vec3(seen.x * z, -seen.y * z, -z);
    gl_Position = camera * vec4(world, 1.0);
    gl_PointSize = clamp(1.4 * spot.x * spot.y * z / (lens.x * gl_Position.w), 1.0, 64.0);
    float nearness = clamp((1.0 / z - 1.0 / range.y) / max(1.0 / range.x - 1.0 / range.y, 1e-6), 0.0, 1.0);
    if (colouring == 1) colour = palette(sqrt(nearness));
    else if (colouring == 3) colour = palette(texelFetch(sure, at, 0).r);
    else if (colouring == 2) colour = palette(clamp(0.5 + 1.5 * world.y / max(range.y, 1e-6), 0.0, 1.0));
    else colour = texture(picture, (vec2(at) + 0.5) / vec2(size)).rgb;
}`;

const POINT_VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec3 place;
layout(location = 1) in vec3 tint;
uniform mat4 camera;
uniform vec2 range;
uniform vec3 spot; // size of a point, pixels of a unit at distance 1, units between two points
uniform int colouring;
out vec3 colour;
${PALETTE_GLSL}

void main() {
    gl_Position = camera * vec4(place.xy, -place.z, 1.0);
    gl_PointSize = clamp(1.4 * spot.x * spot.y * spot.z / gl_Position.w, 1.0, 64.0);
    float nearness = clamp((1.0 / place.z - 1.0 / range.y) / max(1.0 / range.x - 1.0 / range.y, 1e-6), 0.0, 1.0);
    if (colouring == 1) colour = palette(sqrt(nearness));
    else if (colouring == 2) colour = palette(clamp(0.5 + 1.5 * place.y / max(range.y, 1e-6), 0.0, 1.0));
    else colour = tint;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 colour;
out vec4 shown;
void main() {
    shown = vec4(colour, 1.0);
}`;

function compile(gl, type, text) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    return shader;
}

// A program and its uniforms by name.
function link(gl, vertex) {
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, vertex));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    const at = {};
    for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
        const { name } = gl.getActiveUniform(program, i);
        at[name] = gl.getUniformLocation(program, name);
    }
    return { program, at, array: gl.createVertexArray() };
}

function texture(gl, filter) {
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, filter);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    return made;
}

export class GlCloud {
    #gl;
    #depths; // programs, with their uniforms: of depth, of points
    #points;
    #depth; // two textures, the newest first
    #unpacking = [0, 0, 0, 0];
    #picture;
    #pictureSize = '';
    #sure; // confidence
    #places; // buffers of points, and for how many
    #tints;
    #room = 0;
    #map = null;

    constructor(canvas) {
        const gl = canvas.getContext('webgl2', { antialias: false, powerPreference: 'high-performance' });
        if (!gl) throw new Error('This browser has no WebGL 2');
        this.#gl = gl;
        this.#depths = link(gl, DEPTH_VERTEX);
        this.#points = link(gl, POINT_VERTEX);
        gl.enable(gl.DEPTH_TEST);
        gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
        this.#depth = [texture(gl, gl.NEAREST), texture(gl, gl.NEAREST)];
        this.#picture = texture(gl, gl.LINEAR);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([200, 210, 205, 255]));
        this.#sure = texture(gl, gl.NEAREST);
        gl.useProgram(this.#depths.program);
        for (const [unit, name] of ['now', 'before', 'picture', 'sure'].entries()) gl.uniform1i(this.#depths.at[name], unit);
        this.#places = gl.createBuffer();
        this.#tints = gl.createBuffer();
    }

    get map() {
        return this.#map;
    }

    // What is shown from now on: a depth map (space-depth.js) or points (space-points.js).
    take(map) {
        if (map.places) this.#takePoints(map);
        else this.#takeDepth(map);
    }

    #takePoints({ points, places, tints, near, far, spacing }) {
        const gl = this.#gl;
        if (points > this.#room) this.#enlarge(Math.ceil(1.25 * points));
        for (const [buffer, bytes] of [[this.#places, places], [this.#tints, tints]]) {
            gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
            gl.bufferSubData(gl.ARRAY_BUFFER, 0, bytes);
        }
        this.#map = { points, near, far, spacing };
    }

    #enlarge(room) {
        const gl = this.#gl;
        this.#room = room;
        gl.bindVertexArray(this.#points.array);
        for (const [index, buffer, type, bytes] of [[0, this.#places, gl.FLOAT, 12], [1, this.#tints, gl.UNSIGNED_BYTE, 3]]) {
            gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
            gl.bufferData(gl.ARRAY_BUFFER, bytes * room, gl.DYNAMIC_DRAW);
            gl.enableVertexAttribArray(index);
            gl.vertexAttribPointer(index, 3, type, true, 0, 0);
        }
    }

    // The map that was newest becomes the one before.
    #takeDepth(map) {
        const gl = this.#gl;
        const same = this.#map?.width === map.width && this.#map?.height === map.height;
        if (!same) this.#allocate(map.width, map.height);
        this.#depth.reverse();
        gl.bindTexture(gl.TEXTURE_2D, this.#depth[0]);
        gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, map.width, map.height, gl.RED_INTEGER, gl.UNSIGNED_SHORT, map.values);
        this.#unpacking = [map.scale, map.bias, this.#unpacking[0], this.#unpacking[1]];
        if (map.picture) this.#show(map.picture);
        const { width, height, lens, near, far, confidence } = map;
        if (confidence) {
            gl.bindTexture(gl.TEXTURE_2D, this.#sure);
            gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RED, gl.UNSIGNED_BYTE, confidence.values);
        }
        this.#map = { width, height, lens, near, far };
    }

    #allocate(width, height) {
        const gl = this.#gl;
        for (const depth of this.#depth) {
            gl.bindTexture(gl.TEXTURE_2D, depth);
            gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, width, height, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, null);
        }
        gl.bindTexture(gl.TEXTURE_2D, this.#sure);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, width, height, 0, gl.RED, gl.UNSIGNED_BYTE, null);
    }

    #show(picture) {
        const gl = this.#gl;
        const size = `${picture.width}x${picture.height}`;
        gl.bindTexture(gl.TEXTURE_2D, this.#picture);
        if (size === this.#pictureSize) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, gl.RGBA, gl.UNSIGNED_BYTE, picture);
        else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, picture);
        this.#pictureSize = size;
    }

    clear(red, green, blue) {
        const gl = this.#gl;
        gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
        gl.clearColor(red, green, blue, 1);
        gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    }

    // camera: column-major 4x4; box: x, y, width, height of the viewport; unit: pixels of 1 at distance 1.
    draw(camera, box, looks) {
        const gl = this.#gl;
        if (!this.#map) return;
        const { program, at, array } = this.#map.width ? this.#depths : this.#points;
        gl.useProgram(program);
        gl.bindVertexArray(array);
        gl.viewport(...box);
        gl.uniformMatrix4fv(at.camera, false, camera);
        gl.uniform2f(at.range, this.#map.near, this.#map.far);
        gl.uniform1i(at.colouring, looks.colouring);
        if (this.#map.width) this.#drawDepth(at, looks);
        else this.#drawPoints(at, looks);
    }

    #drawPoints(at, { unit, size }) {
        const gl = this.#gl;
        gl.uniform3f(at.spot, size, unit, this.#map.spacing);
        gl.drawArrays(gl.POINTS, 0, this.#map.points);
    }

    #drawDepth(at, { unit, size, blend }) {
        const gl = this.#gl;
        const { lens, width, height } = this.#map;
        gl.uniform4fv(at.lens, lens);
        gl.uniform4fv(at.unpacking, this.#unpacking);
        gl.uniform2f(at.spot, size, unit);
        gl.uniform1f(at.blend, blend);
        gl.uniform1i(at.width, width);
        gl.uniform2i(at.size, width, height);
        for (const [slot, bound] of [...this.#depth, this.#picture, this.#sure].entries()) {
            gl.activeTexture(gl.TEXTURE0 + slot);
            gl.bindTexture(gl.TEXTURE_2D, bound);
        }
        gl.drawArrays(gl.POINTS, 0, width * height);
    }

    // What was drawn is shown when this turn ends.
    show() {}

    // Waits until all is drawn.
    finish() {
        const gl = this.#gl;
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    }

    close() {
        this.#gl.getExtension('WEBGL_lose_context')?.loseContext();
    }
}
