// SPDX-License-Identifier: MIT
// Depth maps and clouds against the reference values of ../shared/golden/depth, and against a scene
// whose surfaces are known.
#include "../models/values.h"

#include "pic.h"

#include "image/cloud.h"
#include "image/depth.h"
#include "image/steady.h"

static struct ph_picture map_of(const float *values, int w, int h)
{
    struct ph_picture p = pic(PH_DEPTHF, w, h);
    for (int y = 0; y < h; y++) memcpy(fpx(&p, 0, 0, y), values + y * w, (size_t) w * 4);
    return p;
}

static struct ph_picture colors_of(const float *rgb, int w, int h)
{
    struct ph_picture p = pic(PH_RGBA, w, h);
    for (int i = 0; i < w * h; i++)
        set_px(&p, i % w, i / w, (int) rgb[3 * i], (int) rgb[3 * i + 1], (int) rgb[3 * i + 2],
               255);
    return p;
}

static struct ph_intrinsics lens_of(const float *k)
{
    return (struct ph_intrinsics){ k[0], k[4], k[2], k[5] };
}

static int kept_pixels(const struct ph_picture *p)
{
    int n = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) n += *fpx(p, 0, x, y) > 0;
    return n;
}

static const struct ph_depth_rule everything = { .near = 1e-6f,
                                                 .far = INFINITY,
                                                 .edge = INFINITY };

// --- edges

TEST(flying_pixels_go_as_in_the_reference)
{
    struct ph_weights *w = values_open(golden("depth/cloud/edge.safetensors"));
    static const char *const limits[] = { "0.01", "0.03", "0.05", "0.2" };
    struct ph_picture z = map_of(values_floats(w, NULL, "z"), 126, 98);
    FOR_LEVELS(level)
    {
        for (int i = 0; i < 4; i++) {
            struct ph_depth_rule rule = everything;
            rule.edge = strtof(limits[i], NULL);
            struct ph_picture out = pic(PH_DEPTHF, 126, 98);
            CHECK_OK(ph_depth_keep(&out, &z, NULL, &rule));
            const float *want = values_floats(w, NULL, "keep_t%s", limits[i]);
            int differ = 0;
            for (int k = 0; k < 126 * 98; k++)
                differ += (*fpx(&out, 0, k % 126, k / 126) > 0) != (want[k] > 0);
            CHECK_INT(differ, <=,
                      i < 2 ? 1 : 0); // steps of exactly the limit, says the manifest
        }
    }
}

TEST(every_level_keeps_the_same_pixels)
{
    struct ph_picture z = pic(PH_DEPTHF, 131, 9), c = pic(PH_DEPTHF, 131, 9), want, got;
    for (int i = 0; i < 131 * 9; i++) {
        uint32_t r = random32();
        float v = 1 + (float) (r >> 8 & 255) / 2000;
        *fpx(&z, 0, i % 131, i / 131) = r % 41 == 0   ? NAN
                                        : r % 43 == 0 ? INFINITY
                                        : r % 47 == 0 ? -v
                                        : r % 53 == 0 ? 0
                                                      : v;
        *fpx(&c, 0, i % 131, i / 131) = r % 29 ? (float) (r >> 20) / 4096 : NAN;
    }
    struct ph_depth_rule rule = {
        .near = 1.01f, .far = 1.12f, .edge = 0.08f, .confidence = .1f
    };
    for (int with = 0; with < 2; with++) {
        want = pic(PH_DEPTHF, 131, 9);
        ph_image_ops_limit(0);
        CHECK_OK(ph_depth_keep(&want, &z, with ? &c : NULL, &rule));
        CHECK_INT(kept_pixels(&want), >, 100);
        FOR_LEVELS(level)
        {
            got = pic(PH_DEPTHF, 131, 9);
            CHECK_OK(ph_depth_keep(&got, &z, with ? &c : NULL, &rule));
            CHECK(same_pixels(&want, &got));
        }
    }
}

// --- relative depth

