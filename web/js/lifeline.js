// SPDX-License-Identifier: MIT
// Tells whether a room has begun anew since this page last saw it, as after a restart of the
// server: its epoch, its frame count or its clock has gone back. A page that was away long enough
// for the new count to pass the old one still sees that the room is younger than it should be.

const TOLERANCE_S = 2;

export class Lifeline {
    #last = null; // { epoch, frame, time, at }

    // The next document is of another room.
    reset() {
        this.#last = null;
    }

    // Takes each document; true once, on the first one of a room that began anew.
    restarted({ epoch, frame, time }) {
        const before = this.#last;
        const at = performance.now() / 1000;
        this.#last = { epoch, frame, time, at };
        if (!before) return false;
        return epoch < before.epoch
            || (epoch === before.epoch && frame < before.frame)
            || time < before.time + (at - before.at) - TOLERANCE_S;
    }
}
