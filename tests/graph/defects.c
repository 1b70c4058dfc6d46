// SPDX-License-Identifier: MIT
// Known defects of other engines (docs/defects.md) that need real threads or pictures.
#include "../test.h"
#include "nodes.h"

#include "core/json.h"

#include <time.h>

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

static void nothing(void *opaque, struct ph_frame *f)
{
    (void) opaque, (void) f;
}

static struct ph_json_doc *status_of(struct ph_graph *g)
{
    struct ph_json_doc *doc;
    struct ph_fault fault;
    char *text = ph_graph_status_json(g);
    if (ph_json_parse(&doc, text, strlen(text), 0, &fault) < 0)
        TEST_FAIL("%s: %s", fault.message, text);
    free(text);
    return doc;
}

static const struct ph_json *node_of(const struct ph_json_doc *doc, const char *name)
{
    const struct ph_json *nodes = ph_json_get(ph_json_root(doc), "nodes");
    for (const struct ph_json *n = nodes->child; n; n = n->next)
        if (!strcmp(ph_json_string(ph_json_get(n, "name"), ""), name)) return n;
    return NULL;
}

TEST(d2_3_ids_rise_across_stalls_pauses_rate_changes_and_edits)
{
    struct ph_graph *g =
        make("c: count fps=500 -> w: work -> v: sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    for (int i = 0; i < 12; i++) {
        CHECK_OK(ph_graph_set(g, 1, "w", "ms", i % 3 ? "0" : "60", NULL));
        CHECK_OK(ph_graph_set(g, 2, "c", "fps", i % 2 ? "200" : "900", NULL));
        nap(40 * MS);
        CHECK_OK(ph_graph_edit(g, 3,
                               i % 2 ? "c: count fps=300 -> w: work -> v: sink"
                                     : "c: count fps=300 => w: work -> v: sink",
                               NULL));
    }
    test_flow("v", 30);
    ph_graph_destroy(&g);
    for (int i = 1; i < test_seen_count; i++) {
        CHECK(test_seen[i].id > test_seen[i - 1].id);
        CHECK(test_seen[i].pts_ns > test_seen[i - 1].pts_ns);
    }
}

