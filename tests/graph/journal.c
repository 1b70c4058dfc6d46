// SPDX-License-Identifier: MIT
// A live run and its journal give the same frames to the same sinks.
#include "../test.h"
#include "nodes.h"

#include "graph/graph_priv.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

static char journal[64];

static struct ph_graph *make(const char *text)
{
    struct ph_graph *g;
    struct ph_fault fault;
    snprintf(journal, sizeof journal, "/tmp/ph-journal-%d", (int) getpid());
    ph_err err = ph_graph_create(
        &g, text, ph_graph_params(.nodes = test_nodes, .journal = journal, .seed = 7), &fault);
    if (err != PH_OK) TEST_FAIL("%s: %s", text, fault.message);
    CHECK_OK(ph_graph_start(g));
    return g;
}

static void nap(int64_t ns)
{
    ph_sleep_until_ns(ph_now_ns() + ns);
}

struct story {
    struct seen *seen;
    int count;
};

static struct story take_story(void)
{
    static struct seen store[2][1 << 15]; // the live run's and the replay's
    static int next;
    struct story s = { store[next++ % 2], test_seen_count };
    CHECK_INT(s.count, <, 1 << 15);
    memcpy(s.seen, test_seen, (size_t) s.count * sizeof *s.seen);
    test_seen_count = 0;
    return s;
}

// Sinks of different lanes write in any order; each for itself has one.
static void check_same(const struct story *a, const struct story *b, const char *sink)
{
    int i = 0, k = 0, n = 0;
    for (;;) {
        while (i < a->count && strcmp(a->seen[i].node, sink)) i++;
        while (k < b->count && strcmp(b->seen[k].node, sink)) k++;
        if (i == a->count || k == b->count) break;
        const struct seen *x = &a->seen[i++], *y = &b->seen[k++];
        if (x->id != y->id || x->epoch != y->epoch || x->value != y->value ||
            x->pts_ns != y->pts_ns)
            TEST_FAIL("%s frame %d: live %llu epoch %u value %g, replay %llu epoch %u value %g",
                      sink, n, (unsigned long long) x->id, x->epoch, (double) x->value,
                      (unsigned long long) y->id, y->epoch, (double) y->value);
        n++;
    }
    if (i != a->count || k != b->count)
        TEST_FAIL("%s: one run has more frames (%d the same)", sink, n);
    CHECK_INT(n, >, 5);
}

static void replay(void)
{
    struct ph_fault fault = { 0 };
    ph_err err = ph_replay(journal, &(struct ph_replay_params){ .nodes = test_nodes }, &fault);
    if (err != PH_OK) TEST_FAIL("replay: %s", fault.message);
    unlink(journal);
}

// Ends the live run, replays it, and compares what one or two sinks saw.
static void check_replay(struct ph_graph **g, const char *sink, const char *other)
{
    ph_graph_destroy(g);
    struct story live = take_story();
    replay();
    struct story again = take_story();
    check_same(&live, &again, sink);
    if (other) check_same(&live, &again, other);
}

TEST(a_replay_loses_the_frames_that_the_live_run_lost)
{
    struct ph_graph *g =
        make("count fps=400 => work ms=7 =>[drop_oldest 3] work ms=9 => s: sink");
    nap(SECOND);
    test_flow("s", 20);
    ph_graph_destroy(&g);
    struct story live = take_story();
    CHECK_INT(live.seen[live.count - 1].id, >, live.count); // some were lost
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
}

TEST(changes_cuts_and_held_inputs_come_back_at_the_same_frame)
{
    struct ph_graph *g = make("a: count fps=200 => p: pair -> d: add -> c: cutter => s: sink\n"
                              "b: count fps=70 => p.b\na => t: sink");
    for (int i = 0; i < 20; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        nap(17 * MS);
        CHECK_OK(ph_graph_set(g, (uint64_t) i, "d", "amount", value, NULL));
        if (i % 5 == 4)
            CHECK_OK(ph_graph_cut(g, 100, (struct ph_cut){ .hard = i % 2, .chunks = 2 }));
    }
    test_flow("st", 8);
    ph_graph_destroy(&g);
    struct story live = take_story();
    int cuts = test_cut_calls;
    test_cut_calls = 0;
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
    check_same(&live, &again, "t");
    CHECK_INT(test_cut_calls, ==, cuts);
}

