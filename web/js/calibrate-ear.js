// SPDX-License-Identifier: MIT
// The microphone's samples with their time on the audio clock, for calibrate.js.

const BATCH = 1024;

class Ear extends AudioWorkletProcessor {
    #batch = new Float32Array(BATCH);
    #filled = 0;
    #time = 0;

    process([input]) {
        const [samples] = input;
        if (!samples) return true; // nothing is connected yet
        if (this.#filled === 0) this.#time = currentFrame / sampleRate;
        this.#batch.set(samples, this.#filled);
        this.#filled += samples.length;
        if (this.#filled === BATCH) {
            this.port.postMessage({ time: this.#time, samples: this.#batch });
            this.#filled = 0;
        }
        return true;
    }
}

registerProcessor('ear', Ear);
