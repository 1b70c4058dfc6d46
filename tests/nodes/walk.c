// SPDX-License-Identifier: MIT
// Walks of the node diffusion, each said by a line of the graph text, on a small model of random
// weights.
#include "run.h"

#include "../models/small.h"

#include <math.h>

static struct run r;

// --- a song without a sound: signals that are functions of the time

static const char *const notes[12] = { "c",  "cs", "d",  "ds", "e",  "f",
                                       "fs", "g",  "gs", "a",  "as", "b" };
static struct ph_signal_info signals[16] = { { "energy", 0, 1, "loud in every second second" },
                                             { "beat_env", 0, 1, "a peak each half second" },
                                             { "kick", 0, 1, "loud as energy" } };
enum { ENERGY, BEAT_ENV, KICK, CHROMA };

static ph_err mood_open(struct ph_node *n, struct ph_fault *fault)
{
    (void) fault;
    ph_node_set_rate(n, 40, 1);
    return PH_OK;
}

static ph_err mood_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_signals(n, NULL, &f);
    if (ret < 0) return ret;
    double t = (double) ph_node_tick(n).pts_ns * 1e-9;
    f->signals.value[ENERGY] = f->signals.value[KICK] = (float) ((int) t % 2);
    f->signals.value[BEAT_ENV] = (float) exp(-fmod(t, 0.5) / 0.05);
    for (int k = 0; k < 12; k++) f->signals.value[CHROMA + k] = (int) t % 12 == k;
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info mood = {
    .name = "mood",
    .group = "source",
    .help = "signals of the time",
    .out = PH_PORTS({ "out", PH_SIGNALS, .help = "" }),
    .signals = signals,
    .open = mood_open,
    .process = mood_process,
};

static const struct ph_node_info *nodes[128];

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ph_node_info *const *) a)->name,
                  (*(const struct ph_node_info *const *) b)->name);
}

// --- running a text; "MODEL" in it is the small one

static char names[12][16];

static const char *text_of(const char *text)
{
    static char full[2][4000];
    static int turn;
    const char *at = strstr(text, "MODEL");
    char *out = full[turn++ % 2];
    snprintf(out, sizeof full[0], "%.*smodel=%s precision=f32 device=cpu:threads=1%s",
             (int) (at - text), text, small(), at + 5);
    return out;
}

static void open_text(const char *text)
{
    int n = 0;
    for (int k = 0; k < 12; k++) {
        snprintf(names[k], sizeof names[k], "chroma_%s", notes[k]);
        signals[CHROMA + k] = (struct ph_signal_info){ names[k], 0, 1, "a second each" };
    }
    while (ph_nodes()[n]) n++;
    memcpy(nodes, ph_nodes(), (size_t) n * sizeof *nodes);
    nodes[n++] = &mood;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    memset(&r, 0, sizeof r);
    r.par.nodes = nodes;
    run_open(&r, text_of(text));
}

static void run_text(const char *text, double seconds)
{
    open_text(text);
    run_until(&r, seconds);
    if (r.problem[0]) TEST_FAIL("%s: %s", text, r.problem);
}

static uint64_t hash_of(int i)
{
    return ph_image_hash(run_picture(&r, i));
}

static void hashes(const char *text, double seconds, uint64_t *out, int count)
{
    run_text(text, seconds);
    CHECK_INT(r.count, >=, count);
    for (int i = 0; i < count; i++) out[i] = hash_of(i);
    run_close(&r);
}

static int distinct(const uint64_t *h, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++) seen |= h[k] == h[i];
        count += !seen;
    }
    return count;
}

// --- the circle

