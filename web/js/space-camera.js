// SPDX-License-Identifier: MIT
// Where the viewer stands: turns round a point, flies, pinches. World: x right, y up, the camera that
// took the pictures at the origin, looking along -z.

const FOV = (50 * Math.PI) / 180; // vertical
const FLY_KEYS = { w: [0, 0, -1], s: [0, 0, 1], a: [-1, 0, 0], d: [1, 0, 0], q: [0, -1, 0], e: [0, 1, 0] };
const LEAST_ASPECT = 1.1;
const LIMIT = 1.5; // of looking up and down, radians
const EASE_S = 0.08;

export class Camera {
    #canvas;
    #pointers = new Map();
    #keys = new Set();
    #goal; // where it goes; #pose follows
    #pose;
    distance = 4; // of the middle that it turns round, as the map has it
    drift = false;

    constructor(canvas) {
        this.#canvas = canvas;
        this.home();
        canvas.addEventListener('pointerdown', (event) => this.#down(event));
        canvas.addEventListener('pointermove', (event) => this.#move(event));
        for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
        canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
        canvas.addEventListener('contextmenu', (event) => event.preventDefault());
        canvas.addEventListener('keydown', (event) => this.#keys.add(event.key.toLowerCase()));
        canvas.addEventListener('keyup', (event) => this.#keys.delete(event.key.toLowerCase()));
        canvas.addEventListener('blur', () => this.#keys.clear());
    }

    // Where the pictures were taken from, a step back.
    home() {
        this.#goal = { yaw: 0, pitch: 0, back: this.distance * 1.05, middle: [0, 0, -this.distance] };
        this.#pose ??= { ...this.#goal, middle: [...this.#goal.middle] };
    }

    #down(event) {
        this.#canvas.setPointerCapture(event.pointerId);
        this.#pointers.set(event.pointerId, event);
    }

    #move(event) {
        const last = this.#pointers.get(event.pointerId);
        if (!last) return;
        const dx = event.clientX - last.clientX;
        const dy = event.clientY - last.clientY;
        if (this.#pointers.size > 1) this.#pinch(event, last, dx, dy);
        else if (event.buttons & 2 || event.shiftKey) this.#shift(dx, dy);
        else this.#turn(dx, dy);
        this.#pointers.set(event.pointerId, event);
    }

    #turn(dx, dy) {
        const unit = 3.5 / this.#canvas.clientHeight;
        this.#goal.yaw -= dx * unit;
        this.#goal.pitch = Math.max(-LIMIT, Math.min(LIMIT, this.#goal.pitch - dy * unit));
    }

    #shift(dx, dy) {
        const unit = (2 * Math.tan(FOV / 2) * this.#goal.back) / this.#canvas.clientHeight;
        this.#travel([-dx * unit, dy * unit, 0]);
    }

    #pinch(event, last, dx, dy) {
        const other = [...this.#pointers.values()].find((p) => p.pointerId !== event.pointerId);
        const span = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
        this.#nearer(span(last) / Math.max(1, span(event)));
        this.#shift(dx / 2, dy / 2);
    }

    #wheel(event) {
        event.preventDefault();
        this.#nearer(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 400))));
    }

    #nearer(factor) {
        this.#goal.back = Math.max(0.02 * this.distance, Math.min(20 * this.distance, this.#goal.back * factor));
    }

    // Moves the middle by a vector of the viewer's axes.
    #travel(by) {
        const axes = this.#axes(this.#goal);
        for (let i = 0; i < 3; i++) this.#goal.middle[i] += axes[0][i] * by[0] + axes[1][i] * by[1] + axes[2][i] * by[2];
    }

    // Right, up, back.
    #axes({ yaw, pitch }) {
        const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
        return [[cy, 0, -sy], [sy * sp, cp, cy * sp], [sy * cp, -sp, cy * cp]];
    }

    step(seconds, time) {
        const speed = this.distance * seconds * (this.#keys.has('shift') ? 1.5 : 0.5);
        for (const key of this.#keys) if (FLY_KEYS[key]) this.#travel(FLY_KEYS[key].map((v) => v * speed));
        const part = 1 - Math.exp(-seconds / EASE_S);
        const [goal, pose] = [this.#goal, this.#pose];
        for (const key of ['yaw', 'pitch', 'back']) pose[key] += (goal[key] - pose[key]) * part;
        for (let i = 0; i < 3; i++) pose.middle[i] += (goal.middle[i] - pose.middle[i]) * part;
        this.swing = this.drift ? { yaw: 0.35 * Math.sin(time * 0.4), pitch: 0.12 * Math.sin(time * 0.31) } : { yaw: 0, pitch: 0 };
    }

    // Column-major projection times view; eye: -1 left … 1 right, 0 the middle.
    matrix(aspect, eye) {
        const pose = { ...this.#pose, yaw: this.#pose.yaw + this.swing.yaw, pitch: this.#pose.pitch + this.swing.pitch };
        const axes = this.#axes(pose);
        const apart = eye * pose.back * 0.015;
        const at = [0, 1, 2].map((i) => pose.middle[i] + axes[2][i] * pose.back + axes[0][i] * apart);
        const focal = this.#focal(eye ? LEAST_ASPECT : aspect);
        const [near, far] = [0.01 * this.distance, 100 * this.distance];
        const depth = (far + near) / (near - far);
        const shear = (apart / pose.back) * (focal / aspect); // both eyes look at one plane
        const out = new Float32Array(16);
        for (let column = 0; column < 4; column++) {
            const v = axes.map((axis) => (column < 3 ? axis[column] : -(axis[0] * at[0] + axis[1] * at[1] + axis[2] * at[2])));
            out[4 * column] = (focal / aspect) * v[0] - shear * v[2];
            out[4 * column + 1] = focal * v[1];
            out[4 * column + 2] = depth * v[2] + (column === 3 ? (2 * far * near) / (near - far) : 0);
            out[4 * column + 3] = -v[2];
        }
        return out;
    }

    // Pixels of a length of 1 at a distance of 1, in a viewport of that height and aspect.
    unit(height, aspect = LEAST_ASPECT) {
        return (height / 2) * this.#focal(aspect);
    }

    // What is taller than wide shows more above and below, so that as much is seen from side to side.
    #focal(aspect) {
        return Math.min(1, aspect / LEAST_ASPECT) / Math.tan(FOV / 2);
    }
}
