// SPDX-License-Identifier: MIT
// Signals as Open Sound Control: a bundle for each frame that is sent, one message for each signal
// (/phosphene/kick) and one for the beat. Nothing waits: what the network does not take is lost.
#include <phosphene/node.h>

#include "audio/live/osc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct osc_send {
    const char *to, *prefix;
    float fps;

    int socket;
    struct sockaddr_in address;
    bool sent, troubled;
    int64_t newest_ns; // pts of what was sent last
    struct ph_osc_writer w;
};

static ph_err read_address(struct osc_send *p, struct ph_fault *fault)
{
    char host[64];
    const char *colon = strrchr(p->to, ':');
    int port = colon ? atoi(colon + 1) : 0;
    snprintf(host, sizeof host, "%.*s", colon ? (int) (colon - p->to) : 0, p->to);
    if (!strcmp(host, "localhost") || !host[0]) strcpy(host, "127.0.0.1");
    p->address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    if (port >= 1 && port <= 65535 && inet_pton(AF_INET, host, &p->address.sin_addr) == 1)
        return PH_OK;
    return ph_fail(
        fault, PH_EINVAL, "to",
        "whom to? an IPv4 address and a port, as osc_send 192.168.1.20:9001; not \"%s\"",
        p->to);
}

static ph_err osc_send_open(struct ph_node *n, struct ph_fault *fault)
{
    struct osc_send *p = ph_priv(n);
    p->socket = -1;
    ph_err ret = read_address(p, fault);
    if (ret < 0 || ph_node_replaying(n)) return ret;
    if (p->prefix[0] != '/')
        return ph_fail(fault, PH_EINVAL, "prefix", "an OSC address begins with /: %s",
                       p->prefix);
    p->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1; // a whole network may be meant
    if (p->socket >= 0) setsockopt(p->socket, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
    return p->socket < 0 ? ph_fail(fault, PH_EIO, "to", "no socket: %s", strerror(errno))
                         : PH_OK;
}

static void osc_send_close(struct ph_node *n)
{
    struct osc_send *p = ph_priv(n);
    if (p->socket >= 0) close(p->socket);
}

// What the node that made them calls them; by number where that is not known.
static void put_signals(struct osc_send *p, const struct ph_node_info *from,
                        const struct ph_signals *s)
{
    const struct ph_signal_info *names = from ? from->signals : NULL;
    char address[160];
    for (int i = 0; i < s->count; i++) {
        if (names && names->name)
            snprintf(address, sizeof address, "%s/%s", p->prefix, names++->name);
        else
            snprintf(address, sizeof address, "%s/%d", p->prefix, i + 1);
        ph_osc_put_floats(&p->w, address, &s->value[i], 1);
    }
    const struct ph_beat *b = &s->beat;
    float beat[] = { (float) b->beat, (float) b->bpm, (float) b->per_bar, b->confidence };
    snprintf(address, sizeof address, "%s/beat", p->prefix);
    ph_osc_put_floats(&p->w, address, beat, 4);
}

static void send_bundle(struct ph_node *n, struct osc_send *p)
{
    ssize_t done = sendto(p->socket, p->w.bytes, p->w.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *) &p->address, sizeof p->address);
    // nobody there (ECONNREFUSED) is no trouble: they may come
    bool trouble = done < 0 && errno != EAGAIN && errno != ECONNREFUSED;
    if (trouble) ph_node_problem(n, "nothing can be sent to %s: %s", p->to, strerror(errno));
    if (!trouble && p->troubled) ph_node_problem(n, NULL);
    p->troubled = trouble;
}

static ph_err osc_send_process(struct ph_node *n)
{
    struct osc_send *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    double since_s = (double) (f->pts_ns - p->newest_ns) * 1e-9;
    bool due = !p->sent || since_s < 0 || since_s >= 0.999 / (double) p->fps;
    if (due && p->socket >= 0) {
        ph_osc_begin_bundle(&p->w);
        put_signals(p, ph_node_before(n, 0), &f->signals);
        send_bundle(n, p);
        p->newest_ns = f->pts_ns;
        p->sent = true;
    }
    ph_frame_unref(&f);
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct osc_send, to, .def = "127.0.0.1:9001", .max = 100, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "IPv4 address and UDP port"),
    PH_STRING(struct osc_send, prefix, .def = "/phosphene", .max = 60, .flags = PH_PARAM_SETUP, .help = "what addresses begin with"),
    PH_FLOAT(struct osc_send, fps, 1, 1000, .def = "50", .unit = "fps", .help = "bundles a second at most"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_osc_send = {
    .name = "osc_send",
    .group = "deliver",
    .help = "sends signals as Open Sound Control (UDP)",
    .in = PH_PORTS({ "in", PH_SIGNALS, .help = "signals" }),
    .params = params,
    .priv_size = sizeof(struct osc_send),
    .open = osc_send_open,
    .close = osc_send_close,
    .process = osc_send_process,
};
