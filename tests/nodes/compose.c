// SPDX-License-Identifier: MIT
#include "run.h"

#include "config.h"
#include "nodes/picture_file.h"

static struct run r;

static void save_png(const char *path, int w, int h, uint32_t color)
{
    struct ph_frame *f;
    struct ph_picture_writer *writer;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, w, h, &f));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 4; c++)
                f->picture.data[0][y * f->picture.stride[0] + 4 * x + c] =
                    (uint8_t) (color >> (24 - 8 * c));
    CHECK_OK(ph_picture_writer_create(&writer, path, NULL));
    CHECK_OK(ph_picture_save(writer, path, &f->picture, 90, NULL));
    ph_picture_writer_destroy(&writer);
    ph_frame_unref(&f);
}

// How many pixels are not `background`
static int count_other(const struct ph_picture *p, uint32_t background)
{
    int n = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) n += px(p, x, y) != background;
    return n;
}

TEST(overlay_marks_the_four_corners_alike)
{
    const struct ph_picture *p =
        run_first(&r, "pattern solid size=480x240 color=black -> overlay color=white -> live");
    int gap = 240 / 30, arm = 240 / 14, right = 479, low = 239;
    for (int y = 0; y < 120; y++)
        for (int x = 0; x < 240; x++) {
            uint32_t c = px(p, x, y);
            CHECK_PX(p, right - x, y, c);
            CHECK_PX(p, x, low - y, c);
            CHECK_PX(p, right - x, low - y, c);
        }
    CHECK_PX(p, gap, gap, 0xffffffff);
    CHECK_PX(p, gap + arm - 1, gap, 0xffffffff);
    CHECK_PX(p, gap + arm, gap, 0x000000ff);
    CHECK_PX(p, gap + 1, gap + 1, 0x000000ff);
    CHECK_INT(count_other(p, 0x000000ff), ==, 4 * (2 * arm - 1));
    run_close(&r);
}

TEST(overlay_border_and_marks_change_live)
{
    run_open(
        &r,
        "pattern solid size=64x48 color=black -> overlay marks=off border=3 color=red -> live");
    run_until(&r, 0);
    const struct ph_picture *p = run_picture(&r, 0);
    CHECK_PX(p, 2, 45, 0xff0000ff);
    CHECK_PX(p, 3, 3, 0x000000ff);
    CHECK_INT(count_other(p, 0x000000ff), ==, 64 * 48 - 58 * 42);
    run_set(&r, "overlay", "border", "0");
    run_until(&r, 0.02);
    CHECK_INT(count_other(run_picture(&r, r.count - 1), 0x000000ff), ==, 0);
    run_close(&r);
}

TEST(overlay_puts_a_logo_where_it_is_told_with_its_opacity)
{
    if (!PH_HAVE_PNG) TEST_SKIP("this build has no PNG");
    char path[] = "/tmp/ph-logo-XXXXXX.png", text[300];
    int fd = mkstemps(path, 4);
    CHECK(fd >= 0);
    close(fd);
    save_png(path, 10, 6, 0x00ff00ff);
    snprintf(text, sizeof text,
             "pattern solid size=100x80 color=black -> overlay marks=off logo=%s margin=5 "
             "opacity=0.5 -> live",
             path);
    const struct ph_picture *p = run_first(&r, text);
    CHECK_PX(p, 85, 69, 0x008000ff); // bottom right: 100 - 5 - 10, 80 - 5 - 6
    CHECK_PX(p, 94, 74, 0x008000ff);
    CHECK_INT(count_other(p, 0x000000ff), ==, 60);
    run_set(&r, "overlay", "place", "top-left");
    run_set(&r, "overlay", "logo_height", "12");
    run_until(&r, 0.02);
    p = run_picture(&r, r.count - 1);
    CHECK_PX(p, 5, 5, 0x008000ff);
    CHECK_PX(p, 24, 16, 0x008000ff);
    CHECK_INT(count_other(p, 0x000000ff), ==, 240);
    run_close(&r);
    unlink(path);
}

