// SPDX-License-Identifier: MIT
#include "nodes/guard.h"

#include "image/blend.h"
#include "image/limiter.h"
#include "image/resize.h"

void ph_guard_finish(struct ph_guard *g)
{
    ph_limiter_destroy(&g->limiter);
    ph_frame_unref(&g->shown);
}

// What went out before in the size of what comes now.
static ph_err fit_shown(struct ph_guard *g, const struct ph_picture *pic)
{
    struct ph_frame *fitted = NULL;
    if (!g->shown) return PH_OK;
    const struct ph_picture *was = &g->shown->picture;
    if (was->width == pic->width && was->height == pic->height) return PH_OK;
    ph_err ret = ph_frame_picture(NULL, PH_RGBA, pic->width, pic->height, &fitted);
    if (ret == PH_OK) ret = ph_image_resize(&fitted->picture, was, PH_AREA);
    ph_frame_unref(&g->shown);
    g->shown = fitted;
    return ret;
}

static ph_err mix(struct ph_guard *g, struct ph_node *n, int t, struct ph_frame **f)
{
    struct ph_frame *out = NULL;
    const struct ph_picture *pic = &(*f)->picture;
    ph_err ret = ph_node_picture(n, *f, PH_RGBA, pic->width, pic->height, &out);
    if (ret == PH_OK) ret = ph_image_fade(&out->picture, &g->shown->picture, pic, t);
    ph_frame_unref(f);
    *f = out;
    return ret;
}

ph_err ph_guard_pass(struct ph_guard *g, struct ph_node *n, bool on, struct ph_frame **f)
{
    ph_err ret = PH_OK;
    if (!on) {
        ph_guard_finish(g);
        ph_node_limiter(n, PH_LIMITER_OFF);
        return PH_OK;
    }
    if (!g->limiter) PH_TRY(ph_limiter_create(&g->limiter));
    PH_TRY(fit_shown(g, &(*f)->picture));
    int t = ph_limiter_look(g->limiter, g->shown ? &g->shown->picture : NULL, &(*f)->picture,
                            (*f)->pts_ns);
    if (t < 0) PH_TRY((ph_err) t);
    if (t < 255) PH_TRY(mix(g, n, t, f));
    ph_frame_unref(&g->shown);
    g->shown = ph_frame_ref(*f);
    ph_node_limiter(n, t < 255 ? PH_LIMITER_HOLDING : PH_LIMITER_ON);
    return PH_OK;
fail:
    ph_frame_unref(f);
    return ret;
}