// The value was written by the frame's own tick: a recycled buffer would show another's.
TEST(d2_8_a_recycled_buffer_never_shows_another_frame)
{
    struct ph_graph *g =
        make("a: count fps=0 -> p: pair => add amount=0 =>[drop_oldest 4] pass => one: sink\n"
             "p =>[drop_oldest 7] add amount=0 => two: sink\nb: count fps=300 => p.b",
             (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    while (test_seen_count <= 1000) nap(SECOND / 10);
    ph_graph_destroy(&g);
    int n = test_seen_count < 16000 ? test_seen_count : 16000; // floats hold 24 bits
    for (int i = 0; i < n && test_seen[i].id < 16000; i++)
        CHECK_INT((int64_t) test_seen[i].value / 1000, ==, test_seen[i].id);
}

TEST(d2_16_capture_times_are_of_the_one_monotonic_clock)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t before = t.tv_sec * SECOND + t.tv_nsec;
    struct ph_graph *g = make("count fps=100 => sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    test_flow("s", 2);
    ph_graph_destroy(&g);
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t after = t.tv_sec * SECOND + t.tv_nsec;
    CHECK(before <= test_seen[0].at_ns && test_seen[test_seen_count - 1].at_ns <= after);
}

// Rates fed back into pacing: measuring must not slow what is measured.
TEST(d2_30_a_slow_sink_does_not_slow_the_source)
{
    struct ph_graph *g = make("c: count fps=100 => work ms=200 => sink",
                              (struct ph_graph_params){ .mode = PH_STEPPED });
    struct ph_graph_rates r;
    for (int i = 1; i <= 50; i++) {
        ph_graph_step(g, i * SECOND / 5);
        ph_graph_get_rates(g, &r);
    }
    CHECK_INT(r.input, ==, 1001);
    ph_graph_destroy(&g);
}

TEST(d2_32_the_rate_after_a_pause_is_that_of_the_present)
{
    static struct ph_subscriber sub;
    sub.deliver = nothing;
    struct ph_graph *g = make("c: count fps=100 -> v: viewed", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    CHECK_OK(ph_graph_subscribe(g, "v", &sub));
    test_flow("v", 60);
    ph_graph_unsubscribe(g, &sub);
    struct ph_graph_rates r = { .input_fps = 1 };
    for (; !r.asleep || r.input_fps > 0; nap(10 * MS)) ph_graph_get_rates(g, &r);
    CHECK_OK(ph_graph_subscribe(g, "v", &sub));
    int64_t from = ph_now_ns();
    int seen = test_seen_count;
    test_flow("v", 60);
    ph_graph_get_rates(g, &r);
    double real = (test_seen_count - seen) * 1e9 / (double) (ph_now_ns() - from);
    CHECK_NUM(r.input_fps, >, 0.6 * real / TEST_SLOW);
    CHECK_NUM(r.input_fps, <, 1.5 * real * TEST_SLOW);
    ph_graph_destroy(&g);
}

TEST(d2_43_a_failed_start_leaves_nothing_and_the_retry_works)
{
    struct ph_graph *g;
    struct ph_fault f;
    for (int i = 0; i < 20; i++) {
        CHECK_INT(ph_graph_create(&g, "a: count -> s: sink\nb: count label=broken -> s2: sink",
                                  ph_graph_params(.nodes = test_nodes), &f),
                  ==, PH_EDEVICE);
        CHECK(g == NULL);
        CHECK_HAS(f.message, "broken");
        CHECK_INT(f.line, ==, 2);
    }
    CHECK_INT(test_opened + 20, ==, test_closed); // the broken one is closed too
    CHECK_INT(ph_graph_create(&g, "pass -> sink", ph_graph_params(.nodes = test_nodes), &f), ==,
              PH_EINVAL);
    CHECK_HAS(f.message, "nothing feeds pass.in");
    g = make("a: count fps=100 -> s: sink", (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    test_flow("s", 3);
    ph_graph_destroy(&g);
}

TEST(d2_45_a_cleared_value_is_cleared_downstream)
{
    struct ph_graph *g = make("c: count fps=10 label=first -> a: add amount=3 -> s: sink",
                              (struct ph_graph_params){ .mode = PH_STEPPED });
    ph_graph_step(g, SECOND);
    CHECK_OK(ph_graph_set(g, 1, "c", "label", "", NULL));
    CHECK_OK(ph_graph_edit(g, 2, "c: count fps=10 -> a: add -> s: sink",
                           NULL)); // amount is not said any more
    ph_graph_step(g, 2 * SECOND);
    CHECK_NUM(test_seen[test_seen_count - 1].value, ==, 0);
    char *text = ph_graph_text(g);
    CHECK(!strstr(text, "first") && !strstr(text, "amount=3"));
    free(text);
    ph_graph_destroy(&g);
}

TEST(d2_46_a_slow_stage_is_named_by_its_own_time)
{
    struct ph_graph *g = make("c: count fps=100 => quick: pass => slow: work ms=30 => s: sink",
                              (struct ph_graph_params){ 0 });
    CHECK_OK(ph_graph_start(g));
    test_flow("s", 40);
    struct ph_json_doc *doc = status_of(g);
    CHECK_STR(ph_json_string(ph_json_get(ph_json_root(doc), "bottleneck"), ""), "slow");
    double slow =
        ph_json_double(ph_json_get(ph_json_get(node_of(doc, "slow"), "busyMs"), "p50"), 0);
    double quick =
        ph_json_double(ph_json_get(ph_json_get(node_of(doc, "quick"), "busyMs"), "p50"), 9);
    CHECK_NUM(slow, >=, 28);
    CHECK_NUM(quick, <, slow / 3);
    ph_json_free(&doc);
    ph_graph_destroy(&g);
}

// Every source after every other, in one process and with none before it.
TEST(d2_47_no_source_needs_another_to_have_run_first)
{
    const char *sources[] = { "count fps=100", "stream", "count fps=0", "push" };
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++) {
            char text[64];
            for (int k = 0; k < 2; k++) {
                const char *source = sources[k ? b : a];
                test_seen_count = 0;
                snprintf(text, sizeof text, "x: %s -> sink", source);
                struct ph_graph *g = make(text, (struct ph_graph_params){ 0 });
                CHECK_OK(ph_graph_start(g));
                struct ph_frame *f;
                CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f));
                if (!strcmp(source, "push"))
                    CHECK_OK(ph_graph_push(g, "x", &f));
                else
                    ph_frame_unref(&f);
                while (!test_seen_count) nap(2 * MS);
                ph_graph_destroy(&g);
            }
        }
}

TEST(numbers_are_json_however_they_were_written)
{
    struct ph_graph *g = make("c: count fps=.5 value=+7. -> s: sink",
                              (struct ph_graph_params){ .mode = PH_STEPPED });
    struct ph_json_doc *doc = status_of(g);
    const struct ph_json *params = ph_json_get(node_of(doc, "c"), "params");
    CHECK_NUM(ph_json_double(ph_json_get(params, "fps"), 0), ==, 0.5);
    CHECK_NUM(ph_json_double(ph_json_get(params, "value"), 0), ==, 7);
    ph_json_free(&doc);
    ph_graph_destroy(&g);
}

TEST(prometheus_labels_are_escaped_and_no_series_comes_twice)
{
    struct ph_graph *g = make("a: count => s: sink\nb: count => s",
                              (struct ph_graph_params){ .mode = PH_STEPPED });
    char *text = ph_graph_metrics_text(g, "a\"b\\c\nd"), *state = NULL;
    const char *names[256];
    int n = 0;
    CHECK_HAS(text, "{room=\"a\\\"b\\\\c\\nd\",");
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        CHECK(strstr(line, "} "));
        *strrchr(line, ' ') = 0;
        for (int i = 0; i < n; i++) CHECK(strcmp(names[i], line) != 0);
        if (n < 256) names[n++] = line;
    }
    CHECK_INT(n, >, 20);
    free(text);
    ph_graph_destroy(&g);
}

TEST(a_trace_is_json_with_one_event_for_each_run)
{
    struct ph_graph *g = make("c: count fps=100 -> a: add => s: sink",
                              (struct ph_graph_params){ .mode = PH_STEPPED });
    ph_graph_step(g, SECOND - 1);
    char *text = ph_graph_trace_json(g);
    struct ph_json_doc *doc;
    CHECK_OK(ph_json_parse(&doc, text, strlen(text), 0, NULL));
    int events = 0;
    for (const struct ph_json *e = ph_json_get(ph_json_root(doc), "traceEvents")->child; e;
         e = e->next)
        events += !strcmp(ph_json_string(ph_json_get(e, "ph"), ""), "X");
    CHECK_INT(events, ==, 300);
    ph_json_free(&doc);
    free(text);
    ph_graph_destroy(&g);
}

TEST(the_plan_is_explained_with_lanes_policies_and_transfers)
{
    struct ph_graph *g =
        make("count =>[block 3] gpu -> sink", (struct ph_graph_params){ .mode = PH_STEPPED });
    char *text = ph_graph_explain(g);
    CHECK_HAS(text, "lane 1");
    CHECK_HAS(text, "block 3");
    CHECK_HAS(text, "gpu_upload");
    CHECK_HAS(text, "[cuda]");
    free(text);
    ph_graph_destroy(&g);
}
