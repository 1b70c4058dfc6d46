// SPDX-License-Identifier: MIT
// Walks through noise and through prompts: the formulas, and what they do to the pictures of a small
// model.
#include "../alloc_count.h"
#include "models/stream/walk.h"
#include "nn/rng.h"
#include "small.h"

#define N 4096
static float mid[N], a[N], b[N], out[N], other[N];

static void draw(void)
{
    ph_rng_normal(1, 0, 0, N, mid);
    ph_rng_normal(2, 0, 0, N, a);
    ph_rng_normal(3, 0, 0, N, b);
}

static double variance(const float *x)
{
    double sum = 0;
    for (int i = 0; i < N; i++) sum += (double) x[i] * x[i] / N;
    return sum;
}

static double far(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double) x[i] - y[i]) * ((double) x[i] - y[i]);
    return sqrt(sum / (double) n);
}

// ------------------------------------------------------------------------------ formulas
TEST(the_circle_is_cos_a_plus_sin_b_at_any_number_of_turns)
{
    draw();
    for (double turns = -2.3; turns < 3; turns += 0.17) {
        ph_walk_circle(mid, a, b, 1, turns, N, out);
        double t = 2 * M_PI * turns;
        for (int i = 0; i < N; i++)
            CHECK_NUM(fabs((double) out[i] - (cos(t) * (double) a[i] + sin(t) * (double) b[i])),
                      <, 2e-6);
        ph_walk_circle(mid, a, b, 0.6, turns, N, out);
        for (int i = 0; i < N; i++)
            CHECK_NUM(
                fabs((double) out[i] - (0.8 * (double) mid[i] + 0.6 * cos(t) * (double) a[i] +
                                        0.6 * sin(t) * (double) b[i])),
                <, 2e-6);
    }
}

TEST(the_circle_keeps_the_variance_of_noise)
{
    draw();
    for (int k = 0; k < 64; k++)
        for (double radius = 0; radius <= 1; radius += 0.25) {
            ph_walk_circle(mid, a, b, radius, k / 64.0, N, out);
            CHECK_NUM(fabs(variance(out) - 1), <,
                      0.1); // 0.022 is one deviation of 4096 numbers
        }
}

TEST(quarters_of_the_circle_are_one_seed_alone_and_no_radius_is_none_of_them)
{
    draw();
    ph_walk_circle(mid, NULL, NULL, 0, 0.3, N, out);
    CHECK(!memcmp(out, mid, sizeof out));
    ph_walk_circle(NULL, a, b, 1, 7, N, out);
    CHECK(!memcmp(out, a, sizeof out));
    ph_walk_circle(NULL, a, b, 1, -2.75, N, out);
    CHECK(!memcmp(out, b, sizeof out));
    ph_walk_circle(NULL, a, b, 1, 0.5, N, out);
    for (int i = 0; i < N; i++) CHECK_NUM(out[i], ==, -a[i]);
}

TEST(the_circle_goes_on_over_its_wrap)
{
    draw();
    const double step = 1.0 / 500;
    double least = 1e9, most = 0;
    for (int k = -30; k < 30; k++) { // of a phase that wraps and of one that does not
        double turn = k * step, wrapped = turn - floor(turn);
        ph_walk_circle(NULL, a, b, 1, wrapped, N, out);
        ph_walk_circle(NULL, a, b, 1, turn + step, N, other);
        double d = far(out, other, N);
        least = fmin(least, d);
        most = fmax(most, d);
    }
    CHECK_NUM(most, <, 1.1 * least);
    CHECK_NUM(most, <, 1.2 * 2 * M_PI * step);
}

TEST(a_ring_begins_again_after_its_last_place)
{
    static const struct {
        double place;
        int count, from, to;
        double share;
    } want[] = { { 0, 4, 0, 1, 0 },      { 0.125, 4, 0, 1, 0.5 }, { 0.875, 4, 3, 0, 0.5 },
                 { 1, 4, 0, 1, 0 },      { 3.25, 4, 1, 2, 0 },    { -0.125, 4, 3, 0, 0.5 },
                 { 0.75, 2, 1, 0, 0.5 }, { NAN, 3, 0, 1, 0 },     { -1e-18, 4, 0, 1, 0 },
                 { 0.7, 1, 0, 0, 0.7 } };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct ph_walk_place p = ph_walk_ring(want[i].place, want[i].count);
        CHECK_INT(p.from, ==, want[i].from);
        CHECK_INT(p.to, ==, want[i].to);
        CHECK_NUM(fabs(p.share - want[i].share), <, 1e-12);
    }
}