TEST(an_angle_that_beats_drive_walks_without_a_wish_and_comes_round_again)
{
    struct ph_model_report report;
    run_text("d: diffusion size=64x64 fps=8 radius=1 MODEL -> live\nd.angle <- beat / 4", 4.5);
    uint64_t h[36];
    CHECK_INT(r.count, >=, 36); // two beats a second: two turns in four seconds
    for (int i = 0; i < 36; i++) h[i] = hash_of(i);
    CHECK_INT(distinct(h, 16), ==, 16);
    for (int i = 0; i < 16; i++) CHECK(h[i] == h[i + 16]);
    CHECK(ph_graph_report(r.graph, 35, &report));
    CHECK_INT((int64_t) report.landed, ==, 1);
    run_close(&r);
}

TEST(an_angle_that_wraps_is_the_same_as_one_that_goes_on)
{
    uint64_t on[20], wrapped[20];
    hashes("d: diffusion size=64x64 fps=8 radius=0.5 MODEL -> live\nd.angle <- time - 1", 2.5,
           on, 20);
    hashes("d: diffusion size=64x64 fps=8 radius=0.5 MODEL -> live\n"
           "d.angle <- fract(time) + 3",
           2.5, wrapped, 20);
    for (int i = 0; i < 20; i++) CHECK(on[i] == wrapped[i]);
    CHECK_INT(distinct(on, 8), ==, 8);
}

TEST(spin_turns_as_far_at_any_number_of_pictures_a_second)
{
    uint64_t few[9], many[17], sound[17];
    hashes("d: diffusion size=64x64 fps=8 radius=1 spin=0.25 MODEL -> live", 1, few, 9);
    hashes("d: diffusion size=64x64 fps=16 radius=1 spin=0.25 MODEL -> live", 1, many, 17);
    hashes("d: diffusion size=64x64 fps=16 radius=1 MODEL -> live\nd.angle <- time / 4", 1,
           sound, 17);
    CHECK_INT(distinct(many, 17), ==, 17);
    for (int i = 0; i < 9; i++) CHECK(few[i] == many[2 * i]);
    for (int i = 0; i < 17; i++) CHECK(many[i] == sound[i]);
}

TEST(spin_follows_the_music_and_the_phase_never_jumps_back)
{
    uint64_t h[32];
    hashes("m: mood; d: diffusion size=64x64 fps=8 radius=1 MODEL -> live\n"
           "d.spin <- energy * 0.125",
           3.9, h, 32);
    CHECK_INT(distinct(h, 8), ==, 1);      // silent for a second
    CHECK_INT(distinct(h + 8, 8), ==, 8);  // loud
    CHECK_INT(distinct(h + 16, 7), <=, 2); // silent: it stays where it was
    CHECK(h[20] != h[0]);
    CHECK_INT(distinct(h + 24, 8), ==, 8);
}

TEST(a_hard_cut_puts_the_phase_back_and_a_soft_one_does_not)
{
    run_text("d: diffusion size=64x64 fps=8 radius=1 spin=0.1 MODEL -> live", 1);
    uint64_t first = hash_of(0);
    CHECK_OK(ph_graph_cut(r.graph, 5, (struct ph_cut){ .chunks = 1 }));
    run_until(&r, 2);
    for (int i = 1; i < r.count; i++) CHECK(hash_of(i) != first);
    CHECK_OK(ph_graph_cut(r.graph, 5, (struct ph_cut){ .hard = true }));
    int n = r.count;
    run_until(&r, 2.2);
    CHECK_INT(r.count, >, n);
    CHECK(hash_of(n) == first);
    run_close(&r);
}

// --- seeds, filter, blend: a line each

TEST(seeds_change_on_bars)
{
    uint64_t h[18], third[1];
    // nobody knows a tempo: 120 a minute, a bar in two seconds
    hashes("d: diffusion size=64x64 fps=2 seed=5 MODEL -> live\n"
           "d.variation <- floor(bar / 2)",
           8.5, h, 18);
    for (int i = 0; i < 16; i++) CHECK((h[i] == h[i - i % 8]));
    CHECK_INT(distinct(h, 18), ==, 3);
    hashes("d: diffusion size=64x64 fps=2 seed=7 MODEL -> live", 0, third, 1);
    CHECK(third[0] == h[16]);
}

