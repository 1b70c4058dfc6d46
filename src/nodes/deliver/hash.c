// SPDX-License-Identifier: MIT
// One number for each frame and one for all of them so far: two runs that agree on it showed the
// same. Times are no part of it.
#include <phosphene/node.h>

#include "image/barcode.h"
#include "image/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct hash {
    const char *path;
    bool id;
    FILE *file;
    bool in_trouble;
    uint64_t all, frames;
};

// Fowler, Noll, Vo, FNV-1a: packets and samples are small
static uint64_t hash_bytes(const void *bytes, size_t size)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const uint8_t *b = bytes, *end = b + size; b < end; b++)
        h = (h ^ *b) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_signals(const struct ph_signals *s)
{
    uint64_t values = hash_bytes(s->value, (size_t) s->count * sizeof(float));
    return values ^ hash_bytes(&s->beat.beat, sizeof s->beat.beat);
}

static uint64_t hash_points(const struct ph_points *p)
{
    uint64_t xyz = hash_bytes(p->xyz, (size_t) p->count * 3 * sizeof(float));
    return xyz ^ hash_bytes(p->rgb, (size_t) p->count * 3) * 3;
}

static uint64_t hash_frame(const struct ph_frame *f)
{
    switch (f->kind) {
    case PH_PICTURE: return ph_image_hash(&f->picture);
    case PH_PACKET: return hash_bytes(f->packet.data, f->packet.size);
    case PH_SAMPLES:
        return hash_bytes(f->samples.data, (size_t) f->samples.count *
                                               (size_t) f->samples.channels * sizeof(float));
    case PH_SIGNALS: return hash_signals(&f->signals);
    case PH_POINTS: return hash_points(&f->points);
    }
    return 0;
}

static ph_err hash_open(struct ph_node *n, struct ph_fault *fault)
{
    struct hash *p = ph_priv(n);
    if (!p->path[0]) return PH_OK;
    p->file = strcmp(p->path, "-") ? fopen(p->path, "we") : stdout;
    if (p->file) return PH_OK;
    ph_err err = errno == ENOENT ? PH_ENOENT : errno == EISDIR ? PH_EINVAL : PH_EIO;
    return ph_fail(fault, err, "path", "cannot write %s: %s", p->path, strerror(errno));
}

static ph_err put_line(struct ph_node *n, struct hash *p, const struct ph_frame *f,
                       uint64_t hash)
{
    fprintf(p->file, "%" PRIu64 " %" PRId64 " %016" PRIx64, f->id, f->pts_ns, hash);
    uint32_t id;
    if (p->id && f->kind == PH_PICTURE && ph_barcode_read(&f->picture, &id) == PH_OK)
        fprintf(p->file, " %" PRIu32, id);
    else if (p->id)
        fputs(" -", p->file);
    bool ok = putc('\n', p->file) != EOF && fflush(p->file) == 0;
    if (!ok) ph_node_problem(n, "cannot write %s: %s", p->path, strerror(errno));
    if (ok && p->in_trouble) ph_node_problem(n, NULL);
    p->in_trouble = !ok;
    return ok ? PH_OK : PH_EIO;
}

static ph_err hash_process(struct ph_node *n)
{
    struct hash *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    uint64_t hash = hash_frame(f);
    p->all = (p->all ^ hash) * UINT64_C(0x9e3779b97f4a7c15);
    p->all ^= p->all >> 32;
    p->frames++;
    if (p->file) ret = put_line(n, p, f, hash);
    ph_frame_unref(&f);
    return ret;
}

static void hash_close(struct ph_node *n)
{
    struct hash *p = ph_priv(n);
    if (p->file && p->file != stdout) fclose(p->file);
    if (p->frames)
        ph_info(ph_node_log(n), ph_node_name(n), "%016" PRIx64 " over %" PRIu64 " frames",
                p->all, p->frames);
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct hash, path, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file for a line \"frame pts hash\" each; - = standard output"),
    PH_BOOL(struct hash, id, .help = "adds the number in the picture's bar code, - without one"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_hash = {
    .name = "hash",
    .group = "deliver",
    .help = "a number for what each frame shows and one for all, logged at the end",
    .in = PH_PORTS({ "in", PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS | PH_SIGNALS,
                     .help = "anything" }),
    .params = params,
    .priv_size = sizeof(struct hash),
    .open = hash_open,
    .close = hash_close,
    .process = hash_process,
};
