// SPDX-License-Identifier: MIT
// The picture kernels at 1920x1080, one figure for each variant. The cases are those that
// test_kernels_variants checks; the "peer" is the plain C one, in the same run.
#include "bench.h"

#include "../tests/kernels/checkkern.h"

#include <stdio.h>
#include <stdlib.h>

static void run_case(void *arg)
{
    struct kern *k = arg;
    k->c->run(k);
}

// Bytes read and written in a second, or the time of one call.
static struct bench_result figure(const struct kern *k, const struct bench_timing *t)
{
    struct bench_result r = { .unit = "us", .n = t->n, .less = true };
    r.value = r.p50 = t->p50_ns / 1e3;
    r.p99 = t->p99_ns / 1e3;
    if (k->c->timed || t->p50_ns <= 0 || t->p99_ns <= 0) return r;
    r.unit = "GB/s";
    r.less = false;
    r.value = r.p50 = kern_bytes(k) / t->p50_ns;
    r.p99 = kern_bytes(k) / t->p99_ns;
    return r;
}

static void time_level(struct bench *b, struct kern *k, const struct kern_level *level,
                       double *c_ns)
{
    char name[96];
    snprintf(name, sizeof name, "kernels/%s-%s", k->c->name, level->name);
    if (!bench_begin(b, name)) return;
    ph_image_ops_limit(level->flags);
    struct bench_timing t = bench_time(b, run_case, k);
    struct bench_result r = figure(k, &t);
    if (!level->flags)
        *c_ns = t.p50_ns;
    else if (*c_ns > 0 && t.p50_ns > 0) {
        r.peer = "c";
        r.ratio = *c_ns / t.p50_ns;
    }
    bench_add(b, r);
}

void bench_kernels(struct bench *b)
{
    struct kern_level level[3];
    struct kern *k = calloc(1, sizeof *k);
    int levels = kern_levels(level);
    for (const struct kern_case *c = kern_cases; k && c->name && !bench_stopped(b); c++) {
        char prefix[96];
        double c_ns = 0;
        snprintf(prefix, sizeof prefix, "kernels/%s", c->name);
        if (!bench_wants(b, prefix)) continue;
        k->c = c;
        if (!bench_counting(b))
            kern_begin(k, c, c->width ? c->width : 1920, c->height ? c->height : 1080,
                       c->args[0], FILL_RANDOM, -1);
        for (int i = 0; i < levels; i++) time_level(b, k, &level[i], &c_ns);
        if (!bench_counting(b)) kern_end(k);
    }
    if (k) kern_free(k);
    free(k);
    ph_image_ops_limit(~0u);
}
