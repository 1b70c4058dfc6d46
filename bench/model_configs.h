// SPDX-License-Identifier: MIT
// The configs of the models that are measured, as their folders have them: the true shapes.
#ifndef PH_BENCH_MODEL_CONFIGS_H
#define PH_BENCH_MODEL_CONFIGS_H

enum bench_model {
    BENCH_SD_TURBO,
    BENCH_SDXS,
    BENCH_TAESD,
    BENCH_CLIP_L,
    BENCH_DA2_SMALL,
    BENCH_DA3_SMALL,
    BENCH_MODELS
};

struct bench_model_config {
    const char *name, *json;
};
extern const struct bench_model_config bench_model_configs[BENCH_MODELS];

#endif
