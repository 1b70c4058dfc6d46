// SPDX-License-Identifier: MIT
// Gives a stream a constant rate by dropping and repeating frames. What happens to a frame is
// decided by its pts alone, so that the same input gives the same output live, rendered and
// replayed, however late the frames come.
//
// Output frame k stands for the moment k / fps after the first frame. A frame belongs to the moment nearest to its pts
// (the earlier one of two): it is passed on at once when that moment is new, dropped when another
// frame has had it, and the moments left out since the last one are filled with the frame before.
#include <phosphene/node.h>

#include "nodes/util.h"

// All that fills one hole lies in memory at once, each frame a copy. A hole that takes more than this
// is not filled either; by the pictures' size alone, so that every run decides the same.
#define FILL_BYTES  (INT64_C(512) << 20)
#define FILL_FRAMES 4096

struct rate {
    float fps;
    float gap; // seconds
    int64_t num, den;
    int64_t origin_ns;     // pts of moment 0
    struct ph_frame *held; // the newest frame
    int64_t held_pts_ns;   // as it came
    int64_t interval_ns;   // between the newest two
    int64_t next;          // first moment without a frame
    uint64_t id;
    bool started;
};

// The moment nearest to pts, half a period rounded down: 60 to 30 then takes every second frame.
static int64_t moment_of(const struct rate *p, int64_t pts_ns)
{
    __int128 unit = (__int128) p->den * PH_SECOND_NS;
    __int128 twice = (__int128) (pts_ns - p->origin_ns) * p->num * 2 -
                     unit; // (moment - 1/2) in units of 2 * unit
    __int128 k = twice / (2 * unit);
    if (twice > k * 2 * unit) k++; // ceil; division rounds towards zero
    return (int64_t) k;
}

static int64_t pts_of(const struct rate *p, int64_t moment)
{
    return p->origin_ns + (int64_t) ((__int128) moment * p->den * PH_SECOND_NS / p->num);
}

// Passes `held` on as the frame of the next moment. Its times are part of it, so it is copied when
// the one after us still has it: a repeat costs a copy, a frame that is only passed on does not.
static ph_err emit(struct ph_node *n, struct rate *p)
{
    ph_err ret = ph_frame_make_writable(&p->held);
    if (ret < 0) return ret;
    p->held->pts_ns = pts_of(p, p->next++);
    p->held->id = p->id++;
    return ph_node_write(n, 0, ph_frame_ref(p->held));
}

static ph_err fill_until(struct ph_node *n, struct rate *p, int64_t moment)
{
    ph_err ret = PH_OK;
    while (p->held && p->next < moment && ret >= 0) ret = emit(n, p);
    return ret;
}

// The longest hole that is filled, in frames.
static int64_t longest_hole(const struct rate *p, const struct ph_picture *pic)
{
    int64_t row = pic->stride[0] < 0 ? -pic->stride[0] : pic->stride[0];
    int64_t fits = FILL_BYTES / (row * pic->height + 1);
    int64_t most = (int64_t) (p->gap * (double) p->num / (double) p->den);
    if (most > FILL_FRAMES) most = FILL_FRAMES;
    return most < fits ? most : fits;
}

// Takes f.
static ph_err take(struct ph_node *n, struct rate *p, struct ph_frame *f)
{
    int64_t pts_ns = f->pts_ns, moment = p->started ? moment_of(p, pts_ns) : 0;
    int64_t most = longest_hole(p, &f->picture);
    // A first frame, a hole that was none of the stream's, or a clock that went back.
    if (!p->started || moment - p->next > most || p->next - moment > most + 1) {
        p->origin_ns = pts_ns;
        p->next = moment = 0;
        p->started = true;
    } else if (p->held && pts_ns > p->held_pts_ns) {
        p->interval_ns = pts_ns - p->held_pts_ns;
    }
    ph_err ret = fill_until(n, p, moment);
    ph_frame_unref(&p->held);
    p->held = f;
    p->held_pts_ns = pts_ns;
    if (ret < 0) return ret;
    if (p->next <= moment) return emit(n, p);
    ph_node_drop(n);
    return PH_OK;
}

static ph_err rate_process(struct ph_node *n)
{
    struct rate *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret == PH_EOF && p->held) { // the last frame lasts as long as the one before it did
        fill_until(n, p, moment_of(p, p->held_pts_ns + p->interval_ns));
        ph_frame_unref(&p->held);
    }
    return ret == PH_OK ? take(n, p, f) : ret;
}

static ph_err rate_apply(struct ph_node *n)
{
    struct rate *p = ph_priv(n);
    int64_t num = p->num, den = p->den, last_ns = num ? pts_of(p, p->next - 1) : 0;
    ph_fps_ratio((double) p->fps, &p->num, &p->den);
    if (!p->started || (num == p->num && den == p->den)) return PH_OK;
    p->origin_ns = last_ns; // the new rate goes on from the newest frame
    p->next = 1;
    return PH_OK;
}

static ph_err rate_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct rate *p = ph_priv(n);
    if (!cut->hard) return PH_OK;
    ph_frame_unref(&p->held);
    p->started = false;
    return PH_OK;
}

static void rate_close(struct ph_node *n)
{
    struct rate *p = ph_priv(n);
    ph_frame_unref(&p->held);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct rate, fps, 0.1, 1000, .def = "30", .unit = "fps", .flags = PH_PARAM_FIRST, .help = "frames per second that come out"),
    PH_FLOAT(struct rate, gap, 0, 3600, .def = "1", .unit = "s", .help = "a longer hole in the input is not filled, nor one of over half a gigabyte"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_rate = {
    .name = "rate",
    .group = "prepare",
    .help = "drops or repeats frames to reach a constant rate",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "pictures at any rate" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "pictures at a constant rate" }),
    .params = params,
    .priv_size = sizeof(struct rate),
    .process = rate_process,
    .apply = rate_apply,
    .cut = rate_cut,
    .close = rate_close,
};