static double sum_of(const float *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        CHECK_NUM(w[i], >=, 0);
        sum += (double) w[i];
    }
    return sum;
}

TEST(notes_pull_at_their_own_prompts_and_leave_the_rest_to_the_base)
{
    float chroma[12] = { 0 }, w[13];
    ph_walk_notes(chroma, 13, 0.8, w); // silence
    CHECK_NUM(w[0], ==, 1);
    chroma[7] = 1; // G
    ph_walk_notes(chroma, 13, 0.8, w);
    CHECK_NUM(w[8], ==, 0.8f);
    CHECK_NUM(w[0], ==, 0.2f);
    chroma[0] = 0.5f, chroma[3] = 0.25f;
    ph_walk_notes(chroma, 13, 0.8, w);
    CHECK_NUM(fabs((double) w[8] - 0.8 * 4 / 7), <, 1e-6);
    CHECK_NUM(fabs((double) w[1] - 0.8 * 2 / 7), <, 1e-6);
    CHECK_NUM(fabs((double) w[4] - 0.8 * 1 / 7), <, 1e-6);
    CHECK_NUM(fabs(sum_of(w, 13) - 1), <, 1e-6);
    ph_walk_notes(chroma, 12, 1, w); // no base: all of it, while a note is as loud as can be
    CHECK_NUM(fabs((double) w[7] - 4.0 / 7), <, 1e-6);
    ph_walk_notes((float[12]){ 0 }, 12, 1, w);
    for (int i = 0; i < 12; i++) CHECK_NUM(w[i], ==, 1.0f / 12);
    for (int k = 0; k < 12; k++) { // four prompts: three notes each
        float one[12] = { 0 };
        one[k] = 1;
        ph_walk_notes(one, 4, 1, w);
        CHECK_NUM(w[k / 3], ==, 1);
    }
}

TEST(weights_of_notes_follow_the_chroma_without_a_jump)
{
    float chroma[12], w[13], before[13];
    for (int k = 0; k <= 4000; k++) {
        double t = k / 4000.0;
        for (int i = 0; i < 12; i++) // every pair of notes changes places, through silence
            chroma[i] =
                (float) (sin(M_PI * t) * (0.5 + 0.5 * sin(2 * M_PI * (3 * t + i * 0.37))));
        ph_walk_notes(chroma, 13, 1, w);
        CHECK_NUM(fabs(sum_of(w, 13) - 1), <, 1e-5);
        for (int i = 0; k && i < 13; i++)
            CHECK_NUM(fabs((double) w[i] - (double) before[i]), <, 0.02);
        memcpy(before, w, sizeof w);
    }
}

TEST(each_token_is_blended_by_itself)
{
    enum { ROWS = 16, WIDTH = N / ROWS };
    draw();
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < WIDTH; i++) b[r * WIDTH + i] *= (float) (r + 1);
    struct ph_blend_input one[] = { { a, 0 }, { b, 1 } };
    ph_walk_tokens(one, 2, ROWS, WIDTH, false, out);
    CHECK(!memcmp(out, b, sizeof out));
    struct ph_blend_input three[] = { { a, 0.25f }, { b, 0.5f }, { mid, 0.25f } };
    ph_walk_tokens(three, 3, ROWS, WIDTH, false, out);
    ph_walk_slerp(a, b, 0.3, ROWS, WIDTH, other);
    for (int r = 0; r < ROWS; r++) {
        double got = 0, slerped = 0, la = 0, lb = 0, lm = 0;
        for (int i = r * WIDTH; i < (r + 1) * WIDTH; i++) {
            got += (double) out[i] * out[i], slerped += (double) other[i] * other[i];
            la += (double) a[i] * a[i], lb += (double) b[i] * b[i];
            lm += (double) mid[i] * mid[i];
        }
        double want = 0.25 * sqrt(la) + 0.5 * sqrt(lb) + 0.25 * sqrt(lm);
        CHECK_NUM(fabs(sqrt(got) / want - 1), <, 1e-5);
        CHECK_NUM(fabs(sqrt(slerped) / (0.7 * sqrt(la) + 0.3 * sqrt(lb)) - 1), <, 1e-5);
    }
    ph_walk_tokens(three, 3, ROWS, WIDTH, true, out);
    for (int i = 0; i < N; i++)
        CHECK_NUM(fabs((double) out[i] -
                       (0.25 * (double) a[i] + 0.5 * (double) b[i] + 0.25 * (double) mid[i])),
                  <, 1e-4);
    for (int i = 0; i < N; i++) other[i] = -a[i]; // rows that cancel out
    struct ph_blend_input against[] = { { a, 0.5f }, { other, 0.5f } };
    ph_walk_tokens(against, 2, ROWS, WIDTH, false, out);
    for (int i = 0; i < N; i++) CHECK_NUM(fabs((double) out[i]), <, 1e-6);
}

