// SPDX-License-Identifier: MIT
// Open Sound Control over UDP as signals. Whoever asks /phosphene/list is told which addresses are
// listened to and what their signals are called.
#include <phosphene/node.h>

#include "audio/live/osc.h"
#include "nodes/source/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS   32
#define ADDRESS 80
#define LIST    2700 // bytes of all addresses
#define FOUND   64 // different numbers that are told; a sender could invent any number of names

struct slot {
    char address[ADDRESS];
    int arg; // which one of the message
};

// Written by the lane: a name once, before it is counted; others only read.
struct found {
    struct slot what;
    _Atomic int signal; // of its slot; -1 = none
    _Atomic float value;
    _Atomic unsigned count;
};

struct osc {
    int64_t port;
    const char *bind, *addresses;

    struct ph_bytes bytes;
    int socket;
    pthread_mutex_t lock; // of the slots, which the lane writes and the thread reads
    struct slot slot[SLOTS];
    int slots;
    char seen[LIST + 1]; // what addresses were when they were last taken; the lane's
    float value[SLOTS];  // the lane's
    bool troubled, misread, locks;
    struct found found[FOUND];
    _Atomic int founds;
};

// --- addresses

// "/1/xy:2" is the second number of /1/xy.
static ph_err read_slot(struct slot *s, const char *word, size_t length, struct ph_fault *fault)
{
    if (word[0] != '/' || length >= ADDRESS)
        return ph_fail(fault, PH_EINVAL, "addresses",
                       "an OSC address begins with / and is shorter than %d: %.*s", ADDRESS,
                       (int) length, word);
    snprintf(s->address, sizeof s->address, "%.*s", (int) length, word);
    char *colon = strrchr(s->address, ':');
    if (!colon) return PH_OK;
    int arg = atoi(colon + 1);
    if (arg < 1 || arg > PH_OSC_ARGS)
        return ph_fail(fault, PH_EINVAL, "addresses",
                       "%s: behind the colon is which number of the message, 1 to %d",
                       s->address, PH_OSC_ARGS);
    *colon = 0;
    s->arg = arg - 1;
    return PH_OK;
}

struct slots {
    struct slot of[SLOTS];
    int count;
};

static ph_err read_addresses(struct slots *s, const char *text, struct ph_fault *fault)
{
    const char *at = text + strspn(text, " ,");
    for (; *at && s->count < SLOTS; s->count++) {
        size_t length = strcspn(at, " ,");
        ph_err ret = read_slot(&s->of[s->count], at, length, fault);
        if (ret < 0) return ret;
        at += length;
        at += strspn(at, " ,");
    }
    if (*at) return ph_fail(fault, PH_EINVAL, "addresses", "more than %d addresses", SLOTS);
    if (s->count) return PH_OK;
    for (; s->count < SLOTS; s->count++)
        snprintf(s->of[s->count].address, ADDRESS, "/phosphene/%d", s->count + 1);
    return PH_OK;
}

static void use_slots(struct osc *p, const struct slots *s)
{
    pthread_mutex_lock(&p->lock);
    memcpy(p->slot, s->of, sizeof p->slot);
    p->slots = s->count;
    pthread_mutex_unlock(&p->lock);
    snprintf(p->seen, sizeof p->seen, "%s", p->addresses);
}

// --- the thread

struct asked {
    bool list;
};

static void see_question(void *opaque, const struct ph_osc_message *m)
{
    struct asked *a = opaque;
    a->list |= !strcmp(m->address, "/phosphene/list");
}

static void answer(struct osc *p, const struct sockaddr_storage *to, socklen_t size)
{
    struct ph_osc_writer *w = calloc(1, sizeof *w);
    if (!w) return;
    ph_osc_begin_bundle(w);
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->slots; i++) {
        char line[ADDRESS + 32];
        snprintf(line, sizeof line, "%s %d v%d", p->slot[i].address, p->slot[i].arg + 1, i + 1);
        ph_osc_put_text(w, "/phosphene/list", line);
    }
    pthread_mutex_unlock(&p->lock);
    sendto(p->socket, w->bytes, w->size, MSG_DONTWAIT | MSG_NOSIGNAL,
           (const struct sockaddr *) to, size);
    free(w);
}

