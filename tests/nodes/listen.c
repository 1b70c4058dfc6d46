// SPDX-License-Identifier: MIT
// The node that listens, on the virtual clock: a source of clicks, and a sink that keeps signals.
#include "run.h"

#include <math.h>

static struct run r;

// 120 clicks a minute, in pieces of `piece` samples; from `change_s` on at another rate.
struct clicks {
    int64_t rate, channels, piece;
    float gap_s;    // a hole in the pts after 10 s
    int64_t second; // rate after 12 s; 0 = the same
    int64_t taken;  // samples of the present rate
    double begun_s;
    bool hole;
};

static ph_err clicks_process(struct ph_node *n)
{
    struct clicks *p = ph_priv(n);
    struct ph_frame *f;
    double at_s = p->begun_s + (double) p->taken / (double) p->rate;
    if (p->second && at_s >= 12) {
        p->rate = p->second;
        p->second = p->taken = 0;
        p->begun_s = at_s;
    }
    int count = (int) p->piece;
    ph_err ret = ph_node_samples(n, NULL, count, (int) p->channels, (int) p->rate, &f);
    if (ret < 0) return ret;
    for (int i = 0; i < count; i++) {
        double t = p->begun_s + (double) (p->taken + i) / (double) p->rate, in = fmod(t, 0.5);
        double v = in < 0.05 ? exp(-in * 80) * sin(in * 2 * M_PI * 900) : 0;
        for (int c = 0; c < p->channels; c++)
            f->samples.data[i * p->channels + c] = (float) v * 0.7f;
    }
    double late_s = at_s >= 10 ? (double) p->gap_s : 0;
    ph_node_stamp_at(n, f, (int64_t) llround((at_s + late_s) * 1e9), 0);
    p->taken += count;
    return ph_node_write(n, 0, f);
}

static int64_t clicks_due(struct ph_node *n, int64_t now_ns)
{
    const struct clicks *p = ph_priv(n);
    return (int64_t) ((p->begun_s + (double) (p->taken + p->piece) / (double) p->rate) * 1e9);
}

static const struct ph_node_info clicks_info = {
    .name = "clicks",
    .group = "source",
    .help = "120 clicks a minute",
    .out = PH_PORTS({ "out", PH_SAMPLES, .help = "" }),
    .params =
        (const struct ph_param[]){ PH_INT(struct clicks, rate, 1, 1000000, .def = "48000"),
                                   PH_INT(struct clicks, channels, 1, 8, .def = "2"),
                                   PH_INT(struct clicks, piece, 1, 100000, .def = "1024"),
                                   PH_INT(struct clicks, second, 0, 1000000),
                                   PH_FLOAT(struct clicks, gap_s, -100, 100),
                                   { 0 } },
    .priv_size = sizeof(struct clicks),
    .process = clicks_process,
    .due = clicks_due,
};

static struct {
    int64_t pts_ns;
    uint64_t id;
    struct ph_beat beat;
    float value[256];
} got[8192];
static int got_count;

static ph_err keep_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    CHECK_INT(f->kind, ==, PH_SIGNALS);
    if (got_count < 8192) {
        got[got_count].pts_ns = f->pts_ns;
        got[got_count].id = f->id;
        got[got_count].beat = f->signals.beat;
        memcpy(got[got_count].value, f->signals.value,
               (size_t) f->signals.count * sizeof(float));
        got_count++;
    }
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info keep_info = {
    .name = "keep",
    .group = "deliver",
    .help = "keeps signals",
    .in = PH_PORTS({ "in", PH_SIGNALS, .help = "" }),
    .process = keep_process,
};

static const struct ph_node_info *nodes[128];

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ph_node_info *const *) a)->name,
                  (*(const struct ph_node_info *const *) b)->name);
}

static void open_graph(const char *text)
{
    int n = 0;
    for (const struct ph_node_info *const *p = ph_nodes(); *p; p++) nodes[n++] = *p;
    nodes[n++] = &clicks_info;
    nodes[n++] = &keep_info;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    nodes[n] = NULL;
    r.par = (struct ph_graph_params){ .nodes = nodes, .always_on = true };
    got_count = 0;
    run_open(&r, text);
}

static int signal_of(const struct ph_node_info *info, const char *name)
{
    for (int i = 0; info->signals[i].name; i++)
        if (!strcmp(info->signals[i].name, name)) return i;
    TEST_FAIL("there is no signal %s", name);
}

extern const struct ph_node_info ph_node_listen;

// Beats are at whole half seconds of the stream's time.
static void check_beats(double from_s)
{
    int crossed = 0;
    for (int i = 1; i < got_count; i++) {
        double s = (double) got[i].pts_ns * 1e-9, beat = got[i].beat.beat;
        CHECK_INT(got[i].pts_ns, >, got[i - 1].pts_ns);
        CHECK_INT(got[i].id, >, got[i - 1].id);
        CHECK_NUM(beat, >=, got[i - 1].beat.beat);
        if (s < from_s) continue;
        CHECK_NUM(fabs(got[i].beat.bpm - 120), <=, 1.5);
        double off = beat - s * 2;
        CHECK_NUM(fabs(off - floor(off + 0.5)), <=, 0.06);
        crossed++;
    }
    CHECK_INT(crossed, >, 100);
}

