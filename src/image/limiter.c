// SPDX-License-Identifier: MIT
#include "image/limiter.h"
#include "image/flashes.h"
#include "image/px.h"

#include <math.h>
#include <stdlib.h>

#define MEAN_S    0.4 // time constant of what goes out while it is held
#define RELEASE_S 0.5 // from there back to what comes in

struct ph_limiter {
    struct ph_flashes in, out, trial;
    struct ph_flash_grid grid, mixed;
    int64_t now_ns, last_pts_ns;
    bool begun;
    double share; // of the next picture; 1 = all
};

ph_err ph_limiter_create(struct ph_limiter **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return PH_ENOMEM;
    ph_flashes_begin(&(*out)->in);
    ph_flashes_begin(&(*out)->out);
    (*out)->share = 1;
    return PH_OK;
}

void ph_limiter_destroy(struct ph_limiter **l)
{
    free(*l);
    *l = NULL;
}

static double advance(struct ph_limiter *l, int64_t pts_ns)
{
    int64_t step_ns = l->begun && pts_ns > l->last_pts_ns ? pts_ns - l->last_pts_ns : 0;
    l->begun = true;
    l->last_pts_ns = pts_ns;
    l->now_ns += step_ns;
    return (double) step_ns * 1e-9;
}

static bool is_safe(struct ph_limiter *l, const struct ph_flash_grid *g)
{
    l->trial = l->out;
    return !ph_flashes_take(&l->trial, g, l->now_ns);
}

// The largest share of those halved that keeps what goes out safe; with none of it nothing changes.
static int find_safe(struct ph_limiter *l, const struct ph_picture *shown,
                     const struct ph_picture *next, int t)
{
    for (;; t /= 2) {
        if (t < 255) ph_flash_measure(&l->mixed, shown, next, t);
        if (is_safe(l, t < 255 ? &l->mixed : &l->grid) || t == 0) break;
    }
    l->out = l->trial;
    return t;
}

int ph_limiter_look(struct ph_limiter *l, const struct ph_picture *shown,
                    const struct ph_picture *next, int64_t pts_ns)
{
    ph_err ret = ph_flash_measure(&l->grid, next, NULL, 0);
    if (ret < 0) return ret;
    if (shown && !px_same_size(shown, next)) return PH_EINVAL;
    double dt_s = advance(l, pts_ns);
    bool unsafe = ph_flashes_take(&l->in, &l->grid, l->now_ns);
    if (unsafe)
        l->share = 1 - exp(-dt_s / MEAN_S);
    else
        l->share = fmin(l->share + dt_s / RELEASE_S, 1);
    int t = l->share < 1 ? (int) (l->share * 255) : 255;
    if (shown) return find_safe(l, shown, next, t);
    is_safe(l, &l->grid);
    l->out = l->trial;
    return 255;
}