TEST(seeds_cross_over_in_the_last_beat_of_four_bars)
{
    uint64_t h[70];
    hashes("d: diffusion size=64x64 fps=8 MODEL -> live\n"
           "d.variation <- floor(bar / 4) + smoothstep(fract(bar / 4) * 16 - 15)",
           8.7, h, 70);
    CHECK_INT(distinct(h, 61), ==, 1);     // 15 beats, 7.5 s
    CHECK_INT(distinct(h + 60, 5), ==, 5); // one beat
    CHECK_INT(distinct(h + 64, 6), ==, 1);
    CHECK(h[64] != h[0]);
}

#define STILL                                                                                  \
    "m: mood; pattern bars size=64x64 fps=8 -> d: diffusion similar_max=1000 MODEL -> live\n"

static int skipped_at(uint64_t id)
{
    struct ph_model_report report;
    CHECK(ph_graph_report(r.graph, id, &report));
    return (int) report.skipped;
}

TEST(the_filter_listens_to_energy_and_to_the_beat)
{
    run_text(STILL "d.similar <- min(0.99, 0.95 + (1 - energy) * 0.04) * step(beat_env, 0.1)",
             3.95);
    CHECK_INT(r.count, ==, 32);
    // the envelope is above 0.1 for 0.115 s after each beat, two beats a second: one picture in
    // four is painted, and the one after it, which begins the comparison
    CHECK_INT(skipped_at(31), ==, 16);
    run_close(&r);
    open_text(STILL "d.similar <- 0.99 * (1 - energy)"); // only in silence
    int at[4];
    for (int i = 0; i < 4; i++) {
        run_until(&r, i + 0.95);
        at[i] = skipped_at((uint64_t) (8 * i + 7));
    }
    int quiet = at[0], loud = at[1], again = at[2];
    CHECK_INT(quiet, ==, 7);
    CHECK_INT(loud, <=, quiet + 1);
    CHECK_INT(again, >=, loud + 6);
    CHECK_INT(at[3], <=, again + 1);
    run_close(&r);
}

// How far two pictures are apart, of 255.
static double apart(int i, int k)
{
    const struct ph_picture *p = run_picture(&r, i), *q = run_picture(&r, k);
    double sum = 0;
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 256; x++)
            sum += abs(p->data[0][y * p->stride[0] + x] - q->data[0][y * q->stride[0] + x]);
    return sum / (64 * 192);
}

TEST(what_stays_of_the_picture_before_listens_to_energy)
{
    run_text("m: mood; d: diffusion size=64x64 fps=8 MODEL -> live\n"
             "d.smooth <- min(0.8, 0.9 * (1 - 0.5 * energy))\n"
             "d.variation <- floor(time * 8)",
             3.95);
    double quiet = 0, loud = 0;
    for (int i = 2; i < 8; i++) quiet += apart(i, i - 1) + apart(i + 16, i + 15);
    for (int i = 10; i < 16; i++) loud += apart(i, i - 1) + apart(i + 16, i + 15);
    CHECK_NUM(quiet, >, 0);
    CHECK_NUM(loud, >, 1.3 * quiet);
    run_close(&r);
}

// --- prompts

