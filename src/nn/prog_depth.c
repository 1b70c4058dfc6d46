// SPDX-License-Identifier: MIT
// The builders that models of depth need beside the others: transposed convolutions, stretches, tables of
// places.
#include <string.h>

#include "nn/record.h"

ph_val ph_conv_up(struct ph_prog *p, ph_val x, const char *name)
{
    if (!ph_prog_ready(p, name, x) || !ph_prog_has_rank(p, name, x, 4, "[n, c, h, w]"))
        return PH_NONE;
    const struct ph_weight *w = ph_prog_need(p, name, ".weight");
    if (!w) return PH_NONE;
    int64_t in[4];
    memcpy(in, p->values[x].dim, sizeof in);
    const int64_t *k = w->disk.dim;
    if (w->disk.rank != 4 || k[0] != in[1] || k[2] != k[3]) {
        char shape[96];
        ph_prog_fail(p, PH_EFORMAT, "%s: %s.weight is %s, expected [%lld, out, k, k]", w->file,
                     name, ph_tensor_shape(&w->disk, shape, sizeof shape), (long long) in[1]);
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_LINEAR, .inputs = 1, .weight = w, .turned = true };
    step.bias = ph_prog_need_vector(p, name, ".bias", k[1]);
    step.in[0] = ph_tokens(p, x);
    int64_t rows[3] = { in[0], in[2] * in[3], k[1] * k[2] * k[3] };
    step.flops = ph_prog_flops(3, rows, 2.0 * (double) k[0]);
    ph_val y = ph_prog_record(p, step, name, PH_F32, 3, rows);
    struct ph_step places = {
        .op = PH_OP_SPREAD, .inputs = 1, .in = { y }, .groups = (int) k[2]
    };
    return ph_prog_record(p, places, NULL, PH_F32, 4,
                          (int64_t[]){ in[0], k[1], k[2] * in[2], k[3] * in[3] });
}

ph_val ph_stretch(struct ph_prog *p, ph_val x, int h, int w)
{
    if (!ph_prog_ready(p, "stretch", x) ||
        !ph_prog_has_rank(p, "stretch", x, 4, "[n, c, h, w]"))
        return PH_NONE;
    const int64_t *d = p->values[x].dim;
    if (d[2] == h && d[3] == w) return x;
    struct ph_step step = { .op = PH_OP_STRETCH, .inputs = 1, .in = { x } };
    return ph_prog_record(p, step, NULL, PH_F32, 4, (int64_t[]){ d[0], d[1], h, w });
}

ph_val ph_bicubic(struct ph_prog *p, ph_val x, int h, int w, float scale_y, float scale_x)
{
    if (!ph_prog_ready(p, "bicubic", x) ||
        !ph_prog_has_rank(p, "bicubic", x, 4, "[n, c, h, w]"))
        return PH_NONE;
    if (!(scale_y > 0 && scale_x > 0))
        ph_prog_fail(p, PH_EINVAL, "bicubic: scales of %g and %g", (double) scale_y,
                     (double) scale_x);
    const int64_t *d = p->values[x].dim;
    struct ph_step step = {
        .op = PH_OP_BICUBIC, .inputs = 1, .in = { x }, .scale = scale_y, .offset = scale_x
    };
    return ph_prog_record(p, step, NULL, PH_F32, 4, (int64_t[]){ d[0], d[1], h, w });
}

ph_val ph_rotary(struct ph_prog *p, ph_val x, ph_val table, int heads)
{
    if (!ph_prog_ready(p, "rotary", x) || !ph_prog_ready(p, "rotary", table)) return PH_NONE;
    const struct ph_value *v = &p->values[x], *t = &p->values[table];
    bool fits = v->rank == 3 && t->rank == 2 && heads > 0 && v->dim[2] % (4 * heads) == 0;
    if (!fits || t->dim[0] != v->dim[1] || t->dim[1] != v->dim[2] / heads) {
        ph_prog_wrong_shape(p, "rotary", table, "[t, d] of x [n, t, heads d], d in fours");
        return PH_NONE;
    }
    struct ph_step step = {
        .op = PH_OP_ROTARY, .inputs = 2, .in = { x, table }, .groups = heads
    };
    return ph_prog_record(p, step, NULL, PH_F32, v->rank, v->dim);
}
