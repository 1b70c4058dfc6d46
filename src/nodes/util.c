// SPDX-License-Identifier: MIT
#include "nodes/util.h"

#include <math.h>

void ph_fps_ratio(double fps, int64_t *num, int64_t *den)
{
    int64_t whole = (int64_t) floor(fps + 0.5);
    if (fabs(fps - (double) whole) < 1e-4) {
        *num = whole;
        *den = 1;
        return;
    }
    int64_t nominal = (int64_t) ceil(fps);
    if (fabs(fps - (double) nominal * 1000 / 1001) < 2e-3) { // 29.97 as well as 29.97003
        *num = nominal * 1000;
        *den = 1001;
        return;
    }
    *num = (int64_t) floor(fps * 1000 + 0.5);
    *den = 1000;
}

void ph_node_set_fps(struct ph_node *n, double fps)
{
    int64_t num, den;
    ph_fps_ratio(fps, &num, &den);
    ph_node_set_rate(n, num, den);
}

static ph_err read_format(struct ph_node *n, int port, bool depth, struct ph_frame **f)
{
    ph_err ret = ph_node_read(n, port, f);
    if (ret != PH_OK) return ret;
    const struct ph_frame *got = *f;
    enum ph_format format = got->kind == PH_PICTURE ? got->picture.format : PH_FORMAT_NONE;
    if (got->mem == PH_HOST &&
        (format == PH_RGBA || (depth && (format == PH_DEPTHF || format == PH_INVERSEF))))
        return PH_OK;
    ph_node_problem(n, "takes rgba pictures%s, got %s", depth ? " and depth" : "",
                    got->mem != PH_HOST        ? "one that is not in host memory"
                    : format == PH_FORMAT_NONE ? "something that is no picture"
                                               : ph_format_name(format));
    ph_frame_unref(f);
    return PH_EFORMAT;
}

ph_err ph_node_read_rgba(struct ph_node *n, int port, struct ph_frame **f)
{
    return read_format(n, port, false, f);
}

ph_err ph_node_read_geometry(struct ph_node *n, int port, struct ph_frame **f)
{
    return read_format(n, port, true, f);
}

ph_err ph_node_read_own(struct ph_node *n, int port, struct ph_frame **f)
{
    ph_err ret = ph_node_read_rgba(n, port, f);
    return ret == PH_OK ? ph_frame_make_writable(f) : ret;
}

ph_err ph_node_tell(struct ph_node *n, bool *in_trouble, ph_err ret,
                    const struct ph_fault *fault)
{
    if (ret < 0)
        ph_node_problem(n, "%s", fault->message);
    else if (*in_trouble)
        ph_node_problem(n, NULL);
    *in_trouble = ret < 0;
    return ret;
}

double ph_pace_step(struct ph_pace *p, int64_t pts_ns)
{
    int64_t step_ns = p->begun ? pts_ns - p->last_ns : 0;
    p->begun = true;
    p->last_ns = pts_ns;
    if (step_ns > PH_SECOND_NS / 2) step_ns = PH_SECOND_NS / 2;
    return step_ns > 0 ? (double) step_ns * 1e-9 : 0;
}

float ph_sin_turns(double turns)
{
    float t = (float) (turns - floor(turns + 0.5)); // -0.5..0.5
    if (t > 0.25f) t = 0.5f - t;
    if (t < -0.25f) t = -0.5f - t;
    float x = t * 6.2831853f, q = x * x; // Taylor to x^11: 6e-8 at the quarter turn
    return x * (1 + q * (-1.6666667e-1f +
                         q * (8.3333333e-3f +
                              q * (-1.9841270e-4f + q * (2.7557319e-6f - q * 2.5052108e-8f)))));
}
