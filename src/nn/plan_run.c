// SPDX-License-Identifier: MIT
// Running a plan, and what goes in and out of it. Nothing here allocates.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <phosphene/clock.h>

#include "nn/plan_priv.h"

const struct ph_port *ph_plan_port(const struct ph_plan *plan, const char *name)
{
    for (int i = 0; i < plan->port_count; i++)
        if (strcmp(plan->ports[i].name, name) == 0) return &plan->ports[i];
    return NULL;
}

// ------------------------------------------------------------------------------ in and out
// Ports hold f32, i32 or u8. Pictures of f32 change between channels first and channels last.
static bool is_picture(const struct ph_place *p)
{
    return p->rank == 4 && p->dtype == PH_F32;
}

// dst [n][k][c] = src [n][c][k]
static void transpose(float *dst, const float *src, int64_t n, int64_t c, int64_t k)
{
    for (int64_t i = 0; i < n; i++, src += c * k, dst += c * k)
        for (int64_t at = 0; at < k; at++)
            for (int64_t channel = 0; channel < c; channel++)
                dst[at * c + channel] = src[channel * k + at];
}

ph_err ph_plan_write(struct ph_plan *plan, const char *name, const struct ph_tensor *t)
{
    const struct ph_port *port = ph_plan_port(plan, name);
    if (!port || (port->kind != PH_PORT_INPUT && port->kind != PH_PORT_STATE)) return PH_ENOENT;
    const struct ph_place *p = &plan->place[port->value];
    if (ph_tensor_count(t) != p->count) return PH_EINVAL;
    const void *src = t->data;
    if (t->dtype != p->dtype) {
        ph_convert(p->dtype, plan->staging, t->dtype, src, p->count);
        src = plan->staging;
    }
    if (is_picture(p)) {
        float *last = (float *) (void *) (plan->staging + plan->staging_half);
        transpose(last, src, p->dim[0], p->dim[1], p->dim[2] * p->dim[3]);
        src = last;
    }
    plan->dirty |= port->bit;
    plan->device->backend->upload(plan->device, p->data, src,
                                  (size_t) p->count * ph_dtype_size(p->dtype));
    return PH_OK;
}

ph_err ph_plan_read(struct ph_plan *plan, const char *name, const struct ph_tensor *t)
{
    const struct ph_port *port = ph_plan_port(plan, name);
    if (!port) return PH_ENOENT;
    const struct ph_place *p = &plan->place[port->value];
    if (ph_tensor_count(t) != p->count) return PH_EINVAL;
    size_t bytes = (size_t) p->count * ph_dtype_size(p->dtype);
    bool same = t->dtype == p->dtype && !is_picture(p);
    void *dst = same ? t->data : plan->staging;
    plan->device->backend->download(plan->device, dst, p->data, bytes);
    if (same) return PH_OK;
    if (is_picture(p)) {
        float *first = (float *) (void *) (plan->staging + plan->staging_half);
        transpose(first, dst, p->dim[0], p->dim[2] * p->dim[3], p->dim[1]);
        dst = first;
    }
    ph_convert(t->dtype, t->data, p->dtype, dst, p->count);
    return PH_OK;
}

ph_err ph_plan_describe(const struct ph_plan *plan, const char *name, struct ph_tensor *t)
{
    const struct ph_port *port = ph_plan_port(plan, name);
    if (!port) return PH_ENOENT;
    const struct ph_place *p = &plan->place[port->value];
    *t = (struct ph_tensor){ .dtype = p->dtype, .rank = p->rank };
    memcpy(t->dim, p->dim, sizeof t->dim);
    return PH_OK;
}

static bool same_shape(const struct ph_plan *p, const struct ph_port *mine,
                       const struct ph_plan *q, const struct ph_port *other)
{
    const struct ph_place *a = &p->place[mine->value], *b = &q->place[other->value];
    return a->dtype == b->dtype && a->rank == b->rank && !memcmp(a->dim, b->dim, sizeof a->dim);
}

