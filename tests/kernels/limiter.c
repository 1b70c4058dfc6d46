// SPDX-License-Identifier: MIT
// The flash limiter: safe sequences go out as they are, all others go out safe, as judged by the
// same definition that judges the recorded sequences.
#include "pic.h"

#include "image/blend.h"
#include "image/flashes.h"
#include "image/limiter.h"
#include "safetensors.h"

// --- the definition

static const struct golden {
    const char *name;
    int fps, first_unsafe, general, red; // -1 = safe; changes in the worst second
} goldens[] = {
    { "full_2hz", 30, -1, 4, 0 },
    { "full_5hz", 30, 21, 10, 0 },
    { "full_7p5hz_small_step", 30, -1, 0, 0 },
    { "full_6hz_bright", 30, -1, 0, 0 },
    { "patch_10cells_10hz", 30, -1, 20, 0 },
    { "patch_40pct_7p5hz", 30, 14, 15, 0 },
    { "fade_0p5hz", 30, -1, 2, 0 },
    { "red_6hz_isoluminant", 30, 18, 0, 12 },
    { "bursts_of_three", 30, -1, 6, 0 },
    { "beat_pulse_128bpm", 60, -1, 6, 0 },
    { "sixteenth_strobe_128bpm", 60, 24, 18, 0 },
    { "patch_54cells_10hz", 30, 11, 20, 0 },
};
enum { GOLDENS = sizeof goldens / sizeof goldens[0] };

// Frame i of [T, 18, 32, 3] with `zoom` x `zoom` pixels a cell
static void golden_frame(const struct ph_picture *p, const struct expected *e, int i, int zoom)
{
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const uint8_t *c = e->data + ((i * 18 + y / zoom) * 32 + x / zoom) * 3;
            set_px(p, x, y, c[0], c[1], c[2], 255);
        }
}

static int64_t time_of(int i, int fps)
{
    return INT64_C(1000000000) * i / fps;
}

static struct expected_file *file;

static struct expected golden_frames(const struct golden *g)
{
    char name[80];
    snprintf(name, sizeof name, "%s_frames", g->name);
    return expected_get(file, name);
}

static const int64_t *golden_counts(const struct golden *g, const char *kind)
{
    char name[80];
    snprintf(name, sizeof name, "%s_%s_count", g->name, kind);
    return (const int64_t *) (const void *) expected_get(file, name).data;
}

static void check_analysis(const struct golden *g, int zoom)
{
    static struct ph_flashes f;
    struct ph_flash_grid grid;
    struct expected e = golden_frames(g);
    const int64_t *general = golden_counts(g, "general"), *red = golden_counts(g, "red");
    struct ph_picture p = pic(PH_RGBA, 32 * zoom, 18 * zoom);
    int first = -1;
    ph_flashes_begin(&f);
    for (int i = 0; i < (int) e.dim[0]; i++) {
        golden_frame(&p, &e, i, zoom);
        CHECK_OK(ph_flash_measure(&grid, &p, NULL, 0));
        bool unsafe = ph_flashes_take(&f, &grid, time_of(i, g->fps));
        struct ph_flash_report r = ph_flashes_report(&f, time_of(i, g->fps));
        int want_g = general[i] < 7 ? (int) general[i] : 7,
            want_r = red[i] < 7 ? (int) red[i] : 7;
        if (r.general != want_g || r.red != want_r) // counted up to 7
            TEST_FAIL("%s, frame %d: %d and %d changes, want %d and %d", g->name, i, r.general,
                      r.red, want_g, want_r);
        if (unsafe && first < 0) first = i;
    }
    if (first != g->first_unsafe)
        TEST_FAIL("%s: unsafe from %d, want %d", g->name, first, g->first_unsafe);
}

TEST(flashes_are_counted_as_the_definition_says)
{
    file = expected_open("audio/vis_flash.safetensors");
    for (int i = 0; i < GOLDENS; i++) {
        check_analysis(&goldens[i], 1);
        check_analysis(&goldens[i], 3);
    }
    expected_close(file);
}

TEST(cells_are_the_means_of_linear_light)
{
    struct ph_picture p = pic(PH_RGBA, 640, 360);
    struct ph_flash_grid g;
    fill_px(&p, 255, 255, 255, 255);
    for (int y = 0; y < 360; y++) // finest checkerboard: half the light everywhere
        for (int x = y & 1; x < 640; x += 2) set_px(&p, x, y, 0, 0, 0, 255);
    CHECK_OK(ph_flash_measure(&g, &p, NULL, 0));
    for (int i = 0; i < PH_FLASH_CELLS; i++)
        CHECK_NUM(fabs((double) g.light[i] - 0.5), <, 0.04);
    fill_px(&p, 255, 0, 0, 255);
    CHECK_OK(ph_flash_measure(&g, &p, NULL, 0));
    CHECK_NUM(fabs((double) g.light[77] - 0.2126), <, 1e-5);
    CHECK_NUM(fabs((double) g.red[77] - 320), <, 1e-3);
    CHECK(g.saturated[77]);
    fill_px(&p, 188, 188, 188, 0);
    CHECK_OK(ph_flash_measure(&g, &p, NULL, 0));
    CHECK_NUM(fabs((double) g.light[5] - pow((188 / 255.0 + 0.055) / 1.055, 2.4)), <, 1e-4);
    CHECK(!g.saturated[5] && g.red[5] == 0);
}

