// SPDX-License-Identifier: MIT
// What performers' hands send: MIDI bytes and OSC packets to signals, signals to OSC. On the virtual
// clock the bytes are pushed where the threads would push them; OSC is tried over a real socket too.
#include "run.h"

#include "audio/live/osc.h"
#include "config.h"

#include <arpa/inet.h>
#include <math.h>
#include <sys/socket.h>

static struct run r;

static struct {
    int64_t pts_ns;
    struct ph_beat beat;
    float value[64];
} got;
static int got_count;

static ph_err keep_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    got.pts_ns = f->pts_ns;
    got.beat = f->signals.beat;
    memcpy(got.value, f->signals.value, (size_t) f->signals.count * sizeof(float));
    got_count++;
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info keep_info = {
    .name = "keep",
    .group = "deliver",
    .help = "keeps signals",
    .in = PH_PORTS({ "in", PH_SIGNALS, .help = "" }),
    .process = keep_process,
};

static const struct ph_node_info *nodes[128];

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ph_node_info *const *) a)->name,
                  (*(const struct ph_node_info *const *) b)->name);
}

static ph_err try_graph(const char *text, enum ph_mode mode, struct ph_fault *fault)
{
    int n = 0;
    for (const struct ph_node_info *const *p = ph_nodes(); *p; p++) nodes[n++] = *p;
    nodes[n++] = &keep_info;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    nodes[n] = NULL;
    r.par = (struct ph_graph_params){ .nodes = nodes, .always_on = true, .mode = mode };
    got_count = 0;
    return run_try(&r, text, fault);
}

static void open_graph(const char *text, enum ph_mode mode)
{
    struct ph_fault fault = { 0 };
    if (try_graph(text, mode, &fault) < 0) TEST_FAIL("%s: %s", text, fault.message);
}

static double now_s;

// Bytes that come at this moment, and the signals they make.
static void send_at(const char *node, double at_s, const void *bytes, size_t size)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_packet(NULL, PH_CODEC_NONE, size, &f));
    memcpy(f->packet.data, bytes, size);
    f->packet.size = size;
    f->capture_ns = (int64_t) llround(at_s * 1e9) + 1;
    int before = got_count;
    CHECK_OK(ph_graph_push(r.graph, node, &f));
    now_s += 0.001;
    run_until(&r, now_s);
    CHECK_INT(got_count, ==, before + 1);
}

#define SEND(node, at_s, ...)                                                                  \
    send_at(node, at_s, (const uint8_t[]){ __VA_ARGS__ },                                      \
            sizeof((const uint8_t[]){ __VA_ARGS__ }))

#define NEEDS_MIDI()                                                                           \
    do {                                                                                       \
        if (!PH_HAVE_ALSA) TEST_SKIP("this build has no MIDI");                                \
    } while (0)

extern const struct ph_node_info ph_node_midi;

static float midi_value(const char *name)
{
    for (int i = 0; ph_node_midi.signals[i].name; i++)
        if (!strcmp(ph_node_midi.signals[i].name, name)) return got.value[i];
    TEST_FAIL("there is no %s", name);
}

TEST(midi_controllers_notes_and_bend_become_signals)
{
    NEEDS_MIDI();
    open_graph("midi map=\"1:74 2:7/3\" pickup=off -> keep", PH_STEPPED);
    SEND("midi", 0, 0xb0, 74, 127);
    CHECK_NUM(midi_value("c1"), ==, 1);
    SEND("midi", 0.1, 0xb0, 7, 64); // of channel 1: not ours
    CHECK_NUM(midi_value("c2"), ==, 0);
    SEND("midi", 0.2, 0xb2, 7, 64);
    CHECK_NUM(fabsf(midi_value("c2") - 64 / 127.f), <=, 1e-6);
    SEND("midi", 0.3, 0x90, 60, 100);
    CHECK_NUM(midi_value("gate"), ==, 1);
    CHECK_NUM(fabsf(midi_value("velocity") - 100 / 127.f), <=, 1e-6);
    SEND("midi", 0.4, 0x80, 60, 0);
    CHECK_NUM(midi_value("gate"), ==, 0);
    CHECK_NUM(midi_value("velocity"), ==, 0);
    SEND("midi", 0.5, 0xe0, 0, 0);
    CHECK_NUM(midi_value("bend"), ==, -1);
    CHECK_INT(got.pts_ns, ==, 500000000);
    run_close(&r);
}

