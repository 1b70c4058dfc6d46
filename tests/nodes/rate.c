// SPDX-License-Identifier: MIT
#include "run.h"

#include "image/barcode.h"
#include "nodes/util.h"

static struct run r;

// A source whose frames have the times of a list; each shows its place in it.
static int64_t times_ns[4096];
static int times_count;

struct times {
    int next;
};

static ph_err times_process(struct ph_node *n)
{
    struct times *p = ph_priv(n);
    struct ph_frame *f;
    if (p->next == times_count) return PH_EOF;
    ph_err ret = ph_frame_picture(ph_node_pool(n), PH_RGBA, 48, 30, &f);
    if (ret < 0) return ret;
    ph_node_stamp_at(n, f, times_ns[p->next], 0);
    ph_barcode_draw(&f->picture, PH_BARCODE_CENTER, (uint32_t) p->next++);
    return ph_node_write(n, 0, f);
}

static int64_t times_due(struct ph_node *n, int64_t now_ns)
{
    const struct times *p = ph_priv(n);
    return p->next < times_count && times_ns[p->next] > now_ns ? times_ns[p->next] : now_ns;
}

static const struct ph_node_info times_info = {
    .name = "times",
    .group = "source",
    .help = "frames with the times of a list",
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "" }),
    .priv_size = sizeof(struct times),
    .process = times_process,
    .due = times_due,
};

static const struct ph_node_info *nodes[64];

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ph_node_info *const *) a)->name,
                  (*(const struct ph_node_info *const *) b)->name);
}

static void run_times(const char *text, double seconds)
{
    int n = 0;
    for (const struct ph_node_info *const *p = ph_nodes(); *p; p++) nodes[n++] = *p;
    nodes[n++] = &times_info;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    r.par = (struct ph_graph_params){ .nodes = nodes };
    run_open(&r, text);
    run_until(&r, seconds);
}

static uint32_t shown(int i)
{
    uint32_t id = UINT32_MAX;
    CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
    return id;
}

static void check_grid(int64_t num, int64_t den)
{
    for (int i = 0; i < r.count && i < RUN_FRAMES; i++) {
        CHECK_INT(r.frames[i]->id, ==, i);
        CHECK_INT(r.frames[i]->pts_ns, ==, i * den * PH_SECOND_NS / num);
    }
}

