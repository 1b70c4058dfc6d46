// SPDX-License-Identifier: MIT
#include "nodes/model/depth_input.h"

#include "image/convert.h"
#include "image/resize.h"

#include <math.h>

static const float mean[3] = PH_DEPTH_MEAN, deviation[3] = PH_DEPTH_DEVIATION;

void ph_depth_input_finish(struct ph_depth_input *in)
{
    for (int i = 0; i < 2; i++) ph_resize_destroy(&in->resize[i]);
    ph_frame_unref(&in->floats);
    ph_frame_unref(&in->between);
    ph_frame_unref(&in->sized);
}

static ph_err have(struct ph_frame **f, enum ph_format format, int width, int height)
{
    const struct ph_picture *p = *f ? &(*f)->picture : NULL;
    if (p && p->format == format && p->width == width && p->height == height) return PH_OK;
    ph_frame_unref(f);
    return ph_frame_picture(NULL, format, width, height, f);
}

static ph_err resize(struct ph_resize **r, const struct ph_picture *dst,
                     const struct ph_picture *src, enum ph_filter filter)
{
    if (!*r || !ph_resize_fits(*r, dst, src, filter)) {
        ph_resize_destroy(r);
        ph_err ret = ph_resize_create(
            r, ph_resize_params(.format = src->format, .src_width = src->width,
                                .src_height = src->height, .dst_width = dst->width,
                                .dst_height = dst->height, .filter = filter));
        if (ret < 0) return ret;
    }
    return ph_resize_run(*r, dst, src);
}

ph_err ph_depth_input_v2(struct ph_depth_input *in, const struct ph_picture *picture,
                         struct ph_depth_size size, float *out)
{
    ph_err ret;
    PH_TRY(have(&in->floats, PH_RGBF, picture->width, picture->height));
    PH_TRY(have(&in->sized, PH_RGBF, size.width, size.height));
    PH_TRY(ph_image_convert(&in->floats->picture, picture));
    const struct ph_picture *p = &in->sized->picture;
    PH_TRY(resize(&in->resize[0], p, &in->floats->picture, PH_CUBIC));
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < p->height; y++) {
            const float *row = (const float *) (p->data[c] + y * p->stride[c]);
            float scale = 1 / deviation[c], offset = -mean[c] / deviation[c];
            for (int x = 0; x < p->width; x++) *out++ = row[x] * scale + offset;
        }
fail:
    return ret;
}

// One step of DA3's: area when no side grows.
static ph_err step(struct ph_resize **r, struct ph_frame **made, const struct ph_picture *src,
                   struct ph_depth_size to, const struct ph_picture **out)
{
    *out = src;
    if (to.width == src->width && to.height == src->height) return PH_OK;
    ph_err ret = have(made, PH_RGBA, to.width, to.height);
    if (ret < 0) return ret;
    bool grows = to.width > src->width || to.height > src->height;
    *out = &(*made)->picture;
    return resize(r, *out, src, grows ? PH_CUBIC : PH_AREA);
}

ph_err ph_depth_input_da3(struct ph_depth_input *in, const struct ph_picture *picture,
                          struct ph_depth_size first, struct ph_depth_size size, float *out)
{
    const struct ph_picture *p = picture;
    ph_err ret = PH_OK;
    if (first.width) PH_TRY(step(&in->resize[0], &in->between, p, first, &p));
    PH_TRY(step(&in->resize[1], &in->sized, p, size, &p));
    for (int c = 0; c < 3; c++) {
        float table[256];
        for (int v = 0; v < 256; v++) table[v] = ((float) v / 255 - mean[c]) / deviation[c];
        for (int y = 0; y < p->height; y++) {
            const uint8_t *row = p->data[0] + y * p->stride[0];
            for (int x = 0; x < p->width; x++) *out++ = table[row[4 * x + c]];
        }
    }
fail:
    return ret;
}

static int at_most(int side)
{
    return side > PH_DEPTH_SIDE_MAX ? PH_DEPTH_SIDE_MAX : side;
}

struct ph_depth_size ph_depth_input_size(bool da3, int width, int height, int side,
                                         struct ph_depth_size *first)
{
    int shorter = width < height ? width : height, longer = width < height ? height : width;
    double most = fmin((double) side * longer / shorter, PH_DEPTH_SIDE_MAX);
    *first = (struct ph_depth_size){ 0 };
    if (da3) return ph_depth_size_da3(width, height, (int) rint(most), first);
    struct ph_depth_size s = ph_depth_size_v2(width, height, side);
    return (struct ph_depth_size){ at_most(s.width), at_most(s.height) };
}
