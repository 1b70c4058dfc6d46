// SPDX-License-Identifier: MIT
// Whole models of the true shapes with random weights: nominal GFLOP/s (two operations a
// multiply-add, over the time of the wall), milliseconds, loading, memory.
#include "lab.h"
#include "torch.h"

#include <phosphene/clock.h>

#include "core/cpu.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_MOST 256

// Bars are of bf16 and, in ms, of int8: 0 = none.
struct figure {
    const char *name;
    enum bench_model model;
    int part; // FRAME: encoder, UNet and decoder
    int side; // 0: text, which has none; the height, where there is a width
    double rate_bar, ms_bar, ms_bar_i8;
    int width;
    double share_bar; // percent of what the processors can do in bf16; 0 = not asked
};
#define FRAME (-1)
static const struct figure figures[] = {
    { "unet-sd-turbo-512", BENCH_SD_TURBO, 0, 512, 500, 1600, 1100 },
    { "unet-sd-turbo-256", BENCH_SD_TURBO, 0, 256, 400, 0, 0 },
    { "unet-sdxs-512", BENCH_SDXS, 0, 512, 500, 0, 0 },
    { "unet-sdxs-256", BENCH_SDXS, 0, 256, 400, 0, 0 },
    { "taesd-encode-512", BENCH_TAESD, 0, 512, 550, 0, 0 },
    { "taesd-encode-256", BENCH_TAESD, 0, 256, 400, 0, 0 },
    { "taesd-decode-512", BENCH_TAESD, 1, 512, 550, 260, 0 },
    { "taesd-decode-256", BENCH_TAESD, 1, 256, 400, 0, 0 },
    { "clip-l", BENCH_CLIP_L, 0, 0, 0, 0, 0 },
    { "sdxs-256-img2img", BENCH_SDXS, FRAME, 256, 0, 360, 240 },
    { "sd-turbo-512-img2img", BENCH_SD_TURBO, FRAME, 512, 0, 0, 0 },
    { "da2-small-168x224", BENCH_DA2_SMALL, 0, 168, 0, 40, 0, 224 },
    { "da2-small-252x252", BENCH_DA2_SMALL, 0, 252, 376, 66, 0, 252, 80 },
    { "da2-small-378x504", BENCH_DA2_SMALL, 0, 378, 376, 250, 0, 504, 80 },
    { "da2-small-518x518", BENCH_DA2_SMALL, 0, 518, 376, 0, 0, 518, 80 },
    { "da3-small-252x252", BENCH_DA3_SMALL, 0, 252, 0, 0, 0, 252 },
    { "da3-small-378x504", BENCH_DA3_SMALL, 0, 378, 0, 0, 0, 504 },
    { 0 },
};
static const enum ph_precision precisions[] = { PH_PRECISION_BF16, PH_PRECISION_I8,
                                                PH_PRECISION_F32 };

struct timing {
    double p50_ns, p99_ns, flops, joules; // of one run; 0 = not told
    double share, share_p99;              // percent of the peak; 0 = not asked
    uint64_t n;
};

// ------------------------------------------------------------------------------ time
// The first run touches the arena and does what depends on rare inputs; it does not count.
static ph_err time_chain(struct bench *b, struct bench_chain *c, struct timing *t)
{
    static double samples[SAMPLES_MOST];
    // A device that takes milliseconds has clocks that rise first.
    const char *device = bench_device(b);
    bool quick_device = device && strncmp(device, "cpu", 3) != 0 && !bench_quick(b);
    uint64_t least = bench_quick(b) ? 1
                     : quick_device ? 200
                                    : 5,
             most = quick_device ? 200 : 64;
    ph_err ret = bench_chain_run(c);
    for (int i = 1; quick_device && ret >= 0 && i < 50; i++) ret = bench_chain_run(c);
    bench_restart(b);
    struct ph_device *d = ph_plan_device(c->plan[0]);
    double used = ph_device_energy(d);
    int64_t begin = ph_now_ns(), end = begin + (int64_t) (bench_seconds(b, 3) * 1e9);
    t->n = 0;
    while (ret >= 0 && t->n < most && !bench_stopped(b) &&
           (t->n < least || ph_now_ns() < end)) {
        ret = bench_chain_run(c);
        int64_t now = ph_now_ns();
        samples[t->n++] = (double) (now - begin);
        begin = now;
    }
    t->p50_ns = bench_quantile(samples, t->n, 0.5);
    t->p99_ns = bench_quantile(samples, t->n, 0.99);
    t->flops = c->flops;
    t->joules = used < 0 || !t->n ? 0 : (ph_device_energy(d) - used) / (double) t->n;
    return ret < 0 ? ret : t->n ? PH_OK : PH_ESTOPPED;
}

