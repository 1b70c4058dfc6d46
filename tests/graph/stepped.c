// SPDX-License-Identifier: MIT
// The runtime on the virtual clock: order, drop policies, control, epochs, edits, exactly.
#include "../test.h"
#include "nodes.h"

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

static struct ph_event events[4096];
static int event_count;

static void on_event(void *opaque, const struct ph_event *e)
{
    (void) opaque;
    if (event_count < 4096) events[event_count++] = *e;
}

static struct ph_graph *make(const char *text)
{
    struct ph_graph *g;
    struct ph_fault fault;
    ph_err err = ph_graph_create(
        &g, text, ph_graph_params(.mode = PH_STEPPED, .nodes = test_nodes, .event = on_event),
        &fault);
    if (err != PH_OK) TEST_FAIL("%s: %s", text, fault.message);
    return g;
}

static const struct ph_event *ack_of(uint64_t id)
{
    for (int i = 0; i < event_count; i++)
        if (events[i].type == PH_EVENT_ACK && events[i].id == id) return &events[i];
    return NULL;
}

static void check_rising(void)
{
    for (int i = 1; i < test_seen_count; i++)
        if (test_seen[i].id <= test_seen[i - 1].id ||
            test_seen[i].pts_ns <= test_seen[i - 1].pts_ns)
            TEST_FAIL("frame %llu after %llu", (unsigned long long) test_seen[i].id,
                      (unsigned long long) test_seen[i - 1].id);
}

TEST(a_source_ticks_exactly_at_its_rate)
{
    struct ph_graph *g = make("count fps=30 -> sink");
    CHECK_INT(ph_graph_step(g, 10 * SECOND - 1), ==, PH_MORE);
    CHECK_INT(test_seen_count, ==, 300);
    CHECK_INT(test_seen[299].pts_ns, ==, 299 * SECOND / 30);
    CHECK_INT(test_seen[299].at_ns, ==, 299 * SECOND / 30);
    ph_graph_destroy(&g);
}

// runtimes.md D2 34: one frame in 30 s was lost
TEST(d2_34_an_hour_drifts_by_less_than_a_frame)
{
    struct ph_graph *g = make("count fps=29.97 -> sink");
    ph_graph_step(g, 3600 * SECOND - 1);
    CHECK_INT(test_seen_count, ==, 107892);
    CHECK_INT(test_seen[107891].at_ns - test_seen[107891].pts_ns, <, SECOND / 30);
    ph_graph_destroy(&g);
}

// runtimes.md D2 7: each hop cost one tick
TEST(d2_7_a_frame_crosses_ten_nodes_in_one_tick)
{
    struct ph_graph *g = make("count fps=60 -> pass -> pass -> pass -> pass -> pass -> pass -> "
                              "pass -> pass -> pass -> pass -> sink");
    ph_graph_step(g, 0);
    CHECK_INT(test_seen_count, ==, 1);
    CHECK_INT(test_seen[0].at_ns, ==, 0);
    ph_graph_destroy(&g);
}

// runtimes.md D2 6: stages ran one after another, n stages gave 1/n of the rate
TEST(d2_6_throughput_is_that_of_the_slowest_lane)
{
    struct ph_graph *g = make("count fps=100 =>[block 1] work ms=10 =>[block 1] work ms=10 "
                              "=>[block 1] work ms=10 =>[block 1] work ms=10 => sink");
    ph_graph_step(g, 10 * SECOND);
    CHECK_INT(test_seen_count, >=, 990); // 100 per second, not 25
    ph_graph_destroy(&g);
}

// runtimes.md D2 4, 33: the queue kept the oldest and dropped the newest
TEST(d2_4_a_slow_consumer_reads_the_newest_frame)
{
    struct ph_graph *g = make("count fps=1000 => work ms=100 => sink");
    ph_graph_step(g, 2 * SECOND);
    check_rising();
    for (int i = 2; i < test_seen_count; i++) {
        // seen after 100 ms of work on a frame that was at most one tick old when work began
        int64_t age = test_seen[i].at_ns - test_seen[i].pts_ns;
        CHECK_INT(age, <=, 101 * MS);
    }
    CHECK_INT(test_seen_count, >=, 19);
    ph_graph_destroy(&g);
}