TEST(disparity_becomes_metres_as_in_the_reference)
{
    struct ph_weights *w = values_open(golden("depth/cloud/rel_to_z.safetensors"));
    static const struct {
        const char *name;
        float lo, hi, near, far;
    } cases[] = { { "z0", 1.6228627410889f, 13.246313095092773f, 0.5f, 10 },
                  { "z1", 1.6228627410889f, 13.246313095092773f, 0.3f, 100 },
                  { "z2", -1, 1000, 1, 4 },
                  { "z3", 2.204343557357788f, 8.7988920211792f, 0.2f, 5 } };
    const float *d = values_floats(w, NULL, "d");
    float sorted[40 * 56];
    memcpy(sorted, d, sizeof sorted);
    CHECK_NUM(fabs((double) ph_percentile(sorted, 40 * 56, 98) - 13.246313095092773), <, 1e-5);
    float lo = ph_percentile(sorted, 40 * 56, 2);
    CHECK_NUM(fabs((double) lo - 1.6228588), <, 2e-5);
    struct ph_picture map = map_of(d, 56, 40), out = pic(PH_DEPTHF, 56, 40);
    FOR_LEVELS(level)
    {
        for (int i = 0; i < 4; i++) {
            CHECK_OK(ph_depth_metres(&out, &map, i < 2 ? lo : cases[i].lo, cases[i].hi,
                                     cases[i].near, cases[i].far));
            const float *want = values_floats(w, NULL, "%s", cases[i].name);
            for (int k = 0; k < 40 * 56; k++) {
                double got = (double) *fpx(&out, 0, k % 56, k / 56), z = (double) want[k];
                if (!(fabs(got - z) <= 4e-6 * z))
                    TEST_FAIL("%s: %.9g, not %.9g", cases[i].name, got, z);
            }
        }
        struct ph_picture holes = map_of(values_floats(w, NULL, "d_nonfinite"), 56, 40);
        CHECK_OK(ph_depth_metres(&out, &holes, lo, cases[0].hi, .5f, 10));
        const float *want = values_floats(w, NULL, "d_nonfinite_z");
        for (int k = 0; k < 40 * 56; k++)
            CHECK((*fpx(&out, 0, k % 56, k / 56) > 0) == (want[k] > 0));
        struct ph_picture flat = map_of(values_floats(w, NULL, "flat"), 4, 3);
        CHECK_OK(ph_depth_metres(&flat, &flat, 2.5f, 2.5f, .5f, 10));
        CHECK_NUM((double) *fpx(&flat, 0, 1, 1), ==, 10);
    }
}

// --- confidence

static int count_from(const float *v, int n, float least)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += v[i] >= least;
    return count;
}