bool ph_plan_carry(struct ph_plan *to, const struct ph_plan *from)
{
    bool all = true;
    for (int i = 0; i < to->port_count; i++) {
        const struct ph_port *mine = &to->ports[i], *old = ph_plan_port(from, mine->name);
        bool rare = mine->kind == PH_PORT_INPUT && mine->bit != PH_EVERY_RUN;
        if (mine->kind != PH_PORT_STATE && !rare) continue;
        if (!old || old->kind != mine->kind || !same_shape(to, mine, from, old)) {
            all = all && rare;
            continue;
        }
        const struct ph_place *a = &to->place[mine->value], *b = &from->place[old->value];
        size_t bytes = (size_t) a->count * ph_dtype_size(a->dtype);
        const struct ph_backend *backend = to->device->backend;
        backend->download(from->device, to->staging, b->data, bytes);
        backend->upload(to->device, a->data, to->staging, bytes);
        to->dirty |= mine->bit;
    }
    return all;
}

// ------------------------------------------------------------------------------ running
// The arena may have moved since the last run, when another plan made it grow.
static void point_into_arena(struct ph_plan *plan)
{
    char *arena = plan->device->arena;
    if (plan->arena_seen == arena) return;
    plan->arena_seen = arena;
    for (ph_val v = 0; v < plan->value_count; v++) {
        const struct ph_span *s = &plan->span[ph_root(plan, v)];
        if (!s->kept && !s->foreign && s->first >= 0) plan->place[v].data = arena + s->offset;
    }
}

static void store_states(struct ph_plan *plan)
{
    for (int i = 0; i < plan->port_count; i++) {
        const struct ph_port *port = &plan->ports[i];
        if (port->stored == PH_NONE) continue;
        const struct ph_place *to = &plan->place[port->value];
        plan->device->backend->move(plan->device, to->data, plan->place[port->stored].data,
                                    (size_t) to->count * ph_dtype_size(to->dtype));
    }
}

void ph_round_bf16(float *x, int64_t n)
{
    uint16_t part[256];
    for (int64_t i = 0; i < n; i += 256) {
        int64_t m = n - i < 256 ? n - i : 256;
        ph_convert(PH_BF16, part, PH_F32, x + i, m);
        ph_convert(PH_F32, x + i, PH_BF16, part, m);
    }
}

// Layers: what has weights, and activations. Sums between them stay f32, as in emulations that round
// what the modules of a model give.
static void round_result(const struct ph_step *s, const struct ph_place *p)
{
    bool layer = s->op == PH_OP_CONV || s->op == PH_OP_LINEAR || s->op == PH_OP_GROUP_NORM ||
                 s->op == PH_OP_LAYER_NORM || s->op == PH_OP_ACTIVATE || s->op == PH_OP_EMBED;
    if (layer) ph_round_bf16(p->data, p->count);
}

// Every step that must run, then what states become. PH_ESTOPPED: told to stop.
static ph_err run_steps(struct ph_plan *plan, bool timed)
{
    const struct ph_backend *b = plan->device->backend;
    struct ph_run run = { plan->place, NULL, plan->device->threads };
    int64_t before = ph_now_ns();
    if (timed && b->mark) b->mark(plan->device, 0);
    for (int i = 0; i < plan->step_count; i++) {
        struct ph_step *s = &plan->steps[i];
        if (!s->kernel || !(s->inputs_used & (PH_EVERY_RUN | plan->dirty))) continue;
        if (ph_stop_asked(&plan->stop)) return PH_ESTOPPED;
        run.scratch = (char *) plan->device->arena + plan->scratch_at[i];
        s->kernel->run(s, &run);
        if (plan->device->rounds) round_result(s, &plan->place[s->out]);
        if (timed && b->mark && i + 1 < PH_BACKEND_MOMENTS) b->mark(plan->device, i + 1);
        int64_t now = ph_now_ns();
        if (!b->mark) s->ns = now - before;
        before = now;
    }
    if (!plan->hold) store_states(plan);
    return PH_OK;
}