TEST(sound_becomes_a_hundred_frames_of_signals_a_second)
{
    open_graph("clicks -> listen -> keep");
    run_until(&r, 10);
    CHECK_INT(got_count, >=, 990);
    CHECK_INT(got_count, <=, 1000);
    for (int i = 0; i < 300; i++) // about the middle of the newest 16 ms
        CHECK_INT(llabs(got[i].pts_ns - ((i + 1) * INT64_C(10000000) - 8000000)), <=, 30000);
    check_beats(6);
    int phase = signal_of(&ph_node_listen, "beat_phase"),
        bpm = signal_of(&ph_node_listen, "bpm");
    CHECK_NUM(fabs((double) got[900].value[bpm] - got[900].beat.bpm), <=, 1e-3);
    CHECK_NUM(fabs((double) got[900].value[phase] - fmod(got[900].beat.beat, 1)), <=, 1e-3);
    run_close(&r);
}

TEST(sound_of_any_rate_and_pieces_is_heard)
{
    static const char *const texts[] = {
        "clicks rate=8000 channels=1 piece=33 -> listen -> keep",
        "clicks rate=384000 channels=8 piece=60000 -> listen -> keep",
        "clicks rate=48000 second=22050 -> listen -> keep",
    };
    for (int i = 0; i < 3; i++) {
        open_graph(texts[i]);
        run_until(&r, i == 1 ? 8 : 16);
        check_beats(6);
        run_close(&r);
    }
}

TEST(a_rate_that_cannot_be_heard_is_named)
{
    open_graph("clicks rate=100 channels=1 -> listen -> keep");
    run_until(&r, 30);
    CHECK_HAS(r.problem, "100 Hz");
    CHECK_INT(got_count, ==, 0);
    run_close(&r);
}

TEST(time_goes_on_over_a_hole_in_the_sound)
{
    open_graph("clicks gap_s=5 -> listen -> keep");
    run_until(&r, 20);
    for (int i = 1; i < got_count; i++) CHECK_INT(got[i].pts_ns, >, got[i - 1].pts_ns);
    CHECK_NUM((double) got[got_count - 1].pts_ns * 1e-9, >=, 24.8);
    check_beats(22);
    run_close(&r);
}

TEST(another_film_begins_its_time_anew)
{
    open_graph("clicks gap_s=-10 -> listen -> keep"); // after 10 s it is 0 s again
    run_until(&r, 20);
    int back = 0;
    for (int i = 1; i < got_count; i++) back += got[i].pts_ns < got[i - 1].pts_ns;
    CHECK_INT(back, ==, 1);
    CHECK_NUM(fabs((double) got[got_count - 1].pts_ns * 1e-9 - 10), <, 0.2);
    CHECK_NUM(fabs(got[got_count - 1].beat.bpm - 120), <=, 1.5);
    run_close(&r);
}

TEST(the_same_sound_gives_the_same_signals)
{
    static typeof(got[0]) first[2000];
    for (int turn = 0; turn < 2; turn++) {
        open_graph("clicks -> listen spring=on -> keep");
        run_until(&r, 8);
        CHECK_INT(got_count, >, 700);
        if (turn)
            CHECK(memcmp(first, got, sizeof *got * (size_t) got_count) == 0);
        else
            memcpy(first, got, sizeof *got * (size_t) got_count);
        run_close(&r);
    }
}

TEST(a_tempo_can_be_tapped_held_and_set)
{
    open_graph("clicks rate=8000 channels=1 piece=80 -> listen -> keep");
    run_until(&r, 0.1);
    for (int i = 0; i < 6; i++) { // a beat each 0.6 s: the clicks will disagree
        run_until(&r, 1 + i * 0.6);
        run_set(&r, "listen", "tap", "on");
    }
    run_until(&r, 4.05);
    CHECK_NUM(fabs(got[got_count - 1].beat.bpm - 100), <=, 3);
    run_set(&r, "listen", "hold", "on");
    run_until(&r, 4.2);
    double held = got[got_count - 1].beat.bpm;
    run_until(&r, 14);
    CHECK_NUM(fabs(got[got_count - 1].beat.bpm - held), <=, 1e-9);
    run_set(&r, "listen", "hold", "off");
    run_until(&r, 24); // and then the music has it again
    CHECK_NUM(fabs(got[got_count - 1].beat.bpm - 120), <=, 1.5);
    run_set(&r, "listen", "bpm", "90");
    run_set(&r, "listen", "scale", "double");
    run_until(&r, 26);
    CHECK_NUM(fabs(got[got_count - 1].beat.bpm - 180), <=, 1e-3);
    run_set(&r, "listen", "resync", "on");
    run_until(&r, 26.05);
    CHECK_NUM(fmod(got[got_count - 1].beat.beat + 0.5, 4), <=, 1.2);
    run_close(&r);
}

TEST(an_offset_makes_beats_later)
{
    open_graph("clicks -> listen offset=100 -> keep");
    run_until(&r, 12);
    const struct ph_beat *b = &got[got_count - 1].beat;
    double s = (double) got[got_count - 1].pts_ns * 1e-9, off = b->beat - (s - 0.1) * 2;
    CHECK_NUM(fabs(off - floor(off + 0.5)), <=, 0.06);
    run_close(&r);
}