TEST(d2_33_the_age_of_the_input_is_bounded_by_one_frame)
{
    struct ph_graph *g = make("count fps=60 => work ms=40 => sink");
    ph_graph_step(g, 20 * SECOND);
    for (int i = 10; i < test_seen_count; i++)
        CHECK_INT(test_seen[i].at_ns - test_seen[i].pts_ns, <=, 40 * MS + SECOND / 60 + 1);
    ph_graph_destroy(&g);
}

TEST(a_block_link_loses_nothing_and_slows_the_producer)
{
    struct ph_graph *g = make("count fps=100 =>[block 4] work ms=50 => sink");
    ph_graph_step(g, 10 * SECOND);
    CHECK_INT(test_seen_count, >=, 195);
    check_rising();
    ph_graph_destroy(&g);
}

TEST(drop_oldest_keeps_the_newest_of_its_depth_in_order)
{
    struct ph_graph *g = make("count fps=100 =>[drop_oldest 3] work ms=100 => sink");
    ph_graph_step(g, SECOND);
    check_rising();
    // 10 frames come while one is worked on; 3 stay
    CHECK_INT(test_seen_count, >=, 9);
    CHECK_INT(test_seen[5].id - test_seen[4].id, >, 1);
    ph_graph_destroy(&g);
}

TEST(drop_to_key_goes_on_with_a_key)
{
    struct ph_graph *g = make("stream => work ms=37 => sink");
    ph_graph_step(g, 10 * SECOND);
    CHECK_INT(test_seen_count, >, 100);
    for (int i = 1; i < test_seen_count; i++)
        if (test_seen[i].id != test_seen[i - 1].id + 1) CHECK_INT(test_seen[i].id % 10, ==, 0);
    ph_graph_destroy(&g);
}

// runtimes.md D2 36: two consumers drained one queue
TEST(d2_36_every_sink_sees_every_frame_once)
{
    struct ph_graph *g = make("c: count fps=50 -> one: sink\nc =>[block 4] two: sink\n"
                              "c =>[block 2] p: pass -> three: sink");
    ph_graph_step(g, 2 * SECOND - 1);
    int n[3] = { 0 };
    uint64_t next[3] = { 0 };
    for (int i = 0; i < test_seen_count; i++) {
        int k = test_seen[i].node[0] == 'o' ? 0 : test_seen[i].node[1] == 'w' ? 1 : 2;
        CHECK_INT(test_seen[i].id, ==, next[k]++);
        n[k]++;
    }
    for (int k = 0; k < 3; k++) CHECK_INT(n[k], >=, 99);
    ph_graph_destroy(&g);
}

// runtimes.md D2 12: a fast producer pushed a slow one's frames out of a shared buffer
TEST(d2_12_a_fast_input_does_not_evict_a_slow_one)
{
    struct ph_graph *g = make("a: count fps=500 -> p: pair -> sink\nb: count fps=5 => p.b");
    ph_graph_step(g, 2 * SECOND);
    for (int i = 150; i < test_seen_count; i++) {
        int b = (int) test_seen[i].value % 1000;
        // never missing, never older; of two ticks at one moment the first lane's comes first
        CHECK_INT(b, ==, (test_seen[i].pts_ns - 1) * 5 / SECOND);
    }
    ph_graph_destroy(&g);
}

// runtimes.md D2 13: a mixer consumed one input before the other was there
TEST(d2_13_a_held_input_is_shown_until_a_newer_one_comes)
{
    struct ph_graph *g = make("a: count fps=60 => p: pair -> sink\nb: count fps=20 => p.b");
    ph_graph_step(g, 5 * SECOND);
    int last = -1;
    for (int i = 4; i < test_seen_count; i++) {
        int b = (int) test_seen[i].value % 1000;
        CHECK_INT(b, !=, 999);
        CHECK_INT(b, >=, last);
        last = b;
    }
    ph_graph_destroy(&g);
}

