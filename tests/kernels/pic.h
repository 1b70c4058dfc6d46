// SPDX-License-Identifier: MIT
// Pictures for the tests of what kernels mean. Each case is a process of its own, and what it made
// is freed when that ends.
#ifndef PH_TEST_PIC_H
#define PH_TEST_PIC_H

#include "checkkern.h"
#include "test.h"

// The body once for each level of this processor; `level` names it.
#define FOR_LEVELS(level)                                                                      \
    for (struct kern_level levels_[3], *level = levels_,                                       \
                                       *end_ = levels_ + kern_levels(levels_);                 \
         level < end_ && (ph_image_ops_limit(level->flags), 1); level++)

static struct ph_frame **pics;
static void **kept;
static int pic_count, kept_count;

static inline void pics_free(void)
{
    while (pic_count) ph_frame_unref(&pics[--pic_count]);
    free(pics);
}

static inline void kept_free(void)
{
    while (kept_count) free(kept[--kept_count]);
    free(kept);
}

// Frees p when the case ends, and returns it.
static inline void *keep(void *p)
{
    CHECK(p);
    if (!kept) atexit(kept_free);
    kept = realloc(kept, (size_t) (kept_count + 1) * sizeof *kept);
    return kept[kept_count++] = p;
}

static inline struct ph_picture pic(enum ph_format format, int w, int h)
{
    struct ph_frame *f = NULL;
    CHECK_OK(ph_frame_picture(NULL, format, w, h, &f));
    if (!pics) atexit(pics_free);
    pics = realloc(pics, (size_t) (pic_count + 1) * sizeof *pics);
    pics[pic_count++] = f;
    return f->picture;
}

static inline uint8_t *px(const struct ph_picture *p, int x, int y)
{
    return p->data[0] + y * p->stride[0] + 4 * x;
}

static inline float *fpx(const struct ph_picture *p, int plane, int x, int y)
{
    return (float *) (void *) (p->data[plane] + y * p->stride[plane]) + x;
}

static inline void set_px(const struct ph_picture *p, int x, int y, int r, int g, int b, int a)
{
    uint8_t *d = px(p, x, y);
    d[0] = (uint8_t) r, d[1] = (uint8_t) g, d[2] = (uint8_t) b, d[3] = (uint8_t) a;
}

static inline void fill_px(const struct ph_picture *p, int r, int g, int b, int a)
{
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) set_px(p, x, y, r, g, b, a);
}

static inline uint32_t random32(void)
{
    static uint64_t state = 12345;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (state >> 32);
}

static inline void fill_random(const struct ph_picture *p)
{
    for (int y = 0; y < p->height; y++)
        for (int i = 0; i < 4 * p->width; i++) px(p, 0, y)[i] = (uint8_t) (random32() >> 7);
}

static inline void fill_extremes(const struct ph_picture *p)
{
    for (int y = 0; y < p->height; y++)
        for (int i = 0; i < 4 * p->width; i++) px(p, 0, y)[i] = random32() >> 9 & 1 ? 255 : 0;
}

static inline struct ph_picture pic_random(int w, int h)
{
    struct ph_picture p = pic(PH_RGBA, w, h);
    fill_random(&p);
    return p;
}

static inline bool same_pixels(const struct ph_picture *a, const struct ph_picture *b)
{
    for (int y = 0; y < a->height; y++)
        if (memcmp(px(a, 0, y), px(b, 0, y), 4 * (size_t) a->width)) return false;
    return true;
}

#endif