TEST(a_controller_is_learnt_by_moving_it)
{
    NEEDS_MIDI();
    open_graph("midi -> keep", PH_STEPPED);
    SEND("midi", 0, 0xb4, 21, 100);
    CHECK_NUM(midi_value("c3"), ==, 0);
    run_set(&r, "midi", "learn", "3");
    SEND("midi", 0.1, 0xb4, 21, 127);
    CHECK_NUM(midi_value("c3"), ==, 1);
    SEND("midi", 0.2, 0xb4, 22, 5); // learnt is learnt
    CHECK_NUM(midi_value("c3"), ==, 1);
    SEND("midi", 0.3, 0xb4, 21, 0);
    CHECK_NUM(midi_value("c3"), ==, 0);
    run_close(&r);
}

TEST(a_recalled_value_waits_for_its_fader)
{
    NEEDS_MIDI();
    open_graph("midi map=1:74 -> keep", PH_STEPPED);
    run_set(&r, "midi", "recall", "0.5");
    SEND("midi", 0, 0xb0, 74, 10);
    CHECK_NUM(midi_value("c1"), ==, 0.5);
    SEND("midi", 0.1, 0xb0, 74, 30);
    CHECK_NUM(midi_value("c1"), ==, 0.5);
    SEND("midi", 0.2, 0xb0, 74, 70); // has passed it
    CHECK_NUM(fabsf(midi_value("c1") - 70 / 127.f), <=, 1e-6);
    SEND("midi", 0.3, 0xb0, 74, 20);
    CHECK_NUM(fabsf(midi_value("c1") - 20 / 127.f), <=, 1e-6);
    run_close(&r);
}

// What the room document says that the node has heard.
static void check_found(const char *part)
{
    char *status = ph_graph_status_json(r.graph);
    CHECK_HAS(status, part);
    free(status);
}

TEST(controllers_that_moved_are_told_and_a_map_leaves_the_others_in_hand)
{
    NEEDS_MIDI();
    open_graph("midi map=1:74 -> keep", PH_STEPPED);
    check_found("\"found\":[]");
    SEND("midi", 0, 0xb0, 74, 0); // c1 is at 0: picked up
    SEND("midi", 0.1, 0xb4, 21, 127);
    check_found("\"found\":[{\"name\":\"74/1\",\"value\":0,\"count\":1,\"signal\":\"c1\"},"
                "{\"name\":\"21/5\",\"value\":1,\"count\":1,\"signal\":null}]");
    run_set(&r, "midi", "map", "1:74 2:21/5");
    run_set(&r, "midi", "recall", "- 0.5"); // what a knob is at that it is to take over
    SEND("midi", 0.2, 0xb0, 74, 127);       // far from where it was, and still held
    CHECK_NUM(midi_value("c1"), ==, 1);
    CHECK_NUM(midi_value("c2"), ==, 0.5);
    SEND("midi", 0.3, 0xb4, 21, 120);
    CHECK_NUM(midi_value("c2"), ==, 0.5);
    SEND("midi", 0.4, 0xb4, 21, 30);
    CHECK_NUM(fabsf(midi_value("c2") - 30 / 127.f), <=, 1e-6);
    check_found("\"count\":3,\"signal\":\"c2\"");
    for (int i = 0; i < 100; i++) SEND("midi", 1 + i * 0.01, 0xbf, i, 1); // and no more than 64
    check_found("{\"name\":\"61/16\",");
    char *status = ph_graph_status_json(r.graph);
    CHECK(!strstr(status, "\"62/16\""));
    free(status);
    run_close(&r);
}