TEST(edits_come_back_between_the_same_frames)
{
    struct ph_graph *g = make("a: count fps=300 value=1 => d: add amount=2 => s: sink");
    nap(200 * MS);
    CHECK_OK(ph_graph_edit(g, 1, "a: count fps=300 value=1 => s: sink", NULL));
    nap(100 * MS);
    CHECK_OK(ph_graph_edit(g, 2,
                           "a: count fps=300 value=1 => d: add amount=5 -> s: sink\n"
                           "b: count fps=90 value=50 =>[block 2] t: sink",
                           NULL));
    nap(200 * MS);
    CHECK_OK(ph_graph_set(g, 3, "a", "label", "again", NULL)); // rebuilds a
    nap(100 * MS);
    test_flow("st", 8);
    check_replay(&g, "s", "t");
}

TEST(what_was_pushed_from_outside_is_in_the_journal)
{
    struct ph_graph *g = make("p: push -> d: add amount=1 => s: sink");
    for (int i = 0; i < 50; i++) {
        struct ph_frame *f;
        CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 3, 2, &f));
        f->id = (uint64_t) i;
        *(float *) (void *) f->picture.data[0] = (float) i;
        CHECK_OK(ph_graph_push(g, "p", &f));
        if (i % 4) nap(3 * MS);
        while (i % 4 == 0 && test_seen_by['s'] <= i / 4) nap(MS / 10);
    }
    check_replay(&g, "s", NULL);
}

TEST(two_sources_in_one_lane_tick_as_they_did)
{
    struct ph_graph *g = make("a: count fps=150 -> p: pair -> s: sink\nb: count fps=60 -> p.b");
    nap(SECOND / 2);
    test_flow("s", 8);
    check_replay(&g, "s", NULL);
}

TEST(two_inputs_in_one_lane_and_many_cuts_come_back)
{
    struct ph_graph *g = make("a: count fps=900 => x: work ms=1 -> s: sink\n"
                              "b: count fps=700 => y: work ms=1 -> s");
    for (int i = 0; i < 150; i++) {
        CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
        nap(3 * MS);
    }
    test_flow("s", 8);
    check_replay(&g, "s", NULL);
}

TEST(a_change_that_an_edit_takes_back_is_taken_back_again)
{
    struct ph_graph *g = make("a: count fps=300 => d: add amount=2 => s: sink");
    nap(100 * MS);
    CHECK_OK(ph_graph_set(g, 1, "d", "amount", "5", NULL));
    nap(100 * MS);
    CHECK_OK(ph_graph_edit(g, 2, "a: count fps=300 => d: add amount=2 -> s: sink", NULL));
    nap(100 * MS);
    test_flow("s", 8);
    ph_graph_destroy(&g);
    struct story live = take_story();
    CHECK_NUM(live.seen[live.count - 1].value, ==, 2);
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
}

TEST(changes_and_cuts_right_before_an_edit_come_back)
{
    struct ph_graph *g = make("a: count fps=300 => c: cutter => d: add amount=2 => s: sink");
    for (int i = 0; i < 30; i++) {
        nap(5 * MS);
        CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = i & 1, .chunks = 2 }));
        CHECK_OK(ph_graph_set(g, 1, "d", "amount", i & 1 ? "3" : "4", NULL));
        CHECK_OK(ph_graph_edit(g, 2,
                               i & 1 ? "a: count fps=300 => c: cutter => d: add -> s: sink"
                                     : "a: count fps=300 => c: cutter => d: add => s: sink",
                               NULL));
    }
    nap(50 * MS);
    test_flow("s", 8);
    ph_graph_destroy(&g);
    struct story live = take_story();
    int cuts = test_cut_calls;
    test_cut_calls = 0;
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
    CHECK_INT(test_cut_calls, ==, cuts);
}

TEST_LIMIT(a_source_that_keeps_its_own_time_runs_again, 20)
{
    struct ph_graph *g = make("o: own -> d: add amount=1 => s: sink");
    nap(300 * MS);
    test_flow("s", 11);
    ph_graph_destroy(&g);
    struct story live = take_story();
    CHECK_INT(live.count, >, 10);
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
}

