// SPDX-License-Identifier: MIT
// Ends that come early, edits at awkward moments, and memory that runs out.
#include "../alloc_count.h"
#include "../test.h"
#include "nodes.h"

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

static struct ph_event events[256];
static int event_count;

static void on_event(void *opaque, const struct ph_event *e)
{
    (void) opaque;
    if (event_count < 256) events[event_count++] = *e;
}

static struct ph_graph *make(const char *text, struct ph_graph_params par)
{
    struct ph_graph *g;
    struct ph_fault fault;
    par.nodes = test_nodes;
    par.event = on_event;
    if (ph_graph_create(&g, text, &par, &fault) != PH_OK)
        TEST_FAIL("%s: %s", text, fault.message);
    return g;
}

static struct ph_graph *stepped(const char *text)
{
    return make(text, (struct ph_graph_params){ .mode = PH_STEPPED });
}

static int seen_by(const char *sink)
{
    int n = 0;
    for (int i = 0; i < test_seen_count; i++) n += !strcmp(test_seen[i].node, sink);
    return n;
}

static bool acknowledged(uint64_t id)
{
    for (int i = 0; i < event_count; i++)
        if (events[i].type == PH_EVENT_ACK && events[i].id == id) return true;
    return false;
}

// --- ends

TEST_LIMIT(one_link_of_a_port_that_ends_does_not_keep_the_lane_busy, 10)
{
    struct ph_graph *g = make("a: count fps=100 => s: sink\nb: count fps=10 => s",
                              (struct ph_graph_params){ .mode = PH_STEPPED, .frames = 10 });
    CHECK_INT(ph_graph_step(g, 2 * SECOND), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 20);
    ph_graph_destroy(&g);
}

TEST_LIMIT(offline_a_held_input_that_outlasts_its_trigger_keeps_nobody_waiting, 20)
{
    struct ph_graph *g = make("a: brief n=100 => p: pair => sink\nb: brief n=5000 => p.b",
                              (struct ph_graph_params){ .mode = PH_OFFLINE });
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 100);
    ph_graph_destroy(&g);
}

TEST_LIMIT(what_nobody_reads_any_more_ends_up_to_its_source, 20)
{
    struct ph_graph *g =
        make("c: count fps=100 -> p: pass => q: pass =>[block 2] t: few frames=5",
             (struct ph_graph_params){ .mode = PH_STEPPED });
    CHECK_INT(ph_graph_step(g, SECOND), ==, PH_EOF);
    char *status = ph_graph_status_json(g);
    ph_graph_step(g, 5 * SECOND);
    char *later = ph_graph_status_json(g);
    const char *runs = strstr(status, "\"name\":\"c\",\"type\""),
               *after = strstr(later, "\"name\":\"c\",\"type\"");
    CHECK(runs && after && !strncmp(runs, after, 45)); // name, type, lane and runs
    free(status), free(later);
    ph_graph_destroy(&g);
}

TEST(a_sink_that_ended_does_not_pile_up_what_others_still_read)
{
    struct ph_graph *g = stepped("c: count fps=100 -> t: few frames=5\nc -> s: sink\n"
                                 "c =>[block 2] u: few frames=5");
    ph_graph_step(g, SECOND);
    long before = alloc_count_here();
    ph_graph_step(g, 10 * SECOND - 1);
    CHECK_INT(alloc_count_here(), ==, before);
    CHECK_INT(seen_by("s"), ==, 1000);
    ph_graph_destroy(&g);
}

TEST(offline_a_branch_through_another_lane_meets_its_own_source_again)
{
    struct ph_graph *g = make("a: count fps=60 -> p: pair -> sink\na => w: pass => p.b",
                              (struct ph_graph_params){ .mode = PH_OFFLINE, .frames = 200 });
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 200);
    for (int i = 0; i < 200; i++) CHECK_NUM(test_seen[i].value, ==, i * 1001);
    ph_graph_destroy(&g);
}

TEST(what_had_ended_goes_on_when_an_edit_feeds_it_again)
{
    struct ph_graph *g = stepped("a: brief n=5 -> p: pass => q: pass -> s: sink");
    CHECK_INT(ph_graph_step(g, SECOND), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 5);
    CHECK_OK(ph_graph_edit(g, 1, "b: count fps=10 -> p: pass => q: pass -> s: sink", NULL));
    CHECK_INT(ph_graph_step(g, 2 * SECOND), ==, PH_MORE);
    CHECK_INT(test_seen_count, >=, 14);
    ph_graph_destroy(&g);
}

