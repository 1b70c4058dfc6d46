// SPDX-License-Identifier: MIT
// The stream as a film file with the times of its frames. Playable at every moment: a killed
// process costs the last second, a full disk what comes after. Encoding takes its time; a link "=>"
// before it keeps that away from the rest of the graph.
#include <phosphene/node.h>

#include "nodes/guard.h"
#include "nodes/media/writer.h"
#include "nodes/util.h"

enum { PICTURES, SOUND };

struct record {
    const char *path;
    bool overwrite;
    int64_t quality;
    int preset;
    bool limiter;
    struct ph_guard guard;
    struct ph_writer *writer;
    bool told; // what is wrong with it
};

static const char *const presets[] = { "ultrafast", "superfast", "veryfast", "faster", "fast",
                                       "medium",    "slow",      "nvenc",    NULL };

static ph_err record_open(struct ph_node *n, struct ph_fault *fault)
{
    struct record *p = ph_priv(n);
    if (!p->path[0]) return ph_fail(fault, PH_EINVAL, "path", "which file? record take1.mp4");
    struct ph_writer_params par = { .path = p->path,
                                    .overwrite = p->overwrite,
                                    .quality = (int) p->quality,
                                    .preset = presets[p->preset],
                                    .log = ph_node_log(n),
                                    .who = ph_node_name(n) };
    return ph_writer_create(&p->writer, &par, fault);
}

static void record_close(struct ph_node *n)
{
    struct record *p = ph_priv(n);
    if (p->writer && ph_writer_finish(p->writer) < 0 && !p->told &&
        ph_writer_error(p->writer)[0])
        ph_error(ph_node_log(n), ph_node_name(n), "%s", ph_writer_error(p->writer));
    ph_writer_destroy(&p->writer);
    ph_guard_finish(&p->guard);
}

static ph_err report(struct ph_node *n, struct record *p, ph_err ret)
{
    if (ret < 0) {
        ph_node_problem(n, "%s", ph_writer_error(p->writer));
        p->told = true;
    }
    return ret;
}

static ph_err take_picture(struct ph_node *n, struct record *p)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read_rgba(n, PICTURES, &f);
    if (ret != PH_OK) return ret;
    if ((ret = ph_guard_pass(&p->guard, n, p->limiter, &f)) < 0) return ret;
    ph_writer_use_sound(p->writer, ph_node_linked(n, false, SOUND));
    ret = report(n, p, ph_writer_picture(p->writer, f));
    ph_frame_unref(&f);
    return ret;
}

static ph_err take_sound(struct ph_node *n, struct record *p)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, SOUND, &f);
    if (ret != PH_OK) return ret;
    ret = report(n, p, ph_writer_sound(p->writer, &f->samples, f->pts_ns));
    ph_frame_unref(&f);
    return ret;
}

static ph_err record_process(struct ph_node *n)
{
    struct record *p = ph_priv(n);
    ph_err pictures = take_picture(n, p), sound = take_sound(n, p);
    if (pictures < 0 || sound < 0) return pictures < 0 ? pictures : sound;
    if (pictures == PH_OK || sound == PH_OK) return PH_OK;
    if (pictures == PH_MORE || sound == PH_MORE) return PH_MORE;
    ph_err ret = report(n, p, ph_writer_finish(p->writer)); // nothing will come any more
    return ret < 0 ? ret : PH_EOF;
}

static ph_err record_apply(struct ph_node *n)
{
    struct record *p = ph_priv(n);
    ph_writer_set_quality(p->writer, (int) p->quality);
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct record, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "file.mp4, .mov or .mkv (H.264, AAC), or .webm (VP8, Opus)"),
    PH_BOOL(struct record, overwrite, .flags = PH_PARAM_SETUP, .help = "replaces a file of that name; else it is left alone and recording refused"),
    PH_INT(struct record, quality, 1, 100, .def = "80", .help = "how good it looks; of H.264 it may change while recording"),
    PH_ENUM(struct record, preset, presets, .def = "veryfast", .help = "slower ones make smaller files; nvenc: an NVIDIA GPU where there is one; for the next file"),
    PH_GUARD_PARAM(struct record),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_record = {
    .name = "record",
    .group = "deliver",
    .help = "writes a film file that is playable at every moment",
    .in = PH_PORTS(
        { "in", PH_PICTURE, .help = "rgba pictures; the first gives the film its size" },
        { "sound", PH_SAMPLES, PH_PORT_OPTIONAL, .help = "48 kHz sound" }),
    .params = params,
    .priv_size = sizeof(struct record),
    .open = record_open,
    .close = record_close,
    .process = record_process,
    .apply = record_apply,
};
