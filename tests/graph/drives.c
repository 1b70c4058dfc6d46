// SPDX-License-Identifier: MIT
// Drives: `node.param <- expression`, from the text to the values that frames show.
#include "../test.h"
#include "nodes.h"

#include "core/tree.h"
#include "graph/text.h"

#include <math.h>
#include <string.h>

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

// --- the text

static struct ph_ast *parse(const char *text)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    if (ph_ast_parse(&ast, text, test_nodes, &fault) != PH_OK)
        TEST_FAIL("\"%s\" refused at %d:%d: %s", text, fault.line, fault.column, fault.message);
    return ast;
}

static void refuse(const char *text, int line, int column, const char *part)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    if (ph_ast_parse(&ast, text, test_nodes, &fault) >= 0)
        TEST_FAIL("\"%s\" was accepted", text);
    CHECK_HAS(fault.message, part);
    if (fault.line != line || fault.column != column)
        TEST_FAIL("\"%s\": at %d:%d, want %d:%d (%s)", text, fault.line, fault.column, line,
                  column, fault.message);
}

#define BASE "d: drums; count -> a: add => s: sink\n"

TEST(a_drive_is_read_and_brings_its_signals)
{
    struct ph_ast *ast = parse("a.amount <- kick * 0.3 + 0.4   # above its nodes\n" BASE);
    CHECK_INT(ast->drive_count, ==, 1);
    CHECK_STR(ast->drives[0].param->name, "amount");
    CHECK_STR(ast->drives[0].text, "kick * 0.3 + 0.4");
    CHECK_INT(ast->link_count, ==, 3);
    CHECK(ast->links[2].drive && ast->links[2].queue);
    CHECK_INT(ast->lanes, ==, 3);
    ph_tree_free(ast);
}

TEST(a_drive_that_is_printed_reads_back_to_the_same_print)
{
    const char *texts[] = {
        BASE "a.amount <- level",
        BASE "a.amount<-d.kick*  2 - (1)\t/ 3; a.whole <- sine(4) * 10",
        "d: drums; e: drums; count -> a: add -> sink\na.twice <- d.kick + \\\n  e.kick",
        "count -> gpu -> a: add -> sink\na.kind <- random(2) * 2",
        BASE "a.amount <- spring(smooth(level, 5, 200), 400, 18) + every(4, walk(1))",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ph_ast *first = parse(texts[i]);
        char *once = ph_ast_print(first);
        struct ph_ast *second = parse(once);
        char *twice = ph_ast_print(second);
        CHECK_STR(twice, once);
        CHECK_INT(first->link_count, ==, second->link_count);
        CHECK_HAS(once, " <- ");
        free(once);
        free(twice);
        ph_tree_free(first);
        ph_tree_free(second);
    }
}

TEST(mistakes_in_a_drive_are_pointed_at_with_the_nearest_name)
{
    refuse(BASE "a.amount <- kik * 2", 2, 13, "did you mean \"kick\"?");
    refuse(BASE "a.amount <- 2 * d.kik", 2, 19, "did you mean \"kick\"?");
    refuse(BASE "a.amount <- 2 * dd.kick", 2, 17, "did you mean \"d\"?");
    refuse(BASE "a.amount <- smoth(kick)", 2, 13, "did you mean \"smooth\"?");
    refuse(BASE "a.amount <- smooth", 2, 13, "is a function");
    refuse(BASE "a.amuont <- kick", 2, 3, "did you mean \"amount\"?");
    refuse(BASE "aa.amount <- kick", 2, 1, "did you mean \"a\"?");
    refuse(BASE "a.amount <- ", 2, 13, "expected a number");
    refuse(BASE "a.amount <- (kick", 2, 18, "expected )");
    refuse(BASE "a.amount <- kick kick", 2, 18, "expected +");
    refuse(BASE "a.amount <- mix(1, 2)", 2, 13, "mix(a, b, share of b)");
    refuse(BASE "a.amount <- 1e999", 2, 13, "not a number");
    refuse(BASE "a.amount <- kick\na.amount <- level", 3, 3, "driven twice");
    refuse(BASE "a.amount <- s.level", 2, 15, "s has no signals");
}

