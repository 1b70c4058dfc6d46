// SPDX-License-Identifier: MIT
// Points as files that other programs open: right-handed, x right, y up, z backward. The same two
// formats as src/image/cloud_file.h.

// One point for each value that is there: [x, y, z] in `xyz`, sRGB bytes in `rgb`.
export function pointsOf(map, pixels) {
    const { width, height, values, lens: [fx, fy, cx, cy], scale, bias } = map;
    const xyz = new Float32Array(3 * map.points);
    const rgb = new Uint8Array(3 * map.points).fill(200);
    let n = 0;
    for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
            if (!values[at]) continue;
            const z = values[at] * scale + bias;
            xyz.set([((x + 0.5 - cx) * z) / fx, (-(y + 0.5 - cy) * z) / fy, -z], 3 * n);
            if (pixels) rgb.set(pixels.subarray(4 * at, 4 * at + 3), 3 * n);
            n++;
        }
    }
    return { count: n, xyz, rgb };
}

// Of points that came as such (space-points.js): there z is forward.
// Those that are not finite are left out.
export function pointsGiven({ points, places, tints }) {
    const xyz = new Float32Array(places.slice().buffer);
    const rgb = tints.slice();
    let n = 0;
    for (let i = 0; i < points; i++) {
        const [x, y, z] = xyz.subarray(3 * i, 3 * i + 3);
        if (!(Number.isFinite(x) && Number.isFinite(y) && Number.isFinite(z))) continue;
        xyz.set([x, y, -z], 3 * n);
        rgb.set(rgb.subarray(3 * i, 3 * i + 3), 3 * n);
        n++;
    }
    return { count: n, xyz: xyz.subarray(0, 3 * n), rgb: rgb.subarray(0, 3 * n) };
}

export function ply({ count, xyz, rgb }) {
    const head = new TextEncoder().encode(`ply
format binary_little_endian 1.0
comment phosphene
element vertex ${count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
`);
    const body = new DataView(new ArrayBuffer(15 * count));
    for (let i = 0; i < count; i++) {
        for (let k = 0; k < 3; k++) {
            body.setFloat32(15 * i + 4 * k, xyz[3 * i + k], true);
            body.setUint8(15 * i + 12 + k, rgb[3 * i + k]);
        }
    }
    return new Blob([head, body], { type: 'application/octet-stream' });
}

// glTF's colours of vertices are linear.
const LINEAR = Uint16Array.from({ length: 256 }, (_, i) => {
    const v = i / 255;
    return Math.round(65535 * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
});

function describe(count, xyz) {
    const asset = { version: '2.0', generator: 'phosphene' };
    if (!count) return { asset, scene: 0, scenes: [{}] };
    const [min, max] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
    for (let i = 0; i < 3 * count; i++) {
        min[i % 3] = Math.min(min[i % 3], xyz[i]);
        max[i % 3] = Math.max(max[i % 3], xyz[i]);
    }
    const target = 34962;
    return {
        asset, extensionsUsed: ['KHR_materials_unlit'], scene: 0, scenes: [{ nodes: [0] }],
        nodes: [{ mesh: 0, name: 'cloud' }],
        meshes: [{ primitives: [{ mode: 0, material: 0, attributes: { POSITION: 0, COLOR_0: 1 } }] }],
        materials: [{ extensions: { KHR_materials_unlit: {} } }],
        buffers: [{ byteLength: 20 * count }],
        bufferViews: [
            { buffer: 0, byteOffset: 0, byteLength: 12 * count, target },
            { buffer: 0, byteOffset: 12 * count, byteLength: 8 * count, byteStride: 8, target },
        ],
        accessors: [
            { bufferView: 0, componentType: 5126, count, type: 'VEC3', min, max },
            { bufferView: 1, componentType: 5123, normalized: true, count, type: 'VEC3' },
        ],
    };
}

const chunk = (bytes, type) => [new Uint32Array([bytes]), new TextEncoder().encode(type)];

export function glb({ count, xyz, rgb }) {
    const text = new TextEncoder().encode(JSON.stringify(describe(count, xyz)));
    const spaces = new Uint8Array((4 - (text.length % 4)) % 4).fill(0x20);
    const colours = new Uint16Array(4 * count);
    for (let i = 0; i < count; i++) for (let k = 0; k < 3; k++) colours[4 * i + k] = LINEAR[rgb[3 * i + k]];
    const json = text.length + spaces.length;
    const total = 20 + json + (count ? 8 + 20 * count : 0);
    return new Blob([
        new TextEncoder().encode('glTF'), new Uint32Array([2, total]), ...chunk(json, 'JSON'), text, spaces,
        ...(count ? [...chunk(20 * count, 'BIN\0'), xyz, colours] : []),
    ], { type: 'model/gltf-binary' });
}
