// SPDX-License-Identifier: MIT
#include "audio/sections.h"

#include "core/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIDE      16 // beats on each side of a moment
#define APART     8  // beats between two changes
#define APART_S   4.0
#define WIDTH     8.0 // beats, of the kernel's bell
#define ALIKE_DB  4.0
#define NO_BEAT_S 0.5

struct unit {
    double begin_s;
    float mfcc[PH_SONG_MFCC];
    float chroma[PH_CHROMA]; // of length 1; of silence 0
};

struct ph_sections {
    struct unit *units;
    int count;
    double length_s;
};

ph_err ph_sections_create(struct ph_sections **out)
{
    *out = ph_new(NULL, struct ph_sections, 1);
    return *out ? PH_OK : PH_ENOMEM;
}

void ph_sections_destroy(struct ph_sections **s)
{
    ph_tree_free(*s);
    *s = NULL;
}

// --- beats

static struct unit mean_of(const struct ph_song *p, int64_t from, int64_t to)
{
    struct unit u = { 0 };
    double square = 0;
    for (int64_t t = from; t < to; t++) {
        for (int i = 0; i < PH_SONG_MFCC; i++)
            u.mfcc[i] += p->mfcc[t * PH_SONG_MFCC + i] / (float) (to - from);
        for (int i = 0; i < PH_CHROMA; i++)
            u.chroma[i] += p->chroma[t * PH_CHROMA + i] * p->rms[t];
    }
    for (int i = 0; i < PH_CHROMA; i++) square += (double) (u.chroma[i] * u.chroma[i]);
    for (int i = 0; i < PH_CHROMA && square > 0; i++)
        u.chroma[i] = (float) ((double) u.chroma[i] / sqrt(square));
    return u;
}

static ph_err add_unit(struct ph_sections *s, const struct ph_song *p, int64_t from, int64_t to)
{
    if (to <= from) return PH_OK;
    struct unit u = mean_of(p, from, to);
    u.begin_s = s->length_s + (double) from * p->hop / p->rate_hz;
    return ph_append(s, s->units, s->count, u) ? PH_OK : PH_ENOMEM;
}

// Steps of one length from here to there; the last may be longer.
static ph_err add_even(struct ph_sections *s, const struct ph_song *p, int64_t from, int64_t to,
                       double step)
{
    int n = (int) ((double) (to - from) / step);
    ph_err ret = PH_OK;
    if (n < 1) n = 1;
    for (int i = 0; i < n && ret == PH_OK; i++)
        ret = add_unit(s, p, from + (int64_t) (i * step),
                       i + 1 < n ? from + (int64_t) ((i + 1) * step) : to);
    return ret;
}

ph_err ph_sections_add(struct ph_sections *s, const struct ph_song *p)
{
    const struct ph_beats *b = &p->beats;
    ph_err ret;
    double step = NO_BEAT_S * p->rate_hz / p->hop;
    if (b->count < 8) {
        PH_TRY(add_even(s, p, 0, p->frames, step));
    } else {
        int64_t last = b->frame[b->count - 1];
        step = (double) (last - b->frame[0]) / (double) (b->count - 1);
        PH_TRY(add_even(s, p, 0, b->frame[0], step));
        for (int64_t i = 0; i + 1 < b->count; i++)
            PH_TRY(add_unit(s, p, b->frame[i], b->frame[i + 1]));
        PH_TRY(add_even(s, p, last, p->frames, step));
    }
    s->length_s += (double) p->samples / p->rate_hz;
fail:
    return ret;
}

// --- novelty

static double alike(const struct unit *a, const struct unit *b)
{
    double apart = 0, both = 0, one = 0, other = 0;
    for (int i = 0; i < PH_SONG_MFCC; i++) {
        double d = (double) (a->mfcc[i] - b->mfcc[i]);
        apart += d * d;
    }
    for (int i = 0; i < PH_CHROMA; i++) {
        both += (double) (a->chroma[i] * b->chroma[i]);
        one += (double) fabsf(a->chroma[i]);
        other += (double) fabsf(b->chroma[i]);
    }
    if (one <= 0 && other <= 0) both = 1;
    return exp(-apart / (PH_SONG_MELS * ALIKE_DB * ALIKE_DB)) / 2 + both / 2;
}

// Near an end the kernel is cut to a square that lies within the song.
static double novelty(const struct ph_sections *s, int i)
{
    int side = i < s->count - i ? i : s->count - i;
    double sum = 0, weight = 0, within = 0, across = 0;
    if (side > SIDE) side = SIDE;
    for (int u = -side; u < side; u++)
        for (int v = -side; v < side; v++) {
            double r = (u + 0.5) * (u + 0.5) + (v + 0.5) * (v + 0.5);
            double k =
                exp(-r / (2 * WIDTH * WIDTH)) * alike(&s->units[i + u], &s->units[i + v]);
            weight += exp(-r / (2 * WIDTH * WIDTH));
            (u < 0) == (v < 0) ? (within += k) : (across += k);
        }
    sum = within - across;
    return weight > 0 ? sum / weight : 0;
}

static bool is_peak(const double *n, int count, int i)
{
    for (int k = i - APART; k <= i + APART; k++)
        if (k >= 0 && k < count && k != i && (k < i ? n[k] >= n[i] : n[k] > n[i])) return false;
    return n[i] >= PH_SECTION_LEAST;
}

// The mean of the peaks, so that small ones in a song of large ones do not count.
static double mean_peak(const double *n, int count)
{
    double sum = 0;
    int peaks = 0;
    for (int i = APART; i <= count - APART; i++)
        if (is_peak(n, count, i)) sum += n[i], peaks++;
    return peaks ? sum / peaks : 0;
}

static void add_section(struct ph_section *out, int *count, int most, struct ph_section now)
{
    int weakest = 1;
    if (*count < most) {
        out[(*count)++] = now;
        return;
    }
    for (int i = 2; i < *count; i++)
        if (out[i].strength < out[weakest].strength) weakest = i;
    if (most < 2 || out[weakest].strength >= now.strength) return;
    memmove(&out[weakest], &out[weakest + 1], (size_t) (*count - weakest - 1) * sizeof *out);
    out[*count - 1] = now;
}

int ph_sections_find(const struct ph_sections *s, struct ph_section *out, int most)
{
    int count = 0;
    double *n = s->count && most > 0 ? calloc((size_t) s->count + 1, sizeof *n) : NULL;
    if (!n) return 0;
    for (int i = 1; i < s->count; i++) n[i] = novelty(s, i);
    double least = mean_peak(n, s->count) / 2, last_s = 0;
    add_section(out, &count, most, (struct ph_section){ 0 });
    for (int i = APART; i <= s->count - APART; i++) {
        double at = i < s->count ? s->units[i].begin_s : s->length_s;
        if (!is_peak(n, s->count, i) || n[i] < least || at - last_s < APART_S ||
            s->length_s - at < APART_S)
            continue;
        add_section(out, &count, most, (struct ph_section){ at, n[i] });
        last_s = at;
    }
    free(n);
    return count;
}
