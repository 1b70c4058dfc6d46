// SPDX-License-Identifier: MIT
// What a precision costs in quality, measured on this machine: an autoencoder and a UNet, small and
// of seeded random weights, paint a picture in f32 and in the precision, and its PSNR against f32
// has a gate; so has the PSNR of a depth map. About a second; for `phosphene doctor`. Trained weights have theirs in tests/models.
#ifndef PH_MODELS_GATE_H
#define PH_MODELS_GATE_H

#include "nn/plan.h"

// Decibels that a picture must keep against f32.
#define PH_GATE_BF16_DB 40
#define PH_GATE_INT8_DB 30
#define PH_GATE_Q4_DB   25 // for weights that would not fit otherwise

struct ph_gate {
    enum ph_precision precision;
    double gate_db, psnr_db; // of a picture: encoded, changed by the UNet, decoded
    double rel_l2;           // of the UNet alone: |prediction - f32's| / |f32's|
    // Of a depth map of Depth-Anything's graph, whose range is what f32 gives; a gate of 0 judges
    // nothing: 4 bits are too few for depth, and the node has no such precision.
    double depth_gate_db, depth_db;
    bool passed;
};
#define PH_GATES 3 // bf16, int8, q4

// Makes the models in a temporary folder, which is gone when it returns.            thread: any
ph_err ph_gates_run(struct ph_device *device, struct ph_gate gates[PH_GATES],
                    struct ph_fault *fault);

#endif
