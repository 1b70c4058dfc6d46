// SPDX-License-Identifier: MIT
// Draws a depth map as points: one vertex a pixel without any vertex buffer, made in the shader from
// two depth textures (this map and the one before) and a picture. Nothing is created per frame.

const VERTEX = `#version 300 es
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

// From deep violet over teal to warm white; lightness rises all the way.
vec3 palette(float t) {
    vec3 low = mix(vec3(0.16, 0.07, 0.32), vec3(0.10, 0.45, 0.56), clamp(t * 2.5, 0.0, 1.0));
    vec3 high = mix(vec3(0.37, 0.91, 0.64), vec3(1.0, 0.95, 0.80), clamp(t * 2.5 - 1.5, 0.0, 1.0));
    return mix(low, high, smoothstep(0.3, 0.75, t));
}

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

function texture(gl, filter) {
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, filter);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    return made;
}

export class Cloud {
    #gl;
    #at = {}; // uniforms by name
    #depth; // two textures, the newest first
    #unpacking = [0, 0, 0, 0];
    #picture;
    #pictureSize = '';
    #sure; // confidence
    #map = null;

    constructor(canvas) {
        const gl = canvas.getContext('webgl2', { antialias: false, powerPreference: 'high-performance' });
        if (!gl) throw new Error('This browser has no WebGL 2');
        this.#gl = gl;
        const program = gl.createProgram();
        gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
        gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
        gl.linkProgram(program);
        if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
        gl.useProgram(program);
        for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
            const { name } = gl.getActiveUniform(program, i);
            this.#at[name] = gl.getUniformLocation(program, name);
        }
        gl.bindVertexArray(gl.createVertexArray());
        gl.enable(gl.DEPTH_TEST);
        gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
        this.#depth = [texture(gl, gl.NEAREST), texture(gl, gl.NEAREST)];
        this.#picture = texture(gl, gl.LINEAR);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([200, 210, 205, 255]));
        this.#sure = texture(gl, gl.NEAREST);
        for (const [unit, name] of ['now', 'before', 'picture', 'sure'].entries()) gl.uniform1i(this.#at[name], unit);
    }

    get map() {
        return this.#map;
    }

    // A new map: the one that was newest becomes the one before.
    take(map) {
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
    draw(camera, box, { unit, size, colouring, blend }) {
        const gl = this.#gl;
        const map = this.#map;
        if (!map) return;
        gl.viewport(...box);
        gl.uniformMatrix4fv(this.#at.camera, false, camera);
        gl.uniform4fv(this.#at.lens, map.lens);
        gl.uniform4fv(this.#at.unpacking, this.#unpacking);
        gl.uniform2f(this.#at.range, map.near, map.far);
        gl.uniform2f(this.#at.spot, size, unit);
        gl.uniform1f(this.#at.blend, blend);
        gl.uniform1i(this.#at.width, map.width);
        gl.uniform1i(this.#at.colouring, colouring);
        gl.uniform2i(this.#at.size, map.width, map.height);
        for (const [slot, bound] of [...this.#depth, this.#picture, this.#sure].entries()) {
            gl.activeTexture(gl.TEXTURE0 + slot);
            gl.bindTexture(gl.TEXTURE_2D, bound);
        }
        gl.drawArrays(gl.POINTS, 0, map.width * map.height);
    }
}