TEST(what_cannot_be_driven_says_why)
{
    refuse("d: drums; c: count -> sink\nc.label <- kick", 2, 3, "is a text");
    refuse(BASE "a.color <- kick", 2, 3, "is a colour");
    refuse(BASE "d.bpm <- kick", 2, 10, "its own signals");
    refuse(BASE "d: drums", 2, 1, "two nodes");
    refuse("d: drums; e: drums; count -> a: add -> sink\na.amount <- kick", 2, 13,
           "write d.kick");
}

TEST(length_and_depth_are_bounded)
{
    char text[4096] = BASE "a.amount <- ";
    size_t n = strlen(text);
    for (int i = 0; i < 300; i++) text[n++] = '(';
    text[n] = 0;
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    CHECK(ph_ast_parse(&ast, text, test_nodes, &fault) == PH_EINVAL);
    CHECK_HAS(fault.message, "nested deeper");
    snprintf(text, sizeof text, BASE "a.amount <- 1%1100s", "");
    snprintf(text + strlen(text), 8, "+1");
    CHECK(ph_ast_parse(&ast, text, test_nodes, &fault) == PH_EINVAL);
    CHECK_HAS(fault.message, "characters");
}

// Whoever counts beats hears every node with signals: few bytes could ask for very many links.
static char *many(int drums, int driven)
{
    static char text[1 << 14];
    int n = 0;
    for (int i = 0; i < drums; i++)
        n += snprintf(text + n, sizeof text - (size_t) n, "d%d: drums\n", i);
    n += snprintf(text + n, sizeof text - (size_t) n, "count");
    for (int i = 0; i < driven; i++)
        n += snprintf(text + n, sizeof text - (size_t) n, " -> a%d: add", i);
    n += snprintf(text + n, sizeof text - (size_t) n, " -> sink\n");
    for (int i = 0; i < driven; i++)
        n += snprintf(text + n, sizeof text - (size_t) n,
                      "a%d.amount <- beat; a%d.whole <- bar\n", i, i);
    return text;
}

TEST(links_that_bring_signals_are_bounded)
{
    struct ph_ast *ast = parse(many(32, 32));
    CHECK_INT(ast->link_count, ==, 33 + 1024);
    ph_tree_free(ast);
    refuse(many(32, 33), 32 + 1 + 33, 15, "at most 1024 links that bring signals");
    refuse(many(33, 32), 33 + 1 + 32, 15, "d1 to a31 is one more");
}

// --- expressions alone

static struct ph_ast *compiled;

// The expression's value `steps` times, dt apart; the last.
static double run(const char *expr, double dt_s, int steps, double level)
{
    char text[512];
    snprintf(text, sizeof text, BASE "a.amount <- %s", expr);
    ph_tree_free(compiled);
    compiled = parse(text);
    struct ph_expr_state states[PH_EXPR_MAX_OPS] = { 0 };
    float start[3] = { 0 }, values[3] = { (float) level, 0, 7 };
    struct ph_signals first = { .value = start, .count = 3 },
                      then = { .value = values, .count = 3 };
    double v = 0;
    for (int i = 0; i <= steps; i++) {
        const struct ph_signals *slots[1] = { i ? &then : &first };
        struct ph_expr_now now = { .slots = slots,
                                   .time_s = i * dt_s,
                                   .dt_s = i ? dt_s : 0,
                                   .beat = i * dt_s * 2,
                                   .bpm = 120,
                                   .per_bar = 4,
                                   .value = 0.25,
                                   .seed = 9 };
        v = ph_expr_value(&compiled->drives[0].expr, &now, states);
    }
    return v;
}

#define NEAR(expr, dt, steps, level, want)                                                     \
    do {                                                                                       \
        double got_ = run(expr, dt, steps, level);                                             \
        if (!(fabs(got_ - (want)) < 1e-9))                                                     \
            TEST_FAIL("%s = %.12g, want %.12g", expr, got_, (double) (want));                  \
    } while (0)