TEST(a_position_walks_round_the_prompts_and_typing_one_ends_the_walk)
{
    uint64_t alone[2], other[1];
    hashes("d: diffusion \"a harbour at night\" size=64x64 fps=8 MODEL -> live", 0.2, alone, 1);
    hashes("d: diffusion \"red silk\" size=64x64 fps=8 MODEL -> live", 0.2, other, 1);
    run_text(
        "d: diffusion \"a cat | a harbour at night | snow\" walk=position size=64x64 fps=9 "
        "MODEL -> live\nd.position <- time / 3",
        3);
    uint64_t h[28];
    for (int i = 0; i < 28; i++) h[i] = hash_of(i);
    CHECK_INT(distinct(h, 27), ==, 27);
    CHECK(h[27] == h[0]);
    run_set(&r, "d", "prompt", "red silk");
    run_until(&r, 3.5);
    CHECK(hash_of(r.count - 1) == other[0]);
    run_close(&r);
    hashes("d: diffusion \"a cat | a harbour at night\" walk=position position=0.5 size=64x64 "
           "fps=8 MODEL -> live",
           0.2, &alone[1], 1);
    CHECK(alone[0] == alone[1]);
}

TEST(twelve_notes_call_twelve_prompts)
{
    uint64_t h[24], alone[2];
    hashes("m: mood; d: diffusion \"one|two|three|four|five|six|seven|eight|nine|ten|eleven|"
           "twelve\" walk=notes reach=1 size=64x64 fps=2 MODEL -> live\nm => d.notes",
           11.9, h, 24);
    CHECK_INT(distinct(h, 24), ==, 12);
    for (int i = 0; i < 24; i += 2) CHECK(h[i] == h[i + 1]);
    hashes("d: diffusion \"one\" size=64x64 fps=2 MODEL -> live", 0, &alone[0], 1);
    hashes("d: diffusion \"twelve\" size=64x64 fps=2 MODEL -> live", 0, &alone[1], 1);
    CHECK(h[0] == alone[0]);
    CHECK(h[22] == alone[1]);
}

TEST(notes_that_nobody_plays_leave_the_base)
{
    uint64_t base[1], h[3];
    hashes("d: diffusion \"base\" size=64x64 fps=2 MODEL -> live", 0, base, 1);
    hashes(
        "d: diffusion \"base|1|2|3|4|5|6|7|8|9|10|11|12\" walk=notes size=64x64 fps=2 MODEL -> "
        "live",
        1, h, 3);
    CHECK(h[0] == base[0]);
    CHECK_INT(distinct(h, 3), ==, 1);
}

// --- sizes, and what is wrong

TEST(a_picture_is_as_large_as_the_model_was_trained_for_where_nothing_says_otherwise)
{
    static const struct {
        const char *text;
        int width, height;
    } all[] = {
        { "diffusion MODEL -> live", 64, 64 },
        { "pattern bars size=48x32 fps=8 -> diffusion MODEL -> live", 48, 32 },
        { "pattern bars size=48x32 fps=8 -> diffusion sized_by=model MODEL -> live", 64, 64 },
        { "pattern bars size=48x32 fps=8 -> diffusion sized_by=model size=32x32 MODEL -> live",
          32, 32 },
    };
    for (int i = 0; i < 4; i++) {
        open_text(all[i].text);
        run_until(&r, 0);
        CHECK_INT(run_picture(&r, 0)->width, ==, all[i].width);
        CHECK_INT(run_picture(&r, 0)->height, ==, all[i].height);
        run_close(&r);
    }
}

TEST(a_circle_of_one_seed_is_a_problem_and_pictures_go_on)
{
    run_text("d: diffusion size=64x64 fps=8 radius=1 MODEL -> live", 0.3);
    static const char *const wrong[] = { "7 7", "7", "a b", "1 2 3" };
    for (int i = 0; i < 4; i++) {
        int n = r.count;
        run_set(&r, "d", "circle", wrong[i]);
        run_until(&r, 0.4 + 0.4 * i);
        if (!strstr(r.problem, "two different")) TEST_FAIL("%s: %s", wrong[i], r.problem);
        CHECK_INT(r.count, >, n);
    }
    uint64_t before = hash_of(r.count - 1);
    run_set(&r, "d", "circle", "8, 9");
    run_until(&r, 2.2);
    CHECK_STR(r.problem, "");
    CHECK(hash_of(r.count - 1) != before);
    run_close(&r);
}