TEST(rates_are_exact_ratios)
{
    static const struct {
        double fps;
        int64_t num, den;
    } cases[] = { { 30, 30, 1 },
                  { 29.97, 30000, 1001 },
                  { 23.976, 24000, 1001 },
                  { 59.94, 60000, 1001 },
                  { 29.97002997, 30000, 1001 },
                  { 12.5, 12500, 1000 },
                  { 0.5, 500, 1000 },
                  { 1000, 1000, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t num, den;
        ph_fps_ratio((double) (float) cases[i].fps, &num, &den);
        CHECK_INT(num, ==, cases[i].num);
        CHECK_INT(den, ==, cases[i].den);
    }
}

TEST(d2_31_a_second_of_24_becomes_a_second_of_60_and_each_moment_shows_the_nearest_frame)
{
    times_count = 24;
    for (int i = 0; i < 24; i++) times_ns[i] = i * PH_SECOND_NS / 24;
    run_times("times -> rate 60 -> live", 2);
    CHECK_INT(r.count, ==, 60);
    check_grid(60, 1);
    for (int k = 0; k < 60; k++) {
        int want = 0; // the last frame whose moment, ceil(2.5 i - 0.5), is not after k
        while (want < 23 && ceil((want + 1) * 2.5 - 0.5) <= k) want++;
        CHECK_INT(shown(k), ==, want);
    }
    run_close(&r);
}

TEST(d2_33_every_second_frame_of_60_makes_30_and_is_passed_on_at_once)
{
    times_count = 60;
    for (int i = 0; i < 60; i++) times_ns[i] = i * PH_SECOND_NS / 60;
    run_times("times -> rate 30 -> live", 0.5);
    CHECK_INT(r.count, ==, 16); // 0 .. 0.5 s: none is waiting for a later one
    run_until(&r, 2);
    CHECK_INT(r.count, ==, 30);
    check_grid(30, 1);
    for (int k = 0; k < 30; k++) CHECK_INT(shown(k), ==, 2 * k);
    run_close(&r);
}

// Nothing adds up: 7.4925 to 6.25 over nine minutes of pts.
TEST(d2_34_nine_minutes_of_ntsc_are_nine_minutes_of_pal)
{
    times_count = 4000;
    int64_t end_ns = 0;
    for (int i = 0; i < times_count; i++)
        times_ns[i] = i * 4 * PH_SECOND_NS * 1001 / 30000 + i % 3;
    end_ns = times_ns[times_count - 1];
    run_times("times -> rate 6.25 -> live", 1000);
    int want = (int) (end_ns / (PH_SECOND_NS / 6.25)) + 1;
    CHECK_INT(abs(r.count - want), <=, 1);
    check_grid(25, 4);
    int64_t behind = end_ns - (int64_t) (r.count - 1) * PH_SECOND_NS * 4 / 25;
    CHECK_INT(llabs(behind), <, PH_SECOND_NS * 4 / 25);
    run_close(&r);
}

TEST(jitter_of_a_quarter_of_a_period_neither_drops_nor_repeats)
{
    times_count = 300;
    for (int i = 0; i < times_count; i++)
        times_ns[i] = i * PH_SECOND_NS / 30 + (i % 5 - 2) * 4000000 + 21000000;
    run_times("times -> rate 30 -> live", 20);
    CHECK_INT(r.count - 300, <=, 1); // the last frame may last a moment longer
    for (int k = 0; k < 300; k++) CHECK_INT(shown(k), ==, k);
    run_close(&r);
}

TEST(a_short_hole_is_filled_and_a_long_one_is_not)
{
    times_count = 4;
    times_ns[0] = 0;
    times_ns[1] = PH_SECOND_NS / 10;
    times_ns[2] = PH_SECOND_NS * 6 / 10; // five moments on: filled with frame 1
    times_ns[3] = PH_SECOND_NS * 3600;
    run_times("times -> rate 10 gap=1 -> live", 3601);
    CHECK_INT(r.count, >=, 8);
    CHECK_INT(r.count, <, 40);
    for (int k = 1; k < 6; k++) CHECK_INT(shown(k), ==, 1);
    CHECK_INT(shown(6), ==, 2);
    CHECK_INT(shown(7), ==, 3);
    CHECK_INT(r.frames[7]->pts_ns, ==, 3600 * PH_SECOND_NS);
    CHECK_INT(r.frames[7]->id, ==, 7);
    run_close(&r);
}

TEST(a_hole_that_would_fill_the_memory_is_not_filled)
{
    static const int sizes[] = { 16, 1024 };
    for (int i = 0; i < 2; i++) {
        char text[160];
        snprintf(text, sizeof text,
                 "pattern solid size=%dx%d fps=1 -> rate 1000 gap=3600 -> live", sizes[i],
                 sizes[i]);
        r.par = (struct ph_graph_params){ 0 };
        run_open(&r, text);
        run_until(&r, 2.5);
        CHECK_INT(r.count, ==, i ? 3 : 2001); // a thousand of 4 MiB are too many
        run_close(&r);
    }
}

TEST(a_clock_that_goes_back_starts_anew_and_ids_go_on_rising)
{
    times_count = 20;
    for (int i = 0; i < 10; i++) times_ns[i] = (i + 100) * PH_SECOND_NS / 10;
    for (int i = 10; i < 20; i++) times_ns[i] = i * PH_SECOND_NS / 10 - PH_SECOND_NS;
    run_times("times -> rate 10 gap=0.5 -> live", 30);
    CHECK_INT(r.count, >=, 20);
    CHECK_INT(r.count, <=, 21);
    for (int i = 1; i < r.count; i++) CHECK_INT(r.frames[i]->id, ==, r.frames[i - 1]->id + 1);
    CHECK_INT(shown(10), ==, 10);
    run_close(&r);
}

TEST(repeats_share_no_bytes_with_a_frame_that_is_drawn_on)
{
    // text draws into what rate gives it; the repeat of that frame must be clean
    times_count = 3;
    times_ns[0] = 0;
    times_ns[1] = PH_SECOND_NS / 2;
    times_ns[2] = PH_SECOND_NS;
    run_times("times -> rate 10 -> overlay border=3 color=#ffffff20 marks=off -> live", 3);
    CHECK_INT(r.count, >=, 10);
    uint64_t first = ph_image_hash(run_picture(&r, 0));
    for (int k = 1; k < 5; k++) CHECK(ph_image_hash(run_picture(&r, k)) == first);
    run_close(&r);
}

TEST(the_rate_changes_live_without_a_step_back)
{
    r.par = (struct ph_graph_params){ 0 };
    run_open(&r, "pattern size=48x30 fps=60 -> rate 30 -> live");
    run_until(&r, 1);
    int before = r.count;
    CHECK_INT(before, ==, 31);
    run_set(&r, "rate", "fps", "10");
    run_until(&r, 3);
    CHECK_INT(r.count - before, >=, 19);
    CHECK_INT(r.count - before, <=, 21);
    for (int i = 1; i < r.count; i++) {
        CHECK_INT(r.frames[i]->pts_ns, >, r.frames[i - 1]->pts_ns);
        CHECK_INT(r.frames[i]->id, >, r.frames[i - 1]->id);
    }
    run_close(&r);
}

TEST(a_render_on_threads_gives_the_frames_of_the_stepped_run)
{
    uint64_t hash[2] = { 0, 0 };
    for (int k = 0; k < 2; k++) {
        r.par = (struct ph_graph_params){ .mode = k ? PH_OFFLINE : PH_STEPPED, .frames = 24 };
        run_open(&r, "pattern size=96x60 fps=24 id=on =>[block 2] rate 60 =>[block 2] live");
        if (k) {
            CHECK_OK(ph_graph_start(r.graph));
            CHECK_INT(ph_graph_wait(r.graph, -1), ==, PH_EOF);
        } else {
            CHECK_INT(run_until(&r, 5), ==, PH_EOF);
        }
        CHECK_INT(r.count, ==, 60);
        for (int i = 0; i < r.count; i++)
            hash[k] = hash[k] * 31 + ph_image_hash(run_picture(&r, i)) +
                      (uint64_t) r.frames[i]->pts_ns;
        run_close(&r);
    }
    CHECK(hash[0] == hash[1]);
}
