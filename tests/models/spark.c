// SPDX-License-Identifier: MIT
// The bundled model: found where it lies, its pictures those that were recorded, its words heard.
// Recorded are the means of blocks of 8x8 pixels, painted in f32; after new weights print them anew:
// PH_SPARK_PRINT=1 test_models_spark pictures_are_those_recorded >tests/models/spark_golden.inc
#include <phosphene/frame.h>
#include <phosphene/model.h>

#include "../alloc_count.h"
#include "core/share.h"
#include "test.h"

#include <stdlib.h>

enum { SIDE = 128, BLOCK = 8, VALUES = SIDE / BLOCK * (SIDE / BLOCK) * 3 };

static const struct shown {
    const char *prompt;
    uint64_t seed;
} shown[] = { { "glowing neon spiral", 2 }, { "ocean waves", 5 } };
enum { SHOWN = 2 };

static const uint8_t recorded[SHOWN][VALUES] = {
#include "spark_golden.inc"
};

static uint8_t rgba[SIDE * SIDE * 4];

static struct ph_diffuser *open_spark(const char *precision)
{
    static char path[PH_SHARE_PATH_MAX];
    struct ph_fault fault = { 0 };
    struct ph_diffuser *d;
    unsetenv("PH_SHARE"); // other tests are without
    if (ph_share_find("models/spark", path, &fault) < 0) TEST_FAIL("%s", fault.message);
    struct ph_diffuser_params params = { .model = path,
                                         .device = "cpu:threads=1",
                                         .precision = precision };
    if (ph_diffuser_open(&params, &d, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
    return d;
}

static void paint(struct ph_diffuser *d, const struct shown *what,
                  const struct ph_picture *over)
{
    struct ph_prompt prompt = { what->prompt, 1 };
    struct ph_seed seed = { what->seed, 1 };
    struct ph_diffuser_settings s;
    struct ph_painted painted;
    struct ph_fault fault = { 0 };
    struct ph_picture out = { .format = PH_RGBA,
                              .width = SIDE,
                              .height = SIDE,
                              .data = { rgba },
                              .stride = { SIDE * 4 } };
    ph_diffuser_defaults(&s);
    s.width = s.height = SIDE;
    s.painting = over ? PH_PAINT_STREAM : PH_PAINT_WHOLE; // as a webcam is painted over
    s.prompts = &prompt;
    s.seeds = &seed;
    s.prompt_count = s.seed_count = s.steps = 1;
    s.from_picture = over;
    s.strength = 0.5f;
    if (ph_diffuser_set(d, &s, &fault) < 0 || ph_diffuser_settle(d, &fault) < 0 ||
        ph_diffuser_paint(d, over, NULL, &out, &painted, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
}

static void blocks(uint8_t out[VALUES])
{
    for (int i = 0; i < VALUES; i++) {
        int block = i / 3, across = SIDE / BLOCK, sum = 0;
        int x = block % across * BLOCK, y = block / across * BLOCK;
        for (int k = 0; k < BLOCK * BLOCK; k++)
            sum += rgba[((y + k / BLOCK) * SIDE + x + k % BLOCK) * 4 + i % 3];
        out[i] = (uint8_t) ((sum + BLOCK * BLOCK / 2) / (BLOCK * BLOCK));
    }
}

static void print_blocks(const uint8_t v[VALUES])
{
    printf("{\n");
    for (int i = 0; i < VALUES; i++)
        printf("%s%d,%s", i % 16 ? "" : "    ", v[i], i % 16 == 15 ? "\n" : " ");
    printf("},\n");
}

// worst and mean: in levels of 255, of the blocks' means.
static void compare(const char *precision, int worst, double mean)
{
    struct ph_diffuser *d = open_spark(precision);
    uint8_t got[VALUES];
    for (int i = 0; i < SHOWN; i++) {
        paint(d, &shown[i], NULL);
        blocks(got);
        if (getenv("PH_SPARK_PRINT")) {
            print_blocks(got);
            continue;
        }
        int most = 0, low = 255, high = 0;
        double sum = 0;
        for (int k = 0; k < VALUES; k++) {
            int off = abs(got[k] - recorded[i][k]);
            most = off > most ? off : most;
            low = got[k] < low ? got[k] : low;
            high = got[k] > high ? got[k] : high;
            sum += off;
        }
        CHECK_INT(high - low, >, 60); // a flat picture proves nothing
        CHECK_INT(most, <=, worst);
        CHECK_NUM(sum / VALUES, <=, mean);
    }
    ph_diffuser_close(&d);
}

TEST(pictures_are_those_recorded)
{
    compare("f32", 2, 0.3);
}

TEST(half_width_paints_the_same_pictures)
{
    compare("bf16", 24, 2.5);
}

static double mean_of(int channel)
{
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++) sum += rgba[i * 4 + channel];
    return sum / (SIDE * SIDE);
}

TEST(the_asked_palette_is_painted)
{
    struct ph_diffuser *d = open_spark("f32");
    static const struct {
        const char *palette;
        int most, least; // channels
    } of[] = { { "fire", 0, 2 }, { "ocean", 2, 0 }, { "emerald", 1, 0 }, { "crimson", 0, 1 } };
    for (int i = 0; i < 4; i++)
        for (int form = 0; form < 3; form++) {
            char prompt[64];
            snprintf(prompt, sizeof prompt, "%s %s", of[i].palette,
                     (const char *[]){ "waves", "nebula", "rings" }[form]);
            paint(d, &(struct shown){ prompt, 3 }, NULL);
            CHECK_NUM(mean_of(of[i].most), >, mean_of(of[i].least) + 8);
        }
    ph_diffuser_close(&d);
}

TEST(a_picture_painted_over_keeps_its_place)
{
    // A bright half and a dark one stay on their sides.
    static uint8_t half[SIDE * SIDE * 4];
    struct ph_picture over = { .format = PH_RGBA,
                               .width = SIDE,
                               .height = SIDE,
                               .data = { half },
                               .stride = { SIDE * 4 } };
    struct ph_diffuser *d = open_spark("f32");
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < SIDE * SIDE * 4; i++)
            half[i] = (uint8_t) (i % 4 == 3 || (i / 4 % SIDE < SIDE / 2) == side ? 255 : 0);
        paint(d, &(struct shown){ "silver marble", 1 }, &over);
        double sum[2] = { 0 };
        for (int i = 0; i < SIDE * SIDE; i++) sum[i % SIDE < SIDE / 2] += rgba[i * 4 + 1];
        CHECK_NUM(sum[side] / (SIDE * SIDE / 2), >, sum[!side] / (SIDE * SIDE / 2) + 40);
    }
    ph_diffuser_close(&d);
}
