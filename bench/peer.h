// SPDX-License-Identifier: MIT
// GStreamer with as many elements as ours has nodes, run by gst-launch-1.0.
#ifndef PH_BENCH_PEER_H
#define PH_BENCH_PEER_H

#include "bench.h"

// "gstreamer 1.22"; NULL when gst-launch-1.0 is not installed.
const char *bench_gstreamer(void);
// Nanoseconds of processor time that one more `element` ("identity", "queue") costs each buffer:
// the slope over the number of buffers, `count` elements against none. 0 = it does not run.
double bench_gstreamer_element_ns(struct bench *b, const char *element, int count);

#endif
