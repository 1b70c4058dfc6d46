// SPDX-License-Identifier: MIT
#include "image/bloom.h"
#include "image/blend.h"
#include "image/blur.h"
#include "image/ops.h"
#include "image/px.h"
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>

struct ph_bloom {
    int width, height;
    double sigma; // in the small picture
    struct ph_resize *down, *up;
    struct ph_frame *small, *soft, *light; // the last one in full size
    void *scratch;
};

static ph_err make_resizes(struct ph_bloom *b, int w, int h)
{
    ph_err ret = ph_resize_create(
        &b->down, ph_resize_params(.src_width = b->width, .src_height = b->height,
                                   .dst_width = w, .dst_height = h, .filter = PH_AREA));
    if (ret < 0) return ret;
    return ph_resize_create(&b->up,
                            ph_resize_params(.src_width = w, .src_height = h,
                                             .dst_width = b->width, .dst_height = b->height));
}

ph_err ph_bloom_create(struct ph_bloom **out, int width, int height, float radius)
{
    *out = NULL;
    if (width < 1 || height < 1 || width > 16384 || height > 16384) return PH_EINVAL;
    struct ph_bloom *b = calloc(1, sizeof *b);
    if (!b) return PH_ENOMEM;
    // A radius of two deviations; the smaller picture keeps three pixels to one.
    double reach = radius > 1 ? fmin((double) radius, 256) : 1;
    int times = reach >= 24 ? 8 : reach >= 6 ? 4 : 2;
    int w = max_int(width / times, 1), h = max_int(height / times, 1);
    ph_err ret;
    *b = (struct ph_bloom){ .width = width, .height = height, .sigma = reach / 2 / times };
    size_t scratch = ph_blur_gauss_scratch(w, h, b->sigma);
    b->scratch = aligned_alloc(PH_ALIGN, (scratch + PH_ALIGN) / PH_ALIGN * PH_ALIGN);
    ret = b->scratch ? make_resizes(b, w, h) : PH_ENOMEM;
    if (ret == PH_OK) ret = ph_frame_picture(NULL, PH_RGBA, w, h, &b->small);
    if (ret == PH_OK) ret = ph_frame_picture(NULL, PH_RGBA, w, h, &b->soft);
    if (ret == PH_OK) ret = ph_frame_picture(NULL, PH_RGBA, width, height, &b->light);
    if (ret < 0) ph_bloom_destroy(&b);
    *out = b;
    return ret;
}

void ph_bloom_destroy(struct ph_bloom **bloom)
{
    struct ph_bloom *b = *bloom;
    *bloom = NULL;
    if (!b) return;
    ph_resize_destroy(&b->down);
    ph_resize_destroy(&b->up);
    ph_frame_unref(&b->small);
    ph_frame_unref(&b->soft);
    ph_frame_unref(&b->light);
    free(b->scratch);
    free(b);
}

static float held(float v, float most)
{
    return v > 0 ? v < most ? v : most : 0;
}

// What lies above the threshold, stretched to the whole range.
static void make_table(uint8_t table[256], float amount, float threshold)
{
    float from = 255 * held(threshold, 0.99f), rise = held(amount, 4) * 255 / (255 - from);
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t) held(((float) i - from) * rise + 0.5f, 255);
}

ph_err ph_bloom_run(struct ph_bloom *b, const struct ph_picture *p, float amount,
                    float threshold)
{
    uint8_t table[256];
    const struct ph_picture *small = &b->small->picture, *soft = &b->soft->picture;
    if (!px_valid(p) || p->format != PH_RGBA || p->width != b->width || p->height != b->height)
        return PH_EINVAL;
    make_table(table, amount, threshold);
    ph_err ret = ph_resize_run(b->down, small, p);
    if (ret < 0) return ret;
    for (int y = 0; y < small->height; y++)
        ph_image_ops()->lut(px_row(small, 0, y), px_row(small, 0, y), small->width, table);
    if ((ret = ph_image_blur_gauss(soft, small, b->sigma, b->scratch)) < 0) return ret;
    if ((ret = ph_resize_run(b->up, &b->light->picture, soft)) < 0) return ret;
    return ph_image_blend(p, &b->light->picture, 0, 0, PH_BLEND_SCREEN, 255);
}