TEST_LIMIT(a_pushed_frame_whose_bytes_are_cut_off_ends_the_replay, 20)
{
    struct ph_graph *g = make("p: push -> s: sink");
    for (int i = 0; i < 20; i++) {
        struct ph_frame *f;
        CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 30, 20, &f));
        f->id = (uint64_t) i;
        *(float *) (void *) f->picture.data[0] = (float) i;
        CHECK_OK(ph_graph_push(g, "p", &f));
        while (test_seen_count <= i) nap(MS / 10);
    }
    ph_graph_destroy(&g);
    take_story();
    CHECK_OK(truncate(journal, 20000)); // within the ninth frame's bytes
    replay();
    CHECK_INT(test_seen_count, >, 5);
    CHECK_INT(test_seen_count, <, 9);
}

TEST(colours_and_lens_of_pushed_pictures_come_back)
{
    struct ph_graph *g = make("p: push -> s: sink");
    for (int i = 0; i < 20; i++) {
        struct ph_frame *f;
        CHECK_OK(ph_frame_picture(NULL, PH_I420, 2, 2, &f));
        memset(f->picture.data[0], 0, 128);
        f->id = (uint64_t) i;
        f->picture.matrix = PH_BT709;
        f->picture.range = PH_FULL;
        f->intrinsics.fx = 512.25f;
        CHECK_OK(ph_graph_push(g, "p", &f));
        while (test_seen_count <= i) nap(MS / 10);
    }
    ph_graph_destroy(&g);
    struct story live = take_story();
    CHECK_NUM(live.seen[0].value, ==, 523.25);
    replay();
    struct story again = take_story();
    check_same(&live, &again, "s");
}

TEST(a_node_is_told_the_metrics_of_then_however_many_and_long)
{
    struct ph_graph *g = make(
        "a: count fps=300 label=\""
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "\""
        " => m: meter names=\"fps nothing_such input_fps a.p50 a.p95 a.p99 m.p50 m.p95 m.p99 "
        "latency_ms a.label a_node_with_a_name_that_is_quite_long_0123456789012.p50\" -> s: "
        "sink\n"
        "a => a_node_with_a_name_that_is_quite_long_0123456789012: sink");
    nap(300 * MS);
    test_flow("s", 8);
    check_replay(&g, "s", NULL);
}

static void count_frame(void *opaque, struct ph_frame *f)
{
    (void) f;
    *(int *) opaque += 1;
}

static void subscribe(void *opaque, struct ph_graph *g)
{
    CHECK_OK(ph_graph_subscribe(g, "s", opaque));
}

TEST(a_replay_publishes_what_its_sinks_see)
{
    struct ph_graph *g = make("a: count fps=900 => s: sink\nb: count fps=900 => t: sink");
    for (int i = 0; i < 40; i++) {
        nap(5 * MS);
        CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    }
    test_flow("s", 8);
    ph_graph_destroy(&g);
    struct story live = take_story();
    int published = 0, want = 0;
    struct ph_subscriber sub = { .deliver = count_frame, .opaque = &published };
    struct ph_fault fault = { 0 };
    CHECK_OK(ph_replay(
        journal,
        &(struct ph_replay_params){ .nodes = test_nodes, .started = subscribe, .opaque = &sub },
        &fault));
    unlink(journal);
    for (int i = 0; i < live.count; i++) want += live.seen[i].node[0] == 's';
    CHECK_INT(published, ==, want);
}

TEST_LIMIT(an_encoder_that_nobody_asked_for_a_while_gives_what_it_gave, 20)
{
    struct ph_graph *g = make("a: count fps=300 => e: encoder => v: viewed\na => t: sink");
    int published = 0;
    struct ph_subscriber sub = { .deliver = count_frame, .opaque = &published };
    for (int i = 0; i < 3; i++) {
        nap(100 * MS);
        CHECK_OK(ph_graph_subscribe(g, "v", &sub));
        test_flow("tv", 4);
        ph_graph_unsubscribe(g, &sub);
    }
    check_replay(&g, "v", "t");
}

// --- other sinks

static char *exchange(const char *text, const char *part, const char *with)
{
    const char *at = strstr(text, part);
    if (!at) return strdup(text);
    char *out = malloc(strlen(text) + strlen(with) + 1);
    CHECK(out);
    sprintf(out, "%.*s%s%s", (int) (at - text), text, with, at + strlen(part));
    return out;
}