// ------------------------------------------------------------------------------ pictures
static void steer(struct ph_diffuser *d, const struct ph_steering *s)
{
    struct ph_fault fault = { 0 };
    if (ph_diffuser_steer(d, s, &fault) < 0) TEST_FAIL("%s", fault.message);
}

static struct shot paint_at(struct ph_diffuser *d, struct ph_steering s)
{
    struct shot shot;
    steer(d, &s);
    paint(d, &shot);
    return shot;
}

static struct shot seed_alone(struct ph_diffuser *d, struct ph_diffuser_settings s,
                              uint64_t number)
{
    struct ph_seed seed = { number, 1 };
    s.seeds = &seed;
    s.seed_count = 1;
    return paint_as(d, &s);
}

TEST(steering_that_says_nothing_paints_the_same_bytes)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    for (int how = 0; how < 2; how++)
        for (int steps = 1; steps < 4; steps += 2) {
            struct ph_diffuser_settings s = settings((enum ph_painting) how, steps);
            struct shot plain = paint_as(d, &s), again;
            steer(d, &(struct ph_steering){ .radius = 0.7f, .angle = 0.2, .variation = 3.3 });
            paint(d, &again);
            CHECK_DIFFERS(again, plain);
            steer(d, &(struct ph_steering){ .angle = 0.2, .position = 0.4 });
            again = paint_as(d, &s);
            CHECK(!memcmp(&again, &plain, sizeof plain));
        }
    ph_diffuser_close(&d);
}

TEST(the_circle_begins_at_the_picture_of_its_first_seed_and_a_quarter_on_is_the_second)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    for (int how = 0; how < 4; how++) {
        struct ph_diffuser_settings s = settings((enum ph_painting)(how & 1), 1 + (how & 1));
        s.from_picture = how > 1;
        s.sampler = "ddim"; // noise between steps stays that of the seeds
        s.circle[0] = 40, s.circle[1] = 41;
        steer(d, &(struct ph_steering){ 0 });
        struct shot first = seed_alone(d, s, 40), second = seed_alone(d, s, 41);
        struct shot base = paint_as(d, &s);
        struct shot at0 = paint_at(d, (struct ph_steering){ .radius = 1 });
        struct shot at1 = paint_at(d, (struct ph_steering){ .radius = 1, .angle = 1.25 });
        struct shot back = paint_at(d, (struct ph_steering){ 0 });
        CHECK_SAME(at0, first);
        CHECK_SAME(at1, second);
        CHECK_SAME(back, base);
        CHECK_DIFFERS(at0, at1);
    }
    ph_diffuser_close(&d);
}

TEST(a_variation_is_the_seed_so_much_further_and_a_ring)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    for (int how = 0; how < 2; how++) {
        struct ph_diffuser_settings s = settings((enum ph_painting) how, 1 + how);
        if (how) s.sampler = "euler_a"; // noise between steps, too
        steer(d, &(struct ph_steering){ 0 });
        struct shot third = seed_alone(d, s, 5), second = seed_alone(d, s, 2);
        struct shot on = paint_at(d, (struct ph_steering){ .variation = 3 });
        struct shot half = paint_at(d, (struct ph_steering){ .variation = 2.5 });
        struct shot round = paint_at(d, (struct ph_steering){ .variation = 3 + PH_VARIATIONS });
        struct shot behind = paint_at(d, (struct ph_steering){ .variation = -1e-9 });
        CHECK_SAME(on, third);
        CHECK_SAME(round, third);
        CHECK_DIFFERS(half, third);
        CHECK_NUM(difference(&behind, &second), <, 1e-3); // just below the first, not far away
        steer(d, &(struct ph_steering){ 0 });
    }
    ph_diffuser_close(&d);
}

enum { ROUND = 120 };
static struct shot shots[ROUND + 1];

static int by_size(const void *x, const void *y)
{
    double dx = *(const double *) x, dy = *(const double *) y;
    return (dx > dy) - (dx < dy);
}

// No step of a walk once round, and over the wrap, is above three times the median.
static void check_smooth(const char *what, int64_t latent)
{
    double d[ROUND], sorted[ROUND];
    for (int i = 0; i < ROUND; i++)
        d[i] = sorted[i] = far(shots[i].latent, shots[i + 1].latent, latent);
    qsort(sorted, ROUND, sizeof *sorted, by_size);
    double median = sorted[ROUND / 2];
    CHECK_NUM(median, >, 0);
    for (int i = 0; i < ROUND; i++)
        if (d[i] > 3 * median)
            TEST_FAIL("%s: step %d is %g, the median %g", what, i, d[i], median);
}