TEST(a_midi_clock_is_the_beat)
{
    NEEDS_MIDI();
    open_graph("midi -> keep", PH_STEPPED);
    SEND("midi", 0, 0xfa);
    for (int i = 0; i < 24 * 6; i++) SEND("midi", 0.1 + i / 48.0, 0xf8); // 120 a minute
    CHECK_NUM(fabs(got.beat.bpm - 120), <=, 0.1);
    CHECK_NUM(fabs(got.beat.beat - (24 * 6 - 1) / 24.0), <=, 0.02);
    CHECK_NUM(midi_value("playing"), ==, 1);
    SEND("midi", 0.1 + 3.5, 0xfe); // nothing for half a second: it was cut off
    CHECK_NUM(got.beat.bpm, ==, 0);
    SEND("midi", 4, 0xfc);
    CHECK_NUM(midi_value("playing"), ==, 0);
    run_close(&r);
}

TEST(maps_that_make_no_sense_are_refused)
{
    NEEDS_MIDI();
    static const char *const maps[] = { "17:1", "1", "1:128", "1:2/17", "a:b", "1:2x", "0:3" };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        struct ph_fault fault = { 0 };
        char text[64];
        snprintf(text, sizeof text, "midi map=%s -> keep", maps[i]);
        CHECK_INT(try_graph(text, PH_STEPPED, &fault), ==, PH_EINVAL);
        CHECK_HAS(fault.message, maps[i]);
    }
}

TEST(hostile_bytes_harm_nothing)
{
    NEEDS_MIDI();
    open_graph("midi -> keep", PH_STEPPED);
    uint32_t state = 3;
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[40];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t) ((state = state * 1664525u + 1013904223u) >> 24);
        send_at("midi", i * 0.01, bytes, sizeof bytes);
        for (int k = 0; k < 22; k++) CHECK(isfinite(got.value[k]));
        CHECK(isfinite(got.beat.beat) && isfinite(got.beat.bpm));
    }
    run_close(&r);
}

// --- OSC

static int bound(int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof at;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(s >= 0 && !bind(s, (struct sockaddr *) &at, sizeof at));
    CHECK(!getsockname(s, (struct sockaddr *) &at, &size));
    *port = ntohs(at.sin_port);
    struct timeval limit = { 20, 0 };
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return s;
}

static int free_port(void)
{
    int port;
    close(bound(&port));
    return port;
}

static void send_to(int s, int port, const void *bytes, size_t size)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t) port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    CHECK_INT(sendto(s, bytes, size, 0, (struct sockaddr *) &to, sizeof to), ==,
              (ssize_t) size);
}

// What threads push comes when it comes: the virtual clock goes on meanwhile.
static void go_on(void)
{
    now_s += 0.001;
    run_until(&r, now_s);
    usleep(2000);
}

static void wait_for_frames(int n)
{
    while (got_count < n) go_on(); // the case has a limit of its own
}