static void run(struct ph_bytes *b, void *opaque)
{
    struct osc *p = opaque;
    static _Thread_local uint8_t packet[PH_OSC_MAX + 1];
    while (!ph_bytes_stopped(b)) {
        struct pollfd fd = { .fd = p->socket, .events = POLLIN };
        if (poll(&fd, 1, 200) <= 0) continue;
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(p->socket, packet, sizeof packet, MSG_DONTWAIT,
                             (struct sockaddr *) &from, &size);
        if (n <= 0) continue;
        struct asked asked = { 0 };
        if (n <= PH_OSC_MAX) ph_osc_read(packet, (size_t) n, see_question, &asked);
        if (asked.list) answer(p, &from, size);
        ph_bytes_push(b, packet, (size_t) n);
    }
}

// --- the node

static ph_err open_socket(struct osc *p, struct ph_fault *fault)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t) p->port) };
    if (inet_pton(AF_INET, p->bind, &at.sin_addr) != 1)
        return ph_fail(fault, PH_EINVAL, "bind",
                       "%s is no IPv4 address of this machine: 127.0.0.1 hears this machine, "
                       "0.0.0.0 everybody",
                       p->bind);
    p->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->socket < 0 || bind(p->socket, (const struct sockaddr *) &at, sizeof at) < 0)
        return ph_fail(fault, errno == EADDRINUSE ? PH_EBUSY : PH_EIO, "port",
                       "UDP port %d of %s: %s", (int) p->port, p->bind, strerror(errno));
    return PH_OK;
}

static ph_err osc_open(struct ph_node *n, struct ph_fault *fault)
{
    struct osc *p = ph_priv(n);
    struct slots slots = { 0 };
    p->socket = -1;
    if (pthread_mutex_init(&p->lock, NULL)) return ph_fail(fault, PH_ENOMEM, "osc", "no lock");
    p->locks = true;
    ph_err ret = read_addresses(&slots, p->addresses, fault);
    if (ret == PH_OK) use_slots(p, &slots);
    if (ret == PH_OK && !ph_node_replaying(n)) ret = open_socket(p, fault);
    if (ret < 0) return ret;
    ret = ph_bytes_start(&p->bytes, n, run, p);
    return ret < 0 ? ph_fail(fault, ret, "osc", "no thread for it") : PH_OK;
}

static void osc_close(struct ph_node *n)
{
    struct osc *p = ph_priv(n);
    ph_bytes_stop(&p->bytes);
    if (p->socket >= 0) close(p->socket);
    if (p->locks) pthread_mutex_destroy(&p->lock);
}

// --- what came

// A name that could stand in the list of addresses.
static bool plain(const char *address)
{
    size_t n = strlen(address);
    for (size_t i = 0; i < n; i++)
        if (address[i] <= ' ' || address[i] > '~' || strchr("\"\\,:?*[]{}#", address[i]))
            return false;
    return n < ADDRESS - 3; // with its ":16"
}

static int signal_of(const struct osc *p, const char *address, int arg)
{
    for (int i = 0; i < p->slots; i++)
        if (p->slot[i].arg == arg && !strcmp(p->slot[i].address, address)) return i;
    return -1;
}

static struct found *found_of(struct osc *p, const char *address, int arg)
{
    int n = atomic_load_explicit(&p->founds, memory_order_relaxed);
    for (int i = 0; i < n; i++)
        if (p->found[i].what.arg == arg && !strcmp(p->found[i].what.address, address))
            return &p->found[i];
    if (n == FOUND) return NULL;
    struct found *f = &p->found[n];
    snprintf(f->what.address, ADDRESS, "%s", address);
    f->what.arg = arg;
    atomic_store_explicit(&f->signal, signal_of(p, address, arg), memory_order_relaxed);
    atomic_store_explicit(&p->founds, n + 1, memory_order_release);
    return f;
}

static void note(struct osc *p, const struct ph_osc_message *m)
{
    if (!plain(m->address)) return; // a pattern, or nothing that can be asked for
    for (int i = 0; i == 0 || i < m->count; i++) {
        double v = m->count ? m->arg[i].number : 1;
        struct found *f = isfinite(v) && fabs(v) <= 1e9 ? found_of(p, m->address, i) : NULL;
        if (!f) continue;
        atomic_store_explicit(&f->value, (float) v, memory_order_relaxed);
        atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);
    }
}

static int osc_found(struct ph_node *n, struct ph_found *out, int max)
{
    struct osc *p = ph_priv(n);
    int count = atomic_load_explicit(&p->founds, memory_order_acquire);
    for (int i = 0; i < count && i < max; i++) {
        struct found *f = &p->found[i];
        out[i] = (struct ph_found){
            .value = atomic_load_explicit(&f->value, memory_order_relaxed),
            .count = atomic_load_explicit(&f->count, memory_order_relaxed),
            .signal = atomic_load_explicit(&f->signal, memory_order_relaxed),
        };
        int len = snprintf(out[i].name, sizeof out[i].name, "%s", f->what.address);
        if (f->what.arg)
            snprintf(out[i].name + len, sizeof out[i].name - (size_t) len, ":%d",
                     f->what.arg + 1);
    }
    return count < max ? count : max;
}

