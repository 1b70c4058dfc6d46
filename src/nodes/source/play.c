// SPDX-License-Identifier: MIT
// A tape again, packet by packet, each at its time.
#include <phosphene/node.h>

#include "nodes/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum on_tape { DEPTH16, CLOUD, JPEG };
static const char *const codec_names[] = { "depth16", "cloud", "jpeg", NULL };
static const enum ph_codec codecs[] = { PH_DEPTH16, PH_CLOUD, PH_JPEG };

struct play {
    const char *path;
    bool loop;
    int codec; // enum on_tape
    float speed, position;

    int fd;
    bool open;
    struct ph_tape tape;
    int at;            // the entry that comes next
    int64_t due_ns;    // when, on the graph's clock; 0 = at once
    bool begun, wound; // has shown something; was told to go elsewhere
    int64_t pts_ns;    // of the next packet; never goes back
};

static ph_err play_open(struct ph_node *n, struct ph_fault *fault)
{
    struct play *p = ph_priv(n);
    struct stat st;
    p->fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    p->open = p->fd >= 0;
    if (!p->open || fstat(p->fd, &st))
        return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, "path",
                       "cannot open %s: %s", p->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ph_fail(fault, PH_EINVAL, "path", "%s is no file", p->path);
    ph_err ret = ph_tape_index(&p->tape, p->fd, (uint64_t) st.st_size, fault);
    if (ret < 0) return ret;
    if (!p->tape.count)
        return ph_fail(fault, PH_EFORMAT, "path", "%s has nothing on it", p->path);
    enum ph_codec is = ph_tape_codec(&p->tape.entries[0].head);
    if (is != codecs[p->codec])
        return ph_fail(fault, PH_EINVAL, "codec", "%s holds %s, not %s", p->path,
                       ph_codec_name(is), codec_names[p->codec]);
    ph_node_set_rate(n, 0, 1);
    return PH_OK;
}

static void play_close(struct ph_node *n)
{
    struct play *p = ph_priv(n);
    ph_tape_finish(&p->tape);
    if (p->open) close(p->fd);
}

static int64_t tape_ns(const struct play *p, int i)
{
    return p->tape.entries[i].head.pts_ns - p->tape.entries[0].head.pts_ns;
}

static ph_err play_apply(struct ph_node *n)
{
    struct play *p = ph_priv(n);
    if (p->position < 0) return PH_OK;
    int64_t want = (int64_t) ((double) p->position * 1e9) + p->tape.entries[0].head.pts_ns;
    int at = ph_tape_find(&p->tape, want);
    p->at = at < 0 ? 0 : at;
    p->due_ns = 0;
    p->wound = true; // also where it stands still, this one is shown
    p->position = -1;
    return PH_OK;
}

static int64_t play_due(struct ph_node *n, int64_t now_ns)
{
    struct play *p = ph_priv(n);
    (void) now_ns;
    return p->due_ns;
}

static ph_err read_packet(struct ph_node *n, const struct play *p, struct ph_frame **out)
{
    const struct ph_tape_entry *e = &p->tape.entries[p->at];
    size_t size = e->head.payload_bytes;
    enum ph_codec codec = ph_tape_codec(&e->head);
    if (!codec) return PH_MORE;
    ph_err ret = ph_frame_packet(ph_node_pool(n), codec, size, out);
    if (ret < 0) return ret;
    struct ph_packet *packet = &(*out)->packet;
    if (pread(p->fd, packet->data, size, (off_t) (e->offset + PH_WIRE_BYTES)) !=
        (ssize_t) size) {
        ph_node_problem(n, "the tape cannot be read: it was cut off while it played");
        ph_frame_unref(out);
        return PH_EIO;
    }
    packet->size = size;
    packet->key = e->head.flags & PH_WIRE_KEY;
    packet->width = e->head.width;
    packet->height = e->head.height;
    if (codec == PH_DEPTH16 && e->head.flags & PH_WIRE_EXTRA) // as its tail says
        packet->extra = ph_tape_extra(packet->data, size);
    return PH_OK;
}

// When the packet after this one comes, and how its pts follow.
static void move_on(struct ph_node *n, struct play *p)
{
    bool last = p->at + 1 == p->tape.count;
    int64_t step = last ? PH_SECOND_NS / 30 : tape_ns(p, p->at + 1) - tape_ns(p, p->at);
    p->at++;
    if (last && p->loop) p->at = 0;
    double speed = p->speed > 0 ? (double) p->speed : 1;
    // an hour at most, however slow; messages of one moment do not come at once
    int64_t wait = (int64_t) fmin(fmax((double) step / speed, (double) PH_MS_NS), 3600e9);
    p->pts_ns += wait;
    int64_t now = ph_node_now_ns(n), base = p->due_ns > 0 ? p->due_ns : now;
    if (now - base > PH_SECOND_NS) base = now; // nobody looked: nothing is caught up on
    p->due_ns = base + wait;
}

static ph_err play_process(struct ph_node *n)
{
    struct play *p = ph_priv(n);
    struct ph_frame *f = NULL;
    if (p->at >= p->tape.count) return PH_EOF;
    if (!(p->speed > 0) && !p->wound && p->begun) { // it stands still, and is asked again soon
        if (ph_node_rendering(n) && !ph_node_replaying(n)) return PH_EOF;
        p->due_ns = ph_node_now_ns(n) + PH_SECOND_NS / 30;
        return PH_MORE;
    }
    p->begun = true;
    p->wound = false;
    ph_err ret = read_packet(n, p, &f);
    if (f) ph_node_stamp_at(n, f, p->pts_ns, ph_node_now_ns(n));
    move_on(n, p);
    return f ? ph_node_write(n, 0, f) : ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct play, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file.phs, made by the node tape"),
    PH_ENUM(struct play, codec, codec_names, .def = "depth16", .flags = PH_PARAM_SETUP, .help = "what is on it"),
    PH_BOOL(struct play, loop, .def = "on", .help = "begins again at the end"),
    PH_FLOAT(struct play, speed, 0, 16, .def = "1", .help = "0 stands still, and position shows one message at a time"),
    PH_FLOAT(struct play, position, -1, 1e6, .def = "-1", .unit = "s", .help = "goes there; -1 again once obeyed"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_play = {
    .name = "play",
    .group = "source",
    .help = "plays a tape of depth or points",
    .out =
        PH_PORTS({ "out", PH_PACKET, .help = "the packets that were recorded, byte for byte" }),
    .params = params,
    .priv_size = sizeof(struct play),
    .open = play_open,
    .close = play_close,
    .process = play_process,
    .apply = play_apply,
    .due = play_due,
};
