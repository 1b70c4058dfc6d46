// SPDX-License-Identifier: MIT
// The goldens' sounds (16-bit PCM with a plain header) and what is true of them.
#ifndef PH_TEST_WAV_H
#define PH_TEST_WAV_H

#include "core/json.h"

#include "golden.h"

struct wav {
    float *samples; // interleaved
    int count, channels, rate_hz;
};

static inline char *wav_slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    CHECK(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t) ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    CHECK(bytes && fread(bytes, 1, *size, f) == *size);
    fclose(f);
    return bytes;
}

static inline struct wav wav_golden(const char *name)
{
    char relative[128];
    size_t size;
    snprintf(relative, sizeof relative, "audio/%s.wav", name);
    char *bytes = wav_slurp(golden(relative), &size);
    CHECK_INT(size, >, 44);
    const uint8_t *b = (const uint8_t *) bytes;
    struct wav w = { .channels = b[22], .rate_hz = b[24] | b[25] << 8 | b[26] << 16 };
    w.count = (int) ((size - 44) / 2 / (size_t) w.channels);
    size_t n = (size_t) w.count * (size_t) w.channels;
    w.samples = malloc((n + 1) * sizeof *w.samples);
    CHECK(w.samples);
    for (size_t i = 0; i < n; i++)
        w.samples[i] = (float) (int16_t) (b[44 + 2 * i] | b[45 + 2 * i] << 8) / 32768;
    free(bytes);
    return w;
}

// A list of seconds ("beats") of the sound's truth; returns how many.
static inline int wav_truth(const char *name, const char *list, double *out, int max)
{
    char relative[128];
    size_t size;
    struct ph_json_doc *doc;
    snprintf(relative, sizeof relative, "audio/%s.truth.json", name);
    char *bytes = wav_slurp(golden(relative), &size);
    CHECK_OK(ph_json_parse(&doc, bytes, size, 0, NULL));
    const struct ph_json *v = ph_json_get(ph_json_root(doc), list);
    int n = v ? v->count : 0;
    CHECK_INT(n, <=, max);
    for (int i = 0; i < n; i++) out[i] = ph_json_double(ph_json_at(v, i), 0);
    ph_json_free(&doc);
    free(bytes);
    return n;
}

#endif