// Other addresses: those that came before begin where they are.
static ph_err osc_apply(struct ph_node *n)
{
    struct osc *p = ph_priv(n);
    struct ph_fault fault = { 0 };
    struct slots slots = { 0 };
    bool misread = p->misread;
    p->misread = read_addresses(&slots, p->addresses, &fault) < 0;
    if (p->misread) ph_node_problem(n, "%s", fault.message);
    if (misread && !p->misread) ph_node_problem(n, NULL);
    if (p->misread || !strcmp(p->seen, p->addresses)) return PH_OK;
    for (int i = 0; i < slots.count; i++) {
        bool same = i < p->slots && p->slot[i].arg == slots.of[i].arg &&
                    !strcmp(p->slot[i].address, slots.of[i].address);
        if (!same) p->value[i] = 0;
    }
    use_slots(p, &slots);
    int founds = atomic_load_explicit(&p->founds, memory_order_relaxed);
    for (int i = 0; i < founds; i++) {
        struct found *f = &p->found[i];
        int signal = signal_of(p, f->what.address, f->what.arg);
        atomic_store_explicit(&f->signal, signal, memory_order_relaxed);
        if (signal >= 0) p->value[signal] = f->value;
    }
    return PH_OK;
}

// A message without numbers is a bang: 1.
static void take(void *opaque, const struct ph_osc_message *m)
{
    struct osc *p = opaque;
    note(p, m);
    for (int i = 0; i < p->slots; i++) {
        const struct slot *s = &p->slot[i];
        if (!ph_osc_match(m->address, s->address)) continue;
        double v = s->arg < m->count ? m->arg[s->arg].number : 1;
        if (m->count && s->arg >= m->count) continue;
        if (isfinite(v) && fabs(v) <= 1e9) p->value[i] = (float) v;
    }
}

static ph_err osc_process(struct ph_node *n)
{
    struct osc *p = ph_priv(n);
    struct ph_frame *in, *out;
    ph_err ret = ph_bytes_read(&p->bytes, n, &in);
    if (ret != PH_OK) return ret;
    ret = ph_osc_read(in->packet.data, in->packet.size, take, p);
    if (ret < 0)
        ph_node_problem(n, "a packet of %zu bytes came that is no OSC", in->packet.size);
    if (ret == PH_OK && p->troubled) ph_node_problem(n, NULL);
    p->troubled = ret < 0;
    if (ret == PH_OK) ret = ph_node_signals(n, in, &out);
    if (ret == PH_OK) {
        memcpy(out->signals.value, p->value, sizeof p->value);
        out->signals.beat = (struct ph_beat){ .per_bar = 4 };
        ph_node_stamp_at(n, out, in->pts_ns, in->capture_ns);
        ret = ph_node_write(n, 0, out);
    }
    ph_frame_unref(&in);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct osc, port, 1, 65535, .def = "9000", .flags = PH_PARAM_FIRST | PH_PARAM_SETUP, .help = "UDP port that is listened at"),
    PH_STRING(struct osc, bind, .def = "127.0.0.1", .max = 64, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "whom it hears: 127.0.0.1 is this machine, 0.0.0.0 everybody"),
    PH_STRING(struct osc, addresses, .max = LIST, .help = "of v1, v2 …, with spaces between: \"/1/fader1 /1/xy:1 /1/xy:2\"; empty = /phosphene/1 …"),
    { 0 }
};

#define V(i) { .name = "v" #i, .max = 1, .help = "newest number that came to its address" }
static const struct ph_signal_info signals[] = {
    V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13), V(14), V(15), V(16),
    V(17), V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28), V(29), V(30), V(31), V(32),
    { 0 }
};
// clang-format on
_Static_assert(sizeof signals / sizeof *signals == SLOTS + 1, "a name for each slot");

const struct ph_node_info ph_node_osc = {
    .name = "osc",
    .group = "source",
    .help = "numbers that arrive as Open Sound Control (UDP)",
    .in = PH_PORTS({ "packets", PH_PACKET, PH_PORT_EXTERNAL, .help = "from the network" }),
    .out = PH_PORTS({ "out", PH_SIGNALS, .help = "a frame for each packet" }),
    .params = params,
    .signals = signals,
    .priv_size = sizeof(struct osc),
    .open = osc_open,
    .close = osc_close,
    .process = osc_process,
    .apply = osc_apply,
    .found = osc_found,
};
