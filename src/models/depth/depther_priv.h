// SPDX-License-Identifier: MIT
// What a depther is made of; inside depth/ and for tests only.
#ifndef PH_MODELS_DEPTHER_PRIV_H
#define PH_MODELS_DEPTHER_PRIV_H

#include "models/depth/depther.h"

#include <pthread.h>

struct ph_depth_made {
    struct ph_plan *plan;
    struct ph_depth_size size;
};

struct ph_depther {
    struct ph_module *module;
    struct ph_device *device;
    enum ph_precision precision;
    char description[320];

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct ph_depth_size wish;  // waits to be made; 0 x 0 = none
    struct ph_depth_made ready; // waits to serve
    bool making;
    _Atomic bool quit;       // also read on the device's thread
    struct ph_stop stop;     // the opener's
    struct ph_fault problem; // of the last wish; code PH_OK = none

    struct ph_depth_made now; // the running thread's
    uint64_t landed;
};

#endif
