// SPDX-License-Identifier: MIT
// Offline, lanes wait for one another: they must never all wait for ever.
#include "../test.h"
#include "nodes.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

static void run(const char *text, uint64_t frames, const struct ph_node_info *const *nodes)
{
    struct ph_graph *g;
    struct ph_fault fault = { 0 };
    test_seen_count = 0;
    if (ph_graph_create(
            &g, text,
            ph_graph_params(.mode = PH_OFFLINE, .nodes = nodes, .frames = frames, .seed = 3),
            &fault) < 0)
        TEST_FAIL("%s: %s", text, fault.message);
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    ph_graph_destroy(&g);
}

static int seen_of(const char *sink, const struct seen **out, int most)
{
    int n = 0;
    for (int i = 0; i < test_seen_count; i++)
        if (!strcmp(test_seen[i].node, sink) && n < most) out[n++] = &test_seen[i];
    return n;
}

// The newest frame of `fps` that is not later than the n-th of `of`.
static int newest(int n, int of, int fps)
{
    return n * fps / of;
}

// Each lane is driven by what the other one says of its own frames, at another rate: each waits for
// a frame of the other that is later than its own, and the other waits as well.
#define MUTUAL                                                                                 \
    "a: count fps=30 -> x: add -> s: sink\na -> ta: tell\n"                                    \
    "b: count fps=25 -> y: add -> t: sink\nb -> tb: tell\n"                                    \
    "x.amount <- tb.number\ny.amount <- ta.number"

TEST_LIMIT(offline_two_lanes_that_drive_one_another_go_on_and_show_the_newest_in_time, 30)
{
    for (int again = 0; again < 20; again++) {
        run(MUTUAL, 200, test_nodes);
        const struct seen *s[300], *t[300];
        CHECK_INT(seen_of("s", s, 300), ==, 200);
        CHECK_INT(seen_of("t", t, 300), ==, 200);
        for (int i = 0; i < 200; i++) {
            CHECK_NUM((double) s[i]->value, ==, newest(i, 30, 25));
            int want = newest(i, 25, 30);
            CHECK_NUM((double) t[i]->value, ==, want < 199 ? want : 199);
        }
    }
}

TEST_LIMIT(offline_three_lanes_in_a_ring_go_on, 30)
{
    run("a: count fps=30 -> x: add -> s: sink\na -> ta: tell\n"
        "b: count fps=25 -> y: add -> t: sink\nb -> tb: tell\n"
        "c: count fps=7 -> z: add -> u: sink\nc -> tc: tell\n"
        "x.amount <- tb.number\ny.amount <- tc.number\nz.amount <- ta.number",
        100, test_nodes);
    const struct seen *s[300];
    CHECK_INT(seen_of("s", s, 300), ==, 100);
    for (int i = 0; i < 100; i++) CHECK_NUM((double) s[i]->value, ==, newest(i, 30, 25));
    CHECK_INT(seen_of("t", s, 300), ==, 100);
    for (int i = 0; i < 100; i++) CHECK_NUM((double) s[i]->value, ==, newest(i, 25, 7));
    CHECK_INT(seen_of("u", s, 300), ==, 100);
}

// A branch that holds its input for longer than the other branch's queue is deep.
TEST_LIMIT(offline_a_full_link_and_a_held_input_do_not_wait_for_one_another, 30)
{
    run("a: count fps=1000 =>[block 4] th: thin n=600 => p: pair => s: sink\na => w: pass => "
        "p.b",
        2000, test_nodes);
    const struct seen *s[300];
    CHECK_INT(seen_of("s", s, 300), ==, 4);
    for (int i = 0; i < 4; i++) CHECK_NUM((double) s[i]->value, ==, i * 600 * 1001);
}

// Signals may run ahead of what they drive by more than their link is deep.
TEST_LIMIT(offline_signals_may_run_ahead_by_more_than_their_link_is_deep, 60)
{
    run("a: count fps=100000 -> ta: tell\n"
        "a =>[block 4] thin n=999 -> thin n=100 => x: add => s: sink\n"
        "x.amount <- ta.number / 1000",
        199801, test_nodes);
    const struct seen *s[300];
    CHECK_INT(seen_of("s", s, 300), ==, 3);
    for (int i = 0; i < 3; i++) CHECK_NUM(s[i]->value - (float) (i * 99.9), ==, 0);
}

// --- film: one thread brings pictures and sound, forty of each in turn, as an MP4 file has them

struct film {
    pthread_t thread;
    _Atomic bool stop;
};

static void film_push(struct ph_node *n, int port, int i)
{
    struct film *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f);
    if (ret != PH_OK) return;
    f->pts_ns = i * 10 * PH_MS_NS;
    while ((ret = ph_node_push(n, port, &f)) == PH_MORE && !p->stop)
        ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
    ph_frame_unref(&f);
}