TEST(a_percentile_of_confidence_really_filters)
{
    struct ph_weights *w = values_open(golden("depth/cloud/conf.safetensors"));
    static const struct {
        const char *name;
        int w, h;
        double floor, percent, threshold;
        int kept;
    } cases[] = { { "da3", 126, 98, .9, 40, 1.609852385520935, 7409 },
                  { "da3", 126, 98, 1.5, 20, 1.5, 8554 },
                  { "da3", 126, 98, .9, 33.3, 1.5311218923330305, 8236 },
                  { "low", 50, 40, .9, 40, 1.0191224098205567, 1200 },
                  { "two_views", 40, 60, .9, 40, 1.7710325717926025, 1440 },
                  { "const", 9, 8, .9, 40, 1, 72 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = cases[i].w * cases[i].h;
        const float *v = values_floats(w, NULL, "%s", cases[i].name);
        struct ph_picture map = map_of(v, cases[i].w, cases[i].h);
        float got = ph_depth_confidence(&map, cases[i].percent, (float) cases[i].floor);
        CHECK_NUM(fabs((double) got / cases[i].threshold - 1), <, 1e-6);
        CHECK_INT(count_from(v, n, got), ==, cases[i].kept);
    }
}

// --- points

static void check_points(const float *xyz, const uint8_t *rgb, int n, const float *points,
                         const float *colors)
{
    for (int i = 0; i < 3 * n; i++) {
        if (!(fabsf(xyz[i] - points[i]) <= 3e-7f * fabsf(points[i])))
            TEST_FAIL("number %d: %.9g, not %.9g", i, (double) xyz[i], (double) points[i]);
        CHECK_INT(rgb[i], ==, (int) colors[i]);
    }
}

TEST(points_are_those_of_the_reference)
{
    struct ph_weights *w = values_open(golden("depth/cloud/single.safetensors"));
    struct ph_intrinsics lens = lens_of(values_floats(w, NULL, "K"));
    struct ph_picture color = colors_of(values_floats(w, NULL, "rgb"), 126, 98);
    struct ph_picture depth = map_of(values_floats(w, NULL, "depth"), 126, 98);
    int most = ph_cloud_most(126, 98, 1) + PH_CLOUD_SLACK;
    float *xyz = keep(malloc((size_t) most * 12));
    uint8_t *rgb = keep(malloc((size_t) most * 3));
    static const char *const confidences[] = { "none", "conf_da3", "conf_mixed" };
    FOR_LEVELS(level)
    {
        for (int c = 0; c < 3; c++) {
            struct ph_depth_rule rule = everything;
            rule.confidence = nextafterf(.5f, 1); // the reference keeps what is above one half
            struct ph_picture map, out = pic(PH_DEPTHF, 126, 98);
            if (c) map = map_of(values_floats(w, NULL, "%s", confidences[c]), 126, 98);
            CHECK_OK(ph_depth_keep(&out, &depth, c ? &map : NULL, &rule));
            for (int stride = 1; stride < 4; stride++) {
                int64_t want;
                const float *points =
                    values_floats(w, &want, "%s.s%d.same.points_gpu", confidences[c], stride);
                if (!points) continue;
                int n = ph_cloud_unproject(xyz, rgb, &out, &color, &lens, stride);
                CHECK_INT(3 * n, ==, want);
                check_points(
                    xyz, rgb, n, points,
                    values_floats(w, NULL, "%s.s%d.same.colors", confidences[c], stride));
            }
        }
    }
}

TEST(three_views_meet_in_one_world)
{
    struct ph_weights *w = values_open(golden("depth/cloud/fusion.safetensors"));
    const float *depth = values_floats(w, NULL, "depth"), *k = values_floats(w, NULL, "K");
    const float *rgb = values_floats(w, NULL, "rgb"), *pose = values_floats(w, NULL, "w2c");
    const float *want = values_floats(w, NULL, "points_out");
    const float *colors = values_floats(w, NULL, "colors");
    static float xyz[3 * (48 * 64 + PH_CLOUD_SLACK)];
    static uint8_t px[3 * (48 * 64 + PH_CLOUD_SLACK)];
    for (int view = 0, at = 0; view < 3; view++) {
        struct ph_picture map = map_of(depth + view * 48 * 64, 64, 48);
        struct ph_picture color = colors_of(rgb + view * 48 * 64 * 3, 64, 48);
        struct ph_intrinsics lens = lens_of(k + 9 * view);
        const float *m = pose + 16 * view; // world to camera: its inverse is (R', -R' t)
        float back[12];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) back[4 * i + j] = m[4 * j + i];
            back[4 * i + 3] = -(m[i] * m[3] + m[4 + i] * m[7] + m[8 + i] * m[11]);
        }
        int n = ph_cloud_unproject(xyz, px, &map, &color, &lens, 1);
        ph_cloud_move(xyz, n, back);
        for (int i = 0; i < 3 * n; i++, at++) {
            CHECK_NUM(fabs((double) xyz[i] - (double) want[at]), <=, 1e-5);
            CHECK_INT(px[i], ==, (int) colors[at]);
        }
        if (view == 2) CHECK_INT(at, ==, 3 * 9216);
    }
}