TEST(a_source_that_nobody_read_goes_on_when_an_edit_reads_it_again)
{
    struct ph_graph *g = stepped("c: count fps=10 => p: pass -> t: few frames=5");
    CHECK_INT(ph_graph_step(g, SECOND), ==, PH_EOF);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 => p: pass -> s: sink", NULL));
    CHECK_INT(ph_graph_step(g, 2 * SECOND), ==, PH_MORE);
    CHECK_INT(test_seen_count, >=, 9);
    CHECK_INT(test_opened, ==, 1); // the same source
    ph_graph_destroy(&g);
}

// --- edits

static int delivered;
static void deliver(void *opaque, struct ph_frame *f)
{
    (void) opaque, (void) f;
    delivered++;
}

TEST(a_subscription_outlives_an_edit_that_rebuilds_its_sink)
{
    struct ph_graph *g = stepped("c: count fps=10 -> s: sink");
    struct ph_subscriber sub = { .deliver = deliver };
    CHECK_OK(ph_graph_subscribe(g, "s", &sub));
    ph_graph_step(g, SECOND - 1);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 -> s: viewed", NULL));
    ph_graph_step(g, 2 * SECOND - 1);
    CHECK_INT(delivered, ==, 20);
    ph_graph_unsubscribe(g, &sub);
    ph_graph_destroy(&g);
}

TEST(a_nodes_thread_may_ask_until_it_is_closed)
{
    for (int i = 0; i < 20; i++) {
        struct ph_graph *g = make("x: asker -> p: pass => q: pass -> s: viewed\n"
                                  "y: asker -> z: pass => t: viewed",
                                  (struct ph_graph_params){ 0 });
        CHECK_OK(ph_graph_start(g));
        CHECK_OK(ph_graph_edit(g, 0, "y: asker -> z: pass => q: pass -> t: viewed", NULL));
        ph_graph_destroy(&g);
    }
}

