// SPDX-License-Identifier: MIT
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

struct bench_seen bench_seen;

ph_err bench_seen_reset(size_t cap)
{
    free(bench_seen.took_ns);
    free(bench_seen.sent_ns);
    free(bench_seen.index);
    memset(&bench_seen, 0, sizeof bench_seen);
    if (!cap) return PH_OK;
    // written once, so that no page fault falls into a measurement
    bench_seen.took_ns = malloc(cap * sizeof *bench_seen.took_ns);
    bench_seen.sent_ns = malloc(cap * sizeof *bench_seen.sent_ns);
    bench_seen.index = malloc(cap * sizeof *bench_seen.index);
    if (!bench_seen.took_ns || !bench_seen.sent_ns || !bench_seen.index) return PH_ENOMEM;
    memset(bench_seen.took_ns, 1, cap * sizeof *bench_seen.took_ns);
    memset(bench_seen.sent_ns, 1, cap * sizeof *bench_seen.sent_ns);
    memset(bench_seen.index, 1, cap * sizeof *bench_seen.index);
    bench_seen.cap = cap;
    return PH_OK;
}

// --- bench_source: small pictures that carry the moment they were written

struct source {
    int64_t hz;
    struct ph_size size;
};

static ph_err source_apply(struct ph_node *n)
{
    const struct source *p = ph_priv(n);
    ph_node_set_rate(n, p->hz, 1);
    return PH_OK;
}

static ph_err source_process(struct ph_node *n)
{
    const struct source *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_picture(n, NULL, PH_RGBA, p->size.width, p->size.height, &f);
    if (ret < 0) return ret;
    f->capture_ns = ph_now_ns();
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info bench_source = {
    .name = "bench_source",
    .group = "source",
    .help = "empty pictures",
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_INT(struct source, hz, 0, 1000000),
                                         PH_SIZE(struct source, size, 1, 16384, .def = "16x16"),
                                         { 0 } },
    .priv_size = sizeof(struct source),
    .apply = source_apply,
    .process = source_process,
};

// --- bench_pass, bench_work

static ph_err pass_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    return ret == PH_OK ? ph_node_write(n, 0, f) : ret;
}

static const struct ph_node_info bench_pass = {
    .name = "bench_pass",
    .group = "prepare",
    .help = "nothing",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .process = pass_process,
};

struct work {
    float ms;
};

static ph_err work_process(struct ph_node *n)
{
    const struct work *p = ph_priv(n);
    int64_t end = ph_now_ns() + (int64_t) ((double) p->ms * 1e6);
    while (ph_now_ns() < end) {}
    return pass_process(n);
}

static const struct ph_node_info bench_work = {
    .name = "bench_work",
    .group = "prepare",
    .help = "burns the processor",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct work, ms, 0, 1000), { 0 } },
    .priv_size = sizeof(struct work),
    .process = work_process,
};

// --- bench_sink

static ph_err sink_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    size_t i = atomic_load_explicit(&bench_seen.count, memory_order_relaxed);
    if (i < bench_seen.cap) {
        bench_seen.took_ns[i] = ph_now_ns();
        bench_seen.sent_ns[i] = f->capture_ns;
        bench_seen.index[i] = f->id;
        atomic_store_explicit(&bench_seen.count, i + 1, memory_order_release);
    }
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info bench_sink = {
    .name = "bench_sink",
    .group = "deliver",
    .help = "takes down when frames arrive",
    .in = PH_PORTS({ "in", PH_PICTURE | PH_PACKET }),
    .process = sink_process,
};

const struct ph_node_info *const *bench_nodes(void)
{
    enum { MAX = 256 };
    static const struct ph_node_info *all[MAX];
    int n = 0;
    for (const struct ph_node_info *const *i = ph_nodes(); *i && n < MAX - 5; i++)
        all[n++] = *i;
    all[n++] = &bench_source;
    all[n++] = &bench_pass;
    all[n++] = &bench_work;
    all[n++] = &bench_sink;
    all[n] = NULL;
    return all;
}