// The peak at the same time: of both sides of the runs, for clocks rise and fall.
enum { PEAKS = 4 };

static ph_err time_share(struct bench_lab *lab, struct bench_chain *c, struct timing *t)
{
    double peak[2 * PEAKS];
    for (int i = 0; i < PEAKS; i++) peak[i] = bench_peak(lab->device, true);
    ph_err ret = time_chain(lab->b, c, t);
    for (int i = 0; i < PEAKS; i++) peak[PEAKS + i] = bench_peak(lab->device, true);
    double most = bench_quantile(peak, 2 * PEAKS, 1); // others can only lower it
    if (ret < 0 || most <= 0) return ret;
    t->share = 100 * t->flops / t->p50_ns / most;
    t->share_p99 = 100 * t->flops / t->p99_ns / most;
    return ret;
}

static const char *why(const struct bench_lab *lab, ph_err ret)
{
    return lab->fault.code == ret && *lab->fault.message ? lab->fault.message
                                                         : ph_strerror(ret);
}

static ph_err measure(struct bench_lab *lab, const struct figure *f,
                      enum ph_precision precision, struct timing *t)
{
    struct bench_chain c;
    int side = f->side ? f->side : 512;
    ph_err ret = f->part == FRAME
                     ? bench_chain_frame(lab, f->model, side, precision, &c)
                     : bench_chain_sized(lab, f->model, f->part, side,
                                         f->width ? f->width : side, precision, &c);
    if (ret < 0) return ret;
    bool share = f->share_bar > 0 && precision == PH_PRECISION_BF16 && !bench_device(lab->b);
    ret = share ? time_share(lab, &c, t) : time_chain(lab->b, &c, t);
    bench_chain_free(&c);
    return ret;
}

// ------------------------------------------------------------------------------ figures
static struct bench_result rate_result(const struct figure *f, enum ph_precision precision,
                                       const struct timing *t)
{
    return (struct bench_result){ .value = t->flops / t->p50_ns,
                                  .unit = "GFLOP/s",
                                  .p50 = t->flops / t->p50_ns,
                                  .p99 = t->flops / t->p99_ns,
                                  .n = t->n,
                                  .bar = precision == PH_PRECISION_BF16 ? f->rate_bar : 0 };
}

static struct bench_result time_result(const struct figure *f, enum ph_precision precision,
                                       const struct timing *t)
{
    return (struct bench_result){ .value = t->p50_ns / 1e6,
                                  .unit = "ms",
                                  .p50 = t->p50_ns / 1e6,
                                  .p99 = t->p99_ns / 1e6,
                                  .n = t->n,
                                  .less = true,
                                  .bar = precision == PH_PRECISION_BF16 ? f->ms_bar
                                         : precision == PH_PRECISION_I8 ? f->ms_bar_i8
                                                                        : 0 };
}

// The whole device's, so that of others on it counts, and that of doing nothing.
static struct bench_result energy_result(const struct timing *t)
{
    return (struct bench_result){ .value = t->joules, .unit = "J", .n = t->n, .less = true };
}

static double torch_ms(struct bench_lab *lab, const struct figure *f,
                       enum ph_precision precision)
{
    return bench_torch_ms(lab->b, f->model, f->part, f->side, precision, ph_cpu_count());
}

