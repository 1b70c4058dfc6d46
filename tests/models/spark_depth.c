// SPDX-License-Identifier: MIT
// The bundled depth model: found where it lies, its depth that which was recorded on every kind of
// kernels, and right about the scenes that the program itself draws. Recorded are the means of blocks
// of 14x14 pixels in millimetres, in f32; after new weights print them anew:
// PH_SPARK_PRINT=1 test_models_spark_depth depth_is_that_recorded >tests/models/spark_depth_golden.inc
#include "../alloc_count.h"
#include "core/share.h"
#include "models/depth/depther.h"
#include "models/shelf.h"
#include "nodes/source/scene_render.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

enum { WIDE = 224, HIGH = 168, PIXELS = WIDE * HIGH, BLOCK = 14 };
enum { ACROSS = WIDE / BLOCK, VALUES = ACROSS * (HIGH / BLOCK), SHOWN = 2 };

static const uint16_t recorded[SHOWN][VALUES] = {
#include "spark_depth_golden.inc"
};

static float picture[3 * PIXELS], depth[PIXELS], truth[PIXELS];

// The scene from one side, at one moment, all in turns; what the model wants of it.
static void look(double angle, double moment)
{
    static uint8_t rgba[PIXELS * 4];
    static const float mean[3] = PH_DEPTH_MEAN, deviation[3] = PH_DEPTH_DEVIATION;
    struct ph_picture color = { PH_RGBA, WIDE, HIGH, .data = { rgba }, .stride = { WIDE * 4 } };
    struct ph_picture far = { PH_DEPTHF, WIDE, HIGH, .data = { (uint8_t *) truth },
                              .stride = { WIDE * 4 } };
    struct ph_scene_camera camera;
    ph_scene_camera_at(&camera, angle, 0, WIDE, HIGH, 2.2, 6.2, 50);
    ph_scene_render(&color, &far, &camera, moment, true);
    for (int i = 0; i < 3 * PIXELS; i++)
        picture[i] = ((float) rgba[i % PIXELS * 4 + i / PIXELS] / 255 - mean[i / PIXELS]) /
                     deviation[i / PIXELS];
}

static struct ph_depther *open_spark(enum ph_precision precision)
{
    static char path[PH_SHARE_PATH_MAX];
    struct ph_fault fault = { 0 };
    struct ph_depther *d;
    unsetenv("PH_SHARE"); // other tests are without
    if (ph_share_find("models/spark-depth", path, &fault) < 0) TEST_FAIL("%s", fault.message);
    struct ph_depther_params params = { .model = path,
                                        .device = "cpu:threads=1",
                                        .precision = precision };
    if (ph_depther_open(&params, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_depther_wish(d, WIDE, HIGH, NULL));
    CHECK_OK(ph_depther_settle(d, NULL));
    CHECK_INT(ph_depther_size(d, NULL).width, ==, WIDE);
    return d;
}

static void see(struct ph_depther *d)
{
    struct ph_depth_result r = { .depth = depth };
    CHECK_OK(ph_depther_run(d, picture, &r));
}

static void blocks(double out[VALUES])
{
    for (int i = 0; i < VALUES; i++) {
        int x = i % ACROSS * BLOCK, y = i / ACROSS * BLOCK;
        double sum = 0;
        for (int k = 0; k < BLOCK * BLOCK; k++)
            sum += (double) depth[(y + k / BLOCK) * WIDE + x + k % BLOCK];
        out[i] = sum / (BLOCK * BLOCK) * 1000;
    }
}

static void print_blocks(const double v[VALUES])
{
    printf("{\n");
    for (int i = 0; i < VALUES; i++)
        printf("%s%.0f,%s", i % 16 ? "" : "    ", v[i], i % 16 == 15 ? "\n" : " ");
    printf("},\n");
}

// worst and mean: relative, of the blocks.
static void compare(const char *level, enum ph_precision precision, double worst, double mean)
{
    setenv("PH_CPU", level, 1);
    struct ph_depther *d = open_spark(precision);
    double got[VALUES];
    for (int i = 0; i < SHOWN; i++) {
        look(0.37 * i, 0.21 * i);
        see(d);
        blocks(got);
        if (getenv("PH_SPARK_PRINT")) {
            print_blocks(got);
            continue;
        }
        double most = 0, sum = 0, low = 1e9, high = 0;
        for (int k = 0; k < VALUES; k++) {
            double off = fabs(got[k] / recorded[i][k] - 1);
            most = fmax(most, off);
            sum += off / VALUES;
            low = fmin(low, got[k]);
            high = fmax(high, got[k]);
        }
        printf("# worst %.5f mean %.6f\n", most, sum);
        CHECK_NUM(high, >, 2 * low); // a flat map proves nothing
        CHECK_NUM(most, <=, worst);
        CHECK_NUM(sum, <=, mean);
    }
    ph_depther_close(&d);
}

TEST(depth_is_that_recorded)
{
    compare("", PH_PRECISION_F32, 0.002, 0.0003);
}

TEST(avx2_sees_the_same)
{
    compare("avx2", PH_PRECISION_F32, 0.002, 0.0003);
}

TEST(plain_c_sees_the_same)
{
    compare("c", PH_PRECISION_F32, 0.002, 0.0003);
}

TEST(half_width_sees_the_same)
{
    compare("", PH_PRECISION_BF16, 0.02, 0.004);
}

TEST(bytes_see_nearly_the_same)
{
    compare("", PH_PRECISION_I8, 0.03, 0.006);
}

// AbsRel and delta1, in metres, of what is nearer than 20 m; nothing is fitted.
TEST(the_scene_of_the_program_is_as_deep_as_it_is)
{
    struct ph_depther *d = open_spark(PH_PRECISION_F32);
    CHECK_INT(ph_depther_config(d)->meaning, ==, PH_DEPTH_METRES);
    double off = 0, close = 0, count = 0;
    for (int i = 0; i < 6; i++) {
        look(i / 6.0 + 0.05, 0.13 * i);
        see(d);
        for (int k = 0; k < PIXELS; k++) {
            if (truth[k] > 20) continue;
            double ratio = (double) depth[k] / (double) truth[k];
            off += fabs(ratio - 1);
            close += ratio < 1.25 && ratio > 0.8;
            count++;
        }
    }
    printf("# AbsRel %.4f, within a quarter %.4f\n", off / count, close / count);
    CHECK_NUM(off / count, <=, 0.10);
    CHECK_NUM(close / count, >=, 0.92);
    ph_depther_close(&d);
}

TEST(it_serves_where_nobody_names_a_model)
{
    char path[PH_SHELF_PATH_MAX];
    unsetenv("PH_SHARE");
    setenv("PH_MODELS", "/nonexistent", 1);
    CHECK_OK(ph_shelf_find_depth("", path, NULL));
    CHECK(strstr(path, "/models/spark-depth") != NULL);
    CHECK_OK(ph_shelf_find_depth("spark-depth", path, NULL));
    CHECK_OK(ph_shelf_find("", path, NULL)); // and does not take the painter's place
    CHECK(strstr(path, "/models/spark-depth") == NULL);
}
