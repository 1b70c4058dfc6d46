// SPDX-License-Identifier: MIT
// Pictures as files: one that is always the newest, or a numbered sequence.
#include <phosphene/node.h>

#include "nodes/file_name.h"
#include "nodes/guard.h"
#include "nodes/picture_file.h"
#include "nodes/util.h"

struct image {
    const char *path;
    int64_t every, start, quality;
    bool limiter;
    struct ph_guard guard;
    struct ph_picture_writer *writer;
    uint64_t seen, written;
    bool in_trouble;
    char name[4096]; // of the present file
};

static ph_err image_open(struct ph_node *n, struct ph_fault *fault)
{
    struct image *p = ph_priv(n);
    ph_err ret = ph_file_name_check(p->path, fault);
    if (ret < 0) return ret;
    return ph_picture_writer_create(&p->writer, p->path, fault);
}

static void image_close(struct ph_node *n)
{
    struct image *p = ph_priv(n);
    ph_picture_writer_destroy(&p->writer);
    ph_guard_finish(&p->guard);
}

static ph_err save(struct ph_node *n, struct image *p, const struct ph_picture *pic)
{
    struct ph_fault fault;
    ph_file_name_make(p->name, sizeof p->name, p->path, (uint64_t) p->start + p->written);
    ph_err ret = ph_picture_save(p->writer, p->name, pic, (int) p->quality, &fault);
    p->written += ret == PH_OK;
    return ph_node_tell(n, &p->in_trouble, ret, &fault);
}

static ph_err image_process(struct ph_node *n)
{
    struct image *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK) return ret;
    bool due = p->seen++ % (uint64_t) p->every == 0;
    if (due) ret = ph_guard_pass(&p->guard, n, p->limiter, &f);
    if (due && ret == PH_OK) ret = save(n, p, &f->picture);
    ph_frame_unref(&f);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct image, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file.png or file.jpg, always the newest; with %06d in it, one file each"),
    PH_INT(struct image, every, 1, 1000000, .def = "1", .help = "of how many pictures one is written"),
    PH_INT(struct image, start, 0, 1000000000, .flags = PH_PARAM_SETUP, .help = "number of the first file"),
    PH_INT(struct image, quality, 1, 100, .def = "90", .help = "of JPEG"),
    PH_GUARD_PARAM(struct image),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_image = {
    .name = "image",
    .group = "deliver",
    .help = "writes pictures as PNG or JPEG files",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct image),
    .open = image_open,
    .close = image_close,
    .process = image_process,
};
