// SPDX-License-Identifier: MIT
#include "image/stretch.h"

struct tap {
    int at, next;
    float share; // of next
};

static struct tap tap_of(int i, int in, int out)
{
    double src = out > 1 ? (double) i * (in - 1) / (out - 1) : 0;
    struct tap t = { .at = (int) src };
    if (t.at > in - 1) t.at = in - 1;
    t.next = t.at + 1 < in ? t.at + 1 : t.at;
    t.share = (float) (src - t.at);
    return t;
}

static float mix(float a, float b, float share)
{
    return a + share * (b - a);
}

static const float *row_of(const struct ph_picture *p, int y)
{
    return (const float *) (p->data[0] + y * p->stride[0]);
}

ph_err ph_image_stretch(const struct ph_picture *dst, const struct ph_picture *src)
{
    bool depth = src->format == PH_DEPTHF || src->format == PH_INVERSEF;
    if (!depth || dst->format != src->format) return PH_ENOTSUP;
    for (int y = 0; y < dst->height; y++) {
        struct tap v = tap_of(y, src->height, dst->height);
        const float *top = row_of(src, v.at), *low = row_of(src, v.next);
        float *out = (float *) (dst->data[0] + y * dst->stride[0]);
        for (int x = 0; x < dst->width; x++) {
            struct tap u = tap_of(x, src->width, dst->width);
            out[x] = mix(mix(top[u.at], top[u.next], u.share),
                         mix(low[u.at], low[u.next], u.share), v.share);
        }
    }
    return PH_OK;
}
