// SPDX-License-Identifier: MIT
// How far another machine's clock is from ours, by messages that go there and back. The way there
// takes as long as the way back, or at least we believe so: of all exchanges of the last minute the
// one that took the shortest time errs least, by at most half of it (Mills, Internet Time
// Synchronization: The Network Time Protocol, 1991, clock filter). Plain data; the owner locks.
#ifndef PH_ROOM_CLOCK_OFFSET_H
#define PH_ROOM_CLOCK_OFFSET_H

#include <phosphene/common.h>

#define PH_OFFSET_KEPT 32

struct ph_offset { // zeroed = nothing known
    struct {
        int64_t rtt_ns, offset_ns, at_ns;
    } kept[PH_OFFSET_KEPT]; // a ring
    int count, next;
    int64_t now_ns; // of the newest
};

struct ph_offset_report {
    bool known;
    int64_t offset_ns; // ours = theirs + offset
    int64_t rtt_ns;
};

// sent, heard: their clock; server: ours, between the two; now: ours. An exchange that would have
// been heard before it was sent, or took longer than 10 s, is not believed.
void ph_offset_add(struct ph_offset *o, int64_t sent_ns, int64_t server_ns, int64_t heard_ns,
                   int64_t now_ns);
struct ph_offset_report ph_offset_get(const struct ph_offset *o);

#endif
