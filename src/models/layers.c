// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "models/layers.h"

static void expect(struct ph_prog *p, const char *name, const char *suffix, int rank,
                   const int64_t *dim)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    ph_expect(p, full, rank, dim);
}

static void expect_bias(struct ph_prog *p, const char *name, int out, int flags)
{
    if (!(flags & PH_NO_BIAS)) expect(p, name, ".bias", 1, (int64_t[]){ out });
}

// Weight and bias of a norm over c channels.
static void expect_norm(struct ph_prog *p, const char *name, int64_t c)
{
    expect(p, name, ".weight", 1, &c);
    expect(p, name, ".bias", 1, &c);
}

ph_val ph_layer_conv(struct ph_prog *p, ph_val x, const char *name, int out, int kernel,
                     struct ph_conv conv)
{
    if (x == PH_NONE) return x;
    expect(p, name, ".weight", 4, (int64_t[]){ out, ph_dim(p, x, 1), kernel, kernel });
    expect_bias(p, name, out, conv.flags);
    return ph_conv2d(p, x, name, conv);
}

ph_val ph_layer_conv3(struct ph_prog *p, ph_val x, const char *name, int out)
{
    return ph_layer_conv(p, x, name, out, 3,
                         (struct ph_conv){ .top = 1, .left = 1, .bottom = 1, .right = 1 });
}

ph_val ph_layer_conv1(struct ph_prog *p, ph_val x, const char *name, int out)
{
    return ph_layer_conv(p, x, name, out, 1, (struct ph_conv){ 0 });
}

static int64_t last_dim(struct ph_prog *p, ph_val x)
{
    return ph_dim(p, x, ph_rank(p, x) - 1);
}

ph_val ph_layer_linear(struct ph_prog *p, ph_val x, const char *name, int out, int flags)
{
    if (x == PH_NONE) return x;
    expect(p, name, ".weight", 2, (int64_t[]){ out, last_dim(p, x) });
    expect_bias(p, name, out, flags);
    return ph_linear(p, x, name, flags);
}

ph_val ph_layer_pointwise(struct ph_prog *p, ph_val x, const char *name, int out)
{
    if (x == PH_NONE) return x;
    expect(p, name, ".weight", 4, (int64_t[]){ out, last_dim(p, x), 1, 1 });
    expect_bias(p, name, out, 0);
    return ph_linear(p, x, name, 0);
}

ph_val ph_layer_group_norm(struct ph_prog *p, ph_val x, const char *name, int groups, float eps)
{
    if (x == PH_NONE) return x;
    expect_norm(p, name, ph_rank(p, x) == 4 ? ph_dim(p, x, 1) : last_dim(p, x));
    return ph_group_norm(p, x, name, groups, eps);
}

ph_val ph_layer_token_norm(struct ph_prog *p, ph_val x, const char *name, float eps)
{
    if (x == PH_NONE) return x;
    expect_norm(p, name, last_dim(p, x));
    return ph_layer_norm(p, x, name, eps);
}

ph_val ph_layer_embed(struct ph_prog *p, ph_val ids, const char *name, int entries, int c)
{
    if (ids == PH_NONE) return ids;
    expect(p, name, ".weight", 2, (int64_t[]){ entries, c });
    return ph_embed(p, ids, name);
}

ph_val ph_layer_param(struct ph_prog *p, const char *name, int rank, const int64_t *dim)
{
    ph_expect(p, name, rank, dim);
    return ph_param(p, name, rank, dim);
}

ph_val ph_layer_tap(struct ph_prog *p, const char *prefix, const char *name, ph_val x)
{
    if (!prefix || x == PH_NONE) return x;
    char full[768];
    const char *scope = ph_scope(p);
    snprintf(full, sizeof full, "%s%s%s%s", prefix, scope, *scope && name ? "." : "",
             name ? name : "");
    ph_tap(p, full, x);
    return x;
}
