// SPDX-License-Identifier: MIT
// What performers' hands move: MIDI controllers and OSC addresses that have arrived. One that is no
// signal yet becomes one when it is mapped: it gets a place in the node's map or list of addresses.

const MIDI_PLACES = 16;
const OSC_PLACES = 32;
const FIRST_OSC = '/phosphene/';

const isHand = (node) => Array.isArray(node.found);
const words = (text) => text.split(/[ ,]+/).filter(Boolean);

export class Hands {
    #values;
    #room = null;
    #waiting = null; // { place, counts, resolve, reject }

    constructor(values) {
        this.#values = values;
    }

    update(room) {
        if (this.#waiting && room.name !== this.#room?.name) this.cancel();
        this.#room = room;
        if (this.#waiting) this.#look();
    }

    // Whether there is anything that hands could move.
    get any() {
        return this.#room?.nodes.some(isHand) ?? false;
    }

    // The next control that moves, as a signal that can be mapped; null when it was given up.
    // place: where the knob stands, 0 … 1: a MIDI fader begins there and picks it up.
    next(place) {
        this.cancel();
        const counts = new Map();
        for (const node of this.#room.nodes.filter(isHand))
            for (const found of node.found) counts.set(`${node.name} ${found.name}`, found.count);
        return new Promise((resolve, reject) => {
            this.#waiting = { place, counts, resolve, reject };
        });
    }

    cancel() {
        this.#waiting?.resolve(null);
        this.#waiting = null;
    }

    #look() {
        const { place, counts, resolve, reject } = this.#waiting;
        for (const node of this.#room.nodes.filter(isHand)) {
            const moved = node.found.find((f) => f.count > (counts.get(`${node.name} ${f.name}`) ?? 0));
            if (!moved) continue;
            this.#waiting = null;
            this.claim(node.name, moved.name, place).then(resolve, reject);
            return;
        }
    }

    // { name, min, max } of what was found, which becomes a signal if it is none.
    async claim(nodeName, foundName, place = null) {
        const node = this.#room.nodes.find((n) => n.name === nodeName);
        const found = node?.found?.find((f) => f.name === foundName);
        if (!found) throw new Error(`${foundName} of ${nodeName} is not there any more`);
        const signal = found.signal ?? await (node.type === 'midi'
            ? this.#claimMidi(node, found, place)
            : this.#claimOsc(node, found));
        return { name: `${node.name}.${signal}`, min: 0, max: 1, whole: true };
    }

    // A controller's fader stands somewhere; it moves nothing until it has passed the place.
    async #claimMidi(node, found, place) {
        const map = words(node.params.map);
        const taken = new Set(map.map((pair) => Number(pair.split(':')[0])));
        for (let n = 1; n <= MIDI_PLACES; n++) if (this.#drives(node, `c${n}`)) taken.add(n);
        const free = Array.from({ length: MIDI_PLACES }, (_, i) => i + 1).find((n) => !taken.has(n));
        if (!free) throw new Error(`All ${MIDI_PLACES} controllers of ${node.name} are in use: take one out of its map`);
        const values = { map: [...map, `${free}:${found.name}`].join(' ') };
        if (place !== null) values.recall = `${'- '.repeat(free - 1)}${Number(place.toFixed(4))}`;
        await this.#values.put(node.name, values);
        return `c${free}`;
    }

    async #claimOsc(node, found) {
        let list = words(node.params.addresses);
        if (!list.length) { // the usual ones, as far as something listens to them
            let used = 0;
            for (let n = 1; n <= OSC_PLACES; n++) if (this.#drives(node, `v${n}`)) used = n;
            list = Array.from({ length: used }, (_, i) => `${FIRST_OSC}${i + 1}`);
        }
        if (list.length >= OSC_PLACES) throw new Error(`${node.name} listens to ${OSC_PLACES} addresses already`);
        await this.#values.put(node.name, { addresses: [...list, found.name].join(' ') });
        return `v${list.length + 1}`;
    }

    #drives(node, signal) {
        const word = new RegExp(String.raw`\b${signal}\b`);
        return this.#room.nodes.some((n) => n.drives?.some((d) => word.test(d.text)));
    }
}