TEST(osc_over_a_socket_becomes_signals_and_tells_its_addresses)
{
    static struct ph_osc_writer w;
    char text[128];
    int own, port = free_port(), s = bound(&own);
    float xy[2] = { 0.25f, 0.75f };
    snprintf(text, sizeof text, "osc %d addresses=\"/1/fader1 /xy:1 /xy:2\" -> keep", port);
    open_graph(text, PH_STEPPED);
    ph_osc_begin_bundle(&w);
    ph_osc_put_floats(&w, "/xy", xy, 2);
    ph_osc_put_floats(&w, "/1/fader[0-9]", xy, 1);
    send_to(s, port, w.bytes, w.size);
    wait_for_frames(1);
    CHECK_NUM(got.value[0], ==, 0.25);
    CHECK_NUM(got.value[1], ==, 0.25);
    CHECK_NUM(got.value[2], ==, 0.75);
    check_found("{\"name\":\"/xy\",\"value\":0.25,\"count\":1,\"signal\":\"v2\"},"
                "{\"name\":\"/xy:2\",\"value\":0.75,\"count\":1,\"signal\":\"v3\"}]");
    send_to(s, port, "/phosphene/list\0,\0\0\0", 20);
    char reply[4096];
    ssize_t n = recv(s, reply, sizeof reply, 0);
    CHECK_INT(n, >, 0);
    CHECK(memmem(reply, (size_t) n, "/1/fader1 1 v1", 14) != NULL);
    CHECK(memmem(reply, (size_t) n, "/xy 2 v3", 8) != NULL);
    send_to(s, port, "garbage!", 8);
    wait_for_frames(2); // the question; the garbage makes no frame
    float one = 1;
    w.size = 0;
    ph_osc_put_floats(&w, "/1/fader1", &one, 1);
    send_to(s, port, w.bytes, w.size);
    wait_for_frames(3);
    CHECK_NUM(got.value[0], ==, 1);
    check_found("{\"name\":\"/1/fader1\",\"value\":1,\"count\":1,\"signal\":\"v1\"}]");
    w.size = 0;
    ph_osc_put_floats(&w, "/new", &one, 1);
    send_to(s, port, w.bytes, w.size);
    wait_for_frames(4);
    check_found("{\"name\":\"/new\",\"value\":1,\"count\":1,\"signal\":null}]");
    run_set(&r, "osc", "addresses", "/1/fader1 /new"); // while it listens
    w.size = 0;
    ph_osc_put_floats(&w, "/xy", xy, 2);
    send_to(s, port, w.bytes, w.size);
    wait_for_frames(5);
    CHECK_NUM(got.value[0], ==, 1);
    CHECK_NUM(got.value[1], ==, 1);    // as it came last
    CHECK_NUM(got.value[2], ==, 0.75); // nobody's any more
    check_found("\"name\":\"/new\",\"value\":1,\"count\":1,\"signal\":\"v2\"}]");
    send_to(s, port, "/phosphene/list\0,\0\0\0", 20);
    n = recv(s, reply, sizeof reply, 0);
    CHECK(n > 0 && memmem(reply, (size_t) n, "/new 1 v2", 9) != NULL);
    close(s);
    run_close(&r);
}

