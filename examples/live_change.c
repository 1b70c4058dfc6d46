// SPDX-License-Identifier: MIT
// Changes a parameter of a running graph and waits for the frame that shows it.
#define _POSIX_C_SOURCE 200809L // sem_timedwait, also with -std=c17
#include <phosphene/graph.h>

#include <semaphore.h>
#include <stdio.h>
#include <time.h>

struct change {
    sem_t done;
    uint64_t id, frame;
};

// On a lane's thread: take notes, never wait.
static void on_event(void *opaque, const struct ph_event *e)
{
    struct change *c = opaque;
    if (e->type != PH_EVENT_ACK || e->id != c->id) return;
    c->frame = e->frame;
    sem_post(&c->done);
}

int main(void)
{
    struct change change = { .id = 7 };
    struct ph_fault fault;
    struct ph_graph *graph;
    sem_init(&change.done, 0, 0);
    if (ph_graph_create(&graph, "picture: pattern kind=bars size=320x240 fps=60 -> null",
                        ph_graph_params(.event = on_event, .opaque = &change), &fault) < 0) {
        fprintf(stderr, "%s\n", fault.message);
        return 1;
    }
    ph_graph_start(graph);
    ph_graph_wait(graph, 200 * PH_MS_NS); // let it run a little

    // what is out of range is refused at once, by name
    if (ph_graph_set(graph, 1, "picture", "kind", "ballon", &fault) < 0)
        printf("refused: %s: %s\n", fault.field, fault.message);

    int64_t asked_ns = ph_now_ns();
    if (ph_graph_set(graph, change.id, "picture", "kind", "checkerboard", &fault) < 0) return 1;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 2;
    int late = sem_timedwait(&change.done, &limit);
    if (!late)
        printf("frame %llu shows it, %.1f ms later\n", (unsigned long long) change.frame,
               (double) (ph_now_ns() - asked_ns) / 1e6);
    ph_graph_destroy(&graph);
    sem_destroy(&change.done);
    return late != 0;
}