TEST(overlay_says_what_is_wrong_with_a_logo)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, "pattern -> overlay logo=/nowhere/l.png -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "/nowhere/l.png");
    CHECK_INT(run_try(&r, "pattern -> overlay logo=/proc/self/exe -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "neither PNG nor JPEG");
    CHECK_INT(run_try(&r, "pattern -> overlay logo=/dev/zero -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "not a file");
}

// Rows that the line touches in a column
static void find_line(const struct ph_picture *p, int x, int *top, int *bottom)
{
    *top = p->height;
    *bottom = -1;
    for (int y = 0; y < p->height; y++) {
        if ((px(p, x, y) >> 24) < 128) continue;
        if (*bottom < 0) *top = y;
        *bottom = y;
    }
}

TEST(waveform_without_sound_is_a_pure_function_of_pts)
{
    run_open(&r, "pattern solid size=320x240 fps=10 color=black -> waveform white glow=off "
                 "thickness=4 height=0.5 -> live");
    run_until(&r, 1);
    uint64_t want = ph_image_hash(run_picture(&r, 10));
    CHECK(ph_image_hash(run_picture(&r, 9)) != want);
    int before = 0, far = 0;
    for (int x = 0; x < 320; x++) {
        int top, bottom;
        find_line(run_picture(&r, 10), x, &top, &bottom);
        CHECK_INT(bottom - top, >=, 2); // no gap, and of its thickness
        CHECK_INT(bottom - top, <=, 20);
        if (x) CHECK_INT(abs(top - before), <=, 6);
        before = top;
        if (abs((top + bottom) / 2 - 120) > far) far = abs((top + bottom) / 2 - 120);
    }
    CHECK_INT(far, >, 8); // it does move
    CHECK_INT(far, <=, 62);
    run_close(&r);
    run_open(&r, "pattern solid size=320x240 fps=1 color=black -> waveform white glow=off "
                 "thickness=4 height=0.5 -> live");
    run_until(&r, 1);
    CHECK(ph_image_hash(run_picture(&r, 1)) == want);
    run_close(&r);
}

// A source of sound: a sine of 441 Hz in frames of 1/100 s.
static ph_err tone_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_samples(n, NULL, 1024, 2, 44100, &f);
    if (ret < 0) return ret;
    for (int i = 0; i < 1024; i++)
        f->samples.data[2 * i] = f->samples.data[2 * i + 1] =
            (float) sin(2 * M_PI * (i + 37.0) / 128);
    return ph_node_write(n, 0, f);
}

static ph_err tone_open(struct ph_node *n, struct ph_fault *fault)
{
    ph_node_set_rate(n, 100, 1);
    return PH_OK;
}

static const struct ph_node_info tone_info = {
    .name = "tone",
    .group = "source",
    .help = "a sine",
    .out = PH_PORTS({ "out", PH_SAMPLES, .help = "" }),
    .open = tone_open,
    .process = tone_process,
};

static const struct ph_node_info *nodes[64];

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ph_node_info *const *) a)->name,
                  (*(const struct ph_node_info *const *) b)->name);
}

static void add_tone(void)
{
    int n = 0;
    for (const struct ph_node_info *const *p = ph_nodes(); *p; p++) nodes[n++] = *p;
    nodes[n++] = &tone_info;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    r.par.nodes = nodes;
}

TEST(spectrum_shows_a_tone_in_its_band_at_its_level)
{
    add_tone(); // of 344.5 Hz: bar 3 of 10 reaches from 241 to 439
    run_open(&r, "pattern solid size=100x200 fps=20 color=black -> s: spectrum 10 color=white "
                 "height=0.5 -> live\n"
                 "tone -> s.audio");
    run_until(&r, 0.5);
    const struct ph_picture *p = run_picture(&r, r.count - 1);
    CHECK_PX(p, 35, 199, 0xffffffff);
    CHECK_PX(p, 35, 102, 0xffffffff); // full scale is half of the height
    CHECK_PX(p, 35, 97, 0x000000ff);
    CHECK_PX(p, 5, 190, 0x000000ff);
    CHECK_PX(p, 55, 190, 0x000000ff);
    run_close(&r);
}

TEST(spectrum_without_sound_changes_nothing)
{
    CHECK(run_hash_at("c", "pattern size=64x48 fps=10 -> spectrum -> live", 0.3) ==
          run_hash_at("c", "pattern size=64x48 fps=10 -> live", 0.3));
}

TEST(waveform_shows_the_sound_it_hears_from_a_rise_through_zero)
{
    add_tone();
    run_open(&r, "pattern solid size=512x200 fps=10 color=black -> w: waveform white glow=off "
                 "thickness=2 height=0.5 -> live\n"
                 "tone -> w.audio");
    run_until(&r, 0.5);
    const struct ph_picture *p = run_picture(&r, r.count - 1);
    // 512 samples on 512 columns, four waves; crest and trough a quarter of 200 away
    for (int k = 1; k < 3; k++) { // the middle: at full height
        int top, bottom;
        find_line(p, 128 * k, &top, &bottom);
        CHECK_INT(abs((top + bottom) / 2 - 100), <=, 3);
        find_line(p, 128 * k + 32, &top, &bottom);
        CHECK_INT(abs((top + bottom) / 2 - 50), <=, 1);
        find_line(p, 128 * k + 96, &top, &bottom);
        CHECK_INT(abs((top + bottom) / 2 - 150), <=, 1);
    }
    run_close(&r);
}