// After finish: the times between the marks of the steps that ran.
static void read_times(struct ph_plan *plan)
{
    int before = 0;
    for (int i = 0; i < plan->step_count && i + 1 < PH_BACKEND_MOMENTS; i++) {
        struct ph_step *s = &plan->steps[i];
        if (!s->kernel || !(s->inputs_used & (PH_EVERY_RUN | plan->dirty))) continue;
        s->ns = plan->device->backend->between(plan->device, before, i + 1);
        before = i + 1;
    }
}

static void drop_recording(struct ph_plan *plan)
{
    if (plan->recording) plan->device->backend->forget(plan->device, plan->recording);
    plan->recording = NULL;
}

// A run in which nothing rare is done is the same launches every time, as long as all memory is
// where it was: kept once, then given to the device as one. False: run the steps.
static bool run_recorded(struct ph_plan *plan)
{
    struct ph_device *d = plan->device;
    const struct ph_backend *b = d->backend;
    if (plan->dirty & ~PH_EVERY_RUN || !b->record || plan->unrecordable) return false;
    if (plan->recorded_at != d->arena_moves || plan->recorded_hold != plan->hold)
        drop_recording(plan);
    if (!plan->recording && b->record(d)) {
        plan->ret = run_steps(plan, d->mark_steps);
        plan->recording = b->recorded(d);
        plan->recorded_at = d->arena_moves;
        plan->recorded_hold = plan->hold;
        if (plan->ret < 0) {
            drop_recording(plan);
            return true;
        }
        plan->unrecordable = !plan->recording;
    }
    if (plan->recording) b->replay(d, plan->recording);
    return plan->recording;
}

static void run_on_device(void *arg)
{
    struct ph_plan *plan = arg;
    struct ph_device *d = plan->device;
    const struct ph_backend *b = d->backend;
    point_into_arena(plan);
    int64_t begin = ph_now_ns();
    plan->ret = PH_OK;
    if (b->mark) b->mark(d, 0);
    bool whole = run_recorded(plan);
    if (!whole) plan->ret = run_steps(plan, true);
    if (b->mark) b->mark(d, PH_BACKEND_MOMENTS);
    ph_err ret = b->finish(d);
    if (plan->ret >= 0) plan->ret = ret;
    plan->run_ns = ph_now_ns() - begin;
    if (plan->flags & PH_PLAN_LEARN) d->learner_ran_ns = begin + plan->run_ns;
    if (b->mark && plan->ret >= 0) {
        plan->run_ns = b->between(d, 0, PH_BACKEND_MOMENTS);
        if (!whole || d->mark_steps) read_times(plan);
    }
    if (plan->ret >= 0) plan->dirty = 0; // else rare steps have run that will run again
}

void ph_plan_hold(struct ph_plan *plan, bool hold)
{
    plan->hold = hold;
}

void ph_plan_forget(struct ph_plan *plan)
{
    memset(plan->staging, 0, plan->staging_half);
    for (int i = 0; i < plan->port_count; i++) {
        const struct ph_place *p = &plan->place[plan->ports[i].value];
        if (plan->ports[i].kind != PH_PORT_STATE) continue;
        plan->device->backend->upload(plan->device, p->data, plan->staging,
                                      (size_t) p->count * ph_dtype_size(p->dtype));
    }
}

ph_err ph_plan_run(struct ph_plan *plan)
{
    ph_device_call(plan->device, run_on_device, plan);
    return plan->ret;
}

// ------------------------------------------------------------------------------ telling
static int64_t packed_bytes(struct ph_device *d)
{
    int64_t total = 0;
    pthread_mutex_lock(&d->packs_lock);
    for (const struct ph_packed *e = d->packs; e; e = e->next) total += (int64_t) e->pack.size;
    pthread_mutex_unlock(&d->packs_lock);
    return total;
}

