// SPDX-License-Identifier: MIT
#include "core/together.h"

#include <pthread.h>
#include <stdbool.h>

enum { MOST = 64 };

struct part {
    void (*job)(void *arg, int i);
    void *arg;
    int i;
    bool runs;
    pthread_t thread;
};

static void *run(void *opaque)
{
    struct part *p = opaque;
    p->job(p->arg, p->i);
    return NULL;
}

void ph_together(int count, void (*job)(void *arg, int i), void *arg)
{
    struct part part[MOST];
    if (count > MOST) count = MOST;
    for (int i = 1; i < count; i++) {
        part[i] = (struct part){ .job = job, .arg = arg, .i = i };
        part[i].runs = !pthread_create(&part[i].thread, NULL, run, &part[i]);
    }
    if (count > 0) job(arg, 0);
    for (int i = 1; i < count; i++) {
        if (part[i].runs)
            pthread_join(part[i].thread, NULL);
        else
            job(arg, i);
    }
}