TEST(d2_11_links_may_come_in_any_order)
{
    const char *lines[] = { "c -> one", "c => two", "c => three" };
    int order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                        { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (int k = 0; k < 6; k++) {
        char text[400];
        snprintf(text, sizeof text, "c: count fps=10 -> zero: sink\n%s: %s\n%s: %s\n%s: %s",
                 lines[order[k][0]], "sink", lines[order[k][1]], "sink", lines[order[k][2]],
                 "sink");
        test_seen_count = 0;
        struct ph_graph *g = make(text);
        ph_graph_step(g, SECOND - 1);
        CHECK_INT(test_seen_count, ==, 40);
        ph_graph_destroy(&g);
    }
}

// --- control

TEST(a_change_lands_between_frames_and_the_ack_names_the_first_frame)
{
    struct ph_graph *g = make("count fps=10 -> a: add amount=1 -> sink");
    ph_graph_step(g, SECOND / 2);
    CHECK_OK(ph_graph_set(g, 7, "a", "amount", "5", NULL));
    ph_graph_step(g, SECOND);
    const struct ph_event *e = ack_of(7);
    CHECK(e != NULL);
    for (int i = 0; i < test_seen_count; i++)
        CHECK_NUM(test_seen[i].value, ==, test_seen[i].id >= e->frame ? 5 : 1);
    CHECK_INT(e->frame, ==, 6);
    ph_graph_destroy(&g);
}

// runtimes.md D2 19: 20 slider moves ended at the eighth, pause waited seven chunks
TEST(d2_19_ten_thousand_changes_end_at_the_last_within_one_frame)
{
    struct ph_graph *g = make("count fps=10 -> a: add -> sink");
    char value[32];
    ph_graph_step(g, SECOND / 2);
    int before = test_seen_count;
    for (int i = 1; i <= 10000; i++) {
        snprintf(value, sizeof value, "%g", i / 100.0);
        CHECK_OK(ph_graph_set(g, (uint64_t) i, "a", "amount", value, NULL));
    }
    event_count = 0;
    ph_graph_step(g, SECOND / 2 + SECOND / 10);
    CHECK_INT(test_seen_count, ==, before + 1);
    CHECK_NUM(test_seen[before].value, ==, 100);
    CHECK_INT(event_count, ==, 4096); // all acknowledged (the log of this test ends there)
    ph_graph_destroy(&g);
}

TEST(what_cannot_be_set_is_refused_with_the_range_or_the_nearest_name)
{
    struct ph_graph *g = make("count -> adder: add -> sink");
    struct ph_fault f;
    CHECK_INT(ph_graph_set(g, 1, "adder", "amount", "2000", &f), ==, PH_EINVAL);
    CHECK_HAS(f.message, "-1000 … 1000");
    CHECK_INT(ph_graph_set(g, 1, "adder", "amuont", "2", &f), ==, PH_EINVAL);
    CHECK_HAS(f.message, "did you mean \"amount\"?");
    CHECK_INT(ph_graph_set(g, 1, "addr", "amount", "2", &f), ==, PH_ENOENT);
    CHECK_HAS(f.message, "did you mean \"adder\"?");
    ph_graph_destroy(&g);
}

TEST(a_setup_parameter_rebuilds_its_node_and_the_rest_goes_on)
{
    struct ph_graph *g = make("c: count fps=10 -> a: add amount=3 -> sink");
    ph_graph_step(g, SECOND / 2);
    CHECK_OK(ph_graph_set(g, 3, "c", "label", "other", NULL));
    CHECK_INT(test_opened, ==, 2);
    CHECK_INT(test_closed, ==, 1);
    ph_graph_step(g, SECOND);
    CHECK(ack_of(3) != NULL);
    struct ph_fault f;
    CHECK_INT(ph_graph_set(g, 4, "c", "label", "broken", &f), ==, PH_EDEVICE);
    int before = test_seen_count;
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_seen_count, >=, before + 9);
    CHECK_INT(test_closed, ==, 2); // the one that did not open
    ph_graph_destroy(&g);
}

// --- epochs

