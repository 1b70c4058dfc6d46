// SPDX-License-Identifier: MIT
#include "nn/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <phosphene/clock.h>

#include "core/cpu.h"

// ------------------------------------------------------------------------------ the file
// One line an answer: "<kernel>\t<GFLOP/s>\t<layer>\n"; the last one for a layer counts. 0 GFLOP/s: an
// estimate that nobody had time to measure.
static bool file_path(char *path, size_t size)
{
    const char *own = getenv("PH_KERNELS"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n;
    if (own)
        n = snprintf(path, size, "%s", own);
    else if (cache && *cache)
        n = snprintf(path, size, "%s/phosphene/kernels.txt", cache);
    else
        n = snprintf(path, size, "%s/.cache/phosphene/kernels.txt", home ? home : "");
    return n > 0 && (size_t) n < size && (own || *path == '/');
}

// What the answer depends on.
static void describe(char *text, size_t size, const struct ph_plan *plan,
                     const struct ph_step *s)
{
    const struct ph_place *x = &plan->place[s->in[0]], *y = &plan->place[s->out];
    char cpu[128];
    int n = snprintf(text, size, "%s %s %s->%s threads=%d", ph_op_name(s->op),
                     ph_precision_name(plan->precision), ph_dtype_name(x->dtype),
                     ph_dtype_name(y->dtype), plan->device->threads);
    for (int i = 0; i < x->rank; i++)
        n += snprintf(text + n, size - (size_t) n, "%c%lld", i ? 'x' : ' ',
                      (long long) x->dim[i]);
    int64_t w[4];
    if (s->weight) ph_step_window(s, w);
    for (int i = 0; s->weight && i < (s->op == PH_OP_CONV ? 4 : 2); i++)
        n += snprintf(text + n, size - (size_t) n, "%c%lld", i ? 'x' : ' ', (long long) w[i]);
    n += snprintf(text + n, size - (size_t) n, " stride=%d act=%d add=%d on ", s->conv.stride,
                  s->act, s->residual != PH_NONE);
    if (plan->device->backend->apart)
        snprintf(text + n, size - (size_t) n, "%s", ph_device_name(plan->device));
    else
        snprintf(text + n, size - (size_t) n, "%s, %s", ph_cpu_model(cpu, sizeof cpu),
                 ph_cpu_level());
}

static const struct ph_kernel *recall(const char *layer, const struct ph_kernel *const *fit,
                                      int n, bool measured)
{
    const struct ph_kernel *found = NULL;
    char path[4096], line[1024];
    FILE *file = file_path(path, sizeof path) ? fopen(path, "re") : NULL;
    if (!file) return NULL;
    while (fgets(line, sizeof line, file)) {
        char *speed = strchr(line, '\t'), *of = speed ? strchr(speed + 1, '\t') : NULL;
        if (!of) continue;
        *speed = '\0';
        of[strcspn(of, "\n")] = '\0';
        if (strcmp(of + 1, layer) != 0 || (measured && atof(speed + 1) <= 0)) continue;
        for (int i = 0; i < n; i++)
            if (strcmp(fit[i]->name, line) == 0) found = fit[i];
    }
    fclose(file);
    return found;
}

// False when it cannot be written: then it is measured again.
static bool remember(const char *layer, const struct ph_kernel *kernel, double speed)
{
    char path[4096];
    if (!file_path(path, sizeof path)) return false;
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "ae");
    if (!file) return false;
    fprintf(file, "%s\t%.1f\t%s\n", kernel->name, speed, layer);
    return fclose(file) == 0;
}

// ------------------------------------------------------------------------------ measuring
#define LEARN_NS (300 * PH_MS_NS) // of a plan

struct trial {
    struct ph_plan *plan;
    struct ph_step step;
    struct ph_place *place; // a copy whose values lie in `memory`
    void *memory[PH_STEP_READS + 1];
    size_t bytes[PH_STEP_READS + 1];
    ph_val values[PH_STEP_READS + 1];
    int count;
};

static void trial_end(struct trial *t)
{
    struct ph_device *d = t->plan->device;
    for (int i = 0; i < t->count; i++)
        if (t->memory[i]) d->backend->release(d, t->memory[i], t->bytes[i]);
    free(t->place);
}

static bool trial_begin(struct trial *t, struct ph_plan *plan, const struct ph_step *s)
{
    struct ph_device *d = plan->device;
    *t = (struct trial){ .plan = plan, .step = *s };
    t->place = malloc((size_t) plan->value_count * sizeof *t->place);
    if (!t->place) return false;
    memcpy(t->place, plan->place, (size_t) plan->value_count * sizeof *t->place);
    int n = ph_step_reads(s, t->values);
    t->values[n++] = s->out;
    for (; t->count < n; t->count++) {
        struct ph_place *p = &t->place[t->values[t->count]];
        size_t bytes = (size_t) p->count * ph_dtype_size(p->dtype);
        t->bytes[t->count] = bytes;
        p->data = t->memory[t->count] = d->backend->alloc(d, bytes);
        if (!p->data) return false;
    }
    return true;
}

static int64_t time_run(struct ph_device *d, const struct ph_kernel *kernel,
                        const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_backend *b = d->backend;
    int64_t begin = ph_now_ns();
    if (b->mark) b->mark(d, 0);
    kernel->run(step, run);
    if (b->mark) b->mark(d, 1);
    ph_err ret = b->finish(d);
    if (ret < 0) return INT64_MAX;
    return b->mark ? b->between(d, 0, 1) : ph_now_ns() - begin;
}