TEST(expressions_mean_what_they_say)
{
    NEAR("1 + 2 * 3 - 4 / 8", 1, 0, 0, 6.5);
    NEAR("-(2 - 3) * --2", 1, 0, 0, 2);
    NEAR("2 - 3 - 4", 1, 0, 0, -5);
    NEAR("d.steps * 2 + value", 1, 1, 0, 14.25);
    NEAR("min(3, 1, 2) + max(3, 5)", 1, 0, 0, 6);
    NEAR("clamp(7, 0, 1) + mix(10, 20, .25) + step(.5, .5)", 1, 0, 0, 14.5);
    NEAR("range(.5, 2, 4) + range(15, 0, 1, 10, 20) + range(9, 0, 1)", 1, 0, 0, 4.5);
    NEAR("abs(-2) + sqrt(9) + pow(2, 3) + floor(1.9) + fract(1.25)", 1, 0, 0, 14.25);
    NEAR("cubic_in(.5) + smoothstep(.5)", 1, 0, 0, 0.625);
    NEAR("time", 0.5, 3, 0, 1.5);
    NEAR("beat + bar + bpm", 0.5, 4, 0, 4 + 1 + 120);
}

TEST(waves_run_in_beats)
{
    NEAR("sine(4)", 0.5, 1, 0, 1);       // one beat of four: a quarter
    NEAR("cosine(4, .5)", 0.5, 2, 0, 1); // half a wave, and half a wave of phase
    NEAR("square(2)", 0.5, 1, 0, -1);
    NEAR("saw(2)", 0.25, 1, 0, -0.5);
    NEAR("triangle(1)", 0.125, 1, 0, 1);
    NEAR("exp_decay(1)", 0.125, 1, 0, exp(-0.25 / 0.15));
}

TEST(what_remembers_gives_the_same_at_30_and_60_frames)
{
    const char *exprs[] = { "smooth(level, 50, 200)", "spring(level, 400, 18)",
                            "spring(level, 50, 40)", "spring(level, 100, 20)",
                            "smooth(1 - level, 50, 200)" };
    for (size_t i = 0; i < sizeof exprs / sizeof *exprs; i++)
        NEAR(exprs[i], 1.0 / 60, 12, 1, run(exprs[i], 1.0 / 30, 6, 1));
}

TEST(a_follower_rises_and_falls_by_its_times)
{
    NEAR("smooth(level, 100, 500)", 0.1, 1, 1, 1 - exp(-1));
    NEAR("smooth(1 - level, 100, 500)", 0.1, 1, 1, exp(-0.2));
    NEAR("smooth(level, 0, 0)", 0.1, 1, 1, 1);
}

// x = 1 - e^(-ct/2) (cos wt + c/2w sin wt), w^2 = k - c^2/4
TEST(a_spring_is_the_exact_solution)
{
    double w = sqrt(400 - 81), t = 0.1;
    NEAR("spring(level)", 0.1, 1, 1, 1 - exp(-9 * t) * (cos(w * t) + 9 / w * sin(w * t)));
    NEAR("spring(level, 1e6, 1e5)", 10, 1, 1, run("spring(level, 1e6, 1e5)", 1, 10, 1));
}

TEST(every_takes_a_value_only_when_so_many_beats_have_passed)
{
    NEAR("every(4, time)", 0.25, 7, 0, 0); // beat 3.5
    NEAR("every(4, time)", 0.25, 9, 0, 2); // beat 4.5: taken at beat 4
    CHECK(run("random(4)", 0.25, 1, 0) == run("random(4)", 0.25, 7, 0));
    CHECK(run("random(4)", 0.25, 1, 0) != run("random(4)", 0.25, 8, 0));
    CHECK(run("random(4) - random(4)", 0.25, 1, 0) != 0); // each draws for itself
    for (int i = 0; i < 50; i++) {
        double r = run("random(1)", 0.5, i, 0), w = run("walk(3)", 0.5, i, 0);
        CHECK(r >= 0 && r < 1 && w >= 0 && w <= 1);
        CHECK(fabs(w - run("walk(3)", 0.5, i + 1, 0)) < 1); // it does not jump
    }
}

TEST(nonsense_is_no_number_and_does_not_stay)
{
    CHECK(isnan(run("sqrt(-1)", 1, 0, 0)));
    CHECK(isnan(run("0 / level", 1, 0, 0)));
    CHECK(isfinite(run("smooth(0 / level, 5, 5)", 1, 2, 1)));
    CHECK(isfinite(run("sine(0) + random(0) + every(0, 1) + walk(0)", 1, 3, 1)));
}

// --- running

static struct ph_event events[4096];
static int event_count;

