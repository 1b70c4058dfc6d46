// SPDX-License-Identifier: MIT
#include "room/clock_offset.h"

#include <phosphene/clock.h>

#define WINDOW  (60 * PH_SECOND_NS) // clocks drift apart
#define LONGEST (10 * PH_SECOND_NS)

void ph_offset_add(struct ph_offset *o, int64_t sent_ns, int64_t server_ns, int64_t heard_ns,
                   int64_t now_ns)
{
    int64_t rtt_ns = heard_ns - sent_ns;
    if (rtt_ns < 0 || rtt_ns > LONGEST || server_ns > now_ns || now_ns - server_ns > WINDOW)
        return;
    o->kept[o->next].rtt_ns = rtt_ns;
    o->kept[o->next].offset_ns = server_ns - (sent_ns + rtt_ns / 2);
    o->kept[o->next].at_ns = o->now_ns = now_ns;
    o->next = (o->next + 1) % PH_OFFSET_KEPT;
    if (o->count < PH_OFFSET_KEPT) o->count++;
}

struct ph_offset_report ph_offset_get(const struct ph_offset *o)
{
    struct ph_offset_report best = { 0 };
    for (int i = 0; i < o->count; i++) {
        if (o->now_ns - o->kept[i].at_ns > WINDOW) continue;
        if (best.known && o->kept[i].rtt_ns >= best.rtt_ns) continue;
        best = (struct ph_offset_report){ true, o->kept[i].offset_ns, o->kept[i].rtt_ns };
    }
    return best;
}
