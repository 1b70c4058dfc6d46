// SPDX-License-Identifier: MIT
// Runs a graph and counts the frames that reach its sink.
//   count_frames [GRAPH [SECONDS]]        the sink that is watched is called "live"
#include <phosphene/graph.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void count(void *opaque, struct ph_frame *frame)
{
    (void) frame; // borrowed; ph_frame_ref() keeps it
    atomic_fetch_add((_Atomic int *) opaque, 1);
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "pattern size=640x480 fps=30 -> live";
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    struct ph_fault fault;
    struct ph_graph *graph;
    if (ph_graph_create(&graph, text, ph_graph_params(.frames = 0), &fault) < 0) {
        fprintf(stderr, "%d:%d: %s\n", fault.line, fault.column, fault.message);
        return 1;
    }
    _Atomic int frames = 0;
    struct ph_subscriber subscriber = { .deliver = count, .opaque = (void *) &frames };
    ph_graph_subscribe(graph, "live", &subscriber);
    ph_graph_start(graph);
    ph_graph_wait(graph, (int64_t) (seconds * 1e9)); // or until it ends

    struct ph_graph_rates rates;
    ph_graph_get_rates(graph, &rates);
    printf("%d frames, %.1f a second, latency %.2f ms\n", atomic_load(&frames),
           rates.output_fps, rates.latency_p50_ms);
    ph_graph_unsubscribe(graph, &subscriber);
    ph_graph_destroy(&graph);
    return atomic_load(&frames) == 0;
}