static void on_event(void *opaque, const struct ph_event *e)
{
    (void) opaque;
    if (event_count < 4096) events[event_count++] = *e;
}

static bool acked(uint64_t id)
{
    for (int i = 0; i < event_count; i++)
        if (events[i].type == PH_EVENT_ACK && events[i].id == id) return true;
    return false;
}

static struct ph_graph *make(const char *text, enum ph_mode mode, uint64_t frames)
{
    struct ph_graph *g;
    struct ph_fault fault;
    ph_err err = ph_graph_create(
        &g, text,
        ph_graph_params(.mode = mode, .nodes = test_nodes, .event = on_event, .frames = frames),
        &fault);
    if (err != PH_OK) TEST_FAIL("%s: %s", text, fault.message);
    return g;
}

static float last(void)
{
    return test_seen[test_seen_count - 1].value;
}

TEST(a_parameter_follows_its_signal)
{
    struct ph_graph *g = make("d: drums fps=100; count fps=10 -> a: add => sink\n"
                              "a.amount <- steps * 2",
                              PH_STEPPED, 0);
    ph_graph_step(g, 5 * SECOND);
    CHECK_INT(test_seen_count, ==, 51);
    for (int i = 1; i < 50; i++)
        if (test_seen[i].value != (float) (20 * i))
            TEST_FAIL("frame %d: %g", i, (double) test_seen[i].value);
    ph_graph_destroy(&g);
}

TEST(whole_numbers_are_rounded_switches_have_a_threshold_and_ranges_hold)
{
    struct ph_graph *g = make(BASE "a.whole <- 2.6", PH_STEPPED, 0);
    ph_graph_step(g, SECOND);
    CHECK(last() == 3);
    CHECK_OK(ph_graph_drive(g, 1, "a", "whole", "level * 1e9", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 10);
    CHECK(acked(1));
    CHECK_OK(ph_graph_drive(g, 2, "a", "twice", "step(0, level)", NULL));
    ph_graph_step(g, 3 * SECOND);
    CHECK(last() == 20);
    CHECK_OK(ph_graph_drive(g, 3, "a", "kind", "1.4", NULL));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 2020);
    CHECK_OK(ph_graph_drive(g, 4, "a", "kind", "99", NULL));
    ph_graph_step(g, 5 * SECOND);
    CHECK(last() == 4020);
    ph_graph_destroy(&g);
}

TEST(what_was_set_by_hand_stays_and_comes_back)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    CHECK_OK(ph_graph_set(g, 1, "a", "amount", "3", NULL));
    ph_graph_step(g, SECOND);
    CHECK(last() == 3);
    CHECK_OK(ph_graph_drive(g, 2, "a", "amount", "value * 100", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 300);
    CHECK_OK(ph_graph_set(g, 3, "a", "amount", "4", NULL)); // a knob turned while it is driven
    ph_graph_step(g, 3 * SECOND);
    CHECK(last() == 400);
    CHECK(acked(3));
    char *text = ph_graph_text(g), *status = ph_graph_status_json(g);
    CHECK_HAS(text, "amount=4");
    CHECK_HAS(text, "a.amount <- value * 100");
    CHECK_HAS(status, "\"amount\":4,");
    CHECK_HAS(status,
              "\"drives\":[{\"param\":\"amount\",\"text\":\"value * 100\",\"value\":400}]");
    CHECK_HAS(status, "\"signals\":{\"level\":3,\"kick\":1,\"steps\":300}");
    char *moves = ph_graph_signals_json(g);
    CHECK_HAS(moves, "\"values\":[3,1,300],\"beat\":{\"bpm\":");
    CHECK_HAS(moves, "\"drives\":{\"a\":{\"amount\":400}}");
    free(moves);
    free(text);
    free(status);
    CHECK_OK(ph_graph_drive(g, 4, "a", "amount", NULL, NULL));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 4);
    text = ph_graph_text(g);
    CHECK(!strstr(text, "<-"));
    free(text);
    ph_graph_destroy(&g);
}