static ph_err exchange_all(void *opaque, char **texts, int count, struct ph_fault *fault)
{
    const char *const *words = opaque;
    (void) fault;
    for (int i = 0; i < count; i++) {
        char *out = exchange(texts[i], words[0], words[1]);
        free(texts[i]);
        texts[i] = out;
    }
    return PH_OK;
}

TEST(a_replay_into_other_sinks_makes_the_same_frames)
{
    static const char *words[] = { "s: viewed", "s: sink" };
    struct ph_graph *g = make("a: count fps=400 => w: work ms=5 => s: viewed\na => t: sink");
    nap(200 * MS);
    CHECK_OK(ph_graph_edit(
        g, 1, "a: count fps=400 => w: work ms=5 => d: add amount=3 -> s: viewed\na => t: sink",
        NULL));
    nap(200 * MS);
    test_flow("st", 8);
    ph_graph_destroy(&g);
    struct story live = take_story();
    struct ph_fault fault = { 0 };
    CHECK_OK(ph_replay(journal,
                       &(struct ph_replay_params){
                           .nodes = test_nodes, .graphs = exchange_all, .opaque = words },
                       &fault));
    unlink(journal);
    struct story again = take_story();
    check_same(&live, &again, "s");
    check_same(&live, &again, "t");
}

TEST(a_replay_of_another_graph_is_refused)
{
    static const char *const others[][2] = {
        { "s: sink", "s: sink\nmore: count" },              // a node more
        { "s: sink", "z: sink" },                           // scripts go by names
        { "s: sink", "s: sinc" },                           // nothing at all
        { "d.out =>[latest 1] s", "d.out -> s" },           // another lane
        { "d.out =>[latest 1] s", "a.out =>[latest 1] s" }, // another link
    };
    struct ph_graph *g = make("a: count fps=300 => d: add amount=2 => s: sink");
    test_flow("s", 8);
    ph_graph_destroy(&g);
    test_seen_count = 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct ph_fault fault = { 0 };
        const char *words[] = { others[i][0], others[i][1] };
        ph_err err =
            ph_replay(journal,
                      &(struct ph_replay_params){
                          .nodes = test_nodes, .graphs = exchange_all, .opaque = words },
                      &fault);
        if (err != PH_EINVAL) TEST_FAIL("\"%s\" gives %d", words[1], err);
        CHECK(fault.message[0]);
    }
    CHECK_INT(test_seen_count, ==, 0);
    unlink(journal);
}

struct way {
    uint64_t done, total;
    int calls;
};

static void note_progress(void *opaque, struct ph_graph *g)
{
    struct way *w = opaque;
    ph_replay_progress(g, &w->done, &w->total);
    w->calls++;
}

TEST(a_replay_says_how_far_it_is)
{
    struct ph_graph *g = make("a: count fps=300 => s: sink");
    test_flow("s", 14);
    CHECK_OK(ph_graph_edit(g, 1, "a: count fps=300 => d: add -> s: sink", NULL));
    test_flow("s", 14);
    ph_graph_destroy(&g);
    struct way way = { 0 };
    struct ph_replay_params par = { .nodes = test_nodes,
                                    .ended = note_progress,
                                    .opaque = &way };
    CHECK_OK(ph_replay(journal, &par, NULL));
    CHECK_INT(way.calls, ==, 1);
    CHECK_INT(way.total, >, 20);
    CHECK_INT(way.done, ==, way.total);
    unlink(journal);
}

TEST(two_sources_of_a_late_lane_meet_as_they_did)
{
    struct ph_graph *g = make("a: count fps=50 -> p: pair -> w: work ms=25 -> s: sink\n"
                              "b: count fps=47 -> p.b");
    nap(SECOND);
    test_flow("s", 8);
    check_replay(&g, "s", NULL);
}

// The journal knows the run of a lane in which a held frame came: a node that runs twice in one shows
// one frame both times.
TEST(a_node_that_runs_twice_in_a_pass_holds_the_same_frame_live_and_again)
{
    struct ph_graph *g = make("a: count fps=50 -> twin -> p: pair ms=5 -> s: sink\n"
                              "b: count fps=1000 => p.b");
    test_flow("s", 60);
    for (int i = 0; i + 1 < test_seen_count; i++) {
        const struct seen *one = &test_seen[i], *two = one + 1;
        if (one->id % 2 || two->id != one->id + 1) continue;
        CHECK_NUM(two->value - one->value, ==, 1000);
    }
    check_replay(&g, "s", NULL);
}

