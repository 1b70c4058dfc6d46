// SPDX-License-Identifier: MIT
// Where the cameras of a fuse node stand: the server finds a checkerboard in what each of the live
// nodes shows, and sets the poses. Views are the live nodes that pictures come to, in their order.

import { call, roomPath, takeToken } from './api.js';
import { showCodes } from './codes.js';
import { $, attempt, el, say } from './ui.js';

const PROGRESS_MS = 200;

let room = '';

const number = (id) => Number($(id).value);

// Live nodes that a link brings pictures to: what feeds them is no encoder and no points.
async function views() {
    const [{ nodes, links }, types] = await Promise.all([call('GET', roomPath(room)), call('GET', '/api/v1/nodes')]);
    const shows = (link) => {
        const [name, port] = link.from.split('.');
        const type = types.find((t) => t.name === nodes.find((node) => node.name === name)?.type);
        return type?.out.find((out) => out.name === port)?.kinds.includes('picture');
    };
    const live = nodes.filter(({ name, type }) => type === 'live'
        && links.some((link) => link.to.split('.')[0] === name && shows(link)));
    const fuse = nodes.find(({ type }) => type === 'fuse');
    if (!fuse) throw new Error('This room has no fuse node');
    if (!live.length) throw new Error('No live node shows a picture: link each camera to one, as in camera -> eye1: live');
    return { node: fuse.name, views: live.map(({ name }) => name) };
}

function list(rows) {
    $('#found').replaceChildren(...rows.map((row) => el('tr', {}, ...row.map((text) => el('td', {}, text)))));
}

// How far it is, until it is done.
async function follow(done) {
    while (!done()) {
        await new Promise((soon) => setTimeout(soon, PROGRESS_MS));
        const { running, views: eyes } = await call('GET', roomPath(room, '/calibrate'));
        if (running && !done()) list(eyes.map(({ view, state }) => [view, state]));
    }
}

async function find() {
    let over = false;
    say($('#find'), 'Looking');
    $('#find').disabled = true;
    try {
        follow(() => over).catch(() => {}); // the answer itself says what is wrong
        const found = await call('POST', roomPath(room, '/calibrate'), {
            ...await views(), columns: number('#columns'), rows: number('#rows'),
            squareMm: number('#square'), fov: number('#fov'),
        });
        over = true;
        list(found.views.map((view) => [view.view, view.found ? 'found' : `not found, ${view.corners} corners`,
            view.errorPx === null ? '–' : `${view.errorPx.toFixed(2)} px`, view.pose ?? '–']));
    } finally {
        over = true;
        $('#find').disabled = false;
        say($('#find'), 'Find the board');
    }
}

// As large as whole pixels allow; a tap puts it away.
function show() {
    const board = $('#board');
    board.hidden = false;
    board.width = innerWidth * devicePixelRatio;
    board.height = innerHeight * devicePixelRatio;
    const context = board.getContext('2d');
    const [across, down] = [number('#columns') + 1, number('#rows') + 1];
    const side = Math.floor(Math.min(board.width / (across + 1), board.height / (down + 1)));
    const [left, top] = [(board.width - across * side) >> 1, (board.height - down * side) >> 1];
    context.fillStyle = '#fff';
    context.fillRect(0, 0, board.width, board.height);
    context.fillStyle = '#000';
    for (let y = 0; y < down; y++) {
        for (let x = 0; x < across; x++) {
            if ((x + y) % 2 === 0) context.fillRect(left + x * side, top + y * side, side, side);
        }
    }
}

async function begin() {
    takeToken();
    room = new URLSearchParams(location.search).get('room') ?? (await call('GET', '/api/v1/rooms')).rooms[0]?.name ?? '';
    say($('#phone-word'), await showCodes($('#codes'), room) ?? 'Scan it with the phone; its browser asks once whether to trust this server.');
}

$('#find').addEventListener('click', () => attempt(find));
$('#show').addEventListener('click', show);
$('#board').addEventListener('click', () => { $('#board').hidden = true; });
attempt(begin);