// Each node doubles the number of ways to the sink.
TEST_LIMIT(whether_a_frame_is_wanted_is_found_in_time_in_a_lattice, 20)
{
    char text[8192] = "x: asker -> p0: pair\nx -> p0.b\n";
    size_t len = strlen(text);
    for (int i = 1; i < 60; i++)
        len += (size_t) snprintf(text + len, sizeof text - len,
                                 "p%d -> p%d: pair\np%d -> p%d.b\n", i - 1, i, i - 1, i);
    snprintf(text + len, sizeof text - len, "p59 -> s: viewed");
    struct ph_graph *g = make(text, (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    ph_graph_destroy(&g);
}

TEST(two_links_with_the_same_ends_stay_two_across_edits)
{
    struct ph_graph *g = stepped("c: count fps=10 -> s: sink\nc -> s");
    ph_graph_step(g, SECOND - 1);
    CHECK_INT(seen_by("s"), ==, 20);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 -> s: sink\nc -> s\nc -> t: sink", NULL));
    ph_graph_step(g, 2 * SECOND - 1);
    CHECK_INT(seen_by("s"), ==, 40);
    CHECK_OK(ph_graph_edit(g, 2, "c: count fps=10 -> t: sink", NULL));
    ph_graph_step(g, 3 * SECOND - 1);
    CHECK_INT(seen_by("t"), ==, 20);
    ph_graph_destroy(&g);
}

TEST(a_hard_cut_right_before_an_edit_is_not_lost)
{
    struct ph_graph *g = stepped("c: count fps=10 -> k: cutter -> s: sink");
    ph_graph_step(g, SECOND);
    CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    CHECK_OK(ph_graph_edit(g, 2, "c: count fps=10 => k: cutter -> s: sink", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_cut_calls, ==, 1);
    CHECK(acknowledged(1));
    ph_graph_destroy(&g);
}

TEST(a_change_right_before_an_edit_does_not_undo_it)
{
    struct ph_graph *g = stepped("c: count fps=10 -> a: add amount=1 -> s: sink");
    ph_graph_step(g, SECOND);
    CHECK_OK(ph_graph_set(g, 1, "a", "amount", "5", NULL));
    CHECK_OK(ph_graph_edit(g, 2, "c: count fps=10 -> a: add amount=7 -> s: sink", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK_NUM(test_seen[test_seen_count - 1].value, ==, 7);
    CHECK(acknowledged(1));
    ph_graph_destroy(&g);
}

TEST(a_transfer_behind_a_name_of_full_length_survives_edits)
{
    char text[256];
    snprintf(text, sizeof text, "c: count -> x%062d: gpu -> s: sink", 0);
    struct ph_graph *g = stepped(text);
    ph_graph_step(g, SECOND);
    CHECK_OK(ph_graph_edit(g, 1, text, NULL));
    CHECK_INT(test_opened, ==, 1);
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_seen_count, >, 100);
    ph_graph_destroy(&g);
}

// --- loss and order

TEST(changes_do_not_push_frames_into_a_link_that_is_full)
{
    struct ph_graph *g = stepped("c: count fps=1000 =>[block 2] work ms=5000 => s: sink");
    ph_graph_step(g, SECOND);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(ph_graph_set(g, 1, "c", "value", i & 1 ? "1" : "2", NULL));
        ph_graph_step(g, SECOND + i * MS);
    }
    char *status = ph_graph_status_json(g);
    CHECK_HAS(status, "\"policy\":\"block\",\"depth\":2,\"queued\":2");
    free(status);
    ph_graph_destroy(&g);
}

TEST(a_frame_that_its_pusher_keeps_belongs_to_the_present_epoch_too)
{
    struct ph_graph *g = stepped("p: push -> s: sink");
    struct ph_frame *f;
    CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f));
    struct ph_frame *given = ph_frame_ref(f);
    CHECK_OK(ph_graph_push(g, "p", &given));
    ph_graph_step(g, SECOND);
    CHECK_INT(test_seen_count, ==, 1);
    CHECK_INT(test_seen[0].epoch, ==, 1);
    CHECK_INT(f->epoch, ==, 0); // what is published is not written to
    ph_frame_unref(&f);
    ph_graph_destroy(&g);
}

// --- memory

#define TEXT                                                                                   \
    "a: count fps=10 label=x => p: pair -> d: add amount=1 => s: sink\nb: count => p.b\n"      \
    "e: push => s\na -> gpu -> sink"

TEST_LIMIT(every_allocation_of_a_new_graph_may_fail, 60)
{
    struct ph_graph *g = NULL;
    int failures = 0;
    for (long n = 0; !g; n++, failures++) {
        alloc_fail_only(n);
        ph_err ret = ph_graph_create(
            &g, TEXT, ph_graph_params(.mode = PH_STEPPED, .nodes = test_nodes), NULL);
        alloc_fail_only(-1);
        if (ret < 0) CHECK_INT(ret, ==, PH_ENOMEM);
    }
    CHECK_INT(failures, >, 50);
    ph_graph_destroy(&g);
    CHECK_INT(test_opened, ==, test_closed);
}

TEST_LIMIT(every_allocation_of_an_edit_may_fail_and_changes_nothing, 60)
{
    struct ph_graph *g = stepped("a: count fps=10 -> d: add -> s: sink");
    char *before = ph_graph_text(g);
    ph_err ret = PH_ENOMEM;
    for (long n = 0; ret < 0; n++) {
        ph_graph_step(g, n * 100 * MS);
        alloc_fail_only(n);
        ret = ph_graph_edit(g, 0, TEXT, NULL);
        alloc_fail_only(-1);
        if (ret == PH_OK) break;
        CHECK_INT(ret, ==, PH_ENOMEM);
        char *after = ph_graph_text(g);
        CHECK_STR(after, before);
        free(after);
    }
    free(before);
    int seen = test_seen_count;
    ph_graph_step(g, 1000 * SECOND);
    CHECK_INT(test_seen_count, >, seen + 100);
    ph_graph_destroy(&g);
    CHECK_INT(test_opened, ==, test_closed);
}

TEST_LIMIT(frames_are_lost_and_nothing_else_when_memory_fails_while_it_runs, 60)
{
    struct ph_graph *g = stepped(TEXT);
    for (long n = 0; n < 40; n++) {
        alloc_fail_only(n % 8);
        ph_graph_step(g, n * 100 * MS);
        alloc_fail_only(-1);
        char value[16];
        snprintf(value, sizeof value, "%ld", n);
        alloc_fail_only(n % 4);
        ph_graph_set(g, 1, "d", "amount", value, NULL);
        ph_graph_cut(g, 2, (struct ph_cut){ .hard = n & 1 });
        free(ph_graph_status_json(g));
        free(ph_graph_metrics_text(g, "x"));
        free(ph_graph_trace_json(g));
        free(ph_graph_explain(g));
        alloc_fail_only(-1);
    }
    int seen = test_seen_count;
    ph_graph_step(g, 20 * SECOND);
    CHECK_INT(test_seen_count, >, seen + 50);
    ph_graph_destroy(&g);
}