TEST(a_wrong_drive_changes_nothing)
{
    struct ph_graph *g = make(BASE "a.amount <- 5", PH_STEPPED, 0);
    struct ph_fault fault;
    CHECK(ph_graph_drive(g, 1, "a", "amount", "kick +", &fault) == PH_EINVAL);
    CHECK_INT(fault.column, ==, 7);
    CHECK(ph_graph_drive(g, 1, "a", "amount", "1\nb.amount <- 2", &fault) == PH_EINVAL);
    CHECK(ph_graph_drive(g, 1, "nobody", "amount", "1", &fault) == PH_ENOENT);
    ph_graph_step(g, SECOND);
    CHECK(last() == 5);
    ph_graph_destroy(&g);
}

TEST(nothing_drives_before_the_first_signals_and_no_number_changes_nothing)
{
    struct ph_graph *g = make("b: drums fps=1; count fps=10 -> a: add amount=7 => sink\n"
                              "a.amount <- 4 / step(2, level) - 4 / step(2, level)",
                              PH_STEPPED, 0);
    ph_graph_step(g, SECOND); // 4/0 - 4/0
    CHECK(last() == 7);
    ph_graph_step(g, 3 * SECOND);
    CHECK(last() == 0);
    ph_graph_destroy(&g);
}

TEST(beats_are_carried_on_to_the_time_of_the_frame)
{
    // signals come once a second, at 60 beats a minute; a frame between them lies between beats
    struct ph_graph *g = make("d: drums fps=1 bpm=60; count fps=10 -> a: add => sink\n"
                              "a.amount <- beat",
                              PH_STEPPED, 0);
    ph_graph_step(g, 2 * SECOND + 500 * MS);
    CHECK(fabsf(last() - 2.5f) < 1e-4f);
    ph_graph_destroy(&g);
}

TEST(without_a_tempo_there_are_120_beats_a_minute)
{
    struct ph_graph *g =
        make("count fps=10 -> a: add => sink\na.amount <- beat", PH_STEPPED, 0);
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 4);
    ph_graph_destroy(&g);
}

TEST(a_cut_makes_what_is_remembered_forgotten)
{
    struct ph_graph *g = make(BASE "a.amount <- smooth(level, 1e9, 1e9)", PH_STEPPED, 0);
    ph_graph_step(g, 3 * SECOND);
    CHECK(last() < 0.1f);
    CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() > 2.9f); // began again where the signal was
    ph_graph_destroy(&g);
}

TEST(an_edit_elsewhere_leaves_what_is_remembered)
{
    struct ph_graph *g = make(BASE "a.amount <- smooth(level, 1e9, 1e9)", PH_STEPPED, 0);
    ph_graph_step(g, 3 * SECOND);
    CHECK_OK(ph_graph_drive(g, 1, "a", "whole", "1", NULL));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() < 1.1f);
    ph_graph_destroy(&g);
}

// Threads, no clock: each frame has the signals of its own time.
TEST(offline_every_frame_has_the_signals_of_its_time)
{
    for (int again = 0; again < 3; again++) {
        test_seen_count = 0;
        struct ph_graph *g = make("d: drums fps=100; count fps=25 => a: add => sink\n"
                                  "a.amount <- steps + sine(4) * 0",
                                  PH_OFFLINE, 200);
        CHECK_OK(ph_graph_start(g));
        // the drums go on for 200 ticks, which is 50 of these frames
        CHECK(ph_graph_wait(g, -1) == PH_EOF);
        CHECK_INT(test_seen_count, ==, 200);
        for (int i = 0; i < 50; i++)
            if (test_seen[i].value != (float) (4 * i))
                TEST_FAIL("frame %d: %g", i, (double) test_seen[i].value);
        CHECK(test_seen[199].value == 199);
        ph_graph_destroy(&g);
    }
}

// --- live, and again

static char journal[64];

