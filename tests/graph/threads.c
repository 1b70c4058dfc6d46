// SPDX-License-Identifier: MIT
// The runtime with its threads: live, offline, sleeping, stopping. No assertion on speed.
#include "../alloc_count.h"
#include "../test.h"
#include "nodes.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

static struct ph_graph *make(const char *text, struct ph_graph_params par)
{
    struct ph_graph *g;
    struct ph_fault fault;
    par.nodes = test_nodes;
    if (ph_graph_create(&g, text, &par, &fault) != PH_OK)
        TEST_FAIL("%s: %s", text, fault.message);
    return g;
}

static void nap(int64_t ns)
{
    ph_sleep_until_ns(ph_now_ns() + ns);
}

static void ignore_frame(void *opaque, struct ph_frame *f)
{
    (void) opaque, (void) f;
}

static void count_frame(void *opaque, struct ph_frame *f)
{
    (void) f;
    atomic_fetch_add((_Atomic int *) opaque, 1);
}

TEST(offline_every_frame_arrives_in_order_however_the_lanes_run)
{
    for (int k = 0; k < 20; k++) {
        test_seen_count = 0;
        struct ph_graph *g =
            make("a: count fps=60 => p: pair => pass =>[block 1] sink\n"
                 "b: count fps=24 => p.b",
                 (struct ph_graph_params){ .mode = PH_OFFLINE, .frames = 240 });
        CHECK_OK(ph_graph_start(g));
        CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
        CHECK_INT(test_seen_count, ==, 240);
        for (int i = 0; i < 240; i++) {
            CHECK_INT(test_seen[i].id, ==, i);
            // the newest of b that is not after a, whatever the scheduling
            CHECK_NUM(test_seen[i].value, ==, i * 1000 + i * 24 / 60);
        }
        ph_graph_destroy(&g);
    }
}

// A branch that leaves frames out and comes back to the lane that feeds it: that lane cannot wait for
// what it must feed first.
TEST(offline_a_held_input_of_its_own_lane_may_leave_frames_out)
{
    static const char *const texts[] = {
        "c: count fps=60 -> p: pair => sink\nc => thin n=5 => p.b",
        "c: count fps=60 -> p: pair -> sink\nc => thin n=5 => pass => add => p.b",
        "c: count fps=60 -> p: pair -> sink\nc => a: pass -> thin n=5 =>[block 1] work ms=0.2 "
        "=> "
        "p.b\na =>[block 1] sink",
        "d: count fps=60 => c: pass -> p: pair => sink\nc => thin n=5 => p.b",
    };
    for (int k = 0; k < 40; k++) {
        test_seen_count = 0;
        struct ph_graph *g =
            make(texts[k % 4], (struct ph_graph_params){ .mode = PH_OFFLINE, .frames = 120 });
        CHECK_OK(ph_graph_start(g));
        CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
        int n = 0;
        for (int i = 0; i < test_seen_count; i++) {
            if (strcmp(test_seen[i].node, "sink")) continue;
            CHECK_INT(test_seen[i].id, ==, n);
            CHECK_NUM(test_seen[i].value, ==, n * 1000 + n / 5 * 5);
            n++;
        }
        CHECK_INT(n, ==, 120);
        ph_graph_destroy(&g);
    }
}

static void ask_for_report(void *opaque, struct ph_frame *f)
{
    struct ph_model_report r = { 0 };
    ph_graph_report(opaque, f->id, &r);
}

// A subscriber that asks is called with its sink's lock held, and who unsubscribes waits for that.
TEST(a_subscriber_may_ask_for_the_report_while_others_come_and_go)
{
    struct ph_graph *g = make("count fps=0 -> s: sink", (struct ph_graph_params){ 0 });
    struct ph_subscriber asks = { .deliver = ask_for_report, .opaque = g };
    CHECK_OK(ph_graph_start(g));
    CHECK_OK(ph_graph_subscribe(g, "s", &asks));
    for (int i = 0; i < 3000; i++) {
        struct ph_subscriber other = { .deliver = ignore_frame };
        CHECK_OK(ph_graph_subscribe(g, "s", &other));
        ph_graph_unsubscribe(g, &other);
    }
    ph_graph_unsubscribe(g, &asks);
    ph_graph_destroy(&g);
}