TEST(a_port_in_use_and_wrong_addresses_are_said)
{
    struct ph_fault fault = { 0 };
    char text[128];
    int port, s = bound(&port);
    snprintf(text, sizeof text, "osc %d -> keep", port);
    CHECK_INT(try_graph(text, PH_STEPPED, &fault), ==, PH_EBUSY);
    snprintf(text, sizeof text, "%d", port);
    CHECK_HAS(fault.message, text);
    close(s);
    CHECK_INT(try_graph("osc addresses=fader -> keep", PH_STEPPED, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "begins with /");
    CHECK_INT(try_graph("osc addresses=/a:99 -> keep", PH_STEPPED, &fault), ==, PH_EINVAL);
    CHECK_INT(try_graph("osc bind=nowhere -> keep", PH_STEPPED, &fault), ==, PH_EINVAL);
    CHECK_INT(try_graph("osc 9000 -> osc_send nowhere", PH_STEPPED, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "nowhere");
}

TEST(addresses_that_make_no_sense_are_a_problem_until_they_are_mended)
{
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "osc %d addresses=/a -> keep", port);
    open_graph(text, PH_STEPPED);
    static const char *const mended[] = { "/b /c", "/b /c", "/a" }; // the old ones, too
    for (int i = 0; i < 3; i++) {
        run_set(&r, "osc", "addresses", "fader");
        SEND("osc", i, '/', 'a', 0, 0, ',', 0, 0, 0);
        CHECK_HAS(r.problem, ": fader");
        run_set(&r, "osc", "addresses", mended[i]);
        SEND("osc", i + 0.5, '/', 'a', 0, 0, ',', 0, 0, 0);
        CHECK_STR(r.problem, "");
    }
    run_close(&r);
}

static int heard_kick, heard_beat;
static float kick;

static void hear(void *opaque, const struct ph_osc_message *m)
{
    (void) opaque;
    heard_kick += !strcmp(m->address, "/vj/v2");
    if (!strcmp(m->address, "/vj/v2")) kick = (float) m->arg[0].number;
    heard_beat += !strcmp(m->address, "/vj/beat") && m->count == 4;
}

TEST(signals_are_sent_by_their_names)
{
    static struct ph_osc_writer w;
    char text[160], packet[PH_OSC_MAX];
    int port, s = bound(&port);
    float v = 0.375f;
    snprintf(text, sizeof text, "osc %d -> osc_send 127.0.0.1:%d prefix=/vj", free_port(),
             port);
    open_graph(text, PH_STEPPED);
    struct ph_frame *f;
    ph_osc_put_floats(&w, "/phosphene/2", &v, 1);
    CHECK_OK(ph_frame_packet(NULL, PH_CODEC_NONE, w.size, &f));
    memcpy(f->packet.data, w.bytes, f->packet.size = w.size);
    CHECK_OK(ph_graph_push(r.graph, "osc", &f));
    run_until(&r, 0.1);
    ssize_t n = recv(s, packet, sizeof packet, 0);
    CHECK_INT(n, >, 0);
    CHECK_OK(ph_osc_read(packet, (size_t) n, hear, NULL));
    CHECK_INT(heard_kick, ==, 1);
    CHECK_INT(heard_beat, ==, 1);
    CHECK_NUM(kick, ==, 0.375);
    close(s);
    run_close(&r);
}

// --- sound devices

static struct {
    _Atomic int pieces, samples;
    _Atomic bool rising;
    int64_t newest_ns;
} sound;

static ph_err ear_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (f->samples.rate_hz != 48000 || f->pts_ns <= sound.newest_ns) sound.rising = false;
    sound.newest_ns = f->pts_ns;
    sound.samples += f->samples.count;
    sound.pieces++;
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info ear_info = {
    .name = "keep",
    .group = "deliver",
    .help = "counts samples",
    .in = PH_PORTS({ "in", PH_SAMPLES, .help = "" }),
    .process = ear_process,
};

static void open_sound(const char *text, enum ph_mode mode)
{
    int n = 0;
    struct ph_fault fault = { 0 };
    for (const struct ph_node_info *const *p = ph_nodes(); *p; p++) nodes[n++] = *p;
    nodes[n++] = &ear_info;
    qsort(nodes, (size_t) n, sizeof *nodes, by_name);
    nodes[n] = NULL;
    r.par = (struct ph_graph_params){ .nodes = nodes, .always_on = true, .mode = mode };
    sound.newest_ns = -1;
    sound.rising = true;
    if (run_try(&r, text, &fault) < 0) TEST_FAIL("%s: %s", text, fault.message);
}

TEST(a_sound_device_gives_its_sound)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    open_sound("sound \"lavfi:sine=frequency=440:sample_rate=44100\" => keep", PH_STEPPED);
    while (sound.samples < 24000) go_on();
    CHECK(sound.rising);
    run_close(&r);
}

TEST(a_sound_device_that_is_not_there_is_named_and_tried_again)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    open_sound("sound hw:77 => keep", PH_STEPPED);
    for (bool said = false; !said; go_on()) {
        pthread_mutex_lock(&run_lock);
        said = strstr(r.problem, "hw:77") && strstr(r.problem, "trying again");
        pthread_mutex_unlock(&run_lock);
    }
    run_close(&r);
}