// runtimes.md D2 28: only one queue was flushed, stale frames came after a cut
TEST(d2_28_no_frame_of_an_older_epoch_after_a_hard_cut)
{
    struct ph_graph *g = make("count fps=100 =>[block 8] work ms=10 =>[drop_oldest 8] "
                              "work ms=30 =>[block 4] sink");
    ph_graph_step(g, SECOND);
    int before = test_seen_count;
    CHECK_OK(ph_graph_cut(g, 9, (struct ph_cut){ .hard = true }));
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_seen_count, >, before + 10);
    for (int i = before; i < test_seen_count; i++) CHECK_INT(test_seen[i].epoch, ==, 1);
    const struct ph_event *e = ack_of(9);
    CHECK(e != NULL);
    CHECK_INT(e->epoch, ==, 1);
    CHECK_INT(e->frame, ==, test_seen[before].id);
    ph_graph_destroy(&g);
}

// runtimes.md D2 20: a cut was lost while the pipeline waited for input
TEST(d2_20_a_cut_survives_starvation)
{
    struct ph_graph *g = make("p: push -> cutter -> sink");
    CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    ph_graph_step(g, SECOND);
    struct ph_frame *f;
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f));
    CHECK_OK(ph_graph_push(g, "p", &f));
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_cut_calls, ==, 1);
    CHECK_INT(test_seen_count, ==, 1);
    CHECK_INT(test_seen[0].epoch, ==, 1);
    CHECK(ack_of(1) != NULL);
    ph_graph_destroy(&g);
}

// runtimes.md D2 21: the one-shot was cleared although the call had failed
TEST(d2_21_a_cut_is_cleared_only_when_it_succeeded)
{
    struct ph_graph *g = make("count fps=10 -> cutter fail=3 -> sink");
    ph_graph_step(g, SECOND / 2);
    CHECK_OK(ph_graph_cut(g, 1, (struct ph_cut){ .hard = true }));
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_cut_failures, ==, 3);
    CHECK_INT(test_cut_calls, ==, 1);
    ph_graph_destroy(&g);
}

TEST(a_soft_cut_reaches_the_nodes_that_know_it_and_keeps_the_epoch)
{
    struct ph_graph *g = make("count fps=10 -> cutter -> sink");
    ph_graph_step(g, SECOND / 2);
    CHECK_OK(ph_graph_cut(g, 5, (struct ph_cut){ .chunks = 2 }));
    ph_graph_step(g, SECOND);
    CHECK_INT(test_cut_calls, ==, 1);
    CHECK(ack_of(5) != NULL);
    CHECK_INT(ack_of(5)->epoch, ==, 0);
    ph_graph_destroy(&g);
}

// runtimes.md D2 22: a failing step logged 18 000 lines and stopped the stream
static int log_lines;
static void count_lines(void *o, enum ph_log_level l, const char *who, const char *line)
{
    (void) o, (void) l, (void) who, (void) line;
    log_lines++;
}

TEST(d2_22_a_failing_frame_is_counted_once_and_the_stream_goes_on)
{
    struct ph_graph *g;
    struct ph_log log = { .write = count_lines };
    CHECK_OK(ph_graph_create(
        &g, "c: count fps=1000 fail_every=2 -> sink",
        ph_graph_params(.mode = PH_STEPPED, .nodes = test_nodes, .log = &log), NULL));
    ph_graph_step(g, 10 * SECOND - 1);
    CHECK_INT(test_seen_count, ==, 5000);
    CHECK_INT(log_lines, <=, 4);
    char *status = ph_graph_status_json(g);
    CHECK_HAS(status, "\"errors\":5000");
    free(status);
    ph_graph_destroy(&g);
}

// --- edits

