// SPDX-License-Identifier: MIT
// Nodes that prepare beside their frames, work with a model, and may do without an input.
#include "../test.h"
#include "nodes.h"

#include <string.h>

#define SECOND PH_SECOND_NS
#define MS     PH_MS_NS

// --- painter amount= lag= : carries `amount`, which shows `lag` frames after it was set (0: by
// chance, within three)

struct painter {
    float amount;
    int64_t lag;
    float shown[4]; // by number
    uint64_t number, landed;
    int waited;
};

static ph_err painter_open(struct ph_node *n, struct ph_fault *fault)
{
    (void) fault;
    ph_node_set_rate(n, 10, 1);
    return PH_OK;
}

static ph_err painter_apply(struct ph_node *n)
{
    struct painter *p = ph_priv(n);
    p->shown[++p->number % 4] = p->amount;
    p->waited = 0;
    ph_node_defer(n, p->number);
    return PH_OK;
}

static bool is_ready(const struct painter *p)
{
    if (p->lag) return p->waited >= p->lag;
    return p->waited >= 3 || ph_now_ns() / 1000 % 3 == 0;
}

static ph_err painter_process(struct ph_node *n)
{
    struct painter *p = ph_priv(n);
    struct ph_frame *in = NULL, *out;
    ph_err ret = ph_node_linked(n, false, 0) ? ph_node_read(n, 0, &in) : PH_OK;
    if (ret != PH_OK) return ret;
    uint64_t ready = is_ready(p) || !p->landed ? p->number : p->landed;
    p->waited++;
    p->landed = (uint64_t) ph_node_chance(n, "landed", (int64_t) ready);
    ph_node_landed(n, p->landed);
    ret = ph_node_picture(n, in, PH_DEPTHF, 1, 1, &out);
    if (ret < 0) return ret;
    *(float *) (void *) out->picture.data[0] = p->shown[p->landed % 4];
    struct ph_model_report r = { .model = "painter", .model_ns = 1000 * (int64_t) out->id };
    ph_node_report(n, out, &r);
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
}

static const struct ph_node_info node_painter = {
    .name = "painter",
    .group = "model",
    .help = "shows its amount later",
    .in = PH_PORTS({ "in", PH_PICTURE, PH_PORT_OPTIONAL }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct painter, amount, -1e6, 1e6),
                                         PH_INT(struct painter, lag, 0, 100, .def = "3"),
                                         { 0 } },
    .priv_size = sizeof(struct painter),
    .open = painter_open,
    .apply = painter_apply,
    .process = painter_process,
};

static const struct ph_node_info *const *all_nodes(void)
{
    static const struct ph_node_info *list[64];
    int n = 0;
    while (test_nodes[n]) list[n + 1] = test_nodes[n], n++;
    list[0] = &node_painter;
    return list;
}

// --- tests

static struct {
    uint64_t id, frame;
} acks[64];
static _Atomic int ack_count;

static void on_event(void *opaque, const struct ph_event *e)
{
    (void) opaque;
    if (e->type != PH_EVENT_ACK || ack_count == 64) return;
    acks[ack_count].id = e->id;
    acks[ack_count++].frame = e->frame;
}

static struct ph_graph *make(const char *text, enum ph_mode mode, const char *journal)
{
    struct ph_graph *g;
    struct ph_fault fault;
    struct ph_graph_params par = {
        .mode = mode, .nodes = all_nodes(), .event = on_event, .seed = 7, .journal = journal
    };
    if (ph_graph_create(&g, text, &par, &fault) < 0) TEST_FAIL("%s: %s", text, fault.message);
    return g;
}

TEST(a_deferred_change_is_acknowledged_with_the_frame_that_shows_it)
{
    struct ph_graph *g = make("painter amount=1 -> sink", PH_STEPPED, NULL);
    ph_graph_step(g, 400 * MS); // frames 0 … 4
    CHECK_OK(ph_graph_set(g, 1, "painter", "amount", "2", NULL));
    ph_graph_step(g, 700 * MS); // … 7
    CHECK_INT(ack_count, ==, 0);
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(ack_count, >=, 1);
    uint64_t frame = acks[0].frame;
    CHECK_INT(acks[0].id, ==, 1);
    for (int i = 0; i < test_seen_count; i++)
        CHECK_NUM(test_seen[i].value, ==, test_seen[i].id < frame ? 1 : 2);
    ph_graph_destroy(&g);
}

