// SPDX-License-Identifier: MIT
// Small nodes for the tests of the runtime: they carry numbers instead of pictures.
#ifndef PH_TEST_GRAPH_NODES_H
#define PH_TEST_GRAPH_NODES_H

#include <phosphene/graph.h>

#include <stdatomic.h>

// What a sink has seen, for all sinks of a test in order of arrival.
struct seen {
    uint64_t id;
    uint32_t epoch;
    int64_t pts_ns, at_ns;
    float value;
    char node[32];
};
extern struct seen test_seen[1 << 17];
extern _Atomic int test_seen_count;
extern _Atomic int test_seen_by[256]; // by the first letter of the sink's name
// Until each of the sinks whose names begin with these letters has seen so many frames more.
void test_flow(const char *letters, int frames);
extern _Atomic int test_opened, test_closed, test_cut_calls, test_cut_failures;

// count fps= value= fail_every= : a source of 1x1 depth pictures that carry `value`
// pass                           : hands its input on          (kinds: any)
// thin n=                        : hands every n-th frame on
// work ms=                       : takes so long
// add amount= whole= twice= kind= : adds to the value: (amount + whole + 1000 kind), or twice that
// pair a, b (held) ms=           : value = 1000 * a + b's id; takes so long
// twin                           : hands each frame on twice
// cutter fail=                   : counts cuts, fails the first `fail` of them
// sink                           : records what it sees
// few frames=                    : a sink that has enough after so many
// push                           : what ph_graph_push brings
// gpu, gpusink, upload, download : ports in device memory
// brief n=                       : a source of 100 per second that ends after n
// own                            : a source with due() and an external port
// asker                          : a thread of its own asks about the graph all the time
// meter names=                   : the value is a number made of those metrics' texts
// encoder                        : passes on what somebody wants
// drums fps= bpm=                : a source of signals: level (the time in s), kick (1 where a beat
//                                  begins, else 0), steps (its tick); and of a beat from 0
// tell                           : signals of what comes in: its number
// stream                         : a source of packets of which every tenth is a key
extern const struct ph_node_info *const test_nodes[];

#endif
