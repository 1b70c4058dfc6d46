// SPDX-License-Identifier: MIT
// Every variant of every kernel gives the bytes of the plain C one: see checkkern.h.
#include "checkkern.h"

#include "test.h"

static uint8_t *truth; // what C made of the present picture, planes one after another
static size_t truth_size;
static uint8_t truth_result[sizeof(((struct kern *) 0)->result)];

static void keep_truth(const struct kern *k)
{
    size_t need = 0, at = 0;
    for (int i = 0; i < PH_PLANES; i++) need += k->out.data[i] ? k->buffer[2][i].span : 0;
    if (need > truth_size) truth = realloc(truth, truth_size = need);
    CHECK(truth || !need);
    for (int i = 0; i < PH_PLANES && k->out.data[i]; i++) {
        memcpy(truth + at, k->buffer[2][i].from, k->buffer[2][i].span);
        at += k->buffer[2][i].span;
    }
    memcpy(truth_result, k->result, sizeof truth_result);
}

static void say_where(const struct kern *k, int plane, size_t at, const char *level, int fill)
{
    ptrdiff_t byte = (ptrdiff_t) at - KERN_GUARD;
    TEST_FAIL("%s-%s, %dx%d, arg %d, fill %d: plane %d differs at byte %td of row %td",
              k->c->name, level, k->width, k->height, k->arg, fill, plane,
              byte % k->out.stride[plane], byte / k->out.stride[plane]);
}

static void compare(const struct kern *k, const char *level, int fill)
{
    const uint8_t *want = truth;
    for (int i = 0; i < PH_PLANES && k->out.data[i]; i++) {
        const struct kern_buffer *b = &k->buffer[2][i];
        if (memcmp(want, b->from, b->span)) {
            size_t at = 0;
            while (want[at] == b->from[at]) at++;
            say_where(k, i, at, level, fill);
        }
        want += b->span;
    }
    if (memcmp(truth_result, k->result, sizeof truth_result))
        TEST_FAIL("%s-%s, %dx%d, arg %d, fill %d: result differs", k->c->name, level, k->width,
                  k->height, k->arg, fill);
}

static void check_one(struct kern *k, const struct kern_case *c, int w, int h, int arg,
                      int fill)
{
    struct kern_level level[3];
    int levels = kern_levels(level);
    kern_begin(k, c, w, h, arg, (enum kern_fill) fill, (w + fill) % 5 * 3);
    for (int i = 0; i < levels; i++) {
        ph_image_ops_limit(level[i].flags);
        kern_refill(k);
        c->run(k);
        if (i)
            compare(k, level[i].name, fill);
        else
            keep_truth(k);
    }
    kern_end(k);
}

static void check_case(const struct kern_case *c)
{
    static const int sizes[][2] = {
        { 128, 3 }, { 255, 2 }, { 641, 9 }, { 1283, 3 }, { 4099, 1 }
    };
    struct kern k = { 0 };
    for (int a = 0; a < c->nargs; a++) {
        for (int w = 1; w <= 67; w++)
            for (int fill = 0; fill < FILLS; fill++)
                check_one(&k, c, w, 1 + (w + fill) % 4, c->args[a], fill);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int fill = 0; fill < FILLS && (!c->most || sizes[i][0] <= c->most); fill += 2)
                check_one(&k, c, sizes[i][0], sizes[i][1], c->args[a], fill);
    }
    kern_free(&k);
}

static void check_cases(const char *prefix)
{
    struct kern_level level[3];
    int n = 0;
    if (kern_levels(level) < 2) TEST_SKIP("this processor (or PH_CPU) has no variant to check");
    for (const struct kern_case *c = kern_cases; c->name; c++) {
        if (strncmp(c->name, prefix, strlen(prefix))) continue;
        check_case(c);
        n++;
    }
    CHECK_INT(n, >, 0);
}

#define VARIANTS(ident, prefix)                                                                \
    TEST_LIMIT(ident, 240)                                                                     \
    {                                                                                          \
        check_cases(prefix);                                                                   \
    }
// clang-format off
VARIANTS(conversions_are_the_same_on_every_level, "convert")
VARIANTS(resizes_are_the_same_on_every_level, "resize")
VARIANTS(blends_are_the_same_on_every_level, "blend")
VARIANTS(blurs_are_the_same_on_every_level, "blur")
VARIANTS(histograms_are_the_same_on_every_level, "histogram")
VARIANTS(differences_are_the_same_on_every_level, "difference")
VARIANTS(moments_are_the_same_on_every_level, "moments")
VARIANTS(hashes_are_the_same_on_every_level, "hash")
VARIANTS(colours_are_the_same_on_every_level, "color")
VARIANTS(mirrors_are_the_same_on_every_level, "mirror")
VARIANTS(turns_are_the_same_on_every_level, "turn")
VARIANTS(warps_are_the_same_on_every_level, "warp")
VARIANTS(feedbacks_are_the_same_on_every_level, "feedback")
VARIANTS(kaleidoscopes_are_the_same_on_every_level, "kaleidoscope")
VARIANTS(splits_are_the_same_on_every_level, "split")
VARIANTS(blooms_are_the_same_on_every_level, "bloom")
VARIANTS(copies_are_the_same_on_every_level, "copy")
VARIANTS(fills_are_the_same_on_every_level, "clear")
VARIANTS(glyph_masks_are_the_same_on_every_level, "mask")
VARIANTS(polylines_are_the_same_on_every_level, "polyline")
VARIANTS(waves_are_the_same_on_every_level, "wave")
VARIANTS(lines_are_the_same_on_every_level, "line")
VARIANTS(discs_are_the_same_on_every_level, "disc")
VARIANTS(circles_are_the_same_on_every_level, "circle")
