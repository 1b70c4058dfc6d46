// SPDX-License-Identifier: MIT
// What a precision costs in quality, measured on this machine: a UNet and an autoencoder, small and
// of seeded random weights, paint a picture from noise in four steps in f32 and in the precision
// (gate_paint.h), and its PSNR against f32 has a gate; so has the PSNR of a depth map. About a second; for `phosphene doctor`. Trained weights have theirs in tests/models.
#ifndef PH_MODELS_GATE_H
#define PH_MODELS_GATE_H

#include "nn/plan.h"

// Decibels that a picture must keep against f32.
#define PH_GATE_BF16_DB 40
#define PH_GATE_INT8_DB 30
#define PH_GATE_Q4_DB   25 // for weights that would not fit otherwise

struct ph_gate {
    enum ph_precision precision;
    double gate_db, psnr_db; // of a picture: from noise, four steps, decoded
    double rel_l2;           // of the UNet alone: |prediction - f32's| / |f32's|
    // Of a depth map of Depth-Anything's graph, whose range is what f32 gives; a gate of 0 judges
    // nothing: 4 bits are too few for depth, and the node has no such precision.
    double depth_gate_db, depth_db;
    double
        trained_db; // of a trained model's pictures, the worst; 0 = ph_gate_trained was not asked
    bool passed;
};
#define PH_GATES 3 // bf16, int8, q4

// Makes the models in a temporary folder, which is gone when it returns.            thread: any
ph_err ph_gates_run(struct ph_device *device, struct ph_gate gates[PH_GATES],
                    struct ph_fault *fault);

// Fills trained_db, and takes `passed` away below the gate: the pipeline of a folder paints from words in
// one step and in four, in f32 and in each gate's precision.                        thread: any
ph_err ph_gate_trained(const char *model, const char *device, struct ph_gate *gates, int count,
                       struct ph_fault *fault);

#endif