TEST(a_change_that_waits_does_not_hold_up_an_earlier_one)
{
    struct ph_graph *g = make("painter amount=1 lag=2 -> sink", PH_STEPPED, NULL);
    ph_graph_step(g, 400 * MS);
    CHECK_OK(ph_graph_set(g, 1, "painter", "amount", "2", NULL));
    ph_graph_step(g, 700 * MS);
    CHECK_OK(ph_graph_set(g, 2, "painter", "amount", "3", NULL));
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(ack_count, ==, 2);
    CHECK_INT(acks[0].frame, <, acks[1].frame);
    for (int i = 0; i < test_seen_count; i++) {
        uint64_t id = test_seen[i].id;
        CHECK_NUM(test_seen[i].value, ==, id < acks[0].frame ? 1 : id < acks[1].frame ? 2 : 3);
    }
    ph_graph_destroy(&g);
}

TEST(a_node_whose_input_may_stay_free_is_a_source_until_something_is_linked)
{
    struct ph_graph *g = make("p: painter => s: sink", PH_STEPPED, NULL);
    ph_graph_step(g, SECOND);
    CHECK_INT(test_seen_count, ==, 11);
    for (int i = 0; i < 11; i++) {
        CHECK_INT(test_seen[i].id, ==, i);
        CHECK_INT(test_seen[i].pts_ns, ==, i * 100 * MS);
    }
    CHECK_OK(ph_graph_edit(g, 0, "count fps=50 => p: painter => s: sink", NULL));
    test_seen_count = 0;
    ph_graph_step(g, 2 * SECOND);
    CHECK_INT(test_seen_count, >=, 49); // the other's rate
    CHECK_INT(test_seen_count, <=, 51);
    uint64_t last = test_seen[test_seen_count - 1].id;
    CHECK_OK(ph_graph_edit(g, 0, "p: painter => s: sink", NULL));
    test_seen_count = 0;
    ph_graph_step(g, 3 * SECOND);
    CHECK_INT(test_seen_count, >=, 9);
    CHECK_INT(test_seen_count, <=, 11);
    CHECK_INT(test_seen[0].id, >, last);
    ph_graph_destroy(&g);
}

TEST(reports_are_those_of_the_frame_that_is_asked_for)
{
    struct ph_model_report r;
    struct ph_graph *g = make("painter -> sink", PH_STEPPED, NULL);
    CHECK(!ph_graph_report(g, 0, &r));
    ph_graph_step(g, 2 * SECOND); // frames 0 … 20
    CHECK(ph_graph_report(g, 12, &r));
    CHECK_INT(r.model_ns, ==, 12000);
    CHECK(ph_graph_report(g, 20, &r));
    CHECK_INT(r.model_ns, ==, 20000);
    CHECK_INT(r.mean_ns, >, 10000);
    CHECK_INT(r.mean_ns, <, 20000);
    CHECK(ph_graph_report(g, 1, &r)); // forgotten: the newest
    CHECK_INT(r.model_ns, ==, 20000);
    char *json = ph_graph_status_json(g);
    CHECK(strstr(json, "\"model\":{\"name\":\"painter\"") != NULL);
    free(json);
    ph_graph_destroy(&g);
    g = make("count -> sink", PH_STEPPED, NULL);
    ph_graph_step(g, SECOND);
    CHECK(!ph_graph_report(g, 0, &r));
    ph_graph_destroy(&g);
}

TEST(what_chance_decided_comes_again_in_a_replay)
{
    static struct seen live[4096];
    char journal[64], value[16];
    struct ph_fault fault = { 0 };
    snprintf(journal, sizeof journal, "/tmp/ph-later-%d", (int) getpid());
    struct ph_graph *g = make("count fps=200 => painter lag=0 => sink", PH_LIVE, journal);
    CHECK_OK(ph_graph_start(g));
    for (int i = 1; i <= 20; i++) {
        int seen = test_seen_count;
        snprintf(value, sizeof value, "%d", i);
        CHECK_OK(ph_graph_set(g, (uint64_t) i, "painter", "amount", value, NULL));
        while (test_seen_count < seen + 6) ph_sleep_until_ns(ph_now_ns() + MS);
    }
    ph_graph_destroy(&g);
    int count = test_seen_count;
    CHECK_INT(count, <, 4096);
    memcpy(live, test_seen, sizeof *live * (size_t) count);
    test_seen_count = 0;
    struct ph_replay_params par = { .nodes = all_nodes() };
    if (ph_replay(journal, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
    unlink(journal);
    CHECK_INT(test_seen_count, ==, count);
    for (int i = 0; i < count; i++) {
        CHECK_INT(test_seen[i].id, ==, live[i].id);
        CHECK_NUM(test_seen[i].value, ==, live[i].value);
    }
}
