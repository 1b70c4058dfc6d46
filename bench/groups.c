// SPDX-License-Identifier: MIT
#include "bench.h"

const struct bench_group bench_groups[] = {
    { "runtime", "frames per second, overhead, hand-over, clock, memory", bench_runtime, 8 },
    { "kernels", "picture kernels at 1920x1080, each variant beside plain C", bench_kernels,
      0.5 },
    { "nn", "convolutions, products and attention of models, each kernel", bench_nn, 0.8 },
    { "models", "whole models of the true shapes, and the bundled ones: rate, load, memory",
      bench_models, 6 },
    { "ears", "live analysis of sound: cost, latency, beats told in time", bench_ears, 0.5 },
    { "cloud", "depth to points: every filter, and the messages", bench_cloud, 0.5 },
    { "audio", "a whole song analysed; beats and onsets against the truth", bench_audio, 0.5 },
    { "delivery", "the server: pictures to 1 … 32 viewers on loopback", bench_delivery, 5 },
    { 0 },
};
