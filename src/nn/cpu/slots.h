// SPDX-License-Identifier: MIT
// Work in units that need scratch memory of their own while they run. Units are handed out one by
// one; which thread runs a unit changes nothing, so results never depend on the number of threads.
#ifndef PH_NN_CPU_SLOTS_H
#define PH_NN_CPU_SLOTS_H

#include "nn/backend.h"

// step->scratch for a piece of `each` bytes (rounded up to 64) for every thread.
size_t ph_slots_bytes(const struct ph_device *device, size_t each);
// fn(arg, unit, piece) for every unit; no two at once share a piece. The step was prepared with
// ph_slots_bytes(each); each 0 = without pieces.                        thread: the device's
void ph_slots_run(const struct ph_run *run, int64_t units, size_t each,
                  void (*fn)(void *arg, int64_t unit, void *piece), void *arg);

#endif
