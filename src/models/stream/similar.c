// SPDX-License-Identifier: MIT
#include "models/stream/similar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t picture_bytes(const struct ph_similar *s)
{
    return (size_t) s->count * 4; // a float, or a pixel
}

ph_err ph_similar_init(struct ph_similar *s, const struct ph_similar_params *params,
                       int64_t count, bool rgba)
{
    *s = (struct ph_similar){ .count = count, .bytes = rgba, .cosine = 2 };
    s->last = count > 0 ? malloc(picture_bytes(s)) : NULL;
    if (!s->last) return count > 0 ? PH_ENOMEM : PH_EINVAL;
    ph_similar_set(s, params);
    return PH_OK;
}

void ph_similar_finish(struct ph_similar *s)
{
    free(s->last);
    s->last = NULL;
}

void ph_similar_set(struct ph_similar *s, const struct ph_similar_params *params)
{
    s->par = *params;
    if (!(s->par.threshold > 0)) s->par.threshold = 0.98;
    if (!s->par.max_skip) s->par.max_skip = 10;
    if (s->par.max_skip < 0) s->par.max_skip = 0;
}

void ph_similar_reset(struct ph_similar *s)
{
    s->has = false;
    s->run = s->settled = 0;
}

struct products {
    double now2, cross; // with itself, with the last one
};

static struct products of_floats(const struct ph_similar *s, const float *x)
{
    const float *last = s->last;
    struct products sum = { 0, 0 };
    for (int64_t i = 0; i < s->count; i++) {
        sum.now2 += (double) x[i] * x[i];
        if (s->has) sum.cross += (double) x[i] * last[i];
    }
    return sum;
}

// 2v - 255 is the picture times 255, and a cosine knows no scale: exact integers a row of 64.
static struct products of_pixels(const struct ph_similar *s, const uint8_t *x)
{
    const uint8_t *last = s->has ? s->last : x;
    struct products sum = { 0, 0 };
    for (int64_t at = 0; at < s->count; at += 64) {
        int64_t end = at + 64 < s->count ? at + 64 : s->count;
        int32_t now2 = 0, cross = 0;
        for (int64_t i = at * 4; i < end * 4; i++) {
            int a = (i & 3) == 3 ? 0 : 2 * x[i] - 255, b = 2 * last[i] - 255;
            now2 += a * a;
            cross += a * b;
        }
        sum.now2 += now2;
        sum.cross += cross;
    }
    return sum;
}

static double cosine_of(const struct ph_similar *s, struct products sum)
{
    double a = sqrt(sum.now2), b = sqrt(s->norm2);
    if (a < 1e-6 && b < 1e-6) return s->par.grey_differs ? 0 : 1;
    return sum.cross / fmax(a * b, 1e-6);
}

// Whether a picture that could be left out is worked on all the same.
static bool is_forced(const struct ph_similar *s)
{
    if (s->settled < s->par.drain) return true;
    return s->par.rule == PH_SIMILAR_STRICT ? s->run >= s->par.max_skip
                                            : s->run > s->par.max_skip;
}

static bool decide(struct ph_similar *s, double u)
{
    double span = 1 - s->par.threshold;
    s->p = span > 0 ? fmax(0, 1 - (1 - s->cosine) / span) : 0;
    bool natural = !(s->p >= u) || !isfinite(s->cosine);
    if (!natural && !is_forced(s)) {
        s->run++;
        s->skipped++;
        return false;
    }
    if (!natural || s->par.rule != PH_SIMILAR_UPSTREAM) s->run = 0;
    return true;
}

bool ph_similar_next(struct ph_similar *s, const void *picture, double u)
{
    struct products sum = s->bytes ? of_pixels(s, picture) : of_floats(s, picture);
    s->cosine = 2;
    s->p = 0;
    if (s->has) {
        s->cosine = cosine_of(s, sum);
        if (!decide(s, u)) return false;
    }
    // Only another scene has to go through all steps; a chance pass of much the same one has not.
    s->settled = s->p > 0 ? s->settled + 1 : 0;
    memcpy(s->last, picture, picture_bytes(s));
    s->norm2 = sum.now2;
    s->has = true;
    s->processed++;
    return true;
}
