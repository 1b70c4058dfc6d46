// SPDX-License-Identifier: MIT
// What viewers are sent as a file: depth, clouds or JPEG pictures with their times.
#include <phosphene/node.h>

#include "nodes/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct tape {
    const char *path;
    bool overwrite;
    int fd;
    bool open, failed;
    uint64_t end; // of the last whole message
};

static ph_err tape_open(struct ph_node *n, struct ph_fault *fault)
{
    struct tape *p = ph_priv(n);
    const char *end = strrchr(p->path, '.');
    if (!end || strcmp(end, ".phs"))
        return ph_fail(fault, PH_EINVAL, "path", "path ends in .phs, got \"%s\"", p->path);
    p->fd = open(
        p->path,
        O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (p->overwrite ? O_TRUNC : O_EXCL), 0666);
    if (p->fd < 0 && errno == EEXIST)
        return ph_fail(fault, PH_EBUSY, "path", "%s is there already: overwrite=on replaces it",
                       p->path);
    if (p->fd < 0)
        return ph_fail(fault, PH_EIO, "path", "cannot write %s: %s", p->path, strerror(errno));
    p->open = true;
    return PH_OK;
}

static void tape_close(struct ph_node *n)
{
    struct tape *p = ph_priv(n);
    if (p->open) close(p->fd);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t put = write(fd, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes += put;
        size -= (size_t) put;
    }
    return true;
}

// A full disk ends the tape at its last whole message.
static ph_err write_message(struct ph_node *n, struct tape *p, const struct ph_frame *f)
{
    uint8_t head[PH_WIRE_BYTES];
    if (p->failed) return PH_EIO;
    if (!ph_tape_head(f, head)) {
        ph_node_problem(n, "a tape takes depth16, cloud and jpeg packets, not %s",
                        ph_codec_name(f->packet.codec));
        ph_node_drop(n);
        return PH_EFORMAT;
    }
    if (write_all(p->fd, head, sizeof head) &&
        write_all(p->fd, f->packet.data, f->packet.size)) {
        p->end += sizeof head + f->packet.size;
        return PH_OK;
    }
    p->failed = true;
    ph_node_problem(n, "the tape ends here: %s", strerror(errno));
    if (ftruncate(p->fd, (off_t) p->end) < 0) ph_node_drop(n); // it is read to there anyhow
    return PH_EIO;
}

static ph_err tape_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ret = write_message(n, ph_priv(n), f);
    ph_frame_unref(&f);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct tape, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file.phs"),
    PH_BOOL(struct tape, overwrite, .flags = PH_PARAM_SETUP, .help = "replaces a file of that name; else it is left alone and recording refused"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_tape = {
    .name = "tape",
    .group = "deliver",
    .help = "records depth or points as viewers are sent them",
    .in = PH_PORTS({ "in", PH_PACKET, .help = "packets of depth16, msgpack or jpeg" }),
    .params = params,
    .priv_size = sizeof(struct tape),
    .open = tape_open,
    .close = tape_close,
    .process = tape_process,
};