static void *film_main(void *opaque)
{
    for (int begin = 0; begin < 160; begin += 40)
        for (int i = 0; i < 80; i++) film_push(opaque, i / 40, begin + i % 40);
    for (int port = 0; port < 2; port++) ph_node_push_eof(opaque, port);
    return NULL;
}

static ph_err film_open(struct ph_node *n, struct ph_fault *fault)
{
    struct film *p = ph_priv(n);
    (void) fault;
    ph_node_external(n, 0, PH_DROP_BLOCK, 4);
    ph_node_external(n, 1, PH_DROP_BLOCK, 64);
    return pthread_create(&p->thread, NULL, film_main, n) ? PH_ENOMEM : PH_OK;
}

static void film_close(struct ph_node *n)
{
    struct film *p = ph_priv(n);
    p->stop = true;
    pthread_join(p->thread, NULL);
}

static ph_err film_process(struct ph_node *n)
{
    ph_err ret[2];
    for (int port = 0; port < 2; port++) {
        struct ph_frame *f;
        ret[port] = ph_node_read(n, port, &f);
        if (ret[port] != PH_OK) continue;
        ph_node_stamp_at(n, f, f->pts_ns, 0);
        ret[port] = ph_node_write(n, port, f);
    }
    return ret[0] == PH_EOF && ret[1] == PH_EOF ? PH_EOF : ret[0] == PH_OK ? PH_OK : ret[1];
}

static const struct ph_node_info node_film = {
    .name = "film",
    .group = "source",
    .help = "pictures and sound from outside",
    .in = PH_PORTS({ "pictures", PH_PICTURE, PH_PORT_EXTERNAL },
                   { "sounds", PH_PICTURE, PH_PORT_EXTERNAL }),
    .out = PH_PORTS({ "out", PH_PICTURE }, { "sound", PH_PICTURE }),
    .priv_size = sizeof(struct film),
    .open = film_open,
    .close = film_close,
    .process = film_process,
};

// Pictures that are seen with their sound wait for it, behind them in the file, while the file waits
// until there is room for its pictures.
TEST_LIMIT(offline_pictures_wait_for_a_sound_that_waits_for_room_for_the_pictures, 60)
{
    static const struct ph_node_info *all[400];
    int n = 0;
    for (; test_nodes[n]; n++) all[n] = test_nodes[n];
    all[n] = &node_film;
    run("f: film => p: pair => s: sink\nf.sound => w: pass => p.b", 0, all);
    const struct seen *s[300];
    CHECK_INT(seen_of("s", s, 300), ==, 160);
    for (int i = 0; i < 160; i++) CHECK_INT(s[i]->pts_ns, ==, i * 10 * PH_MS_NS);
}

// A film that is a file has the ports of a stream, too, and nobody feeds them.
TEST_LIMIT(offline_a_port_that_nobody_feeds_holds_up_no_look_at_who_waits, 20)
{
    static const struct ph_node_info *all[400];
    static struct ph_node_info film;
    int n = 0;
    for (; test_nodes[n]; n++) {
        all[n] = test_nodes[n];
        if (!strcmp(all[n]->name, "count")) film = *all[n];
    }
    film.name = "filmed";
    film.in = PH_PORTS({ "stream", PH_PICTURE, PH_PORT_EXTERNAL | PH_PORT_HOLD },
                       { "stream_sound", PH_PICTURE, PH_PORT_EXTERNAL | PH_PORT_HOLD });
    all[n] = &film;
    run("a: filmed fps=1000 =>[block 4] th: thin n=600 => p: pair => s: sink\na => w: pass => "
        "p.b",
        2000, all);
    const struct seen *s[300];
    CHECK_INT(seen_of("s", s, 300), ==, 4);
    for (int i = 0; i < 4; i++) CHECK_NUM((double) s[i]->value, ==, i * 600 * 1001);
}

// What comes from outside has ended before a film begins: what it drives has its own values, and
// nobody waits for it.
TEST_LIMIT(offline_osc_and_midi_have_ended_and_what_they_drive_goes_on, 60)
{
    static const struct ph_node_info *all[400];
    int n = 0;
    for (; test_nodes[n]; n++) all[n] = test_nodes[n];
    for (const struct ph_node_info *const *k = ph_nodes(); *k; k++)
        if (!strcmp((*k)->name, "osc") || !strcmp((*k)->name, "midi")) all[n++] = *k;
    CHECK_INT(n, >=, 2);
    char text[400];
    snprintf(text, sizeof text,
             "o: osc %d\na: count fps=30 -> x: add amount=5 => s: sink\n"
             "x.amount <- o.v1 + sine(2) * 0 + 1",
             20000 + (int) getpid() % 20000);
    run(text, 50, all);
    CHECK_INT(test_seen_count, ==, 50);
    for (int i = 0; i < 50; i++) CHECK_NUM((double) test_seen[i].value, ==, 5);
}
