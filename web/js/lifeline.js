// SPDX-License-Identifier: MIT
// Tells whether a room has begun anew while this page was away, as after a restart of the server:
// its epoch, its frame count or its clock has gone back. Where the new count has passed the old
// one already, the room is still younger than it should be.

const TOLERANCE_S = 0.5; // between a document's making and its arrival

export class Lifeline {
    #last = null; // { epoch, frame, time, at }
    #away = false;

    // The next document is of another room.
    reset() {
        this.#last = null;
    }

    // The connection is gone: the next document is of the same room, or of its successor.
    lost() {
        this.#away = true;
    }

    // Takes each document; true on the first one of a room that began anew.
    restarted({ epoch, frame, time }) {
        const before = this.#away ? this.#last : null;
        const at = performance.now() / 1000;
        this.#last = { epoch, frame, time, at };
        this.#away = false;
        if (!before) return false;
        return epoch < before.epoch
            || (epoch === before.epoch && frame < before.frame)
            || time < before.time + (at - before.at) - TOLERANCE_S;
    }
}
