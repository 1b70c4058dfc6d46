// SPDX-License-Identifier: MIT
// Passes frames on after some pretended work, so that a slow step can be tried without one.
#include <phosphene/node.h>

struct delay {
    float ms;
};

static ph_err delay_process(struct ph_node *n)
{
    const struct delay *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ph_node_work(n, (int64_t) ((double) p->ms * PH_MS_NS));
    return ph_node_write(n, 0, f);
}

#define ANYTHING (PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS | PH_SIGNALS)

const struct ph_node_info ph_node_delay = {
    .name = "delay",
    .group = "prepare",
    .help = "takes its time with each frame, as a slow step would",
    .in = PH_PORTS({ "in", ANYTHING, .help = "anything" }),
    .out = PH_PORTS({ "out", ANYTHING, .help = "the same frames" }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct delay, ms, 0, 10000, .def = "10",
                                                  .unit = "ms", .flags = PH_PARAM_FIRST,
                                                  .help = "how long each frame takes"),
                                         { 0 } },
    .priv_size = sizeof(struct delay),
    .process = delay_process,
};