// PyTorch on the same model, size and threads, right after ours; beside bf16 the faster of its f32
// and bf16.
static void add_peer(struct bench_lab *lab, const struct figure *f, enum ph_precision precision,
                     struct bench_result *r)
{
    if (precision == PH_PRECISION_I8 || f->part == FRAME || f->width || !bench_torch()) return;
    double ms = torch_ms(lab, f, PH_PRECISION_F32);
    double narrow = precision == PH_PRECISION_BF16 ? torch_ms(lab, f, precision) : 0;
    if (narrow > 0 && (ms <= 0 || narrow < ms)) ms = narrow;
    if (ms <= 0) return;
    r->peer = bench_torch();
    r->ratio = ms / r->value;
}

// How much of what the processors can do.
static void bench_share(struct bench_lab *lab, const struct figure *f, const char *rate,
                        struct timing *t, bool *noisy)
{
    char name[112];
    snprintf(name, sizeof name, "%s-of-peak", rate);
    if (!bench_begin(lab->b, name)) return;
    ph_err ret = t->n ? PH_OK : measure(lab, f, PH_PRECISION_BF16, t);
    if (ret < 0 || t->share <= 0)
        return bench_skip(lab->b, name, "%s", ret < 0 ? why(lab, ret) : "no peak is known");
    *noisy = bench_add(lab->b, (struct bench_result){ .value = t->share,
                                                      .unit = "%",
                                                      .p50 = t->share,
                                                      .p99 = t->share_p99,
                                                      .n = t->n,
                                                      .noisy = *noisy,
                                                      .bar = f->share_bar });
}

static void bench_figure(struct bench_lab *lab, const struct figure *f,
                         enum ph_precision precision)
{
    char rate[96], ms[104];
    struct timing t = { 0 };
    struct bench *b = lab->b;
    bool noisy = false;
    snprintf(rate, sizeof rate, "models/%s-%s", f->name, ph_precision_name(precision));
    snprintf(ms, sizeof ms, "%s-ms", rate);
    if (bench_begin(b, rate)) {
        ph_err ret = measure(lab, f, precision, &t);
        if (ret < 0) return bench_skip(b, rate, "%s", why(lab, ret));
        noisy = bench_add(b, rate_result(f, precision, &t));
    }
    if (f->share_bar > 0 && precision == PH_PRECISION_BF16 && !bench_device(b))
        bench_share(lab, f, rate, &t, &noisy);
    if (!bench_begin(b, ms)) return;
    ph_err ret = t.n ? PH_OK : measure(lab, f, precision, &t);
    if (ret < 0) return bench_skip(b, ms, "%s", why(lab, ret));
    struct bench_result r = time_result(f, precision, &t);
    r.noisy = noisy;
    add_peer(lab, f, precision, &r);
    bench_add(b, r);
    snprintf(ms, sizeof ms, "%s-joules", rate);
    if (t.joules > 0 && bench_begin(b, ms)) bench_add(b, energy_result(&t));
}

// ------------------------------------------------------------------------------ loading
// A system short of memory may have dropped what was written a moment ago.
static void warm_page_cache(const struct ph_module *m)
{
    static char bytes[1 << 20];
    FILE *f = fopen(ph_weights_at(m->weights[0], 0)->file, "rbe");
    while (f && fread(bytes, 1, sizeof bytes, f) == sizeof bytes) {}
    if (f) fclose(f);
}

