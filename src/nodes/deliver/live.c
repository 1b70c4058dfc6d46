// SPDX-License-Identifier: MIT
// Hands what arrives to everybody who subscribed: a room's viewers. Several links may arrive here
// (JPEG and H.264 of one picture); what nobody wants is asked of no encoder.
#include <phosphene/node.h>

#include "nodes/guard.h"

struct live {
    bool limiter;
    struct ph_guard guard;
};

static bool is_picture(const struct ph_frame *f)
{
    return f->kind == PH_PICTURE && f->mem == PH_HOST && f->picture.format == PH_RGBA;
}

static ph_err live_process(struct ph_node *n)
{
    struct live *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    // packets have passed the limiter of their encoder
    if (is_picture(f) && (ret = ph_guard_pass(&p->guard, n, p->limiter, &f)) < 0) return ret;
    ph_node_publish(n, f);
    ph_frame_unref(&f);
    return PH_OK;
}

static bool live_wants(struct ph_node *n, enum ph_codec codec)
{
    return ph_node_subscribers(n, codec) > 0;
}

static void live_close(struct ph_node *n)
{
    struct live *p = ph_priv(n);
    ph_guard_finish(&p->guard);
}

static const struct ph_param params[] = { PH_GUARD_PARAM(struct live), { 0 } };

const struct ph_node_info ph_node_live = {
    .name = "live",
    .group = "deliver",
    .help = "shows the stream to the viewers of the room",
    .in = PH_PORTS({ "in", PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS, PH_PORT_MANY,
                     .help = "packets of any codec; browsers need jpeg or video" }),
    .params = params,
    .priv_size = sizeof(struct live),
    .close = live_close,
    .process = live_process,
    .wants = live_wants,
};
