// SPDX-License-Identifier: MIT
// Writes small WAV files for tests.
#ifndef PH_TESTS_MAKE_WAV_H
#define PH_TESTS_MAKE_WAV_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct wav {
    int rate_hz, channels, frames;
    bool is_float;  // else 16 bits
    const float *x; // [frames][channels]
    long cut;       // bytes that are left out at the end
};

static inline void wav_put(FILE *f, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) fputc((int) (v >> (8 * i) & 255), f);
}

static inline int wav_write(const char *path, const struct wav *w)
{
    FILE *f = fopen(path, "wb");
    if (!f) return -1;
    int width = w->is_float ? 4 : 2;
    uint32_t bytes = (uint32_t) (w->frames * w->channels * width);
    fputs("RIFF", f);
    wav_put(f, 36 + bytes, 4);
    fputs("WAVEfmt ", f);
    wav_put(f, 16, 4);
    wav_put(f, w->is_float ? 3 : 1, 2);
    wav_put(f, (uint32_t) w->channels, 2);
    wav_put(f, (uint32_t) w->rate_hz, 4);
    wav_put(f, (uint32_t) (w->rate_hz * w->channels * width), 4);
    wav_put(f, (uint32_t) (w->channels * width), 2);
    wav_put(f, (uint32_t) (8 * width), 2);
    fputs("data", f);
    wav_put(f, bytes, 4);
    long left = (long) bytes - w->cut;
    for (int i = 0; i < w->frames * w->channels && left >= width; i++, left -= width) {
        uint32_t v;
        memcpy(&v, &w->x[i], 4);
        if (!w->is_float) v = (uint32_t) (int32_t) (w->x[i] * 32767);
        wav_put(f, v, width);
    }
    return fclose(f);
}

#endif