TEST(waiting_for_a_graph_that_was_never_started_is_an_error_and_not_its_end)
{
    struct ph_graph *g =
        make("count -> sink", (struct ph_graph_params){ .mode = PH_OFFLINE, .frames = 3 });
    CHECK_INT(ph_graph_wait(g, 0), ==, PH_EINVAL);
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EINVAL);
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 3);
    ph_graph_destroy(&g);
    g = make("count -> sink", (struct ph_graph_params){ 0 });
    ph_graph_stop(g);
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_ESTOPPED);
    ph_graph_destroy(&g);
}

TEST(a_limit_of_frames_ends_what_is_fed_from_outside)
{
    test_seen_count = 0;
    struct ph_graph *g =
        make("p: push =>[block 4] sink", (struct ph_graph_params){ .frames = 3 });
    CHECK_OK(ph_graph_start(g));
    ph_err state = PH_MORE;
    for (uint64_t i = 0; state == PH_MORE; i++) { // until it has enough
        struct ph_frame *f;
        CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f));
        f->id = i;
        *(float *) (void *) f->picture.data[0] = (float) i;
        ph_graph_push(g, "p", &f);
        state = ph_graph_wait(g, 10 * MS);
    }
    CHECK_INT(state, ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 3);
    ph_graph_destroy(&g);
}

