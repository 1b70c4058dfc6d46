// SPDX-License-Identifier: MIT
// Hands what arrives to everybody who subscribed: a room's viewers. Several links may arrive here
// (JPEG and H.264 of one picture); what nobody wants is asked of no encoder.
#include <phosphene/node.h>

static ph_err live_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ph_node_publish(n, f);
    ph_frame_unref(&f);
    return PH_OK;
}

static bool live_wants(struct ph_node *n, enum ph_codec codec)
{
    return ph_node_subscribers(n, codec) > 0;
}

const struct ph_node_info ph_node_live = {
    .name = "live",
    .group = "deliver",
    .help = "shows the stream to the viewers of the room",
    .in = PH_PORTS({ "in", PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS, PH_PORT_MANY,
                     .help = "packets of any codec; browsers need jpeg or video" }),
    .process = live_process,
    .wants = live_wants,
};