TEST(points_of_every_level_are_the_same)
{
    struct ph_picture z = pic(PH_DEPTHF, 1101, 5), color = pic_random(1101, 5);
    for (int i = 0; i < 1101 * 5; i++)
        *fpx(&z, 0, i % 1101, i / 1101) = random32() % 5   ? (float) (random32() >> 20) / 512
                                          : random32() % 2 ? NAN
                                                           : 0;
    struct ph_intrinsics lens = { 500, 510, 550.5f, 2.5f };
    static float want[3 * 6000], got[3 * 6000];
    static uint8_t want_rgb[3 * 6000], got_rgb[3 * 6000];
    for (int stride = 1; stride < 5; stride++) {
        ph_image_ops_limit(0);
        int n = ph_cloud_unproject(want, want_rgb, &z, &color, &lens, stride);
        CHECK_INT(n, >, 100);
        CHECK_INT(n, <=, ph_cloud_most(1101, 5, stride));
        FOR_LEVELS(level)
        {
            CHECK_INT(ph_cloud_unproject(got, got_rgb, &z, &color, &lens, stride), ==, n);
            CHECK(!memcmp(got, want, (size_t) n * 12) &&
                  !memcmp(got_rgb, want_rgb, (size_t) n * 3));
        }
    }
    CHECK_INT(ph_cloud_unproject(got, got_rgb, &z, NULL, &lens, 7), >, 100);
    CHECK_INT(got_rgb[0], ==, 255);
    lens.fx = 0;
    CHECK_INT(ph_cloud_unproject(got, got_rgb, &z, &color, &lens, 1), ==, 0);
    lens.fx = NAN;
    CHECK_INT(ph_cloud_unproject(got, got_rgb, &z, &color, &lens, 1), ==, 0);
}

TEST(a_cube_keeps_its_first_point)
{
    float xyz[] = { .1f, .1f, .1f, .9f, .9f,  .9f, 1.1f, .1f, .1f, -.1f, .1f,
                    .1f, .2f, .2f, .2f, 1e9f, 0,   0,    NAN, 0,   0 };
    uint8_t rgb[21];
    for (int i = 0; i < 21; i++) rgb[i] = (uint8_t) i;
    void *scratch = keep(malloc(ph_cloud_voxel_bytes(7)));
    CHECK_INT(ph_cloud_voxel(xyz, rgb, 7, 1, scratch), ==, 5);
    CHECK(xyz[3] == 1.1f && xyz[6] == -.1f && rgb[3] == 6 && rgb[6] == 9);
    CHECK_INT(ph_cloud_voxel(xyz, rgb, 5, 0, scratch), ==, 5);
}

// --- steadiness

static double step_between(const struct ph_picture *a, const struct ph_picture *b,
                           const float *mask)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < 40 * 56; i++) {
        if (mask[i] <= 0) continue;
        sum += fabs((double) *fpx(a, 0, i % 56, i / 56) - (double) *fpx(b, 0, i % 56, i / 56));
        n++;
    }
    return sum / n;
}

static double spread_of(const float *d)
{
    float v[40 * 56];
    memcpy(v, d, sizeof v);
    double hi = (double) ph_percentile(v, 40 * 56, 98);
    return hi - (double) ph_percentile(v, 40 * 56, 2);
}

TEST(a_drifting_film_is_aligned_as_in_the_reference)
{
    struct ph_weights *w = values_open(golden("depth/range/range.safetensors"));
    const float *d = values_floats(w, NULL, "d"), *want = values_floats(w, NULL, "aligned");
    const float *a = values_floats(w, NULL, "a"), *b = values_floats(w, NULL, "b");
    const float *q = values_floats(w, NULL, "q"), *out = values_floats(w, NULL, "n_out");
    struct ph_steady_params par = { .fit = PH_FIT_SCALE_SHIFT };
    FOR_LEVELS(level)
    {
        struct ph_steady *s;
        CHECK_OK(ph_steady_create(&s));
        for (int t = 0; t < 60; t++) {
            struct ph_steady_report r;
            struct ph_picture map = map_of(d + t * 40 * 56, 56, 40);
            CHECK_OK(ph_steady_apply(s, &map, &map, &par, &r));
            CHECK(r.cut == !t);
            CHECK_NUM(fabs(r.a / (double) a[t] - 1), <=, 1e-4);
            CHECK_NUM(fabs(r.b - (double) b[t]), <=, 2e-4);
            if (t) CHECK_NUM(fabs(r.q / (double) q[t] - 1), <=, 1e-3);
            if (t) CHECK_NUM(abs(r.outliers - (int) out[t]), <=, 5);
            for (int i = 0; i < 40 * 56; i++) {
                float got = (float) r.a * d[t * 40 * 56 + i] + (float) r.b;
                CHECK_NUM(fabs((double) got - (double) want[t * 40 * 56 + i]), <=, 2e-4);
            }
        }
        ph_steady_destroy(&s);
    }
}