// Of a device that runs behind the caller's back a kernel is seen as a frame has it, without the
// gap before a launch: many runs as one recording. 0 where that cannot be.
static int64_t time_recorded(struct ph_device *d, const struct ph_kernel *kernel,
                             const struct ph_step *step, const struct ph_run *run)
{
    enum { TIMES = 20 };
    const struct ph_backend *b = d->backend;
    if (!b->record || !b->record(d)) return 0;
    for (int i = 0; i < TIMES; i++) kernel->run(step, run);
    void *recording = b->recorded(d);
    if (!recording) return 0;
    b->replay(d, recording);
    b->mark(d, 0);
    b->replay(d, recording);
    b->mark(d, 1);
    ph_err ret = b->finish(d);
    b->forget(d, recording);
    return ret < 0 ? INT64_MAX : b->between(d, 0, 1) / TIMES + 1;
}

// The best of a few runs; 0 when the kernel cannot be made or does not run.
static int64_t time_kernel(struct trial *t, const struct ph_kernel *kernel)
{
    struct ph_device *d = t->plan->device;
    struct ph_step step = t->step;
    struct ph_run run = { .place = t->place, .threads = d->threads };
    int64_t best = 0;
    step.kernel = kernel;
    if (kernel->prepare && kernel->prepare(d, &step, t->place, t->plan->precision, NULL) < 0)
        return 0;
    run.scratch = step.scratch ? d->backend->alloc(d, step.scratch) : NULL;
    if (run.scratch || !step.scratch) {
        kernel->run(&step, &run);                // the first touches its memory
        bool works = d->backend->finish(d) >= 0; // only what runs may be recorded
        best = works ? time_recorded(d, kernel, &step, &run) : INT64_MAX;
        for (int i = best ? 4 : 0; i < 4; i++) {
            int64_t ns = time_run(d, kernel, &step, &run);
            if (!best || ns < best) best = ns;
        }
    }
    if (run.scratch) d->backend->release(d, run.scratch, step.scratch);
    if (kernel->finish) kernel->finish(d, &step);
    return best == INT64_MAX ? 0 : best;
}

// expected: the one with the best estimate.
static const struct ph_kernel *measure(struct ph_plan *plan, const struct ph_step *s,
                                       const struct ph_kernel *const *fit, int n,
                                       const struct ph_kernel *expected, const char *layer)
{
    struct trial t;
    const struct ph_kernel *best = NULL;
    int64_t least = 0, of_expected = 0;
    bool begun = trial_begin(&t, plan, s);
    for (int i = 0; begun && i < n; i++) {
        int64_t ns = time_kernel(&t, fit[i]);
        if (fit[i] == expected) of_expected = ns;
        if (!ns || (best && ns >= least)) continue;
        best = fit[i];
        least = ns;
    }
    trial_end(&t);
    if (of_expected && of_expected < least + least / 10) {
        best = expected;
        least = of_expected;
    }
    if (best) remember(layer, best, s->flops / (double) least);
    return best;
}

// A layer that was never met: measured while there is time, else remembered as estimated, so that every
// plan from now on has the same kernel. Not where nothing can be remembered: plans would differ.
static const struct ph_kernel *learn(struct ph_plan *plan, const struct ph_step *s,
                                     const struct ph_kernel *const *fit, int n,
                                     const struct ph_kernel *expected, const char *layer)
{
    if (!remember(layer, expected, 0) || plan->learnt_ns > LEARN_NS) return expected;
    int64_t begin = ph_now_ns();
    const struct ph_kernel *best = measure(plan, s, fit, n, expected, layer);
    plan->learnt_ns += ph_now_ns() - begin;
    return best ? best : expected;
}

// ------------------------------------------------------------------------------ choosing
// Only what is a quarter as quick as the best by its own account is worth a run.
const struct ph_kernel *ph_tune_choose(struct ph_plan *plan, const struct ph_step *s)
{
    const struct ph_kernel *fit[PH_TUNE_KERNELS], *best = NULL;
    double speed[PH_TUNE_KERNELS], most = 0;
    int n = 0;
    for (const struct ph_kernel *const *k = plan->device->kernels; *k; k++) {
        if ((*k)->op != s->op) continue;
        double expected = (*k)->fits(s, plan->place, plan->precision);
        if (expected <= 0) continue;
        if (expected > most) {
            most = expected;
            best = *k;
        }
        if (n == PH_TUNE_KERNELS) continue;
        fit[n] = *k;
        speed[n++] = expected;
    }
    int worth = 0;
    for (int i = 0; i < n; i++)
        if (speed[i] * 4 >= most) fit[worth++] = fit[i];
    if (worth < 2 || s->flops <= 0) return best;
    char layer[512];
    describe(layer, sizeof layer, plan, s);
    bool tune = plan->flags & PH_PLAN_TUNE;
    const struct ph_kernel *known = recall(layer, fit, worth, tune);
    if (!known && tune) known = measure(plan, s, fit, worth, best, layer);
    if (!known && plan->flags & PH_PLAN_LEARN) known = learn(plan, s, fit, worth, best, layer);
    return known ? known : best;
}
