// SPDX-License-Identifier: MIT
// Points as files: one that is always the newest cloud, or a numbered sequence.
#include <phosphene/node.h>

#include "image/cloud_file.h"
#include "nodes/file_name.h"
#include "nodes/picture_file.h"
#include "nodes/util.h"

#include <stdlib.h>

struct export
{
    const char *path;
    int64_t every, start;
    enum ph_cloud_kind kind;
    uint64_t seen, written;
    bool in_trouble;
    uint8_t *bytes;
    size_t room;
};

static ph_err export_open(struct ph_node *n, struct ph_fault *fault)
{
    struct export *p = ph_priv(n);
    int kind = ph_cloud_kind_of(p->path);
    if (kind < 0)
        return ph_fail(fault, PH_EINVAL, "path", "path ends in .ply or .glb, got \"%s\"",
                       p->path);
    p->kind = (enum ph_cloud_kind) kind;
    return ph_file_name_check(p->path, fault);
}

static void export_close(struct ph_node *n)
{
    struct export *p = ph_priv(n);
    free(p->bytes);
}

static bool need(struct export *p, size_t bytes)
{
    if (bytes <= p->room) return true;
    free(p->bytes);
    p->bytes = malloc(bytes);
    p->room = p->bytes ? bytes : 0;
    return p->bytes;
}

static ph_err save(struct export *p, const struct ph_points *points, struct ph_fault *fault)
{
    char name[4096];
    if (!need(p, ph_cloud_file_bound(points->count)))
        return ph_fail(fault, PH_ENOMEM, "path", "no memory for a file of %d points",
                       points->count);
    size_t size = ph_cloud_file(p->bytes, p->kind, points);
    ph_file_name_make(name, sizeof name, p->path, (uint64_t) p->start + p->written);
    ph_err ret = ph_file_replace(name, p->bytes, size, fault);
    p->written += ret == PH_OK;
    return ret;
}

static ph_err export_process(struct ph_node *n)
{
    struct export *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (p->seen++ % (uint64_t) p->every == 0) {
        struct ph_fault fault = { 0 };
        ret = save(p, &f->points, &fault);
        ph_node_tell(n, &p->in_trouble, ret, &fault);
    }
    ph_frame_unref(&f);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct export, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file.ply or file.glb, always the newest; with %06d in it, one file each"),
    PH_INT(struct export, every, 1, 1000000, .def = "1", .help = "of how many clouds one is written"),
    PH_INT(struct export, start, 0, 1000000000, .flags = PH_PARAM_SETUP, .help = "number of the first file"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_export = {
    .name = "export",
    .group = "deliver",
    .help = "writes points as PLY or GLB files",
    .in = PH_PORTS({ "in", PH_POINTS, .help = "points" }),
    .params = params,
    .priv_size = sizeof(struct export),
    .open = export_open,
    .close = export_close,
    .process = export_process,
};