TEST(a_replay_drives_as_the_live_run_did)
{
    static struct seen live[1 << 12];
    struct ph_fault fault = { 0 };
    struct ph_graph *g;
    snprintf(journal, sizeof journal, "/tmp/ph-drives-%d", (int) getpid());
    ph_err err = ph_graph_create(
        &g,
        "d: drums fps=170 bpm=140; count fps=200 => a: add => s: sink\n"
        "a.amount <- smooth(kick, 5, 100) + level + sine(2) + spring(fract(steps / 7)) + value",
        ph_graph_params(.nodes = test_nodes, .journal = journal), &fault);
    CHECK_INT(err, ==, PH_OK);
    CHECK_OK(ph_graph_start(g));
    for (int i = 0; i < 10; i++) {
        while (test_seen_count < 30 * (i + 1)) ph_sleep_until_ns(ph_now_ns() + MS);
        char value[8];
        snprintf(value, sizeof value, "%d", i);
        CHECK_OK(ph_graph_set(g, 1, "a", "amount", value, NULL));
        if (i == 5) CHECK_OK(ph_graph_drive(g, 2, "a", "whole", "kick * 3", NULL));
        if (i == 7) CHECK_OK(ph_graph_cut(g, 3, (struct ph_cut){ .hard = true }));
        if (i == 8) CHECK_OK(ph_graph_drive(g, 2, "a", "whole", NULL, NULL));
    }
    ph_graph_destroy(&g);
    int count = test_seen_count;
    CHECK_INT(count, <, 1 << 12);
    memcpy(live, test_seen, (size_t) count * sizeof *live);
    test_seen_count = 0;
    err = ph_replay(journal, &(struct ph_replay_params){ .nodes = test_nodes }, &fault);
    if (err != PH_OK) TEST_FAIL("replay: %s", fault.message);
    unlink(journal);
    CHECK_INT(test_seen_count, ==, count);
    for (int i = 0; i < count; i++)
        if (test_seen[i].id != live[i].id || test_seen[i].value != live[i].value)
            TEST_FAIL("frame %d: live %.9g, again %.9g", i, (double) live[i].value,
                      (double) test_seen[i].value);
}

// --- changes on a beat

TEST(a_change_waits_for_its_beat_bar_or_two_bars)
{
    struct ph_graph *g =
        make(BASE, PH_STEPPED, 0);       // 60 beats a minute, 4 a bar, 60 frames a second
    ph_graph_step(g, SECOND + 100 * MS); // beat 1.1
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_BEAT, NULL));
    CHECK_OK(ph_graph_set_at(g, 2, "a", "whole", "1", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_set_at(g, 3, "a", "twice", "on", PH_AT_2_BARS, NULL));
    ph_graph_step(g, 2 * SECOND - MS);
    CHECK(last() == 0 && !acked(1));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 1 && acked(1) && !acked(2));
    CHECK_OK(ph_graph_set(g, 4, "a", "amount", "5", NULL)); // another one need not wait
    ph_graph_step(g, 4 * SECOND - MS);
    CHECK(last() == 5 && acked(4) && !acked(2));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 6 && acked(2) && !acked(3));
    ph_graph_step(g, 8 * SECOND - MS);
    CHECK(last() == 6 && !acked(3));
    ph_graph_step(g, 8 * SECOND);
    CHECK(last() == 12 && acked(3));
    ph_graph_destroy(&g);
}

TEST(the_last_write_wins_over_one_that_waits)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS); // beat 1.1
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_set_at(g, 2, "a", "whole", "3", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_set(g, 3, "a", "amount", "5", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 5 && acked(1) && acked(3) && !acked(2));
    ph_graph_step(g, 5 * SECOND);
    CHECK(last() == 8 && acked(2)); // what was not written again has landed
    char *text = ph_graph_text(g);
    CHECK_HAS(text, "amount=5");
    free(text);
    ph_graph_destroy(&g);
}

TEST(of_two_that_wait_the_last_lands_at_its_own_time)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_2_BARS, NULL));
    CHECK_OK(ph_graph_set_at(g, 2, "a", "amount", "5", PH_AT_BAR, NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 0 && acked(1) && !acked(2));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 5 && acked(2));
    ph_graph_step(g, 9 * SECOND);
    CHECK(last() == 5);
    ph_graph_destroy(&g);
}

TEST(of_two_that_wait_the_one_for_the_earlier_beat_lands_first)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_set_at(g, 2, "a", "amount", "5", PH_AT_2_BARS, NULL));
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 1 && acked(1) && !acked(2));
    ph_graph_step(g, 8 * SECOND);
    CHECK(last() == 5 && acked(2));
    ph_graph_destroy(&g);
}

