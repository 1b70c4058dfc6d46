// SPDX-License-Identifier: MIT
// Which kernel is quickest for a layer on this machine: measured once, kept in a text file that
// may be read, edited and deleted ($XDG_CACHE_HOME/phosphene/kernels.txt, else below ~/.cache;
// PH_KERNELS names another, "" none). Without a measurement the kernels' own estimates decide.
#ifndef PH_NN_TUNE_H
#define PH_NN_TUNE_H

#include "nn/plan_priv.h"

enum { PH_TUNE_KERNELS = 8 }; // that compete for a step, at most

// The kernel for a step, or NULL when none fits. With PH_PLAN_TUNE or PH_PLAN_LEARN, on the device's
// thread, those that fit are run on blank values of the true shapes when the file has no answer. One
// that is less than a tenth quicker than the one with the best estimate does not replace it.
const struct ph_kernel *ph_tune_choose(struct ph_plan *plan, const struct ph_step *step);

#endif