TEST(a_journal_cut_short_is_replayed_as_far_as_it_goes)
{
    struct ph_graph *g = make("count fps=300 => work ms=11 => s: sink");
    nap(SECOND / 2);
    test_flow("s", 45);
    ph_graph_destroy(&g);
    struct story live = take_story();
    CHECK_OK(truncate(journal, 700));
    replay();
    CHECK_INT(test_seen_count, >, 1);
    CHECK_INT(test_seen_count, <, live.count);
    for (int i = 0; i < test_seen_count; i++) CHECK_INT(test_seen[i].id, ==, live.seen[i].id);
}

TEST(a_file_that_is_no_journal_is_refused_by_name)
{
    struct ph_fault fault;
    CHECK(ph_replay("/dev/null", NULL, &fault) < 0);
    CHECK_HAS(fault.message, "/dev/null");
    CHECK(ph_replay("/no/such/file", NULL, &fault) < 0);
    CHECK_HAS(fault.message, "No such file");
}

static _Atomic int complaints;
static char complaint[400];

static void keep_complaint(void *opaque, enum ph_log_level level, const char *who,
                           const char *line)
{
    (void) opaque, (void) level;
    if (strcmp(who, "journal")) return;
    snprintf(complaint, sizeof complaint, "%s", line);
    complaints++;
}

static void push_large(struct ph_graph *g, int count)
{
    for (int i = 0; i < count; i++) {
        struct ph_frame *f;
        int before = test_seen_count;
        CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 512, 512, &f));
        f->id = (uint64_t) i;
        CHECK_OK(ph_graph_push(g, "p", &f));
        while (test_seen_count == before) nap(MS / 10);
    }
}

// A pipe that nobody reads is a disk that has stopped.
TEST(a_journal_on_a_slow_disk_ends_and_costs_no_memory_and_no_frame)
{
    struct ph_log log = { .level = PH_LOG_ERROR, .write = keep_complaint };
    struct ph_graph *g;
    struct ph_fault fault;
    signal(SIGPIPE, SIG_IGN);
    ph_journal_most_bytes = 4 << 20;
    snprintf(journal, sizeof journal, "/tmp/ph-journal-%d", (int) getpid());
    CHECK_OK(mkfifo(journal, 0600));
    int reader = open(journal, O_RDONLY | O_NONBLOCK);
    CHECK(reader >= 0);
    if (ph_graph_create(&g, "p: push => s: sink",
                        ph_graph_params(.nodes = test_nodes, .journal = journal, .log = &log),
                        &fault))
        TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(g));
    push_large(g, 20);
    CHECK_INT(complaints, ==, 1);
    CHECK_HAS(complaint, "too slow");
    CHECK_HAS(complaint, journal);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    push_large(g, 60); // a megabyte each
    CHECK_INT((long) (mallinfo2().uordblks + mallinfo2().hblkhd - before), <, 8 << 20);
    CHECK_INT(complaints, ==, 1);
    close(reader);
    ph_graph_destroy(&g);
    unlink(journal);
}

TEST(a_journal_on_a_full_disk_is_replayed_up_to_there)
{
    struct ph_log log = { .level = PH_LOG_ERROR, .write = keep_complaint };
    struct ph_graph *g;
    struct ph_fault fault;
    struct rlimit limit = { 3 << 20, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
    signal(SIGXFSZ, SIG_IGN);
    snprintf(journal, sizeof journal, "/tmp/ph-journal-%d", (int) getpid());
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
    if (ph_graph_create(&g, "p: push => s: sink",
                        ph_graph_params(.nodes = test_nodes, .journal = journal, .log = &log),
                        &fault))
        TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(g));
    push_large(g, 10);
    while (!complaints) nap(MS);
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &none)); // there is room again: still nothing may follow
    push_large(g, 5);
    ph_graph_destroy(&g);
    CHECK_INT(complaints, ==, 1);
    struct stat st;
    CHECK_OK(stat(journal, &st));
    CHECK_INT(st.st_size, <=, 3 << 20);
    test_seen_count = 0;
    replay();
    CHECK_INT(test_seen_count, <=, 3);
    for (int i = 0; i < test_seen_count; i++) CHECK_INT(test_seen[i].id, ==, i);
}