TEST(live_ticks_arrive_and_never_go_back)
{
    struct ph_graph *g =
        make("count fps=200 => work ms=1 => sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    while (test_seen_count <= 10) nap(SECOND / 100);
    ph_graph_stop(g);
    for (int i = 1; i < test_seen_count; i++) CHECK(test_seen[i].id > test_seen[i - 1].id);
    ph_graph_destroy(&g);
}

TEST(a_graph_is_over_when_its_last_sink_has_ended_whatever_its_source_does)
{
    struct ph_graph *g = make("c: count fps=500 => a: few frames=3\nc => b: few frames=9",
                              (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 12);
    ph_graph_destroy(&g);
}

// runtimes.md D2 1: a stalled clock flooded the graph with ticks
TEST(d2_1_after_a_stall_of_a_second_no_tick_flood)
{
    struct ph_graph *g =
        make("count fps=100 -> w: work -> sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    test_flow("s", 5);
    CHECK_OK(ph_graph_set(g, 1, "w", "ms", "1000", NULL));
    test_flow("s", 2); // it works for a second on the second of them
    CHECK_OK(ph_graph_set(g, 2, "w", "ms", "0", NULL));
    test_flow("s", 20);
    int64_t begin = test_seen[0].at_ns;
    ph_graph_stop(g);
    int n = test_seen_count;
    int64_t took = test_seen[n - 1].at_ns - begin;
    CHECK_INT(n, <=, took * 100 / SECOND + 2);
    for (int i = 1; i < n; i++) CHECK(test_seen[i].id > test_seen[i - 1].id);
    ph_graph_destroy(&g);
}

// runtimes.md D2 44, 48: a room that nobody watches went on, an idle one spun
TEST(d2_44_a_graph_that_nobody_watches_sleeps_and_wakes)
{
    static struct ph_subscriber sub;
    sub.deliver = ignore_frame;
    struct ph_graph *g =
        make("count fps=100 => work ms=1 -> v: viewed", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    nap(SECOND / 5);
    CHECK_INT(test_seen_count, ==, 0);
    CHECK_OK(ph_graph_subscribe(g, "v", &sub));
    test_flow("v", 5);
    ph_graph_unsubscribe(g, &sub);
    struct ph_graph_rates rates = { 0 };
    for (; !rates.asleep; nap(10 * MS)) ph_graph_get_rates(g, &rates);
    int n = test_seen_count;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    nap(SECOND / 2);
    getrusage(RUSAGE_SELF, &after);
    CHECK_INT(test_seen_count, <=, n + 1);
    int64_t cpu_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
                     after.ru_utime.tv_usec - before.ru_utime.tv_usec;
    CHECK_INT(cpu_us, <, 50000 * TEST_SLOW);
    // awake again: no flood of the ticks that were slept through
    int64_t from = ph_now_ns();
    CHECK_OK(ph_graph_subscribe(g, "v", &sub));
    nap(SECOND / 5);
    int more = test_seen_count - n;
    CHECK_INT(more, <=, (ph_now_ns() - from) / MS / 10 + 3);
    ph_graph_destroy(&g);
}
// runtimes.md D2 17: shutdown never arrived
TEST(d2_17_a_graph_stops_within_a_second_in_every_state)
{
    const char *texts[] = {
        "count fps=0 -> sink", "count fps=1 -> sink",
        "p: push -> sink",     "count fps=0 =>[block 1] work ms=300 =>[block 1] sink",
        "count -> v: viewed",  "a: count => p: pair => sink\nb: push =>[block 4] p.b",
    };
    for (int mode = PH_LIVE; mode <= PH_OFFLINE; mode++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            for (int wait = 0; wait < 2; wait++) {
                struct ph_graph *g =
                    make(texts[i], (struct ph_graph_params){ .mode = (enum ph_mode) mode });
                CHECK_OK(ph_graph_start(g));
                if (wait) nap(20 * MS);
                int64_t from = ph_now_ns();
                ph_graph_destroy(&g);
                CHECK_INT((ph_now_ns() - from) / MS, <, 1000 * TEST_SLOW);
            }
}

// runtimes.md D2 9: subscribing returned before it was live
TEST(d2_9_the_frame_right_after_a_subscription_is_delivered)
{
    static _Atomic int got;
    struct ph_graph *g = make("p: push -> s: sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    for (int i = 0; i < 10000; i++) {
        struct ph_subscriber sub = { .deliver = count_frame, .opaque = &got };
        struct ph_frame *f;
        int before = got;
        CHECK_OK(ph_graph_subscribe(g, "s", &sub));
        CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f));
        CHECK_OK(ph_graph_push(g, "p", &f));
        while (got == before) sched_yield();
        ph_graph_unsubscribe(g, &sub);
    }
    ph_graph_destroy(&g);
}
// runtimes.md D2 10: a consumer that did not read filled a buffer, then the log, then stopped all
TEST(d2_10_pushes_that_nobody_takes_do_not_grow_anything)
{
    struct ph_graph *g = make("p: push -> sink", (struct ph_graph_params){ 0 }); // not started
    struct ph_pool *pool;
    CHECK_OK(ph_pool_create(&pool));
    for (int i = 0; i < 10000; i++) {
        struct ph_frame *f;
        long before = alloc_count_here();
        CHECK_OK(ph_frame_picture(pool, PH_RGBA, 64, 64, &f));
        CHECK_OK(ph_graph_push(g, "p", &f));
        if (i > 4) CHECK_INT(alloc_count_here(), ==, before);
    }
    ph_pool_destroy(&pool);
    ph_graph_destroy(&g);
}

TEST(steady_state_allocates_nothing_on_a_lane)
{
    struct ph_graph *g =
        make("a: count fps=2000 => add amount=1 -> p: pair -> pass => c: cutter -> sink\n"
             "b: count fps=500 =>[drop_oldest 3] p.b\na =>[block 2] x: sink",
             (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    // Pools and rings grow to the most frames that were ever under way at once, which under
    // load may be reached late; what allocates per frame never has a quiet half second.
    long n = -1;
    for (int i = 0; i < 20 && n; i++) {
        int before = test_seen_count;
        alloc_watch("ph:");
        nap(SECOND / 2);
        n = alloc_watched();
        CHECK_INT(test_seen_count, >, before + 20 / TEST_SLOW);
    }
    if (n) TEST_FAIL("%ld allocations on a lane: %s", n, alloc_first());
    alloc_watch(NULL);
    ph_graph_destroy(&g);
}

TEST(edits_under_load_lose_no_node_state)
{
    struct ph_graph *g =
        make("c: count fps=1000 => a: add => s: sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    for (int i = 0; i < 60; i++) {
        const char *text = i % 3 == 0 ? "c: count fps=1000 -> s: sink"
                           : i % 3 == 1
                               ? "c: count fps=1000 => a: add => s: sink\nc => t: sink"
                               : "c: count fps=1000 => a: add -> b: pass =>[block 3] s: sink";
        CHECK_OK(ph_graph_edit(g, (uint64_t) i, text, NULL));
        nap(5 * MS);
    }
    test_flow("s", 50);
    ph_graph_stop(g);
    uint64_t last = 0;
    for (int i = 0; i < test_seen_count; i++) {
        if (test_seen[i].node[0] != 's') continue;
        CHECK(!last || test_seen[i].id > last);
        last = test_seen[i].id;
    }
    CHECK_INT(last, >, 50);
    ph_graph_destroy(&g);
}

struct hammer {
    struct ph_graph *g;
    _Atomic bool stop;
};

static void *hammer_reads(void *opaque)
{
    struct hammer *h = opaque;
    while (!h->stop) {
        struct ph_graph_rates r;
        struct ph_subscriber sub = { .deliver = ignore_frame };
        ph_graph_get_rates(h->g, &r);
        free(ph_graph_status_json(h->g));
        free(ph_graph_metrics_text(h->g, "x"));
        free(ph_graph_trace_json(h->g));
        ph_graph_subscribe(h->g, "s", &sub);
        ph_graph_unsubscribe(h->g, &sub);
        ph_graph_set(h->g, 1, "a", "amount", "3", NULL);
    }
    return NULL;
}

TEST(status_subscriptions_and_changes_are_safe_beside_edits)
{
    struct hammer h = { .g = make("c: count fps=1000 => a: add => s: sink",
                                  (struct ph_graph_params){ 0 }) };
    pthread_t t;
    CHECK_OK(ph_graph_start(h.g));
    pthread_create(&t, NULL, hammer_reads, &h);
    for (int i = 0; i < 40; i++) {
        CHECK_OK(ph_graph_edit(h.g, 0,
                               i & 1 ? "c: count fps=1000 => a: add => s: sink"
                                     : "c: count fps=1000 -> a: add -> p: pass => s: sink",
                               NULL));
        CHECK_OK(ph_graph_cut(h.g, 2, (struct ph_cut){ .hard = i & 2 }));
        nap(3 * MS);
    }
    h.stop = true;
    pthread_join(t, NULL);
    ph_graph_destroy(&h.g);
}

static void *hammer_set(void *opaque)
{
    struct hammer *h = opaque;
    for (int i = 0; !h->stop; i++)
        ph_graph_set(h->g, 1, "a", "amount", i & 1 ? "3" : "4.125", NULL);
    return NULL;
}

// Values are read by the lanes of nodes that show them, and by whoever asks for the status.
TEST(values_are_read_safely_beside_changes)
{
    struct hammer h = { .g = make(
                            "c: count fps=2000 => a: add -> m: meter names=a.amount -> s: sink",
                            (struct ph_graph_params){ 0 }) };
    pthread_t t;
    pthread_create(&t, NULL, hammer_set, &h);
    CHECK_OK(ph_graph_start(h.g));
    for (int i = 0; i < 200; i++) {
        free(ph_graph_status_json(h.g));
        nap(MS);
    }
    h.stop = true;
    pthread_join(t, NULL);
    ph_graph_destroy(&h.g);
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// runtimes.md D2 42: create and destroy leaked
TEST(d2_42_a_hundred_graphs_leave_nothing_behind)
{
    int fds = 0;
    for (int i = 0; i < 100; i++) {
        struct ph_graph *g = make("a: count fps=500 => p: pair => sink\nb: count => p.b",
                                  (struct ph_graph_params){ 0 });
        CHECK_OK(ph_graph_start(g));
        nap(2 * MS);
        ph_graph_destroy(&g);
        if (i == 2) fds = count_fds();
    }
    CHECK_INT(count_fds(), ==, fds);
}