TEST(a_mixture_is_measured_as_it_will_be_made)
{
    struct ph_picture a = pic_random(131, 77), b = pic_random(131, 77),
                      d = pic(PH_RGBA, 131, 77);
    struct ph_flash_grid mixed, made;
    for (int t = 0; t < 256; t += 15) {
        CHECK_OK(ph_image_fade(&d, &a, &b, t));
        CHECK_OK(ph_flash_measure(&mixed, &a, &b, t));
        CHECK_OK(ph_flash_measure(&made, &d, NULL, 0));
        CHECK(!memcmp(mixed.light, made.light, sizeof mixed.light));
        CHECK(!memcmp(mixed.red, made.red, sizeof mixed.red));
    }
    struct ph_picture other = pic(PH_RGBA, 130, 77), grey = pic(PH_GRAY8, 131, 77);
    CHECK_INT(ph_flash_measure(&made, &a, &other, 3), ==, PH_EINVAL);
    CHECK_INT(ph_flash_measure(&made, &grey, NULL, 0), ==, PH_EINVAL);
}

// --- what goes out

struct run {
    struct ph_limiter *limiter;
    struct ph_picture out[2], in;
    int frames, changed; // of them
    struct ph_flashes judge;
    double worst;      // field
    double seen, gone; // light that came in and out, of the first cell, in all
};

static void run_begin(struct run *r, int w, int h)
{
    memset(r, 0, sizeof *r);
    CHECK_OK(ph_limiter_create(&r->limiter));
    for (int i = 0; i < 2; i++) r->out[i] = pic(PH_RGBA, w, h);
    r->in = pic(PH_RGBA, w, h);
    ph_flashes_begin(&r->judge);
}

static void run_frame(struct run *r, int64_t pts_ns)
{
    struct ph_flash_grid g;
    const struct ph_picture *out = &r->out[r->frames & 1], *shown = &r->out[~r->frames & 1];
    int t = ph_limiter_look(r->limiter, r->frames ? shown : NULL, &r->in, pts_ns);
    CHECK(t >= 0 && t <= 255);
    CHECK_OK(ph_image_fade(out, r->frames ? shown : &r->in, &r->in, t));
    if (t == 255) CHECK(same_pixels(out, &r->in));
    r->changed += t < 255;
    r->frames++;
    CHECK_OK(ph_flash_measure(&g, out, NULL, 0));
    ph_flashes_take(&r->judge, &g, pts_ns);
    r->worst = fmax(r->worst, ph_flashes_report(&r->judge, pts_ns).window);
}

static void run_end(struct run *r)
{
    ph_limiter_destroy(&r->limiter);
}

TEST(recorded_sequences_go_out_safe_and_the_safe_ones_untouched)
{
    file = expected_open("audio/vis_flash.safetensors");
    for (int i = 0; i < GOLDENS; i++) {
        const struct golden *g = &goldens[i];
        struct run r;
        struct expected e = golden_frames(g);
        run_begin(&r, 64, 36);
        for (int k = 0; k < (int) e.dim[0]; k++) {
            golden_frame(&r.in, &e, k, 2);
            run_frame(&r, time_of(k, g->fps));
        }
        if (r.worst > 0.25) TEST_FAIL("%s goes out unsafe: %g", g->name, r.worst);
        if ((r.changed > 0) != (g->first_unsafe >= 0))
            TEST_FAIL("%s: %d frames were changed", g->name, r.changed);
        if (g->first_unsafe >= 0 && r.changed > r.frames - g->first_unsafe)
            TEST_FAIL("%s: changed before it was unsafe", g->name);
        run_end(&r);
    }
    expected_close(file);
}

// A strobe of two colours over a part of the width, at a rate, shown at a frame rate with drops.
struct strobe {
    uint32_t on, off; // 0xRRGGBB
    double hz, part;
    int drop; // of 16 frames
};

static void draw_strobe(const struct ph_picture *p, const struct strobe *s, double seconds)
{
    bool on = fmod(seconds * s->hz, 1) < 0.5;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            uint32_t c = x < s->part * p->width && on ? s->on : s->off;
            set_px(p, x, y, c >> 16, c >> 8 & 255, c & 255, 255);
        }
}

