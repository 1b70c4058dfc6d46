// SPDX-License-Identifier: MIT
// Clicks in samples, and what their times say: nothing here knows of a browser. Times are seconds.

const EARLIEST_S = 0.1; // a click may seem to come before it was played by as much
const DEAF_S = 0.3; // after a click: its echoes
const QUIET_S = 0.4; // at first only the noise is listened to
const BLOCK = 64;
const LOUDER = 6; // than the noise's usual peaks
const LEAST = 0.003;
const FOLLOW = 0.02;
const OUTLIER_S = 0.005;

// Hears clicks in a stream of samples. Edges count, not loudness: hum is slow.
export class ClickEar {
    #rate;
    #last = 0;
    #floor = 0;
    #peak = 0;
    #count = 0;
    #begin = null;
    #deafUntil = 0;

    constructor(rate) {
        this.#rate = rate;
    }

    // Samples whose first one is of that time; the times of clicks that begin in them.
    take(samples, time) {
        this.#begin ??= time;
        const found = [];
        for (let i = 0; i < samples.length; i++) {
            const edge = Math.abs(samples[i] - this.#last);
            const at = time + i / this.#rate;
            this.#last = samples[i];
            if (edge > this.#peak) this.#peak = edge;
            if (++this.#count === BLOCK) this.#follow(at);
            const listens = at > this.#begin + QUIET_S && at > this.#deafUntil;
            if (!listens || edge < Math.max(LEAST, LOUDER * this.#floor)) continue;
            found.push(at);
            this.#deafUntil = at + DEAF_S;
        }
        return found;
    }

    // The noise between clicks; what is louder raises it only slowly.
    #follow(at) {
        const early = at < this.#begin + QUIET_S;
        const quiet = early ? this.#peak : Math.min(this.#peak, 2 * this.#floor + LEAST / LOUDER);
        this.#floor += (quiet - this.#floor) * (early ? 0.2 : FOLLOW);
        this.#peak = 0;
        this.#count = 0;
    }
}

const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// How much later each was heard than the played one that it belongs to.
export function delays(played, heard) {
    return heard.flatMap((at) => {
        const before = played.filter((time) => time <= at + EARLIEST_S);
        const late = before.length ? at - before.at(-1) : NaN;
        const period = played.length > 1 ? played[1] - played[0] : 1;
        return late < period - EARLIEST_S ? [late] : [];
    });
}

// How far taps are from the nearest of what they follow.
export function distances(shown, taps) {
    const half = shown.length > 1 ? (shown[1] - shown[0]) / 2 : 0.5;
    return taps.flatMap((tap) => {
        const nearest = shown.reduce((best, time) => (Math.abs(tap - time) < Math.abs(tap - best) ? time : best), Infinity);
        return Math.abs(tap - nearest) < half ? [tap - nearest] : [];
    });
}

// { offset, spread, count } of those that agree, in seconds; spread is a standard deviation. Null
// when there are fewer than three.
export function agree(values, atLeast = OUTLIER_S) {
    if (values.length < 3) return null;
    const middle = median(values);
    const usual = 1.4826 * median(values.map((value) => Math.abs(value - middle)));
    const kept = values.filter((value) => Math.abs(value - middle) <= Math.max(atLeast, 3 * usual));
    const offset = kept.reduce((sum, value) => sum + value, 0) / kept.length;
    const spread = Math.sqrt(kept.reduce((sum, value) => sum + (value - offset) ** 2, 0) / kept.length);
    return { offset, spread, count: kept.length };
}

// Hands anticipate; with flashes and clicks they do so alike, and the difference is the sound's.
export function byTaps(flashes, flashTaps, clicks, clickTaps) {
    const seen = agree(distances(flashes, flashTaps), 0.03);
    const heard = agree(distances(clicks, clickTaps), 0.03);
    if (!seen || !heard) return null;
    return {
        offset: heard.offset - seen.offset,
        spread: Math.hypot(seen.spread / Math.sqrt(seen.count), heard.spread / Math.sqrt(heard.count)),
        count: Math.min(seen.count, heard.count),
    };
}
