// SPDX-License-Identifier: MIT
// Where the boxes and links of a graph go. Time runs to the right: a node's column is its longest
// way from a source. A lane is a band around its nodes; lanes that share columns are put in
// different rows, so a straight pipeline is one row and branches open downwards.

export const BOX = { width: 132, height: 62 };
const GAP = { x: 26, queue: 58, y: 14, row: 22 };
const LEVEL = 36; // of a link that turns: room for its queue
const PAD = { x: 11, top: 24, bottom: 11 }; // of a band around its boxes
const MARGIN = 6;

const nodeOf = (port) => port.split('.')[0];

// room: { nodes: [{ name, lane }], links: [{ from, to }], lanes: [{ name }] } →
// { width, height, boxes: Map(name → {x, y}), bands: [{ lane, x, y, width, height }],
//   curves: [{ d, x, y }] }, one curve a link in the same order, x and y its middle.
export function layout({ nodes, links, lanes }) {
    const columns = columnsOf(nodes, links);
    const rows = rowsOf(nodes, columns, lanes.length);
    const boxes = place(nodes, links, columns, rows);
    const bands = lanes.map((lane, i) => bandOf(i, nodes, boxes)).filter(Boolean);
    const all = bands.length ? bands : [{ x: 0, y: 0, width: 0, height: 0 }];
    return {
        boxes,
        bands,
        curves: links.map((link) => curveOf(link, links, boxes)),
        width: Math.max(...all.map((b) => b.x + b.width)) + MARGIN,
        height: Math.max(...all.map((b) => b.y + b.height)) + MARGIN,
    };
}

function columnsOf(nodes, links) {
    const column = new Map(nodes.map((node) => [node.name, 0]));
    // A graph has no cycles, so one pass per node reaches the longest path.
    for (let pass = 0; pass < nodes.length; pass++) {
        let moved = false;
        for (const link of links) {
            const at = column.get(nodeOf(link.from)) + 1;
            if (!(at > column.get(nodeOf(link.to)))) continue;
            column.set(nodeOf(link.to), at);
            moved = true;
        }
        if (!moved) break;
    }
    return column;
}

// Lane → { row, within: Map(name → place below its lane's other nodes of that column) }
function rowsOf(nodes, columns, laneCount) {
    const taken = []; // per row: the columns in use
    const rows = [];
    for (let lane = 0; lane < laneCount; lane++) {
        const own = nodes.filter((node) => node.lane === lane);
        const used = own.map((node) => columns.get(node.name));
        const span = [];
        for (let c = Math.min(...used); c <= Math.max(...used); c++) span.push(c);
        let row = taken.findIndex((columnsInUse) => !span.some((c) => columnsInUse.has(c)));
        if (row < 0) row = taken.push(new Set()) - 1;
        for (const c of span) taken[row].add(c);
        const depth = new Map();
        const within = new Map(own.map((node) => {
            const c = columns.get(node.name);
            depth.set(c, (depth.get(c) ?? -1) + 1);
            return [node.name, depth.get(c)];
        }));
        rows.push({ row, within, height: Math.max(1, ...[...depth.values()].map((d) => d + 1)) });
    }
    return rows;
}

function place(nodes, links, columns, rows) {
    const xOf = columnPositions(links, columns);
    const rowCount = Math.max(0, ...rows.map((r) => r.row + 1));
    const top = [];
    let y = MARGIN;
    for (let row = 0; row < rowCount; row++) {
        top.push(y + PAD.top);
        const tallest = Math.max(...rows.filter((r) => r.row === row).map((r) => r.height));
        y += PAD.top + tallest * (BOX.height + GAP.y) - GAP.y + PAD.bottom + GAP.row;
    }
    return new Map(nodes.map((node) => {
        const { row, within } = rows[node.lane];
        return [node.name, {
            x: xOf[columns.get(node.name)],
            y: top[row] + within.get(node.name) * (BOX.height + GAP.y),
        }];
    }));
}

// A queue is drawn in the gap before the column that it feeds, or after the one that it comes from.
function columnPositions(links, columns) {
    const count = Math.max(0, ...columns.values()) + 1;
    const wide = new Set(links.filter((link) => link.queue).flatMap((link) =>
        [columns.get(nodeOf(link.to)), columns.get(nodeOf(link.from)) + 1]));
    const positions = [];
    let x = MARGIN + PAD.x;
    for (let c = 0; c < count; c++) {
        if (c > 0) x += BOX.width + (wide.has(c) ? GAP.queue : GAP.x);
        positions.push(x);
    }
    return positions;
}

function bandOf(lane, nodes, boxes) {
    const own = nodes.filter((node) => node.lane === lane).map((node) => boxes.get(node.name));
    if (own.length === 0) return null;
    const left = Math.min(...own.map((b) => b.x)) - PAD.x;
    const top = Math.min(...own.map((b) => b.y)) - PAD.top;
    const right = Math.max(...own.map((b) => b.x)) + BOX.width + PAD.x;
    const bottom = Math.max(...own.map((b) => b.y)) + BOX.height + PAD.bottom;
    return { lane, x: left, y: top, width: right - left, height: bottom - top };
}

// A link runs level in its source's row, which is clear, and turns in the gap before its target;
// only between neighbours may it turn first. So queues that leave or reach one box together do not
// cover each other. Where several links arrive, each has its own height at the box's left side.
function curveOf(link, links, boxes) {
    const from = boxes.get(nodeOf(link.from));
    const to = boxes.get(nodeOf(link.to));
    if (!from || !to) return { d: '', x: 0, y: 0 };
    const arriving = links
        .filter((other) => nodeOf(other.to) === nodeOf(link.to))
        .sort((a, b) => (boxes.get(nodeOf(a.from))?.y ?? 0) - (boxes.get(nodeOf(b.from))?.y ?? 0));
    const x1 = from.x + BOX.width;
    const y1 = from.y + BOX.height / 2;
    const x2 = to.x;
    const y2 = to.y + (BOX.height * (arriving.indexOf(link) + 1)) / (arriving.length + 1);
    const straight = y1 === y2;
    const level = link.queue && !straight ? LEVEL : 0;
    const early = level > 0 && arriving.length === 1 && x2 - x1 <= GAP.queue;
    const start = early ? x1 : Math.max(x1 + level, x2 - GAP.x);
    const end = early ? x2 - level : x2;
    const bend = (end - start) * 0.6;
    const queueX = early ? x2 - GAP.queue / 2 : x1 + LEVEL / 2;
    return {
        d: `M${x1} ${y1}H${start}C${start + bend} ${y1} ${end - bend} ${y2} ${end} ${y2}H${x2}`,
        x: straight ? (x1 + x2) / 2 : queueX,
        y: early ? y2 : y1,
    };
}