TEST(nodes_are_added_removed_and_relinked_while_the_rest_keeps_its_state)
{
    struct ph_graph *g = make("c: count fps=10 -> s: sink");
    ph_graph_step(g, SECOND - 1);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 -> a: add amount=4 => s: sink", NULL));
    CHECK_INT(test_opened, ==, 1); // c went on
    ph_graph_step(g, 2 * SECOND - 1);
    CHECK_OK(ph_graph_edit(g, 2, "c: count fps=10 -> b: add amount=8 -> s: sink", NULL));
    ph_graph_step(g, 3 * SECOND - 1);
    check_rising();
    CHECK_INT(test_seen_count, >=, 29);
    CHECK_NUM(test_seen[5].value, ==, 0);
    CHECK_NUM(test_seen[15].value, ==, 4);
    CHECK_NUM(test_seen[test_seen_count - 1].value, ==, 8);
    CHECK_INT(test_seen[test_seen_count - 1].id, ==, 29);
    CHECK_INT(test_closed, ==, 0);
    ph_graph_destroy(&g);
    CHECK_INT(test_closed, ==, 1);
}

TEST(a_wrong_edit_changes_nothing)
{
    struct ph_graph *g = make("c: count fps=10 -> s: sink");
    struct ph_fault f;
    char *before = ph_graph_text(g);
    CHECK_INT(ph_graph_edit(g, 1, "c: count fps=10 -> bad: ad -> s: sink", &f), <, 0);
    CHECK_HAS(f.message, "add");
    CHECK_INT(ph_graph_edit(g, 1, "c: count -> s: sink\nd: count label=broken -> t: sink", &f),
              ==, PH_EDEVICE);
    CHECK_HAS(f.message, "broken");
    char *after = ph_graph_text(g);
    CHECK_STR(after, before);
    ph_graph_step(g, SECOND - 1);
    CHECK_INT(test_seen_count, ==, 10);
    free(before), free(after);
    ph_graph_destroy(&g);
}

static int delivered;
static void deliver(void *opaque, struct ph_frame *f)
{
    (void) opaque, (void) f;
    delivered++;
}

TEST(a_subscription_outlives_an_edit_even_one_that_takes_the_sink_away)
{
    struct ph_graph *g = make("c: count fps=10 -> s: sink");
    struct ph_subscriber sub = { .deliver = deliver };
    CHECK_OK(ph_graph_subscribe(g, "s", &sub));
    ph_graph_step(g, SECOND - 1);
    CHECK_INT(delivered, ==, 10);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 -> other: sink", NULL));
    ph_graph_step(g, 2 * SECOND - 1);
    CHECK_INT(delivered, ==, 10);
    CHECK_OK(ph_graph_edit(g, 1, "c: count fps=10 -> pass -> s: sink", NULL));
    ph_graph_step(g, 3 * SECOND - 1);
    CHECK_INT(delivered, ==, 20);
    ph_graph_unsubscribe(g, &sub);
    ph_graph_step(g, 4 * SECOND - 1);
    CHECK_INT(delivered, ==, 20);
    ph_graph_destroy(&g);
}

// --- the end

TEST(the_end_of_a_source_reaches_every_sink)
{
    struct ph_graph *g;
    CHECK_OK(ph_graph_create(&g,
                             "c: count fps=10 =>[block 2] work ms=1 -> a: sink\nc -> b: sink",
                             ph_graph_params(.mode = PH_STEPPED, .nodes = test_nodes,
                                             .frames = 25, .event = on_event),
                             NULL));
    CHECK_INT(ph_graph_step(g, 2 * SECOND), ==, PH_MORE);
    CHECK_INT(ph_graph_step(g, 3 * SECOND), ==, PH_EOF);
    CHECK_INT(test_seen_count, ==, 50);
    CHECK_INT(events[event_count - 1].type, ==, PH_EVENT_EOF);
    ph_graph_destroy(&g);
}

// runtimes.md D2 41: metrics were lifetime averages or zeros
TEST(d2_41_counters_are_the_counted_truth)
{
    struct ph_graph *g = make("c: count fps=100 => w: work ms=100 => s: sink");
    ph_graph_step(g, 5 * SECOND - 1);
    struct ph_graph_rates r;
    ph_graph_get_rates(g, &r);
    CHECK_INT(r.input, ==, 500);
    CHECK_INT(r.output, ==, test_seen_count);
    // what did not arrive was dropped before the work, is queued there, or is being worked on
    CHECK_INT(r.dropped_input, >=, 500 - test_seen_count - 3);
    CHECK_INT(r.dropped_input, <=, 500 - test_seen_count);
    ph_graph_destroy(&g);
}
