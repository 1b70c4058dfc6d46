// SPDX-License-Identifier: MIT
// Small live charts: a ring of recent values and a canvas that draws some of them as lines.

export class Series {
    #values = [];
    #limit;

    constructor(limit) {
        this.#limit = limit;
    }

    push(value) {
        this.#values.push(value);
        if (this.#values.length > this.#limit) this.#values.shift();
    }

    values() {
        return this.#values;
    }

    get limit() {
        return this.#limit;
    }
}

// Colours come from the style sheet, so a chart follows the theme.
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The next round number above: 1, 2 or 5 times a power of ten.
function roundUp(value) {
    const ten = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
    return ten * ([1, 2, 5, 10].find((n) => n * ten >= value) ?? 10);
}

export class Chart {
    #canvas;
    #lines;
    #width = 0;
    #height = 0;

    // lines: [{ series, color: '--accent', area: true }], the first one drawn last, on top.
    constructor(canvas, lines) {
        this.#canvas = canvas;
        this.#lines = lines;
        new ResizeObserver(([entry]) => {
            this.#width = entry.contentRect.width;
            this.#height = entry.contentRect.height;
            this.draw();
        }).observe(canvas);
    }

    draw() {
        const { clientWidth } = this.#canvas;
        if (clientWidth === 0 || this.#width === 0) return; // folded away
        const scale = devicePixelRatio || 1;
        const context = this.#canvas.getContext('2d');
        this.#canvas.width = Math.round(this.#width * scale);
        this.#canvas.height = Math.round(this.#height * scale);
        context.scale(scale, scale);
        const all = this.#lines.flatMap(({ series }) => series.values()).filter(Number.isFinite);
        const top = roundUp(Math.max(...all, 1e-3) * 1.02);
        this.#rule(context);
        for (const line of [...this.#lines].reverse()) this.#line(context, line, top);
    }

    #rule(context) {
        context.strokeStyle = ink('--line');
        context.lineWidth = 1;
        context.beginPath();
        for (const y of [0.5, this.#height / 2, this.#height - 0.5]) {
            context.moveTo(0, Math.round(y) + 0.5);
            context.lineTo(this.#width, Math.round(y) + 0.5);
        }
        context.stroke();
    }

    #line(context, { series, color, area }, top) {
        const values = series.values();
        const step = this.#width / (series.limit - 1);
        const first = series.limit - values.length;
        const at = (v, i) => [(first + i) * step, this.#height - 1.5 - (v / top) * (this.#height - 3)];
        const path = new Path2D();
        let drawn = 0;
        values.forEach((value, i) => {
            if (!Number.isFinite(value)) return;
            path.lineTo(...at(value, i));
            drawn++;
        });
        if (drawn === 0) return;
        context.strokeStyle = ink(color);
        context.lineWidth = 1.5;
        context.lineJoin = 'round';
        context.stroke(path);
        if (!area) return;
        path.lineTo(this.#width, this.#height);
        path.lineTo(first * step, this.#height);
        context.globalAlpha = 0.12;
        context.fillStyle = ink(color);
        context.fill(path);
        context.globalAlpha = 1;
    }
}