TEST(a_cut_begins_a_film_anew)
{
    struct ph_weights *w = values_open(golden("depth/range/range.safetensors"));
    const float *d = values_floats(w, NULL, "cut.d");
    struct ph_steady_params par = { .fit = PH_FIT_SCALE_SHIFT, .smooth = .9f };
    struct ph_steady *s;
    CHECK_OK(ph_steady_create(&s));
    for (int t = 0; t < 20; t++) {
        struct ph_steady_report r;
        struct ph_picture map = map_of(d + t * 40 * 56, 56, 40), raw = map;
        raw = map_of(d + t * 40 * 56, 56, 40);
        CHECK_OK(ph_steady_apply(s, &map, &map, &par, &r));
        CHECK(r.cut == (t == 0 || t == 10));
        if (r.cut) CHECK(same_pixels(&map, &raw));
    }
    ph_steady_destroy(&s);
}

// Five times is what is asked for; a disc that moves is where it is, not where it was.
TEST(still_pixels_flicker_five_times_less_and_edges_do_not_lag)
{
    struct ph_weights *w = values_open(golden("depth/range/range.safetensors"));
    const float *d = values_floats(w, NULL, "d"), *mask = values_floats(w, NULL, "static_mask");
    const float *aligned = values_floats(w, NULL, "aligned");
    struct ph_steady_params par = { .fit = PH_FIT_SCALE_SHIFT, .smooth = .8f };
    struct ph_steady *s;
    CHECK_OK(ph_steady_create(&s));
    double before = 0, after = 0, lag = 0;
    int moving = 0;
    struct ph_picture last_raw = { 0 }, last = { 0 };
    for (int t = 0; t < 60; t++) {
        struct ph_picture raw = map_of(d + t * 40 * 56, 56, 40), map = pic(PH_DEPTHF, 56, 40);
        CHECK_OK(ph_steady_apply(s, &map, &raw, &par, NULL));
        if (t) before += step_between(&raw, &last_raw, mask);
        if (t) after += step_between(&map, &last, mask);
        for (int i = 0; t && i < 40 * 56; i++) {
            float now = aligned[t * 40 * 56 + i], then = aligned[(t - 1) * 40 * 56 + i];
            if (mask[i] > 0 || fabsf(now - then) < 1) continue; // the disc came or went
            moving++;
            lag += fabs((double) *fpx(&map, 0, i % 56, i / 56) - (double) now) > .1;
        }
        last_raw = raw;
        last = map;
    }
    before /= 59 * spread_of(d);
    after /= 59 * spread_of(d);
    CHECK_NUM(fabs(before - .03872), <, .001); // the manifest's
    CHECK_NUM(before / after, >=, 5);
    CHECK_INT(moving, >, 100);
    CHECK_NUM(lag / moving, <, .01);
    ph_steady_destroy(&s);
}

TEST(every_level_holds_still_alike)
{
    struct ph_picture first = pic(PH_DEPTHF, 77, 9), second = pic(PH_DEPTHF, 77, 9);
    for (int i = 0; i < 77 * 9; i++) {
        float v = 1 + (float) (random32() >> 8) / (1 << 24);
        *fpx(&first, 0, i % 77, i / 77) = random32() % 31 ? v : NAN;
        *fpx(&second, 0, i % 77, i / 77) =
            random32() % 37 ? 1.2f * v + (float) (random32() >> 28) / 100 + .1f : INFINITY;
    }
    struct ph_steady_params par = { .fit = PH_FIT_SCALE_SHIFT, .smooth = .7f };
    struct ph_picture want = pic(PH_DEPTHF, 77, 9), got = pic(PH_DEPTHF, 77, 9);
    struct ph_steady_report report, first_report = { 0 };
    FOR_LEVELS(level)
    {
        bool truth = level->flags == 0;
        struct ph_picture *out = truth ? &want : &got;
        struct ph_steady *s;
        CHECK_OK(ph_steady_create(&s));
        for (int t = 0; t < 4; t++)
            CHECK_OK(ph_steady_apply(s, out, t % 2 ? &second : &first, &par, &report));
        if (truth) first_report = report;
        CHECK_INT(report.outliers, ==, first_report.outliers);
        CHECK(same_pixels(&want, out));
        ph_steady_destroy(&s);
    }
}

