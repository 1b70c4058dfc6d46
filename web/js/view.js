// SPDX-License-Identifier: MIT
// How the page is arranged: stage mode, panels that fold away and stay so, light and dark.

import { $, recall, remember } from './ui.js';

const CURSOR_REST_MS = 2000;
const THEMES = ['auto', 'dark', 'light'];

// --- stage: nothing but the picture, on the whole screen where the browser allows that
const stage = $('#stage');
let resting = 0;

export async function toggleStage() {
    const on = !document.body.classList.contains('staged');
    document.body.classList.toggle('staged', on);
    if (on) await stage.requestFullscreen?.().catch(() => {}); // the class alone fills the window
    else if (document.fullscreenElement) await document.exitFullscreen();
    rest();
}

export function leaveStage() {
    if (document.body.classList.contains('staged')) toggleStage();
}

function rest() {
    stage.classList.remove('resting');
    clearTimeout(resting);
    resting = setTimeout(() => stage.classList.add('resting'), CURSOR_REST_MS);
}

// --- panels
export function togglePanels() {
    const hidden = document.body.classList.toggle('bare');
    remember('panels', hidden ? 'hidden' : 'shown');
    $('#panels').setAttribute('aria-pressed', String(!hidden));
}

export function openPanel(id) {
    if (document.body.classList.contains('bare')) togglePanels();
    $(id).open = true;
}

function keepFolds() {
    for (const panel of document.querySelectorAll('details.panel')) {
        const kept = recall(`panel.${panel.id}`, null);
        if (kept !== null) panel.open = kept === 'open';
        panel.addEventListener('toggle', () => {
            remember(`panel.${panel.id}`, panel.open ? 'open' : 'closed');
        });
    }
}

// --- theme: js/theme.js applies what is remembered here
const themeChoice = () => recall('theme', 'auto');

export function nextTheme() {
    const next = THEMES[(THEMES.indexOf(themeChoice()) + 1) % THEMES.length];
    remember('theme', next === 'auto' ? null : next);
    dispatchEvent(new Event('themechange'));
    nameTheme();
}

function nameTheme() {
    $('#theme').setAttribute('aria-label', `Theme: ${themeChoice()}`);
    $('#theme').title = `Theme: ${themeChoice()} (T)`;
}

export function installView() {
    keepFolds();
    nameTheme();
    if (recall('panels', 'shown') === 'hidden') togglePanels();
    $('#theme').addEventListener('click', nextTheme);
    $('#panels').addEventListener('click', togglePanels);
    $('#stage-button').addEventListener('click', toggleStage);
    stage.addEventListener('dblclick', toggleStage);
    stage.addEventListener('pointermove', rest);
    document.addEventListener('fullscreenchange', () => {
        if (!document.fullscreenElement) document.body.classList.remove('staged');
    });
}
