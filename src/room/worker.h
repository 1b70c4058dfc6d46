// SPDX-License-Identifier: MIT
// A thread that does one job after the other, for what would make the I/O thread or a lane wait:
// everything that controls a graph, and probing devices.
#ifndef PH_ROOM_WORKER_H
#define PH_ROOM_WORKER_H

#include <phosphene/common.h>

#include <pthread.h>

#define PH_WORKER_BYTES (8 << 20) // of jobs that may wait: a slow edit must not fill the memory

struct ph_job {
    struct ph_job *next;
    size_t bytes;                    // what waits in it; counted
    void (*run)(struct ph_job *job); // takes the job; thread: the worker's
};

struct ph_worker {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    char name[16]; // of the thread
    struct ph_job *jobs, **tail;
    size_t bytes;
    bool poked, ending;
    // Called after jobs, when poked and when the moment it returned last has come (PH_NEVER: not).
    int64_t (*tick)(void *opaque, int64_t now_ns); // thread: the worker's; may be NULL
    void (*ended)(void *opaque); // the thread's last act: nobody has to join it
    void *opaque;
};

// name: of the thread, up to 15 bytes. tick may be NULL. When it fails, nothing is left and `ended`
// is not called.                                                                   thread: any
ph_err ph_worker_start(struct ph_worker *w, const char *name,
                       int64_t (*tick)(void *opaque, int64_t now_ns),
                       void (*ended)(void *opaque), void *opaque);
// Takes the job when it returns PH_OK. PH_ELIMIT: too much waits; PH_ESTOPPED: it is ending.
ph_err ph_worker_post(struct ph_worker *w, struct ph_job *job); // thread: any
void ph_worker_poke(struct ph_worker *w);                       // thread: any
// Takes no more jobs; the thread ends once those that wait are done.               thread: any
void ph_worker_end(struct ph_worker *w);
// Frees what an ended worker has; before that it may still be poked and posted to.
void ph_worker_finish(struct ph_worker *w);

#endif