static void check_strobe(const struct strobe *s, int fps)
{
    struct run r;
    run_begin(&r, 64, 36);
    for (int i = 0; i < 4 * fps; i++) {
        if ((int) (random32() & 15) < s->drop) continue;
        double seconds = (double) i / fps;
        draw_strobe(&r.in, s, seconds < 3 ? seconds : 0);
        run_frame(&r, time_of(i, fps) + 12345);
    }
    if (r.worst > 0.25)
        TEST_FAIL("%06x to %06x at %g Hz, %d fps, %d dropped: %g", s->off, s->on, s->hz, fps,
                  s->drop, r.worst);
    run_end(&r);
}

TEST_LIMIT(strobes_go_out_safe_at_any_frame_rate_and_with_drops, 120)
{
    static const int rates[] = { 24, 30, 60, 120 };
    static const struct strobe strobes[] = {
        { 0xffffff, 0x000000, 10, 1, 0 },   { 0xffffff, 0x000000, 4.1, 1, 3 },
        { 0xff0000, 0x000000, 8, 1, 5 },    { 0xff0000, 0x7f7f7f, 11.9, 0.5, 2 },
        { 0xc0c0c0, 0x404040, 7, 0.34, 9 }, { 0x808080, 0x000000, 15, 1, 1 },
        { 0x0000ff, 0xffff00, 5, 0.7, 0 },  { 0xffffff, 0x101010, 3.4, 1, 0 },
    };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++) check_strobe(&strobes[k], rates[i]);
}

TEST_LIMIT(random_pictures_go_out_safe, 120)
{
    static const int rates[] = { 24, 60 };
    for (int k = 0; k < 2; k++) {
        struct run r;
        run_begin(&r, 37, 21);
        for (int i = 0; i < 5 * rates[k]; i++) {
            uint32_t c = random32();
            if (i % (2 * rates[k]) > rates[k]) // a second of noise, one of whole fields
                fill_extremes(&r.in);
            else
                fill_px(&r.in, c & 255, c >> 8 & 255, c >> 16 & 255, 255);
            run_frame(&r, time_of(i, rates[k]));
        }
        CHECK_NUM(r.worst, <=, 0.25);
        CHECK_INT(r.changed, >, rates[k]);
        run_end(&r);
    }
}

TEST(after_a_strobe_pictures_are_their_own_again)
{
    struct run r;
    struct strobe s = { 0xffffff, 0, 10, 1, 0 };
    run_begin(&r, 64, 36);
    for (int i = 0; i < 5 * 60; i++) {
        draw_strobe(&r.in, &s, i < 120 ? i / 60.0 : 0);
        run_frame(&r, time_of(i, 60));
        if (i == 119) CHECK_INT(r.changed, >, 60);
    }
    int changed = r.changed;
    CHECK_INT(changed, <, 240); // within two seconds of its end
    for (int i = 300; i < 400; i++) {
        fill_px(&r.in, i & 127, 3, i & 63, 255);
        run_frame(&r, time_of(i, 60));
    }
    CHECK_INT(r.changed, ==, changed);
    run_end(&r);
}

TEST(what_is_held_still_follows_slowly)
{
    struct run r;
    struct strobe s = { 0xffffff, 0, 10, 1, 0 };
    run_begin(&r, 64, 36);
    for (int i = 0; i < 180; i++) {
        draw_strobe(&r.in, &s, i / 60.0);
        run_frame(&r, time_of(i, 60));
    }
    int light = px(&r.out[1], 30, 20)[0]; // the strobe's mean, not one of its ends
    CHECK_INT(light, >, 60);
    CHECK_INT(light, <, 200);
    run_end(&r);
}

TEST(times_that_stand_or_go_back_and_bad_pictures_do_no_harm)
{
    struct run r;
    struct strobe s = { 0xffffff, 0, 10, 1, 0 };
    run_begin(&r, 64, 36);
    for (int i = 0; i < 90; i++) {
        draw_strobe(&r.in, &s, i / 30.0);
        run_frame(&r, i < 30 ? time_of(i, 30) : i < 60 ? 0 : time_of(i, 30) - 2000000000);
    }
    struct ph_picture other = pic(PH_RGBA, 63, 36), grey = pic(PH_GRAY8, 64, 36);
    CHECK_INT(ph_limiter_look(r.limiter, &other, &r.in, 0), ==, PH_EINVAL);
    CHECK_INT(ph_limiter_look(r.limiter, NULL, &grey, 0), ==, PH_EINVAL);
    run_end(&r);
    for (int w = 1; w < 40; w += 13) { // smaller than the grid
        run_begin(&r, w, 1);
        for (int i = 0; i < 60; i++) {
            draw_strobe(&r.in, &s, i / 30.0);
            run_frame(&r, time_of(i, 30));
        }
        CHECK_NUM(r.worst, <=, 0.25);
        run_end(&r);
    }
}