TEST(nothing_to_fit_is_no_fit)
{
    struct ph_steady_params par = { .fit = PH_FIT_SCALE_SHIFT, .smooth = 1 };
    struct ph_steady_report r;
    struct ph_steady *s;
    CHECK_OK(ph_steady_create(&s));
    static const float odd[] = { 0, 1, NAN, INFINITY, -1e30f };
    for (int i = 0; i < 5; i++) {
        struct ph_picture map = pic(PH_DEPTHF, 9, 7);
        for (int k = 0; k < 63; k++) *fpx(&map, 0, k % 9, k / 9) = odd[i];
        for (int t = 0; t < 3; t++) CHECK_OK(ph_steady_apply(s, &map, &map, &par, &r));
        CHECK(fabs(r.a) < INFINITY && fabs(r.b) < INFINITY);
    }
    struct ph_picture other = pic(PH_DEPTHF, 5, 5), rgba = pic_random(5, 5);
    for (int k = 0; k < 25; k++) *fpx(&other, 0, k % 5, k / 5) = (float) k;
    CHECK_OK(ph_steady_apply(s, &other, &other, &par, &r));
    CHECK(r.cut); // of another size
    CHECK_INT(ph_steady_apply(s, &rgba, &rgba, &par, &r), ==, PH_EINVAL);
    ph_steady_destroy(&s);
}

static void check_range(struct ph_weights *w, const char *what, const char *name, int delay,
                        float alpha)
{
    const float *lo = values_floats(w, NULL, "range.%s.p2", what);
    const float *hi = values_floats(w, NULL, "range.%s.p98", what);
    const float *want_lo = values_floats(w, NULL, "range.%s.%s.lo", what, name);
    const float *want_hi = values_floats(w, NULL, "range.%s.%s.hi", what, name);
    CHECK(lo && hi && want_lo && want_hi);
    struct ph_depth_range r = { 0 };
    for (int t = 0; t < 60; t++) {
        ph_depth_range_add(&r, lo[t], hi[t], delay, alpha);
        if (fabsf(r.lo - want_lo[t]) > 1e-5f || fabsf(r.hi - want_hi[t]) > 1e-5f)
            TEST_FAIL("%s.%s, frame %d: %g..%g, not %g..%g", what, name, t, (double) r.lo,
                      (double) r.hi, (double) want_lo[t], (double) want_hi[t]);
    }
}

TEST(a_range_widens_at_once_and_narrows_slowly)
{
    struct ph_weights *w = values_open(golden("depth/range/range.safetensors"));
    check_range(w, "raw", "default", 60, .01f);
    check_range(w, "raw", "fast", 5, .1f);
    check_range(w, "aligned", "default", 60, .01f);
    check_range(w, "aligned", "fast", 5, .1f);
    struct ph_depth_range r = { 0 };
    ph_depth_range_add(&r, NAN, -3, 2, .5f);
    CHECK(r.lo > 0 && r.hi > r.lo && r.hi < INFINITY);
}

// --- a scene whose surfaces are known, without the reference files

TEST(a_plane_seen_from_aslant_becomes_that_plane)
{
    struct ph_picture map = pic(PH_DEPTHF, 64, 48);
    struct ph_intrinsics lens = { 60, 61, 31.5f, 23.5f };
    for (int y = 0; y < 48; y++) // z (.2 (u - cx) / fx + .1 (v - cy) / fy + 1) = 3
        for (int x = 0; x < 64; x++)
            *fpx(&map, 0, x, y) =
                (float) (3 / (.2 * (x - 31.5) / 60 + .1 * (y - 23.5) / 61 + 1));
    static float xyz[3 * (64 * 48 + PH_CLOUD_SLACK)];
    static uint8_t rgb[3 * (64 * 48 + PH_CLOUD_SLACK)];
    CHECK_INT(ph_cloud_unproject(xyz, rgb, &map, NULL, &lens, 1), ==, 64 * 48);
    for (int i = 0; i < 64 * 48; i++) {
        const float *p = xyz + 3 * i;
        CHECK_NUM(fabs((double) (.2f * p[0] - .1f * p[1] + p[2] - 3)), <, 1e-4);
    }
}
