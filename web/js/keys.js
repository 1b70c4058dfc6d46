// SPDX-License-Identifier: MIT
// Single-key shortcuts and the sheet that lists them, both from one table.

import { $, el, recall, remember } from './ui.js';

const TYPING = 'input:not([type=range]):not([type=checkbox]):not([type=radio]):not([type=color]), '
    + 'textarea, select';

// actions: [{ key, words, run }]; key is what KeyboardEvent.key says, in either case.
export function installKeys(actions) {
    const sheet = $('#sheet');
    const enabled = $('#keys-enabled');
    const all = [...actions, { key: '?', words: 'This sheet', run: () => sheet.showModal() }];
    $('#sheet-list').append(...all.flatMap(({ key, words }) => [
        el('dt', {}, el('kbd', {}, key.length === 1 ? key.toUpperCase() : key)),
        el('dd', {}, words),
    ]));
    enabled.checked = recall('keys', 'on') === 'on';
    enabled.addEventListener('change', () => remember('keys', enabled.checked ? 'on' : 'off'));
    $('#help').addEventListener('click', () => sheet.showModal());

    addEventListener('keydown', (event) => {
        if (!enabled.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        if (event.target.closest?.(TYPING) || $('dialog[open]')) return;
        const action = all.find(({ key }) => key.toLowerCase() === event.key.toLowerCase());
        if (!action) return;
        event.preventDefault();
        action.run();
    });
}