TEST_LIMIT(a_walk_is_smooth_once_round_and_over_its_wrap, 240)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_prompt texts[] = {
        { "a cat", 1 }, { "a harbour at night", 1 }, { "snow", 1 }, { "red silk", 1 }
    };
    static const char *const names[] = { "angle", "angle in a batch", "variation", "position",
                                         "all" };
    for (int how = 0; how < 5; how++) {
        struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, how == 1 ? 3 : 1);
        s.from_picture = false;
        s.prompts = texts;
        s.prompt_count = 4;
        steer(d, &(struct ph_steering){ 0 });
        set(d, &s);
        ph_diffuser_cut(d);
        for (int i = -4; i <= ROUND; i++) { // the first ones fill the batch
            double turn = (i + 0.5) / ROUND - 0.25, frac = turn - floor(turn);
            struct ph_steering at = { .radius = how == 2 || how == 3 ? 0 : 0.9f,
                                      .angle = frac,
                                      .variation = how == 2 || how == 4 ? 4 * frac - 2 : 0,
                                      .walk = how >= 3 ? PH_WALK_POSITION : PH_WALK_WEIGHTS,
                                      .position = frac };
            struct shot shot = paint_at(d, at);
            if (i >= 0) shots[i] = shot;
        }
        if (how == 2 || how == 4) continue; // a seed's ring is closed after PH_VARIATIONS alone
        check_smooth(names[how], d->easel.latent_len);
    }
    ph_diffuser_close(&d);
}

TEST(another_angle_does_not_begin_the_stream_anew)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 4);
    s.smooth = 0.5f;
    s.from_picture = false;
    set(d, &s);
    struct shot shot;
    struct ph_painted painted;
    struct ph_fault fault;
    for (int i = 0; i < 12; i++) {
        steer(d, &(struct ph_steering){ .radius = 1, .angle = i * 0.01, .smooth = 0.5f });
        CHECK_OK(try_paint(d, 0, &shot, &painted, &fault));
        CHECK(painted.warming == (i < 3));
        CHECK(d->easel.batch->filled && d->easel.has_last);
        CHECK_INT((int64_t) painted.landed, ==, 1);
        // the picture that left is the one that entered three runs ago
        if (i >= 3) CHECK_INT((int64_t) d->easel.batch->left, ==, i - 2);
    }
    ph_diffuser_close(&d);
}

TEST(places_of_the_prompt_walk_are_the_prompts_themselves)
{
    struct ph_diffuser *d = open_it(xl(), NULL); // states and a pooled vector
    struct ph_prompt texts[] = { { "a cat", 1 }, { "a harbour at night", 1 }, { "snow", 0 } };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    s.prompt_count = 1;
    struct shot alone[3], at[3], between;
    for (int i = 0; i < 3; i++) {
        s.prompts = &(struct ph_prompt){ texts[i].text, 1 };
        alone[i] = paint_as(d, &s);
    }
    s.prompts = texts;
    s.prompt_count = 3;
    set(d, &s);
    for (int i = 0; i < 3; i++)
        at[i] = paint_at(
            d, (struct ph_steering){ .walk = PH_WALK_POSITION, .position = (i + 3) / 3.0 });
    for (int i = 0; i < 3; i++) CHECK_SAME(at[i], alone[i]);
    between = paint_at(d, (struct ph_steering){ .walk = PH_WALK_POSITION, .position = 0.5 });
    CHECK_DIFFERS(between, at[1]);
    CHECK_DIFFERS(between, at[2]);
    struct ph_steering notes = { .walk = PH_WALK_NOTES, .reach = 1, .chroma = { [5] = 1 } };
    struct shot fourth = paint_at(d, notes); // F: the fifth to eighth note have the second text
    CHECK_SAME(fourth, alone[1]);
    s.prompt_count = 1; // one text alone is itself, wherever the walk is
    struct shot one = paint_as(d, &s);
    CHECK_SAME(one, alone[0]);
    ph_diffuser_close(&d);
}