static void sum_losses(const struct ph_plan *plan, struct ph_plan_stats *stats)
{
    double lost = 0, count = 0;
    for (int i = 0; i < plan->step_count; i++) {
        const struct ph_step *s = &plan->steps[i];
        if (!s->kernel || s->loss.noise <= 0) continue;
        double n = (double) ph_tensor_count(&s->weight->disk), db = ph_loss_db(&s->loss);
        lost += n * s->loss.noise / s->loss.signal;
        count += n;
        if (!stats->worst || db < stats->worst_db) {
            stats->worst = s->name;
            stats->worst_db = db;
        }
    }
    if (lost > 0) stats->weights_db = -10 * log10(lost / count);
}

void ph_plan_stats(const struct ph_plan *plan, struct ph_plan_stats *stats)
{
    *stats = (struct ph_plan_stats){
        .arena_bytes = (int64_t) plan->arena_size,
        .kept_bytes = (int64_t) plan->kept_size,
        .packed_bytes = packed_bytes(plan->device),
        .run_ns = plan->run_ns,
    };
    for (int i = 0; i < plan->step_count; i++) {
        const struct ph_step *s = &plan->steps[i];
        if (!s->kernel) continue;
        stats->steps++;
        if (s->inputs_used & PH_EVERY_RUN) stats->flops += s->flops;
    }
    sum_losses(plan, stats);
}

static void print_shape(FILE *out, const struct ph_place *p)
{
    char text[96];
    struct ph_tensor t = { .rank = p->rank };
    memcpy(t.dim, p->dim, sizeof t.dim);
    fprintf(out, " %4s %-22s", ph_dtype_name(p->dtype), ph_tensor_shape(&t, text, sizeof text));
}

static double bytes_moved(const struct ph_plan *plan, const struct ph_step *s)
{
    ph_val reads[PH_STEP_READS];
    int n = ph_step_reads(s, reads);
    const struct ph_place *out = &plan->place[s->out];
    double bytes = (double) out->count * (double) ph_dtype_size(out->dtype);
    for (int k = 0; k < n; k++) {
        const struct ph_place *p = &plan->place[reads[k]];
        bytes += (double) p->count * (double) ph_dtype_size(p->dtype);
    }
    return bytes;
}

static void print_step(FILE *out, const struct ph_plan *plan, const struct ph_step *s)
{
    bool rare = !(s->inputs_used & PH_EVERY_RUN);
    fprintf(out, "%-60s %-11s", s->name, ph_op_name(s->op));
    print_shape(out, &plan->place[s->out]);
    fprintf(out, " %-22s %8.3f GF %8.2f MB %9.3f ms", s->kernel->name, s->flops * 1e-9,
            bytes_moved(plan, s) * 1e-6, (double) s->ns * 1e-6);
    if (s->flops > 0 && s->ns > 0) fprintf(out, " %7.0f GF/s", s->flops / (double) s->ns);
    if (rare) fputs("  (when an input changes)", out);
    fputc('\n', out);
}

char *ph_plan_print(const struct ph_plan *plan)
{
    char *text = NULL;
    size_t size;
    struct ph_plan_stats stats;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kernel) print_step(out, plan, &plan->steps[i]);
    ph_plan_stats(plan, &stats);
    fprintf(out,
            "%d steps on %s, %s: %.1f GFLOP, %.1f MB between steps, %.1f MB kept, %.1f MB of "
            "packed weights, %.1f ms, %.0f GFLOP/s\n",
            stats.steps, ph_device_name(plan->device), ph_precision_name(plan->precision),
            stats.flops * 1e-9, (double) stats.arena_bytes * 1e-6,
            (double) stats.kept_bytes * 1e-6, (double) stats.packed_bytes * 1e-6,
            (double) stats.run_ns * 1e-6,
            stats.run_ns ? stats.flops / (double) stats.run_ns : 0.0);
    if (stats.worst)
        fprintf(out, "rounded weights keep %.1f dB (gate %.0f), least in %s: %.1f dB\n",
                stats.weights_db, ph_precision_gate_db(plan->precision), stats.worst,
                stats.worst_db);
    fclose(out);
    return text;
}