// From the page cache to a plan that could run: headers, tensors against the config, packing.
static void bench_load(struct bench_lab *lab)
{
    const char *name = "models/load-unet-sd-turbo-bf16";
    struct bench *b = lab->b;
    double samples[3];
    struct ph_module *m;
    int n = 0;
    if (!bench_begin(b, name)) return;
    ph_err ret = bench_lab_module(lab, BENCH_SD_TURBO, &m); // writes it
    for (int rounds = bench_quick(b) ? 1 : 3; n < rounds && ret >= 0 && !bench_stopped(b);
         n++) {
        struct bench_chain c;
        ret = bench_lab_module(lab, BENCH_SD_TURBO, &m);
        if (ret >= 0) warm_page_cache(m);
        bench_lab_drop(lab, BENCH_SD_TURBO);
        if (ret < 0) break;
        if (!n) bench_restart(b);
        int64_t begin = ph_now_ns();
        ret = bench_chain_part(lab, BENCH_SD_TURBO, 0, 512, PH_PRECISION_BF16, &c);
        samples[n] = (double) (ph_now_ns() - begin) / 1e6;
        bench_chain_free(&c);
    }
    if (ret < 0 || !n) return bench_skip(b, name, "%s", why(lab, ret));
    double p50 = bench_quantile(samples, (size_t) n, 0.5);
    bench_add(b, (struct bench_result){ .value = p50,
                                        .unit = "ms",
                                        .p50 = p50,
                                        .p99 = samples[n - 1],
                                        .n = (uint64_t) n,
                                        .bar = 1500,
                                        .less = true });
}

// ------------------------------------------------------------------------------ memory
// A line of /proc/self/status in bytes.
static double status_bytes(const char *key)
{
    char line[256];
    double kb = 0;
    size_t n = strlen(key);
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, n)) kb = atof(line + n + 1);
    if (f) fclose(f);
    return kb * 1024;
}

static bool reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    bool ok = f && fputs("5", f) >= 0;
    if (f && fclose(f)) ok = false;
    return ok;
}

// The most that loading and painting at 512x512 hold at any time, above the packed weights: what
// this process grew by, so threads, tables and the pages of the file that are being read count.
static void bench_peak_memory(struct bench_lab *lab)
{
    const char *name = "models/memory-sd-turbo-512-bf16";
    struct bench *b = lab->b;
    struct bench_chain c;
    struct ph_module *m;
    struct ph_plan_stats stats;
    if (!bench_begin(b, name)) return;
    ph_err ret = bench_lab_module(lab, BENCH_SD_TURBO, &m);
    if (ret < 0) return bench_skip(b, name, "%s", why(lab, ret));
    for (int i = 0; i < BENCH_MODELS; i++) bench_lab_drop(lab, (enum bench_model) i);
    malloc_trim(0);
    double before = status_bytes("VmRSS:");
    if (!reset_peak()) return bench_skip(b, name, "/proc/self/clear_refs cannot be written");
    ret = bench_chain_frame(lab, BENCH_SD_TURBO, 512, PH_PRECISION_BF16, &c);
    if (ret < 0) return bench_skip(b, name, "%s", why(lab, ret));
    ret = bench_chain_run(&c);
    ph_plan_stats(c.plan[1], &stats);
    double peak = status_bytes("VmHWM:") - before - (double) stats.packed_bytes;
    bench_chain_free(&c);
    if (ret < 0) return bench_skip(b, name, "%s", ph_strerror(ret));
    bench_add(b, (struct bench_result){
                     .value = peak / 1e6, .unit = "MB", .bar = 350, .less = true });
}

// ------------------------------------------------------------------------------ the group
static void say_peer(struct bench *b)
{
    if (bench_torch() || bench_counting(b)) return;
    bench_skip(b, "models/… beside PyTorch", "no python3 has torch: python3-torch");
}

void bench_models(struct bench *b)
{
    struct bench_lab lab = { 0 };
    if (bench_lab_open(&lab, b) < 0) return bench_skip(b, "models", "%s", lab.fault.message);
    say_peer(b);
    bench_load(&lab);
    bench_peak_memory(&lab);
    for (const struct figure *f = figures; f->name && !bench_stopped(b); f++)
        for (int p = 0; p < 3 && !bench_stopped(b); p++) bench_figure(&lab, f, precisions[p]);
    bench_depth(&lab);
    bench_spark(b);
    bench_quality(&lab);
    bench_lab_close(&lab);
}
