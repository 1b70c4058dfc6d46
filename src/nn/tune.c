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

// Kernels that compete for a layer, those with the best estimates.
struct rivals {
    const struct ph_kernel *fit[PH_TUNE_KERNELS], *expected;
    double speed[PH_TUNE_KERNELS], most; // GFLOP/s, as they say themselves; expected's
    int count;
};

// Of another set of kernels, or of other estimates, the answer may be another.
static unsigned names_hash(const struct rivals *r)
{
    char text[96];
    unsigned hash = 2166136261u; // FNV-1a
    for (int i = 0; i < r->count; i++) {
        snprintf(text, sizeof text, "%.60s %.0f;", r->fit[i]->name, r->speed[i]);
        for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char) *c) * 16777619u;
    }
    return hash;
}

// What the answer depends on.
static void describe(char *text, size_t size, const struct ph_plan *plan,
                     const struct ph_step *s, const struct rivals *r)
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
    n += snprintf(text + n, size - (size_t) n, " stride=%d act=%d add=%d of %08x on ",
                  s->conv.stride, s->act, s->residual != PH_NONE, names_hash(r));
    if (plan->device->backend->apart)
        snprintf(text + n, size - (size_t) n, "%s", ph_device_name(plan->device));
    else
        snprintf(text + n, size - (size_t) n, "%s, %s", ph_cpu_model(cpu, sizeof cpu),
                 ph_cpu_level());
}

static const struct ph_kernel *recall(const char *layer, const struct rivals *r, bool measured)
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
        for (int i = 0; i < r->count; i++)
            if (strcmp(r->fit[i]->name, line) == 0) found = r->fit[i];
    }
    fclose(file);
    return found;
}

// To be written to by nobody else until it is closed; NULL when it cannot be written.
static FILE *open_file(void)
{
    char path[4096];
    if (!file_path(path, sizeof path)) return NULL;
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "ae");
    if (file) flock(fileno(file), LOCK_EX);
    return file;
}

// False when there is no room for it.
static bool remember(FILE *file, const char *layer, const struct ph_kernel *kernel,
                     double speed)
{
    return file && fprintf(file, "%s\t%.1f\t%s\n", kernel->name, speed, layer) > 0 &&
           fflush(file) == 0;
}

// ------------------------------------------------------------------------------ measuring
#define LEARN_NS   (300 * PH_MS_NS) // of a plan
#define TRIAL_RUNS 6                // of a kernel, with its preparation

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

// The quickest of the rivals, and its speed; NULL when none runs.
static const struct ph_kernel *measure(struct ph_plan *plan, const struct ph_step *s,
                                       const struct rivals *r, double *speed)
{
    struct trial t;
    const struct ph_kernel *best = NULL;
    int64_t least = 0, of_expected = 0;
    bool begun = trial_begin(&t, plan, s);
    for (int i = 0; begun && i < r->count; i++) {
        int64_t ns = time_kernel(&t, r->fit[i]);
        if (r->fit[i] == r->expected) of_expected = ns;
        if (!ns || (best && ns >= least)) continue;
        best = r->fit[i];
        least = ns;
    }
    trial_end(&t);
    if (of_expected && of_expected < least + least / 10) {
        best = r->expected;
        least = of_expected;
    }
    if (best) *speed = s->flops / (double) least;
    return best;
}

// Not beside pictures that are being made, which it would hold up and be misled by, and nothing that
// takes longer than what is left of the time.
static bool may_learn(const struct ph_plan *plan, const struct ph_step *s,
                      const struct rivals *r)
{
    double takes = TRIAL_RUNS * r->count * s->flops / r->most;
    int64_t ran = plan->device->learner_ran_ns;
    return takes < (double) (LEARN_NS - plan->learnt_ns) &&
           (!ran || ph_now_ns() - ran > 1000 * PH_MS_NS);
}

// A layer that was never met: measured where that is allowed, else remembered as estimated, so that
// every plan from now on has the same kernel. Not where nothing can be remembered: plans would differ.
static const struct ph_kernel *learn(struct ph_plan *plan, const struct ph_step *s,
                                     const struct rivals *r, const char *layer)
{
    bool tune = plan->flags & PH_PLAN_TUNE;
    double speed = 0;
    FILE *file = open_file();
    const struct ph_kernel *known = recall(layer, r, tune); // by another process meanwhile
    if (!known && (tune || (file && may_learn(plan, s, r)))) {
        int64_t begin = ph_now_ns();
        known = measure(plan, s, r, &speed);
        plan->learnt_ns += ph_now_ns() - begin;
        remember(file, layer, known ? known : r->expected, speed);
    } else if (!known) {
        remember(file, layer, r->expected, 0);
    }
    if (file) fclose(file);
    return known ? known : r->expected;
}

// ------------------------------------------------------------------------------ choosing
// Only what is a quarter as quick as the best by its own account is worth a run.
static void find_rivals(struct rivals *r, const struct ph_plan *plan, const struct ph_step *s)
{
    int n = 0;
    for (const struct ph_kernel *const *k = plan->device->kernels; *k; k++) {
        if ((*k)->op != s->op) continue;
        double expected = (*k)->fits(s, plan->place, plan->precision);
        if (expected <= 0) continue;
        if (expected > r->most) {
            r->most = expected;
            r->expected = *k;
        }
        if (n == PH_TUNE_KERNELS) continue;
        r->fit[n] = *k;
        r->speed[n++] = expected;
    }
    for (int i = 0; i < n; i++) {
        if (r->speed[i] * 4 < r->most) continue;
        r->fit[r->count] = r->fit[i];
        r->speed[r->count++] = r->speed[i];
    }
}

const struct ph_kernel *ph_tune_choose(struct ph_plan *plan, const struct ph_step *s)
{
    struct rivals r = { .count = 0 };
    char layer[512];
    bool tune = plan->flags & PH_PLAN_TUNE;
    find_rivals(&r, plan, s);
    // Who asks for 4 bits asks for little memory: a quicker kernel with wider weights is no answer.
    if (r.count < 2 || s->flops <= 0 || plan->precision == PH_PRECISION_Q4) return r.expected;
    describe(layer, sizeof layer, plan, s, &r);
    const struct ph_kernel *known = recall(layer, &r, tune);
    if (!known && (tune || plan->flags & PH_PLAN_LEARN)) known = learn(plan, s, &r, layer);
    return known ? known : r.expected;
}
