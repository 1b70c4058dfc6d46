// SPDX-License-Identifier: MIT
#include "room/worker.h"

#include <phosphene/clock.h>

#include <stdio.h>
#include <time.h>

// Waits for something to do; takes all jobs there are. false = the end.
static bool wait_for_jobs(struct ph_worker *w, int64_t until_ns, struct ph_job **jobs)
{
    struct timespec t = { until_ns / PH_SECOND_NS, until_ns % PH_SECOND_NS };
    int late = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->jobs && !w->poked && !w->ending && !late)
        late = until_ns == PH_NEVER ? pthread_cond_wait(&w->wake, &w->lock)
                                    : pthread_cond_timedwait(&w->wake, &w->lock, &t);
    *jobs = w->jobs;
    bool more = w->jobs || !w->ending;
    w->jobs = NULL;
    w->tail = &w->jobs;
    w->bytes = 0;
    w->poked = false;
    pthread_mutex_unlock(&w->lock);
    return more;
}

static void *worker_main(void *opaque)
{
    struct ph_worker *w = opaque;
    struct ph_job *jobs;
    int64_t due_ns = w->tick ? 0 : PH_NEVER;
    pthread_setname_np(pthread_self(), w->name);
    while (wait_for_jobs(w, due_ns, &jobs)) {
        for (struct ph_job *next; jobs; jobs = next) {
            next = jobs->next;
            jobs->run(jobs);
        }
        if (w->tick) due_ns = w->tick(w->opaque, ph_now_ns());
    }
    w->ended(w->opaque);
    return NULL;
}

static bool start_thread(struct ph_worker *w)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool ok = pthread_create(&thread, &attr, worker_main, w) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

ph_err ph_worker_start(struct ph_worker *w, const char *name,
                       int64_t (*tick)(void *opaque, int64_t now_ns),
                       void (*ended)(void *opaque), void *opaque)
{
    pthread_condattr_t mono;
    *w = (struct ph_worker){ .tick = tick, .ended = ended, .opaque = opaque };
    snprintf(w->name, sizeof w->name, "%s", name);
    w->tail = &w->jobs;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &mono);
    pthread_condattr_destroy(&mono);
    if (start_thread(w)) return PH_OK;
    ph_worker_finish(w);
    return PH_ENOMEM;
}

ph_err ph_worker_post(struct ph_worker *w, struct ph_job *job)
{
    ph_err ret = PH_OK;
    job->next = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->ending)
        ret = PH_ESTOPPED;
    else if (w->bytes + job->bytes > PH_WORKER_BYTES)
        ret = PH_ELIMIT;
    if (ret == PH_OK) {
        *w->tail = job;
        w->tail = &job->next;
        w->bytes += job->bytes;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return ret;
}

void ph_worker_poke(struct ph_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void ph_worker_end(struct ph_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void ph_worker_finish(struct ph_worker *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
}