TEST(blur_keeps_the_mean_and_takes_the_edges)
{
    static const char *const kinds[] = { "gauss", "box" };
    for (int k = 0; k < 2; k++) {
        char text[200];
        snprintf(text, sizeof text,
                 "pattern checkerboard size=128x128 cell=64 color=white color2=black -> blur "
                 "12 kind=%s -> live",
                 kinds[k]);
        const struct ph_picture *p = run_first(&r, text);
        struct ph_moments m;
        ph_image_moments(&m, p);
        CHECK_NUM(fabs(m.mean[0] - 127.5), <, 1);
        CHECK_PX(p, 5, 5, 0xffffffff); // far from an edge nothing changes
        CHECK_INT(abs((int) (px(p, 63, 20) >> 24) - 128), <=, 16);
        for (int x = 50; x < 78; x++) CHECK_INT(px(p, x + 1, 20) >> 24, <=, px(p, x, 20) >> 24);
        run_set(&r, "blur", "radius", "0");
        run_until(&r, 0.02);
        CHECK_PX(run_picture(&r, r.count - 1), 63, 20, 0xffffffff);
        CHECK_PX(run_picture(&r, r.count - 1), 64, 20, 0x000000ff);
        run_close(&r);
    }
}

TEST(color_does_what_its_knobs_say)
{
    run_open(&r, "pattern solid size=16x16 color=#c08040 -> color -> live");
    run_until(&r, 0);
    CHECK_PX(run_picture(&r, 0), 3, 3, 0xc08040ff); // neutral
    run_set(&r, "color", "saturation", "0");
    run_until(&r, 0.02);
    uint32_t grey = px(run_picture(&r, r.count - 1), 3, 3);
    CHECK_INT(grey >> 24, ==, grey >> 16 & 255);
    CHECK_INT(grey >> 24, ==, grey >> 8 & 255);
    run_set(&r, "color", "brightness", "1");
    run_until(&r, 0.04);
    CHECK_PX(run_picture(&r, r.count - 1), 3, 3, 0xffffffff);
    run_set(&r, "color", "brightness", "0");
    run_set(&r, "color", "saturation", "1");
    run_set(&r, "color", "gamma", "2");
    run_until(&r, 0.06);
    CHECK_INT(px_far(px(run_picture(&r, r.count - 1), 3, 3), 0xddb480ff), <=, 1); // sqrt
    run_close(&r);
}

TEST(a_picture_that_two_nodes_read_is_drawn_on_by_neither)
{
    // both branches get one frame; what overlay draws must not show in the other
    run_open(&r, "p: pattern solid size=64x48 color=black -> overlay border=5 color=red -> "
                 "null\np -> live");
    run_until(&r, 0.1);
    for (int i = 0; i < r.count; i++)
        CHECK_INT(count_other(run_picture(&r, i), 0x000000ff), ==, 0);
    CHECK_INT(r.count, >=, 6);
    run_close(&r);
}

TEST(every_step_takes_every_size_with_the_same_bytes_on_every_level)
{
    run_same_on_all_levels("pattern size=511x321 id=on fps=30 -> overlay -> waveform -> blur 5 "
                           "-> color hue=40 contrast=1.3 -> live",
                           0.2);
    run_same_on_all_levels("pattern size=97x55 fps=30 -> blur 40 -> blur 3 kind=box -> color "
                           "gamma=1.7 saturation=2 -> live",
                           0.1);
    static const char *const steps[] = { "overlay border=2",
                                         "waveform",
                                         "waveform thickness=40",
                                         "blur 64",
                                         "blur 64 kind=box",
                                         "color hue=90",
                                         PH_HAVE_TEXT ? "text \"a b\\nc\" outline=2"
                                                      : "overlay" };
    static const char *const sizes[] = { "1x1", "2x1", "1x3", "17x9" };
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 4; k++) {
            char text[160];
            snprintf(text, sizeof text, "pattern size=%s -> %s -> live", sizes[k], steps[i]);
            run_open(&r, text);
            run_until(&r, 0.05);
            CHECK_INT(r.count, ==, 4);
            CHECK_INT(r.problems, ==, 0);
            run_close(&r);
        }
}
