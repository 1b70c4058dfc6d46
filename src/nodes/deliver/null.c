// SPDX-License-Identifier: MIT
// Takes anything and throws it away: the end of a graph that is measured.
#include <phosphene/node.h>

static ph_err null_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret == PH_OK) ph_frame_unref(&f);
    return ret;
}

const struct ph_node_info ph_node_null = {
    .name = "null",
    .group = "deliver",
    .help = "takes anything and throws it away",
    .in = PH_PORTS({ "in", PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS | PH_SIGNALS,
                     PH_PORT_MANY, .help = "anything" }),
    .process = null_process,
};