TEST(new_prompts_of_a_walk_come_in_by_their_transition)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_prompt old[] = { { "a cat", 1 }, { "snow", 1 } };
    struct ph_prompt fresh[] = { { "a harbour at night", 1 }, { "fire", 1 } };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_steering at = { .walk = PH_WALK_POSITION, .position = 0.2 };
    s.prompts = old;
    s.prompt_count = 2;
    s.transition = 6;
    steer(d, &at);
    struct shot before = paint_as(d, &s), shot[8];
    s.strength = 0.4f; // a change that is none of words begins none
    set(d, &s);
    at.position = 0.3;
    shot[0] = paint_at(d, at);
    CHECK(!d->easel.in_transition);
    s.prompts = fresh;
    set(d, &s);
    for (int i = 0; i < 8; i++) {
        at.position += 0.01; // it goes on walking
        shot[i] = paint_at(d, at);
        CHECK(d->easel.in_transition == (i < 5));
    }
    struct shot want = paint_as(d, &s);
    CHECK_SAME(shot[7], want);
    CHECK_DIFFERS(shot[2], want);
    CHECK_DIFFERS(shot[0], before);
    ph_diffuser_close(&d);
}

TEST(the_filter_goes_on_while_its_numbers_are_driven)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct shot shot;
    struct ph_painted painted;
    struct ph_fault fault;
    int left_out = 0, worked = 0;
    set(d, &s);
    for (int i = 0; i < 40; i++) { // every second ten without it
        struct ph_steering at = { .similar = i / 10 % 2 ? 0 : 0.9f + 0.001f * (float) (i % 7),
                                  .similar_max = 100,
                                  .smooth = 0.01f * (float) (i % 9) };
        steer(d, &at);
        CHECK_OK(try_paint(d, 0, &shot, &painted, &fault));
        if (i / 10 % 2 || i % 10 == 0)
            worked += !painted.skipped; // off, or just turned on
        else
            left_out += painted.skipped;
    }
    CHECK_INT(worked, ==, 22);
    CHECK_INT(left_out, ==, 18);
    // what moves is painted, however still the input
    for (int i = 0; i < 4; i++) {
        steer(d, &(struct ph_steering){
                     .similar = 0.9f, .similar_max = 100, .radius = 1, .angle = 0.1 * i });
        CHECK_OK(try_paint(d, 0, &shot, &painted, &fault));
        CHECK(!painted.skipped);
    }
    ph_diffuser_close(&d);
}

TEST(walking_allocates_nothing)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_prompt texts[] = { { "a cat", 1 }, { "snow", 1 }, { "fire", 1 } };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 2);
    s.prompts = texts;
    s.prompt_count = 3;
    set(d, &s);
    long before = 0;
    for (int i = 0; i < 12; i++) {
        if (i == 2) before = alloc_count_here();
        paint_at(d, (struct ph_steering){ .radius = 0.5f,
                                          .angle = i * 0.1,
                                          .variation = i * 0.3,
                                          .walk = PH_WALK_POSITION,
                                          .position = i * 0.07 });
    }
    CHECK_INT(alloc_count_here() - before, ==, 0);
    ph_diffuser_close(&d);
}

TEST(memory_that_is_not_there_for_a_walk_is_said_and_the_next_picture_walks)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct shot shot, home;
    struct ph_fault fault = { 0 };
    set(d, &s);
    paint(d, &home);
    steer(d, &(struct ph_steering){ .radius = 1 });
    alloc_fail_only(0);
    CHECK_INT(try_paint(d, 0, &shot, NULL, &fault), ==, PH_ENOMEM);
    alloc_fail_only(-1);
    paint(d, &shot);
    CHECK_DIFFERS(shot, home);
    ph_diffuser_close(&d);
}

TEST(numbers_that_cannot_be_steered_to_are_refused_by_name)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_fault fault;
    const struct {
        const char *name;
        struct ph_steering s;
    } bad[] = {
        { "radius", { .radius = 1.1f } },
        { "angle", { .angle = (double) NAN } },
        { "variation", { .variation = 1e30 } },
        { "position", { .position = (double) INFINITY } },
        { "reach", { .reach = -0.1f } },
        { "chroma", { .chroma = { NAN } } },
        { "similar", { .similar = 2 } },
        { "similar_max", { .similar_max = -1 } },
        { "smooth", { .smooth = 0.99f } },
        { "latent_feedback", { .latent_feedback = 0.5f } },
        { "picture_feedback", { .picture_feedback = 1.5f } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fault = (struct ph_fault){ 0 };
        CHECK_INT(ph_diffuser_steer(d, &bad[i].s, &fault), ==, PH_EINVAL);
        CHECK_STR(fault.field, bad[i].name);
    }
    CHECK(!d->steered);
    s.circle[0] = s.circle[1] = 7;
    CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "circle");
    CHECK_INT(ph_diffuser_native_px(d), ==, 64);
    ph_diffuser_close(&d);
}
