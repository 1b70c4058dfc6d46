// SPDX-License-Identifier: MIT
// What this page has set: sends values at a bounded rate (the newest wins), follows each to its
// acknowledgement, and remembers them so that a restarted server gets them back.

import { Lost } from './connection.js';

const SEND_EVERY_MS = 34; // about 30 messages a second

export class Values extends EventTarget {
    #connection;
    #queued = new Map(); // node → Map(param → value): not sent yet
    #flying = new Map(); // "node.param" → how many sends await their answer
    #own = new Map(); // node → Map(param → { value, frame }): accepted by the server
    #timer = 0;
    #life = 0; // how often all was forgotten: what was sent before that is never sent again

    // Event: status { node, param, state: 'pending' | 'ack' | 'error', frame, message }
    constructor(connection) {
        super();
        this.#connection = connection;
        connection.addEventListener('state', ({ detail }) => {
            if (detail.state === 'open') this.#schedule();
        });
    }

    set(node, param, value) {
        if (!this.#queued.has(node)) this.#queued.set(node, new Map());
        this.#queued.get(node).set(param, value);
        this.#status(node, param, { state: 'pending' });
        this.#schedule();
    }

    // Lets signals drive a parameter; null: by hand again. Fails with what is wrong.
    async drive(node, param, text) {
        await this.#connection.request({ type: 'set', node, drives: { [param]: text } });
    }

    // Values that are asked for once (a tap), or belong to no knob of this page. Fails with what is wrong.
    put(node, values) {
        return this.#connection.request({ type: 'set', node, values });
    }

    // Whether a value in a room document of this frame can be newer than what was set here.
    settled(node, param, frame) {
        if (this.#queued.get(node)?.has(param) || this.#flying.get(`${node}.${param}`)) return false;
        const own = this.#own.get(node)?.get(param);
        return !own || frame > own.frame;
    }

    // Another hand may have turned a knob of ours since: its value is the one to keep.
    follow(room) {
        this.#eachOwn(room, (node, param, own) => {
            if (this.settled(node.name, param, room.frame)) own.value = node.params[param];
        });
    }

    // The room has begun anew: gives it what was set here before.
    restore(room) {
        this.#eachOwn(room, (node, param, own) => {
            own.frame = -1;
            if (this.#newer(node.name, param) || node.params[param] === own.value) return;
            this.set(node.name, param, own.value);
        });
    }

    // The graph text has been replaced by hand, or another room entered: what was set before is not
    // meant for it, nor what still waits for a frame.
    forget() {
        this.#life++;
        this.#own.clear();
        this.#queued.clear();
    }

    #eachOwn(room, visit) {
        for (const node of room.nodes) {
            for (const [param, own] of this.#own.get(node.name) ?? []) {
                if (param in node.params) visit(node, param, own);
            }
        }
    }

    #status(node, param, detail) {
        this.dispatchEvent(new CustomEvent('status', { detail: { node, param, ...detail } }));
    }

    #schedule() {
        if (this.#timer || this.#queued.size === 0 || !this.#connection.isOpen) return;
        this.#timer = setTimeout(() => {
            this.#timer = 0;
            this.#sendOne();
            this.#schedule();
        }, SEND_EVERY_MS);
    }

    // One node per message, in turn: a Map keeps the order in which nodes came to wait.
    async #sendOne() {
        const [first] = this.#queued;
        if (!first) return;
        const [node, values] = first;
        const life = this.#life;
        this.#queued.delete(node);
        this.#count(node, values, 1);
        let ack = null;
        let failure = null;
        try {
            ack = await this.#connection.request({
                type: 'set',
                node,
                values: Object.fromEntries(values),
            });
        } catch (error) {
            failure = error;
        }
        this.#count(node, values, -1);
        if (failure instanceof Lost && life !== this.#life) return;
        if (ack) this.#accepted(node, values, ack.frame);
        else this.#refused(node, values, failure);
    }

    #count(node, values, by) {
        for (const param of values.keys()) {
            const key = `${node}.${param}`;
            this.#flying.set(key, (this.#flying.get(key) ?? 0) + by);
        }
    }

    #accepted(node, values, frame) {
        if (!this.#own.has(node)) this.#own.set(node, new Map());
        for (const [param, value] of values) {
            this.#own.get(node).set(param, { value, frame });
            if (!this.#newer(node, param)) this.#status(node, param, { state: 'ack', frame });
        }
    }

    #newer(node, param) {
        return this.#queued.get(node)?.has(param) || this.#flying.get(`${node}.${param}`) > 0;
    }

    // A refusal names what is wrong; the other values of that message were not applied and go again.
    // After a lost connection all of them do.
    #refused(node, values, error) {
        const blame = new Map((error.errors ?? []).map(({ field, message }) => [field, message]));
        const known = [...values.keys()].some((param) => blame.has(param));
        for (const [param, value] of values) {
            if (this.#newer(node, param)) continue;
            const again = error instanceof Lost || (known && !blame.has(param));
            if (again) this.set(node, param, value);
            else this.#status(node, param, { state: 'error', message: blame.get(param) ?? error.message });
        }
    }
}