// Its text has the new value already, which is not to be seen yet.
TEST(a_drive_that_is_taken_away_leaves_the_value_that_a_change_waits_to_replace)
{
    struct ph_graph *g = make(BASE "a.amount <- 7", PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK(last() == 7);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_drive(g, 2, "a", "amount", NULL, NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 0);
    ph_graph_step(g, 5 * SECOND);
    CHECK(last() == 1 && acked(1));
    ph_graph_destroy(&g);
}

TEST(a_replay_keeps_a_change_waiting_over_an_edit)
{
    static struct seen live[1 << 12];
    struct ph_fault fault = { 0 };
    struct ph_graph *g;
    snprintf(journal, sizeof journal, "/tmp/ph-waits-%d", (int) getpid());
    ph_err err = ph_graph_create(
        &g, "d: drums fps=170 bpm=1000; count fps=200 => a: add => s: sink\na.whole <- kick",
        ph_graph_params(.nodes = test_nodes, .journal = journal), &fault);
    CHECK_INT(err, ==, PH_OK);
    CHECK_OK(ph_graph_start(g));
    for (int i = 0; i < 4; i++) {
        char value[8];
        snprintf(value, sizeof value, "%d", 100 * (i + 1));
        test_flow("s", 10);
        CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", value, PH_AT_4_BARS, NULL));
        test_flow("s", 2);
        CHECK_OK(ph_graph_drive(g, 2, "a", "whole", i % 2 ? "kick" : "2 * kick", NULL));
    }
    test_flow("s", 10);
    ph_graph_destroy(&g);
    int count = test_seen_count;
    CHECK_INT(count, <, 1 << 12);
    memcpy(live, test_seen, (size_t) count * sizeof *live);
    test_seen_count = 0;
    err = ph_replay(journal, &(struct ph_replay_params){ .nodes = test_nodes }, &fault);
    if (err != PH_OK) TEST_FAIL("%s", fault.message);
    CHECK_INT(test_seen_count, ==, count);
    for (int i = 0; i < count; i++)
        if (live[i].value != test_seen[i].value)
            TEST_FAIL("frame %llu: %g, then %g", (unsigned long long) live[i].id,
                      (double) live[i].value, (double) test_seen[i].value);
    unlink(journal);
}

TEST(an_edit_of_the_text_wins_over_a_change_that_waits)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_BAR, NULL));
    CHECK_OK(ph_graph_set_at(g, 2, "a", "whole", "3", PH_AT_BAR, NULL));
    CHECK_OK(
        ph_graph_edit(g, 3, "d: drums; count -> a: add amount=5 whole=3 => s: sink\n", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK(last() == 5 && acked(1) && !acked(2));
    ph_graph_step(g, 5 * SECOND);
    CHECK(last() == 8 && acked(2));
    ph_graph_destroy(&g);
}

TEST(without_a_tempo_a_change_lands_at_once)
{
    struct ph_graph *g = make("d: drums bpm=0; count -> a: add -> sink", PH_STEPPED, 0);
    ph_graph_step(g, SECOND);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_4_BARS, NULL));
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK(last() == 1 && acked(1));
    struct ph_fault fault = { 0 };
    CHECK(ph_graph_set_at(g, 2, "count", "label", "x", PH_AT_BEAT, &fault) == PH_EINVAL);
    CHECK_HAS(fault.message, "cannot wait");
    ph_graph_destroy(&g);
}

TEST(a_change_that_waits_when_its_node_leaves_is_acknowledged)
{
    struct ph_graph *g = make(BASE, PH_STEPPED, 0);
    ph_graph_step(g, SECOND + 100 * MS);
    CHECK_OK(ph_graph_set_at(g, 1, "a", "amount", "1", PH_AT_4_BARS, NULL));
    CHECK_OK(ph_graph_edit(g, 2, "d: drums; count -> sink", NULL));
    CHECK(acked(1));
    ph_graph_step(g, 3 * SECOND);
    ph_graph_destroy(&g);
}

TEST(the_first_node_of_the_text_that_knows_a_tempo_says_it)
{
    struct ph_graph *g = make("n: drums bpm=0; f: drums bpm=30; d: drums bpm=60\n"
                              "count fps=10 -> a: add -> sink\n"
                              "a.amount <- beat + d.level * 0",
                              PH_STEPPED, 0);
    ph_graph_step(g, 4 * SECOND);
    CHECK(last() == 2);
    ph_graph_destroy(&g);
}
